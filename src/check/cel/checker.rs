//! Reads a parsed condition through: every name in it must be there, every type right as far as it is known, and its
//! depth and length bounded. What is found on the way is which claims, headers and so on it asks for.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators,
};

use super::error::ExpressionError;
use super::functions::{self, Type};
use super::pattern::Pattern;

/// How deep values, operators and calls may nest, macros written out. The interpreter is recursive.
pub(super) const MAX_DEPTH: usize = 48;

/// How many operators, names and values there may be, macros written out.
pub(super) const MAX_PARTS: usize = 512;

/// How deep loops may nest.
pub(super) const MAX_LOOPS: usize = 2;

/// A condition that was read through.
pub(super) struct Checked {
    pub(super) uses: Uses,
    /// Its regular expressions; each stands as the variable of its place in here.
    pub(super) patterns: Vec<Pattern>,
}

/// What a condition asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    pub(super) claims: Keys,
    pub(super) issuer: bool,
    pub(super) method: bool,
    pub(super) host: bool,
    pub(super) path: bool,
    pub(super) headers: Keys,
    pub(super) context: Keys,
}

/// Which members of a map.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// Names are computed, or it is looked through.
    All,
    Named(Vec<String>),
}

impl Default for Keys {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

impl Keys {
    pub(super) fn have(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|one| one == name),
        }
    }

    fn add(&mut self, name: Option<&str>) {
        match (&mut *self, name) {
            (Self::Named(names), Some(name)) if !names.iter().any(|one| one == name) => {
                names.push(name.to_owned());
            }
            (Self::Named(_) | Self::All, Some(_)) => {}
            (_, None) => *self = Self::All,
        }
    }
}

/// Reads `root` through, and puts variables in place of its regular expressions.
///
/// # Errors
/// The first mistake.
pub(super) fn check(root: &mut IdedExpr) -> Result<Checked, ExpressionError> {
    let mut checker = Checker::default();
    match checker.value(root)? {
        Type::Bool | Type::Any => Ok(Checked { uses: checker.uses, patterns: checker.patterns }),
        other => Err(ExpressionError::NotBoolean(other.name())),
    }
}

#[derive(Default)]
struct Checker {
    uses: Uses,
    patterns: Vec<Pattern>,
    /// The variables of the loops around.
    local: Vec<(String, Type)>,
    depth: usize,
    parts: usize,
    loops: usize,
}

/// A map whose members are asked for one by one.
#[derive(Clone, Copy)]
enum Source {
    Claims,
    Headers,
    Context,
}

impl Source {
    fn of(expression: &IdedExpr) -> Option<Self> {
        match &expression.expr {
            Expr::Ident(name) if name == "claims" => Some(Self::Claims),
            Expr::Select(select) if !select.test && is_request(&select.operand) => {
                match select.field.as_str() {
                    "headers" => Some(Self::Headers),
                    "context" => Some(Self::Context),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    const fn member(self) -> Type {
        match self {
            Self::Claims => Type::Any,
            Self::Headers | Self::Context => Type::Text,
        }
    }
}

fn is_request(expression: &IdedExpr) -> bool {
    matches!(&expression.expr, Expr::Ident(name) if name == "request")
}

fn literal_text(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

impl Checker {
    fn value(&mut self, expression: &mut IdedExpr) -> Result<Type, ExpressionError> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(ExpressionError::TooManyParts);
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExpressionError::TooDeep);
        }
        let found = self.kind(expression);
        self.depth -= 1;
        found
    }

    fn kind(&mut self, expression: &mut IdedExpr) -> Result<Type, ExpressionError> {
        if let Some(source) = Source::of(expression) {
            return self.member(source, None).map(|_| Type::Map);
        }
        match &mut expression.expr {
            Expr::Literal(literal) => literal_type(literal),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                for element in &mut list.elements {
                    self.value(element)?;
                }
                Ok(Type::List)
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        return Err(ExpressionError::Unsupported("no message"));
                    };
                    let key = self.value(&mut entry.key)?;
                    if !key.may_be(&[Type::Bool, Type::Int, Type::Text, Type::Uint]) {
                        let expected = "names that are a string, a whole number, true or false";
                        let what = "a map".to_owned();
                        return Err(ExpressionError::WrongType {
                            what,
                            expected,
                            found: key.name(),
                        });
                    }
                    self.value(&mut entry.value)?;
                }
                Ok(Type::Map)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(_) => Err(ExpressionError::Unsupported("no message")),
            Expr::Unspecified => Err(ExpressionError::Unreadable),
        }
    }

    fn variable(&mut self, name: &str) -> Result<Type, ExpressionError> {
        if let Some((_, found)) = self.local.iter().rev().find(|(local, _)| local == name) {
            return Ok(*found);
        }
        match name {
            "issuer" => {
                self.uses.issuer = true;
                Ok(Type::Text)
            }
            "request" => Err(ExpressionError::WholeRequest),
            _ => Err(ExpressionError::UnknownVariable(name.to_owned())),
        }
    }

