//! What is counted of one key source. `keys::report` counts it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label as Pair, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::names::{
    FETCH_DURATION, KEYS, LAST_SUCCESS, ORIGIN, PERSISTED, REFRESHES, SKIPPED_KEYS, STALE,
    USABLE_UNTIL,
};
use super::{METADATA, as_f64, gauge};
use crate::util::clock::UnixTime;
use crate::util::label::Label;

/// The metrics of one key source; the default counts nothing.
#[derive(Clone, Debug, Default)]
pub struct SourceMetrics(Option<Arc<SourceHandles>>);

impl SourceMetrics {
    /// Of a source that is configured: it is shown, if it was `retired` before.
    pub(super) fn new(
        recorder: &Arc<PrometheusRecorder>,
        retired: &Arc<Retired>,
        issuer: &Label,
        source: &Label,
    ) -> Self {
        let retired = Arc::clone(retired);
        let handles = SourceHandles::new(recorder, retired, issuer, source);
        handles.retired.with(|labels| labels.remove(&handles.labels()));
        Self(Some(Arc::new(handles)))
    }

    /// Counts a refresh: `jwks_refresh_total{issuer,source,result}`.
    pub fn refreshed(&self, result: RefreshResult) {
        self.with(|handles| {
            let counter = handles.refreshes.iter().find(|(counted, _)| *counted == result);
            if let Some((_, counter)) = counter {
                counter.increment(1);
            }
        });
    }

    /// How long a fetch took: `jwks_fetch_duration_seconds{issuer,source}`.
    pub fn fetched(&self, took: Duration) {
        self.with(|handles| handles.fetch_duration.record(took.as_secs_f64()));
    }

    /// When a refresh last succeeded: `jwks_last_success_timestamp_seconds{issuer,source}`.
    pub fn succeeded(&self, at: UnixTime) {
        self.with(|handles| handles.last_success.set(at.as_secs_f64()));
    }

    /// When the keys become too old to be used, `None` when they never do or there are none:
    /// `jwks_usable_until_timestamp_seconds{issuer,source}`.
    pub fn usable_until(&self, until: Option<UnixTime>) {
        self.with(|handles| handles.usable_until.set(until.map_or(0.0, UnixTime::as_secs_f64)));
    }

    /// A source that nothing is known of yet, perhaps in the place of another one under the same labels.
    pub fn begin(&self) {
        self.with(|handles| {
            let SourceHandles { last_success, usable_until, usable, skipped_keys, stale, .. } =
                handles;
            for gauge in [last_success, usable_until, usable, skipped_keys, stale] {
                gauge.set(0.0);
            }
        });
    }

    /// How many keys are in force and how many were passed over: `jwks_keys{issuer,source,state}`.
    pub fn keys(&self, usable: usize, skipped: usize) {
        self.with(|handles| {
            handles.usable.set(as_f64(usable));
            handles.skipped_keys.set(as_f64(skipped));
        });
    }

    /// How many entries are passed over for `reason`: `jwks_skipped_keys{issuer,source,reason}`.
    pub fn skipped(&self, reason: &'static str, count: usize) {
        self.with(|handles| {
            let mut pairs = handles.pairs.clone();
            pairs.push(Pair::new("reason", reason));
            gauge(&handles.recorder, SKIPPED_KEYS, pairs).set(as_f64(count));
        });
    }

    /// There is no such source any more, and nothing is said of it.
    pub fn retire(&self) {
        self.with(|handles| {
            let _again = handles.retired.with(|labels| !labels.insert(handles.labels()));
        });
    }

    /// Whether the keys in force outlived their freshness: `jwks_stale{issuer,source}`.
    pub fn stale(&self, stale: bool) {
        self.with(|handles| handles.stale.set(if stale { 1.0 } else { 0.0 }));
    }

    /// Whether the keys in force are on disk as well: `jwks_persisted{issuer,source}`. Never called, there is no such
    /// series: nothing is to be kept.
    pub fn persisted(&self, ok: bool) {
        self.with(|handles| {
            let persisted = gauge(&handles.recorder, PERSISTED, handles.pairs.clone());
            persisted.set(if ok { 1.0 } else { 0.0 });
        });
    }

    /// Where the keys in force came from, a word of [`ORIGINS`]: `jwks_origin{issuer,source,origin}`.
    pub fn origin(&self, origin: &'static str) {
        self.with(|handles| {
            for word in ORIGINS {
                let mut pairs = handles.pairs.clone();
                pairs.push(Pair::new("origin", word));
                let in_force = if word == origin { 1.0 } else { 0.0 };
                gauge(&handles.recorder, ORIGIN, pairs).set(in_force);
            }
        });
    }

