//! What an issuer starts with and what it does not; and that it follows a directory without a moment in which nothing
//! signs, or something signs that is not published.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::issuer::reference::testing::{NOW, generate};
use crate::keys::lifecycle::steps::{self, Options};
use crate::keys::signing::KeyType;
use crate::util::clock::{ManualClock, SystemClock};

const LIFETIME: Duration = Duration::from_secs(300);

fn with_key() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    generate(&path, KeyType::Ed25519, "k1");
    (folder, path)
}

fn refused(path: &Path) -> String {
    KeyRing::load(path, LIFETIME).unwrap_err().to_string()
}

fn forced() -> Options {
    Options { force: true, ..Options::default() }
}

#[test]
fn without_keys_it_does_not_start_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    assert!(refused(&path).contains("there is no such key directory"), "{}", refused(&path));
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    assert!(refused(&path).contains("no keys here yet"), "{}", refused(&path));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}

#[test]
fn with_files_that_others_can_read_it_does_not_start() {
    let (_folder, path) = with_key();
    for (file, mode) in [(path.clone(), 0o755), (path.clone(), 0o710), (path.join("k1.pem"), 0o640)]
    {
        let before = fs::metadata(&file).unwrap().permissions();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        assert!(refused(&path).contains("lets others in"), "{mode:o}: {}", refused(&path));
        fs::set_permissions(&file, before).unwrap();
    }
    assert!(KeyRing::load(&path, LIFETIME).is_ok());
    let (private, elsewhere) = (path.join("k1.pem"), path.join("elsewhere"));
    fs::rename(&private, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &private).unwrap();
    assert!(refused(&path).contains("no link to one"), "{}", refused(&path));
}

#[test]
fn with_a_key_that_is_not_the_published_one_or_not_there_it_does_not_start() {
    let (_folder, path) = with_key();
    let (_other, other) = with_key();
    fs::copy(other.join("k1.pem"), path.join("k1.pem")).unwrap();
    assert!(refused(&path).contains("not the private key of k1"), "{}", refused(&path));
    fs::remove_file(path.join("k1.pem")).unwrap();
    assert!(refused(&path).contains("k1.pem"), "{}", refused(&path));
    fs::write(path.join("manifest.json"), "{}").unwrap();
    assert!(refused(&path).contains("manifest"), "{}", refused(&path));
}

#[test]
fn with_a_weak_key_it_does_not_start() {
    let (_folder, path) = with_key();
    let manifest = fs::read_to_string(path.join("manifest.json")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    // 1024 bits of odd numbers: `claimgate keys` never makes one, but somebody may have put it there.
    let modulus = URL_SAFE_NO_PAD.encode([0xff; 128]);
    let key = &mut manifest["keys"][0];
    key["type"] = "rsa-2048".into();
    key["alg"] = "RS256".into();
    key["public_jwk"] = serde_json::json!({
        "kty": "RSA", "kid": "k1", "alg": "RS256", "use": "sig", "n": modulus, "e": "AQAB",
    });
    fs::write(path.join("manifest.json"), manifest.to_string()).unwrap();
    assert!(refused(&path).contains("usable key"), "{}", refused(&path));
}

#[test]
fn without_an_active_key_it_does_not_start_but_goes_on() {
    let (_folder, path) = with_key();
    steps::rotate(&path, &Options::default(), NOW).unwrap();
    steps::retire(&path, "k1", &forced(), NOW).unwrap();
    assert!(refused(&path).contains("no key is active"), "{}", refused(&path));
    let ring = KeyRing::read(&path).unwrap();
    assert!(ring.signing_key().is_none() && ring.published().is_some());
}

#[test]
fn with_tokens_that_outlive_their_key_it_does_not_start() {
    let (_folder, path) = with_key();
    let day = Duration::from_secs(24 * 60 * 60);
    assert!(KeyRing::load(&path, day).is_ok());
    let error = KeyRing::load(&path, day + Duration::from_secs(1)).unwrap_err().to_string();
    assert!(error.contains("86400 s, and 86401 s are configured"), "{error}");
}

#[test]
fn debug_shows_no_key() {
    let (_folder, path) = with_key();
    let shown = format!("{:?}", KeyRing::load(&path, LIFETIME).unwrap());
    assert_eq!(shown, "KeyRing { signing: Some(\"k1\"), .. }");
}

fn follower(path: &Path) -> KeyFollower {
    let ring = KeyRing::load(path, LIFETIME).unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    KeyFollower::new(path, ring, Arc::new(IssuerMetrics::new("production")), clock)
}

fn signs(follower: &KeyFollower) -> Option<String> {
    follower.ring().load().signing_key().map(|key| key.kid().to_owned())
}

#[tokio::test]
async fn what_cannot_be_read_changes_nothing_and_is_said_once_until_it_is_over() {
    let (_folder, path) = with_key();
    let follower = follower(&path);
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    follower.look().await;
    follower.look().await;
    assert_eq!(signs(&follower).as_deref(), Some("k1"));
    let state = follower.subscribe().borrow().clone();
    assert!(state.refused.unwrap().1.contains("lets others in"));
    let failed = r#"claimgate_issuer_key_reload_total{result="failed"} 1"#;
    assert!(follower.metrics.render().contains(failed), "{}", follower.metrics.render());
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    follower.look().await;
    assert_eq!(follower.subscribe().borrow().refused, None);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_signs_no_more() {
    let (_folder, path) = with_key();
    let follower = follower(&path);
    steps::retire(&path, "k1", &forced(), NOW).unwrap();
    follower.look().await;
    assert_eq!(signs(&follower), None);
    assert!(follower.ring().load().published().is_none());
    assert!(!follower.subscribe().borrow().signs);
    steps::rotate(&path, &forced(), NOW).unwrap();
    follower.look().await;
    assert!(signs(&follower).is_some() && follower.subscribe().borrow().signs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_a_directory_and_what_signs_is_published_at_every_moment() {
    let (_folder, path) = with_key();
    let follower = follower(&path);
    let (ring, stop) = (follower.ring(), CancellationToken::new());
    let rotations = async {
        for step in 0..12 {
            let before = ring.load_full();
            let directory = path.clone();
            let rotated = task::spawn_blocking(move || {
                steps::rotate(&directory, &forced(), SystemClock.now()).is_ok()
            });
            assert!(rotated.await.unwrap(), "{step}");
            let swapped = async {
                while Arc::ptr_eq(&ring.load_full(), &before) {
                    time::sleep(Duration::from_millis(2)).await;
                }
            };
            time::timeout(Duration::from_secs(20), swapped).await.expect("noticed");
        }
        stop.cancel();
    };
    let readers = async {
        let mut seen = 0_usize;
        while !stop.is_cancelled() {
            let now = ring.load();
            let kid = now.signing_key().expect("one signs").kid();
            let published = &now.published().expect("some are published").body;
            assert!(published.windows(kid.len()).any(|part| part == kid.as_bytes()));
            seen += 1;
            task::yield_now().await;
        }
        assert!(seen > 12);
    };
    tokio::join!(follower.run(stop.clone()), rotations, readers);
}
