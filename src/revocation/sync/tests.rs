//! The sync: what it makes of loads, changes, failures and a store that is another one.

use super::*;
use crate::revocation::entry::RevocationEntry;
use crate::revocation::snapshot::{LEEWAY, RevocationLookup};
use crate::revocation::testing::{Line, Scripted, facts, revoked, scripted, settings, token};
use crate::revocation::{EntryKind, file};
use crate::util::clock::{ManualClock, SystemClock};

fn begin() -> (RevocationSync, Scripted, Arc<ManualClock>) {
    // Entries of the tests expire by the system's clock.
    scripted(SystemClock.now())
}

fn look_up(sync: &RevocationSync, jti: &str) -> RevocationLookup {
    sync.store.load().look_up(&facts(jti), sync.clock.now())
}

async fn said(sync: &mut RevocationSync, script: &Scripted, line: Line) {
    script.say(line);
    // A retry waits by a clock that stands still.
    sync.retry_at = None;
    sync.step().await;
}

fn unreachable() -> Line {
    Line::Error(SourceError::Unreachable("gone".to_owned()))
}

#[tokio::test]
async fn a_load_replaces_and_changes_add_up() {
    let (mut sync, script, _) = begin();
    assert_eq!(look_up(&sync, "a"), RevocationLookup::Unknown);
    said(&mut sync, &script, Line::Load("e", vec![token("a"), token("b")])).await;
    assert_eq!([look_up(&sync, "a"), look_up(&sync, "b")], [revoked(); 2]);
    said(&mut sync, &script, Line::Add(vec![token("c")])).await;
    assert_eq!([look_up(&sync, "a"), look_up(&sync, "c")], [revoked(); 2]);
    said(&mut sync, &script, Line::Load("e", vec![token("b")])).await;
    let gone = [look_up(&sync, "a"), look_up(&sync, "c")];
    assert_eq!(gone, [RevocationLookup::NotRevoked; 2], "the store has them no more");
    assert_eq!(look_up(&sync, "b"), revoked());
}

#[tokio::test]
async fn what_was_said_is_fresh_as_of_when_it_was_said() {
    let (mut sync, script, clock) = begin();
    let minute = Duration::from_secs(60);
    let is_fresh = |sync: &RevocationSync| sync.store.is_fresh(Some(minute), sync.clock.now());
    assert!(!is_fresh(&sync));
    said(&mut sync, &script, Line::Load("e", vec![])).await;
    for line in [Line::Unchanged, Line::Add(vec![token("a")]), Line::Load("e", vec![])] {
        clock.advance(minute);
        assert!(is_fresh(&sync));
        clock.advance(Duration::from_millis(1));
        assert!(!is_fresh(&sync));
        said(&mut sync, &script, line).await;
        assert!(is_fresh(&sync));
    }
    clock.advance(minute);
    said(&mut sync, &script, unreachable()).await;
    clock.advance(Duration::from_millis(1));
    assert!(!is_fresh(&sync), "a failure says nothing");
}

#[tokio::test]
async fn a_failure_keeps_everything_and_is_told_until_it_is_over() {
    let (mut sync, script, _) = begin();
    said(&mut sync, &script, Line::Load("e", vec![token("a")])).await;
    for failures in 1..=3 {
        said(&mut sync, &script, unreachable()).await;
        let status = sync.board.read();
        assert_eq!(status.failures, failures);
        assert_eq!(status.last_error.unwrap().1, "cannot be reached: gone");
        assert_eq!(look_up(&sync, "a"), revoked());
        assert!(sync.retry_at.is_some());
    }
    said(&mut sync, &script, Line::Load("e", vec![token("a")])).await;
    let status = sync.board.read();
    assert_eq!((status.failures, status.last_error), (0, None));
    assert_eq!(sync.retry_at, None);
}

#[tokio::test]
async fn retries_come_in_windows_that_grow_and_begin_anew_after_a_success() {
    let (mut sync, script, clock) = begin();
    sync.draw = || 1.0;
    let mut waits = Vec::new();
    for _ in 0..7 {
        said(&mut sync, &script, unreachable()).await;
        let at = sync.retry_at.unwrap();
        waits.push(at.since(clock.now()).as_millis());
        clock.advance(at.since(clock.now()));
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000, 5000]);
    said(&mut sync, &script, Line::Load("e", vec![])).await;
    said(&mut sync, &script, unreachable()).await;
    assert_eq!(sync.retry_at.unwrap().since(clock.now()).as_millis(), 500);
}

