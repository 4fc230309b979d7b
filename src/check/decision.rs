//! The outcome of a check, as a value. A denial is not an error: `Result` is for faults of ours.

use std::sync::Arc;

use super::KnownToken;
use super::forward::HeaderMutations;
use super::reason::DenialReason;
use crate::util::label::Label;

/// May the request pass?
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "made once a request, and taken apart at once")]
pub enum Decision {
    /// Yes, changed like this.
    Allow(Allowance),
    /// No.
    Deny(Denial),
}

/// A request that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The rule that let it pass; `None` for a CORS preflight, which passes before any rule.
    pub rule: Option<Label>,
    /// The verified token whose claims the upstream gets; `None` where nobody had to prove anything, or where what was
    /// proved did not do and only a shadow rule let it pass.
    pub token: Option<Arc<KnownToken>>,
    /// What the upstream gets to see.
    pub mutations: HeaderMutations,
    /// What a shadow rule would have denied it for.
    pub would_deny: Option<Denial>,
}

/// A request that may not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule that refused it; `None` when none applied.
    pub rule: Option<Label>,
    /// The issuer that the token named, when it is one of ours.
    pub issuer: Option<Label>,
    /// Why.
    pub reason: DenialReason,
    /// The key that `issuer` would have to publish for another outcome: worth a refresh and a second check.
    pub missing_kid: Option<Box<str>>,
}

impl Denial {
    /// A denial before any rule was looked at.
    pub fn before_any_rule(reason: DenialReason) -> Self {
        Self { rule: None, issuer: None, reason, missing_kid: None }
    }
}

impl Allowance {
    /// Whether Envoy is told the claims of `token`, as dynamic metadata.
    pub fn tells_claims(&self) -> bool {
        self.mutations.token.as_ref().is_some_and(|headers| headers.encoded_metadata.is_some())
    }
}

impl Decision {
    /// The denial, be it enforced or not.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Deny(denial) => Some(denial),
            Self::Allow(allowance) => allowance.would_deny.as_ref(),
        }
    }
}
