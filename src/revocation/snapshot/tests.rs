//! Lookups: which entry revokes which token, and what is not known.

use super::*;
use crate::revocation::entry::Revoked;

const ISS: &str = "https://id.example";

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_secs(seconds).unwrap()
}

fn entry(iss: &str, revoked: Revoked, expires_at: i64) -> RevocationEntry {
    RevocationEntry::new(iss, revoked, at(expires_at)).unwrap()
}

fn of_kinds() -> [RevocationEntry; 5] {
    [
        entry(ISS, Revoked::Token { jti: "t".into() }, 2000),
        entry(ISS, Revoked::Subject { sub: "u".into(), not_before: at(500) }, 2000),
        entry(ISS, Revoked::Session { sid: "s".into() }, 2000),
        entry(ISS, Revoked::Key { kid: "k".into() }, 2000),
        entry("https://other.example", Revoked::Issuer { not_before: at(500) }, 2000),
    ]
}

const GOOD: TokenFacts<'_> = TokenFacts {
    iss: ISS,
    jti: Some("j"),
    sub: Some("v"),
    sid: None,
    kid: Some("l"),
    iat: Some(UnixTime::from_millis(600_000)),
};

const NOW: UnixTime = UnixTime::from_millis(1_000_000);

fn loaded(entries: &[RevocationEntry]) -> RevocationSnapshot {
    let snapshot = RevocationSnapshot::unknown();
    let mut table = Table::default();
    for entry in entries {
        table.insert(slot_of(snapshot.digester(), entry));
    }
    snapshot.with_synced(table)
}

#[test]
fn each_kind_revokes_its_tokens_and_no_other() {
    let snapshot = loaded(&of_kinds());
    let earlier = Some(at(499));
    #[rustfmt::skip]
    let table = [
        (GOOD, None),
        (TokenFacts { jti: Some("t"), ..GOOD }, Some(EntryKind::Token)),
        (TokenFacts { jti: Some("T"), ..GOOD }, None),
        (TokenFacts { jti: None, ..GOOD }, None),
        (TokenFacts { jti: Some("t"), iss: "https://other.example", ..GOOD }, None),
        (TokenFacts { jti: Some("u"), sub: Some("t"), sid: Some("k"), kid: Some("s"), ..GOOD }, None),
        (TokenFacts { sub: Some("u"), iat: earlier, ..GOOD }, Some(EntryKind::Subject)),
        (TokenFacts { sub: Some("u"), iat: Some(UnixTime::from_millis(499_999)), ..GOOD }, Some(EntryKind::Subject)),
        (TokenFacts { sub: Some("u"), iat: Some(at(500)), ..GOOD }, None),
        (TokenFacts { sub: Some("u"), iat: None, ..GOOD }, Some(EntryKind::Subject)),
        (TokenFacts { sub: Some("u"), iat: earlier, iss: "https://id.example/", ..GOOD }, None),
        (TokenFacts { sub: None, iat: earlier, ..GOOD }, None),
        (TokenFacts { sid: Some("s"), ..GOOD }, Some(EntryKind::Session)),
        (TokenFacts { sid: Some(""), ..GOOD }, None),
        (TokenFacts { kid: Some("k"), ..GOOD }, Some(EntryKind::Key)),
        (TokenFacts { kid: None, ..GOOD }, None),
        (TokenFacts { iss: "https://other.example", iat: earlier, ..GOOD }, Some(EntryKind::Issuer)),
        (TokenFacts { iss: "https://other.example", iat: None, ..GOOD }, Some(EntryKind::Issuer)),
        (TokenFacts { iss: "https://other.example", ..GOOD }, None),
    ];
    for (facts, expected) in table {
        let expected = expected.map_or(RevocationLookup::NotRevoked, RevocationLookup::Revoked);
        assert_eq!(snapshot.look_up(&facts, NOW), expected, "{facts:?}");
    }
}

#[test]
fn nothing_loaded_is_unknown_and_an_empty_list_is_not() {
    let unknown = RevocationSnapshot::unknown();
    assert_eq!(unknown.look_up(&GOOD, NOW), RevocationLookup::Unknown);
    let empty = unknown.with_synced(Table::default());
    assert_eq!(empty.look_up(&GOOD, NOW), RevocationLookup::NotRevoked);
    assert!(!unknown.is_loaded() && empty.is_loaded() && empty.is_empty());
}

