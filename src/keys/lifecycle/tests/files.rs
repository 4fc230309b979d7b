//! What a directory must be like, and what is never done to its files.

use super::*;
use crate::keys::lifecycle::directory::{DirectoryError, Finding};

fn read(world: &World) -> Result<KeyDirectory, DirectoryError> {
    KeyDirectory::read(&world.path())
}

#[test]
fn private_keys_are_0600_in_a_directory_of_0700() {
    let world = World::new();
    assert_eq!(mode(&world.path()), 0o700);
    assert_eq!(mode(&world.path().join("k1.pem")), 0o600);
    assert!(fs::read_to_string(world.path().join("k1.pem")).unwrap().contains("PRIVATE KEY"));
    assert!(!fs::read_to_string(world.path().join("manifest.json")).unwrap().contains("PRIVATE"));
}

#[test]
fn what_others_can_read_is_refused_with_the_chmod_that_mends_it() {
    let mut world = World::new();
    let directory = world.path();
    for (path, bad, good) in [
        (directory.clone(), 0o750, 0o700),
        (directory.clone(), 0o701, 0o700),
        (directory.join("k1.pem"), 0o640, 0o600),
        (directory.join("k1.pem"), 0o604, 0o600),
    ] {
        set_mode(&path, bad);
        let mending = format!("`chmod {good:o} {}`", path.display());
        assert!(read(&world).unwrap_err().to_string().contains(&mending));
        assert!(world.rotate("k2").unwrap_err().to_string().contains(&mending));
        assert!(world.generate("k2").unwrap_err().to_string().contains(&mending));
        set_mode(&path, good);
    }
    world.rotate("k2").unwrap();
}

#[test]
fn a_link_in_the_place_of_a_private_key_is_refused() {
    let world = World::new();
    let (key, elsewhere) = (world.path().join("k1.pem"), world.folder.path().join("elsewhere"));
    fs::rename(&key, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &key).unwrap();
    assert!(matches!(read(&world), Err(DirectoryError::NotAFile(_))));
}

#[test]
fn a_link_in_the_place_of_the_lock_is_refused_and_makes_no_file_elsewhere() {
    let mut world = World::new();
    let (lock, elsewhere) = (world.path().join(".lock"), world.folder.path().join("elsewhere"));
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &lock).unwrap();
    assert!(matches!(world.generate("k2"), Err(StepError::Directory(_))));
    assert!(!elsewhere.exists());
}

#[test]
fn no_file_is_ever_overwritten() {
    let mut world = World::new();
    for name in ["k2.pem", "k3.pub.pem"] {
        fs::write(world.path().join(name), "precious").unwrap();
        set_mode(&world.path().join(name), 0o600);
    }
    for kid in ["k2", "k3"] {
        let error = world.generate(kid).unwrap_err().to_string();
        assert!(error.contains("never overwritten"), "{error}");
    }
    for name in ["k2.pem", "k3.pub.pem"] {
        assert_eq!(fs::read_to_string(world.path().join(name)).unwrap(), "precious");
    }
    assert_eq!(world.manifest().keys().len(), 1);
}

#[test]
fn a_stranger_is_reported_and_not_used() {
    let world = World::new();
    fs::write(world.path().join("evil\u{1b}.pem"), "x").unwrap();
    let directory = read(&world).unwrap();
    assert_eq!(directory.findings(), [Finding::Stranger("evil\\u{1b}.pem".to_owned())]);
    assert_eq!(directory.manifest().keys().len(), 1);
}

#[test]
fn one_call_at_a_time_changes_a_directory() {
    let mut world = World::new();
    let held = KeyDirectory::lock(&world.path()).unwrap();
    let busy = world.rotate("k2").unwrap_err();
    assert!(matches!(busy, StepError::Directory(DirectoryError::Busy(_))), "{busy}");
    assert!(read(&world).is_ok(), "looking needs no lock");
    drop(held);
    world.rotate("k2").unwrap();
}

#[test]
fn a_manifest_that_was_lost_is_not_made_anew() {
    let mut world = World::new();
    fs::remove_file(world.path().join("manifest.json")).unwrap();
    assert!(matches!(read(&world), Err(DirectoryError::NoManifest(_))));
    assert!(world.generate("k2").is_err());
    assert!(!world.has("manifest.json"));
}

#[test]
fn a_manifest_that_was_tampered_with_or_damaged_is_refused() {
    let mut world = World::new();
    world.generate("k2").unwrap();
    let path = world.path().join("manifest.json");
    let good = fs::read_to_string(&path).unwrap();
    let other = Kid::parse("k2").unwrap();
    assert!(good.contains(other.as_str()));
    for (from, to) in [
        ("\"version\": 1", "\"version\": 2"),
        ("\"kid\": \"k2\"", "\"kid\": \"k1\""),
        ("\"kid\": \"k2\"", "\"kid\": \"../k2\""),
        ("\"state\": \"next\",\n      \"tr", "\"state\": \"active\",\n      \"tr"),
        ("\"type\": \"ed25519\"", "\"type\": \"rsa-4096\""),
        ("\"alg\": \"EdDSA\"", "\"alg\": \"RS256\""),
        ("\"crv\": \"Ed25519\"", "\"d\": \"c2VjcmV0\", \"crv\": \"Ed25519\""),
        ("T", " "),
        ("\"keys\"", "\"extra\": 1, \"keys\""),
        ("{", "{{"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        fs::write(&path, bad).unwrap();
        let error = read(&world).unwrap_err();
        assert!(matches!(error, DirectoryError::Manifest { .. }), "{from}: {error}");
    }
    fs::write(&path, &good.as_bytes()[..good.len() / 2]).unwrap();
    assert!(read(&world).is_err());
}

#[test]
fn a_key_without_its_private_half_is_not_activated() {
    let mut world = World::new();
    world.generate("k2").unwrap();
    world.later(HOUR);
    let pem = fs::read(world.path().join("k1.pem")).unwrap();
    fs::write(world.path().join("k2.pem"), pem).unwrap();
    let error = world.rotate("k3").unwrap_err();
    assert!(matches!(error, StepError::Directory(DirectoryError::WrongKey { .. })), "{error}");
    fs::remove_file(world.path().join("k2.pem")).unwrap();
    assert!(world.rotate("k3").is_err());
    assert_eq!(read(&world).unwrap().findings(), [Finding::Missing("k2.pem".to_owned())]);
    assert_eq!(world.state("k1"), KeyState::Active);
}

#[test]
fn a_kid_is_a_safe_file_name() {
    for bad in ["", ".", "..", "a.pub", "a/b", "a b", "ä", "a\n", "a\0", &"x".repeat(129)] {
        assert_eq!(Kid::parse(bad), None, "{bad:?}");
    }
    assert!(Kid::parse("-_aZ09").is_some() && Kid::parse(&"x".repeat(128)).is_some());
}
