//! The decision: rules → token → requirement → headers, in that order, once per request.

use std::borrow::Cow;
use std::sync::Arc;

use super::decision::{Allowance, Decision, Denial, DenialReason};
use super::forward::Forward;
use super::locations::{Extracted, TokenLocations, TokenTraces};
use super::preflight::is_preflight;
use super::request::CheckRequest;
use super::requirement::Facts;
use super::rules::{Rule, RuleAction, RuleMode, RuleSet, Selection, SeveralTokens, TokenRule};
use super::{KnownToken, VerifiedTokenCache};
use crate::keys::store::{KeySnapshot, KeyStore};
use crate::token::{CacheStats, RawToken, VerifiedToken, Verifier};
use crate::util::clock::UnixTime;

/// Everything that decides, as one configuration says it. Built whole, never changed; the keys inside change on
/// their own, behind [`KeyStore`].
#[derive(Debug)]
pub struct PolicySnapshot {
    /// Which rule applies.
    pub rules: RuleSet,
    /// Where tokens are looked for, unless a rule says otherwise: what a preflight must not take along.
    pub tokens: TokenLocations,
    /// Which issuers are trusted.
    pub verifier: Verifier,
    /// The issuers' keys, numbered as in `verifier`.
    pub keys: Arc<KeyStore>,
    /// Tokens that were verified before; `None`: none is remembered.
    pub cache: Option<VerifiedTokenCache>,
    /// What the upstream gets to see.
    pub forward: Forward,
    /// Whether a CORS preflight passes without a token.
    pub allows_preflight: bool,
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

    /// What its memory of tokens did so far; nothing where it has none.
    pub fn cache_stats(&self) -> CacheStats {
        self.policy.cache.as_ref().map(VerifiedTokenCache::stats).unwrap_or_default()
    }

    /// Decides. Reads the keys once, so no request sees half of two key sets.
    pub fn check(&self, request: &CheckRequest, now: UnixTime) -> Decision {
        let policy = &self.policy;
        if policy.allows_preflight && is_preflight(request) {
            return policy.pass_preflight(request);
        }
        match policy.rules.select(request) {
            Selection::None => Decision::Deny(Denial::before_any_rule(DenialReason::NoRule)),
            Selection::Open(rule) => policy.finish(request, rule, Proof::Nobody, None),
            Selection::Closed { first, others, is_ambiguous } => {
                policy.check_tokens(request, first, &others, is_ambiguous, now)
            }
        }
    }
}

/// Who a request is from.
enum Proof<'a> {
    Nobody,
    Somebody { token: Arc<KnownToken>, raw: Cow<'a, str> },
}

impl PolicySnapshot {
    /// `first` and `others` are all that this request may be read as: it must do for each of them, with the same token.
    fn check_tokens(
        &self,
        request: &CheckRequest,
        first: &Rule,
        others: &[&Rule],
        is_ambiguous: bool,
        now: UnixTime,
    ) -> Decision {
        let keys = self.keys.load();
        let mut proof = None;
        let mut would_deny = None;
        for rule in std::iter::once(first).chain(others.iter().copied()) {
            match (self.prove(request, rule, is_ambiguous, &keys, now), rule.mode) {
                (Ok(proved), _) => match (&proof, proved) {
                    (None, proved) => proof = Some(proved),
                    (Some(known), proved) if known.is_same(&proved) => {}
                    (Some(_), _) => {
                        return Decision::Deny(denial(rule, DenialReason::MultipleTokens));
                    }
                },
                (Err(denial), RuleMode::Shadow) => would_deny = would_deny.or(Some(denial)),
                (Err(denial), RuleMode::Enforce) => return Decision::Deny(denial),
            }
        }
        // What did not do for one rule is not forwarded for another's sake.
        let proof = proof.filter(|_| would_deny.is_none()).unwrap_or(Proof::Nobody);
        self.finish(request, first, proof, would_deny)
    }

