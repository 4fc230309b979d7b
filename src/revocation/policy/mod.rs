//! What is done about what is known: the configured outcomes, applied to one verified token. `check` asks it and turns
//! the verdict into a decision. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::entry::EntryKind;
use super::snapshot::{RevocationLookup, TokenFacts};
use super::store::RevocationStore;
use crate::util::clock::UnixTime;

/// The revocations of one configuration.
#[derive(Clone, Debug)]
pub struct Revocations {
    /// What is known.
    pub store: Arc<RevocationStore>,
    /// What it means.
    pub policy: RevocationPolicy,
}

/// What to do where it cannot be told whether a token is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationPolicy {
    /// How long the last snapshot is believed after its source was last heard; `None`: for ever.
    pub max_stale: Option<Duration>,
    /// What happens then, and before the first load.
    pub when_stale: WhenStale,
    /// What happens to tokens that no entry can name.
    pub without_jti: WithoutJti,
    /// Whether requests may come before the first load.
    pub before_first_load: BeforeFirstLoad,
}

impl Default for RevocationPolicy {
    fn default() -> Self {
        Self {
            max_stale: Some(Duration::from_secs(5 * 60)),
            when_stale: WhenStale::Deny,
            without_jti: WithoutJti::Refuse,
            before_first_load: BeforeFirstLoad::NotReady,
        }
    }
}

/// What happens while the source has not been heard for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenStale {
    /// Tokens that are not known to be revoked are refused: 503 `revocation_stale`.
    Deny,
    /// They pass, and are counted.
    Allow,
}

/// What happens to tokens without a `jti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutJti {
    /// They are refused: 401 `missing_claim`.
    Refuse,
    /// They pass unless their subject, session, key or issuer is revoked.
    Accept,
}

/// What readiness says while nothing has been loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeforeFirstLoad {
    /// Not ready.
    NotReady,
    /// Ready: [`WhenStale`] says what becomes of requests.
    Ready,
}

/// What becomes of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not revoked.
    Good,
    /// It could not be told, and it passes all the same, as configured.
    Unchecked,
    /// It is revoked, by an entry of this kind.
    Revoked(EntryKind),
    /// It could not be told.
    Stale,
    /// No entry could name it.
    NoJti,
}

impl Revocations {
    /// Judges a verified token.
    pub fn judge(&self, facts: &TokenFacts<'_>, now: UnixTime) -> Verdict {
        // Before the snapshot: one that is newer than the word on its freshness does no harm.
        let is_fresh = self.store.is_fresh(self.policy.max_stale, now);
        let found = self.store.load().look_up(facts, now);
        match (found, self.policy.when_stale, self.policy.without_jti) {
            // However old the snapshot is: nobody takes a revocation back.
            (RevocationLookup::Revoked(kind), _, _) => Verdict::Revoked(kind),
            (_, _, WithoutJti::Refuse) if !facts.can_be_revoked() => Verdict::NoJti,
            (RevocationLookup::NotRevoked, _, _) if is_fresh => Verdict::Good,
            (RevocationLookup::NotRevoked | RevocationLookup::Unknown, WhenStale::Deny, _) => {
                Verdict::Stale
            }
            (RevocationLookup::NotRevoked | RevocationLookup::Unknown, WhenStale::Allow, _) => {
                self.store.count_passed();
                Verdict::Unchecked
            }
        }
    }

    /// Whether requests may come as far as this is concerned.
    pub fn is_ready(&self) -> bool {
        self.policy.before_first_load == BeforeFirstLoad::Ready || self.store.load().is_loaded()
    }
}

#[cfg(test)]
mod tests;
