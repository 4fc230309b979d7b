//! The keys that requests see: an immutable [`KeySnapshot`] behind an atomic pointer.
//!
//! A request loads the snapshot once and keeps it. A refresher publishes what its source holds; the store
//! builds a whole new snapshot and swaps it in. Nothing here waits, reads a clock or does I/O.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::hmac::HmacKey;
use super::jwks::Jwks;
use super::key::{Algorithm, VerificationKey};
use crate::util::clock::UnixTime;
use crate::util::label::Label;

/// Which source of which issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceId {
    /// The issuer the keys belong to.
    pub issuer: Label,
    /// The source, among that issuer's.
    pub source: Label,
}

/// What a source may hold. It is decided by the configuration, before anything is read: what is published
/// for a source that is of the other kind is in no lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Shared secrets, for HS256.
    Hmac,
    /// Public keys.
    Public,
}

/// What one source holds since its last success.
#[derive(Clone, Debug)]
pub struct SourceKeys {
    /// The usable public keys.
    pub keys: Vec<Arc<VerificationKey>>,
    /// The shared secrets. Never in one lookup with `keys`.
    pub hmac: Vec<Arc<HmacKey>>,
    /// When the keys become too old to be trusted: last success + `max_stale`. `None` for keys that are
    /// part of the configuration and cannot age.
    pub usable_until: Option<UnixTime>,
}

impl SourceKeys {
    /// The keys of a document, trusted until `usable_until`.
    pub fn new(jwks: Jwks, usable_until: Option<UnixTime>) -> Self {
        Self { keys: jwks.keys, hmac: Vec::new(), usable_until }
    }

    /// One shared secret, trusted until `usable_until`.
    pub fn hmac(key: Arc<HmacKey>, usable_until: Option<UnixTime>) -> Self {
        Self { keys: Vec::new(), hmac: vec![key], usable_until }
    }
}

/// Holds the current snapshot; refreshers write, requests read.
#[derive(Debug)]
pub struct KeyStore {
    current: ArcSwap<KeySnapshot>,
}

impl KeyStore {
    /// A store in which no source has reported yet. `sources` says how many each issuer has, all of them
    /// of public keys.
    pub fn new(sources: &[usize]) -> Self {
        let public = |count: &usize| vec![KeyKind::Public; *count];
        Self::with_kinds(&sources.iter().map(public).collect::<Vec<_>>())
    }

    /// The same, where `sources` says of each issuer what each of its sources may hold.
    pub fn with_kinds(sources: &[Vec<KeyKind>]) -> Self {
        let unknown = |kinds: &Vec<KeyKind>| {
            let slots = kinds.iter().map(|kind| Slot { kind: *kind, held: None });
            Arc::new(IssuerKeys::build(slots.collect()))
        };
        let issuers = sources.iter().map(unknown).collect();
        Self { current: ArcSwap::from_pointee(KeySnapshot { changes: 0, issuers }) }
    }

    /// The snapshot in force now. A request loads it once.
    pub fn load(&self) -> Guard<Arc<KeySnapshot>> {
        self.current.load()
    }

    /// Replaces what `source` holds; everything else stays. An unknown `source` is ignored. Returns whether
    /// its keys are other ones than before.
    pub fn publish(&self, source: &SourceId, keys: SourceKeys) -> bool {
        let keys = Arc::new(keys);
        let mut changed = false;
        self.current.rcu(|snapshot| {
            let next = snapshot.with(source, &keys);
            changed = next.changes != snapshot.changes;
            next
        });
        changed
    }
}

/// All keys of all issuers at one moment.
#[derive(Debug)]
pub struct KeySnapshot {
    /// Counts the changes of key material: two snapshots of one number verify the same tokens, as far as age allows.
    changes: u64,
    issuers: Vec<Arc<IssuerKeys>>,
}

impl KeySnapshot {
    #[cfg(test)]
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The key that a token of `issuer` with this `kid` and `algorithm` must be verified with.
    ///
    /// Without a `kid`, only when exactly one usable key of that algorithm exists. Ambiguity between two
    /// sources is no key. Never a key of another issuer.
    pub fn find(
        &self,
        issuer: &Label,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> KeyLookup<'_> {
        match self.issuers.get(issuer.index()) {
            Some(keys) => keys.find(kid, algorithm, now),
            None => KeyLookup::Unavailable,
        }
    }

