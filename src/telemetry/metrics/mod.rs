//! Every metric of claimgate, in one place. Label values are closed sets: names out of the configuration,
//! and words that the code lists. Handles are registered once, on their first use at the latest, so that
//! counting a check is a few atomic instructions.
//!
//! Each process part that counts is handed a [`Metrics`] or a [`SourceMetrics`]; there is no global recorder,
//! so several services can live in one process, as they do in tests.

mod connections;
mod decisions;
mod histogram;
mod issuer;
mod revocation;
mod sharded;
mod source;
mod tls;
mod token_cache;

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Key, Label as Pair, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

pub use self::connections::{ConnectionMetrics, TurnedAway};
pub use self::decisions::DecisionCount;
use self::decisions::Decisions;
use self::histogram::DurationHistogram;
pub use self::issuer::{Document, Endpoint, IssuerMetrics, KeyReload};
pub use self::revocation::{RevocationMetrics, SyncResult};
use self::source::Retired;
pub use self::source::{ORIGINS, RefreshResult, SourceMetrics};
pub use self::tls::{HandshakeResult, TlsMetrics};
pub use self::token_cache::TokenCacheCounts;
use self::token_cache::TokenCacheMetrics;
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
}

/// First "allow", then a denial for each reason, then what a shadow rule would have denied for each.
type ByVerdict = Box<[OnceLock<Counter>]>;

/// The metrics of one running service.
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    retired: Arc<Retired>,
    durations: Arc<CheckDurations>,
    decisions: Arc<Decisions>,
    settings: MetricsSettings,
    /// By rule, then by issuer, both with one more at the end for "none"; then by verdict. Filled as needed: most
    /// combinations never happen.
    checks: Vec<OnceLock<Box<[OnceLock<ByVerdict>]>>>,
    /// Row by issuer, column by algorithm. Filled as needed: most issuers use one.
    verified: Box<[OnceLock<Counter>]>,
    under_way: Arc<UnderWay>,
    inflight: Gauge,
    token_cache: TokenCacheMetrics,
    /// By issuer.
    unknown_kids: Vec<[Counter; UnknownKidOutcome::ALL.len()]>,
}

/// How many checks are under way, in every generation of the metrics.
#[derive(Debug, Default)]
pub struct UnderWay(AtomicUsize);

impl UnderWay {
    /// One began. Returns how many there were before it.
    pub fn one_more(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// One ended.
    pub fn one_less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What goes on from one configuration to the next beside the recorder.
#[derive(Default)]
struct Shared {
    retired: Arc<Retired>,
    under_way: Arc<UnderWay>,
    durations: Arc<CheckDurations>,
    decisions: Arc<Decisions>,
}

/// How long checks took, by what was decided.
#[derive(Debug, Default)]
struct CheckDurations {
    allowed: DurationHistogram,
    denied: DurationHistogram,
}

/// How one check ended.
#[derive(Clone, Copy, Debug)]
pub struct CheckOutcome<'a> {
    /// The rule that applied.
    pub rule: Option<&'a Label>,
    /// The issuer of the token, if it is one of ours.
    pub issuer: Option<&'a Label>,
    /// What was decided.
    pub verdict: CheckVerdict,
}

/// What was decided. Reasons are places in [`MetricsSettings::reasons`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// The request passes.
    Allow,
    /// It does not.
    Deny(usize),
    /// It passes although a shadow rule refused it.
    WouldDeny(usize),
}

impl CheckVerdict {
    /// The word in the label `decision`.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(_) => "deny",
            Self::WouldDeny(_) => "would_deny",
        }
    }

    const fn reason(self) -> Option<usize> {
        match self {
            Self::Allow => None,
            Self::Deny(reason) | Self::WouldDeny(reason) => Some(reason),
        }
    }
}

