//! The YAML, one to one: plain serde structs in which everything is optional, so that what is missing is
//! [`super::compile`]'s to say and not serde's. Nothing here means anything yet.

mod forward;
mod redis;
mod reference_issuer;
mod revocation;
mod rules;
mod traces;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(in crate::config) use self::forward::{RawForward, RawForwardedHeader, RawTokenLocation};
pub(in crate::config) use self::redis::{REDIS_SERVERS, RawRedis, RawSentinel};
pub(in crate::config) use self::reference_issuer::{
    RawClient, RawIssuerConfig, RawIssuerListen, RawIssuerRevocation, RawRateLimits,
    RawRefreshTokens,
};
pub(in crate::config) use self::revocation::{
    REVOCATION_SOURCES, RawRevocation, RawRevocationEntry,
};
pub(in crate::config) use self::rules::{
    CLAIM_TESTS, RawClaimCondition, RawHeaderMatch, RawMatch, RawPatternForm, RawRequirement,
    RawRule, RawTextPattern,
};
pub(in crate::config) use self::traces::{RawHeaderFile, RawResourceAttribute, RawTraces};
use super::Profile;
use super::scalar::{
    Addresses, Age, Count, FileMode, List, Mapping, MaxStale, RawDiscovery, Size, Text,
};
use super::words::CorsPreflight;
use crate::server::tls::TlsVersion;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Config", extend("required" = ["issuers", "rules"]))]
pub(in crate::config) struct RawConfig {
    /// production (default) refuses what weakens security; development is for your own machine.
    pub(in crate::config) profile: Option<Text<Profile>>,
    /// Where claimgate is asked.
    pub(in crate::config) listen: Option<Mapping<RawListen>>,
    /// Where the last good keys are kept, for a restart without the provider. Default: nothing is
    /// kept.
    pub(in crate::config) state_dir: Option<String>,
    /// The identity providers whose tokens are accepted.
    pub(in crate::config) issuers: Option<List<Mapping<RawIssuer>>>,
    /// Where a token is looked for. Default: authorization, with "Bearer ".
    pub(in crate::config) tokens: Option<List<Mapping<RawTokenLocation>>>,
    /// Which claims the upstream gets, as which headers.
    pub(in crate::config) forward: Option<Mapping<RawForward>>,
    /// The first match wins; no match is denied.
    pub(in crate::config) rules: Option<List<Mapping<RawRule>>>,
    /// check (default): a browser's CORS preflight is a request like others. allow: it passes before any rule.
    pub(in crate::config) cors_preflight: Option<Text<CorsPreflight>>,
    /// What was taken back before it expired. Default: nothing is looked up.
    pub(in crate::config) revocation: Option<Mapping<RawRevocation>>,
    /// Verified tokens, so that one that comes again costs no signature.
    pub(in crate::config) cache: Option<Mapping<RawCache>>,
    /// Spans for a collector, joined to the proxy's traces. Default: none.
    pub(in crate::config) traces: Option<Mapping<RawTraces>>,
    /// What is refused for its size.
    pub(in crate::config) limits: Option<Mapping<RawLimits>>,
    /// What callers are told.
    pub(in crate::config) answers: Option<Mapping<RawAnswers>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Listen")]
pub(in crate::config) struct RawListen {
    /// For Envoy, and `grpc.health.v1`. From 1 to 16. Default 127.0.0.1:9191.
    pub(in crate::config) grpc: Option<Addresses>,
    /// Probes, metrics and status. From 1 to 16. Default 127.0.0.1:9193.
    pub(in crate::config) admin: Option<Addresses>,
    /// For proxies that ask over HTTP: nginx, Caddy, Traefik. From 1 to 16. Default: off.
    pub(in crate::config) http: Option<Addresses>,
    /// Who is believed on http about what the request was: addresses, networks, unix. At most 256. Default: nobody.
    pub(in crate::config) trusted_forwarders: Option<List<String>>,
    /// Who may connect to Unix sockets.
    pub(in crate::config) unix: Option<Mapping<RawUnix>>,
    /// TLS for gRPC over TCP. Default: none.
    pub(in crate::config) tls: Option<Mapping<RawTls>>,
    /// TLS for the admin port. Default: none.
    pub(in crate::config) admin_tls: Option<Mapping<RawTls>>,
    /// TLS for http over TCP. Default: none.
    pub(in crate::config) http_tls: Option<Mapping<RawTls>>,
    /// How long a client may stay on one connection, give or take a tenth, so that load moves to new replicas. From 1s to
    /// 30d. Default 30m.
    pub(in crate::config) max_connection_age: Option<Text<Age>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Unix")]
pub(in crate::config) struct RawUnix {
    /// Its permission bits: who may write to it may connect. Default "0660".
    pub(in crate::config) mode: Option<Text<FileMode>>,
    /// Its owner, a user's number. Default: the process's.
    pub(in crate::config) owner: Option<Text<Count>>,
    /// Its group, a group's number. Default: the process's.
    pub(in crate::config) group: Option<Text<Count>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Tls", extend("required" = ["cert_file", "key_file"]))]
pub(in crate::config) struct RawTls {
    /// The certificate and those between it and its authority, in PEM; followed.
    pub(in crate::config) cert_file: Option<String>,
    /// Its private key, in PEM; followed.
    pub(in crate::config) key_file: Option<String>,
    /// The authorities of clients, in PEM: then every client needs a certificate. Default: no client needs one.
    pub(in crate::config) client_ca_file: Option<String>,
    /// The oldest version of TLS. Default "1.2".
    pub(in crate::config) min_version: Option<Text<TlsVersion>>,
    /// DNS names, URIs, SPIFFE IDs, /* for all below one: one of these must be in a client's certificate. Default: any of
    /// client_ca_file.
    pub(in crate::config) allowed_client_sans: Option<List<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Issuer", extend("required" = ["name", "issuer", "keys"]))]
pub(in crate::config) struct RawIssuer {
    /// The label in rules, metrics and logs: up to 64 of a-z, 0-9, _ and -.
    pub(in crate::config) name: Option<String>,
    /// The exact `iss`; or, with tenants, one that has {tenant} in it.
    pub(in crate::config) issuer: Option<String>,
    /// The tenants that are trusted, of a provider that has an `iss` for each.
    pub(in crate::config) tenants: Option<List<String>>,
    /// The claim that must name the same tenant. Default tid.
    pub(in crate::config) tenant_claim: Option<String>,
    /// `aud` must name one of these, unless a rule says otherwise; only development may leave it out.
    pub(in crate::config) audiences: Option<List<String>>,
    /// A top-level claim that says it in place of `aud`, such as client_id; a token that has an `aud` all the same is
    /// refused. Default aud.
    pub(in crate::config) audience_claim: Option<String>,
    /// Of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256. Default [RS256].
    pub(in crate::config) algorithms: Option<List<String>>,
    /// Lets HS256 into the production profile, for a staged move away from it. Default: not in production.
    pub(in crate::config) danger_accept_hs256: Option<bool>,
    /// Tolerance for `exp`, `nbf` and `iat`. At most 10m. Default 30s.
    pub(in crate::config) clock_skew: Option<Text<Duration>>,
    /// What its tokens must have.
    pub(in crate::config) require: Option<Mapping<RawRequiredClaims>>,
    /// Where its keys come from: one source or more, merged.
    pub(in crate::config) keys: Option<List<Mapping<RawKeySource>>>,
    /// When and how keys are read again.
    pub(in crate::config) refresh: Option<Mapping<RawRefresh>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RequiredClaims")]
pub(in crate::config) struct RawRequiredClaims {
    /// Whether a token must expire. Default true.
    pub(in crate::config) exp: Option<bool>,
    /// The longest time since `iat`, which must be there then. Default: not looked at.
    pub(in crate::config) max_age: Option<Text<Duration>>,
    /// The longest time from `iat`, or else from now, to `exp`. Default: not looked at.
    pub(in crate::config) max_lifetime: Option<Text<Duration>>,
    /// These must be there and not empty. Default: none.
    pub(in crate::config) claims: Option<List<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "KeySource", extend("oneOf" = super::schema::one_of(&KEY_SOURCES)))]
pub(in crate::config) struct RawKeySource {
    /// The URL of a JWK Set.
    pub(in crate::config) jwks_url: Option<String>,
    /// true: the metadata where the standards have it. Or its URL.
    pub(in crate::config) discovery: Option<Text<RawDiscovery>>,
    /// A file with a JWK Set, or with {"active_kid": …, "keys": {kid: JWK or PEM}}. Watched.
    pub(in crate::config) jwks_file: Option<String>,
    /// A file with public keys or certificates. Watched.
    pub(in crate::config) pem_file: Option<String>,
    /// The key ID of a pem_file with one key, or of an hmac_file; 1 to 256 bytes. Default: the RFC 7638 thumbprint; an
    /// hmac_file without one is for tokens that name no other secret.
    pub(in crate::config) kid: Option<String>,
    /// A program and its arguments, without a shell; prints what a jwks_file holds.
    pub(in crate::config) command: Option<List<String>>,
    /// The variables that the command may see. Default: none.
    pub(in crate::config) command_env: Option<List<String>>,
    /// A variable that holds what a jwks_file does.
    pub(in crate::config) jwks_env: Option<String>,
    /// A JWK Set, public keys only.
    pub(in crate::config) jwks: Option<Value>,
    /// A file with an HS256 secret. Watched.
    pub(in crate::config) hmac_file: Option<String>,
}

/// What a key source is one of.
const KEY_SOURCES: [&str; 8] =
    ["jwks_url", "discovery", "jwks_file", "pem_file", "command", "jwks_env", "jwks", "hmac_file"];

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Refresh")]
pub(in crate::config) struct RawRefresh {
    /// How long an answer is fresh that does not say so itself. At least 30s (1s in
    /// development). Default 5m.
    pub(in crate::config) interval: Option<Text<Duration>>,
    /// The least that Cache-Control may ask for. At least 30s (1s in development). Default 60s.
    pub(in crate::config) min: Option<Text<Duration>>,
    /// The most that Cache-Control may ask for. At least 30s (1s in development). Default 1h.
    pub(in crate::config) max: Option<Text<Duration>>,
    /// How long keys are used after the last success; no shorter than interval and max. At least 30s (1s in development).
    /// Default 24h.
    pub(in crate::config) max_stale: Option<Text<MaxStale>>,
    /// The deadline of one fetch, or of one run of a command. From 100ms to 60s. Default 5s.
    pub(in crate::config) timeout: Option<Text<Duration>>,
    /// How long a request waits for a key that is new; 0s: it does not. At most 5s. Default 150ms.
    pub(in crate::config) unknown_kid_wait: Option<Text<Duration>>,
    /// The only authorities to trust. Default: the system's.
    pub(in crate::config) ca_file: Option<String>,
    /// With client_key_file: for mutual TLS. Default: none.
    pub(in crate::config) client_cert_file: Option<String>,
    /// With client_cert_file; not readable by everybody.
    pub(in crate::config) client_key_file: Option<String>,
    /// A token for the configured origin. Default: none.
    pub(in crate::config) bearer_token_file: Option<String>,
    /// The URL of an HTTP proxy, without user or password. Default: none, whatever the environment says.
    pub(in crate::config) proxy: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Cache")]
pub(in crate::config) struct RawCache {
    /// About so much memory; 0: no token is remembered. At least 1MiB, or 0. Default 64MiB.
    pub(in crate::config) max_bytes: Option<Text<Size>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(in crate::config) struct RawLimits {
    /// The longest token; a longer one is too_large. From 256 to 1MiB. Default 16KiB.
    pub(in crate::config) token_bytes: Option<Text<Size>>,
    /// The longest JWK Set; a longer one is refused. From 1KiB to 16MiB. Default 512KiB.
    pub(in crate::config) jwks_bytes: Option<Text<Size>>,
    /// Entries of a JWK Set; with more it is refused. From 1 to 4096. Default 256.
    pub(in crate::config) jwks_keys: Option<Text<Count>>,
    /// Names and values of all headers set in one answer. From 256 to 1MiB. Default 8KiB.
    pub(in crate::config) header_bytes: Option<Text<Size>>,
    /// Checks at once; more are answered overloaded. From 1 to 100000. Default 8192.
    pub(in crate::config) concurrent_checks: Option<Text<Count>>,
    /// A check whose turn comes later than this, or than half of its caller's deadline, is answered overloaded.
    /// From 1ms to 60s. Default 1s.
    pub(in crate::config) queue_time: Option<Text<Duration>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Answers")]
pub(in crate::config) struct RawAnswers {
    /// Whether callers are told why: in x-ext-auth-reason, error_description and the body. Default true.
    pub(in crate::config) reason_header: Option<bool>,
}
