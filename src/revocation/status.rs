//! How the source of the revocations is doing, for people: `/status` and `/readyz` read it, [`super::sync`] writes it.
//! No request looks here, and nothing is decided by it.

use std::sync::{Mutex, PoisonError};

use super::source::Skipped;
use crate::util::clock::UnixTime;

/// The source, as it stands.
#[derive(Clone, Debug, Default)]
pub struct SyncStatus {
    /// What it is; `None`: there is no source besides the configuration.
    pub location: Option<String>,
    /// The last failure since it last answered well, and when.
    pub last_error: Option<(UnixTime, String)>,
    /// Failures in a row.
    pub failures: u32,
    /// Entries that cannot be read, since the last load.
    pub skipped: Skipped,
    /// When the store was found to be another one than before: emptied, or replaced.
    pub epoch_changed: Option<UnixTime>,
    /// Entries that are kept although the store does not have them: from one before, or lost.
    pub kept: usize,
}

/// Where that is written.
#[derive(Debug, Default)]
pub struct SyncBoard(Mutex<SyncStatus>);

impl SyncBoard {
    /// A board on which nothing has happened yet.
    pub fn new(location: Option<String>) -> Self {
        Self(Mutex::new(SyncStatus { location, ..SyncStatus::default() }))
    }

    /// A copy of it.
    pub fn read(&self) -> SyncStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut SyncStatus)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
