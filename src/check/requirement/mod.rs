//! What verified tokens must prove for a rule: from whom, for whom, with which claims. Signature, issuer and times were
//! judged before, by `token::Verifier`; nothing here looks at an unverified token.

mod condition;
mod scopes;
mod weighing;

pub use self::condition::{ClaimCondition, ClaimTest, Scalar};
pub use self::scopes::Scopes;
pub use self::weighing::{Node, Part, Weighing};

use super::cel::Expression;
use super::pattern::TextPattern;
use super::reason::DenialReason;
use super::request::CheckRequest;
use crate::token::observe::{Observe, Unobserved};
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
    pub request: &'a CheckRequest<'a>,
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
        self.judge_observed(tokens, facts, &mut Unobserved)
    }

    /// Whether `token` proves at least one of the single requirements in it.
    ///
    /// # Errors
    /// What the nearest of them lacks.
    pub fn judge_part(&self, token: &VerifiedToken, facts: Facts<'_>) -> Result<(), DenialReason> {
        let leaves = self.leaves();
        let each = leaves.iter().map(|leaf| leaf.weigh(token, facts, &mut Unobserved));
        nearest::<Unobserved>(each).map_err(Miss::reason)
    }

    /// The same, watched by `observer`.
    ///
    /// # Errors
    /// The same.
    pub fn judge_observed<O: Observe<Weighing>>(
        &self,
        tokens: &[&VerifiedToken],
        facts: Facts<'_>,
        observer: &mut O,
    ) -> Result<(), DenialReason> {
        self.weigh(tokens, facts, observer).map_err(Miss::reason)
    }

    fn weigh<O: Observe<Weighing>>(
        &self,
        tokens: &[&VerifiedToken],
        facts: Facts<'_>,
        observer: &mut O,
    ) -> Result<(), Miss> {
        observer.note(|| {
            Weighing::Begins(match self {
                Self::Token(_) if tokens.len() == 1 => Part::AllOf,
                Self::Token(_) | Self::AnyOf(_) => Part::AnyOf,
                Self::AllOf(_) => Part::AllOf,
            })
        });
        let outcome = match self {
            Self::Token(one) => match tokens {
                [token] => one.weigh(token, facts, observer),
                _ => nearest::<O>(tokens.iter().zip(0..).map(|(token, place)| {
                    observer.note(|| Weighing::Begins(Part::Token(place)));
                    let outcome = one.weigh(token, facts, observer);
                    observer.note(|| Weighing::ends(outcome));
                    outcome
                })),
            },
            Self::AnyOf(ways) => {
                nearest::<O>(ways.iter().map(|way| way.weigh(tokens, facts, observer)))
            }
            Self::AllOf(parts) => {
                every::<O>(parts.iter().map(|part| part.weigh(tokens, facts, observer)))
            }
        };
        observer.note(|| Weighing::ends(outcome));
        outcome
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
fn nearest<O: Observe<Weighing>>(ways: impl Iterator<Item = Result<(), Miss>>) -> Result<(), Miss> {
    let mut outcome = Err(Miss::OtherIssuer);
    for way in ways {
        outcome = match (outcome, way) {
            (Ok(()), _) | (_, Ok(())) => Ok(()),
            (Err(nearest), Err(miss)) => Err(nearest.max(miss)),
        };
        if outcome.is_ok() && !O::WHOLE {
            break;
        }
    }
    outcome
}

/// The first miss, if there is one.
fn every<O: Observe<Weighing>>(parts: impl Iterator<Item = Result<(), Miss>>) -> Result<(), Miss> {
    let mut outcome = Ok(());
    for part in parts {
        outcome = outcome.and(part);
        // Whose token it is not will not do, whatever is in it.
        if outcome.is_err() && (!O::WHOLE || outcome == Err(Miss::OtherIssuer)) {
            break;
        }
    }
    outcome
}

/// One condition on one token.
enum Condition<'a> {
    Issuer(&'a Label),
    /// `None`: of an issuer that is not there, which is a bug; whoever it was meant for, it is not us.
    Audiences {
        accepted: Option<&'a Audiences>,
        /// The issuer's claim in place of `aud`.
        claim: Option<&'a str>,
    },
    Subjects(&'a [TextPattern]),
    Claim(&'a ClaimCondition),
    When(&'a Expression),
    Scopes {
        all: &'a [String],
        any: &'a [String],
    },
}

impl TokenRequirement {
    fn weigh<O: Observe<Weighing>>(
        &self,
        token: &VerifiedToken,
        facts: Facts<'_>,
        observer: &mut O,
    ) -> Result<(), Miss> {
        every::<O>(self.conditions(token, facts.issuers).map(|condition| {
            let outcome = condition.weigh(token, facts.request);
            observer.note(|| Weighing::condition(&condition, token, outcome));
            outcome
        }))
    }

    /// In the order in which they are looked at.
    fn conditions<'a>(
        &'a self,
        token: &VerifiedToken,
        issuers: &'a [Issuer],
    ) -> impl Iterator<Item = Condition<'a>> {
        let of_token = issuers.get(token.issuer().index());
        // Whatever a rule asks for, the issuer decides where its tokens say it.
        let audiences = Condition::Audiences {
            accepted: self.audiences.as_ref().or_else(|| of_token.map(|one| &one.audiences)),
            claim: of_token.and_then(|one| one.audience_claim.as_deref()),
        };
        let subjects = (!self.subjects.is_empty()).then_some(self.subjects.as_slice());
        let (all, any) = (self.scopes.as_slice(), self.any_scope.as_slice());
        let scopes = !all.is_empty() || !any.is_empty();
        let scopes = scopes.then_some(Condition::Scopes { all, any });
        let issuer = self.issuer.as_ref().map(Condition::Issuer).into_iter();
        issuer
            .chain([audiences])
            .chain(subjects.map(Condition::Subjects))
            .chain(self.claims.iter().map(Condition::Claim))
            .chain(self.when.as_ref().map(Condition::When))
            .chain(scopes)
    }
}

impl Condition<'_> {
    fn weigh(&self, token: &VerifiedToken, request: &CheckRequest<'_>) -> Result<(), Miss> {
        let claims = token.claims();
        let (holds, miss) = match self {
            Self::Issuer(issuer) => (*issuer == token.issuer(), Miss::OtherIssuer),
            Self::Audiences { accepted: None, .. } => (false, Miss::OtherAudience),
            Self::Audiences { accepted: Some(accepted), claim } => {
                match claims.judge_audience(accepted, *claim) {
                    Ok(()) => return Ok(()),
                    Err(Refusal::MissingClaim) => (false, Miss::NoAudience),
                    Err(_) => (false, Miss::OtherAudience),
                }
            }
            Self::Subjects(patterns) => {
                let is = |subject: &str| patterns.iter().any(|one| one.matches(subject));
                (token.subject().is_some_and(is), Miss::Claims)
            }
            Self::Claim(condition) => (condition.holds(claims), Miss::Claims),
            Self::When(expression) => (expression.holds(token, request), Miss::Claims),
            Self::Scopes { all, any } => {
                let granted = Scopes::of(claims);
                let has = |scope: &String| granted.contains(scope);
                let has_one = any.is_empty() || any.iter().any(has);
                (all.iter().all(has) && has_one, Miss::Scope)
            }
        };
        if holds { Ok(()) } else { Err(miss) }
    }
}
