//! What may happen to a key next, and when. Pure: a manifest and a time in, a step or a refusal out.
//!
//! The safe order of a rotation is: publish the next key → (every verifier has fetched it) activate it, the old one
//! stops signing → (its last token has expired) retire the old one. A step that comes too early strands tokens:
//! genuine ones are refused. Such a step is refused, or done by force with a word on what it breaks.

use std::time::Duration;

use super::manifest::{KeyState, Kid, ManagedKey, Manifest};
use crate::util::clock::UnixTime;
use crate::util::rfc3339::rfc3339;

/// Added to the token lifetime before a key may retire: verifiers' clocks differ, and they allow for that.
pub const SKEW: Duration = Duration::from_secs(60);
/// An active key older than this is warned about.
pub const MAX_KEY_AGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One step in the life of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the very first key and sign with it: nobody verifies yet.
    First,
    /// Make a key and publish it; it signs nothing yet.
    Publish,
    /// Let the next key sign. The one that did begins to retire.
    Activate(Kid),
    /// Withdraw a key and delete its private half.
    Retire(Kid),
    /// Make a key and sign with it at once, because no key signs.
    Replace,
}

/// A step that may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// What to do.
    pub step: Step,
    /// What it breaks, when only force allows it. Empty otherwise.
    pub breaks: Vec<String>,
}

/// Why a step is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing to rotate.
    #[error("there is no key yet; make the first one with `claimgate keys generate`")]
    Empty,
    /// One key waits already.
    #[error(
        "{0} is next already; `claimgate keys rotate` activates it, `claimgate keys retire {0}` withdraws it"
    )]
    NextExists(Kid),
    /// The kid is, or was, that of another key.
    #[error("{0} is the kid of a key that is {1}; a kid is never used again")]
    KidTaken(Kid, KeyState),
    /// Not every verifier has the next key.
    #[error(
        "{kid} was published at {}: verifiers may still go by a JWKS without it, and would refuse its tokens. \
         Allowed from {}",
        rfc3339(*.since), rfc3339(*.allowed_at)
    )]
    NotYetKnown {
        /// The next key.
        kid: Kid,
        /// When it was published.
        since: UnixTime,
        /// When the JWKS max-age is over.
        allowed_at: UnixTime,
    },
    /// Tokens of the key may still be valid.
    #[error(
        "{kid} signed until {}: its last tokens are still valid, and would be refused. Allowed from {}",
        rfc3339(*.since), rfc3339(*.allowed_at)
    )]
    StillNeeded {
        /// The retiring key.
        kid: Kid,
        /// When it stopped signing.
        since: UnixTime,
        /// When the token lifetime and [`SKEW`] are over.
        allowed_at: UnixTime,
    },
    /// It is the one that signs.
    #[error(
        "{0} is the active key: rotate first. If it is compromised, --force withdraws it at once"
    )]
    Signing(Kid),
}

impl Refusal {
    /// When the same step will be allowed, where waiting helps.
    #[must_use]
    pub fn allowed_at(&self) -> Option<UnixTime> {
        match self {
            Self::NotYetKnown { allowed_at, .. } | Self::StillNeeded { allowed_at, .. } => {
                Some(*allowed_at)
            }
            Self::Empty | Self::NextExists(_) | Self::KidTaken(..) | Self::Signing(_) => None,
        }
    }
}

/// What making one more key means.
///
/// # Errors
/// [`Refusal::NextExists`].
pub fn generate(manifest: &Manifest) -> Result<Permit, Refusal> {
    if let Some(next) = manifest.next() {
        return Err(Refusal::NextExists(next.kid().clone()));
    }
    let step = if manifest.keys().is_empty() { Step::First } else { Step::Publish };
    Ok(Permit { step, breaks: vec![] })
}

/// The one step that a rotation takes now. Of two that are possible it is the one that is due first.
///
/// # Errors
/// When it would strand tokens and there is no force, or there is nothing to rotate.
pub fn rotate(manifest: &Manifest, now: UnixTime, force: bool) -> Result<Permit, Refusal> {
    if manifest.keys().is_empty() {
        return Err(Refusal::Empty);
    }
    let waiting = [KeyState::Retiring, KeyState::Next];
    let waiting = waiting.into_iter().flat_map(|state| manifest.in_state(state));
    // While nothing signs, retiring an older key is not what helps.
    let waiting =
        waiting.filter(|key| manifest.active().is_some() || key.state() == KeyState::Next);
    match waiting.min_by_key(|key| allowed_at(key, manifest)) {
        Some(key) if key.state() == KeyState::Next => activate(key, manifest, now, force),
        Some(key) => retire_unused(key, manifest, now, force),
        None if manifest.active().is_none() && force => {
            let known = now.saturating_add(manifest.policy.jwks_max_age);
            let breaks = vec![format!(
                "no verifier knows the new key yet: those that do not fetch on an unknown kid refuse its tokens, \
                 until {} at the latest",
                rfc3339(known)
            )];
            Ok(Permit { step: Step::Replace, breaks })
        }
        None => Ok(Permit { step: Step::Publish, breaks: vec![] }),
    }
}

