//! Every metric of claimgate, in one place. Label values are closed sets: names out of the configuration,
//! and words that the code lists. Handles are registered once, on their first use at the latest, so that
//! counting a check is a few atomic instructions.
//!
//! Each process part that counts is handed a [`Metrics`] or a [`SourceMetrics`]; there is no global recorder,
//! so several services can live in one process, as they do in tests.

mod checks;
mod connections;
mod decisions;
mod histogram;
mod issuer;
mod names;
mod process;
mod revocation;
mod sharded;
mod source;
mod spans;
mod tls;
mod token_cache;
mod unknown_kid;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Gauge, Key, Label as Pair, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use self::checks::{CheckCounters, CheckDurations, VerifiedCounters};
pub use self::checks::{CheckOutcome, CheckVerdict, UnderWay};
pub use self::connections::{ConnectionMetrics, TurnedAway};
pub use self::decisions::DecisionCount;
use self::decisions::Decisions;
pub use self::issuer::{Document, Endpoint, IssuerMetrics, KeyReload};
use self::names::{
    BUILD_INFO, CACHE_LIMIT, FETCH_DURATION, GENERATION, INFLIGHT, INFLIGHT_LIMIT, LAST_RELOAD,
    READY, RELOADS, describe,
};
pub use self::revocation::{RevocationMetrics, SyncResult};
use self::source::Retired;
pub use self::source::{ORIGINS, RefreshResult, SourceMetrics};
pub use self::spans::{SpanMetrics, SpanResult};
pub use self::tls::{HandshakeResult, TlsMetrics};
pub use self::token_cache::TokenCacheCounts;
use self::token_cache::TokenCacheMetrics;
pub use self::unknown_kid::UnknownKidOutcome;
use self::unknown_kid::UnknownKids;
use crate::util::clock::UnixTime;
use crate::util::label::Label;

/// What the label values may be, apart from words fixed in the code.
#[derive(Clone, Debug)]
pub struct MetricsSettings {
    /// The rules, numbered from 0.
    pub rules: Vec<Label>,
    /// The issuers, numbered from 0.
    pub issuers: Vec<Label>,
    /// Every reason for a denial; a check is recorded with its place in this list.
    pub reasons: Vec<&'static str>,
    /// Every algorithm that a token can be signed with; one is counted with its place in this list.
    pub algorithms: Vec<&'static str>,
    /// `production` or `development`.
    pub profile: &'static str,
    /// How many checks may be under way.
    pub concurrent_checks: usize,
    /// How much memory verified tokens may hold.
    pub cache_bytes: usize,
}

/// The metrics of one running service.
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    retired: Arc<Retired>,
    durations: Arc<CheckDurations>,
    decisions: Arc<Decisions>,
    settings: MetricsSettings,
    checks: CheckCounters,
    verified: VerifiedCounters,
    under_way: Arc<UnderWay>,
    inflight: Gauge,
    token_cache: TokenCacheMetrics,
    unknown_kids: UnknownKids,
}

/// What goes on from one configuration to the next beside the recorder.
#[derive(Default)]
struct Shared {
    retired: Arc<Retired>,
    under_way: Arc<UnderWay>,
    durations: Arc<CheckDurations>,
    decisions: Arc<Decisions>,
}

impl Metrics {
    /// Metrics with every count at zero.
    pub fn new(settings: MetricsSettings) -> Self {
        let recorder = Arc::new(recorder());
        describe(&recorder);
        let metrics = Self::counted_by(recorder, Shared::default(), settings);
        metrics.configured(1);
        metrics.count_reload(None);
        metrics
    }

    /// The same metrics under the names of another configuration, the `generation`-th. All counts go on.
    pub fn renamed(&self, settings: MetricsSettings, generation: u64) -> Self {
        self.build_info(0.0);
        let shared = Shared {
            retired: Arc::clone(&self.retired),
            under_way: self.under_way(),
            durations: Arc::clone(&self.durations),
            decisions: Arc::clone(&self.decisions),
        };
        let metrics = Self::counted_by(Arc::clone(&self.recorder), shared, settings);
        metrics.configured(generation);
        metrics
    }

