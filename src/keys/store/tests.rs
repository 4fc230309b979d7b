//! The store against sources that come, go, disagree and grow old, and against kinds of keys that must not meet.

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
fn changes_of_keys_are_counted_and_nothing_else() {
    let store = KeyStore::new(&[1]);
    let changes = || store.load().changes();
    let (a, b) = (ed25519_jwk("a"), ed25519_jwk("b"));
    store.publish(&source(0, 0), keys(&[a.clone(), b.clone()], Some(NOW)));
    assert_eq!(changes(), 1);
    store.publish(&source(0, 0), keys(&[a.clone(), b.clone()], None));
    assert_eq!(changes(), 1, "renewed");
    store.publish(&source(0, 0), keys(&[b.clone(), a.clone()], None));
    assert_eq!(changes(), 1, "shuffled");
    store.publish(&source(0, 0), keys(slice::from_ref(&a), None));
    assert_eq!(changes(), 2, "withdrawn");
    store.publish(&source(0, 0), keys(&[ed25519_jwk("a")], None));
    assert_eq!(changes(), 3, "another key under the same kid");
    let mut renamed = a.clone();
    renamed["kid"] = "renamed".into();
    store.publish(&source(0, 0), keys(&[a], None));
    store.publish(&source(0, 0), keys(&[renamed], None));
    assert_eq!(changes(), 5, "the same key under another kid");
    store.publish(&source(7, 0), keys(slice::from_ref(&b), None));
    store.publish(&source(0, 7), keys(&[b], None));
    assert_eq!(changes(), 5, "a source that nobody configured");
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
    let changes = |keys| {
        store.publish(&source(0, 0), keys);
        store.load().changes()
    };
    assert_eq!(changes(secret(Some("a"), 0, None)), 1);
    assert_eq!(changes(secret(Some("a"), 0, Some(NOW))), 1, "renewed");
    assert_eq!(found_hmac(&store, Some("a"), NOW), is("a"));
    assert_eq!(found_hmac(&store, Some("a"), later), Unavailable);
    assert!(!store.load().is_ready(&Label::new(0, "issuer"), later));
    assert_eq!(changes(secret(Some("a"), 1, None)), 2, "another secret");
    assert_eq!(changes(secret(None, 1, None)), 3, "another name");
}
