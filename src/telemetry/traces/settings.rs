//! Where spans go. [`crate::config`] makes these; no secret is in them, only where one is.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use url::Url;

use crate::util::client_tls::ClientTls;

/// How spans are exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSettings {
    /// The collector: `http` or `https`. Its path is the whole one under [`Protocol::HttpProtobuf`], and `/` under
    /// [`Protocol::Grpc`].
    pub endpoint: Url,
    /// What is spoken to it.
    pub protocol: Protocol,
    /// Of `https`: whom we trust, and what we show.
    pub tls: ClientTls,
    /// Sent with every export.
    pub headers: Vec<HeaderFile>,
    /// `service.name` of what is exported.
    pub service_name: String,
    /// Further attributes of the resource, names and values.
    pub resource: Vec<(String, String)>,
    /// One in so many checks without a decision on sampling is sampled; `None`: no such check is.
    pub sample: Option<NonZeroU64>,
    /// Of one attempt to export.
    pub timeout: Duration,
    /// Whether a header's file or a private key that everybody on the machine can read is used all the same.
    pub accepts_readable_secrets: bool,
}

/// A header whose value is in a file: it is a secret, mostly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFile {
    /// Its name.
    pub name: HeaderName,
    /// Holds its value, on one line; read again whenever a client is made, every few minutes at the latest.
    pub file: PathBuf,
}

/// How OTLP is spoken, in the words of its specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `grpc`, mostly at port 4317.
    Grpc,
    /// `http/protobuf`, mostly at port 4318.
    HttpProtobuf,
}
