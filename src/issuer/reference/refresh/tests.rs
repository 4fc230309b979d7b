//! What every store of refresh tokens has to keep: the same tests with each of them, Redis a real one.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::revocation::redis::Prefix;
use crate::revocation::redis::settings::{Address, Servers};
use crate::revocation::redis::tests::server::RedisServer;

const MINUTE: Duration = Duration::from_secs(60);

const SETTINGS: RefreshSettings =
    RefreshSettings { lifetime: Duration::from_secs(3600), idle: MINUTE, per_client: 2, most: 8 };

/// A store, and what it stands on.
struct Tested {
    store: Arc<RefreshStore>,
    redis: Option<RedisServer>,
}

fn memory() -> Tested {
    let store = RefreshStore::new(SETTINGS, &RevocationSettings::Memory);
    Tested { store: Arc::new(store), redis: None }
}

fn in_redis(server: &RedisServer, settings: RefreshSettings) -> RefreshStore {
    let redis = RedisSettings {
        servers: Servers::One(Address::Unix(server.socket())),
        tls: None,
        account: None,
        database: 0,
        prefix: Prefix::default(),
        accepts_readable_secrets: false,
    };
    RefreshStore::new(settings, &RevocationSettings::Redis(Box::new(redis)))
}

fn redis() -> Tested {
    let server = RedisServer::start();
    Tested { store: Arc::new(in_redis(&server, SETTINGS)), redis: Some(server) }
}

macro_rules! of_every_store {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(super::memory()).await;
            })*
        }

        mod in_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(super::redis()).await;
            })*
        }
    };
}

of_every_store!(
    a_token_is_used_once_and_the_second_use_is_noticed,
    of_many_uses_at_once_one_succeeds,
    nothing_of_a_family_that_has_ended_is_known,
    a_token_that_is_not_used_expires_and_the_family_with_it,
    a_family_ends_however_often_it_is_used,
    a_client_has_no_more_families_than_it_may_have,
    all_families_of_a_client_end_and_no_other,
);

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_millis(1_700_000_000_000).saturating_add(Duration::from_secs(seconds))
}

fn family(id: &str) -> Family {
    let (client, scopes, audiences) = ("worker".to_owned(), vec!["read".to_owned()], vec![]);
    Family { id: id.to_owned(), client, scopes, audiences }
}

fn token() -> TokenHash {
    generate().unwrap().1
}

#[test]
fn a_token_is_43_characters_and_never_the_same() {
    let (one, two) = (generate().unwrap(), generate().unwrap());
    assert_eq!(one.0.len(), 43);
    assert_ne!(one.0, two.0);
    assert_eq!(TokenHash::of(&one.0), Some(one.1));
    for other in [
        "",
        "a",
        &format!("{}=", *one.0),
        &format!("{}A", *one.0),
        &format!("+{}", one.0.get(1..).unwrap()),
    ] {
        assert_eq!(TokenHash::of(other), None, "{other}");
    }
}

async fn a_token_is_used_once_and_the_second_use_is_noticed(tested: Tested) {
    let (store, first, second) = (&tested.store, token(), token());
    assert!(store.begin(family("f"), first, at(0)).await.unwrap());
    assert_eq!(store.find(first, at(1)).await.unwrap(), Found::Current(family("f")));
    assert_eq!(store.rotate(first, second, at(1)).await.unwrap(), Rotation::Done);
    assert_eq!(store.find(first, at(2)).await.unwrap(), Found::Used(family("f")));
    assert_eq!(store.rotate(first, token(), at(2)).await.unwrap(), Rotation::Reused);
    assert_eq!(store.find(second, at(2)).await.unwrap(), Found::Current(family("f")));
}

async fn of_many_uses_at_once_one_succeeds(tested: Tested) {
    let store = &tested.store;
    let first = token();
    store.begin(family("f"), first, at(0)).await.unwrap();
    let uses = (0..6).map(|_| {
        let store = Arc::clone(store);
        async move { store.rotate(first, token(), at(1)).await.unwrap() }
    });
    let outcomes = futures_util::future::join_all(uses).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Rotation::Done).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Rotation::Reused).count(), 5);
}