    fn select(&mut self, select: &mut SelectExpr) -> Result<Type, ExpressionError> {
        let field = select.field.as_str();
        let found = if is_request(&select.operand) {
            self.parts += 1;
            let used = match field {
                "method" => &mut self.uses.method,
                "host" => &mut self.uses.host,
                "path" => &mut self.uses.path,
                // Without a test these are maps, and a source each.
                "headers" | "context" => &mut false,
                _ => return Err(ExpressionError::UnknownField(field.to_owned())),
            };
            *used = true;
            if select.test {
                // It would be true of whatever is sent.
                return Err(ExpressionError::Unsupported("no has() of what every request has"));
            }
            Type::Text
        } else if let Some(source) = Source::of(&select.operand) {
            self.parts += 1;
            self.member(source, Some(field))?
        } else {
            let operand = self.value(&mut select.operand)?;
            if !operand.may_be(&[Type::Map]) {
                let what = format!(".{field}");
                let (expected, found) = ("a map", operand.name());
                return Err(ExpressionError::WrongType { what, expected, found });
            }
            Type::Any
        };
        Ok(if select.test { Type::Bool } else { found })
    }

    /// Notes that a member is asked for, or that any may be.
    fn member(&mut self, source: Source, name: Option<&str>) -> Result<Type, ExpressionError> {
        let keys = match source {
            Source::Claims => &mut self.uses.claims,
            Source::Headers => &mut self.uses.headers,
            Source::Context => &mut self.uses.context,
        };
        if let (Source::Headers, Some(name)) = (source, name)
            && (name.starts_with(':') || name.chars().any(char::is_uppercase))
        {
            return Err(ExpressionError::HeaderName(name.to_owned()));
        }
        keys.add(name);
        Ok(source.member())
    }

    fn call(&mut self, call: &mut CallExpr) -> Result<Type, ExpressionError> {
        match (call.func_name.as_str(), call.args.as_mut_slice()) {
            (operators::INDEX, [map, name]) => {
                if let (Some(source), Some(name)) = (Source::of(map), literal_text(name)) {
                    self.parts += 2;
                    return self.member(source, Some(name));
                }
            }
            (operators::IN, [name, map]) => {
                if let (Some(source), Some(name)) = (Source::of(map), literal_text(name)) {
                    self.parts += 2;
                    return self.member(source, Some(name)).map(|_| Type::Bool);
                }
            }
            ("matches", _) => return self.matches(call),
            // The parser left it as it was: it has not the arguments of one, which may be names yet to be made.
            (name, _) if functions::is_macro(name) => return Err(functions::unknown(name)),
            _ => {}
        }
        let target = match &mut call.target {
            Some(target) => Some(self.value(target)?),
            None => None,
        };
        let mut operands = Vec::from_iter(target);
        for argument in &mut call.args {
            operands.push(self.value(argument)?);
        }
        let found = functions::result(&call.func_name, target.is_some(), &operands)?;
        let source = match (call.func_name.as_str(), call.args.first()) {
            (operators::INDEX, Some(map)) => Source::of(map),
            _ => None,
        };
        Ok(source.map_or(found, Source::member))
    }

    /// `text.matches('…')`, and the same as a function of two.
    fn matches(&mut self, call: &mut CallExpr) -> Result<Type, ExpressionError> {
        if call.target.is_none() && call.args.len() == 2 {
            call.target = Some(Box::new(call.args.remove(0)));
        }
        let (Some(target), [pattern]) = (&mut call.target, call.args.as_mut_slice()) else {
            let expected = functions::usage("matches").unwrap_or_default();
            return Err(ExpressionError::Arity { function: "matches".to_owned(), expected });
        };
        let text = self.value(target)?;
        if !text.may_be(&[Type::Text]) {
            let (what, expected) = ("matches".to_owned(), "a string");
            return Err(ExpressionError::WrongType { what, expected, found: text.name() });
        }
        let Some(expression) = literal_text(pattern) else {
            return Err(ExpressionError::PatternNotLiteral);
        };
        let compiled = Pattern::compile(expression)?;
        pattern.expr = Expr::Ident(Pattern::variable(self.patterns.len()));
        self.patterns.push(compiled);
        self.parts += 1;
        Ok(Type::Bool)
    }

    fn comprehension(
        &mut self,
        comprehension: &mut ComprehensionExpr,
    ) -> Result<Type, ExpressionError> {
        let range = self.value(&mut comprehension.iter_range)?;
        if !range.may_be(&[Type::List, Type::Map]) {
            let (what, expected) = ("a loop".to_owned(), "a list or a map");
            return Err(ExpressionError::WrongType { what, expected, found: range.name() });
        }
        let variable = &comprehension.iter_var;
        let is_taken = ["claims", "issuer", "request"].contains(&variable.as_str())
            || self.local.iter().any(|(local, _)| local == variable);
        if is_taken {
            return Err(ExpressionError::Shadowed(variable.clone()));
        }
        self.loops += 1;
        if self.loops > MAX_LOOPS {
            return Err(ExpressionError::TooManyLoops);
        }
        let start = self.value(&mut comprehension.accu_init)?;
        self.local.push((variable.clone(), Type::Any));
        self.local.push((comprehension.accu_var.clone(), start));
        self.value(&mut comprehension.loop_cond)?;
        self.value(&mut comprehension.loop_step)?;
        let result = self.value(&mut comprehension.result)?;
        self.local.truncate(self.local.len().saturating_sub(2));
        self.loops -= 1;
        Ok(result)
    }
}

fn literal_type(literal: &LiteralValue) -> Result<Type, ExpressionError> {
    Ok(match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => return Err(ExpressionError::Unsupported("no bytes")),
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::UInt(_) => Type::Uint,
    })
}
