//! The variables of a condition, and which of them, and of their members, one asks for: nothing else of a token and a
//! request is looked at for it.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::error::ExpressionError;

/// A variable that every condition has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Claims,
    Context,
    Headers,
    Host,
    Issuer,
    Method,
    Path,
}

impl Variable {
    /// The variable that `expression` is. The checker sees to it that no loop has one of such a name.
    pub(super) fn of(expression: &IdedExpr) -> Option<Self> {
        if let Expr::Ident(name) = &expression.expr {
            return match name.as_str() {
                "claims" => Some(Self::Claims),
                "issuer" => Some(Self::Issuer),
                _ => None,
            };
        }
        let Expr::Select(select) = &expression.expr else { return None };
        let is_field = !select.test && is_request(&select.operand);
        is_field.then(|| Self::of_request(&select.field)).flatten()
    }

    /// The variable and the name in quotes, or the field, that `expression` takes of it.
    pub(super) fn member(expression: &IdedExpr) -> Option<(Self, &str)> {
        let (map, name) = if let Expr::Select(select) = &expression.expr {
            (&*select.operand, (!select.test).then_some(select.field.as_str())?)
        } else if let Expr::Call(call) = &expression.expr
            && let (operators::INDEX, [map, name]) = (call.func_name.as_str(), &*call.args)
        {
            (map, literal_text(name)?)
        } else {
            return None;
        };
        let variable = Self::of(map).filter(|variable| variable.is_map())?;
        Some((variable, name))
    }

    pub(super) fn of_request(field: &str) -> Option<Self> {
        match field {
            "context" => Some(Self::Context),
            "headers" => Some(Self::Headers),
            "host" => Some(Self::Host),
            "method" => Some(Self::Method),
            "path" => Some(Self::Path),
            _ => None,
        }
    }

    /// As the interpreter looks for it first: by the whole of a qualified name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Context => "request.context",
            Self::Headers => "request.headers",
            Self::Host => "request.host",
            Self::Issuer => "issuer",
            Self::Method => "request.method",
            Self::Path => "request.path",
        }
    }

    pub(super) const fn is_map(self) -> bool {
        matches!(self, Self::Claims | Self::Context | Self::Headers)
    }
}

pub(super) fn is_request(expression: &IdedExpr) -> bool {
    matches!(&expression.expr, Expr::Ident(name) if name == "request")
}

pub(super) fn literal_text(expression: &IdedExpr) -> Option<&str> {
    if let Expr::Literal(LiteralValue::String(text)) = &expression.expr {
        Some(text.inner())
    } else {
        None
    }
}

/// What a condition asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses(Vec<(Variable, Keys)>);

/// Which members of a map.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// Names are computed, or it is looked through.
    All,
    /// These. A text has no members.
    Named(Vec<String>),
}

impl Uses {
    pub(super) fn iter(&self) -> impl Iterator<Item = (Variable, &Keys)> {
        self.0.iter().map(|(variable, keys)| (*variable, keys))
    }

    pub(super) fn has(&self, variable: Variable) -> bool {
        self.iter().any(|(one, _)| one == variable)
    }

    /// Notes that a variable is asked for: for that member, or for all of it.
    pub(super) fn note(
        &mut self,
        variable: Variable,
        member: Option<&str>,
    ) -> Result<(), ExpressionError> {
        if let (Variable::Headers, Some(name)) = (variable, member)
            && (name.starts_with(':') || name.chars().any(char::is_uppercase))
        {
            return Err(ExpressionError::HeaderName(name.to_owned()));
        }
        let noted = self.0.iter_mut().find(|(one, _)| *one == variable);
        match (noted, member) {
            (Some((_, keys)), None) => *keys = Keys::All,
            (Some((_, Keys::All)), Some(_)) => {}
            (Some((_, Keys::Named(names))), Some(name)) => {
                if !names.iter().any(|one| one == name) {
                    names.push(name.to_owned());
                }
            }
            (None, None) => self.0.push((variable, Keys::All)),
            (None, Some(name)) => self.0.push((variable, Keys::Named(vec![name.to_owned()]))),
        }
        Ok(())
    }
}

impl Keys {
    pub(super) fn have(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|one| one == name),
        }
    }

    /// Whether they have it in lower case.
    pub(super) fn have_lowered(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|one| one.eq_ignore_ascii_case(name)),
        }
    }
}