    fn configured(&self, generation: u64) {
        self.build_info(1.0);
        // Exact below 2^53 configurations.
        gauge(&self.recorder, GENERATION, vec![]).set(generation as f64);
        let MetricsSettings { concurrent_checks, cache_bytes, .. } = self.settings;
        gauge(&self.recorder, INFLIGHT_LIMIT, vec![]).set(as_f64(concurrent_checks));
        gauge(&self.recorder, CACHE_LIMIT, vec![]).set(as_f64(cache_bytes));
    }

    fn build_info(&self, value: f64) {
        let pairs = vec![
            Pair::new("version", env!("CARGO_PKG_VERSION")),
            Pair::new("profile", self.settings.profile),
        ];
        gauge(&self.recorder, BUILD_INFO, pairs).set(value);
    }

    /// Whether requests may come: `ready`. To be told before each [`Self::render`].
    pub fn ready(&self, is_ready: bool) {
        gauge(&self.recorder, READY, vec![]).set(if is_ready { 1.0 } else { 0.0 });
    }

    /// Counts an attempt to read the configuration again: `config_reload_total{result}`, and
    /// `config_last_reload_successful` for as long as it is the last one.
    pub fn reloaded(&self, result: ReloadResult) {
        self.count_reload(Some(result));
    }

    /// `None` for the zero that a series begins with: else Prometheus sees no increase at the first one that is invalid.
    fn count_reload(&self, result: Option<ReloadResult>) {
        for (known, word) in ReloadResult::ALL {
            let key = Key::from_parts(RELOADS, vec![Pair::new("result", word)]);
            let counter = self.recorder.register_counter(&key, &METADATA);
            counter.increment(u64::from(Some(known) == result));
        }
        let is_in_force = result != Some(ReloadResult::Invalid);
        gauge(&self.recorder, LAST_RELOAD, vec![]).set(if is_in_force { 1.0 } else { 0.0 });
    }

    fn counted_by(
        recorder: Arc<PrometheusRecorder>,
        shared: Shared,
        settings: MetricsSettings,
    ) -> Self {
        let Shared { retired, under_way, durations, decisions } = shared;
        Self {
            handle: recorder.handle(),
            checks: CheckCounters::new(&settings),
            verified: VerifiedCounters::new(&settings),
            token_cache: TokenCacheMetrics::new(&recorder),
            under_way,
            inflight: gauge(&recorder, INFLIGHT, vec![]),
            unknown_kids: UnknownKids::new(&recorder, &settings.issuers),
            settings,
            retired,
            durations,
            decisions,
            recorder,
        }
    }

    /// Counts a check that is over, and how long it took.
    pub fn checked(&self, outcome: CheckOutcome<'_>, took: Duration) {
        self.durations.record(outcome.verdict, took);
        self.decisions.record(outcome.verdict.place(self.settings.reasons.len()));
        self.checks.count(&self.recorder, &self.settings, outcome);
    }

    /// Counts a check whose key was missing, by what came of asking for it:
    /// `jwks_unknown_kid_total{issuer,outcome}`.
    pub fn unknown_kid(&self, issuer: &Label, outcome: UnknownKidOutcome) {
        self.unknown_kids.count(issuer, outcome);
    }

    /// Counts a request that was allowed with a verified token of `issuer`, by what the token was signed with:
    /// a place in [`MetricsSettings::algorithms`]. Issuers and places that nobody has named are not counted.
    pub fn verified(&self, issuer: &Label, algorithm: usize) {
        if let Some(counter) = self.verified.of(&self.recorder, &self.settings, issuer, algorithm) {
            counter.increment(1);
        }
    }

    /// Tokens of `issuer` may be signed with this: counted from zero. Prometheus sees no increase where a series begins
    /// with its first count, and the last HS256 token of a move is the one that matters.
    pub fn accepted(&self, issuer: &Label, algorithm: usize) {
        let _registered = self.verified.of(&self.recorder, &self.settings, issuer, algorithm);
    }

    /// The checks under way, to be counted by whoever sees them come and go: `claimgate_inflight_checks`.
    pub fn under_way(&self) -> Arc<UnderWay> {
        Arc::clone(&self.under_way)
    }