/// Withdrawing one key. `None` when it is retired already.
///
/// # Errors
/// When it would strand tokens and there is no force.
pub fn retire(
    key: &ManagedKey,
    manifest: &Manifest,
    now: UnixTime,
    force: bool,
) -> Result<Option<Permit>, Refusal> {
    let step = Step::Retire(key.kid().clone());
    match key.state() {
        KeyState::Retired => Ok(None),
        // It has signed nothing.
        KeyState::Next => Ok(Some(Permit { step, breaks: vec![] })),
        KeyState::Retiring => retire_unused(key, manifest, now, force).map(Some),
        KeyState::Active if !force => Err(Refusal::Signing(key.kid().clone())),
        KeyState::Active => {
            let breaks = vec![
                format!("every token that {} signed is refused once verifiers fetch", key.kid()),
                "nothing signs until `claimgate keys rotate --force`".to_owned(),
            ];
            Ok(Some(Permit { step, breaks }))
        }
    }
}

/// From when the step after `key`'s state is safe; for an active key, when a successor is due.
#[must_use]
pub fn allowed_at(key: &ManagedKey, manifest: &Manifest) -> Option<UnixTime> {
    let policy = manifest.policy;
    match key.state() {
        KeyState::Next => Some(key.since().saturating_add(policy.jwks_max_age)),
        KeyState::Active => Some(key.published_at().saturating_add(MAX_KEY_AGE)),
        KeyState::Retiring => {
            Some(key.since().saturating_add(policy.token_lifetime).saturating_add(SKEW))
        }
        KeyState::Retired => None,
    }
}

fn activate(
    key: &ManagedKey,
    manifest: &Manifest,
    now: UnixTime,
    force: bool,
) -> Result<Permit, Refusal> {
    let step = Step::Activate(key.kid().clone());
    let early = allowed_at(key, manifest).filter(|allowed_at| now < *allowed_at);
    let Some(allowed_at) = early else { return Ok(Permit { step, breaks: vec![] }) };
    if !force {
        let (kid, since) = (key.kid().clone(), key.since());
        return Err(Refusal::NotYetKnown { kid, since, allowed_at });
    }
    let breaks = vec![format!(
        "verifiers that have not fetched since {} and do not fetch on an unknown kid refuse the tokens of {}, \
         until {} at the latest",
        rfc3339(key.since()),
        key.kid(),
        rfc3339(allowed_at)
    )];
    Ok(Permit { step, breaks })
}

/// For a key that signs no more.
fn retire_unused(
    key: &ManagedKey,
    manifest: &Manifest,
    now: UnixTime,
    force: bool,
) -> Result<Permit, Refusal> {
    let step = Step::Retire(key.kid().clone());
    let early = allowed_at(key, manifest).filter(|allowed_at| now < *allowed_at);
    let Some(allowed_at) = early else { return Ok(Permit { step, breaks: vec![] }) };
    if !force {
        let (kid, since) = (key.kid().clone(), key.since());
        return Err(Refusal::StillNeeded { kid, since, allowed_at });
    }
    let breaks = vec![format!(
        "tokens that {} signed until {} are refused once verifiers fetch, although they are valid until {} at \
         the latest",
        key.kid(),
        rfc3339(key.since()),
        rfc3339(allowed_at)
    )];
    Ok(Permit { step, breaks })
}

impl Manifest {
    /// Publishes `key` last in the list.
    pub(super) fn publish(&mut self, key: ManagedKey) {
        self.keys.push(key);
    }

    /// The active key begins to retire, `kid` is active.
    pub(super) fn activate(&mut self, kid: &Kid, now: UnixTime) {
        for key in &mut self.keys {
            if key.state() == KeyState::Active {
                key.enter(KeyState::Retiring, now);
            } else if key.kid() == kid {
                key.enter(KeyState::Active, now);
            }
        }
    }

    /// `kid` is withdrawn.
    pub(super) fn retire(&mut self, kid: &Kid, now: UnixTime) {
        for key in self.keys.iter_mut().filter(|key| key.kid() == kid) {
            key.enter(KeyState::Retired, now);
        }
    }
}
