//! The functions and operators that a condition may use, and their types. The language has more: those that a condition
//! over a token has no use for, or whose cost nobody can tell beforehand, are not here.

use cel::common::ast::operators;

use super::error::ExpressionError;
use crate::util::escape::escaped;

/// What is known of a value before the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Something of a token.
    Any,
    Bool,
    Double,
    Int,
    List,
    Map,
    Null,
    Text,
    Uint,
}

impl Type {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Bool => "true or false",
            Self::Double => "a double",
            Self::Int => "an int",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Null => "null",
            Self::Text => "a string",
            Self::Uint => "a uint",
        }
    }

    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Double | Self::Int | Self::Uint)
    }

    /// Whether values of the two can be equal, or be ordered.
    pub(super) fn is_comparable_with(self, other: Self) -> bool {
        self == other
            || self == Self::Any
            || other == Self::Any
            || (self.is_number() && other.is_number())
    }

    /// Whether `self` may turn out to be one of these.
    pub(super) fn may_be(self, wanted: &[Self]) -> bool {
        self == Self::Any || wanted.contains(&self)
    }
}

/// For people.
pub(super) const FUNCTIONS: &str = "has, all, exists, exists_one, map, filter, size, contains, startsWith, endsWith, \
                                    matches, lowerAscii, upperAscii, split, int, double, string";

const ANY: &[Type] = &[
    Type::Bool,
    Type::Double,
    Type::Int,
    Type::List,
    Type::Map,
    Type::Null,
    Type::Text,
    Type::Uint,
];
const BOOL: &[Type] = &[Type::Bool];
const NUMBER: &[Type] = &[Type::Double, Type::Int, Type::Uint];
const ORDERED: &[Type] = &[Type::Bool, Type::Double, Type::Int, Type::Text, Type::Uint];
const TEXT: &[Type] = &[Type::Text];
const WHOLE: &[Type] = &[Type::Int, Type::Uint];

/// How a function is written, for people.
pub(super) fn usage(name: &str) -> Option<&'static str> {
    Some(match name {
        "has" => "a field: has(claims.a)",
        "all" | "exists" | "exists_one" | "existsOne" => {
            "a list, a variable and a condition: claims.roles.exists(role, role == 'a')"
        }
        "map" | "filter" => {
            "a list, a variable and an expression: claims.roles.map(role, role + '.x')"
        }
        "size" => "one value: size(claims.roles)",
        "contains" | "startsWith" | "endsWith" => {
            "a string behind a string: claims.sub.startsWith('svc-')"
        }
        "matches" => "a string behind a string: claims.sub.matches('^svc-[a-z]+$')",
        "lowerAscii" | "upperAscii" => "nothing, behind a string: claims.email.lowerAscii()",
        "split" => "a string behind a string: claims.scope.split(' ')",
        "int" | "double" | "string" => "one value: int(claims.level)",
        _ => return None,
    })
}

