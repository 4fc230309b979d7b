//! Where tokens are looked for. Exactly one token is a token, unless a rule wants all of them verified: with two, whoever
//! looks later might read the other one.

mod cookie;
mod header;
mod query;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

pub use self::header::HeaderLocation;

use super::request::CheckRequest;

/// The places where a token may stand, all of which are looked at, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLocations(Vec<TokenLocation>);

/// A place where a token may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenLocation {
    /// A header.
    Header(HeaderLocation),
    /// The cookie of this name (RFC 6265 §4.2). Case matters.
    Cookie(String),
    /// The query parameter of this name (RFC 6750 §2.3). Case matters.
    Query(String),
}

impl Default for TokenLocations {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    fn default() -> Self {
        Self(vec![TokenLocation::Header(HeaderLocation::bearer())])
    }
}

impl TokenLocations {
    /// These places.
    pub fn new(locations: Vec<TokenLocation>) -> Self {
        Self(locations)
    }

    /// The places in order.
    pub fn iter(&self) -> impl Iterator<Item = &TokenLocation> {
        self.0.iter()
    }

    /// Looks for tokens, at most one in each place.
    pub fn extract<'a>(&self, request: &'a CheckRequest<'_>) -> Extracted<'a> {
        let mut found = Extracted::Missing;
        let mut is_malformed = false;
        for location in &self.0 {
            found = match (location.read(request), found) {
                (Read::Missing, found) => found,
                (Read::Token(first), Extracted::Missing) if !is_malformed => {
                    Extracted::Tokens { first, others: Vec::new() }
                }
                (Read::Token(token), Extracted::Tokens { first, mut others }) => {
                    others.push(token);
                    Extracted::Tokens { first, others }
                }
                (Read::Malformed, Extracted::Missing) if !is_malformed => {
                    is_malformed = true;
                    Extracted::Missing
                }
                (Read::Several | Read::Malformed | Read::Token(_), _) => return Extracted::Several,
            };
        }
        if is_malformed { Extracted::Malformed } else { found }
    }

    /// What stands in each place, for whoever explains what [`Self::extract`] found.
    pub fn found(&self, request: &CheckRequest<'_>) -> Vec<(&TokenLocation, Found)> {
        let found = |location: &TokenLocation| match location.read(request) {
            Read::Token(token) => Found::Token { bytes: token.len() },
            Read::Missing => Found::Nothing,
            Read::Several => Found::Several,
            Read::Malformed => Found::Malformed,
        };
        self.0.iter().map(|location| (location, found(location))).collect()
    }

    /// Where in `request` tokens stand, or something in their place.
    pub fn traces(&self, request: &CheckRequest<'_>) -> TokenTraces {
        TokenTraces::of(request, [self])
    }
}

impl TokenLocation {
    fn read<'a>(&self, request: &'a CheckRequest<'_>) -> Read<'a> {
        match self {
            Self::Header(header) => header.read(request),
            Self::Cookie(name) => cookie::read(request, name),
            Self::Query(name) => query::read(request, name),
        }
    }
}

/// As an operator calls it.
impl fmt::Display for TokenLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(HeaderLocation { header, prefix }) if prefix.is_empty() => {
                write!(f, "header {header}")
            }
            Self::Header(HeaderLocation { header, prefix }) => {
                write!(f, "header {header} after {prefix:?}")
            }
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Query(name) => write!(f, "query parameter {name}"),
        }
    }
}

/// What stands in one place; never the token itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A token, or what stands for one.
    Token {
        /// How long it is.
        bytes: usize,
    },
    /// Nothing.
    Nothing,
    /// More than one.
    Several,
    /// What announces a token and holds none.
    Malformed,
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Extracted<'a> {
    /// One token, and in other places others.
    Tokens {
        /// Of the first place that holds one.
        first: Cow<'a, str>,
        /// Of the other places, in order.
        others: Vec<Cow<'a, str>>,
    },
    /// No token.
    Missing,
    /// More than one in the same place, or one and something that is none.
    Several,
    /// A place that announces a token and holds none, or is written in a way that readers disagree about.
    Malformed,
}

/// What stands in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Read<'a> {
    Token(Cow<'a, str>),
    Missing,
    Several,
    Malformed,
}

impl<'a> Read<'a> {
    /// Puts together what is in two spots of the same place.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Missing, one) | (one, Self::Missing) => one,
            (_, _) => Self::Several,
        }
    }
}

/// Where tokens stand: what an upstream that must not see them must not get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenTraces {
    /// Headers, in lower case.
    pub headers: Vec<Arc<str>>,
    /// What is left of the cookies when the tokens are taken out; `None` when none was in there.
    pub cookie: Option<String>,
    /// Names of query parameters, in each spelling that was received.
    pub query: BTreeSet<String>,
}

impl TokenTraces {
    /// Those of all `locations` together.
    pub fn of<'a>(
        request: &CheckRequest<'_>,
        locations: impl IntoIterator<Item = &'a TokenLocations>,
    ) -> Self {
        let mut traces = Self::default();
        let mut cookies = Vec::new();
        for location in locations.into_iter().flat_map(TokenLocations::iter) {
            match location {
                TokenLocation::Header(header) => traces.headers.extend(header.traces(request)),
                TokenLocation::Cookie(name) => cookies.push(name.as_str()),
                TokenLocation::Query(name) => traces.query.extend(query::spellings(request, name)),
            }
        }
        traces.cookie = cookie::without(request, &cookies);
        traces
    }
}

#[cfg(test)]
mod tests;
