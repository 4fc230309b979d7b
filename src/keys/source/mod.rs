//! Where keys come from: typed settings of one source, and how reading it can fail. Reading is in one file
//! a kind; when to read is [`super::refresher`]'s business. `config::compile` builds the settings.

pub mod command;
pub mod discovery;
mod error;
pub mod reader;
pub mod remote;
#[cfg(test)]
mod testing;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use self::command::Command;
use self::discovery::Discovery;
pub use self::error::SourceError;
use super::disk::SourceIdentity;
use super::jwks::Jwks;
use super::key::AlgorithmSet;
use super::status::Origin;
use super::store::{KeyKind, SourceId};
use crate::util::label::Label;

/// How often a file is looked at: watches are sooner, and say nothing on some network file systems.
pub const FILE_POLL: Duration = Duration::from_secs(1);

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

impl SourceSettings {
    /// Whether what was read as `other` says is what would be read as this says: the same place, read for the
    /// same issuer and the same algorithms under the same limits. When it is read does not matter.
    pub fn reads_like(&self, other: &Self) -> bool {
        let same_place = match (&self.kind, &other.kind) {
            (SourceKind::Url(this), SourceKind::Url(that)) => this == that,
            (SourceKind::Discovery(this), SourceKind::Discovery(that)) => this == that,
            (SourceKind::File(this), SourceKind::File(that)) => this == that,
            (
                SourceKind::Pem { path: this, kid: this_kid },
                SourceKind::Pem { path: that, kid: that_kid },
            ) => this == that && this_kid == that_kid,
            (SourceKind::Command(this), SourceKind::Command(that)) => this == that,
            (SourceKind::Hmac(this), SourceKind::Hmac(that)) => this == that,
            // What is part of the configuration is taken from it.
            (
                SourceKind::Url(_)
                | SourceKind::Discovery(_)
                | SourceKind::File(_)
                | SourceKind::Pem { .. }
                | SourceKind::Command(_)
                | SourceKind::Environment { .. }
                | SourceKind::Hmac(_)
                | SourceKind::Inline(_),
                _,
            ) => false,
        };
        same_place
            && self.id.issuer.name() == other.id.issuer.name()
            && self.algorithms == other.algorithms
            && (self.max_keys, self.max_bytes) == (other.max_keys, other.max_bytes)
            && self.refresh.http == other.refresh.http
    }
}

/// What a source reads. `Debug` shows what [`SourceKind::location`] does.
#[derive(Clone)]
pub enum SourceKind {
    /// A JWK Set over HTTP: `jwks_url`.
    Url(Url),
    /// A JWK Set over HTTP, whose URL is the `jwks_uri` of the issuer's metadata: `discovery`.
    Discovery(Discovery),
    /// A watched file, a JWK Set or a keyset: `jwks_file`.
    File(PathBuf),
    /// A watched file of public keys in PEM: `pem_file`.
    Pem {
        /// The file.
        path: PathBuf,
        /// What its one key is called; else each is called by its thumbprint.
        kid: Option<String>,
    },
    /// A program that prints a JWK Set or a keyset: `command`.
    Command(Command),
    /// A JWK Set or a keyset out of an environment variable, already read: `jwks_env`.
    Environment {
        /// The variable's name.
        name: String,
        /// What it held.
        jwks: Jwks,
    },
    /// A watched file with a shared secret for HS256: `hmac_file`.
    Hmac(HmacFile),
    /// A JWK Set that is part of the configuration, already read: `jwks`.
    Inline(Jwks),
}

/// A file with a shared secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HmacFile {
    /// Where it is.
    pub path: PathBuf,
    /// Which tokens it is for: those of this `kid`, or those that name no other secret.
    pub kid: Option<String>,
    /// Whether it is refused while others than its owner and group have any access to it.
    pub must_be_private: bool,
}

impl SourceKind {
    /// The keys of a source that cannot be read again, because they came with the configuration.
    pub fn configured(&self) -> Option<&Jwks> {
        match self {
            Self::Environment { jwks, .. } | Self::Inline(jwks) => Some(jwks),
            Self::Url(_)
            | Self::Discovery(_)
            | Self::File(_)
            | Self::Pem { .. }
            | Self::Hmac(_)
            | Self::Command(_) => None,
        }
    }

    /// Whether it can be read again; what is part of the configuration cannot.
    pub fn can_be_read(&self) -> bool {
        self.configured().is_none()
    }

    /// What binds a document on disk to this source of `issuer`; `None` where keeping one is of no use.
    pub fn identity(&self, issuer: &Label) -> Option<SourceIdentity> {
        let (kind, place) = match self {
            // Whole, with what may be secret in it: only a digest is kept.
            Self::Url(url) => ("jwks_url", url.to_string()),
            // Whose it is as well: the document that says so is not read again before its keys are in force.
            Self::Discovery(discovery) => {
                ("discovery", format!("{} {}", discovery.home(), discovery.issuer()))
            }
            Self::Command(command) => ("command", command.words().join("\0")),
            // A secret least of all.
            Self::Hmac(_) => return None,
            Self::File(_) | Self::Pem { .. } | Self::Environment { .. } | Self::Inline(_) => {
                return None;
            }
        };
        Some(SourceIdentity::new(issuer.name(), kind, &place))
    }

