//! What is counted of the remembered tokens. The cache counts for itself, since whoever looks into it counts nothing;
//! its counts are taken over here now and then: before a scrape, and every few seconds.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, Gauge, Key, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::names::{CACHE_BYTES, CACHE_EVICTIONS, CACHE_HITS, CACHE_MISSES};
use super::{METADATA, gauge};

/// What a cache has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCacheCounts {
    /// Tokens that were known and still good.
    pub hits: u64,
    /// Tokens that had to be verified.
    pub misses: u64,
    /// Tokens that were forgotten for others' sake.
    pub evictions: u64,
    /// An estimate of the memory that it holds.
    pub bytes: u64,
}

/// The metrics of one cache: of one configuration. The counters go on with the next.
pub(super) struct TokenCacheMetrics {
    counters: [Told; 3],
    bytes: Gauge,
}

struct Told {
    counter: Counter,
    told: AtomicU64,
}

impl TokenCacheMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        let counters = [CACHE_HITS, CACHE_MISSES, CACHE_EVICTIONS].map(|name| {
            let counter = recorder.register_counter(&Key::from_name(name), &METADATA);
            Told { counter, told: AtomicU64::new(0) }
        });
        Self { counters, bytes: gauge(recorder, CACHE_BYTES, vec![]) }
    }

    pub(super) fn take_over(&self, counts: TokenCacheCounts) {
        let TokenCacheCounts { hits, misses, evictions, bytes } = counts;
        for (told, count) in self.counters.iter().zip([hits, misses, evictions]) {
            // Two that come here at once tell each part once.
            let before = told.told.fetch_max(count, Ordering::Relaxed);
            told.counter.increment(count.saturating_sub(before));
        }
        // Exact below 2^53 bytes.
        self.bytes.set(bytes as f64);
    }
}

impl fmt::Debug for TokenCacheMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCacheMetrics").finish_non_exhaustive()
    }
}
