//! What is trusted of one issuer: whose tokens, for whom, signed how, how old. Typed settings that
//! `config::compile` builds and [`super::Verifier`] enforces; not the issuer's keys (`keys::store`).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::keys::key::AlgorithmSet;
use crate::util::label::Label;

/// One trusted issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The name in rules, metrics and logs.
    pub label: Label,
    /// The `iss` of its tokens.
    pub issuer: IssuerName,
    /// Whom its tokens must be meant for, unless a rule says otherwise.
    pub audiences: Audiences,
    /// The top-level claim that says so in place of `aud`, which its tokens must not have then: else a token for somebody
    /// to read, such as an ID token, would do as one to call with.
    pub audience_claim: Option<String>,
    /// What its tokens may be signed with, by a private key.
    pub algorithms: AlgorithmSet,
    /// Whether they may be signed with a shared secret as well (HS256): whoever verifies could sign then.
    pub danger_accept_hs256: bool,
    /// Tolerance for clocks that disagree, on `exp`, `nbf` and `iat`.
    pub clock_skew: Duration,
    /// What its tokens must carry beyond `iss` and `aud`.
    pub require: RequiredClaims,
}

/// The `iss` of an issuer's tokens, compared byte for byte (RFC 7519 §4.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerName {
    /// Exactly this.
    Exact(String),
    /// One `iss` for each tenant of a provider.
    Tenants(TenantPattern),
}

/// `https://login.example.com/{tenant}/v2.0`, for the tenants on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantPattern {
    /// What stands before the tenant.
    pub prefix: String,
    /// What stands after it.
    pub suffix: String,
    /// The tenants that are trusted. Never empty.
    pub tenants: BTreeSet<String>,
    /// The top-level claim that must name the same tenant, so that one cannot speak for another.
    pub claim: String,
}

impl TenantPattern {
    /// The place of the tenant in the configuration's text.
    pub const PLACEHOLDER: &str = "{tenant}";

    /// The trusted tenant that `iss` names.
    pub fn tenant<'a>(&self, iss: &'a str) -> Option<&'a str> {
        let rest = iss.strip_prefix(self.prefix.as_str())?;
        let tenant = rest.strip_suffix(self.suffix.as_str())?;
        self.tenants.contains(tenant).then_some(tenant)
    }
}

impl IssuerName {
    /// Whether tokens with this `iss` are the issuer's.
    pub fn is(&self, iss: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == iss,
            Self::Tenants(pattern) => pattern.tenant(iss).is_some(),
        }
    }
}

/// As it is configured.
impl fmt::Display for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => f.write_str(exact),
            Self::Tenants(TenantPattern { prefix, suffix, .. }) => {
                write!(f, "{prefix}{}{suffix}", TenantPattern::PLACEHOLDER)
            }
        }
    }
}

/// The audiences that are accepted (RFC 7519 §4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audiences {
    /// `aud`, or the claim in its place, must name at least one of these, byte for byte. Never empty.
    AnyOf(Vec<String>),
    /// Neither is looked at. Only the development profile can ask for this.
    DangerNotChecked,
}

/// The claims that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredClaims {
    /// `exp` must be present. On unless switched off.
    pub exp: bool,
    /// At most this long since `iat`, which must be present then.
    pub max_age: Option<Duration>,
    /// At most this long from `iat`, or else from now, to `exp`, which must be present then.
    pub max_lifetime: Option<Duration>,
    /// Top-level claims that must be present, not null and not the empty string.
    pub claims: Vec<String>,
}

impl Default for RequiredClaims {
    fn default() -> Self {
        Self { exp: true, max_age: None, max_lifetime: None, claims: Vec::new() }
    }
}
