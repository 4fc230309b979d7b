//! A histogram of durations with fixed buckets, for what every request records: an addition or two to numbers that its
//! thread has to itself.
//!
//! The exporter's own keeps every sample until somebody sums them up: 60 to 70 ns of processor time a sample, where this
//! takes 13, one thread or two; and then, for half a million samples, which is five seconds' worth on a busy machine, 15
//! to 30 ms of one worker at once, in which it answers nobody.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::sharded::Sharded;

/// The upper bounds of the buckets, in nanoseconds. A check takes microseconds, or tens of them with a signature.
const BOUNDS: [u64; 12] = [
    10_000,
    20_000,
    30_000,
    50_000,
    75_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    5_000_000,
    25_000_000,
    100_000_000,
];

/// How long checks of one kind took.
#[derive(Debug, Default)]
pub(super) struct DurationHistogram(Sharded<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Each counts what no bucket before it does; the last what is longer than all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// The sum. Enough for 584 years of checks.
    nanoseconds: AtomicU64,
}

impl DurationHistogram {
    /// Counts one.
    pub(super) fn record(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let counts = self.0.mine();
        let place = BOUNDS.iter().position(|bound| nanoseconds <= *bound);
        if let Some(bucket) = counts.buckets.get(place.unwrap_or(BOUNDS.len())) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        counts.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Appends its series to `text`, in Prometheus' text format. `labels` are written as they are there.
    pub(super) fn write_to(&self, text: &mut String, name: &str, labels: &str) {
        let (mut buckets, mut nanoseconds) = ([0_u64; BOUNDS.len() + 1], 0_u64);
        for counts in self.0.all() {
            for (sum, bucket) in buckets.iter_mut().zip(&counts.buckets) {
                *sum += bucket.load(Ordering::Relaxed);
            }
            nanoseconds = nanoseconds.wrapping_add(counts.nanoseconds.load(Ordering::Relaxed));
        }
        // The quotient of small whole numbers is the float next to the decimal: shown as that.
        let bounds = BOUNDS.map(|bound| (bound as f64 / NANOSECONDS).to_string());
        let bounds = bounds.into_iter().chain(["+Inf".to_owned()]);
        let mut count = 0_u64;
        for (bound, bucket) in bounds.zip(buckets) {
            count += bucket;
            let _infallible = writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
        }
        let sum = nanoseconds as f64 / NANOSECONDS;
        let _infallible =
            writeln!(text, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}");
    }
}

const NANOSECONDS: f64 = 1e9;