/// What a function or operator makes of operands of these types, the one that it stands behind first.
///
/// # Errors
/// There is none of that name, or not for these.
pub(super) fn result(
    name: &str,
    is_member: bool,
    operands: &[Type],
) -> Result<Type, ExpressionError> {
    let (takes, makes): (&[&[Type]], Type) = match (name, is_member) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR, false) => (&[BOOL, BOOL], Type::Bool),
        (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, false) => (&[BOOL], Type::Bool),
        (operators::CONDITIONAL, false) => {
            let makes = match operands {
                [_, one, other] if one == other => *one,
                _ => Type::Any,
            };
            (&[BOOL, ANY, ANY], makes)
        }
        (operators::EQUALS | operators::NOT_EQUALS, false) => (&[ANY, ANY], Type::Bool),
        (
            operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS,
            false,
        ) => (&[ORDERED, ORDERED], Type::Bool),
        (operators::IN, false) => (&[ANY, &[Type::List, Type::Map]], Type::Bool),
        (operators::INDEX, false) => (&[&[Type::List, Type::Map], ORDERED], Type::Any),
        (operators::ADD, false) => (
            &[
                &[Type::Double, Type::Int, Type::List, Type::Text, Type::Uint],
                &[Type::Double, Type::Int, Type::List, Type::Text, Type::Uint],
            ],
            known(operands),
        ),
        (operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE, false) => {
            (&[NUMBER, NUMBER], known(operands))
        }
        (operators::MODULO, false) => (&[WHOLE, WHOLE], known(operands)),
        (operators::NEGATE, false) => (&[&[Type::Double, Type::Int]], known(operands)),
        ("size", _) => (&[&[Type::List, Type::Map, Type::Text]], Type::Int),
        ("contains" | "startsWith" | "endsWith", true) => (&[TEXT, TEXT], Type::Bool),
        ("lowerAscii" | "upperAscii", true) => (&[TEXT], Type::Text),
        ("split", true) => (&[TEXT, TEXT], Type::List),
        ("int", false) => (&[&[Type::Double, Type::Int, Type::Text, Type::Uint]], Type::Int),
        ("double", false) => (&[&[Type::Double, Type::Int, Type::Text, Type::Uint]], Type::Double),
        ("string", false) => {
            (&[&[Type::Bool, Type::Double, Type::Int, Type::Text, Type::Uint]], Type::Text)
        }
        _ => return Err(unknown(name)),
    };
    if takes.len() != operands.len() {
        return Err(unknown(name));
    }
    let what = || symbol(name).to_owned();
    for (wanted, found) in takes.iter().zip(operands) {
        if !found.may_be(wanted) {
            let (expected, found) = (expected(wanted), found.name());
            return Err(ExpressionError::WrongType { what: what(), expected, found });
        }
    }
    match (name, operands) {
        (operators::EQUALS | operators::NOT_EQUALS, [one, other])
            if !one.is_comparable_with(*other) =>
        {
            Err(ExpressionError::NeverEqual(one.name(), other.name()))
        }
        (
            operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS,
            [one, other],
        ) if !one.is_comparable_with(*other) => Err(ExpressionError::WrongType {
            what: what(),
            expected: one.name(),
            found: other.name(),
        }),
        // Without a conversion the language adds no int to a double.
        (
            operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO,
            [one, other],
        ) if one != other && *one != Type::Any && *other != Type::Any => {
            Err(ExpressionError::WrongType {
                what: what(),
                expected: one.name(),
                found: other.name(),
            })
        }
        _ => Ok(makes),
    }
}

/// Whether it is written out before anything is evaluated.
pub(super) fn is_macro(name: &str) -> bool {
    matches!(name, "has" | "all" | "exists" | "exists_one" | "existsOne" | "map" | "filter")
}

/// The mistake in calling what is not to be called, or not so.
pub(super) fn unknown(name: &str) -> ExpressionError {
    match usage(name) {
        Some(expected) => ExpressionError::Arity { function: name.to_owned(), expected },
        None => ExpressionError::UnknownFunction(escaped(name, 64)),
    }
}

/// The type of arithmetic: that of either operand, as they must be of one.
fn known(operands: &[Type]) -> Type {
    operands.iter().copied().find(|one| *one != Type::Any).unwrap_or(Type::Any)
}

fn expected(wanted: &[Type]) -> &'static str {
    match wanted {
        BOOL => "true or false",
        TEXT => "a string",
        NUMBER => "a number",
        WHOLE => "a whole number",
        [Type::List, Type::Map] => "a list or a map",
        [Type::List, Type::Map, Type::Text] => "a list, a map or a string",
        [Type::Double, Type::Int] => "an int or a double",
        _ if wanted.contains(&Type::List) => "a number, a string or a list",
        _ => "a number, a string, true or false",
    }
}

/// An operator as it is written.
fn symbol(name: &str) -> &str {
    match name {
        operators::CONDITIONAL => "?:",
        operators::INDEX => "[]",
        operators::IN => "in",
        operators::NOT_STRICTLY_FALSE => "&&",
        _ => name.trim_matches('_'),
    }
}
