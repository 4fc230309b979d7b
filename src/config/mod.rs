//! Layer 4: the YAML file → [`Config`], the typed settings that the domain defines. Every mistake is
//! reported at once, each with its YAML path, what was found and what is accepted.

mod compile;
mod fields;
mod page;
mod raw;
mod read;
mod reference_issuer;
mod report;
mod scalar;
mod schema;
mod strict;
#[cfg(test)]
mod tests;
mod words;

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use page::markdown;
pub use reference_issuer::{IssuerConfig, IssuerListen};
pub use report::{ConfigError, ConfigErrors};
pub use scalar::{duration, size};
pub use schema::{issuer_json_schema, json_schema};

use crate::check::answer::AnswerSettings;
use crate::check::forward::Forward;
use crate::check::locations::TokenLocations;
use crate::check::rules::RuleSet;
use crate::keys::source::SourceSettings;
use crate::revocation::RevocationSettings;
use crate::server::forward_auth::trusted::TrustedForwarders;
use crate::server::listener::address::{Address, UnixAccess};
use crate::server::tls::TlsSettings;
use crate::telemetry::traces::settings::TraceSettings;
use crate::token::Issuer;

/// A configuration that is right.
#[derive(Clone, Debug)]
pub struct Config {
    /// How strict to be; shown in `/status` and `claimgate_build_info`.
    pub profile: Profile,
    /// Where to listen.
    pub listen: Listen,
    /// Where last-known-good keys are kept; `None`: in memory only.
    pub state_dir: Option<PathBuf>,
    /// The trusted issuers, labels numbered from 0.
    pub issuers: Vec<Issuer>,
    /// The key sources of all issuers; `id.issuer` is the issuer's label, `id.source` numbers them from 0
    /// within their issuer and is called `0`, `1`, … .
    pub sources: Vec<SourceSettings>,
    /// Where tokens are looked for, unless a rule says otherwise.
    pub tokens: TokenLocations,
    /// What upstreams get to see.
    pub forward: Forward,
    /// The rules in order.
    pub rules: RuleSet,
    /// What was taken back before it expired; `None`: nothing is looked up.
    pub revocation: Option<RevocationSettings>,
    /// Whether a CORS preflight passes without a token.
    pub allows_preflight: bool,
    /// What callers get told.
    pub answers: AnswerSettings,
    /// How much memory verified tokens may take; 0: none is remembered.
    pub cache_bytes: usize,
    /// Where spans go; `None`: there are none.
    pub traces: Option<Arc<TraceSettings>>,
    /// What is refused for its size.
    pub limits: Limits,
}

impl Config {
    /// Reads a configuration. Relative paths in it are relative to `base_dir`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn from_yaml(text: &str, base_dir: &Path) -> Result<Self, ConfigErrors> {
        Self::from_yaml_in(text, base_dir, &|name| std::env::var_os(name))
    }

    /// The same with another environment than the process': what `jwks_env` and `command_env` name is looked
    /// up with `environment`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn from_yaml_in(
        text: &str,
        base_dir: &Path,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigErrors> {
        let (raw, report) = read::read(text)?;
        compile::compile(raw, report, base_dir, environment)
    }

    /// Reads the configuration in `file`. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// The file cannot be read, is too long or is no UTF-8, or every mistake in it.
    pub fn from_file(file: &Path) -> Result<Self, ConfigErrors> {
        Self::read_file(file).1
    }

    /// The same, with a fingerprint of the text that was read, or of why it could not be: to tell whether another
    /// version is there.
    pub fn read_file(file: &Path) -> (Option<u64>, Result<Self, ConfigErrors>) {
        let text = text_of(file);
        (fingerprint(&text), Self::from_text(text, file))
    }

    /// The same, if the fingerprint is another than `known`; else the text is not looked into.
    pub fn read_other(
        file: &Path,
        known: Option<u64>,
    ) -> Option<(Option<u64>, Result<Self, ConfigErrors>)> {
        // Whoever opens a pipe waits for somebody who writes to it.
        let is_file = std::fs::metadata(file).map_or(true, |metadata| metadata.is_file());
        let text = if is_file {
            text_of(file)
        } else {
            let reason = "cannot be read: it is no regular file";
            Err(ConfigErrors::one(file.display().to_string(), reason))
        };
        let found = fingerprint(&text);
        (found != known).then(|| (found, Self::from_text(text, file)))
    }

    fn from_text(text: Result<String, ConfigErrors>, file: &Path) -> Result<Self, ConfigErrors> {
        Self::from_yaml(&text?, file.parent().unwrap_or_else(|| Path::new("")))
    }
}

