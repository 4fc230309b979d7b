//! The keys that requests see: an immutable [`KeySnapshot`] behind an atomic pointer.
//!
//! A request loads the snapshot once and keeps it. A refresher publishes what its source holds; the store
//! builds a whole new snapshot and swaps it in. Nothing here waits, reads a clock or does I/O.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::hmac::HmacKey;
use super::jwks::{Jwks, SkippedKey};
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
    /// What was passed over.
    pub skipped: Vec<SkippedKey>,
    /// When the keys become too old to be trusted: last success + `max_stale`. `None` for keys that are
    /// part of the configuration and cannot age.
    pub usable_until: Option<UnixTime>,
}

impl SourceKeys {
    /// The keys of a document, trusted until `usable_until`.
    pub fn new(jwks: Jwks, usable_until: Option<UnixTime>) -> Self {
        Self { keys: jwks.keys, hmac: Vec::new(), skipped: jwks.skipped, usable_until }
    }

    /// One shared secret, trusted until `usable_until`.
    pub fn hmac(key: Arc<HmacKey>, usable_until: Option<UnixTime>) -> Self {
        Self { keys: Vec::new(), hmac: vec![key], skipped: Vec::new(), usable_until }
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
        Self { current: ArcSwap::from_pointee(KeySnapshot { generation: 0, issuers }) }
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
            changed = next.generation != snapshot.generation;
            next
        });
        changed
    }
}

/// All keys of all issuers at one moment.
#[derive(Debug)]
pub struct KeySnapshot {
    generation: u64,
    issuers: Vec<Arc<IssuerKeys>>,
}

