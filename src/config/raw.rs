//! The YAML, one to one: plain serde structs in which everything is optional, so that what is missing is
//! [`super::compile`]'s to say and not serde's. Nothing here means anything yet.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Profile;
use super::scalar::{
    Addresses, Age, Anyone, ClaimPath, Count, FileMode, JsonFormat, List, Mapping, MaxStale,
    RawDiscovery, Size, Text,
};
use crate::server::tls::TlsVersion;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Config", extend("required" = ["issuers", "rules"]))]
pub(super) struct RawConfig {
    /// production (default) refuses what weakens security; development is for your own machine.
    pub(super) profile: Option<Text<Profile>>,
    /// Where claimgate is asked.
    pub(super) listen: Option<Mapping<RawListen>>,
    /// Where the last good keys are kept, for a restart without the provider. Default: nothing is
    /// kept.
    pub(super) state_dir: Option<String>,
    /// The identity providers whose tokens are accepted.
    pub(super) issuers: Option<List<Mapping<RawIssuer>>>,
    /// Where a token is looked for. Default: authorization, with "Bearer ".
    pub(super) tokens: Option<List<Mapping<RawTokenSource>>>,
    /// Which claims the upstream gets, as which headers.
    pub(super) forward: Option<Mapping<RawForward>>,
    /// The first match wins; no match is denied.
    pub(super) rules: Option<List<Mapping<RawRule>>>,
    /// What is refused for its size.
    pub(super) limits: Option<Mapping<RawLimits>>,
    /// What callers are told.
    pub(super) answers: Option<Mapping<RawAnswers>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Listen")]
pub(super) struct RawListen {
    /// For Envoy, and `grpc.health.v1`. Default 127.0.0.1:9191.
    pub(super) grpc: Option<Addresses>,
    /// Probes, metrics and status. Default 127.0.0.1:9193.
    pub(super) admin: Option<Addresses>,
    /// Who may connect to Unix sockets.
    pub(super) unix: Option<Mapping<RawUnix>>,
    /// TLS for gRPC over TCP.
    pub(super) tls: Option<Mapping<RawTls>>,
    /// TLS for the admin port.
    pub(super) admin_tls: Option<Mapping<RawTls>>,
    /// How long a client may stay on one connection, so that load moves to new replicas. Default 30m.
    pub(super) max_connection_age: Option<Text<Age>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Unix")]
pub(super) struct RawUnix {
    /// Default "0660".
    pub(super) mode: Option<Text<FileMode>>,
    /// A user's number. Default: the process'.
    pub(super) owner: Option<Text<Count>>,
    /// A group's number. Default: the process'.
    pub(super) group: Option<Text<Count>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Tls", extend("required" = ["cert_file", "key_file"]))]
pub(super) struct RawTls {
    /// The certificate and those between it and its authority, in PEM; followed.
    pub(super) cert_file: Option<String>,
    /// Its private key, in PEM; followed.
    pub(super) key_file: Option<String>,
    /// The authorities of clients, in PEM: then every client needs a certificate.
    pub(super) client_ca_file: Option<String>,
    /// Default "1.2".
    pub(super) min_version: Option<Text<TlsVersion>>,
    /// One of these must be in a client's certificate.
    pub(super) allowed_client_sans: Option<List<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Issuer", extend("required" = ["name", "issuer", "keys"]))]
pub(super) struct RawIssuer {
    /// a-z, 0-9, _ and -: the label in rules, metrics and logs.
    pub(super) name: Option<String>,
    /// The exact `iss`.
    pub(super) issuer: Option<String>,
    /// `aud` must name one of these.
    pub(super) audiences: Option<List<String>>,
    /// RS256 (default) RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA HS256.
    pub(super) algorithms: Option<List<String>>,
    /// Lets HS256 into the production profile, for a staged move away from it.
    pub(super) danger_accept_hs256: Option<bool>,
    /// Tolerance for `exp`, `nbf` and `iat`. Default 30s, at most 10m.
    pub(super) clock_skew: Option<Text<Duration>>,
    /// What its tokens must have.
    pub(super) require: Option<Mapping<RawRequiredClaims>>,
    /// Where its keys come from: one source or more, merged.
    pub(super) keys: Option<List<Mapping<RawKeySource>>>,
    /// When and how keys are read again.
    pub(super) refresh: Option<Mapping<RawRefresh>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RequiredClaims")]
pub(super) struct RawRequiredClaims {
    /// Whether a token must expire. Default true.
    pub(super) exp: Option<bool>,
    /// Since `iat`, which is needed then. Default: not looked at.
    pub(super) max_lifetime: Option<Text<Duration>>,
    /// These must be there and not empty.
    pub(super) claims: Option<List<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "KeySource", extend("oneOf" = super::schema::one_of(&KEY_SOURCES)))]
pub(super) struct RawKeySource {
    /// The URL of a JWK Set.
    pub(super) jwks_url: Option<String>,
    /// true: the metadata where the standards have it. Or its URL.
    pub(super) discovery: Option<Text<RawDiscovery>>,
    /// A file with a JWK Set, or with {"active_kid": …, "keys": {kid: JWK or PEM}}. Watched.
    pub(super) jwks_file: Option<String>,
    /// A file with public keys or certificates. Watched.
    pub(super) pem_file: Option<String>,
    /// The key ID of a pem_file with one key, or of an hmac_file.
    pub(super) kid: Option<String>,
    /// A program and its arguments, without a shell; prints what a jwks_file holds.
    pub(super) command: Option<List<String>>,
    /// The variables that the command may see. Default: none.
    pub(super) command_env: Option<List<String>>,
    /// A variable that holds what a jwks_file does.
    pub(super) jwks_env: Option<String>,
    /// A JWK Set, public keys only.
    pub(super) jwks: Option<Value>,
    /// A file with an HS256 secret. Watched.
    pub(super) hmac_file: Option<String>,
}

/// What a key source is one of.
const KEY_SOURCES: [&str; 8] =
    ["jwks_url", "discovery", "jwks_file", "pem_file", "command", "jwks_env", "jwks", "hmac_file"];

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Refresh")]
pub(super) struct RawRefresh {
    /// How long an answer is fresh that does not say so itself. Default 5m, at least 30s.
    pub(super) interval: Option<Text<Duration>>,
    /// The least that Cache-Control may ask for. Default 60s.
    pub(super) min: Option<Text<Duration>>,
    /// The most that Cache-Control may ask for. Default 1h.
    pub(super) max: Option<Text<Duration>>,
    /// How long keys are used after the last success; or unlimited. Default 24h.
    pub(super) max_stale: Option<Text<MaxStale>>,
    /// Of one fetch, or one run of a command. Default 5s.
    pub(super) timeout: Option<Text<Duration>>,
    /// How long a request waits for a key that is new. Default 150ms.
    pub(super) unknown_kid_wait: Option<Text<Duration>>,
    /// The only authorities to trust. Default: the system's.
    pub(super) ca_file: Option<String>,
    /// With client_key_file: for mutual TLS.
    pub(super) client_cert_file: Option<String>,
    /// With client_cert_file; not readable by everybody.
    pub(super) client_key_file: Option<String>,
    /// A token for the configured origin.
    pub(super) bearer_token_file: Option<String>,
    /// The URL of an HTTP proxy. Default: none, whatever the environment says.
    pub(super) proxy: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TokenSource", extend("required" = ["header"]))]
pub(super) struct RawTokenSource {
    /// The name of a header.
    pub(super) header: Option<String>,
    /// What the token follows; ending in a space it is a scheme. Default for authorization:
    /// "Bearer ".
    pub(super) prefix: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Forward")]
pub(super) struct RawForward {
    /// Claims that become headers.
    pub(super) headers: Option<List<Mapping<RawClaimHeader>>>,
    /// Names, or beginnings with *, that are removed from every request.
    pub(super) strip: Option<List<String>>,
    /// A header for the whole payload in base64url. Default: not forwarded.
    pub(super) payload_header: Option<String>,
    /// Whether the upstream sees the token itself. Default false.
    pub(super) keep_token: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ClaimHeader", extend("required" = ["claim", "header"]))]
pub(super) struct RawClaimHeader {
    /// A dotted path, or a list of literal names.
    pub(super) claim: Option<ClaimPath>,
    /// The header that it becomes.
    pub(super) header: Option<String>,
    /// What arrays are joined with. Default ",".
    pub(super) join: Option<String>,
    /// json: the value as JSON.
    pub(super) format: Option<Text<JsonFormat>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Rule", extend("required" = ["name"]))]
pub(super) struct RawRule {
    /// The label in metrics and logs.
    pub(super) name: Option<String>,
    /// Which requests it is about. Default: every one.
    #[serde(rename = "match")]
    pub(super) matches: Option<Mapping<RawMatch>>,
    /// anyone: no token is needed.
    pub(super) allow: Option<Text<Anyone>>,
    /// Whose token is needed.
    pub(super) require: Option<Mapping<RawRequire>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Match")]
pub(super) struct RawMatch {
    /// The exact path.
    pub(super) path: Option<String>,
    /// What the path begins with.
    pub(super) path_prefix: Option<String>,
    /// Any of these.
    pub(super) methods: Option<List<String>>,
    /// Any of these; *.example.com is every host below it.
    pub(super) hosts: Option<List<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Require")]
pub(super) struct RawRequire {
    /// The name of an issuer.
    pub(super) issuer: Option<String>,
    /// One of several.
    pub(super) any_of: Option<List<Mapping<RawRequirement>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Requirement", extend("required" = ["issuer"]))]
pub(super) struct RawRequirement {
    /// The name of an issuer.
    pub(super) issuer: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(super) struct RawLimits {
    /// Of a token. Default 16KiB.
    pub(super) token_bytes: Option<Text<Size>>,
    /// Of a JWK Set. Default 512KiB.
    pub(super) jwks_bytes: Option<Text<Size>>,
    /// Entries of a JWK Set. Default 256.
    pub(super) jwks_keys: Option<Text<Count>>,
    /// Names and values of all headers set in one answer. Default 8KiB.
    pub(super) header_bytes: Option<Text<Size>>,
    /// More at once are answered overloaded. Default 1024.
    pub(super) concurrent_checks: Option<Text<Count>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Answers")]
pub(super) struct RawAnswers {
    /// Whether x-ext-auth-reason tells the caller why. Default true.
    pub(super) reason_header: Option<bool>,
}
