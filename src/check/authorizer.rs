//! The decision: rules → token → requirement → headers, in that order, once per request.

use std::sync::Arc;

use super::decision::{Allowance, Decision, Denial, DenialReason};
use super::extract::{Extracted, TokenSources};
use super::headers::Forward;
use super::request::CheckRequest;
use super::rules::{Rule, RuleSet, Selection};
use crate::keys::store::KeyStore;
use crate::token::{RawToken, VerifiedToken, Verifier};
use crate::util::clock::UnixTime;
use crate::util::label::Label;

/// Everything that decides, as one configuration says it. Built whole, never changed; the keys inside change on
/// their own, behind [`KeyStore`].
#[derive(Debug)]
pub struct PolicySnapshot {
    /// Which rule applies.
    pub rules: RuleSet,
    /// Where tokens are looked for.
    pub tokens: TokenSources,
    /// Which issuers are trusted.
    pub verifier: Verifier,
    /// The issuers' keys, numbered as in `verifier`.
    pub keys: Arc<KeyStore>,
    /// What the upstream gets to see.
    pub forward: Forward,
}

/// Answers one question: may this request pass, and who is it from?
#[derive(Debug)]
pub struct Authorizer {
    policy: PolicySnapshot,
}

impl Authorizer {
    /// An authorizer with `policy` in force.
    pub fn new(policy: PolicySnapshot) -> Self {
        Self { policy }
    }

    /// Decides. Reads the keys once, so no request sees half of two key sets.
    pub fn check(&self, request: &CheckRequest, now: UnixTime) -> Decision {
        let policy = &self.policy;
        match policy.rules.select(request) {
            Selection::None => Decision::Deny(Denial::before_any_rule(DenialReason::NoRule)),
            Selection::Open(rule) => policy.finish(request, rule, None),
            Selection::Closed { first, others } => policy.check_token(request, first, &others, now),
        }
    }
}

impl PolicySnapshot {
    /// `first` and `others` are all that this request may be read as; the token must do for each of them.
    fn check_token(
        &self,
        request: &CheckRequest,
        first: &Rule,
        others: &[&Rule],
        now: UnixTime,
    ) -> Decision {
        let deny = |reason, issuer: Option<Label>| {
            let rule = Some(first.label.clone());
            Decision::Deny(Denial { rule, issuer, reason, missing_kid: None })
        };
        let token = match self.tokens.extract(request) {
            Extracted::Token(token) => token,
            Extracted::Missing => return deny(DenialReason::MissingToken, None),
            Extracted::Several => return deny(DenialReason::MultipleTokens, None),
            Extracted::Malformed => return deny(DenialReason::Malformed, None),
        };
        let verified = match self.verifier.verify(token, &self.keys.load(), now) {
            Ok(verified) => verified,
            Err(refused) => {
                return Decision::Deny(Denial {
                    rule: Some(first.label.clone()),
                    issuer: refused.issuer,
                    reason: refused.refusal.into(),
                    missing_kid: refused.missing_kid,
                });
            }
        };
        if !first.accepts(&verified) || !others.iter().all(|rule| rule.accepts(&verified)) {
            return deny(DenialReason::ClaimMismatch, Some(verified.issuer().clone()));
        }
        self.finish(request, first, Some((&verified, token)))
    }

    fn finish(
        &self,
        request: &CheckRequest,
        rule: &Rule,
        token: Option<(&VerifiedToken, RawToken<'_>)>,
    ) -> Decision {
        let issuer = token.map(|(verified, _)| verified.issuer().clone());
        let signed_with = token.map(|(verified, _)| verified.signed_with());
        let rule = rule.label.clone();
        match self.forward.mutations(request, token, &self.tokens) {
            Ok(mutations) => Decision::Allow(Allowance { rule, issuer, signed_with, mutations }),
            Err(reason) => {
                Decision::Deny(Denial { rule: Some(rule), issuer, reason, missing_kid: None })
            }
        }
    }
}
