//! What asking for keys leads to: reads, waits and refusals, with the refresher's part played by the test.

use std::slice;

use tokio::task::yield_now;

use super::super::jwks::Jwks;
use super::super::key::AlgorithmSet;
use super::super::store::SourceKeys;
use super::super::testing::{ed25519_jwk, set};
use super::*;

const T0: UnixTime = UnixTime::from_millis(1_000_000_000);

struct Rig {
    demand: KeyDemand,
    store: Arc<KeyStore>,
    issuer: Label,
    readers: Vec<Reader>,
}

impl Rig {
    /// One issuer with so many sources.
    fn new(sources: usize) -> Self {
        let issuer = Label::new(0, "issuer");
        let id = |nth: usize| SourceId {
            issuer: issuer.clone(),
            source: Label::new(nth, &nth.to_string()),
        };
        let settings = |nth| DemandSettings { id: id(nth), wait: Duration::from_millis(150) };
        let settings: Vec<_> = (0..sources).map(settings).collect();
        let store = Arc::new(KeyStore::new(&[sources]));
        let demand = KeyDemand::new(1, &settings, &store);
        let readers = (0..sources).map(|nth| demand.reader(&id(nth)).unwrap()).collect();
        let rig = Self { demand, store, issuer, readers };
        (0..sources).for_each(|nth| rig.publish(nth, &["known"]));
        rig
    }

    fn ask(&self, kid: &str, now: UnixTime) -> KidDemand {
        self.demand.ask_for_kid(&self.issuer, kid, now)
    }

    fn publish(&self, source: usize, kids: &[&str]) {
        let keys: Vec<_> = kids.iter().map(|kid| ed25519_jwk(kid)).collect();
        let jwks = Jwks::parse(set(&keys).as_bytes(), AlgorithmSet::ALL, 10).unwrap();
        self.store.publish(&self.readers[source].source.id, SourceKeys::new(jwks, None));
    }

    fn is_asked(&self, source: usize) -> bool {
        lock(&self.readers[source].source.state).phase == Phase::Asked
    }
}

fn later(seconds: u64) -> UnixTime {
    T0.saturating_add(Duration::from_secs(seconds))
}

fn wait(demand: KidDemand) -> Wait {
    match demand {
        KidDemand::UnderWay(wait) => wait,
        KidDemand::KnownUnknown | KidDemand::Limited => panic!("no read under way: {demand:?}"),
    }
}

/// Whether it is done without anything else having to happen.
async fn is_done(wait: &mut Wait) -> bool {
    tokio::select! { biased; () = wait.done() => true, () = yield_now() => false }
}

#[tokio::test]
async fn a_thousand_askers_make_one_read_and_all_hear_of_its_end() {
    let rig = Rig::new(1);
    let mut waits: Vec<Wait> = (0..1000).map(|_| wait(rig.ask("new", T0))).collect();
    rig.readers[0].asked().await;
    rig.readers[0].begins();
    waits.extend((0..10).map(|_| wait(rig.ask("new", T0))));
    assert!(!is_done(&mut waits[0]).await);
    rig.publish(0, &["known", "new"]);
    rig.readers[0].ended(ReadEnd::Changed, T0);
    for wait in &mut waits {
        assert!(is_done(wait).await);
    }
    assert!(!rig.is_asked(0), "and no second one");
}

#[tokio::test]
async fn a_kid_that_was_looked_for_in_vain_is_not_looked_for_again_for_a_minute() {
    let rig = Rig::new(1);
    let mut made_up = wait(rig.ask("made-up", T0));
    rig.readers[0].begins();
    rig.readers[0].ended(ReadEnd::Unchanged, T0);
    assert!(is_done(&mut made_up).await);
    for seconds in [0, 59] {
        let answer = rig.ask("made-up", later(seconds));
        assert!(matches!(answer, KidDemand::KnownUnknown), "{answer:?}");
    }
    assert!(matches!(rig.ask("made-up", later(60)), KidDemand::UnderWay(_)));
}

#[tokio::test]
async fn what_was_unknown_is_looked_for_again_when_keys_have_changed() {
    let rig = Rig::new(1);
    drop(rig.ask("soon", T0));
    rig.readers[0].begins();
    rig.readers[0].ended(ReadEnd::Unchanged, T0);
    rig.readers[0].begins();
    rig.publish(0, &["other"]);
    rig.readers[0].ended(ReadEnd::Changed, T0);
    assert!(matches!(rig.ask("soon", later(10)), KidDemand::UnderWay(_)), "and the gap is short");
}

#[test]
fn made_up_kids_are_held_to_the_limiter() {
    let rig = Rig::new(1);
    let mut reads = 0;
    for nth in 0..20_000_u64 {
        let now = T0.saturating_add(Duration::from_millis(nth));
        drop(rig.ask(&format!("made-up-{nth}"), now));
        if rig.is_asked(0) {
            reads += 1;
            rig.readers[0].begins();
            rig.readers[0].ended(ReadEnd::Unchanged, now);
        }
    }
    assert_eq!(reads, 1, "the next is allowed after 20 s");
    assert!(matches!(rig.ask("another", later(19)), KidDemand::Limited));
    assert!(matches!(rig.ask("another", later(20)), KidDemand::UnderWay(_)));
}

#[tokio::test]
async fn a_failed_read_forgets_no_key_id_and_honours_retry_after() {
    let rig = Rig::new(1);
    let mut new = wait(rig.ask("new", T0));
    rig.readers[0].begins();
    rig.readers[0].ended(ReadEnd::Failed { leave_alone_until: Some(later(120)) }, T0);
    assert!(is_done(&mut new).await);
    assert!(matches!(rig.ask("new", later(119)), KidDemand::Limited));
    assert!(matches!(rig.ask("new", later(120)), KidDemand::UnderWay(_)));
}

