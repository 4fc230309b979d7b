//! What becomes of the spans that were recorded for a collector. `telemetry::traces` counts it.

use std::fmt;

use metrics::{Counter, Key, Label as Pair, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::METADATA;
use super::names::SPANS;

/// The metrics of traces: `spans_total{result}`.
#[derive(Clone)]
pub struct SpanMetrics([Counter; SpanResult::ALL.len()]);

impl SpanMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder) -> Self {
        Self(SpanResult::ALL.map(|result| {
            let pairs = vec![Pair::new("result", result.as_str())];
            recorder.register_counter(&Key::from_parts(SPANS, pairs), &METADATA)
        }))
    }

    /// Counts `spans` that ended so.
    pub fn count(&self, result: SpanResult, spans: usize) {
        if let Some(counter) = self.0.get(result as usize) {
            counter.increment(u64::try_from(spans).unwrap_or(u64::MAX));
        }
    }
}

impl fmt::Debug for SpanMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanMetrics").finish_non_exhaustive()
    }
}

/// What became of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanResult {
    /// The collector took it.
    Exported,
    /// The collector took others of the same export, and not this one.
    Rejected,
    /// The collector was not reached, or did not want it.
    Failed,
    /// Too many waited, or a new configuration has no collector.
    Dropped,
}

impl SpanResult {
    /// In the order of declaration, which is the order of the counters.
    const ALL: [Self; 4] = [Self::Exported, Self::Rejected, Self::Failed, Self::Dropped];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}