impl KeySnapshot {
    /// Counts the changes of key material: two snapshots of one generation verify the same tokens, as
    /// far as age allows.
    pub fn generation(&self) -> u64 {
        self.generation
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
        let mut generation = self.generation;
        if let Some(slot) = issuers.get_mut(source.issuer.index()) {
            let mut sources = slot.sources.clone();
            if let Some(slot) = sources.get_mut(source.source.index()) {
                if !slot.held.as_ref().is_some_and(|held| same_keys(held, keys)) {
                    generation += 1;
                }
                slot.held = Some(Arc::clone(keys));
            }
            *slot = Arc::new(IssuerKeys::build(sources));
        }
        Self { generation, issuers }
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
mod tests {
    use std::slice;
    use std::time::Duration;

    use serde_json::Value;

    use super::super::key::AlgorithmSet;
    use super::super::testing::{ed25519_jwk, p256_jwk, rsa_jwk, set};
    use super::*;

    const NOW: UnixTime = UnixTime::from_millis(1_000_000);
    const ED: Algorithm = Algorithm::EdDsa;

    fn source(issuer: usize, source: usize) -> SourceId {
        SourceId { issuer: Label::new(issuer, "issuer"), source: Label::new(source, "source") }
    }

    fn keys(entries: &[Value], usable_until: Option<UnixTime>) -> SourceKeys {
        let jwks = Jwks::parse(set(entries).as_bytes(), AlgorithmSet::ALL, 100).unwrap();
        SourceKeys::new(jwks, usable_until)
    }

    fn found(store: &KeyStore, issuer: usize, kid: Option<&str>, algorithm: Algorithm) -> Outcome {
        found_at(store, issuer, kid, algorithm, NOW)
    }

    fn found_at(
        store: &KeyStore,
        issuer: usize,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Outcome {
        match store.load().find(&Label::new(issuer, "issuer"), kid, algorithm, now) {
            KeyLookup::Found(key) => Outcome::Found(key.kid().unwrap_or("-").to_owned()),
            KeyLookup::OtherAlgorithm => OtherAlgorithm,
            KeyLookup::UnknownKid => Unknown,
            KeyLookup::Unavailable => Unavailable,
        }
    }

    #[derive(Debug, PartialEq)]
    enum Outcome {
        Found(String),
        OtherAlgorithm,
        Unknown,
        Unavailable,
    }
    use Outcome::{OtherAlgorithm, Unavailable, Unknown};

    fn is(kid: &str) -> Outcome {
        Outcome::Found(kid.to_owned())
    }

    #[test]
    fn a_key_of_one_issuer_is_never_found_for_another() {
        let store = KeyStore::new(&[1, 1]);
        store.publish(&source(0, 0), keys(&[ed25519_jwk("a")], None));
        store.publish(&source(1, 0), keys(&[ed25519_jwk("b")], None));
        assert_eq!(found(&store, 0, Some("a"), ED), is("a"));
        assert_eq!(found(&store, 1, Some("a"), ED), Unknown);
        assert_eq!(found(&store, 0, Some("b"), ED), Unknown);
        assert_eq!(found(&store, 0, None, ED), is("a"));
        assert_eq!(found(&store, 1, None, ED), is("b"));
        assert_eq!(found(&store, 2, Some("a"), ED), Unavailable);
    }

    #[test]
    fn one_kid_at_two_issuers_is_two_keys() {
        let (a, b) = (ed25519_jwk("same"), ed25519_jwk("same"));
        let store = KeyStore::new(&[1, 1]);
        store.publish(&source(0, 0), keys(&[a], None));
        store.publish(&source(1, 0), keys(&[b], None));
        let snapshot = store.load();
        let find = |issuer| snapshot.find(&Label::new(issuer, "-"), Some("same"), ED, NOW);
        let (KeyLookup::Found(a), KeyLookup::Found(b)) = (find(0), find(1)) else {
            panic!("both have it")
        };
        assert!(!a.same_material(b));
    }

    #[test]
    fn an_issuer_is_unavailable_until_its_sources_have_reported_and_unknown_after() {
        let store = KeyStore::new(&[2]);
        assert_eq!(found(&store, 0, Some("a"), ED), Unavailable);
        assert!(!store.load().is_ready(&Label::new(0, "issuer"), NOW));
        store.publish(&source(0, 0), keys(&[ed25519_jwk("a")], None));
        assert_eq!(found(&store, 0, Some("a"), ED), is("a"));
        assert_eq!(found(&store, 0, Some("b"), ED), Unavailable, "the other source may have it");
        assert!(store.load().is_ready(&Label::new(0, "issuer"), NOW));
        store.publish(&source(0, 1), keys(&[ed25519_jwk("c")], None));
        assert_eq!(found(&store, 0, Some("b"), ED), Unknown);
        assert_eq!(found(&store, 0, Some("c"), ED), is("c"));
    }

    #[test]
    fn keys_are_used_up_to_their_last_moment_and_unavailable_after() {
        let store = KeyStore::new(&[1]);
        store.publish(&source(0, 0), keys(&[ed25519_jwk("a")], Some(NOW)));
        let later = NOW.saturating_add(Duration::from_millis(1));
        assert_eq!(found_at(&store, 0, Some("a"), ED, NOW), is("a"));
        assert_eq!(found_at(&store, 0, Some("b"), ED, NOW), Unknown);
        for kid in [Some("a"), Some("b"), None] {
            assert_eq!(found_at(&store, 0, kid, ED, later), Unavailable);
        }
        let issuer = Label::new(0, "issuer");
        assert!(store.load().is_ready(&issuer, NOW));
        assert!(!store.load().is_ready(&issuer, later));
    }

    #[test]
    fn stale_keys_of_one_source_leave_those_of_another_in_use() {
        let store = KeyStore::new(&[2]);
        let later = NOW.saturating_add(Duration::from_secs(1));
        store.publish(&source(0, 0), keys(&[ed25519_jwk("old")], Some(NOW)));
        store.publish(&source(0, 1), keys(&[ed25519_jwk("new")], None));
        assert_eq!(found_at(&store, 0, Some("old"), ED, later), Unavailable);
        assert_eq!(found_at(&store, 0, Some("new"), ED, later), is("new"));
    }

    #[test]
    fn a_kid_is_found_only_for_an_algorithm_of_its_key() {
        let store = KeyStore::new(&[1]);
        let entries = [rsa_jwk("r"), p256_jwk("e"), ed25519_jwk("both"), p256_jwk("both")];
        store.publish(&source(0, 0), keys(&entries, None));
        assert_eq!(found(&store, 0, Some("r"), Algorithm::Rs256), is("r"));
        assert_eq!(found(&store, 0, Some("r"), Algorithm::Ps256), is("r"));
        assert_eq!(found(&store, 0, Some("r"), Algorithm::Es256), OtherAlgorithm);
        assert_eq!(found(&store, 0, Some("e"), Algorithm::Rs256), OtherAlgorithm);
        assert_eq!(found(&store, 0, Some("both"), Algorithm::Es256), is("both"));
        assert_eq!(found(&store, 0, Some("both"), ED), is("both"));
        assert_eq!(found(&store, 0, Some("R"), Algorithm::Rs256), Unknown);
        assert_eq!(found(&store, 0, Some(""), Algorithm::Rs256), Unknown);
    }

    #[test]
    fn without_a_kid_the_one_key_of_the_algorithm_is_found_and_of_two_none() {
        let store = KeyStore::new(&[1]);
        let entries = [ed25519_jwk("a"), p256_jwk("b"), p256_jwk("c")];
        store.publish(&source(0, 0), keys(&entries, None));
        assert_eq!(found(&store, 0, None, ED), is("a"));
        assert_eq!(found(&store, 0, None, Algorithm::Es256), Unknown);
        assert_eq!(found(&store, 0, None, Algorithm::Rs256), Unknown);
    }

    #[test]
    fn two_sources_that_disagree_on_a_kid_hide_it_and_that_agree_share_it() {
        let store = KeyStore::new(&[2]);
        let shared = ed25519_jwk("shared");
        store.publish(&source(0, 0), keys(&[shared.clone(), ed25519_jwk("torn")], None));
        store.publish(&source(0, 1), keys(&[shared, ed25519_jwk("torn")], None));
        assert_eq!(found(&store, 0, Some("shared"), ED), is("shared"));
        assert_eq!(found(&store, 0, Some("torn"), ED), Unknown);
    }

    #[test]
    fn a_publication_replaces_all_that_its_source_held_and_nothing_else() {
        let store = KeyStore::new(&[2]);
        store.publish(&source(0, 0), keys(&[ed25519_jwk("a"), ed25519_jwk("b")], None));
        store.publish(&source(0, 1), keys(&[ed25519_jwk("c")], None));
        let before = Arc::clone(&store.load());
        store.publish(&source(0, 0), keys(&[ed25519_jwk("d")], None));
        for (kid, outcome) in [("a", Unknown), ("b", Unknown), ("c", is("c")), ("d", is("d"))] {
            assert_eq!(found(&store, 0, Some(kid), ED), outcome);
        }
        let old = before.find(&Label::new(0, "issuer"), Some("a"), ED, NOW);
        assert!(matches!(old, KeyLookup::Found(_)), "a request keeps the snapshot it loaded");
    }

    #[test]
    fn the_generation_counts_changes_of_keys_and_nothing_else() {
        let store = KeyStore::new(&[1]);
        let generation = || store.load().generation();
        let (a, b) = (ed25519_jwk("a"), ed25519_jwk("b"));
        store.publish(&source(0, 0), keys(&[a.clone(), b.clone()], Some(NOW)));
        assert_eq!(generation(), 1);
        store.publish(&source(0, 0), keys(&[a.clone(), b.clone()], None));
        assert_eq!(generation(), 1, "renewed");
        store.publish(&source(0, 0), keys(&[b.clone(), a.clone()], None));
        assert_eq!(generation(), 1, "shuffled");
        store.publish(&source(0, 0), keys(slice::from_ref(&a), None));
        assert_eq!(generation(), 2, "withdrawn");
        store.publish(&source(0, 0), keys(&[ed25519_jwk("a")], None));
        assert_eq!(generation(), 3, "another key under the same kid");
        let mut renamed = a.clone();
        renamed["kid"] = "renamed".into();
        store.publish(&source(0, 0), keys(&[a], None));
        store.publish(&source(0, 0), keys(&[renamed], None));
        assert_eq!(generation(), 5, "the same key under another kid");
        store.publish(&source(7, 0), keys(slice::from_ref(&b), None));
        store.publish(&source(0, 7), keys(&[b], None));
        assert_eq!(generation(), 5, "a source that nobody configured");
    }

    const SECRETS: [&[u8]; 2] =
        [b"the first of the shared secrets.", b"the second of the shared secrets"];

    fn secret(kid: Option<&str>, which: usize, usable_until: Option<UnixTime>) -> SourceKeys {
        SourceKeys::hmac(Arc::new(HmacKey::parse(kid, SECRETS[which]).unwrap()), usable_until)
    }

    /// The one issuer has these secrets; `None` has not been read yet.
    fn hmac_store(secrets: &[Option<(Option<&str>, usize)>]) -> KeyStore {
        let store = KeyStore::with_kinds(&[vec![KeyKind::Hmac; secrets.len()]]);
        for (place, held) in secrets.iter().enumerate() {
            if let Some((kid, which)) = held {
                store.publish(&source(0, place), secret(*kid, *which, None));
            }
        }
        store
    }

    fn found_hmac(store: &KeyStore, kid: Option<&str>, now: UnixTime) -> Outcome {
        match store.load().find_hmac(&Label::new(0, "issuer"), kid, now) {
            HmacLookup::Found(key) => Outcome::Found(key.kid().unwrap_or("-").to_owned()),
            HmacLookup::UnknownKid => Unknown,
            HmacLookup::Unavailable => Unavailable,
        }
    }

    #[test]
    fn a_secret_is_found_by_its_name_or_as_the_nameless_one_or_as_the_only_one() {
        let (a, b, nameless) = (Some((Some("a"), 0)), Some((Some("b"), 1)), Some((None, 0)));
        let (a_again, torn, other) = (Some((Some("a"), 0)), Some((Some("a"), 1)), Some((None, 1)));
        let unread = None;
        // For "a", for "x" and without a kid.
        let rows: [(&[_], [Outcome; 3]); 10] = [
            (&[a], [is("a"), Unknown, is("a")]),
            (&[a, b], [is("a"), Unknown, Unknown]),
            (&[a, a_again], [is("a"), Unknown, is("a")]),
            (&[a, torn], [Unknown, Unknown, Unknown]),
            (&[nameless], [is("-"), is("-"), is("-")]),
            (&[b, nameless], [is("-"), is("-"), Unknown]),
            (&[nameless, other], [Unknown, Unknown, Unknown]),
            (&[torn, nameless], [is("a"), is("-"), Unknown]),
            (&[a, unread], [is("a"), Unavailable, Unavailable]),
            (&[nameless, unread], [Unavailable, Unavailable, Unavailable]),
        ];
        for (secrets, expected) in rows {
            let store = hmac_store(secrets);
            let found = [Some("a"), Some("x"), None].map(|kid| found_hmac(&store, kid, NOW));
            assert_eq!(found, expected, "{secrets:?}");
        }
    }

    #[test]
    fn secrets_and_public_keys_are_never_in_one_lookup() {
        let store = KeyStore::with_kinds(&[vec![KeyKind::Public, KeyKind::Hmac]]);
        // Each is published for the source of the other kind, and then for its own.
        store.publish(&source(0, 1), keys(&[ed25519_jwk("same")], None));
        store.publish(&source(0, 0), secret(Some("same"), 0, None));
        for kid in [Some("same"), None] {
            assert_eq!(found(&store, 0, kid, ED), Unknown);
            assert_eq!(found_hmac(&store, kid, NOW), Unknown);
        }
        store.publish(&source(0, 0), keys(&[ed25519_jwk("same")], None));
        store.publish(&source(0, 1), secret(Some("same"), 0, None));
        for kid in [Some("same"), None] {
            assert_eq!(found(&store, 0, kid, ED), is("same"));
            assert_eq!(found_hmac(&store, kid, NOW), is("same"));
        }
        assert_eq!(found(&store, 0, Some("same"), Algorithm::Rs256), OtherAlgorithm);
    }

    #[test]
    fn a_source_that_has_not_reported_matters_only_to_its_own_kind() {
        let kinds = [vec![KeyKind::Public, KeyKind::Hmac]];
        let issuer = Label::new(0, "issuer");
        let store = KeyStore::with_kinds(&kinds);
        assert!(!store.load().is_ready(&issuer, NOW));
        store.publish(&source(0, 0), keys(&[ed25519_jwk("a")], None));
        assert_eq!(found(&store, 0, None, ED), is("a"));
        assert_eq!(found(&store, 0, Some("x"), ED), Unknown);
        assert_eq!(found_hmac(&store, None, NOW), Unavailable);
        let store = KeyStore::with_kinds(&kinds);
        store.publish(&source(0, 1), secret(Some("s"), 0, None));
        assert_eq!(found_hmac(&store, None, NOW), is("s"));
        assert_eq!(found_hmac(&store, Some("x"), NOW), Unknown);
        assert_eq!(found(&store, 0, None, ED), Unavailable);
        assert!(store.load().is_ready(&issuer, NOW), "a secret is a key");
    }

    #[test]
    fn a_secret_is_used_up_to_its_last_moment_and_its_changes_are_counted() {
        let store = KeyStore::with_kinds(&[vec![KeyKind::Hmac]]);
        let later = NOW.saturating_add(Duration::from_millis(1));
        let generation = |keys| {
            store.publish(&source(0, 0), keys);
            store.load().generation()
        };
        assert_eq!(generation(secret(Some("a"), 0, None)), 1);
        assert_eq!(generation(secret(Some("a"), 0, Some(NOW))), 1, "renewed");
        assert_eq!(found_hmac(&store, Some("a"), NOW), is("a"));
        assert_eq!(found_hmac(&store, Some("a"), later), Unavailable);
        assert!(!store.load().is_ready(&Label::new(0, "issuer"), later));
        assert_eq!(generation(secret(Some("a"), 1, None)), 2, "another secret");
        assert_eq!(generation(secret(None, 1, None)), 3, "another name");
    }
}
