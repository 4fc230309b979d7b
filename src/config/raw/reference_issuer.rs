//! The YAML of `claimgate issuer`, one to one. Nothing here means anything yet.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RawRedis, RawTls, RawUnix};
use crate::config::Profile;
use crate::config::scalar::{Addresses, Age, Count, List, Mapping, Text};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "IssuerConfig", extend("required" = ["issuer", "key_dir", "clients"]))]
pub(in crate::config) struct RawIssuerConfig {
    /// production (default) refuses what weakens security; development is for your own machine.
    pub(in crate::config) profile: Option<Text<Profile>>,
    /// Where the issuer is asked.
    pub(in crate::config) listen: Option<Mapping<RawIssuerListen>>,
    /// The `iss` of its tokens, and what its URLs begin with.
    pub(in crate::config) issuer: Option<String>,
    /// The key directory of `claimgate keys`; followed.
    pub(in crate::config) key_dir: Option<String>,
    /// How long access tokens are valid, at most. From 1m (1s in development) to 24h. Default 5m.
    pub(in crate::config) lifetime: Option<Text<Duration>>,
    /// Who gets tokens. From 1 to 1000.
    pub(in crate::config) clients: Option<List<Mapping<RawClient>>>,
    /// Of those clients that get refresh tokens.
    pub(in crate::config) refresh_tokens: Option<Mapping<RawRefreshTokens>>,
    /// Where revocations are written, for services to read; only development may leave it out.
    pub(in crate::config) revocation: Option<Mapping<RawIssuerRevocation>>,
    /// What clients may cost.
    pub(in crate::config) limits: Option<Mapping<RawRateLimits>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "IssuerListen")]
pub(in crate::config) struct RawIssuerListen {
    /// For clients and verifiers. From 1 to 16. Default 127.0.0.1:9194.
    pub(in crate::config) http: Option<Addresses>,
    /// Probes, metrics and status. From 1 to 16. Default 127.0.0.1:9195.
    pub(in crate::config) admin: Option<Addresses>,
    /// Who may connect to Unix sockets.
    pub(in crate::config) unix: Option<Mapping<RawUnix>>,
    /// TLS for http over TCP; in production needed, unless http is a loopback address or a Unix socket. Default: none.
    pub(in crate::config) tls: Option<Mapping<RawTls>>,
    /// TLS for the admin port. Default: none.
    pub(in crate::config) admin_tls: Option<Mapping<RawTls>>,
    /// How long a client may stay on one connection, give or take a tenth, so that load moves to new replicas. From 1s to
    /// 30d. Default 30m.
    pub(in crate::config) max_connection_age: Option<Text<Age>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Client", extend("required" = ["id", "secret_hashes", "audiences"]))]
pub(in crate::config) struct RawClient {
    /// Its client_id: up to 64 letters, digits and . _ ~ -.
    pub(in crate::config) id: Option<String>,
    /// What `claimgate issuer hash-secret` printed: one, or two while it changes its secret.
    pub(in crate::config) secret_hashes: Option<List<String>>,
    /// The `sub` of its tokens. Default: its id.
    pub(in crate::config) subject: Option<String>,
    /// The scopes that it may ask for. At most 64. Default: none.
    pub(in crate::config) scopes: Option<List<String>>,
    /// What it gets without asking. At most 64. Default: all of scopes.
    pub(in crate::config) default_scopes: Option<List<String>>,
    /// The audiences that it may ask for; the first is what it gets without asking. From 1 to 64.
    pub(in crate::config) audiences: Option<List<String>>,
    /// The `roles` of its tokens. From 1 to 64. Default: none.
    pub(in crate::config) roles: Option<List<String>>,
    /// How long its access tokens are valid. From 1m (1s in development) to the lifetime of all. Default: the lifetime of all.
    pub(in crate::config) lifetime: Option<Text<Duration>>,
    /// Whether it gets refresh tokens, and its tokens a session. Default false.
    pub(in crate::config) refresh_tokens: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RefreshTokens")]
pub(in crate::config) struct RawRefreshTokens {
    /// How long a session lasts, however often its tokens are refreshed; no shorter than lifetime. At most 366d. Default 30d.
    pub(in crate::config) max_lifetime: Option<Text<Duration>>,
    /// How long a refresh token may go unused: from lifetime to max_lifetime. Default 24h.
    pub(in crate::config) max_idle: Option<Text<Duration>>,
    /// Sessions of one client at once. From 1 to 1000000. Default 1000.
    pub(in crate::config) max_sessions: Option<Text<Count>>,
    /// Tokens that are remembered, used ones included, of all clients. From 1 to 1000000. Default
    /// 100000.
    pub(in crate::config) max_tokens: Option<Text<Count>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "IssuerRevocation")]
pub(in crate::config) struct RawIssuerRevocation {
    /// The file that services watch; this issuer writes it, and nobody else. Refresh tokens are in memory then.
    pub(in crate::config) file: Option<String>,
    /// The Redis that services follow; it has the refresh tokens as well.
    pub(in crate::config) redis: Option<Mapping<RawRedis>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RateLimits")]
pub(in crate::config) struct RawRateLimits {
    /// Requests of one client, each second. From 1 to 1000000. Default 100.
    pub(in crate::config) client_requests: Option<Text<Count>>,
    /// Requests of all clients, each second. From 1 to 1000000. Default 1000.
    pub(in crate::config) requests: Option<Text<Count>>,
    /// Secrets that have to be hashed, of one client, each minute. From 1 to 1000000. Default 60.
    pub(in crate::config) client_attempts: Option<Text<Count>>,
    /// The same of everybody. From 1 to 1000000. Default 600.
    pub(in crate::config) attempts: Option<Text<Count>>,
}
