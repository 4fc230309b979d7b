//! Revocations: what an entry survives, and what a list of them takes.

use std::cell::Cell;
use std::time::Duration;

use allocation_counter::measure;
use claimgate::revocation::entry::MAX_TEXT_BYTES;
use claimgate::revocation::{
    EntryKind, RevocationEntry, RevocationLookup, RevocationStore, Revoked, TokenFacts,
};
use claimgate::util::clock::UnixTime;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::report;

const NOW: UnixTime = UnixTime::from_millis(1_000_000_000);

fn later() -> UnixTime {
    NOW.saturating_add(Duration::from_secs(3600))
}

fn entry(kind: EntryKind, iss: &str, id: &str, not_before: UnixTime) -> RevocationEntry {
    let revoked = Revoked::of(kind, Some(id.into()), Some(not_before)).unwrap();
    RevocationEntry::new(iss, revoked, later()).unwrap()
}

/// A token that an entry with this ID may be about.
fn facts<'a>(iss: &'a str, id: &'a str, iat: UnixTime) -> TokenFacts<'a> {
    let id = Some(id);
    TokenFacts { iss, jti: id, sub: id, sid: id, kid: id, iat: Some(iat) }
}

#[test]
fn any_text_is_revoked_as_it_is_written_and_no_other() {
    let (cases, kinds) = (Cell::new(0), proptest::sample::select(EntryKind::ALL.to_vec()));
    let text = || proptest::string::string_regex("(?s).{1,40}").unwrap();
    let config = Config { cases: 2000, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(kinds, text(), text(), text()), |(kind, iss, id, other)| {
            cases.set(cases.get() + 1);
            let entry = entry(kind, &iss, &id, NOW);
            let line = entry.to_json();
            prop_assert_eq!(&RevocationEntry::parse(line.as_bytes()).unwrap(), &entry);
            let store = RevocationStore::fixed(&[entry]);
            let earlier = UnixTime::from_millis(NOW.as_millis() - 1);
            let look_up = |facts: TokenFacts<'_>| store.load().look_up(&facts, NOW);
            prop_assert_eq!(look_up(facts(&iss, &id, earlier)), RevocationLookup::Revoked(kind));
            let is_later = look_up(facts(&iss, &id, NOW)) == RevocationLookup::NotRevoked;
            prop_assert_eq!(is_later, kind.has_not_before());
            if other != id && kind != EntryKind::Issuer {
                let found = look_up(facts(&iss, &other, earlier));
                prop_assert_eq!(found, RevocationLookup::NotRevoked);
            }
            if other != iss {
                let found = look_up(facts(&other, &id, earlier));
                prop_assert_eq!(found, RevocationLookup::NotRevoked);
            }
            Ok(())
        })
        .unwrap();
    report("an entry revokes what it names, literally", cases.get());
}

#[test]
fn a_list_takes_no_more_than_a_hundred_bytes_for_each_entry_whatever_their_texts() {
    const ENTRIES: usize = 100_000;
    for length in [8, MAX_TEXT_BYTES] {
        let id = |n: usize| format!("{n:0length$}");
        let mut store = None;
        // The list that it is made from is dropped again; what stays is the snapshot.
        let counted = measure(|| {
            let all = (0..ENTRIES).map(|n| entry(EntryKind::Token, "i", &id(n), NOW));
            store = Some(RevocationStore::fixed(&all.collect::<Vec<_>>()));
        });
        let store = store.unwrap();
        assert_eq!(store.load().len(), ENTRIES);
        let each = counted.bytes_current / i64::try_from(ENTRIES).unwrap();
        assert!((24..=100).contains(&each), "{each} bytes for each entry");
        report(&format!("a revocation takes {each} bytes, with IDs of {length}"), ENTRIES);
        let ids: Vec<String> = (0..1000).map(id).collect();
        let looked_up = measure(|| {
            for id in &ids {
                let found = store.load().look_up(&facts("i", id, NOW), NOW);
                assert_eq!(found, RevocationLookup::Revoked(EntryKind::Token));
                let found = store.load().look_up(&facts("j", id, NOW), NOW);
                assert_eq!(found, RevocationLookup::NotRevoked);
            }
        });
        assert_eq!(looked_up.count_total, 0, "a lookup allocates nothing");
    }
}
