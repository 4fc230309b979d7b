//! The request as the decision sees it, free of any wire format. Adapters build it; nothing in it is trusted.

use std::borrow::Cow;
use std::fmt;

/// What Envoy tells about one HTTP request: texts that whoever asks has at hand, so that a request costs no copy.
/// `Debug` shows no header value and no query.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CheckRequest<'a> {
    /// The method, as sent.
    pub method: Cow<'a, str>,
    /// The authority, as sent, maybe with a port; empty when there was none.
    pub host: Cow<'a, str>,
    /// The path with its query, as sent, maybe not normalised; empty for CONNECT.
    pub path: Cow<'a, str>,
    /// Every header, in any case and order; one that was sent twice may stand here twice or joined by `,`.
    pub headers: Pairs<'a>,
    /// What Envoy's configuration says of the route (`context_extensions`). A client has no part in it.
    pub context: Pairs<'a>,
}

/// Names and values.
pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

impl CheckRequest<'_> {
    /// The values of every header of that name, compared without case.
    pub fn header_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named =
            self.headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| &**value)
    }

    /// What the route's configuration says under `key`.
    ///
    /// # Errors
    /// It says more than one thing.
    pub fn context_value(&self, key: &str) -> Result<Option<&str>, Contradiction> {
        let mut values = self.context.iter().filter(|(name, _)| name == key);
        match (values.next(), values.next()) {
            (found, None) => Ok(found.map(|(_, value)| &**value)),
            (_, Some(_)) => Err(Contradiction),
        }
    }

    /// The query of the path, after its `?`.
    pub fn query(&self) -> Option<&str> {
        self.path.split_once('?').map(|(_, query)| query)
    }

    /// Whether the caller speaks gRPC, which turns the answer's body into a `grpc-message`.
    pub fn is_grpc(&self) -> bool {
        self.header_values("content-type").any(|value| value.starts_with("application/grpc"))
    }
}

/// One key with two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction;

impl fmt::Debug for CheckRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckRequest")
            .field("method", &self.method)
            .field("headers", &self.headers.len())
            .finish_non_exhaustive()
    }
}
