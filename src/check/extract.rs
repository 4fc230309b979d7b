//! Where tokens are looked for. Exactly one token is a token: with two, whoever looks later might read
//! the other one, so neither is believed.

use super::request::CheckRequest;
use crate::token::RawToken;

/// The places where a token may stand, all of which are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSources(Vec<HeaderSource>);

/// A header that may carry a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderSource {
    /// The header's name in lower case.
    pub header: String,
    /// What stands before the token. Ending in a space it is an authentication scheme: compared without
    /// case and followed by one or more spaces (RFC 9110 §11.1). Anything else is compared exactly.
    pub prefix: String,
}

impl Default for TokenSources {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    fn default() -> Self {
        Self(vec![HeaderSource::bearer()])
    }
}

impl TokenSources {
    /// These places.
    pub fn new(sources: Vec<HeaderSource>) -> Self {
        Self(sources)
    }

    /// Looks for the one token.
    pub fn extract<'a>(&self, request: &'a CheckRequest) -> Extracted<'a> {
        let mut found = Extracted::Missing;
        for source in &self.0 {
            for (name, value) in &request.headers {
                if !name.eq_ignore_ascii_case(&source.header) || value.is_empty() {
                    continue;
                }
                // Envoy joins repeated headers with commas; no token holds one.
                if value.contains(',') {
                    return Extracted::Several;
                }
                found = match (source.read(value), found) {
                    (Extracted::Missing, found) => found,
                    (read, Extracted::Missing) => read,
                    (_, _) => return Extracted::Several,
                };
            }
        }
        found
    }

    /// The names of the headers in `request` that hold a token, or something in its place.
    pub fn headers_with_token<'a>(
        &'a self,
        request: &'a CheckRequest,
    ) -> impl Iterator<Item = &'a str> {
        let holds_token = |name: &str, value: &str| {
            self.0.iter().any(|source| {
                name.eq_ignore_ascii_case(&source.header)
                    && !value.is_empty()
                    && !matches!(source.read_each(value), Extracted::Missing)
            })
        };
        let headers = request.headers.iter().filter(move |(name, value)| holds_token(name, value));
        headers.map(|(name, _)| name.as_str())
    }
}

impl HeaderSource {
    /// `Authorization: Bearer` (RFC 6750 §2.1).
    pub fn bearer() -> Self {
        Self { header: "authorization".to_owned(), prefix: "Bearer ".to_owned() }
    }

    fn read<'a>(&self, value: &'a str) -> Extracted<'a> {
        let Some(scheme) = self.prefix.strip_suffix(' ') else {
            return match value.strip_prefix(self.prefix.as_str()) {
                Some(token) => Extracted::Token(RawToken::new(token)),
                None => Extracted::Missing,
            };
        };
        let end = value.find(|c: char| !c.is_ascii_graphic()).unwrap_or(value.len());
        let (word, rest) = value.split_at(end);
        if !word.eq_ignore_ascii_case(scheme) {
            return Extracted::Missing;
        }
        let token = rest.trim_start_matches(' ');
        if token.len() == rest.len() || token.is_empty() {
            return Extracted::Malformed;
        }
        Extracted::Token(RawToken::new(token))
    }

    /// Like [`Self::read`], in a value that may hold several credentials joined by commas.
    fn read_each<'a>(&self, value: &'a str) -> Extracted<'a> {
        let parts = value.split(',').map(|part| self.read(part.trim_start()));
        let mut parts = parts.filter(|part| !matches!(part, Extracted::Missing));
        parts.next().unwrap_or(Extracted::Missing)
    }
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub enum Extracted<'a> {
    /// Exactly one token.
    Token(RawToken<'a>),
    /// No token.
    Missing,
    /// More than one, or a header that holds several credentials.
    Several,
    /// A place that announces a token and holds none, or is written in a way that readers disagree about.
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> CheckRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CheckRequest { headers: headers.collect(), ..CheckRequest::default() }
    }

    fn outcome(headers: &[(&str, &str)]) -> &'static str {
        let sources = TokenSources::new(vec![
            HeaderSource { header: "authorization".to_owned(), prefix: "Bearer ".to_owned() },
            HeaderSource { header: "x-token".to_owned(), prefix: String::new() },
        ]);
        match sources.extract(&request(headers)) {
            Extracted::Token(_) => "token",
            Extracted::Missing => "missing",
            Extracted::Several => "several",
            Extracted::Malformed => "malformed",
        }
    }

    #[test]
    fn the_scheme_is_compared_without_case_and_needs_a_space() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"] {
            assert_eq!(outcome(&[("authorization", value)]), "token", "{value:?}");
        }
        for value in ["Bearer", "Bearer ", "Bearer\ta.b.c", "Bearer\u{a0}a.b.c"] {
            assert_eq!(outcome(&[("authorization", value)]), "malformed", "{value:?}");
        }
        for value in ["Basic abc", "BearerX a", "\"Bearer\" a", "", "Bearer:a", "Digest"] {
            assert_eq!(outcome(&[("authorization", value)]), "missing", "{value:?}");
        }
    }

    #[test]
    fn two_tokens_are_none_wherever_they_stand() {
        assert_eq!(outcome(&[("authorization", "Bearer a,Bearer b")]), "several");
        assert_eq!(
            outcome(&[("authorization", "Bearer a"), ("Authorization", "Bearer a")]),
            "several"
        );
        assert_eq!(outcome(&[("authorization", "Bearer a"), ("x-token", "b")]), "several");
        assert_eq!(outcome(&[("x-token", "a"), ("x-token", "b")]), "several");
        assert_eq!(
            outcome(&[("authorization", "Bearer a"), ("authorization", "Bearer")]),
            "several"
        );
        assert_eq!(outcome(&[("authorization", "Basic x"), ("x-token", "b")]), "token");
    }

    #[test]
    fn headers_that_are_not_configured_are_not_looked_at() {
        for name in ["proxy-authorization", "x-access-token", "cookie", "sec-websocket-protocol"] {
            assert_eq!(outcome(&[(name, "Bearer a.b.c")]), "missing", "{name}");
        }
    }

    #[test]
    fn headers_with_a_token_are_named_and_others_are_not() {
        let sources = TokenSources::default();
        let with = |value: &str| {
            let request = request(&[("Authorization", value)]);
            sources.headers_with_token(&request).count()
        };
        assert_eq!(with("Bearer a.b.c"), 1);
        assert_eq!(with("Basic x, Bearer a.b.c"), 1);
        assert_eq!(with("Bearer"), 1);
        assert_eq!(with("Basic dXNlcjpwYXNz"), 0);
    }
}
