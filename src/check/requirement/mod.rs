//! What verified tokens must prove for a rule: from whom, for whom, with which claims. Signature, issuer and times were
//! judged before, by `token::Verifier`; nothing here looks at an unverified token.

mod condition;
mod scopes;

pub use self::condition::{ClaimCondition, ClaimTest, Scalar};
pub use self::scopes::Scopes;

use super::cel::Expression;
use super::decision::DenialReason;
use super::pattern::TextPattern;
use super::request::CheckRequest;
use crate::token::{Audiences, Issuer, Refusal, VerifiedToken};
use crate::util::label::Label;

/// What must be proved.
#[derive(Clone, Debug, PartialEq)]
pub enum Requirement {
    /// One token with all of this.
    Token(TokenRequirement),
    /// At least one of these.
    AnyOf(Vec<Self>),
    /// Every one of these; with several tokens each by one of them.
    AllOf(Vec<Self>),
}

/// What one token must be. All of it must hold; what is empty always does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenRequirement {
    /// Signed by this issuer. `None`: by any, where another part of the requirement names one.
    pub issuer: Option<Label>,
    /// Meant for one of these, in place of what its issuer is configured with.
    pub audiences: Option<Audiences>,
    /// `sub` is one of these.
    pub subjects: Vec<TextPattern>,
    /// All of these scopes.
    pub scopes: Vec<String>,
    /// At least one of these scopes.
    pub any_scope: Vec<String>,
    /// Claims.
    pub claims: Vec<ClaimCondition>,
    /// A condition on claims and request together.
    pub when: Option<Expression>,
}

/// Besides the tokens, what a requirement may look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The request, as received.
    pub request: &'a CheckRequest,
    /// The trusted issuers, by the number of their label.
    pub issuers: &'a [Issuer],
}

/// Why a token does not do, and how near it came: of several ways to satisfy a rule, the nearest is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    OtherIssuer,
    NoAudience,
    OtherAudience,
    Claims,
    Scope,
}

impl Miss {
    const fn reason(self) -> DenialReason {
        match self {
            Self::OtherIssuer | Self::Claims => DenialReason::ClaimMismatch,
            Self::NoAudience => DenialReason::MissingClaim,
            Self::OtherAudience => DenialReason::AudienceMismatch,
            Self::Scope => DenialReason::InsufficientScope,
        }
    }
}

impl Requirement {
    /// Whether `tokens`, of which there is at least one, prove it.
    ///
    /// # Errors
    /// What the nearest way to prove it lacks.
    pub fn judge(&self, tokens: &[&VerifiedToken], facts: Facts<'_>) -> Result<(), DenialReason> {
        self.weigh(tokens, facts).map_err(Miss::reason)
    }

    fn weigh(&self, tokens: &[&VerifiedToken], facts: Facts<'_>) -> Result<(), Miss> {
        match self {
            Self::Token(one) => nearest(tokens.iter().map(|token| one.weigh(token, facts))),
            Self::AnyOf(ways) => nearest(ways.iter().map(|way| way.weigh(tokens, facts))),
            Self::AllOf(parts) => parts.iter().try_for_each(|part| part.weigh(tokens, facts)),
        }
    }

    /// Whether whoever proves it is of a named issuer, whichever way it is proved.
    pub fn names_an_issuer(&self) -> bool {
        match self {
            Self::Token(one) => one.issuer.is_some(),
            Self::AnyOf(ways) => ways.iter().all(Self::names_an_issuer),
            Self::AllOf(parts) => parts.iter().any(Self::names_an_issuer),
        }
    }

    /// Every single requirement on a token in it.
    pub fn leaves(&self) -> Vec<&TokenRequirement> {
        match self {
            Self::Token(one) => vec![one],
            Self::AnyOf(parts) | Self::AllOf(parts) => {
                parts.iter().flat_map(Self::leaves).collect()
            }
        }
    }
}

/// The first success, else the nearest miss. Without any way there is none.
fn nearest(ways: impl Iterator<Item = Result<(), Miss>>) -> Result<(), Miss> {
    let mut nearest = Miss::OtherIssuer;
    for way in ways {
        match way {
            Ok(()) => return Ok(()),
            Err(miss) => nearest = nearest.max(miss),
        }
    }
    Err(nearest)
}

impl TokenRequirement {
    fn weigh(&self, token: &VerifiedToken, facts: Facts<'_>) -> Result<(), Miss> {
        if self.issuer.as_ref().is_some_and(|issuer| issuer != token.issuer()) {
            return Err(Miss::OtherIssuer);
        }
        let claims = token.claims();
        let of_issuer = || facts.issuers.get(token.issuer().index()).map(|one| &one.audiences);
        // An issuer that is not there is a bug; whoever it was meant for, it is not us.
        let audiences = self.audiences.as_ref().or_else(of_issuer).ok_or(Miss::OtherAudience)?;
        claims.judge_audience(audiences).map_err(|refusal| {
            if refusal == Refusal::MissingClaim { Miss::NoAudience } else { Miss::OtherAudience }
        })?;
        let is_subject =
            |one: &TextPattern| token.subject().is_some_and(|subject| one.matches(subject));
        if !self.subjects.is_empty() && !self.subjects.iter().any(is_subject) {
            return Err(Miss::Claims);
        }
        if !self.claims.iter().all(|condition| condition.holds(claims)) {
            return Err(Miss::Claims);
        }
        if let Some(expression) = &self.when
            && !expression.holds(token, facts.request)
        {
            return Err(Miss::Claims);
        }
        if self.scopes.is_empty() && self.any_scope.is_empty() {
            return Ok(());
        }
        let granted = Scopes::of(claims);
        let has = |scope: &String| granted.contains(scope);
        if self.scopes.iter().all(has)
            && (self.any_scope.is_empty() || self.any_scope.iter().any(has))
        {
            return Ok(());
        }
        Err(Miss::Scope)
    }
}
