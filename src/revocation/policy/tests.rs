//! Verdicts: every combination of what is known and what is configured.

use super::*;
use crate::revocation::entry::{RevocationEntry, Revoked};

const LOADED: UnixTime = UnixTime::from_millis(1_000_000);

fn after(seconds: u64) -> UnixTime {
    LOADED.saturating_add(Duration::from_secs(seconds))
}

fn facts(jti: Option<&str>) -> TokenFacts<'_> {
    TokenFacts { iss: "i", jti, sub: Some("s"), sid: None, kid: None, iat: None }
}

fn entry() -> RevocationEntry {
    let expires_at = after(1_000_000);
    RevocationEntry::new("i", Revoked::Token { jti: "revoked".into() }, expires_at).unwrap()
}

/// What `policy` makes of a store that was loaded once, with one entry, and confirmed then.
fn loaded(policy: RevocationPolicy) -> Revocations {
    let store = RevocationStore::unknown(&[entry()]);
    store.publish(store.load().with_synced(Default::default()));
    store.confirm(LOADED);
    Revocations { store: Arc::new(store), policy }
}

fn policy(when_stale: WhenStale, without_jti: WithoutJti) -> RevocationPolicy {
    RevocationPolicy { when_stale, without_jti, ..RevocationPolicy::default() }
}

#[test]
fn the_last_snapshot_is_believed_for_max_stale_and_then_what_is_configured_happens() {
    let deny = loaded(policy(WhenStale::Deny, WithoutJti::Refuse));
    let allow = loaded(policy(WhenStale::Allow, WithoutJti::Refuse));
    for now in [LOADED, after(300)] {
        for revocations in [&deny, &allow] {
            assert_eq!(revocations.judge(&facts(Some("good")), now), Verdict::Good);
        }
    }
    let late = UnixTime::from_millis(after(300).as_millis() + 1);
    assert_eq!(deny.judge(&facts(Some("good")), late), Verdict::Stale);
    assert_eq!(allow.store.take_passed_unchecked(), 0);
    assert_eq!(allow.judge(&facts(Some("good")), late), Verdict::Unchecked);
    assert_eq!(allow.store.take_passed_unchecked(), 1);
    assert_eq!(allow.store.take_passed_unchecked(), 0, "each is counted once");
    for revocations in [&deny, &allow] {
        let verdict = revocations.judge(&facts(Some("revoked")), after(100_000));
        assert_eq!(verdict, Verdict::Revoked(EntryKind::Token), "nobody takes a revocation back");
    }
}

#[test]
fn for_ever_is_for_ever() {
    let revocations = loaded(RevocationPolicy { max_stale: None, ..RevocationPolicy::default() });
    assert_eq!(revocations.judge(&facts(Some("good")), after(1_000_000_000)), Verdict::Good);
}

#[test]
fn before_the_first_load_nothing_is_good() {
    for (when_stale, expected) in
        [(WhenStale::Deny, Verdict::Stale), (WhenStale::Allow, Verdict::Unchecked)]
    {
        let max_stale = None;
        let policy = RevocationPolicy { max_stale, when_stale, ..RevocationPolicy::default() };
        let store = Arc::new(RevocationStore::unknown(&[entry()]));
        let revocations = Revocations { store, policy };
        assert_eq!(revocations.judge(&facts(Some("good")), LOADED), expected);
        let verdict = revocations.judge(&facts(Some("revoked")), LOADED);
        assert_eq!(verdict, Verdict::Revoked(EntryKind::Token), "the configuration says so");
    }
}

#[test]
fn a_token_that_cannot_be_revoked_is_refused_unless_it_is_accepted() {
    let refuse = loaded(policy(WhenStale::Allow, WithoutJti::Refuse));
    let accept = loaded(policy(WhenStale::Deny, WithoutJti::Accept));
    let long = "x".repeat(2000);
    for jti in [None, Some(""), Some(long.as_str())] {
        for now in [LOADED, after(1000)] {
            assert_eq!(refuse.judge(&facts(jti), now), Verdict::NoJti);
        }
        assert_eq!(accept.judge(&facts(jti), LOADED), Verdict::Good);
        assert_eq!(accept.judge(&facts(jti), after(1000)), Verdict::Stale);
    }
}

#[test]
fn a_list_in_the_configuration_alone_never_ages() {
    let store = Arc::new(RevocationStore::fixed(&[entry()]));
    let revocations = Revocations { store, policy: RevocationPolicy::default() };
    assert!(revocations.is_ready());
    assert_eq!(revocations.judge(&facts(Some("good")), after(1_000_000_000)), Verdict::Good);
    assert_eq!(revocations.store.confirmed_at(), None);
    let verdict = revocations.judge(&facts(Some("revoked")), LOADED);
    assert_eq!(verdict, Verdict::Revoked(EntryKind::Token));
}

#[test]
fn readiness_waits_for_the_first_load_unless_it_need_not() {
    let waits = RevocationPolicy::default();
    let goes_ahead = RevocationPolicy {
        before_first_load: BeforeFirstLoad::Ready,
        ..RevocationPolicy::default()
    };
    let unknown = Arc::new(RevocationStore::unknown(&[]));
    let is_ready = |policy: &RevocationPolicy| {
        let (store, policy) = (Arc::clone(&unknown), policy.clone());
        Revocations { store, policy }.is_ready()
    };
    assert!(!is_ready(&waits) && is_ready(&goes_ahead));
    assert!(loaded(waits).is_ready());
}
