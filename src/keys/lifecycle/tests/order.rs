//! The safe order, what it refuses, and what force does.

use super::*;
use crate::keys::jwks::Jwks;
use crate::keys::key::AlgorithmSet;
use crate::keys::lifecycle::document;
use crate::keys::lifecycle::rules::{Refusal, SKEW};

fn refusal(outcome: Result<Taken, StepError>) -> Refusal {
    match outcome.unwrap_err() {
        StepError::Refused(refusal) => refusal,
        error @ (StepError::Directory(_) | StepError::UnknownKid(_)) => panic!("{error}"),
    }
}

#[test]
fn the_first_key_signs_at_once_and_the_second_waits() {
    let mut world = World::new();
    assert_eq!(world.state("k1"), KeyState::Active);
    world.generate("k2").unwrap();
    assert_eq!((world.state("k1"), world.state("k2")), (KeyState::Active, KeyState::Next));
    assert!(
        matches!(refusal(world.generate("k3")), Refusal::NextExists(kid) if kid.as_str() == "k2")
    );
}

#[test]
fn a_rotation_is_publish_then_activate_then_retire_each_when_it_is_safe() {
    let mut world = World::new();
    world.rotate("k2").unwrap();
    assert_eq!((world.state("k1"), world.state("k2")), (KeyState::Active, KeyState::Next));

    world.later(HOUR - Duration::from_millis(1));
    let allowed_at = refusal(world.rotate("k3")).allowed_at().unwrap();
    assert_eq!(allowed_at, START.saturating_add(HOUR));
    world.now = allowed_at;
    world.rotate("k3").unwrap();
    assert_eq!((world.state("k1"), world.state("k2")), (KeyState::Retiring, KeyState::Active));

    world.later(24 * HOUR);
    let allowed_at = refusal(world.rotate("k3")).allowed_at().unwrap();
    assert_eq!(allowed_at, world.now.saturating_add(SKEW));
    assert!(world.has("k1.pem"));
    world.now = allowed_at;
    world.rotate("k3").unwrap();
    assert_eq!((world.state("k1"), world.state("k2")), (KeyState::Retired, KeyState::Active));
    assert!(!world.has("k1.pem") && world.has("k1.pub.pem"));

    world.rotate("k3").unwrap();
    assert_eq!(world.state("k3"), KeyState::Next);
}

#[test]
fn at_every_step_the_keys_of_valid_tokens_are_published() {
    let mut world = World::new();
    let mut signed: Vec<(String, UnixTime)> = vec![];
    for step in 0..40 {
        let manifest = world.manifest();
        let signer = manifest.active().unwrap().kid().to_string();
        // Also a verifier that fetched just before the key was published has fetched again since.
        let known_since = manifest.find(&signer).unwrap().published_at().saturating_add(HOUR);
        assert!(signer == "k1" || known_since <= world.now, "{signer} at step {step}");
        signed.push((signer, world.now));
        let published = document::jwks(&manifest).unwrap();
        for (kid, at) in &signed {
            let valid = world.now < at.saturating_add(24 * HOUR);
            assert!(!valid || published.contains(&format!("\"{kid}\"")), "{kid} at step {step}");
        }
        // Refusals are the point of waiting.
        let _refused_or_not = world.rotate(&format!("n{step}")).is_ok();
        world.later(HOUR * 7 / 3);
    }
    assert!(signed.iter().any(|(kid, _)| kid != "k1"));
}

#[test]
fn force_takes_the_step_and_says_what_breaks() {
    let mut world = World::new();
    world.rotate("k2").unwrap();
    let taken = world.force("k3");
    assert_eq!(world.state("k2"), KeyState::Active);
    assert!(taken.breaks[0].contains("until 2027-01-15T09:00:00Z"), "{:?}", taken.breaks);
    let taken = world.force("k3");
    assert_eq!(world.state("k1"), KeyState::Retired);
    assert!(taken.breaks[0].contains("tokens that k1 signed"), "{:?}", taken.breaks);
}

#[test]
fn force_breaks_nothing_when_the_step_is_safe_anyway() {
    let mut world = World::new();
    world.rotate("k2").unwrap();
    world.later(HOUR);
    assert!(world.force("k3").breaks.is_empty());
}

#[test]
fn of_two_possible_steps_the_one_that_is_due_first_is_taken() {
    let mut world = World::new();
    world.force("k2");
    world.force("k2");
    world.later(23 * HOUR);
    world.generate("k3").unwrap();
    // k3 from 24 h on, k1 from 24 h and the skew on.
    world.later(HOUR);
    world.rotate("k4").unwrap();
    assert_eq!((world.state("k3"), world.state("k1")), (KeyState::Active, KeyState::Retiring));
    world.later(SKEW);
    world.rotate("k4").unwrap();
    assert_eq!((world.state("k2"), world.state("k1")), (KeyState::Retiring, KeyState::Retired));
}

