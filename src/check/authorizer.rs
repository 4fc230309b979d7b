//! The decision: rules → token → revocations → requirement → headers, in that order. Where a path has several readings,
//! for each rule that one of them leads to.

use std::borrow::Cow;
use std::sync::Arc;

use super::decision::{Allowance, Decision, Denial};
use super::forward::{Forward, HeaderMutations, Unforwardable};
use super::locations::{Extracted, TokenLocations, TokenTraces};
use super::preflight::is_preflight;
use super::reason::DenialReason;
use super::request::CheckRequest;
use super::requirement::Facts;
use super::revoked;
use super::rules::{Rule, RuleAction, RuleMode, RuleSet, Selection, SeveralTokens, TokenRule};
use super::steps::{Fact, Recorder, Step, Watch};
use super::{KnownToken, VerifiedTokenCache};
use crate::keys::store::{KeySnapshot, KeyStore};
use crate::revocation::Revocations;
use crate::token::observe::Unobserved;
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
    /// What was taken back; `None`: nothing is looked up.
    pub revocations: Option<Revocations>,
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
    pub fn check(&self, request: &CheckRequest<'_>, now: UnixTime) -> Decision {
        self.decide(request, now, &mut Unobserved)
    }

    /// Decides, and says what was looked at on the way. For people who ask, not for requests.
    pub fn explain(&self, request: &CheckRequest<'_>, now: UnixTime) -> (Decision, Vec<Step>) {
        let mut recorder = Recorder::default();
        let decision = self.decide(request, now, &mut recorder);
        (decision, recorder.steps)
    }

    /// The rules in force.
    pub fn rules(&self) -> &RuleSet {
        &self.policy.rules
    }

    fn decide(
        &self,
        request: &CheckRequest<'_>,
        now: UnixTime,
        watch: &mut impl Watch,
    ) -> Decision {
        let policy = &self.policy;
        if policy.allows_preflight && is_preflight(request) {
            watch.note(|| Step { looked_at: Fact::Preflight, reason: None });
            return policy.pass_preflight(request, watch);
        }
        let selection = policy.rules.select(request);
        watch.note(|| Step::selection(request, &selection));
        match selection {
            Selection::None(_) => Decision::Deny(Denial::before_any_rule(DenialReason::NoRule)),
            Selection::Open(rule) => {
                watch.note(|| Step::rule(rule));
                policy.finish(request, rule, &[], Proof::Nobody, None, watch)
            }
            Selection::Closed { first, others, is_ambiguous } => {
                policy.check_tokens(request, first, &others, is_ambiguous, now, watch)
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
        request: &CheckRequest<'_>,
        first: &Rule,
        others: &[&Rule],
        is_ambiguous: bool,
        now: UnixTime,
        watch: &mut impl Watch,
    ) -> Decision {
        let keys = self.keys.load();
        let mut proof = None;
        let mut would_deny = None;
        for rule in std::iter::once(first).chain(others.iter().copied()) {
            watch.note(|| Step::rule(rule));
            match (self.prove(request, rule, is_ambiguous, &keys, now, watch), rule.mode) {
                (Ok(proved), _) => match (&proof, proved) {
                    (None, proved) => proof = Some(proved),
                    (Some(known), proved) if known.is_same(&proved) => {}
                    (Some(_), _) => {
                        let reason = Some(DenialReason::MultipleTokens);
                        watch.note(|| Step { looked_at: Fact::SameToken, reason });
                        return Decision::Deny(denial(rule, DenialReason::MultipleTokens));
                    }
                },
                (Err(denial), RuleMode::Shadow) => would_deny = would_deny.or(Some(denial)),
                (Err(denial), RuleMode::Enforce) => return Decision::Deny(denial),
            }
        }
        // What did not do for one rule is not forwarded for another's sake.
        let proof = proof.filter(|_| would_deny.is_none()).unwrap_or(Proof::Nobody);
        self.finish(request, first, others, proof, would_deny, watch)
    }

    /// What the request proves to `rule`.
    fn prove<'a>(
        &self,
        request: &'a CheckRequest<'_>,
        rule: &Rule,
        is_ambiguous: bool,
        keys: &KeySnapshot,
        now: UnixTime,
        watch: &mut impl Watch,
    ) -> Result<Proof<'a>, Denial> {
        let RuleAction::Require(wanted) = &rule.action else { return Ok(Proof::Nobody) };
        let extracted = extracted(rule.tokens.extract(request), wanted, is_ambiguous);
        watch.note(|| {
            let found = rule.tokens.found(request).into_iter();
            let found = found.map(|(location, found)| (location.to_string(), found)).collect();
            Step { looked_at: Fact::Locations(found), reason: extracted.as_ref().err().copied() }
        });
        let extracted = extracted.map_err(|reason| denial(rule, reason))?;
        let Some((raw, others)) = extracted else { return Ok(Proof::Nobody) };
        let mut verify = |raw: &str| {
            let (cache, raw) = (self.cache.as_ref(), RawToken::new(raw));
            let known = self.verifier.verify_known_observed(cache, raw, keys, now, watch);
            let known = known.map_err(|refused| Denial {
                rule: Some(rule.label.clone()),
                issuer: refused.issuer,
                reason: refused.refusal.into(),
                missing_kid: refused.missing_kid,
            })?;
            if let Some(revocations) =
                self.revocations.as_ref().filter(|_| wanted.checks_revocation)
            {
                revoked::judge(revocations, &known, now, watch).map_err(|reason| Denial {
                    issuer: Some(known.issuer().clone()),
                    ..denial(rule, reason)
                })?;
            }
            Ok(known)
        };
        let token = verify(&raw)?;
        let others = others.iter().map(|raw| verify(raw)).collect::<Result<Vec<_>, _>>()?;
        self.judge(request, wanted, &token, &others, watch).map_err(|reason| {
            let issuer = Some(token.issuer().clone());
            Denial { rule: Some(rule.label.clone()), issuer, reason, missing_kid: None }
        })?;
        Ok(Proof::Somebody { token, raw })
    }

    /// Whether the verified tokens do for a rule. Where one of them would do alone, each of the others has to as well,
    /// and to be from the same issuer, since subjects of two issuers are two people; where each is needed, each has to
    /// prove a part, and all name the same subject. So whichever of them is forwarded was asked for.
    fn judge(
        &self,
        request: &CheckRequest<'_>,
        wanted: &TokenRule,
        first: &VerifiedToken,
        others: &[Arc<KnownToken>],
        watch: &mut impl Watch,
    ) -> Result<(), DenialReason> {
        let facts = Facts { request, issuers: self.verifier.issuers() };
        let others = others.iter().map(|token| &***token);
        let tokens: Vec<&VerifiedToken> = std::iter::once(first).chain(others).collect();
        wanted.requirement.judge_observed(&tokens, facts, watch)?;
        if tokens.len() == 1 {
            return Ok(());
        }
        let alone = |token: &&VerifiedToken| wanted.requirement.judge(&[*token], facts);
        let one_will_do = tokens.iter().any(|token| alone(token).is_ok());
        let each = if one_will_do {
            tokens.iter().try_for_each(alone)
        } else {
            tokens.iter().try_for_each(|token| wanted.requirement.judge_part(token, facts))
        };
        let is_same = |other: &VerifiedToken| {
            first.subject().is_some()
                && first.subject() == other.subject()
                && (!one_will_do || first.iss() == other.iss())
        };
        let is_same = tokens.iter().all(|token| is_same(token));
        let same = each.and_then(|()| is_same.then_some(()).ok_or(DenialReason::ClaimMismatch));
        watch.note(|| Step { looked_at: Fact::SameSubject, reason: same.err() });
        same
    }

    /// Lets a request pass that did for `first`, which is told, and for `others`.
    fn finish(
        &self,
        request: &CheckRequest<'_>,
        first: &Rule,
        others: &[&Rule],
        proof: Proof<'_>,
        would_deny: Option<Denial>,
        watch: &mut impl Watch,
    ) -> Decision {
        let rules = || std::iter::once(first).chain(others.iter().copied());
        let taken = rules().filter(|rule| !rule.keep_token).map(|rule| &*rule.tokens);
        let traces = TokenTraces::of(request, taken);
        let proved = match &proof {
            Proof::Nobody => None,
            Proof::Somebody { token, raw } => Some((&**token, RawToken::new(raw))),
        };
        let mutations = self.forward.mutations(request, proved, traces);
        watch.note(|| forwarded(&mutations));
        let mutations = match mutations {
            Ok(mutations) => mutations,
            Err(Unforwardable { reason, .. }) => {
                let issuer = proved.map(|(token, _)| token.issuer().clone());
                let denial = Denial { issuer, ..denial(first, reason) };
                // What cannot be told of somebody is no reason for a shadow rule to refuse.
                if proved.is_some() && rules().all(|rule| rule.mode == RuleMode::Shadow) {
                    let would_deny = Some(denial);
                    return self.finish(request, first, others, Proof::Nobody, would_deny, watch);
                }
                return Decision::Deny(denial);
            }
        };
        Decision::Allow(Allowance {
            rule: Some(first.label.clone()),
            token: match proof {
                Proof::Nobody => None,
                Proof::Somebody { token, .. } => Some(token),
            },
            mutations,
            would_deny,
        })
    }

    /// A browser's question whether it may ask. It carries no token by design, and gets nothing but an answer to that.
    fn pass_preflight(&self, request: &CheckRequest<'_>, watch: &mut impl Watch) -> Decision {
        let mutations = self.forward.mutations(request, None, self.tokens.traces(request));
        watch.note(|| forwarded(&mutations));
        match mutations {
            Ok(mutations) => {
                Decision::Allow(Allowance { rule: None, token: None, mutations, would_deny: None })
            }
            Err(Unforwardable { reason, .. }) => Decision::Deny(Denial::before_any_rule(reason)),
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

fn forwarded(outcome: &Result<HeaderMutations, Unforwardable>) -> Step {
    let failure = outcome.as_ref().err();
    let reason = failure.map(|failure| failure.reason);
    Step { looked_at: Fact::Forward(failure.cloned()), reason }
}

/// The token and the others with it. `None` where there is none and none is needed.
type Credentials<'a> = Option<(Cow<'a, str>, Vec<Cow<'a, str>>)>;

fn extracted<'a>(
    extracted: Extracted<'a>,
    wanted: &TokenRule,
    is_ambiguous: bool,
) -> Result<Credentials<'a>, DenialReason> {
    match extracted {
        Extracted::Tokens { others, .. }
            if !others.is_empty() && wanted.several == SeveralTokens::Refuse =>
        {
            Err(DenialReason::MultipleTokens)
        }
        Extracted::Tokens { first, others } => Ok(Some((first, others))),
        Extracted::Missing if wanted.optional && !is_ambiguous => Ok(None),
        Extracted::Missing => Err(DenialReason::MissingToken),
        Extracted::Several => Err(DenialReason::MultipleTokens),
        Extracted::Malformed => Err(DenialReason::Malformed),
    }
}
