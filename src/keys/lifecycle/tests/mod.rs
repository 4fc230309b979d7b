//! The life of keys in directories of their own, at times of our choosing.

mod crash;
mod files;
mod order;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::directory::KeyDirectory;
use super::manifest::{KeyState, Kid, Manifest};
use super::steps::{self, Options, StepError, Taken};
use crate::keys::signing::KeyType;
use crate::util::clock::UnixTime;

const HOUR: Duration = Duration::from_secs(3600);
const START: UnixTime = UnixTime::from_millis(1_800_000_000_000);

/// A key directory and a clock.
struct World {
    folder: TempDir,
    now: UnixTime,
}

impl World {
    /// With `k1` as the first, active key.
    fn new() -> Self {
        let mut world = Self { folder: tempfile::tempdir().unwrap(), now: START };
        world.generate("k1").unwrap();
        world
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn later(&mut self, by: Duration) {
        self.now = self.now.saturating_add(by);
    }

    fn generate(&mut self, kid: &str) -> Result<Taken, StepError> {
        steps::generate(&self.path(), &named(kid), self.now)
    }

    /// A rotation; a key that it makes is called `kid`.
    fn rotate(&mut self, kid: &str) -> Result<Taken, StepError> {
        steps::rotate(&self.path(), &named(kid), self.now)
    }

    fn force(&mut self, kid: &str) -> Taken {
        steps::rotate(&self.path(), &Options { force: true, ..named(kid) }, self.now).unwrap()
    }

    fn retire(&mut self, kid: &str, force: bool) -> Result<Taken, StepError> {
        steps::retire(&self.path(), kid, &Options { force, ..Options::default() }, self.now)
    }

    fn manifest(&self) -> Manifest {
        KeyDirectory::read(&self.path()).unwrap().manifest().clone()
    }

    fn state(&self, kid: &str) -> KeyState {
        self.manifest().find(kid).unwrap().state()
    }

    fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }
}

/// Ed25519 because it is made at once.
fn named(kid: &str) -> Options {
    Options {
        kid: Some(Kid::parse(kid).unwrap()),
        key_type: Some(KeyType::Ed25519),
        ..Options::default()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