    fn with(&self, record: impl FnOnce(&SourceHandles)) {
        if let Some(handles) = &self.0 {
            record(handles);
        }
    }
}

/// Sources that are configured no more, by their labels as the text format has them. The exporter takes no series back,
/// and what a gauge said last would be said for ever.
#[derive(Debug, Default)]
pub(super) struct Retired(Mutex<BTreeSet<String>>);

impl Retired {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(test)]
    pub(super) fn stall(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `text` without them.
    pub(super) fn taken_out_of(&self, text: String) -> String {
        self.with(|retired| {
            if retired.is_empty() {
                return text;
            }
            let is_kept = |line: &&str| labels_of(line).is_none_or(|l| !retired.contains(l));
            text.split_inclusive('\n').filter(is_kept).collect()
        })
    }
}

/// The first two labels of a line's series, from the brace on: those of a source, where it is one's. What they are of
/// names from the configuration, which hold no quotes.
fn labels_of(line: &str) -> Option<&str> {
    let labels = line.get(line.find('{')?..)?;
    let (end, _) = labels.match_indices('"').nth(3)?;
    labels.get(..=end)
}

struct SourceHandles {
    recorder: Arc<PrometheusRecorder>,
    retired: Arc<Retired>,
    pairs: Vec<Pair>,
    refreshes: Vec<(RefreshResult, Counter)>,
    fetch_duration: Histogram,
    last_success: Gauge,
    usable_until: Gauge,
    usable: Gauge,
    skipped_keys: Gauge,
    stale: Gauge,
}

impl SourceHandles {
    fn new(
        recorder: &Arc<PrometheusRecorder>,
        retired: Arc<Retired>,
        issuer: &Label,
        source: &Label,
    ) -> Self {
        let pairs = vec![
            Pair::new("issuer", issuer.name().to_owned()),
            Pair::new("source", source.name().to_owned()),
        ];
        let with = |name: &'static str, value: &'static str| {
            let mut pairs = pairs.clone();
            pairs.push(Pair::new(name, value));
            pairs
        };
        let refreshes = RefreshResult::ALL.map(|result| {
            let key = Key::from_parts(REFRESHES, with("result", result.as_str()));
            (result, recorder.register_counter(&key, &METADATA))
        });
        let fetches = Key::from_parts(FETCH_DURATION, pairs.clone());
        Self {
            refreshes: refreshes.into(),
            fetch_duration: recorder.register_histogram(&fetches, &METADATA),
            last_success: gauge(recorder, LAST_SUCCESS, pairs.clone()),
            usable_until: gauge(recorder, USABLE_UNTIL, pairs.clone()),
            usable: gauge(recorder, KEYS, with("state", "usable")),
            skipped_keys: gauge(recorder, KEYS, with("state", "skipped")),
            stale: gauge(recorder, STALE, pairs.clone()),
            recorder: Arc::clone(recorder),
            retired,
            pairs,
        }
    }

    /// As every one of its series begins in the text format: names need no escapes there.
    fn labels(&self) -> String {
        let pairs = self.pairs.iter().map(|pair| format!("{}=\"{}\"", pair.key(), pair.value()));
        format!("{{{}", pairs.collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for SourceHandles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceHandles").field("labels", &self.pairs).finish_non_exhaustive()
    }
}

/// Where keys in force can have come from.
pub const ORIGINS: [&str; 6] = ["network", "disk", "file", "command", "environment", "inline"];

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshResult {
    /// New content, or the same content again.
    Ok,
    /// 304: what we have is still right.
    NotModified,
    /// The provider answered with an error status, or a redirect.
    HttpError,
    /// No answer: connection refused, TLS, DNS; for a file: not readable.
    Unreachable,
    /// No whole answer within the deadline.
    Timeout,
    /// Longer than the limit.
    TooLarge,
    /// An answer that is no usable JWK Set.
    BadDocument,
}

impl RefreshResult {
    pub(super) const ALL: [Self; 7] = [
        Self::Ok,
        Self::NotModified,
        Self::HttpError,
        Self::Unreachable,
        Self::Timeout,
        Self::TooLarge,
        Self::BadDocument,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotModified => "not_modified",
            Self::HttpError => "http_error",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::BadDocument => "bad_document",
        }
    }
}
