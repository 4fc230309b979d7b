//! The snapshot in force behind an atomic pointer, and how fresh it is. Requests read it, [`super::sync`] alone writes
//! it; a configuration that is read again goes on with the store of the one before, if it reads the same source.
//! Pure: nothing waits here, and time is an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use super::entry::RevocationEntry;
use super::snapshot::RevocationSnapshot;
use crate::util::clock::UnixTime;

/// Holds the snapshot in force.
#[derive(Debug)]
pub struct RevocationStore {
    current: ArcSwap<RevocationSnapshot>,
    /// When the source last said that this is all, in milliseconds; see [`NEVER`] and [`ALWAYS`].
    confirmed: AtomicI64,
    /// Tokens that passed although it could not be told whether they are revoked, and that nobody has counted yet.
    passed_unchecked: AtomicU64,
}

/// The source has not said anything yet.
const NEVER: i64 = i64::MIN;

/// There is no source, and nothing that can become stale.
const ALWAYS: i64 = i64::MAX;

impl RevocationStore {
    /// A store whose source has not said anything yet. What the configuration says itself, `fixed`, is in force.
    pub fn unknown(fixed: &[RevocationEntry]) -> Self {
        Self {
            current: ArcSwap::from_pointee(RevocationSnapshot::unknown().with_fixed(fixed)),
            confirmed: AtomicI64::new(NEVER),
            passed_unchecked: AtomicU64::new(0),
        }
    }

    /// A store without a source: what the configuration says is all there is.
    pub fn fixed(entries: &[RevocationEntry]) -> Self {
        let store = Self::unknown(entries);
        let snapshot = store.load().with_synced(Default::default());
        store.publish(snapshot);
        store.confirmed.store(ALWAYS, Ordering::Relaxed);
        store
    }

    /// The snapshot in force now. A request loads it once.
    pub fn load(&self) -> Guard<Arc<RevocationSnapshot>> {
        self.current.load()
    }

    /// Whether the source has confirmed the snapshot within `max_stale` (`None`: ever).
    pub fn is_fresh(&self, max_stale: Option<Duration>, now: UnixTime) -> bool {
        match (self.confirmed.load(Ordering::Relaxed), max_stale) {
            (NEVER, _) => false,
            (ALWAYS, _) | (_, None) => true,
            (millis, Some(max_stale)) => {
                now <= UnixTime::from_millis(millis).saturating_add(max_stale)
            }
        }
    }

    /// When the source last said that this is all; `None`: never, or there is no source.
    pub fn confirmed_at(&self) -> Option<UnixTime> {
        match self.confirmed.load(Ordering::Relaxed) {
            NEVER | ALWAYS => None,
            millis => Some(UnixTime::from_millis(millis)),
        }
    }

    /// How many tokens passed although it could not be told whether they are revoked, since this was last asked.
    pub fn take_passed_unchecked(&self) -> u64 {
        self.passed_unchecked.swap(0, Ordering::Relaxed)
    }

    pub(super) fn count_passed(&self) {
        self.passed_unchecked.fetch_add(1, Ordering::Relaxed);
    }

    /// The source says that the snapshot in force is all, as of `at`.
    pub(super) fn confirm(&self, at: UnixTime) {
        self.confirmed.store(at.as_millis(), Ordering::Relaxed);
    }

    pub(super) fn load_full(&self) -> Arc<RevocationSnapshot> {
        self.current.load_full()
    }

    pub(super) fn publish(&self, next: RevocationSnapshot) {
        self.current.store(Arc::new(next));
    }
}
