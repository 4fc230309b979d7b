//! Every step, cut short before, behind and in the middle of each of its operations: the next call understands what is left.

use super::*;
use crate::keys::lifecycle::directory::{DirectoryError, Finding};
use crate::keys::lifecycle::plan::{Operation, plan};
use crate::keys::lifecycle::rules::Step;

fn copy(from: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("keys");
    fs::create_dir(&to).unwrap();
    set_mode(&to, 0o700);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    folder
}

/// What is left of an operation in whose middle the machine stopped.
fn tear(operation: &Operation, directory: &Path) {
    match operation {
        Operation::CreatePrivate(name, pem) => {
            let text = pem.expose().as_bytes();
            fs::write(directory.join(name), &text[..text.len() / 2]).unwrap();
            set_mode(&directory.join(name), 0o600);
        }
        Operation::CreatePublic(name, pem) => {
            fs::write(directory.join(name), &pem.as_bytes()[..pem.len() / 2]).unwrap();
        }
        Operation::ReplaceManifest(bytes) => {
            fs::write(directory.join(".unfinished-x"), &bytes[..bytes.len() / 2]).unwrap();
        }
        // Either done or not.
        Operation::Remove(_) | Operation::Sync => {}
    }
}

/// Cuts `step` short in every way and looks at what is left.
fn survives(world: &World, step: &Step) {
    let directory = KeyDirectory::lock(&world.path()).unwrap();
    let before = directory.manifest().clone();
    let (change, _) = steps::prepare(&directory, step, &named("new"), world.now).unwrap();
    let operations = plan(&change).unwrap();
    drop(directory);
    for done in 0..=operations.len() {
        for torn in [false, true] {
            let folder = copy(&world.path());
            let path = folder.path().join("keys");
            for operation in &operations[..done] {
                operation.perform(&path).unwrap();
            }
            if torn && done < operations.len() {
                tear(&operations[done], &path);
            }
            understood(&path, &before, &change.manifest, &format!("{step:?} after {done} {torn}"));
            goes_on(World { folder, now: world.now });
        }
    }
}

/// The directory is in the state before or the state after, and whoever signs can.
fn understood(path: &Path, before: &Manifest, after: &Manifest, when: &str) {
    let directory = KeyDirectory::read(path).unwrap_or_else(|error| panic!("{when}: {error}"));
    let manifest = directory.manifest();
    assert!(manifest == before || manifest == after, "{when}");
    assert_eq!(directory.signing_key().unwrap().is_some(), manifest.active().is_some(), "{when}");
    for finding in directory.findings() {
        let expected = matches!(finding, Finding::Stranger(_) | Finding::NotYetDeleted(_));
        assert!(expected, "{when}: {finding}");
    }
}

/// Whole rotations can follow, and no withdrawn private key survives the next change.
fn goes_on(mut world: World) {
    for round in 0..6 {
        world.later(48 * HOUR);
        world.rotate(&format!("r{round}")).unwrap();
        for key in world.manifest().in_state(KeyState::Retired) {
            assert!(!world.has(&format!("{}.pem", key.kid())), "{}", key.kid());
        }
    }
    let directory = KeyDirectory::read(&world.path()).unwrap();
    assert!(directory.signing_key().unwrap().is_some());
}

#[test]
fn a_crash_at_any_point_of_a_rotation_is_understood_by_the_next_call() {
    let mut world = World::new();
    survives(&world, &Step::Publish);
    world.rotate("k2").unwrap();
    world.later(HOUR);
    survives(&world, &Step::Activate(Kid::parse("k2").unwrap()));
    world.rotate("k3").unwrap();
    world.later(48 * HOUR);
    survives(&world, &Step::Retire(Kid::parse("k1").unwrap()));
}

#[test]
fn a_crash_while_a_compromised_key_is_replaced_is_understood_too() {
    let mut world = World::new();
    survives(&world, &Step::Retire(Kid::parse("k1").unwrap()));
    world.retire("k1", true).unwrap();
    survives(&world, &Step::Replace);
}

#[test]
fn a_crash_while_the_first_key_is_made_leaves_a_directory_for_another_try() {
    let mut world = World { folder: tempfile::tempdir().unwrap(), now: START };
    let path = world.path();
    // Nothing but the directory and the lock; then the empty manifest.
    fs::create_dir(&path).unwrap();
    set_mode(&path, 0o700);
    fs::write(path.join(".lock"), "").unwrap();
    assert!(matches!(KeyDirectory::read(&path), Err(DirectoryError::Empty(_))));
    drop(KeyDirectory::lock_or_create(&path).unwrap());
    survives_first(&world);
    world.generate("k1").unwrap();
    assert_eq!(world.state("k1"), KeyState::Active);
}

fn survives_first(world: &World) {
    let directory = KeyDirectory::lock(&world.path()).unwrap();
    let (change, _) = steps::prepare(&directory, &Step::First, &named("new"), world.now).unwrap();
    let before = directory.manifest().clone();
    let operations = plan(&change).unwrap();
    drop(directory);
    for done in 0..=operations.len() {
        let folder = copy(&world.path());
        let path = folder.path().join("keys");
        for operation in &operations[..done] {
            operation.perform(&path).unwrap();
        }
        understood(&path, &before, &change.manifest, &format!("after {done}"));
        let mut world = World { folder, now: world.now };
        world.generate("again").unwrap();
        let expected = if done == operations.len() { KeyState::Next } else { KeyState::Active };
        assert_eq!(world.state("again"), expected);
    }
}
