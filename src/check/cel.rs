//! A condition over the claims of a verified token and the request, in the Common Expression Language.

use std::fmt;

use super::request::CheckRequest;
use crate::token::VerifiedToken;

/// A compiled condition.
#[derive(Clone, PartialEq, Eq)]
pub struct Expression {
    source: Box<str>,
}

impl Expression {
    /// Compiles a condition.
    ///
    /// # Errors
    /// It is none.
    pub fn compile(source: &str) -> Result<Self, ExpressionError> {
        Err(ExpressionError(format!("no conditions yet: {source}")))
    }

    /// Whether the condition holds. What cannot be evaluated does not.
    pub fn holds(&self, _token: &VerifiedToken, _request: &CheckRequest) -> bool {
        false
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

/// Why a condition is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(String);
