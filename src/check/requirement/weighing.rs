//! What weighing a requirement looks at, for whoever explains a decision: the parts of the requirement, what each asks
//! for and what the token says instead.

use super::condition::{ClaimCondition, ClaimTest, Scalar};
use super::scopes::Scopes;
use super::{Condition, Miss};
use crate::check::reason::DenialReason;
use crate::token::{Audiences, VerifiedToken};
use crate::util::json::View;

/// A part of a requirement, weighed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Which part.
    pub what: Part,
    /// What it lacks; `None`: it is proved.
    pub reason: Option<DenialReason>,
    /// Its own parts.
    pub parts: Vec<Self>,
}

/// A part of a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// At least one of its parts.
    AnyOf,
    /// Every one of its parts.
    AllOf,
    /// All of its parts, by one of several tokens: this one, counted from 0.
    Token(usize),
    /// One condition.
    Condition {
        /// What is asked for, named as in the configuration.
        wanted: String,
        /// What the token says. Texts are as signed: to be escaped.
        found: String,
    },
}

/// An event of weighing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weighing {
    /// What comes until its end is a part of this.
    Begins(Part),
    /// The last one that began is weighed.
    Ends(Option<DenialReason>),
    /// One condition.
    Condition {
        /// Which.
        condition: Part,
        /// What it lacks.
        reason: Option<DenialReason>,
    },
}

impl Weighing {
    pub(super) fn ends(outcome: Result<(), Miss>) -> Self {
        Self::Ends(outcome.err().map(Miss::reason))
    }

    pub(super) fn condition(
        condition: &Condition<'_>,
        token: &VerifiedToken,
        outcome: Result<(), Miss>,
    ) -> Self {
        let condition =
            Part::Condition { wanted: wanted(condition), found: found(condition, token) };
        Self::Condition { condition, reason: outcome.err().map(Miss::reason) }
    }
}

fn wanted(condition: &Condition<'_>) -> String {
    match condition {
        Condition::Issuer(issuer) => format!("issuer: {issuer}"),
        Condition::Audiences { accepted, claim } => audiences_wanted(*accepted, *claim),
        Condition::Subjects(patterns) => {
            let patterns: Vec<_> = patterns.iter().map(|one| format!("{one:?}")).collect();
            format!("subjects: {}", patterns.join(" or "))
        }
        Condition::Claim(claim) => claim_wanted(claim),
        Condition::When(expression) => format!("when: {expression:?}"),
        Condition::Scopes { all, any: [] } => {
            format!("scopes: all of {}", all.join(", "))
        }
        Condition::Scopes { all: [], any } => {
            format!("any_scope: one of {}", any.join(", "))
        }
        Condition::Scopes { all, any } => {
            format!("scopes: all of {}, and one of {}", all.join(", "), any.join(", "))
        }
    }
}

fn audiences_wanted(accepted: Option<&Audiences>, claim: Option<&str>) -> String {
    match (accepted, claim) {
        (Some(Audiences::AnyOf(several)), None) => {
            format!("audiences: one of {}", several.join(", "))
        }
        (Some(Audiences::AnyOf(several)), Some(claim)) => {
            format!("audiences: one of {} in {claim}, and no aud", several.join(", "))
        }
        (Some(Audiences::DangerNotChecked), _) => "audiences: not checked".to_owned(),
        (None, _) => "audiences: none configured".to_owned(),
    }
}

fn claim_wanted(ClaimCondition { claim, test }: &ClaimCondition) -> String {
    let list = |several: &[Scalar]| several.iter().map(scalar).collect::<Vec<_>>().join(", ");
    let test = match test {
        ClaimTest::Equals(one) => format!("equals {}", scalar(one)),
        ClaimTest::OneOf(several) => format!("one of {}", list(several)),
        ClaimTest::Contains(one) => format!("contains {}", scalar(one)),
        ClaimTest::ContainsAll(several) => format!("contains all of {}", list(several)),
        ClaimTest::ContainsAny(several) => format!("contains one of {}", list(several)),
        ClaimTest::Exists(true) => "exists".to_owned(),
        ClaimTest::Exists(false) => "does not exist".to_owned(),
        ClaimTest::Matches(pattern) => format!("matches {pattern:?}"),
    };
    format!("claim {}: {test}", claim.join("."))
}

fn scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Text(text) => format!("{text:?}"),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Bool(flag) => flag.to_string(),
    }
}

fn found(condition: &Condition<'_>, token: &VerifiedToken) -> String {
    let claims = token.claims();
    match condition {
        Condition::Issuer(_) => token.issuer().to_string(),
        // An `aud` that must not be there, too.
        Condition::Audiences { claim, .. } => {
            let aud = claims.get("aud");
            shown(claim.filter(|_| aud.is_none()).map_or(aud, |claim| claims.get(claim)))
        }
        Condition::Subjects(_) => shown(claims.get("sub")),
        Condition::Claim(condition) => shown(claims.at(&condition.claim)),
        // An expression looks where it likes.
        Condition::When(_) => String::new(),
        Condition::Scopes { .. } => {
            let scopes: Vec<&str> = Scopes::of(claims).iter().collect();
            if scopes.is_empty() { "no scope".to_owned() } else { scopes.join(", ") }
        }
    }
}

/// As JSON in ASCII.
fn shown(value: Option<View<'_>>) -> String {
    let Some(value) = value else { return "not there".to_owned() };
    let mut text = String::new();
    value.write_json(&mut text);
    text
}
