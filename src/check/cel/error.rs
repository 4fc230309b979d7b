//! Why a condition is none. `config` prints it beside the condition.

use cel::ParseErrors;

use super::checker::{MAX_DEPTH, MAX_LOOPS, MAX_PARTS};
use super::functions::FUNCTIONS;
use crate::util::escape::escaped;

/// Why a condition is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// A function or macro with another number of arguments.
    #[error("{function} takes {expected}")]
    Arity {
        /// Its name.
        function: String,
        /// How it is written.
        expected: &'static str,
    },
    /// A header that could never be there.
    #[error("request.headers holds names in lower case and no pseudo headers: not {0:?}")]
    HeaderName(String),
    /// It compares what is of different types.
    #[error("{0} is never equal to {1}")]
    NeverEqual(&'static str, &'static str),
    /// The whole of it is something else than true or false.
    #[error("the whole condition is {0}; it has to be true or false")]
    NotBoolean(&'static str),
    /// The regular expression is none, or takes too much memory.
    #[error("not a regular expression: {0}")]
    Pattern(String),
    /// The regular expression is computed: a client might choose it.
    #[error("matches takes a string in quotes, not one that is computed")]
    PatternNotLiteral,
    /// A variable of a loop that hides something.
    #[error("{0} is the name of something else already")]
    Shadowed(String),
    /// Not the syntax of CEL.
    #[error("{0}")]
    Syntax(String),
    /// With a token of ordinary size it would cost more than an evaluation may.
    #[error("too costly: it loops over too much, or copies too much in a loop")]
    TooCostly,
    /// Nested too deep.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More bytes than a condition may have.
    #[error("longer than {} bytes", super::MAX_SOURCE_BYTES)]
    TooLong,
    /// Loops in loops.
    #[error("loops are nested deeper than {MAX_LOOPS} levels")]
    TooManyLoops,
    /// Too many operators, names and values.
    #[error("more than {MAX_PARTS} operators, names and values")]
    TooManyParts,
    /// A field of the request that there is not.
    #[error("no request.{0}; there are method, host, path, headers and context")]
    UnknownField(String),
    /// A function that there is not, or is not for conditions.
    #[error("no function {0}; there are {functions}", functions = FUNCTIONS)]
    UnknownFunction(String),
    /// A variable that there is not.
    #[error("no variable {0}; there are claims, issuer and request")]
    UnknownVariable(String),
    /// The parser gave up.
    #[error("not readable")]
    Unreadable,
    /// Something of CEL that conditions do without: what one does not do.
    #[error("a condition {0}")]
    Unsupported(&'static str),
    /// `request` without a field.
    #[error(
        "request itself is not a value; request.method, .host, .path, .headers and .context are"
    )]
    WholeRequest,
    /// An operator or a function is given something of another type.
    #[error("{what} takes {expected}, not {found}")]
    WrongType {
        /// The operator or function.
        what: String,
        /// What it takes.
        expected: &'static str,
        /// What it is given.
        found: &'static str,
    },
}

impl ExpressionError {
    /// The first thing that the parser says, without what it would have liked instead: that is a list of all CEL.
    pub(super) fn syntax(errors: &ParseErrors) -> Self {
        const MAX_CHARS: usize = 120;
        let Some(first) = errors.errors.first() else { return Self::Unreadable };
        let (line, column) = first.pos;
        let said = first.msg.split(" expecting ").next().unwrap_or_default();
        let said = escaped(said, MAX_CHARS).replace("\\'", "'");
        Self::Syntax(format!("line {line}, column {column}: {said}"))
    }
}