    /// Whether `issuer` has a key of this ID that may be used, for whatever algorithm.
    pub fn publishes(&self, issuer: &Label, kid: &str, now: UnixTime) -> bool {
        let keys = self.issuers.get(issuer.index());
        let entries = keys.and_then(|keys| keys.by_kid.get(kid)).into_iter().flatten();
        entries.into_iter().any(|entry| is_fresh(entry.usable_until, now))
    }

    /// The shared secret that an HS256 token of `issuer` with this `kid` must be verified with.
    ///
    /// A `kid` finds the secret of that name or, where none is named so, one without a name. Without a
    /// `kid`, only when exactly one secret exists. Ambiguity is no key. Never a secret of another issuer.
    pub fn find_hmac(&self, issuer: &Label, kid: Option<&str>, now: UnixTime) -> HmacLookup<'_> {
        match self.issuers.get(issuer.index()) {
            Some(keys) => keys.find_hmac(kid, now),
            None => HmacLookup::Unavailable,
        }
    }

    /// Whether `issuer` has at least one key that may be used, be it a shared secret.
    pub fn is_ready(&self, issuer: &Label, now: UnixTime) -> bool {
        self.issuers.get(issuer.index()).is_some_and(|keys| keys.has_usable(now))
    }

    fn with(&self, source: &SourceId, keys: &Arc<SourceKeys>) -> Self {
        let mut issuers = self.issuers.clone();
        let mut changes = self.changes;
        if let Some(slot) = issuers.get_mut(source.issuer.index()) {
            let mut sources = slot.sources.clone();
            if let Some(slot) = sources.get_mut(source.source.index()) {
                if !slot.held.as_ref().is_some_and(|held| same_keys(held, keys)) {
                    changes += 1;
                }
                slot.held = Some(Arc::clone(keys));
            }
            *slot = Arc::new(IssuerKeys::build(sources));
        }
        Self { changes, issuers }
    }
}

/// The outcome of a search for a key.
#[derive(Clone, Copy, Debug)]
pub enum KeyLookup<'a> {
    /// The one key to verify with.
    Found(&'a VerificationKey),
    /// There is a key of that ID, but it is for another algorithm. No newer document will change that.
    OtherAlgorithm,
    /// Every source is known and fresh, and none has it.
    UnknownKid,
    /// It cannot be told: a source has not reported yet, or what it reported is too old.
    Unavailable,
}

/// The outcome of a search for a shared secret. Not a [`KeyLookup`]: whoever looks for one kind of key
/// cannot be handed the other.
#[derive(Clone, Copy, Debug)]
pub enum HmacLookup<'a> {
    /// The one secret to verify with.
    Found(&'a HmacKey),
    /// Every secret is known and fresh, and none of them is the one that is meant.
    UnknownKid,
    /// It cannot be told: a secret has not been read yet, or was read too long ago.
    Unavailable,
}

#[derive(Debug)]
struct IssuerKeys {
    sources: Vec<Slot>,
    by_kid: HashMap<Box<str>, Vec<Entry>>,
    all: Vec<Entry>,
    hmac: Vec<HmacEntry>,
}

#[derive(Clone, Debug)]
struct Slot {
    kind: KeyKind,
    /// `None`: this source has not reported yet, which is not the same as having no keys.
    held: Option<Arc<SourceKeys>>,
}

#[derive(Debug)]
struct HmacEntry {
    key: Arc<HmacKey>,
    usable_until: Option<UnixTime>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Arc<VerificationKey>,
    usable_until: Option<UnixTime>,
}