#[test]
fn what_the_configuration_revokes_is_revoked_before_anything_is_loaded() {
    let revoked = TokenFacts { jti: Some("t"), ..GOOD };
    let snapshot = RevocationSnapshot::unknown().with_fixed(&of_kinds());
    assert_eq!(snapshot.look_up(&revoked, NOW), RevocationLookup::Revoked(EntryKind::Token));
    assert_eq!(snapshot.look_up(&GOOD, NOW), RevocationLookup::Unknown);
    let snapshot = snapshot.with_synced(Table::default());
    assert_eq!(snapshot.look_up(&revoked, NOW), RevocationLookup::Revoked(EntryKind::Token));
    assert_eq!(snapshot.counts(), [1; 5]);
    let snapshot = snapshot.with_fixed(&[]);
    assert_eq!(snapshot.look_up(&revoked, NOW), RevocationLookup::NotRevoked);
}

#[test]
fn an_entry_holds_as_long_as_anybody_may_accept_its_token() {
    let snapshot = loaded(&of_kinds());
    let revoked = TokenFacts { jti: Some("t"), ..GOOD };
    let last = at(2000 + 600);
    let just_before = UnixTime::from_millis(last.as_millis() - 1);
    assert!(matches!(snapshot.look_up(&revoked, just_before), RevocationLookup::Revoked(_)));
    assert_eq!(snapshot.look_up(&revoked, last), RevocationLookup::NotRevoked);
    // A clock that goes back finds it again: only forgetting takes it away.
    assert!(matches!(snapshot.look_up(&revoked, NOW), RevocationLookup::Revoked(_)));
}

#[test]
fn two_entries_about_the_same_are_the_stricter_of_both() {
    let of = |not_before, expires_at| {
        entry(ISS, Revoked::Subject { sub: "u".into(), not_before: at(not_before) }, expires_at)
    };
    for entries in [[of(500, 3000), of(700, 2000)], [of(700, 2000), of(500, 3000)]] {
        let snapshot = loaded(&entries);
        let facts = TokenFacts { sub: Some("u"), ..GOOD };
        assert!(matches!(snapshot.look_up(&facts, at(2900)), RevocationLookup::Revoked(_)));
        assert_eq!(snapshot.len(), 1);
    }
}

#[test]
fn a_token_that_no_entry_can_name_is_told_from_others() {
    let (fits, long) = ("x".repeat(MAX_TEXT_BYTES), "x".repeat(MAX_TEXT_BYTES + 1));
    assert!(GOOD.can_be_revoked());
    assert!(TokenFacts { jti: Some(&fits), ..GOOD }.can_be_revoked());
    for facts in [
        TokenFacts { jti: None, ..GOOD },
        TokenFacts { jti: Some(""), ..GOOD },
        TokenFacts { jti: Some(&long), ..GOOD },
        TokenFacts { iss: &long, ..GOOD },
        TokenFacts { sub: Some(&long), ..GOOD },
        TokenFacts { sid: Some(&long), ..GOOD },
        TokenFacts { kid: Some(&long), ..GOOD },
    ] {
        assert!(!facts.can_be_revoked());
    }
}

#[test]
fn two_processes_know_an_entry_by_two_digests() {
    let [one, other] = [(); 2].map(|()| {
        let snapshot = RevocationSnapshot::unknown();
        slot_of(snapshot.digester(), &of_kinds()[0])
    });
    assert_ne!(one, other, "whoever knows one cannot aim at the other");
}

#[test]
fn many_come_and_go_and_each_is_found_while_it_is_there() {
    let snapshot = RevocationSnapshot::unknown();
    let name = |n: u32| format!("{n}");
    let of = |n: u32| {
        let expires_at = if n.is_multiple_of(2) { 1000 } else { 2000 };
        slot_of(
            snapshot.digester(),
            &entry(ISS, Revoked::Token { jti: name(n).into() }, expires_at),
        )
    };
    let digest = |n: u32| {
        let digester = snapshot.digester();
        Digester::of(digester.issuer(ISS), EntryKind::Token, Some(&name(n)))
    };
    const MANY: u32 = 20_000;
    let mut table = Table::default();
    (0..MANY).for_each(|n| table.insert(of(n)));
    assert_eq!((table.len(), table.count(EntryKind::Token)), (20_000, 20_000));
    let before = table.clone();
    // The clone does not notice.
    table.prune_all(at(1001));
    assert_eq!(table.len(), 10_000);
    let mut in_vain = 0;
    for n in 0..MANY {
        let is_there = n % 2 == 1;
        assert_eq!(table.find(digest(n)).is_some(), is_there, "{n}");
        assert!(table.may_hold(digest(n)) || !is_there, "{n}");
        assert!(before.find(digest(n)).is_some() && before.may_hold(digest(n)), "{n}");
        assert!(table.find(digest(n + MANY)).is_none(), "{n}");
        in_vain += u32::from(before.may_hold(digest(n + MANY)));
    }
    assert!(in_vain < MANY / 5, "{in_vain} would be searched for in vain");
    assert_eq!((table.iter().count(), before.iter().count()), (10_000, 20_000));
    table.prune_all(at(2001));
    assert_eq!((table.len(), table.iter().count()), (0, 0));
}
