//! What is counted of the revocations. `revocation::sync` counts it; tokens that passed unchecked are counted where they
//! pass, and taken over here now and then.

use std::fmt;
use std::sync::Arc;

use metrics::{Counter, Gauge, Key, Label as Pair, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::names::{
    REVOCATION_ENTRIES, REVOCATION_EPOCH_CHANGES, REVOCATION_KEPT, REVOCATION_LAST_SYNC,
    REVOCATION_LIMIT, REVOCATION_SKIPPED, REVOCATION_STALE, REVOCATION_SYNCS, REVOCATION_UNCHECKED,
};
use super::{METADATA, as_f64, gauge};
use crate::util::clock::UnixTime;

/// The metrics of the revocations; the default counts nothing.
#[derive(Clone, Debug, Default)]
pub struct RevocationMetrics(Option<Arc<Handles>>);

impl RevocationMetrics {
    /// Of a configuration that has revocations. `kinds` are the kinds of entries.
    pub(super) fn new(recorder: &PrometheusRecorder, kinds: &[&'static str]) -> Self {
        Self(Some(Arc::new(Handles::new(recorder, kinds))))
    }

    /// How many entries are in force, in the order of the kinds: `revocation_entries{kind}`.
    pub fn entries(&self, counts: impl IntoIterator<Item = usize>) {
        self.with(|handles| {
            for (entries, count) in handles.entries.iter().zip(counts) {
                entries.set(as_f64(count));
            }
        });
    }

    /// How many entries the source may hold: `revocation_entries_limit`.
    pub fn limit(&self, most: usize) {
        self.with(|handles| handles.limit.set(as_f64(most)));
    }

    /// How many entries are in force although the source does not have them any more: `revocation_kept_entries`.
    pub fn kept(&self, count: usize) {
        self.with(|handles| handles.kept.set(as_f64(count)));
    }

    /// How many entries of the source cannot be read: `revocation_skipped_entries`.
    pub fn skipped(&self, count: usize) {
        self.with(|handles| handles.skipped.set(as_f64(count)));
    }

    /// Counts an answer of the source, or its failure: `revocation_syncs_total{result}`.
    pub fn synced(&self, result: SyncResult) {
        self.with(|handles| {
            if let Some(counter) = handles.syncs.get(result as usize) {
                counter.increment(1);
            }
        });
    }

    /// When the source last answered well: `revocation_last_sync_timestamp_seconds`.
    pub fn confirmed(&self, at: UnixTime) {
        self.with(|handles| handles.last_sync.set(at.as_secs_f64()));
    }

    /// Whether the source was not heard for too long, or never: `revocation_stale`.
    pub fn stale(&self, stale: bool) {
        self.with(|handles| handles.stale.set(if stale { 1.0 } else { 0.0 }));
    }

    /// There is no source, and perhaps nothing that is revoked: what was said of both is taken back.
    pub fn clear(&self) {
        self.with(|handles| {
            let Handles { limit, kept, skipped, last_sync, stale, .. } = handles;
            let gauges = [limit, kept, skipped, last_sync, stale].into_iter();
            gauges.chain(&handles.entries).for_each(|gauge| gauge.set(0.0));
        });
    }

    /// The store was emptied or replaced: `revocation_epoch_changes_total`.
    pub fn epoch_changed(&self) {
        self.with(|handles| handles.epoch_changes.increment(1));
    }

    /// So many more tokens passed although it could not be told whether they are revoked: `revocation_unchecked_total`.
    pub fn unchecked(&self, more: u64) {
        self.with(|handles| handles.unchecked.increment(more));
    }

    fn with(&self, record: impl FnOnce(&Handles)) {
        if let Some(handles) = &self.0 {
            record(handles);
        }
    }
}

struct Handles {
    entries: Vec<Gauge>,
    limit: Gauge,
    kept: Gauge,
    skipped: Gauge,
    syncs: [Counter; SyncResult::ALL.len()],
    last_sync: Gauge,
    stale: Gauge,
    epoch_changes: Counter,
    unchecked: Counter,
}

impl Handles {
    fn new(recorder: &PrometheusRecorder, kinds: &[&'static str]) -> Self {
        let counter =
            |name: &'static str| recorder.register_counter(&Key::from_name(name), &METADATA);
        let entries = |kind: &&'static str| {
            gauge(recorder, REVOCATION_ENTRIES, vec![Pair::new("kind", *kind)])
        };
        Self {
            entries: kinds.iter().map(entries).collect(),
            limit: gauge(recorder, REVOCATION_LIMIT, vec![]),
            kept: gauge(recorder, REVOCATION_KEPT, vec![]),
            skipped: gauge(recorder, REVOCATION_SKIPPED, vec![]),
            syncs: SyncResult::ALL.map(|result| {
                let pairs = vec![Pair::new("result", result.as_str())];
                recorder.register_counter(&Key::from_parts(REVOCATION_SYNCS, pairs), &METADATA)
            }),
            last_sync: gauge(recorder, REVOCATION_LAST_SYNC, vec![]),
            stale: gauge(recorder, REVOCATION_STALE, vec![]),
            epoch_changes: counter(REVOCATION_EPOCH_CHANGES),
            unchecked: counter(REVOCATION_UNCHECKED),
        }
    }
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles").finish_non_exhaustive()
    }
}

/// What came of asking the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncResult {
    /// Everything was loaded.
    Loaded,
    /// There were changes.
    Changed,
    /// There were none.
    Unchanged,
    /// It cannot be reached.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// It refuses us.
    Denied,
    /// What it says cannot be used.
    Malformed,
    /// It was emptied, or never written to.
    NoEpoch,
    /// It holds more than it may.
    TooMany,
}

impl SyncResult {
    /// In the order of declaration, which is the order of the counters.
    pub(super) const ALL: [Self; 9] = [
        Self::Loaded,
        Self::Changed,
        Self::Unchanged,
        Self::Unreachable,
        Self::Timeout,
        Self::Denied,
        Self::Malformed,
        Self::NoEpoch,
        Self::TooMany,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::Malformed => "malformed",
            Self::NoEpoch => "no_epoch",
            Self::TooMany => "too_many",
        }
    }
}