impl IssuerKeys {
    fn build(sources: Vec<Slot>) -> Self {
        let mut by_kid: HashMap<Box<str>, Vec<Entry>> = HashMap::new();
        let (mut all, mut hmac) = (Vec::new(), Vec::new());
        for source in held(&sources, KeyKind::Hmac) {
            let entry = |key: &Arc<HmacKey>| HmacEntry {
                key: Arc::clone(key),
                usable_until: source.usable_until,
            };
            hmac.extend(source.hmac.iter().map(entry));
        }
        for source in held(&sources, KeyKind::Public) {
            for key in &source.keys {
                let entry = Entry { key: Arc::clone(key), usable_until: source.usable_until };
                if let Some(kid) = key.kid() {
                    by_kid.entry(kid.into()).or_default().push(entry.clone());
                }
                all.push(entry);
            }
        }
        Self { sources, by_kid, all, hmac }
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm, now: UnixTime) -> KeyLookup<'_> {
        let candidates = match kid {
            Some(kid) => self.by_kid.get(kid).map(Vec::as_slice).unwrap_or_default(),
            None => &self.all,
        };
        let mut found: Option<&VerificationKey> = None;
        let mut is_known = false;
        for entry in candidates.iter().filter(|entry| is_fresh(entry.usable_until, now)) {
            is_known = kid.is_some();
            if !entry.key.supports(algorithm) {
                continue;
            }
            match found {
                Some(other) if !other.same_material(&entry.key) => return KeyLookup::UnknownKid,
                Some(_) => {}
                None => found = Some(&entry.key),
            }
        }
        let all_known = || self.all_known(KeyKind::Public, now);
        match found {
            // Without a kid, "the only one" can be said only once every source has been heard.
            Some(_) if kid.is_none() && !all_known() => KeyLookup::Unavailable,
            Some(key) => KeyLookup::Found(key),
            None if is_known => KeyLookup::OtherAlgorithm,
            None if all_known() => KeyLookup::UnknownKid,
            None => KeyLookup::Unavailable,
        }
    }

    fn find_hmac(&self, kid: Option<&str>, now: UnixTime) -> HmacLookup<'_> {
        let fresh = || self.hmac.iter().filter(|entry| is_fresh(entry.usable_until, now));
        let fresh = || fresh().map(|entry| entry.key.as_ref());
        if kid.is_some() {
            match only(fresh().filter(|key| key.kid() == kid)) {
                Some(Ok(key)) => return HmacLookup::Found(key),
                Some(Err(Ambiguous)) => return HmacLookup::UnknownKid,
                None => {}
            }
        }
        // "The only one" and "none of that name" can be said only once every secret has been read.
        if !self.all_known(KeyKind::Hmac, now) {
            return HmacLookup::Unavailable;
        }
        match only(fresh().filter(|key| kid.is_none() || key.kid().is_none())) {
            Some(Ok(key)) => HmacLookup::Found(key),
            Some(Err(Ambiguous)) | None => HmacLookup::UnknownKid,
        }
    }

    /// Whether every source of this kind has reported and is fresh. Those of the other kind do not matter.
    fn all_known(&self, kind: KeyKind, now: UnixTime) -> bool {
        let is_known = |slot: &Slot| {
            slot.held.as_ref().is_some_and(|source| is_fresh(source.usable_until, now))
        };
        self.sources.iter().filter(|slot| slot.kind == kind).all(is_known)
    }

    fn has_usable(&self, now: UnixTime) -> bool {
        self.all.iter().any(|entry| is_fresh(entry.usable_until, now))
            || self.hmac.iter().any(|entry| is_fresh(entry.usable_until, now))
    }
}

/// What the sources of one kind hold.
fn held(sources: &[Slot], kind: KeyKind) -> impl Iterator<Item = &SourceKeys> {
    sources.iter().filter(move |slot| slot.kind == kind).filter_map(|slot| slot.held.as_deref())
}

/// Different secrets where one is meant.
struct Ambiguous;

/// The one secret among `keys`; it may be there several times.
fn only<'a>(mut keys: impl Iterator<Item = &'a HmacKey>) -> Option<Result<&'a HmacKey, Ambiguous>> {
    let first = keys.next()?;
    Some(if keys.all(|key| key.same_material(first)) { Ok(first) } else { Err(Ambiguous) })
}

fn is_fresh(usable_until: Option<UnixTime>, now: UnixTime) -> bool {
    usable_until.is_none_or(|until| now <= until)
}

/// Whether both verify the same tokens. The order does not matter: some providers shuffle their keys.
fn same_keys(a: &SourceKeys, b: &SourceKeys) -> bool {
    let same = |a: &VerificationKey, b: &VerificationKey| {
        a.kid() == b.kid() && a.same_material(b) && a.algorithms().eq(b.algorithms())
    };
    let all_in = |these: &[Arc<VerificationKey>], those: &[Arc<VerificationKey>]| {
        these.iter().all(|this| those.iter().any(|that| same(this, that)))
    };
    let same_hmac = |a: &HmacKey, b: &HmacKey| a.kid() == b.kid() && a.same_material(b);
    let all_hmac_in = |these: &[Arc<HmacKey>], those: &[Arc<HmacKey>]| {
        these.iter().all(|this| those.iter().any(|that| same_hmac(this, that)))
    };
    all_in(&a.keys, &b.keys)
        && all_in(&b.keys, &a.keys)
        && all_hmac_in(&a.hmac, &b.hmac)
        && all_hmac_in(&b.hmac, &a.hmac)
}

#[cfg(test)]
mod tests;
