//! How reading a source can fail. Sources make these, the refresher decides by them, reports print them.

use std::time::Duration;

use super::discovery::DiscoveryError;
use crate::keys::hmac::HmacKeyError;
use crate::keys::jwks::DocumentError;
use crate::telemetry::metrics::RefreshResult;
use crate::util::file::FileError;

/// Why a source gave no keys. The text names what happened, never what was read; who reports it puts the
/// location in front.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// What was read holds no keys that can be used.
    #[error("no usable keys: {0}")]
    BadDocument(#[from] DocumentError),
    /// What was read is no secret that can be used.
    #[error("no usable secret: {0}")]
    BadSecret(#[from] HmacKeyError),
    /// A redirect. Following it would let whoever controls one URL name another.
    #[error("answered {0}, a redirect: redirects are not followed, name the final URL")]
    Redirect(u16),
    /// An HTTP status that brings no keys.
    #[error("answered {status}, only 200 brings keys")]
    Status {
        /// The status.
        status: u16,
        /// The `Retry-After` field of a 429 or 503, as sent.
        retry_after: Option<String>,
    },
    /// No whole answer within the deadline.
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    /// More bytes than the limit.
    #[error("longer than the limit of {0} bytes")]
    TooLarge(usize),
    /// Nothing to read from: connection refused, TLS, DNS; no such file, no permission, not a file.
    #[error("cannot be read: {0}")]
    Unreachable(String),
    /// The discovery document is not the issuer's, or names no URL that keys may come from.
    #[error("no usable discovery document: {0}")]
    BadDiscovery(#[from] DiscoveryError),
    /// The command ended otherwise than with 0.
    #[error("the command failed, {status}{}{stderr}", if .stderr.is_empty() { "" } else { ": " })]
    Command {
        /// How it ended.
        status: String,
        /// The end of what it wrote to standard error, escaped and cut.
        stderr: String,
    },
    /// Not the source itself, but something on the way to it: a URL out of a discovery document, a file of
    /// the HTTP client.
    #[error("{place}: {error}")]
    At {
        /// A URL without userinfo and query, or the YAML key and path of a file.
        place: String,
        /// What happened there.
        error: Box<Self>,
    },
}

impl From<FileError> for SourceError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::TooLarge(limit) => Self::TooLarge(limit),
            FileError::Timeout(timeout) => Self::Timeout(timeout),
            FileError::Unreadable(why) => Self::Unreachable(why),
        }
    }
}

impl SourceError {
    /// How metrics call it.
    pub fn result(&self) -> RefreshResult {
        match self {
            Self::BadDocument(_) | Self::BadSecret(_) | Self::BadDiscovery(_) => {
                RefreshResult::BadDocument
            }
            Self::Redirect(_) | Self::Status { .. } => RefreshResult::HttpError,
            Self::Timeout(_) => RefreshResult::Timeout,
            Self::TooLarge(_) => RefreshResult::TooLarge,
            Self::Unreachable(_) | Self::Command { .. } => RefreshResult::Unreachable,
            Self::At { error, .. } => error.result(),
        }
    }

    /// The same, said of a place that the error itself does not name.
    pub(super) fn at(self, place: impl Into<String>) -> Self {
        Self::At { place: place.into(), error: Box::new(self) }
    }

    /// What the provider asked for in `Retry-After`, as sent.
    pub fn retry_after(&self) -> Option<&str> {
        match self {
            Self::Status { retry_after, .. } => retry_after.as_deref(),
            Self::At { error, .. } => error.retry_after(),
            Self::BadDocument(_)
            | Self::BadSecret(_)
            | Self::BadDiscovery(_)
            | Self::Command { .. }
            | Self::Redirect(_)
            | Self::Timeout(_)
            | Self::TooLarge(_)
            | Self::Unreachable(_) => None,
        }
    }
}