    /// Where its keys come from, in a word.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Url(_) | Self::Discovery(_) => Origin::Network,
            Self::File(_) | Self::Pem { .. } | Self::Hmac(_) => Origin::File,
            Self::Command(_) => Origin::Command,
            Self::Environment { .. } => Origin::Environment,
            Self::Inline(_) => Origin::Inline,
        }
    }

    /// What kind of keys can come from it.
    pub fn holds(&self) -> KeyKind {
        match self {
            Self::Hmac(_) => KeyKind::Hmac,
            Self::Url(_)
            | Self::Discovery(_)
            | Self::File(_)
            | Self::Pem { .. }
            | Self::Command(_)
            | Self::Environment { .. }
            | Self::Inline(_) => KeyKind::Public,
        }
    }

    /// What an operator calls it, without what may be a secret: userinfo and query of a URL, arguments of a
    /// command, what an environment variable holds.
    pub fn location(&self) -> String {
        match self {
            Self::Url(url) => shown(url),
            Self::Discovery(discovery) => shown(discovery.home()),
            Self::File(path) | Self::Pem { path, .. } | Self::Hmac(HmacFile { path, .. }) => {
                path.display().to_string()
            }
            Self::Command(command) => format!("command {}", command.program()),
            Self::Environment { name, .. } => format!("environment variable {name}"),
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
    /// How HTTP is spoken, by sources that do.
    pub http: HttpSettings,
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
            http: HttpSettings::default(),
        }
    }
}

/// How HTTP is spoken. The files are read when they are needed: nothing secret is in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// A PEM bundle of the only authorities to trust; `None` for the system's.
    pub ca_file: Option<PathBuf>,
    /// Who we are to a server that asks.
    pub client_certificate: Option<ClientCertificate>,
    /// A token to send as `Authorization: Bearer`, read for each fetch.
    pub bearer_token_file: Option<PathBuf>,
    /// An `http` URL without userinfo.
    pub proxy: Option<Url>,
}

/// A client certificate (RFC 8446 §4.4.2), in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and the authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Whether a key file that everybody on the machine can read is used all the same.
    pub accepts_readable_key: bool,
}

/// Longer URLs are refused: a discovery document's is in every report of a failure.
const MAX_URL_BYTES: usize = 2048;

/// A URL that may be asked for keys.
///
/// # Errors
/// Longer than 2048 bytes, another scheme than `https`, or `http` where it is accepted; no host, userinfo, or a fragment.
pub fn key_url(text: &str, accepts_http: bool) -> Result<Url, UrlError> {
    if text.len() > MAX_URL_BYTES {
        return Err(UrlError::TooLong);
    }
    let url = Url::parse(text).map_err(|_| UrlError::NotHttps)?;
    let has_scheme = url.scheme() == "https" || accepts_http && url.scheme() == "http";
    if !has_scheme || url.host_str().is_none_or(str::is_empty) {
        return Err(UrlError::NotHttps);
    }
    // Also where it is empty, or in a place where it does no harm: nobody should wonder.
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err(UrlError::Credentials);
    }
    if url.fragment().is_some() { Err(UrlError::Fragment) } else { Ok(url) }
}

/// Why a URL may not be asked for keys. The text does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No URL, none with a host, or none of an accepted scheme.
    #[error("not an https URL")]
    NotHttps,
    /// A user or a password.
    #[error("a URL with credentials (not shown)")]
    Credentials,
    /// What follows a `#` is never sent.
    #[error("a URL with a #fragment")]
    Fragment,
    /// More than 2048 bytes.
    #[error("longer than {MAX_URL_BYTES} bytes")]
    TooLong,
}

/// Whether `url` stays on this machine, by its name alone.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// `url` for people: without userinfo, query and fragment.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    // These fail only for URLs that cannot have them.
    let _no_userinfo = shown.set_username("").is_ok() && shown.set_password(None).is_ok();
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_query_of_a_url() {
        let url = Url::parse("https://id.example/keys?api_key=hunter2").unwrap();
        assert_eq!(format!("{:?}", SourceKind::Url(url)), "https://id.example/keys");
    }

    #[test]
    fn a_url_that_no_log_line_should_hold_is_refused() {
        let of_length = |length: usize| format!("https://id.example/{}", "k".repeat(length - 19));
        assert!(key_url(&of_length(2048), false).is_ok());
        assert_eq!(key_url(&of_length(2049), false), Err(UrlError::TooLong));
    }

    #[test]
    fn what_one_issuers_metadata_led_to_is_not_kept_for_another() {
        let document = Url::parse("https://id.example/metadata").unwrap();
        let label = Label::new(0, "accounts");
        let identity = |issuer| {
            SourceKind::Discovery(Discovery::at(document.clone(), issuer)).identity(&label)
        };
        assert_eq!(identity("https://a.example"), identity("https://a.example"));
        assert_ne!(identity("https://a.example"), identity("https://b.example"));
    }
}
