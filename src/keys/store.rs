//! The keys that requests see: an immutable [`KeySnapshot`] behind an atomic pointer.
//!
//! A request loads the snapshot once and keeps it. A refresher publishes what its source holds; the store
//! builds a whole new snapshot and swaps it in. Nothing here waits, reads a clock or does I/O.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

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

/// What one source holds since its last success.
#[derive(Clone, Debug)]
pub struct SourceKeys {
    /// The usable keys.
    pub keys: Vec<Arc<VerificationKey>>,
    /// What was passed over.
    pub skipped: Vec<SkippedKey>,
    /// When the keys become too old to be trusted: last success + `max_stale`. `None` for keys that are
    /// part of the configuration and cannot age.
    pub usable_until: Option<UnixTime>,
}

impl SourceKeys {
    /// The keys of a document, trusted until `usable_until`.
    pub fn new(jwks: Jwks, usable_until: Option<UnixTime>) -> Self {
        Self { keys: jwks.keys, skipped: jwks.skipped, usable_until }
    }
}

/// Holds the current snapshot; refreshers write, requests read.
#[derive(Debug)]
pub struct KeyStore {
    current: ArcSwap<KeySnapshot>,
}

impl KeyStore {
    /// A store in which no source has reported yet. `sources` says how many each issuer has.
    pub fn new(sources: &[usize]) -> Self {
        let unknown = |count: &usize| Arc::new(IssuerKeys::build(vec![None; *count]));
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

    /// Whether `issuer` has at least one key that may be used.
    pub fn is_ready(&self, issuer: &Label, now: UnixTime) -> bool {
        let keys = self.issuers.get(issuer.index());
        keys.is_some_and(|keys| keys.usable(now).next().is_some())
    }

    fn with(&self, source: &SourceId, keys: &Arc<SourceKeys>) -> Self {
        let mut issuers = self.issuers.clone();
        let mut generation = self.generation;
        if let Some(slot) = issuers.get_mut(source.issuer.index()) {
            let mut sources = slot.sources.clone();
            if let Some(current) = sources.get_mut(source.source.index()) {
                if !current.as_ref().is_some_and(|current| same_keys(current, keys)) {
                    generation += 1;
                }
                *current = Some(Arc::clone(keys));
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

#[derive(Debug)]
struct IssuerKeys {
    /// `None`: this source has not reported yet, which is not the same as having no keys.
    sources: Vec<Option<Arc<SourceKeys>>>,
    by_kid: HashMap<Box<str>, Vec<Entry>>,
    all: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Arc<VerificationKey>,
    usable_until: Option<UnixTime>,
}

impl IssuerKeys {
    fn build(sources: Vec<Option<Arc<SourceKeys>>>) -> Self {
        let mut by_kid: HashMap<Box<str>, Vec<Entry>> = HashMap::new();
        let mut all = Vec::new();
        for source in sources.iter().flatten() {
            for key in &source.keys {
                let entry = Entry { key: Arc::clone(key), usable_until: source.usable_until };
                if let Some(kid) = key.kid() {
                    by_kid.entry(kid.into()).or_default().push(entry.clone());
                }
                all.push(entry);
            }
        }
        Self { sources, by_kid, all }
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
        let all_known = || {
            let known = |source: &Option<Arc<SourceKeys>>| {
                source.as_ref().is_some_and(|source| is_fresh(source.usable_until, now))
            };
            self.sources.iter().all(known)
        };
        match found {
            // Without a kid, "the only one" can be said only once every source has been heard.
            Some(_) if kid.is_none() && !all_known() => KeyLookup::Unavailable,
            Some(key) => KeyLookup::Found(key),
            None if is_known => KeyLookup::OtherAlgorithm,
            None if all_known() => KeyLookup::UnknownKid,
            None => KeyLookup::Unavailable,
        }
    }

    fn usable(&self, now: UnixTime) -> impl Iterator<Item = &VerificationKey> {
        let fresh = self.all.iter().filter(move |entry| is_fresh(entry.usable_until, now));
        fresh.map(|entry| entry.key.as_ref())
    }
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
    all_in(&a.keys, &b.keys) && all_in(&b.keys, &a.keys)
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
}