#[tokio::test]
async fn the_first_source_to_have_the_kid_ends_the_wait_and_a_slow_one_does_not_hold_it_up() {
    let rig = Rig::new(2);
    let mut new = wait(rig.ask("new", T0));
    assert_eq!(new.longest(), Duration::from_millis(150));
    rig.readers[0].begins();
    rig.readers[1].begins();
    rig.publish(1, &["new"]);
    rig.readers[1].ended(ReadEnd::Changed, T0);
    assert!(is_done(&mut new).await);
    let mut made_up = wait(rig.ask("made-up", T0));
    assert!(!is_done(&mut made_up).await, "the first source is still being read");
    rig.readers[0].ended(ReadEnd::Unchanged, T0);
    assert!(is_done(&mut made_up).await, "the second was read 0 s ago and is left alone");
}

#[tokio::test]
async fn a_read_that_was_due_anyway_is_joined_and_costs_nothing() {
    let rig = Rig::new(1);
    rig.readers[0].begins();
    let mut joined = wait(rig.ask("made-up", T0));
    rig.readers[0].ended(ReadEnd::Unchanged, T0);
    assert!(is_done(&mut joined).await);
    assert!(matches!(rig.ask("another", T0), KidDemand::UnderWay(_)), "the limiter was not used");
}

#[tokio::test]
async fn a_read_that_began_before_a_kid_was_asked_for_does_not_say_that_nobody_has_it() {
    let rig = Rig::new(1);
    drop(rig.ask("made-up", T0));
    rig.readers[0].begins();
    // The provider has answered; its next answer would have the key.
    let mut rotated = wait(rig.ask("rotated", T0));
    rig.readers[0].ended(ReadEnd::Unchanged, T0);
    assert!(is_done(&mut rotated).await);
    assert!(matches!(rig.ask("made-up", later(20)), KidDemand::KnownUnknown));
    assert!(matches!(rig.ask("rotated", later(20)), KidDemand::UnderWay(_)));
}

#[tokio::test]
async fn a_read_that_begins_for_another_reason_is_the_one_that_was_asked_for() {
    let rig = Rig::new(1);
    drop(rig.ask("new", T0));
    rig.readers[0].begins();
    rig.readers[0].ended(ReadEnd::Unchanged, T0);
    tokio::select! {
        biased;
        () = rig.readers[0].asked() => panic!("it has been read"),
        () = yield_now() => {}
    }
}

#[test]
fn an_operator_is_limited_too_but_does_not_make_the_gap_grow() {
    let rig = Rig::new(2);
    let all = |seconds| {
        let asked = rig.demand.ask_for_all(later(seconds));
        asked.into_iter().map(|asked| asked.limited_until).collect::<Vec<_>>()
    };
    let read = || {
        for reader in &rig.readers {
            reader.begins();
            reader.ended(ReadEnd::Unchanged, T0);
        }
    };
    assert_eq!(all(0), [None, None]);
    assert_eq!(all(0), [None, None], "the same read");
    read();
    assert_eq!(all(9), [Some(later(10)), Some(later(10))]);
    assert_eq!(all(10), [None, None]);
    read();
    assert_eq!(all(20), [None, None]);
}

#[test]
fn a_flood_of_made_up_kids_does_not_keep_an_operator_from_reading_keys() {
    let rig = Rig::new(1);
    let mut last = 0;
    for second in 0..1000 {
        drop(rig.ask(&format!("made-up-{second}"), later(second)));
        if rig.is_asked(0) {
            last = second;
            rig.readers[0].begins();
            rig.readers[0].ended(ReadEnd::Unchanged, later(second));
        }
    }
    assert!(matches!(rig.ask("another", later(last + 299)), KidDemand::Limited), "a gap of 5 min");
    assert_eq!(rig.demand.ask_for_all(later(last + 9))[0].limited_until, Some(later(last + 10)));
    assert_eq!(rig.demand.ask_for_all(later(last + 10))[0].limited_until, None);
}

#[test]
fn sources_and_issuers_that_cannot_be_read_are_not_waited_for() {
    let store = Arc::new(KeyStore::new(&[1]));
    let demand = KeyDemand::new(
        1,
        slice::from_ref(&DemandSettings {
            id: SourceId { issuer: Label::new(5, "nobody"), source: Label::new(0, "0") },
            wait: Duration::ZERO,
        }),
        &store,
    );
    let issuer = Label::new(0, "issuer");
    assert!(matches!(demand.ask_for_kid(&issuer, "a", T0), KidDemand::Limited));
    let unknown = Label::new(7, "unknown");
    assert!(matches!(demand.ask_for_kid(&unknown, "a", T0), KidDemand::Limited));
    assert_eq!(demand.ask_for_all(T0), []);
}

#[tokio::test]
async fn what_was_asked_for_and_how_often_outlives_a_change_of_the_configuration() {
    let (old, new) = (Rig::new(1), Rig::new(1));
    drop(old.ask("new", T0));
    old.readers[0].begins();
    new.readers[0].adopt(&old.readers[0]);
    new.readers[0].asked().await;
    new.readers[0].begins();
    new.readers[0].ended(ReadEnd::Unchanged, T0);
    assert!(matches!(new.ask("new", T0), KidDemand::KnownUnknown));
    assert!(matches!(new.ask("another", later(19)), KidDemand::Limited));
    let quiet = Rig::new(1);
    quiet.readers[0].adopt(&new.readers[0]);
    assert!(!quiet.is_asked(0) && matches!(quiet.ask("another", later(19)), KidDemand::Limited));
}
