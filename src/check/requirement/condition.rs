//! A condition on one claim of a verified token.

use crate::check::pattern::TextPattern;
use crate::token::Claims;
use crate::util::json::View;

/// A claim, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimCondition {
    /// A top-level name, then names of members.
    pub claim: Vec<String>,
    /// What it must be.
    pub test: ClaimTest,
}

/// What a claim must be. A claim that is missing or null is nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimTest {
    /// This scalar.
    Equals(Scalar),
    /// One of these scalars.
    OneOf(Vec<Scalar>),
    /// A list with this element; a lone scalar counts as a list of one, as it reads in a header.
    Contains(Scalar),
    /// A list with all of these elements.
    ContainsAll(Vec<Scalar>),
    /// A list with at least one of these elements.
    ContainsAny(Vec<Scalar>),
    /// Anything (true), or not there at all (false).
    Exists(bool),
    /// A string that meets this condition.
    Matches(TextPattern),
}

/// A value without parts. A number is not the string that reads like it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// `true` or `false`.
    Bool(bool),
}

impl ClaimCondition {
    /// Whether `claims` meet it.
    pub fn holds(&self, claims: &Claims) -> bool {
        let claim = claims.at(&self.claim).filter(|claim| !matches!(claim, View::Null));
        let Some(claim) = claim else {
            return self.test == ClaimTest::Exists(false);
        };
        let contains = |wanted: &Scalar| match claim {
            View::Array(elements) => elements.elements().any(|element| wanted.is(element)),
            View::Null | View::Bool(_) | View::Number(_) | View::String(_) | View::Object(_) => {
                wanted.is(claim)
            }
        };
        match &self.test {
            ClaimTest::Equals(wanted) => wanted.is(claim),
            ClaimTest::OneOf(wanted) => wanted.iter().any(|wanted| wanted.is(claim)),
            ClaimTest::Contains(wanted) => contains(wanted),
            ClaimTest::ContainsAll(wanted) => wanted.iter().all(contains),
            ClaimTest::ContainsAny(wanted) => wanted.iter().any(contains),
            ClaimTest::Exists(wanted) => *wanted,
            ClaimTest::Matches(pattern) => claim.as_str().is_some_and(|text| pattern.matches(text)),
        }
    }
}

impl Scalar {
    fn is(&self, value: View<'_>) -> bool {
        match (self, value) {
            (Self::Text(wanted), View::String(text)) => text == wanted,
            // Written as an integer: `1.0` and `1e0` may be something else to whoever reads the claim next.
            (Self::Integer(wanted), View::Number(text)) => text.parse() == Ok(*wanted),
            (Self::Bool(wanted), View::Bool(given)) => given == *wanted,
            (Self::Text(_) | Self::Integer(_) | Self::Bool(_), _) => false,
        }
    }
}