#[tokio::test]
async fn a_store_that_is_another_one_is_taken_and_the_one_before_is_kept() {
    let (mut sync, script, clock) = begin();
    said(&mut sync, &script, Line::Load("one", vec![token("a"), token("b")])).await;
    assert_eq!(sync.board.read().epoch_changed, None);
    said(&mut sync, &script, Line::Load("two", vec![token("c")])).await;
    let status = sync.board.read();
    assert_eq!((status.epoch_changed, status.kept), (Some(clock.now()), 2));
    assert_eq!(["a", "b", "c"].map(|jti| look_up(&sync, jti)), [revoked(); 3]);

    // The store that is in force now has "b" too, and then not any more: that is its to say.
    said(&mut sync, &script, Line::Load("two", vec![token("b"), token("c")])).await;
    assert_eq!((sync.board.read().kept, look_up(&sync, "a")), (1, revoked()));
    said(&mut sync, &script, Line::Load("two", vec![])).await;
    assert_eq!(look_up(&sync, "b"), RevocationLookup::NotRevoked);
    assert_eq!(look_up(&sync, "a"), revoked());

    clock.advance(Duration::from_secs(3600) + LEEWAY + Duration::from_secs(1));
    said(&mut sync, &script, Line::Load("two", vec![])).await;
    assert_eq!((sync.board.read().kept, sync.store.load().len()), (0, 0), "until it expires");
}

#[tokio::test]
async fn a_store_that_is_another_one_again_and_again_fills_no_more_than_twice_what_it_may() {
    let (mut sync, script, _) = begin();
    let of = |store: &str| -> Vec<RevocationEntry> {
        (0..800).map(|n| token(&format!("{store}-{n}"))).collect()
    };
    said(&mut sync, &script, Line::Load("one", of("one"))).await;
    said(&mut sync, &script, Line::Load("two", of("two"))).await;
    assert_eq!((sync.board.read().kept, sync.board.read().failures), (800, 0));
    said(&mut sync, &script, Line::Add(vec![token("new")])).await;
    assert_eq!(
        (look_up(&sync, "new"), sync.board.read().failures),
        (revoked(), 0),
        "there is room"
    );
    sync.replace_source(Source::Scripted(script.clone()));
    said(&mut sync, &script, Line::Load("three", of("three"))).await;
    let (status, held) = (sync.board.read(), sync.store.load().len());
    assert_eq!((status.failures, held), (1, 1601), "refused as a whole");
    assert_eq!(["one-0", "two-799", "new"].map(|jti| look_up(&sync, jti)), [revoked(); 3]);
    sync.replace_source(Source::Scripted(script.clone()));
    said(&mut sync, &script, Line::Load("two", of("two"))).await;
    assert_eq!((sync.board.read().failures, look_up(&sync, "one-0")), (0, revoked()));
}

#[tokio::test]
async fn what_a_clock_that_was_fast_forgot_is_loaded_again_when_it_is_set_right() {
    let (mut sync, script, clock) = begin();
    let right = Arc::clone(&sync.clock).now();
    said(&mut sync, &script, Line::Load("e", vec![token("a")])).await;
    clock.advance(Duration::from_secs(86_400));
    said(&mut sync, &script, Line::Load("e", vec![token("a")])).await;
    assert_eq!(sync.store.load().len(), 0);
    assert!(matches!(sync.source, Source::Scripted(_)));
    sync.clock = Arc::new(ManualClock::new(right));
    said(&mut sync, &script, Line::Unchanged).await;
    assert!(matches!(sync.source, Source::File(_)), "asked for everything, from its settings");
}

#[tokio::test]
async fn an_emptied_store_is_no_empty_list() {
    let (mut sync, script, _) = begin();
    said(&mut sync, &script, Line::Load("e", vec![token("a")])).await;
    said(&mut sync, &script, Line::Error(SourceError::NoEpoch)).await;
    assert_eq!(look_up(&sync, "a"), revoked());
    assert!(sync.board.read().last_error.unwrap().1.contains("emptied"));
}

#[tokio::test]
async fn expired_entries_are_forgotten_without_anybody_saying_so() {
    let (mut sync, script, clock) = begin();
    let many: Vec<RevocationEntry> = (0..600).map(|n| token(&n.to_string())).collect();
    said(&mut sync, &script, Line::Load("e", many)).await;
    clock.advance(Duration::from_secs(3600) + LEEWAY);
    said(&mut sync, &script, Line::Unchanged).await;
    assert_eq!(sync.store.load().len(), 600, "they hold until then");
    let late = token("late");
    for _ in 0..256 {
        clock.advance(PRUNE_INTERVAL);
        said(&mut sync, &script, Line::Unchanged).await;
    }
    assert_eq!(sync.store.load().len(), 0);
    // One that has expired long ago is not taken in at all.
    said(&mut sync, &script, Line::Load("e", vec![late])).await;
    assert_eq!(sync.store.load().len(), 0);
}

