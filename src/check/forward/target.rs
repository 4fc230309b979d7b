//! Names of headers: those that claimgate may set, and those that it takes away from every request.

use std::fmt;
use std::sync::Arc;

/// The name of a header that claimgate may set: lower case, letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetHeader(Arc<str>);

impl TargetHeader {
    /// Checks a configured name.
    ///
    /// # Errors
    /// Anything that is spelled ambiguously, or that HTTP or Envoy gives a meaning of its own.
    pub fn parse(name: &str) -> Result<Self, TargetHeaderError> {
        let name = plain_header_name(name).ok_or(TargetHeaderError::Spelling)?;
        if RESERVED.contains(&name.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        {
            return Err(TargetHeaderError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, without a copy.
    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for TargetHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A configured header name in lower case, if every reader spells it alike: at most 128 letters, digits
/// and hyphens.
pub fn plain_header_name(name: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let fits = !name.is_empty() && name.len() <= 128 && name.chars().all(is_plain);
    fits.then(|| name.to_ascii_lowercase())
}

/// Why a header may not be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetHeaderError {
    /// Not letters, digits and hyphens.
    #[error("a header name of letters, digits and hyphens")]
    Spelling,
    /// It would change how the request is routed, framed or authenticated.
    #[error("a header that carries no meaning for HTTP or Envoy, such as x-jwt-sub")]
    Reserved,
}

const RESERVED: [&str; 15] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

const RESERVED_PREFIXES: [&str; 4] = ["proxy-", "x-envoy-", "x-forwarded-", "grpc-"];

/// Names that are reserved for claimgate and removed from every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StripPattern {
    /// Exactly this name, folded.
    Exact(String),
    /// Every name that starts like this, folded.
    Prefix(String),
}

impl StripPattern {
    /// Reads `x-jwt-sub` or `x-jwt-*`.
    ///
    /// # Errors
    /// What may not be a [`TargetHeader`] either, a start that such a name has as well (`c*` would take
    /// `content-length` away), and a `*` elsewhere than at the end of a name.
    pub fn parse(pattern: &str) -> Result<Self, TargetHeaderError> {
        let Some(prefix) = pattern.strip_suffix('*') else {
            return TargetHeader::parse(pattern).map(|name| Self::Exact(name.0.to_string()));
        };
        let TargetHeader(prefix) = TargetHeader::parse(prefix)?;
        let mut reserved = RESERVED.iter().chain(&RESERVED_PREFIXES);
        if reserved.any(|name| name.starts_with(&*prefix)) {
            return Err(TargetHeaderError::Reserved);
        }
        Ok(Self::Prefix(prefix.to_string()))
    }
}

/// A name as the least strict reader sees it: lower case, also of letters that only become ASCII that way
/// (U+212A, U+017F), with everything but letters and digits read as `-`: CGI servers make `_` of it.
pub(super) fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_ascii_punctuation() || c == ' ' { '-' } else { c })
}

/// A field name of RFC 9110 §5.1.
pub(super) fn is_field_name(name: &str) -> bool {
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_strip_pattern_never_covers_a_header_that_http_needs() {
        for pattern in
            ["c*", "h*", "con*", "content-*", "author*", "x-*", "x-env*", "t*", "*", "via*"]
        {
            assert!(StripPattern::parse(pattern).is_err(), "{pattern}");
        }
        for pattern in ["x-jwt-*", "x-jwt-sub", "x-user*"] {
            assert!(StripPattern::parse(pattern).is_ok(), "{pattern}");
        }
    }
}