    /// What the request proves to `rule`.
    fn prove<'a>(
        &self,
        request: &'a CheckRequest,
        rule: &Rule,
        is_ambiguous: bool,
        keys: &KeySnapshot,
        now: UnixTime,
    ) -> Result<Proof<'a>, Denial> {
        let RuleAction::Require(wanted) = &rule.action else { return Ok(Proof::Nobody) };
        let deny = |reason| Err(denial(rule, reason));
        let (raw, others) = match rule.tokens.extract(request) {
            Extracted::Tokens { first, others } => (first, others),
            Extracted::Missing if wanted.optional && !is_ambiguous => return Ok(Proof::Nobody),
            Extracted::Missing => return deny(DenialReason::MissingToken),
            Extracted::Several => return deny(DenialReason::MultipleTokens),
            Extracted::Malformed => return deny(DenialReason::Malformed),
        };
        if !others.is_empty() && wanted.several == SeveralTokens::Refuse {
            return deny(DenialReason::MultipleTokens);
        }
        let verify = |raw: &str| {
            let cache = self.cache.as_ref();
            let known = self.verifier.verify_known(cache, RawToken::new(raw), keys, now);
            known.map_err(|refused| Denial {
                rule: Some(rule.label.clone()),
                issuer: refused.issuer,
                reason: refused.refusal.into(),
                missing_kid: refused.missing_kid,
            })
        };
        let token = verify(&raw)?;
        let others = others.iter().map(|raw| verify(raw)).collect::<Result<Vec<_>, _>>()?;
        self.judge(request, wanted, &token, &others).map_err(|reason| {
            let issuer = Some(token.issuer().clone());
            Denial { rule: Some(rule.label.clone()), issuer, reason, missing_kid: None }
        })?;
        Ok(Proof::Somebody { token, raw })
    }

    /// Whether the verified tokens do for a rule. Where one of them would do alone, the others have to be from the
    /// same issuer, since subjects of two issuers are two people; where each is needed, all name the same subject.
    fn judge(
        &self,
        request: &CheckRequest,
        wanted: &TokenRule,
        first: &VerifiedToken,
        others: &[Arc<KnownToken>],
    ) -> Result<(), DenialReason> {
        let facts = Facts { request, issuers: self.verifier.issuers() };
        let others = others.iter().map(|token| &***token);
        let tokens: Vec<&VerifiedToken> = std::iter::once(first).chain(others).collect();
        wanted.requirement.judge(&tokens, facts)?;
        if tokens.len() == 1 {
            return Ok(());
        }
        let one_will_do =
            tokens.iter().any(|token| wanted.requirement.judge(&[*token], facts).is_ok());
        let is_same = |other: &VerifiedToken| {
            first.subject().is_some()
                && first.subject() == other.subject()
                && (!one_will_do || first.iss() == other.iss())
        };
        if tokens.iter().all(|token| is_same(token)) {
            Ok(())
        } else {
            Err(DenialReason::ClaimMismatch)
        }
    }

    fn finish(
        &self,
        request: &CheckRequest,
        rule: &Rule,
        proof: Proof<'_>,
        would_deny: Option<Denial>,
    ) -> Decision {
        let traces =
            if rule.keep_token { TokenTraces::default() } else { rule.tokens.traces(request) };
        let proved = match &proof {
            Proof::Nobody => None,
            Proof::Somebody { token, raw } => Some((&**token, RawToken::new(raw))),
        };
        let mutations = match self.forward.mutations(request, proved, traces) {
            Ok(mutations) => mutations,
            Err(reason) => {
                let issuer = proved.map(|(token, _)| token.issuer().clone());
                return Decision::Deny(Denial { issuer, ..denial(rule, reason) });
            }
        };
        Decision::Allow(Allowance {
            rule: Some(rule.label.clone()),
            token: match proof {
                Proof::Nobody => None,
                Proof::Somebody { token, .. } => Some(token),
            },
            tells_claims: self.forward.metadata,
            mutations,
            would_deny,
        })
    }

    /// A browser's question whether it may ask. It carries no token by design, and gets nothing but an answer to that.
    fn pass_preflight(&self, request: &CheckRequest) -> Decision {
        match self.forward.mutations(request, None, self.tokens.traces(request)) {
            Ok(mutations) => Decision::Allow(Allowance {
                rule: None,
                token: None,
                tells_claims: false,
                mutations,
                would_deny: None,
            }),
            Err(reason) => Decision::Deny(Denial::before_any_rule(reason)),
        }
    }
}

impl Proof<'_> {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nobody, Self::Nobody) => true,
            (Self::Somebody { raw: one, .. }, Self::Somebody { raw: other, .. }) => one == other,
            (Self::Nobody, Self::Somebody { .. }) | (Self::Somebody { .. }, Self::Nobody) => false,
        }
    }
}

fn denial(rule: &Rule, reason: DenialReason) -> Denial {
    Denial { rule: Some(rule.label.clone()), ..Denial::before_any_rule(reason) }
}
