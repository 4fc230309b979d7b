//! What is known of each key source, for people: `/status` and `/readyz` read it, refreshers write it.
//! No request ever looks here, and nothing is decided by it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::jwks::SkippedKey;
use super::store::SourceId;
use crate::util::clock::UnixTime;

/// Where the keys in force came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing has been read yet.
    None,
    /// Fetched over the network.
    Network,
    /// Read from a file.
    File,
    /// Printed by a program.
    Command,
    /// Read from an environment variable.
    Environment,
    /// Part of the configuration.
    Inline,
    /// Kept on disk by an earlier run, and not confirmed by the source since.
    Disk,
}

/// Whether the keys in force outlive a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing is kept: there is no `state_dir`, or no need.
    Off,
    /// They are on disk.
    Kept,
    /// They are not, and why.
    Failed(String),
}

impl Origin {
    /// The word on the status page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Network => "network",
            Self::File => "file",
            Self::Command => "command",
            Self::Environment => "environment",
            Self::Inline => "inline",
            Self::Disk => "disk",
        }
    }
}

/// One source, as it stands.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Which source.
    pub id: SourceId,
    /// What it is: see [`super::source::SourceKind::location`].
    pub location: String,
    /// Where the keys in force came from.
    pub origin: Origin,
    /// The key IDs in force; a key without one is shown as `(none)`.
    pub kids: Vec<String>,
    /// What the last good document held that is not used.
    pub skipped: Vec<SkippedKey>,
    /// When the source last answered well (a 304 counts).
    pub last_success: Option<UnixTime>,
    /// The last failure since then, and when.
    pub last_error: Option<(UnixTime, String)>,
    /// What is wrong although keys can be read, such as a discovery document that cannot be read again.
    pub warning: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// When the keys become too old to be used.
    pub usable_until: Option<UnixTime>,
    /// When the next refresh is due; `None` for a source that never changes.
    pub next_refresh: Option<UnixTime>,
    /// Whether the keys in force are on disk.
    pub persistence: Persistence,
}

/// The status of every source of every issuer, in configuration order.
#[derive(Debug)]
pub struct StatusBoard {
    sources: Vec<Mutex<SourceStatus>>,
    places: HashMap<SourceId, usize>,
}

impl StatusBoard {
    /// A board on which nothing has happened yet; `sources` are identity and location of each.
    pub fn new(sources: impl IntoIterator<Item = (SourceId, String)>) -> Self {
        let blank = |(id, location)| {
            Mutex::new(SourceStatus {
                id,
                location,
                origin: Origin::None,
                kids: Vec::new(),
                skipped: Vec::new(),
                last_success: None,
                last_error: None,
                warning: None,
                failures: 0,
                usable_until: None,
                next_refresh: None,
                persistence: Persistence::Off,
            })
        };
        let sources: Vec<_> = sources.into_iter().collect();
        let places = sources.iter().enumerate().map(|(place, (id, _))| (id.clone(), place));
        Self { places: places.collect(), sources: sources.into_iter().map(blank).collect() }
    }

    /// Changes the entry of `id`; an unknown one is ignored.
    pub fn update(&self, id: &SourceId, change: impl FnOnce(&mut SourceStatus)) {
        let place = self.places.get(id);
        if let Some(entry) = place.and_then(|place| self.sources.get(*place)) {
            change(&mut lock(entry));
        }
    }

    /// A copy of the entry of `id`.
    pub fn entry(&self, id: &SourceId) -> Option<SourceStatus> {
        let entry = self.sources.get(*self.places.get(id)?)?;
        Some(lock(entry).clone())
    }

    /// A copy of every entry, those of one issuer one after the other.
    pub fn entries(&self) -> Vec<SourceStatus> {
        self.sources.iter().map(|entry| lock(entry).clone()).collect()
    }
}

/// The `entries` of a board by the places of their issuers.
pub fn by_issuer(entries: &[SourceStatus]) -> HashMap<usize, &[SourceStatus]> {
    let of_one = entries.chunk_by(|one, next| one.id.issuer == next.id.issuer);
    of_one.filter_map(|of_one| Some((of_one.first()?.id.issuer.index(), of_one))).collect()
}

/// A panic while the lock was held leaves at worst a half-updated status page.
fn lock(entry: &Mutex<SourceStatus>) -> MutexGuard<'_, SourceStatus> {
    entry.lock().unwrap_or_else(PoisonError::into_inner)
}
