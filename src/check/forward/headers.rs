//! What a token says to upstream and caller, made once for as long as the token is remembered, and what one request gets
//! of it. [`super::Forward`] makes them; adapters write them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::Unforwardable;
use super::encoded::{self, List};

/// What is made of a token for its headers, once. `Debug` shows none of it.
#[derive(Default)]
pub struct Forwarded(pub(super) OnceLock<Result<Arc<TokenHeaders>, Box<Unforwardable>>>);

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").finish_non_exhaustive()
    }
}

/// Headers made of one token, each overwriting all of its name. Names in lower case, values fit for a header field.
/// `Debug` shows names and no value.
#[derive(Default)]
pub struct TokenHeaders {
    encoded: Box<[u8]>,
    /// The headers for the upstream that claimgate sets for other tokens and not for this one.
    pub(super) unset: Box<[Arc<str>]>,
    /// What else an adapter tells of the token, written once; where it is to.
    pub encoded_metadata: Option<Box<OnceLock<Box<[u8]>>>>,
}

impl TokenHeaders {
    /// Names and values for the upstream and, in the upstream's answer, for the caller.
    pub fn new(request: &[(&str, &str)], response: &[(&str, &str)]) -> Self {
        let lists = [(List::Request, request), (List::Response, response)];
        let pairs = lists.iter().flat_map(|(_, pairs)| *pairs);
        let length = pairs.map(|(name, value)| encoded::len(name, value)).sum();
        let mut buffer = Vec::with_capacity(length);
        for (list, pairs) in lists {
            pairs.iter().for_each(|pair| encoded::put(&mut buffer, list, *pair));
        }
        Self { encoded: buffer.into(), ..Self::default() }
    }

    /// Both, as a part of Envoy's `OkHttpResponse`.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    fn request(&self) -> impl Iterator<Item = (&str, &str)> {
        encoded::read(&self.encoded, List::Request)
    }

    fn response(&self) -> impl Iterator<Item = (&str, &str)> {
        encoded::read(&self.encoded, List::Response)
    }
}

/// What is told besides follows from the token.
impl PartialEq for TokenHeaders {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for TokenHeaders {}

impl fmt::Debug for TokenHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHeaders")
            .field("request", &self.request().map(|(name, _)| name).collect::<Vec<_>>())
            .field("response", &self.response().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Changes to a request. What is set and what is removed share no name. `Debug` shows names and no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeaderMutations {
    /// What the token says; `None` without one.
    pub token: Option<Arc<TokenHeaders>>,
    /// What is left of the cookies, when a token was taken out of them: set as `cookie`.
    pub cookie: Option<String>,
    /// Removed, spelled as received or, where a name of ours was not received, as ours. Sorted.
    pub remove: Vec<Arc<str>>,
    /// Query parameters to remove, spelled as received.
    pub remove_query: Vec<String>,
}

impl HeaderMutations {
    /// What the upstream gets: name and value.
    pub fn set(&self) -> impl Iterator<Item = (&str, &str)> {
        self.token.iter().flat_map(|token| token.request()).chain(self.cookie())
    }

    /// What the caller gets in the upstream's answer.
    pub fn response(&self) -> impl Iterator<Item = (&str, &str)> {
        self.token.iter().flat_map(|token| token.response())
    }

    /// The rest of the cookies, as a part of Envoy's `OkHttpResponse`.
    pub fn encoded_cookie(&self) -> Vec<u8> {
        let mut buffer = Vec::new();
        if let Some(pair) = self.cookie() {
            encoded::put(&mut buffer, List::Request, pair);
        }
        buffer
    }

    fn cookie(&self) -> Option<(&str, &str)> {
        self.cookie.as_ref().map(|rest| ("cookie", rest.as_str()))
    }
}

impl fmt::Debug for HeaderMutations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderMutations")
            .field("token", &self.token)
            .field("sets_cookie", &self.cookie.is_some())
            .field("remove", &self.remove)
            .field("remove_query", &self.remove_query)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value_of_a_claim() {
        let token = TokenHeaders::new(&[("x-jwt-sub", "alice")], &[("x-tenant", "acme")]);
        let token = Some(Arc::new(token));
        let mutations =
            HeaderMutations { token, cookie: Some("c=d".to_owned()), ..HeaderMutations::default() };
        let shown = format!("{mutations:?}");
        assert!(shown.contains("x-jwt-sub") && shown.contains("x-tenant"), "{shown}");
        assert!(!shown.contains("alice") && !shown.contains("acme"), "{shown}");
        assert!(!shown.contains("c=d"), "{shown}");
    }
}