#[test]
fn the_policy_is_remembered_and_a_refused_step_does_not_change_it() {
    let mut world = World::new();
    let policy = |hours| Options { jwks_max_age: Some(HOUR * hours), ..named("k2") };
    steps::rotate(&world.path(), &policy(3), world.now).unwrap();
    world.later(2 * HOUR);
    assert_eq!(refusal(world.rotate("k3")).allowed_at(), Some(START.saturating_add(3 * HOUR)));
    let outcome = steps::rotate(&world.path(), &policy(5), world.now);
    assert_eq!(refusal(outcome).allowed_at(), Some(START.saturating_add(5 * HOUR)));
    assert_eq!(world.manifest().policy.jwks_max_age, 3 * HOUR);
}

#[test]
fn asking_for_a_shorter_wait_does_not_shorten_the_one_under_way() {
    let mut world = World::new();
    world.rotate("k2").unwrap();
    let hasty = Options {
        jwks_max_age: Some(Duration::ZERO),
        token_lifetime: Some(Duration::ZERO),
        ..Options::default()
    };
    let rotate = |world: &World| steps::rotate(&world.path(), &hasty, world.now);
    assert_eq!(refusal(rotate(&world)).allowed_at(), Some(START.saturating_add(HOUR)));
    world.later(HOUR);
    world.rotate("k2").unwrap();
    let retire = world.now.saturating_add(24 * HOUR).saturating_add(SKEW);
    assert_eq!(refusal(rotate(&world)).allowed_at(), Some(retire));
    world.now = retire;
    rotate(&world).unwrap();
    // From now on.
    assert_eq!(world.manifest().policy.token_lifetime, Duration::ZERO);
}

#[test]
fn a_dry_run_says_the_step_and_changes_nothing() {
    let mut world = World::new();
    let before = fs::read(world.path().join("manifest.json")).unwrap();
    let options = Options { dry_run: true, ..Options::default() };
    let taken = steps::rotate(&world.path(), &options, world.now).unwrap();
    assert_eq!(taken.changes, [(None, KeyState::Next)]);
    assert_eq!(fs::read(world.path().join("manifest.json")).unwrap(), before);
    world.rotate("k2").unwrap();
    assert!(steps::rotate(&world.path(), &options, world.now).is_err());
}

#[test]
fn a_compromised_key_is_gone_after_two_commands() {
    let mut world = World::new();
    assert!(matches!(refusal(world.retire("k1", false)), Refusal::Signing(_)));
    let taken = world.retire("k1", true).unwrap();
    assert!(taken.breaks.iter().any(|text| text.contains("rotate --force")), "{:?}", taken.breaks);
    assert!(!world.has("k1.pem"));
    assert_eq!(document::jwks(&world.manifest()), None);
    world.force("k2");
    assert_eq!(world.state("k2"), KeyState::Active);
    assert!(!document::jwks(&world.manifest()).unwrap().contains("k1"));
}

#[test]
fn after_a_compromise_a_waiting_key_takes_over_and_older_ones_stay_as_they_are() {
    let mut world = World::new();
    world.force("k2");
    world.force("k2");
    world.generate("k3").unwrap();
    world.retire("k2", true).unwrap();
    world.force("k4");
    let states = ["k1", "k2", "k3"].map(|kid| world.state(kid));
    assert_eq!(states, [KeyState::Retiring, KeyState::Retired, KeyState::Active]);
}

#[test]
fn without_force_a_lost_active_key_is_replaced_in_the_safe_order() {
    let mut world = World::new();
    world.retire("k1", true).unwrap();
    world.rotate("k2").unwrap();
    assert_eq!(world.state("k2"), KeyState::Next);
    assert!(matches!(refusal(world.rotate("k3")), Refusal::NotYetKnown { .. }));
    world.later(HOUR);
    world.rotate("k3").unwrap();
    assert_eq!(world.state("k2"), KeyState::Active);
}

#[test]
fn a_next_key_can_be_withdrawn_and_a_retired_one_stays_so() {
    let mut world = World::new();
    world.generate("k2").unwrap();
    assert!(world.retire("k2", false).unwrap().breaks.is_empty());
    assert_eq!(world.state("k2"), KeyState::Retired);
    assert!(world.retire("k2", false).unwrap().changes.is_empty());
    assert!(matches!(refusal(world.generate("k2")), Refusal::KidTaken(..)));
}

#[test]
fn the_public_document_is_what_verifiers_read_and_the_same_every_time() {
    let mut world = World::new();
    world.force("k2");
    world.force("k2");
    world.generate("k3").unwrap();
    let first = document::jwks(&world.manifest()).unwrap();
    assert_eq!(document::jwks(&world.manifest()).unwrap(), first);
    let read = Jwks::parse(first.as_bytes(), AlgorithmSet::ALL, 16).unwrap();
    let kids: Vec<_> = read.keys.iter().map(|key| key.kid().unwrap().to_owned()).collect();
    assert_eq!(kids, ["k2", "k3", "k1"]);
    assert!(read.skipped.is_empty());
}

#[test]
fn the_active_key_signs_with_the_private_half_of_what_is_published() {
    let mut world = World::new();
    world.force("k2");
    world.force("k2");
    let key = KeyDirectory::read(&world.path()).unwrap().signing_key().unwrap().unwrap();
    assert_eq!(key.kid(), "k2");
    assert_eq!(key.public_jwk(), *world.manifest().active().unwrap().public_jwk());
}
