//! Reads a parsed condition through: every name in it must be there, every type right as far as it is known, and its
//! depth and length bounded. What is found on the way is which claims, headers and so on it asks for.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators,
};

use super::error::ExpressionError;
use super::functions::{self, Type};
use super::pattern::Pattern;
use super::uses::{Uses, Variable, is_request, literal_text};

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

/// Reads `root` through, and puts variables in place of its regular expressions.
///
/// # Errors
/// The first mistake.
pub(super) fn check(root: &mut IdedExpr) -> Result<Checked, ExpressionError> {
    let mut checker = Checker::default();
    let found = checker.value(root)?;
    if !found.may_be(&[Type::Bool]) {
        return Err(ExpressionError::NotBoolean(found.name()));
    }
    Ok(Checked { uses: checker.uses, patterns: checker.patterns })
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
        if let Some(variable) = Variable::of(expression) {
            self.uses.note(variable, None)?;
            return Ok(if variable.is_map() { Type::Map } else { Type::Text });
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
                        return Err(ExpressionError::Unsupported("makes no messages"));
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
            Expr::Struct(_) => Err(ExpressionError::Unsupported("makes no messages")),
            Expr::Unspecified => Err(ExpressionError::Unreadable),
        }
    }

    /// A name that is no variable of every condition.
    fn variable(&mut self, name: &str) -> Result<Type, ExpressionError> {
        if let Some((_, found)) = self.local.iter().rev().find(|(local, _)| local == name) {
            return Ok(*found);
        }
        Err(match name {
            "request" => ExpressionError::WholeRequest,
            _ => ExpressionError::UnknownVariable(name.to_owned()),
        })
    }

    /// A field of something that is no variable itself, or whether there is one.
    fn select(&mut self, select: &mut SelectExpr) -> Result<Type, ExpressionError> {
        let field = select.field.as_str();
        if is_request(&select.operand) {
            return Err(if select.test && Variable::of_request(field).is_some() {
                // It would be true of whatever is sent.
                ExpressionError::Unsupported("does not ask has() of what every request has")
            } else {
                ExpressionError::UnknownField(field.to_owned())
            });
        }
        let found = match Variable::of(&select.operand).filter(|variable| variable.is_map()) {
            Some(variable) => {
                self.parts += 1;
                self.uses.note(variable, Some(field))?;
                member(variable)
            }
            None => {
                let operand = self.value(&mut select.operand)?;
                if !operand.may_be(&[Type::Map]) {
                    let what = format!(".{field}");
                    let (expected, found) = ("a map", operand.name());
                    return Err(ExpressionError::WrongType { what, expected, found });
                }
                Type::Any
            }
        };
        Ok(if select.test { Type::Bool } else { found })
    }

    fn call(&mut self, call: &mut CallExpr) -> Result<Type, ExpressionError> {
        match (call.func_name.as_str(), call.args.as_mut_slice()) {
            (operators::INDEX, [map, name]) => {
                if let (Some(variable), Some(name)) = (Variable::of(map), literal_text(name))
                    && variable.is_map()
                {
                    self.parts += 2;
                    self.uses.note(variable, Some(name))?;
                    return Ok(member(variable));
                }
            }
            (operators::IN, [name, map]) => {
                if let (Some(variable), Some(name)) = (Variable::of(map), literal_text(name))
                    && variable.is_map()
                {
                    self.parts += 2;
                    self.uses.note(variable, Some(name))?;
                    return Ok(Type::Bool);
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
        let variable = match (call.func_name.as_str(), call.args.first()) {
            (operators::INDEX, Some(map)) => Variable::of(map),
            _ => None,
        };
        Ok(variable.map_or(found, member))
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

/// What is in a map that is a variable.
fn member(variable: Variable) -> Type {
    if variable == Variable::Claims { Type::Any } else { Type::Text }
}

fn literal_type(literal: &LiteralValue) -> Result<Type, ExpressionError> {
    Ok(match literal {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => return Err(ExpressionError::Unsupported("knows no bytes")),
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::UInt(_) => Type::Uint,
    })
}