async fn nothing_of_a_family_that_has_ended_is_known(tested: Tested) {
    let (store, first, second) = (&tested.store, token(), token());
    store.begin(family("f"), first, at(0)).await.unwrap();
    store.rotate(first, second, at(0)).await.unwrap();
    store.end("f").await.unwrap();
    store.end("f").await.unwrap();
    for token in [first, second] {
        assert_eq!(store.find(token, at(1)).await.unwrap(), Found::Unknown);
    }
    assert_eq!(store.rotate(second, token(), at(1)).await.unwrap(), Rotation::Gone);
    assert!(matches!(store.families(), Some(0) | None));
}

async fn a_token_that_is_not_used_expires_and_the_family_with_it(tested: Tested) {
    let (store, first, second) = (&tested.store, token(), token());
    store.begin(family("f"), first, at(0)).await.unwrap();
    store.rotate(first, second, at(30)).await.unwrap();
    assert_eq!(store.find(first, at(59)).await.unwrap(), Found::Used(family("f")));
    assert_eq!(store.find(first, at(60)).await.unwrap(), Found::Unknown);
    assert_eq!(store.find(second, at(89)).await.unwrap(), Found::Current(family("f")));
    assert_eq!(store.rotate(second, token(), at(90)).await.unwrap(), Rotation::Gone);
    assert!(matches!(store.families(), Some(0) | None));
}

async fn a_family_ends_however_often_it_is_used(tested: Tested) {
    let (store, mut current) = (&tested.store, token());
    store.begin(family("f"), current, at(0)).await.unwrap();
    for step in 1..=119 {
        let next = token();
        let outcome = store.rotate(current, next, at(step * 30)).await.unwrap();
        assert_eq!(outcome, Rotation::Done, "{step}");
        current = next;
    }
    assert_eq!(store.rotate(current, token(), at(3600)).await.unwrap(), Rotation::Gone);
}

async fn a_client_has_no_more_families_than_it_may_have(tested: Tested) {
    let store = &tested.store;
    assert!(store.begin(family("a"), token(), at(0)).await.unwrap());
    assert!(store.begin(family("b"), token(), at(30)).await.unwrap());
    assert!(!store.begin(family("c"), token(), at(59)).await.unwrap());
    let other = Family { client: "other".to_owned(), ..family("d") };
    assert!(store.begin(other, token(), at(59)).await.unwrap());
    assert!(store.begin(family("c"), token(), at(60)).await.unwrap(), "one has expired");
}

#[tokio::test]
async fn what_does_not_fit_is_not_begun_and_nothing_is_forgotten_for_it() {
    let store = memory().store;
    let (a, b) = (token(), token());
    assert!(store.begin(family("a"), a, at(0)).await.unwrap());
    assert!(store.begin(family("b"), b, at(0)).await.unwrap());
    assert!(
        !store.begin(family("c"), token(), at(0)).await.unwrap(),
        "two are what one client may have"
    );
    let other = Family { client: "other".to_owned(), ..family("d") };
    assert!(store.begin(other, token(), at(0)).await.unwrap());
    let mut current = a;
    for _ in 0..SETTINGS.most - 3 {
        let next = token();
        assert_eq!(store.rotate(current, next, at(1)).await.unwrap(), Rotation::Done);
        current = next;
    }
    assert_eq!(store.rotate(current, token(), at(1)).await.unwrap(), Rotation::Full);
    assert_eq!(store.find(a, at(1)).await.unwrap(), Found::Used(family("a")));
    assert_eq!(store.find(current, at(1)).await.unwrap(), Found::Current(family("a")));
    assert_eq!(store.rotate(current, token(), at(60)).await.unwrap(), Rotation::Done, "room again");
}

