//! A header that carries a token: `Authorization: Bearer …`, or a name and a prefix of the operator's choice.

use std::borrow::Cow;
use std::sync::Arc;

use super::Read;
use crate::check::request::CheckRequest;

/// A header that may carry a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLocation {
    /// The header's name in lower case.
    pub header: Arc<str>,
    /// What stands before the token. Ending in a space it is an authentication scheme: compared without
    /// case and followed by one or more spaces (RFC 9110 §11.1). Anything else is compared exactly.
    pub prefix: String,
}

impl HeaderLocation {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    pub fn bearer() -> Self {
        Self { header: "authorization".into(), prefix: "Bearer ".to_owned() }
    }

    pub(super) fn read<'a>(&self, request: &'a CheckRequest<'_>) -> Read<'a> {
        let values =
            request.headers.iter().filter(|(name, value)| self.is(name) && !value.is_empty());
        let each = values.map(|(_, value)| {
            // Envoy joins repeated headers with commas; no token holds one. Nothing else looks at all of a long token.
            if memchr::memchr(b',', value.as_bytes()).is_some() {
                return Read::Several;
            }
            // White space before a scheme some readers pass over.
            let trimmed = value.trim_start();
            if trimmed.len() < value.len() && self.read_value(trimmed) != Read::Missing {
                return Read::Malformed;
            }
            self.read_value(value)
        });
        each.fold(Read::Missing, Read::and)
    }

    /// The header's own name, in lower case, if there is a token in it or something in its place.
    pub(super) fn traces(&self, request: &CheckRequest<'_>) -> Option<Arc<str>> {
        // Several credentials may stand in one value, joined by commas. The first can be told without looking for them.
        let is_one = |part: &str| self.read_value(part.trim_start()) != Read::Missing;
        let holds_one = |value: &str| is_one(value) || value.split(',').any(is_one);
        let is_there =
            |(name, value): (&str, &str)| self.is(name) && !value.is_empty() && holds_one(value);
        let mut headers = request.headers.iter().map(|(name, value)| (&**name, &**value));
        headers.any(is_there).then(|| Arc::clone(&self.header))
    }

    fn is(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.header)
    }

    fn read_value<'a>(&self, value: &'a str) -> Read<'a> {
        let Some(scheme) = self.prefix.strip_suffix(' ') else {
            return match value.strip_prefix(self.prefix.as_str()) {
                Some(token) => Read::Token(Cow::Borrowed(token)),
                None => Read::Missing,
            };
        };
        let end = value.find(|c: char| !c.is_ascii_graphic()).unwrap_or(value.len());
        let (word, rest) = value.split_at(end);
        if !word.eq_ignore_ascii_case(scheme) {
            return Read::Missing;
        }
        let token = rest.trim_start_matches(' ');
        if token.len() == rest.len() || token.is_empty() {
            return Read::Malformed;
        }
        Read::Token(Cow::Borrowed(token))
    }
}
