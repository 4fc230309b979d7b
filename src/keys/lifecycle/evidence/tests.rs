//! The three files, and that they never change once they are there.

use std::process::Command;

use super::*;
use crate::keys::key::Algorithm;
use crate::keys::signing::SigningKey;

fn keyset(active: &str, others: &[&str]) -> Keyset {
    let jwk =
        |kid: &str| SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid(kid).public_jwk();
    let kids = [&[active], others].concat();
    let words = |kids: &[&str]| kids.iter().map(|kid| (*kid).to_owned()).collect::<Vec<_>>();
    Keyset {
        active_kid: Some(active.to_owned()),
        keys: kids.iter().map(|kid| ((*kid).to_owned(), jwk(kid))).collect(),
        states: [("active".to_owned(), words(&[active])), ("retiring".to_owned(), words(others))]
            .into(),
    }
}

fn evidence(event: &str, keyset: &Keyset, previous: Option<&str>) -> Evidence {
    let event = EventId::parse(event).unwrap();
    let now = UnixTime::from_millis(1_800_000_000_000);
    Evidence::new(event, keyset, previous.map(str::as_bytes), now).unwrap()
}

#[test]
fn sha256sum_verifies_what_was_written() {
    let out = tempfile::tempdir().unwrap();
    let path = evidence("e-1", &keyset("k2", &["k1"]), None).write(out.path()).unwrap();
    assert_eq!(path, out.path().join("e-1"));
    let check = || {
        let mut command = Command::new("sha256sum");
        command.args(["--strict", "-c", "fingerprint.sha256"]).current_dir(&path);
        command.output().unwrap().status.success()
    };
    assert!(check());
    let keyset = fs::read_to_string(path.join("keyset.json")).unwrap();
    fs::write(path.join("keyset.json"), keyset.replace("k2", "k3")).unwrap();
    assert!(!check());
}

#[test]
fn evidence_is_never_replaced() {
    let out = tempfile::tempdir().unwrap();
    let first = evidence("e", &keyset("k1", &[]), None);
    first.write(out.path()).unwrap();
    let second = evidence("e", &keyset("k2", &[]), None).write(out.path());
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(out.path().join("e/keyset.json")).unwrap(), first.keyset);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
}

#[test]
fn a_summary_shows_what_changed_since_the_previous_one() {
    let first = evidence("e1", &keyset("k1", &["k0"]), None);
    let value: Value = serde_json::from_str(&first.summary).unwrap();
    assert_eq!((&value["previous"], &value["transitions"]), (&Value::Null, &Value::Null));
    let second = evidence("e2", &keyset("k2", &["k1"]), Some(&first.summary));
    let value: Value = serde_json::from_str(&second.summary).unwrap();
    assert_eq!(value["active_kid"], "k2");
    assert_eq!(value["previous"]["active_kid"], "k1");
    assert_eq!(value["previous"]["event_id"], "e1");
    assert_eq!(
        value["transitions"],
        json!([
            {"kid": "k0", "from": "retiring", "to": null},
            {"kid": "k1", "from": "active", "to": "retiring"},
            {"kid": "k2", "from": null, "to": "active"},
        ])
    );
}

#[test]
fn what_is_no_summary_is_refused() {
    for text in ["", "{}", "[]", &keyset("k1", &[]).to_json()] {
        let event = EventId::parse("e").unwrap();
        let now = UnixTime::from_millis(0);
        let outcome = Evidence::new(event, &keyset("k1", &[]), Some(text.as_bytes()), now);
        assert_eq!(outcome, Err(NotASummary), "{text}");
    }
}

#[test]
fn an_event_id_is_a_safe_directory_name() {
    for bad in ["", ".", "..", ".e", "-e", "a/b", "a b", "é", &"x".repeat(129)] {
        assert_eq!(EventId::parse(bad), None, "{bad:?}");
    }
    assert!(EventId::parse("2026-11-21_rotation.1").is_some());
}
