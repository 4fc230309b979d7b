//! What a token says to upstream and caller, made once for as long as the token is remembered, and what one request gets
//! of it. [`super::Forward`] makes them; adapters write them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::Unforwardable;

/// What is made of a token for its headers, once. `Debug` shows none of it.
#[derive(Default)]
pub struct Forwarded(pub(super) OnceLock<Result<Arc<TokenHeaders>, Unforwardable>>);

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").finish_non_exhaustive()
    }
}

/// Names, which all tokens share, and values.
pub type TextPairs = Vec<(Arc<str>, Box<str>)>;

/// Headers made of one token. Names in lower case, values fit for a header field. `Debug` shows names and no value.
#[derive(Default)]
pub struct TokenHeaders {
    /// For the upstream: each overwrites every header of that name.
    pub request: TextPairs,
    /// For the caller, in the upstream's answer; overwriting as well.
    pub response: TextPairs,
    /// Those above as an adapter writes them, which it does once.
    pub encoded: OnceLock<Box<[u8]>>,
    /// What else an adapter tells of the token, written once.
    pub encoded_metadata: OnceLock<Box<[u8]>>,
}

/// What is written follows from the headers.
impl PartialEq for TokenHeaders {
    fn eq(&self, other: &Self) -> bool {
        self.request == other.request && self.response == other.response
    }
}

impl Eq for TokenHeaders {}

impl fmt::Debug for TokenHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |headers: &TextPairs| -> Vec<Arc<str>> {
            headers.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("TokenHeaders")
            .field("request", &names(&self.request))
            .field("response", &names(&self.response))
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
        let token = self.token.iter().flat_map(|token| &token.request);
        let cookie = self.cookie.iter().map(|rest| ("cookie", rest.as_str()));
        token.map(|(name, value)| (&**name, &**value)).chain(cookie)
    }

    /// What the caller gets in the upstream's answer.
    pub fn response(&self) -> impl Iterator<Item = (&str, &str)> {
        let token = self.token.iter().flat_map(|token| &token.response);
        token.map(|(name, value)| (&**name, &**value))
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
        let request = vec![("x-jwt-sub".into(), "alice".into())];
        let token = Some(Arc::new(TokenHeaders { request, ..TokenHeaders::default() }));
        let mutations =
            HeaderMutations { token, cookie: Some("c=d".to_owned()), ..HeaderMutations::default() };
        let shown = format!("{mutations:?}");
        assert!(shown.contains("x-jwt-sub"), "{shown}");
        assert!(!shown.contains("alice") && !shown.contains("c=d"), "{shown}");
    }
}