/// Said where there is no rule, no issuer or no reason.
const NONE: &str = "none";

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
        gauge(&self.recorder, "claimgate_config_generation", vec![]).set(generation as f64);
    }

    fn build_info(&self, value: f64) {
        let pairs = vec![
            Pair::new("version", env!("CARGO_PKG_VERSION")),
            Pair::new("profile", self.settings.profile),
        ];
        gauge(&self.recorder, "claimgate_build_info", pairs).set(value);
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
        let rules = settings.rules.len() + 1;
        let verified = settings.issuers.len() * settings.algorithms.len();
        Self {
            handle: recorder.handle(),
            checks: (0..rules).map(|_| OnceLock::new()).collect(),
            verified: (0..verified).map(|_| OnceLock::new()).collect(),
            token_cache: TokenCacheMetrics::new(&recorder),
            under_way,
            inflight: gauge(&recorder, "claimgate_inflight_checks", vec![]),
            unknown_kids: settings
                .issuers
                .iter()
                .map(|issuer| unknown_kids(&recorder, issuer))
                .collect(),
            settings,
            retired,
            durations,
            decisions,
            recorder,
        }
    }

    /// Counts a check that is over, and how long it took.
    pub fn checked(&self, outcome: CheckOutcome<'_>, took: Duration) {
        let duration = match outcome.verdict {
            CheckVerdict::Allow | CheckVerdict::WouldDeny(_) => &self.durations.allowed,
            CheckVerdict::Deny(_) => &self.durations.denied,
        };
        duration.record(took);
        self.count(outcome);
    }

    /// Counts a check whose key was missing, by what came of asking for it:
    /// `jwks_unknown_kid_total{issuer,outcome}`.
    pub fn unknown_kid(&self, issuer: &Label, outcome: UnknownKidOutcome) {
        let counters = self.unknown_kids.get(issuer.index());
        if let Some(counter) = counters.and_then(|counters| counters.get(outcome as usize)) {
            counter.increment(1);
        }
    }

    /// Counts a request that was allowed with a verified token of `issuer`, by what the token was signed with:
    /// a place in [`MetricsSettings::algorithms`]. Issuers and places that nobody has named are not counted.
    pub fn verified(&self, issuer: &Label, algorithm: usize) {
        if let Some(counter) = self.verified_counter(issuer, algorithm) {
            counter.increment(1);
        }
    }

    /// Tokens of `issuer` may be signed with this: counted from zero. Prometheus sees no increase where a series begins
    /// with its first count, and the last HS256 token of a move is the one that matters.
    pub fn accepted(&self, issuer: &Label, algorithm: usize) {
        let _registered = self.verified_counter(issuer, algorithm);
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
        self.durations_to(&mut text);
        text
    }

    fn durations_to(&self, text: &mut String) {
        let CheckDurations { allowed, denied } = &*self.durations;
        let _infallible = writeln!(
            text,
            "# HELP {CHECK_DURATION} Time from a check's arrival to its answer.\n\
             # TYPE {CHECK_DURATION} histogram"
        );
        allowed.write_to(text, CHECK_DURATION, r#"decision="allow""#);
        denied.write_to(text, CHECK_DURATION, r#"decision="deny""#);
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
        // In the order in which `count` numbers them.
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

    fn count(&self, outcome: CheckOutcome<'_>) {
        let (rules, issuers) = (self.settings.rules.len(), self.settings.issuers.len());
        let place =
            |label: Option<&Label>, none: usize| label.map_or(none, |l| l.index().min(none));
        let (rule, issuer) = (place(outcome.rule, rules), place(outcome.issuer, issuers));
        let reasons = self.settings.reasons.len();
        let cell = match outcome.verdict {
            CheckVerdict::Allow => 0,
            CheckVerdict::Deny(reason) => 1 + reason,
            CheckVerdict::WouldDeny(reason) => 1 + reasons + reason,
        };
        self.decisions.record(cell);
        // A rule takes memory from its first check on, so that thousands of rules and issuers cost what is used.
        let of_rule = self.checks.get(rule).map(|of_rule| {
            of_rule.get_or_init(|| (0..=issuers).map(|_| OnceLock::new()).collect())
        });
        let row = of_rule
            .and_then(|of_rule| of_rule.get(issuer))
            .map(|row| row.get_or_init(|| (0..=2 * reasons).map(|_| OnceLock::new()).collect()));
        match row.and_then(|row| row.get(cell)) {
            Some(cell) => {
                cell.get_or_init(|| self.register_check(rule, issuer, outcome)).increment(1);
            }
            None => self.register_check(rule, issuer, outcome).increment(1),
        }
    }

    fn verified_counter(&self, issuer: &Label, algorithm: usize) -> Option<&Counter> {
        let algorithms = &self.settings.algorithms;
        let name = *algorithms.get(algorithm)?;
        let issuer = self.settings.issuers.get(issuer.index())?;
        let cell = self.verified.get(issuer.index() * algorithms.len() + algorithm)?;
        Some(cell.get_or_init(|| {
            let issuer = Pair::new("issuer", issuer.name().to_owned());
            let pairs = vec![issuer, Pair::new("algorithm", name)];
            self.recorder.register_counter(&Key::from_parts(VERIFIED, pairs), &METADATA)
        }))
    }

    fn register_check(&self, rule: usize, issuer: usize, outcome: CheckOutcome<'_>) -> Counter {
        let name = |labels: &[Label], place: usize| {
            labels.get(place).map_or_else(|| NONE.to_owned(), |label| label.name().to_owned())
        };
        let reason = outcome.verdict.reason().and_then(|reason| self.settings.reasons.get(reason));
        let pairs = vec![
            Pair::new("rule", name(&self.settings.rules, rule)),
            Pair::new("issuer", name(&self.settings.issuers, issuer)),
            Pair::new("decision", outcome.verdict.as_str()),
            Pair::new("reason", reason.copied().unwrap_or(NONE)),
        ];
        self.recorder.register_counter(&Key::from_parts(CHECKS, pairs), &METADATA)
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

/// What came of asking for a key that a token names and nobody has published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKidOutcome {
    /// It is there now.
    Found,
    /// Every source was read, and none has it.
    NotFound,
    /// It was looked for within the last minute.
    KnownUnknown,
    /// The sources were read too recently.
    Limited,
    /// The read took longer than a request may wait. It goes on.
    TimedOut,
}

impl UnknownKidOutcome {
    /// In the order of declaration, which is the order of the counters.
    const ALL: [Self; 5] =
        [Self::Found, Self::NotFound, Self::KnownUnknown, Self::Limited, Self::TimedOut];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::NotFound => "not_found",
            Self::KnownUnknown => "known_unknown",
            Self::Limited => "limited",
            Self::TimedOut => "timed_out",
        }
    }
}

fn unknown_kids(
    recorder: &PrometheusRecorder,
    issuer: &Label,
) -> [Counter; UnknownKidOutcome::ALL.len()] {
    UnknownKidOutcome::ALL.map(|outcome| {
        let pairs = vec![
            Pair::new("issuer", issuer.name().to_owned()),
            Pair::new("outcome", outcome.as_str()),
        ];
        recorder.register_counter(&Key::from_parts(UNKNOWN_KIDS, pairs), &METADATA)
    })
}

const CHECKS: &str = "claimgate_checks_total";
const VERIFIED: &str = "claimgate_verified_tokens_total";
const CACHE_HITS: &str = "claimgate_token_cache_hits_total";
const CACHE_MISSES: &str = "claimgate_token_cache_misses_total";
const CACHE_EVICTIONS: &str = "claimgate_token_cache_evictions_total";
const CACHE_BYTES: &str = "claimgate_token_cache_bytes";
const CHECK_DURATION: &str = "claimgate_check_duration_seconds";
const UNKNOWN_KIDS: &str = "claimgate_jwks_unknown_kid_total";
const RELOADS: &str = "claimgate_config_reload_total";
const LAST_RELOAD: &str = "claimgate_config_last_reload_successful";
const REFRESHES: &str = "claimgate_jwks_refresh_total";
const FETCH_DURATION: &str = "claimgate_jwks_fetch_duration_seconds";
const LAST_SUCCESS: &str = "claimgate_jwks_last_success_timestamp_seconds";
const ORIGIN: &str = "claimgate_jwks_origin";
const PERSISTED: &str = "claimgate_jwks_persisted";
const REVOCATION_ENTRIES: &str = "claimgate_revocation_entries";
const REVOCATION_SKIPPED: &str = "claimgate_revocation_skipped_entries";
const REVOCATION_SYNCS: &str = "claimgate_revocation_syncs_total";
const REVOCATION_LAST_SYNC: &str = "claimgate_revocation_last_sync_timestamp_seconds";
const REVOCATION_STALE: &str = "claimgate_revocation_stale";
const REVOCATION_EPOCH_CHANGES: &str = "claimgate_revocation_epoch_changes_total";
const REVOCATION_UNCHECKED: &str = "claimgate_revocation_unchecked_total";
const CONNECTIONS: &str = "claimgate_connections";
const TURNED_AWAY: &str = "claimgate_connections_turned_away_total";
const TLS_EXPIRY: &str = "claimgate_tls_certificate_expiry_timestamp_seconds";
const TLS_RELOADS: &str = "claimgate_tls_reloads_total";
const TLS_HANDSHAKES: &str = "claimgate_tls_handshakes_total";

/// Part of the recorder's interface; Prometheus has no use for it.
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// A fetch takes milliseconds, up to its deadline.
const FETCH_BUCKETS: [f64; 8] = [5e-3, 25e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.5, 5.0];

fn recorder() -> PrometheusRecorder {
    let fetches = Matcher::Full(FETCH_DURATION.to_owned());
    let with_buckets = PrometheusBuilder::new().set_buckets_for_metric(fetches, &FETCH_BUCKETS);
    // The only error is an empty list of buckets; summaries would then take the histograms' place.
    with_buckets.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder()
}

fn describe(recorder: &PrometheusRecorder) {
    let counters = [
        (CHECKS, "Checks by rule, issuer, decision and reason."),
        (VERIFIED, "Requests allowed with a verified token, by what the token was signed with."),
        (CACHE_HITS, "Tokens that were verified before and still good."),
        (CACHE_MISSES, "Tokens that had to be verified."),
        (CACHE_EVICTIONS, "Verified tokens that were forgotten for others' sake."),
        (REFRESHES, "Refreshes of key sources by result."),
        (RELOADS, "Attempts to read the configuration again by result."),
        (TLS_RELOADS, "Changes of a listener's certificate files, by whether they are in use."),
        (TLS_HANDSHAKES, "TLS handshakes of a listener by result."),
        (
            TURNED_AWAY,
            "Connections that a listener refused or ended to stay within its bounds, by reason.",
        ),
        (REVOCATION_SYNCS, "Questions to the source of the revocations by what came of them."),
        (
            REVOCATION_EPOCH_CHANGES,
            "How often the store of the revocations was emptied or replaced.",
        ),
        (
            REVOCATION_UNCHECKED,
            "Tokens that passed although it could not be told whether they are revoked.",
        ),
        (UNKNOWN_KIDS, "Checks whose key was missing, by what came of asking for it."),
    ];
    let gauges = [
        (LAST_SUCCESS, "When a key source last answered well."),
        ("claimgate_jwks_keys", "Keys of a source, by whether they are used."),
        ("claimgate_jwks_skipped_keys", "Keys of a source that are not used, by reason."),
        ("claimgate_jwks_stale", "1 while a source's keys are older than they should be."),
        (ORIGIN, "1 for where a source's keys in force came from, 0 for the rest."),
        (PERSISTED, "1 while a source's copy on disk is the keys in force, 0 when it is not."),
        (REVOCATION_ENTRIES, "Revocations in force by kind."),
        (REVOCATION_SKIPPED, "Revocations of the source that cannot be read."),
        (REVOCATION_LAST_SYNC, "When the source of the revocations last answered well."),
        (REVOCATION_STALE, "1 while the source of the revocations was not heard for too long."),
        (TLS_EXPIRY, "When the certificate of a listener ends."),
        ("claimgate_build_info", "1, with version and profile."),
        ("claimgate_config_generation", "Counts the configurations in force since the start."),
        (LAST_RELOAD, "0 while a changed configuration is refused and the one before is in force."),
        (CACHE_BYTES, "Memory that verified tokens hold, about."),
        (CONNECTIONS, "Connections that are open on a listener."),
        ("claimgate_inflight_checks", "Checks that have begun and not ended."),
    ];
    for (name, help) in counters {
        recorder.describe_counter(name.into(), None, help.into());
    }
    let fetches = "Time of one read of a key source.";
    recorder.describe_histogram(FETCH_DURATION.into(), None, fetches.into());
    for (name, help) in gauges {
        recorder.describe_gauge(name.into(), None, help.into());
    }
}

fn gauge(recorder: &PrometheusRecorder, name: &'static str, pairs: Vec<Pair>) -> Gauge {
    recorder.register_gauge(&Key::from_parts(name, pairs), &METADATA)
}

/// Exact below 2^53, which no count of keys reaches.
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
