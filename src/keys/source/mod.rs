//! Where keys come from: typed settings of one source, and how reading it can fail. Reading is in one file
//! a kind; when to read is [`super::refresher`]'s business. `config::compile` builds the settings.

pub mod file;
pub mod reader;
pub mod remote;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::disk::SourceIdentity;
use super::jwks::{DocumentError, Jwks};
use super::key::AlgorithmSet;
use super::status::Origin;
use super::store::SourceId;
use crate::telemetry::metrics::RefreshResult;
use crate::util::label::Label;

/// One source of one issuer.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// Which source it is.
    pub id: SourceId,
    /// What it reads.
    pub kind: SourceKind,
    /// When it reads, and how long what it read is good for.
    pub refresh: RefreshSettings,
    /// What its keys may be used for.
    pub algorithms: AlgorithmSet,
    /// Documents with more entries are refused.
    pub max_keys: usize,
    /// Longer documents are refused, counted after decoding.
    pub max_bytes: usize,
}

/// What a source reads. `Debug` shows what [`SourceKind::location`] does.
#[derive(Clone)]
pub enum SourceKind {
    /// A JWK Set over HTTP: `jwks_url`.
    Url(Url),
    /// A watched JWK Set file: `jwks_file`.
    File(PathBuf),
    /// A JWK Set that is part of the configuration, already read: `jwks`.
    Inline(Jwks),
}

impl SourceKind {
    /// Whether it can be read again; what is part of the configuration cannot.
    pub fn can_be_read(&self) -> bool {
        !matches!(self, Self::Inline(_))
    }

    /// What binds a document on disk to this source of `issuer`; `None` where keeping one is of no use.
    pub fn identity(&self, issuer: &Label) -> Option<SourceIdentity> {
        match self {
            // The whole URL: only a digest of it is kept.
            Self::Url(url) => Some(SourceIdentity::new(issuer.name(), "jwks_url", url.as_str())),
            Self::File(_) | Self::Inline(_) => None,
        }
    }

    /// Where its keys come from, in a word.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Url(_) => Origin::Network,
            Self::File(_) => Origin::File,
            Self::Inline(_) => Origin::Inline,
        }
    }

    /// What an operator calls it, without userinfo and query of a URL: those may be secrets.
    pub fn location(&self) -> String {
        match self {
            Self::Url(url) => {
                let mut shown = url.clone();
                // These fail only for URLs that cannot have them.
                let _no_userinfo =
                    shown.set_username("").is_ok() && shown.set_password(None).is_ok();
                shown.set_query(None);
                shown.set_fragment(None);
                shown.to_string()
            }
            Self::File(path) => path.display().to_string(),
            Self::Inline(_) => "inline".to_owned(),
        }
    }
}

impl fmt::Debug for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.location())
    }
}

/// When a source is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshSettings {
    /// How long an answer is fresh that does not say so itself.
    pub interval: Duration,
    /// The least that `Cache-Control: max-age` may ask for.
    pub min: Duration,
    /// The most that it may ask for.
    pub max: Duration,
    /// How long after the last success the keys are still used; `None` for ever.
    pub max_stale: Option<Duration>,
    /// Deadline of one fetch, from the first byte sent to the last byte read.
    pub timeout: Duration,
    /// The longest that a request waits for a refresh because its key is not there yet.
    pub unknown_kid_wait: Duration,
}

impl Default for RefreshSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5 * 60),
            min: Duration::from_secs(60),
            max: Duration::from_secs(60 * 60),
            max_stale: Some(Duration::from_secs(24 * 60 * 60)),
            timeout: Duration::from_secs(5),
            unknown_kid_wait: Duration::from_millis(150),
        }
    }
}

/// Why a source gave no keys. The text names what happened, never what was read; who reports it puts the
/// location in front.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// What was read is no usable JWK Set.
    #[error("no usable JWK Set: {0}")]
    BadDocument(#[from] DocumentError),
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
}

impl SourceError {
    /// How metrics call it.
    pub fn result(&self) -> RefreshResult {
        match self {
            Self::BadDocument(_) => RefreshResult::BadDocument,
            Self::Redirect(_) | Self::Status { .. } => RefreshResult::HttpError,
            Self::Timeout(_) => RefreshResult::Timeout,
            Self::TooLarge(_) => RefreshResult::TooLarge,
            Self::Unreachable(_) => RefreshResult::Unreachable,
        }
    }
    /// What the provider asked for in `Retry-After`, as sent.
    pub fn retry_after(&self) -> Option<&str> {
        match self {
            Self::Status { retry_after, .. } => retry_after.as_deref(),
            Self::BadDocument(_)
            | Self::Redirect(_)
            | Self::Timeout(_)
            | Self::TooLarge(_)
            | Self::Unreachable(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_query_of_a_url() {
        let url = Url::parse("https://id.example/keys?api_key=hunter2").unwrap();
        assert_eq!(format!("{:?}", SourceKind::Url(url)), "https://id.example/keys");
    }
}