#[tokio::test]
async fn a_client_that_refreshes_as_fast_as_it_can_leaves_room_for_the_others() {
    let store = memory().store;
    let mut current = token();
    store.begin(family("a"), current, at(0)).await.unwrap();
    let (mut uses, mut next) = (0, token());
    while store.rotate(current, next, at(1)).await.unwrap() == Rotation::Done {
        (current, next, uses) = (next, token(), uses + 1);
    }
    assert_eq!(uses, SETTINGS.most - 2);
    assert!(!store.begin(family("b"), token(), at(1)).await.unwrap());
    let other = Family { client: "other".to_owned(), ..family("o") };
    assert!(store.begin(other, token(), at(1)).await.unwrap());
    // All that it used expire, whatever became of them.
    assert_eq!(store.rotate(current, token(), at(60)).await.unwrap(), Rotation::Done);
    store.end("a").await.unwrap();
    assert!(store.begin(family("b"), token(), at(61)).await.unwrap());
}

async fn all_families_of_a_client_end_and_no_other(tested: Tested) {
    let store = &tested.store;
    let (a, b, other) = (token(), token(), token());
    store.begin(family("a"), a, at(0)).await.unwrap();
    store.begin(family("b"), b, at(0)).await.unwrap();
    let of_other = Family { client: "other".to_owned(), ..family("o") };
    store.begin(of_other.clone(), other, at(0)).await.unwrap();
    let mut ended = store.end_all_of("worker").await.unwrap();
    ended.sort();
    assert_eq!(ended, ["a", "b"]);
    assert_eq!(store.find(a, at(0)).await.unwrap(), Found::Unknown);
    assert_eq!(store.find(other, at(0)).await.unwrap(), Found::Current(of_other));
    assert!(store.begin(family("c"), token(), at(0)).await.unwrap(), "its room is free again");
}

#[tokio::test]
async fn a_redis_that_is_killed_is_told_of_and_has_what_it_had_when_it_is_back() {
    let Tested { store, redis: Some(mut server) } = redis() else { panic!("a Redis") };
    let (first, second) = (token(), token());
    store.begin(family("f"), first, at(0)).await.unwrap();
    store.rotate(first, second, at(1)).await.unwrap();
    server.kill();
    assert!(store.find(second, at(2)).await.is_err());
    assert!(store.rotate(second, token(), at(2)).await.is_err());
    server.start_again();
    assert_eq!(store.find(first, at(3)).await.unwrap(), Found::Used(family("f")));
    assert_eq!(store.rotate(second, token(), at(3)).await.unwrap(), Rotation::Done);
}

#[tokio::test]
async fn a_client_that_began_under_a_longer_lifetime_loses_none_of_its_families_to_a_shorter_one() {
    let Tested { store, redis: Some(server) } = redis() else { panic!("a Redis") };
    store.begin(family("long"), token(), at(0)).await.unwrap();
    let shorter = RefreshSettings { lifetime: MINUTE, ..SETTINGS };
    assert!(in_redis(&server, shorter).begin(family("short"), token(), at(0)).await.unwrap());
    let ttl = server.ask(&["PTTL", "{claimgate:revocation}:v1:issuer:client:worker"]);
    assert!(matches!(ttl, ::redis::Value::Int(60_001..)), "{ttl:?}");
}

#[tokio::test]
async fn no_token_is_in_the_redis_only_its_hash() {
    let Tested { store, redis: Some(server) } = redis() else { panic!("a Redis") };
    let (text, hash) = generate().unwrap();
    store.begin(family("f"), hash, at(0)).await.unwrap();
    let ::redis::Value::Array(keys) = server.ask(&["KEYS", "*"]) else { panic!("a list") };
    assert_eq!(keys.len(), 3, "{keys:?}");
    for key in keys {
        let ::redis::Value::BulkString(key) = key else { panic!("{key:?}") };
        let key = String::from_utf8(key).unwrap();
        assert!(key.starts_with("{claimgate:revocation}:v1:issuer:"), "{key}");
        assert!(!key.contains(text.as_str()), "{key}");
        let ttl = server.ask(&["PTTL", &key]);
        assert!(matches!(ttl, ::redis::Value::Int(1..)), "{key} goes by itself");
    }
}
