//! What is trusted of one issuer: whose tokens, for whom, signed how, how old. Typed settings that
//! `config::compile` builds and [`super::Verifier`] enforces; not the issuer's keys (`keys::store`).

use std::time::Duration;

use crate::keys::key::AlgorithmSet;
use crate::util::label::Label;

/// One trusted issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The name in rules, metrics and logs.
    pub label: Label,
    /// The exact `iss` of its tokens, compared byte for byte (RFC 7519 §4.1.1).
    pub issuer: String,
    /// Whom its tokens must be meant for.
    pub audiences: Audiences,
    /// What its tokens may be signed with, by a private key.
    pub algorithms: AlgorithmSet,
    /// Whether they may be signed with a shared secret as well (HS256): whoever verifies could sign then.
    pub danger_accept_hs256: bool,
    /// Tolerance for clocks that disagree, on `exp`, `nbf` and `iat`.
    pub clock_skew: Duration,
    /// What its tokens must carry beyond `iss` and `aud`.
    pub require: RequiredClaims,
}

/// The audiences that are accepted (RFC 7519 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audiences {
    /// `aud` must name at least one of these, byte for byte. Never empty.
    AnyOf(Vec<String>),
    /// `aud` is not looked at. Only the development profile can ask for this.
    DangerNotChecked,
}

/// The claims that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredClaims {
    /// `exp` must be present. On unless switched off.
    pub exp: bool,
    /// At most this long since `iat`, which must be present then.
    pub max_lifetime: Option<Duration>,
    /// Top-level claims that must be present, not null and not the empty string.
    pub claims: Vec<String>,
}

impl Default for RequiredClaims {
    fn default() -> Self {
        Self { exp: true, max_lifetime: None, claims: Vec::new() }
    }
}