fn fingerprint(text: &Result<String, ConfigErrors>) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    text.as_ref().map_err(ToString::to_string).hash(&mut hasher);
    Some(hasher.finish())
}

fn text_of(file: &Path) -> Result<String, ConfigErrors> {
    let cannot = |error: std::io::Error| {
        ConfigErrors::one(file.display().to_string(), format!("cannot be read: {error}"))
    };
    let mut text = String::new();
    let limit = u64::try_from(read::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let opened = std::fs::File::open(file).map_err(cannot)?;
    opened.take(limit).read_to_string(&mut text).map_err(|error| {
        let is_text = error.kind() != std::io::ErrorKind::InvalidData;
        cannot(if is_text { error } else { std::io::Error::other("it is not UTF-8") })
    })?;
    Ok(text)
}

/// Where to listen, and how. Of `grpc` and `admin` there is at least one address; port 0 lets the system choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Envoy's gRPC API and `grpc.health.v1`. Default `127.0.0.1:9191`.
    pub grpc: Vec<Address>,
    /// Probes, metrics and status. Default `127.0.0.1:9193`.
    pub admin: Vec<Address>,
    /// HTTP forward-auth. Default: none, and there is no such listener.
    pub http: Vec<Address>,
    /// Who is believed on `http` what another request was. Default: nobody.
    pub trusted_forwarders: TrustedForwarders,
    /// Who may connect to the Unix sockets among them.
    pub unix: UnixAccess,
    /// For `grpc` over TCP; `None`: no TLS.
    pub tls: Option<TlsSettings>,
    /// For `admin` over TCP; `None`: no TLS.
    pub admin_tls: Option<TlsSettings>,
    /// For `http` over TCP; `None`: no TLS.
    pub http_tls: Option<TlsSettings>,
    /// How long a client of `grpc` or `http` may stay on one connection, give or take a tenth. Default 30 minutes; `None`: as long
    /// as it likes.
    pub max_connection_age: Option<Duration>,
}

impl Listen {
    /// What `other` says differently, by its YAML path. A listener stays where it is until the process ends.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let pairs = [
            ("listen.grpc", self.grpc == other.grpc),
            ("listen.admin", self.admin == other.admin),
            ("listen.http", self.http == other.http),
            ("listen.trusted_forwarders", self.trusted_forwarders == other.trusted_forwarders),
            ("listen.unix", self.unix == other.unix),
            ("listen.tls", self.tls == other.tls),
            ("listen.admin_tls", self.admin_tls == other.admin_tls),
            ("listen.http_tls", self.http_tls == other.http_tls),
            ("listen.max_connection_age", self.max_connection_age == other.max_connection_age),
        ];
        pairs.into_iter().filter(|(_, same)| !same).map(|(path, _)| path).collect()
    }
}

/// How strict to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The default: nothing that weakens security is accepted.
    Production,
    /// For a developer's machine and for tests.
    Development,
}

impl Profile {
    /// The word in YAML, metrics and status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Development => "development",
        }
    }
}

/// Limits on what comes from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A longer token is `too_large`. Default 16 KiB.
    pub token_bytes: usize,
    /// A longer JWK Set is refused. Default 512 KiB.
    pub jwks_bytes: usize,
    /// A JWK Set with more entries is refused. Default 256.
    pub jwks_keys: usize,
    /// Names and values of all headers set in one answer. Default 8 KiB.
    pub header_bytes: usize,
    /// More checks at once are answered `overloaded`. Those that wait for a missing key do not count. Default
    /// 8192.
    pub concurrent_checks: usize,
    /// A check whose turn comes later than this after it arrived is answered `overloaded`. Default 1 s.
    pub queue_time: Duration,
}
