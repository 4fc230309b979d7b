//! The YAML, one to one: plain serde structs in which everything is optional, so that what is missing is
//! [`super::compile`]'s to say and not serde's. Nothing here means anything yet.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::Profile;
use super::scalar::{
    Addresses, Age, Anyone, ClaimPath, Count, FileMode, JsonFormat, List, Mapping, MaxStale,
    RawDiscovery, Size, Text,
};
use crate::server::tls::TlsVersion;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) profile: Option<Text<Profile>>,
    pub(super) listen: Option<Mapping<RawListen>>,
    pub(super) state_dir: Option<String>,
    pub(super) issuers: Option<List<Mapping<RawIssuer>>>,
    pub(super) tokens: Option<List<Mapping<RawTokenSource>>>,
    pub(super) forward: Option<Mapping<RawForward>>,
    pub(super) rules: Option<List<Mapping<RawRule>>>,
    pub(super) limits: Option<Mapping<RawLimits>>,
    pub(super) answers: Option<Mapping<RawAnswers>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawListen {
    pub(super) grpc: Option<Addresses>,
    pub(super) admin: Option<Addresses>,
    pub(super) unix: Option<Mapping<RawUnix>>,
    pub(super) tls: Option<Mapping<RawTls>>,
    pub(super) admin_tls: Option<Mapping<RawTls>>,
    pub(super) max_connection_age: Option<Text<Age>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUnix {
    pub(super) mode: Option<Text<FileMode>>,
    pub(super) owner: Option<Text<Count>>,
    pub(super) group: Option<Text<Count>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTls {
    pub(super) cert_file: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) client_ca_file: Option<String>,
    pub(super) min_version: Option<Text<TlsVersion>>,
    pub(super) allowed_client_sans: Option<List<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawIssuer {
    pub(super) name: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) audiences: Option<List<String>>,
    pub(super) algorithms: Option<List<String>>,
    pub(super) danger_accept_hs256: Option<bool>,
    pub(super) clock_skew: Option<Text<Duration>>,
    pub(super) require: Option<Mapping<RawRequiredClaims>>,
    pub(super) keys: Option<List<Mapping<RawKeySource>>>,
    pub(super) refresh: Option<Mapping<RawRefresh>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRequiredClaims {
    pub(super) exp: Option<bool>,
    pub(super) max_lifetime: Option<Text<Duration>>,
    pub(super) claims: Option<List<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawKeySource {
    pub(super) jwks_url: Option<String>,
    pub(super) discovery: Option<Text<RawDiscovery>>,
    pub(super) jwks_file: Option<String>,
    pub(super) pem_file: Option<String>,
    pub(super) kid: Option<String>,
    pub(super) command: Option<List<String>>,
    pub(super) command_env: Option<List<String>>,
    pub(super) jwks_env: Option<String>,
    pub(super) jwks: Option<Value>,
    pub(super) hmac_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRefresh {
    pub(super) interval: Option<Text<Duration>>,
    pub(super) min: Option<Text<Duration>>,
    pub(super) max: Option<Text<Duration>>,
    pub(super) max_stale: Option<Text<MaxStale>>,
    pub(super) timeout: Option<Text<Duration>>,
    pub(super) unknown_kid_wait: Option<Text<Duration>>,
    pub(super) ca_file: Option<String>,
    pub(super) client_cert_file: Option<String>,
    pub(super) client_key_file: Option<String>,
    pub(super) bearer_token_file: Option<String>,
    pub(super) proxy: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTokenSource {
    pub(super) header: Option<String>,
    pub(super) prefix: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawForward {
    pub(super) headers: Option<List<Mapping<RawClaimHeader>>>,
    pub(super) strip: Option<List<String>>,
    pub(super) payload_header: Option<String>,
    pub(super) keep_token: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawClaimHeader {
    pub(super) claim: Option<ClaimPath>,
    pub(super) header: Option<String>,
    pub(super) join: Option<String>,
    pub(super) format: Option<Text<JsonFormat>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) name: Option<String>,
    #[serde(rename = "match")]
    pub(super) matches: Option<Mapping<RawMatch>>,
    pub(super) allow: Option<Text<Anyone>>,
    pub(super) require: Option<Mapping<RawRequire>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMatch {
    pub(super) path: Option<String>,
    pub(super) path_prefix: Option<String>,
    pub(super) methods: Option<List<String>>,
    pub(super) hosts: Option<List<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRequire {
    pub(super) issuer: Option<String>,
    pub(super) any_of: Option<List<Mapping<RawRequirement>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRequirement {
    pub(super) issuer: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) token_bytes: Option<Text<Size>>,
    pub(super) jwks_bytes: Option<Text<Size>>,
    pub(super) jwks_keys: Option<Text<Count>>,
    pub(super) header_bytes: Option<Text<Size>>,
    pub(super) concurrent_checks: Option<Text<Count>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAnswers {
    pub(super) reason_header: Option<bool>,
}