    /// The metrics of one key source.
    pub fn source(&self, issuer: &Label, source: &Label) -> SourceMetrics {
        SourceMetrics::new(&self.recorder, &self.retired, issuer, source)
    }

    /// The metrics of the revocations, whose entries are of these kinds.
    pub fn revocation(&self, kinds: &[&'static str]) -> RevocationMetrics {
        RevocationMetrics::new(&self.recorder, kinds)
    }

    /// The metrics of traces.
    pub fn spans(&self) -> SpanMetrics {
        SpanMetrics::new(&self.recorder)
    }

    /// The metrics of TLS on one kind of listener, `grpc`, `http` or `admin`.
    pub fn tls(&self, listener: &'static str) -> TlsMetrics {
        TlsMetrics::new(&self.recorder, listener)
    }

    /// The metrics of the connections of one kind of listener, `grpc`, `http` or `admin`.
    pub fn connections(&self, listener: &'static str) -> ConnectionMetrics {
        ConnectionMetrics::new(&self.recorder, listener)
    }

    /// Takes over what the cache of this configuration has counted: `token_cache_{hits,misses,evictions}_total`,
    /// `token_cache_bytes`.
    pub fn token_cache(&self, counts: TokenCacheCounts) {
        self.token_cache.take_over(counts);
    }

    /// Everything in Prometheus' text format. Takes milliseconds where there are thousands of series: not for a thread
    /// that answers requests.
    pub fn render(&self) -> String {
        // Exact below 2^53 checks.
        self.inflight.set(self.under_way.count() as f64);
        let mut text = self.retired.taken_out_of(self.handle.render());
        self.durations.write_to(&mut text);
        process::write_to(&mut text);
        text
    }

    /// Histograms of the exporter collect what was recorded until this is called; to be called every few seconds.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Remembers how checks have ended until `now`; to be called every five seconds.
    pub fn sample(&self, now: UnixTime) {
        self.decisions.sample(now);
    }

    /// How checks have ended lately, and since the start: what has happened only, in the order of the reasons.
    pub fn decisions(&self, now: UnixTime) -> Vec<DecisionCount> {
        let reasons = || self.settings.reasons.iter().map(|reason| Some(*reason));
        // In the order of their places.
        let denied = reasons().map(|reason| (CheckVerdict::Deny(0).as_str(), reason));
        let shadowed = reasons().map(|reason| (CheckVerdict::WouldDeny(0).as_str(), reason));
        let allowed = [(CheckVerdict::Allow.as_str(), None)];
        self.decisions.read(allowed.into_iter().chain(denied).chain(shadowed), now)
    }

    /// Has whoever renders wait until this is dropped.
    #[cfg(test)]
    pub(crate) fn stall(&self) -> impl Drop + use<'_> {
        self.retired.stall()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How an attempt to read the configuration again ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// It is in force.
    Ok,
    /// It has mistakes; the one before stays in force.
    Invalid,
}

impl ReloadResult {
    const ALL: [(Self, &'static str); 2] = [(Self::Ok, "ok"), (Self::Invalid, "invalid")];
}

/// A fetch takes milliseconds, up to its deadline.
const FETCH_BUCKETS: [f64; 8] = [5e-3, 25e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.5, 5.0];

fn recorder() -> PrometheusRecorder {
    let fetches = Matcher::Full(FETCH_DURATION.to_owned());
    let with_buckets = PrometheusBuilder::new().set_buckets_for_metric(fetches, &FETCH_BUCKETS);
    // The only error is an empty list of buckets; summaries would then take the histograms' place.
    with_buckets.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder()
}

/// Part of the recorder's interface; Prometheus has no use for it.
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// Said where there is no rule, no issuer or no reason.
const NONE: &str = "none";

fn gauge(recorder: &PrometheusRecorder, name: &'static str, pairs: Vec<Pair>) -> Gauge {
    recorder.register_gauge(&Key::from_parts(name, pairs), &METADATA)
}

/// Exact below 2^53, which nothing that is counted so reaches.
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