#[tokio::test]
async fn too_many_are_none_and_what_was_known_stays() {
    let (mut sync, script, _) = begin();
    said(&mut sync, &script, Line::Load("e", vec![token("a")])).await;
    let many: Vec<RevocationEntry> = (0..1001).map(|n| token(&n.to_string())).collect();
    said(&mut sync, &script, Line::Load("e", many.clone())).await;
    let status = sync.board.read();
    let error = "holds more than 1000 entries (max_entries)";
    assert_eq!((status.failures, status.last_error.unwrap().1.as_str()), (1, error));
    assert_eq!((look_up(&sync, "a"), sync.store.load().len()), (revoked(), 1));
}

#[tokio::test]
async fn changes_beyond_the_bound_are_in_force_and_the_source_is_asked_for_everything() {
    let (mut sync, script, _) = begin();
    said(&mut sync, &script, Line::Load("e", vec![])).await;
    let many: Vec<RevocationEntry> = (0..1001).map(|n| token(&n.to_string())).collect();
    said(&mut sync, &script, Line::Add(many)).await;
    assert_eq!((look_up(&sync, "1000"), sync.board.read().failures), (revoked(), 1));
    assert!(matches!(sync.source, Source::File(_)), "made anew from its settings");
}

#[tokio::test]
async fn changes_before_a_load_are_nothing_to_go_by() {
    for line in [Line::Add(vec![token("a")]), Line::Unchanged] {
        let (mut sync, script, _) = begin();
        said(&mut sync, &script, line).await;
        assert_eq!(look_up(&sync, "b"), RevocationLookup::Unknown);
        assert_eq!(sync.store.confirmed_at(), None);
        assert_eq!(sync.board.read().failures, 1);
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_keep_old_knowledge_fresh() {
    let (mut sync, script, _) = begin();
    said(&mut sync, &script, Line::Load("e", vec![])).await;
    let earlier = UnixTime::from_millis(sync.clock.now().as_millis() - 86_400_000);
    sync.clock = Arc::new(ManualClock::new(earlier));
    said(&mut sync, &script, unreachable()).await;
    assert_eq!(sync.store.confirmed_at(), Some(earlier));
}

fn of_file(path: &str) -> RevocationSettings {
    settings(Some(SourceSettings::File(file::FileSettings { path: path.into() })))
}

#[tokio::test]
async fn the_next_configuration_goes_on_with_the_same_store_and_not_with_another() {
    let (mut sync, script, _) = begin();
    said(&mut sync, &script, Line::Load("e", vec![token("a")])).await;
    let (store, clock) = (sync.store(), Arc::clone(&sync.clock));
    let build = |settings: &RevocationSettings, before| {
        RevocationSync::build(settings, RevocationMetrics::default(), &clock, before)
    };

    let mut same = of_file("script");
    same.fixed = vec![token("fixed")];
    same.policy.max_stale = Some(Duration::from_secs(7));
    let built = build(&same, Some(sync));
    assert!(Arc::ptr_eq(&built.store, &store));
    let sync = built.sync.unwrap();
    assert_eq!(["a", "fixed"].map(|jti| look_up(&sync, jti)), [revoked(); 2]);
    assert_eq!(sync.max_stale, Some(Duration::from_secs(7)));

    let built = build(&of_file("script"), Some(sync));
    let sync = built.sync.unwrap();
    assert_eq!(look_up(&sync, "fixed"), RevocationLookup::NotRevoked, "it is taken out again");

    let built = build(&of_file("other"), Some(sync));
    assert!(!Arc::ptr_eq(&built.store, &store));
    let sync = built.sync.unwrap();
    assert_eq!(look_up(&sync, "a"), RevocationLookup::Unknown);

    let built = build(&settings(None), Some(sync));
    assert!(built.sync.is_none() && built.store.load().is_loaded());
}

#[tokio::test]
async fn readers_see_whole_snapshots_while_changes_come() {
    let (mut sync, script, clock) = begin();
    let pair = |n: u32| vec![token(&format!("{n}-left")), token(&format!("{n}-right"))];
    said(&mut sync, &script, Line::Load("e", pair(0))).await;
    let store = sync.store();
    let now = clock.now();
    let reader = std::thread::spawn(move || {
        let mut seen = 0;
        while seen < 200 {
            let snapshot = store.load();
            for n in 0..=200 {
                let [left, right] = ["left", "right"]
                    .map(|side| snapshot.look_up(&facts(&format!("{n}-{side}")), now));
                assert_eq!(left, right, "half of a change");
                seen = if left == revoked() { seen.max(n) } else { seen };
            }
        }
    });
    for n in 1..=200 {
        said(&mut sync, &script, Line::Add(pair(n))).await;
    }
    reader.join().unwrap();
    assert_eq!(sync.store.load().count(EntryKind::Token), 402);
}
