//! The YAML of `revocation`, one to one.

use schemars::JsonSchema;
use serde::Deserialize;

use super::redis::RawRedis;
use crate::config::scalar::{Count, List, Mapping, MaxStale, Moment, Text};
use crate::config::words::{RawBeforeFirstLoad, RawWhenStale, RawWithoutJti};
use crate::revocation::EntryKind;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Revocation")]
pub(in crate::config) struct RawRevocation {
    /// What is revoked by the configuration itself, whatever else is known. Default: nothing.
    pub(in crate::config) entries: Option<List<Mapping<RawRevocationEntry>>>,
    /// A file of entries, one line of JSON each. Watched.
    pub(in crate::config) file: Option<String>,
    /// A Redis, alone, with Sentinels or as a Cluster. Followed.
    pub(in crate::config) redis: Option<Mapping<RawRedis>>,
    /// How long the last snapshot is believed after its source was last heard. At least 30s (1s in
    /// development). Default 5m.
    pub(in crate::config) max_stale: Option<Text<MaxStale>>,
    /// deny (default): 503 after that, and before the first load. allow: tokens pass, and are counted.
    pub(in crate::config) when_stale: Option<Text<RawWhenStale>>,
    /// refuse (default), or accept: tokens that cannot be revoked one by one.
    pub(in crate::config) without_jti: Option<Text<RawWithoutJti>>,
    /// not_ready (default), or ready: what readiness says until everything has been loaded once.
    pub(in crate::config) before_first_load: Option<Text<RawBeforeFirstLoad>>,
    /// Entries of the source; with more it is refused as a whole. From 1 to 100000000. Default 2000000.
    pub(in crate::config) max_entries: Option<Text<Count>>,
}

/// Where revocations are read from; of these there is at most one.
pub(in crate::config) const REVOCATION_SOURCES: [&str; 2] = ["file", "redis"];

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RevocationEntry", extend("required" = ["kind", "iss"]))]
pub(in crate::config) struct RawRevocationEntry {
    /// token (by jti), subject (by sub and not_before), session (by sid), key (by kid), issuer (by not_before).
    pub(in crate::config) kind: Option<Text<EntryKind>>,
    /// The `iss` of its tokens.
    pub(in crate::config) iss: Option<String>,
    /// Of a token.
    pub(in crate::config) jti: Option<String>,
    /// Of a subject.
    pub(in crate::config) sub: Option<String>,
    /// Of a session.
    pub(in crate::config) sid: Option<String>,
    /// Of a key.
    pub(in crate::config) kid: Option<String>,
    /// Of a subject and an issuer: what was issued earlier is revoked.
    pub(in crate::config) not_before: Option<Text<Moment>>,
    /// From when on it need not be remembered. Default: for as long as it is here.
    pub(in crate::config) expires_at: Option<Text<Moment>>,
}
