//! Every metric of claimgate, in one place. Label values are closed sets: names out of the configuration,
//! and words that the code lists. Handles are registered once, on their first use at the latest, so that
//! counting a check is a few atomic instructions.
//!
//! Each process part that counts is handed a [`Metrics`] or a [`SourceMetrics`]; there is no global recorder,
//! so several services can live in one process, as they do in tests.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label as Pair, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

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

/// The metrics of one running service.
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    settings: MetricsSettings,
    /// Row by rule, column by issuer, both with one more at the end for "none"; then by reason, the last
    /// being "none": allowed. Filled as needed: most combinations never happen.
    checks: Vec<OnceLock<Box<[OnceLock<Counter>]>>>,
    /// Row by issuer, column by algorithm. Filled as needed: most issuers use one.
    verified: Box<[OnceLock<Counter>]>,
    allowed_duration: Histogram,
    denied_duration: Histogram,
    inflight: Gauge,
    /// By issuer.
    unknown_kids: Vec<[Counter; UnknownKidOutcome::ALL.len()]>,
}

/// How one check ended.
#[derive(Clone, Copy, Debug)]
pub struct CheckOutcome<'a> {
    /// The rule that applied.
    pub rule: Option<&'a Label>,
    /// The issuer of the token, if it is one of ours.
    pub issuer: Option<&'a Label>,
    /// Why it was denied, as a place in [`MetricsSettings::reasons`]; `None` when it was allowed.
    pub reason: Option<usize>,
}

/// Said where there is no rule, no issuer or no reason.
const NONE: &str = "none";

impl Metrics {
    /// Metrics with every count at zero.
    pub fn new(settings: MetricsSettings) -> Self {
        let recorder = Arc::new(recorder());
        describe(&recorder);
        let metrics = Self::counted_by(recorder, settings);
        metrics.configured(1);
        metrics
    }

    /// The same metrics under the names of another configuration, the `generation`-th. All counts go on.
    pub fn renamed(&self, settings: MetricsSettings, generation: u64) -> Self {
        self.build_info(0.0);
        let metrics = Self::counted_by(Arc::clone(&self.recorder), settings);
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

    /// Counts an attempt to read the configuration again: `config_reload_total{result}`.
    pub fn reloaded(&self, result: ReloadResult) {
        for (known, word) in ReloadResult::ALL {
            let key = Key::from_parts(RELOADS, vec![Pair::new("result", word)]);
            let counter = self.recorder.register_counter(&key, &METADATA);
            counter.increment(u64::from(known == result));
        }
    }

    fn counted_by(recorder: Arc<PrometheusRecorder>, settings: MetricsSettings) -> Self {
        let duration = |decision| {
            let pairs = vec![Pair::new("decision", decision)];
            recorder.register_histogram(&Key::from_parts(CHECK_DURATION, pairs), &METADATA)
        };
        let (allowed_duration, denied_duration) = (duration("allow"), duration("deny"));
        let cells = (settings.rules.len() + 1) * (settings.issuers.len() + 1);
        let verified = settings.issuers.len() * settings.algorithms.len();
        Self {
            handle: recorder.handle(),
            checks: (0..cells).map(|_| OnceLock::new()).collect(),
            verified: (0..verified).map(|_| OnceLock::new()).collect(),
            allowed_duration,
            denied_duration,
            inflight: gauge(&recorder, "claimgate_inflight_checks", vec![]),
            unknown_kids: settings
                .issuers
                .iter()
                .map(|issuer| unknown_kids(&recorder, issuer))
                .collect(),
            settings,
            recorder,
        }
    }

    /// Counts a check that is over, and how long it took.
    pub fn checked(&self, outcome: CheckOutcome<'_>, took: Duration) {
        let duration = match outcome.reason {
            None => &self.allowed_duration,
            Some(_) => &self.denied_duration,
        };
        duration.record(took.as_secs_f64());
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

    /// A check began.
    pub fn check_began(&self) {
        self.inflight.increment(1.0);
    }

    /// A check ended.
    pub fn check_ended(&self) {
        self.inflight.decrement(1.0);
    }

    /// The metrics of one key source.
    pub fn source(&self, issuer: &Label, source: &Label) -> SourceMetrics {
        SourceMetrics(Some(Arc::new(SourceHandles::new(&self.recorder, issuer, source))))
    }

    /// The metrics of TLS on one kind of listener, `grpc` or `admin`.
    pub fn tls(&self, listener: &'static str) -> TlsMetrics {
        TlsMetrics::new(&self.recorder, listener)
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Histograms collect what was recorded until this is called; to be called every few seconds.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn count(&self, outcome: CheckOutcome<'_>) {
        let (rules, issuers) = (self.settings.rules.len(), self.settings.issuers.len());
        let place =
            |label: Option<&Label>, none: usize| label.map_or(none, |l| l.index().min(none));
        let (rule, issuer) = (place(outcome.rule, rules), place(outcome.issuer, issuers));
        let reasons = self.settings.reasons.len();
        let reason = outcome.reason.map_or(reasons, |reason| reason.min(reasons));
        let row = self
            .checks
            .get(rule * (issuers + 1) + issuer)
            .map(|row| row.get_or_init(|| (0..=reasons).map(|_| OnceLock::new()).collect()));
        match row.and_then(|row| row.get(reason)) {
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
        let reason = outcome.reason.and_then(|reason| self.settings.reasons.get(reason));
        let pairs = vec![
            Pair::new("rule", name(&self.settings.rules, rule)),
            Pair::new("issuer", name(&self.settings.issuers, issuer)),
            Pair::new("decision", if outcome.reason.is_some() { "deny" } else { "allow" }),
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

/// The metrics of one key source; the default counts nothing.
#[derive(Clone, Debug, Default)]
pub struct SourceMetrics(Option<Arc<SourceHandles>>);

impl SourceMetrics {
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
            gauge(&handles.recorder, "claimgate_jwks_skipped_keys", pairs).set(as_f64(count));
        });
    }

    /// There is no such source any more: nothing is to be alarmed about.
    pub fn retire(&self) {
        self.keys(0, 0);
        self.stale(false);
        // Series cannot be taken back, and no comparison with this one is ever true: else it would seem to be older
        // and older.
        self.with(|handles| handles.last_success.set(f64::NAN));
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

struct SourceHandles {
    recorder: Arc<PrometheusRecorder>,
    pairs: Vec<Pair>,
    refreshes: Vec<(RefreshResult, Counter)>,
    fetch_duration: Histogram,
    last_success: Gauge,
    usable: Gauge,
    skipped_keys: Gauge,
    stale: Gauge,
}

impl SourceHandles {
    fn new(recorder: &Arc<PrometheusRecorder>, issuer: &Label, source: &Label) -> Self {
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
            usable: gauge(recorder, "claimgate_jwks_keys", with("state", "usable")),
            skipped_keys: gauge(recorder, "claimgate_jwks_keys", with("state", "skipped")),
            stale: gauge(recorder, "claimgate_jwks_stale", pairs.clone()),
            recorder: Arc::clone(recorder),
            pairs,
        }
    }
}

impl fmt::Debug for SourceHandles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceHandles").field("labels", &self.pairs).finish_non_exhaustive()
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

/// The metrics of TLS on one kind of listener.
pub struct TlsMetrics {
    expiry: Gauge,
    reloaded: Counter,
    reload_failed: Counter,
    handshakes: [Counter; HandshakeResult::ALL.len()],
}

impl TlsMetrics {
    fn new(recorder: &PrometheusRecorder, listener: &'static str) -> Self {
        let of_listener = || Pair::new("listener", listener);
        let counter = |name: &'static str, result: &'static str| {
            let pairs = vec![of_listener(), Pair::new("result", result)];
            recorder.register_counter(&Key::from_parts(name, pairs), &METADATA)
        };
        Self {
            expiry: gauge(recorder, TLS_EXPIRY, vec![of_listener()]),
            reloaded: counter(TLS_RELOADS, "ok"),
            reload_failed: counter(TLS_RELOADS, "failed"),
            handshakes: HandshakeResult::ALL.map(|result| counter(TLS_HANDSHAKES, result.as_str())),
        }
    }

    /// The first certificate is in force until `expires`: `tls_certificate_expiry_timestamp_seconds{listener}`.
    pub fn loaded(&self, expires: UnixTime) {
        self.expiry.set(expires.as_secs_f64());
    }

    /// Another certificate took its place: `tls_reloads_total{listener,result}`.
    pub fn reloaded(&self, expires: UnixTime) {
        self.loaded(expires);
        self.reloaded.increment(1);
    }

    /// What is in the files now cannot be used.
    pub fn reload_failed(&self) {
        self.reload_failed.increment(1);
    }

    /// Counts a handshake: `tls_handshakes_total{listener,result}`.
    pub fn handshake(&self, result: HandshakeResult) {
        if let Some(counter) = self.handshakes.get(result as usize) {
            counter.increment(1);
        }
    }
}

impl fmt::Debug for TlsMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsMetrics").finish_non_exhaustive()
    }
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeResult {
    /// With a connection.
    Ok,
    /// The client does not speak our TLS, does not trust us, or is not let in.
    Failed,
    /// The client took too long.
    Timeout,
}

impl HandshakeResult {
    /// In the order of declaration, which is the order of the counters.
    const ALL: [Self; 3] = [Self::Ok, Self::Failed, Self::Timeout];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
        }
    }
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
    const ALL: [Self; 7] = [
        Self::Ok,
        Self::NotModified,
        Self::HttpError,
        Self::Unreachable,
        Self::Timeout,
        Self::TooLarge,
        Self::BadDocument,
    ];

    const fn as_str(self) -> &'static str {
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

const CHECKS: &str = "claimgate_checks_total";
const VERIFIED: &str = "claimgate_verified_tokens_total";
const CHECK_DURATION: &str = "claimgate_check_duration_seconds";
const UNKNOWN_KIDS: &str = "claimgate_jwks_unknown_kid_total";
const RELOADS: &str = "claimgate_config_reload_total";
const REFRESHES: &str = "claimgate_jwks_refresh_total";
const FETCH_DURATION: &str = "claimgate_jwks_fetch_duration_seconds";
const LAST_SUCCESS: &str = "claimgate_jwks_last_success_timestamp_seconds";
const ORIGIN: &str = "claimgate_jwks_origin";
const PERSISTED: &str = "claimgate_jwks_persisted";
const TLS_EXPIRY: &str = "claimgate_tls_certificate_expiry_timestamp_seconds";
const TLS_RELOADS: &str = "claimgate_tls_reloads_total";
const TLS_HANDSHAKES: &str = "claimgate_tls_handshakes_total";

/// Part of the recorder's interface; Prometheus has no use for it.
const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// A check takes tens of microseconds.
const CHECK_BUCKETS: [f64; 12] =
    [10e-6, 20e-6, 30e-6, 50e-6, 75e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 25e-3, 100e-3];
/// A fetch takes milliseconds, up to its deadline.
const FETCH_BUCKETS: [f64; 8] = [5e-3, 25e-3, 100e-3, 250e-3, 500e-3, 1.0, 2.5, 5.0];

fn recorder() -> PrometheusRecorder {
    let full = |name: &str| Matcher::Full(name.to_owned());
    let with_buckets = PrometheusBuilder::new()
        .set_buckets_for_metric(full(CHECK_DURATION), &CHECK_BUCKETS)
        .and_then(|with| with.set_buckets_for_metric(full(FETCH_DURATION), &FETCH_BUCKETS));
    // The only error is an empty list of buckets; summaries would then take the histograms' place.
    with_buckets.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder()
}

fn describe(recorder: &PrometheusRecorder) {
    let counters = [
        (CHECKS, "Checks by rule, issuer, decision and reason."),
        (VERIFIED, "Requests allowed with a verified token, by what the token was signed with."),
        (REFRESHES, "Refreshes of key sources by result."),
        (RELOADS, "Attempts to read the configuration again by result."),
        (TLS_RELOADS, "Changes of a listener's certificate files, by whether they are in use."),
        (TLS_HANDSHAKES, "TLS handshakes of a listener by result."),
        (UNKNOWN_KIDS, "Checks whose key was missing, by what came of asking for it."),
    ];
    let histograms = [
        (CHECK_DURATION, "Time from a check's arrival to its answer."),
        (FETCH_DURATION, "Time of one read of a key source."),
    ];
    let gauges = [
        (LAST_SUCCESS, "When a key source last answered well."),
        ("claimgate_jwks_keys", "Keys of a source, by whether they are used."),
        ("claimgate_jwks_skipped_keys", "Keys of a source that are not used, by reason."),
        ("claimgate_jwks_stale", "1 while a source's keys are older than they should be."),
        (ORIGIN, "1 for where a source's keys in force came from, 0 for the rest."),
        (PERSISTED, "1 while a source's copy on disk is the keys in force, 0 when it is not."),
        (TLS_EXPIRY, "When the certificate of a listener ends."),
        ("claimgate_build_info", "1, with version and profile."),
        ("claimgate_config_generation", "Counts the configurations in force since the start."),
        ("claimgate_inflight_checks", "Checks that have begun and not ended."),
    ];
    for (name, help) in counters {
        recorder.describe_counter(name.into(), None, help.into());
    }
    for (name, help) in histograms {
        recorder.describe_histogram(name.into(), None, help.into());
    }
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
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(MetricsSettings {
            rules: vec![Label::new(0, "health"), Label::new(1, "rest")],
            issuers: vec![Label::new(0, "accounts")],
            reasons: vec!["missing_token", "expired"],
            algorithms: vec!["HS256", "RS256"],
            profile: "production",
        })
    }

    #[test]
    fn a_check_is_counted_by_rule_issuer_decision_and_reason() {
        let metrics = metrics();
        let (rule, issuer) = (Label::new(1, "rest"), Label::new(0, "accounts"));
        let outcome = CheckOutcome { rule: Some(&rule), issuer: Some(&issuer), reason: Some(1) };
        metrics.checked(outcome, Duration::from_micros(12));
        metrics.checked(CheckOutcome { reason: None, ..outcome }, Duration::from_micros(12));
        metrics.checked(
            CheckOutcome { rule: None, issuer: None, reason: Some(0) },
            Duration::from_micros(12),
        );
        let text = metrics.render();
        for line in [
            r#"claimgate_checks_total{rule="rest",issuer="accounts",decision="deny",reason="expired"} 1"#,
            r#"claimgate_checks_total{rule="rest",issuer="accounts",decision="allow",reason="none"} 1"#,
            r#"claimgate_checks_total{rule="none",issuer="none",decision="deny",reason="missing_token"} 1"#,
            r#"claimgate_check_duration_seconds_bucket{decision="deny",le="0.00001"} 0"#,
            "# HELP claimgate_checks_total",
            r#"profile="production""#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_verified_token_is_counted_by_issuer_and_algorithm_out_of_closed_lists() {
        let metrics = metrics();
        let accounts = Label::new(0, "accounts");
        metrics.accepted(&accounts, 0);
        metrics.accepted(&accounts, 2);
        metrics.verified(&accounts, 1);
        metrics.verified(&accounts, 1);
        metrics.verified(&accounts, 2);
        metrics.verified(&Label::new(1, "nobody"), 0);
        let text = metrics.render();
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with("claimgate_verified")).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        for line in [
            r#"claimgate_verified_tokens_total{issuer="accounts",algorithm="HS256"} 0"#,
            r#"claimgate_verified_tokens_total{issuer="accounts",algorithm="RS256"} 2"#,
        ] {
            assert!(lines.contains(&line), "{line} is not in\n{text}");
        }
    }

    /// What is written like the name of a metric.
    fn names(text: &str) -> BTreeSet<&str> {
        let ends = |c: char| !(c.is_ascii_lowercase() || c == '_');
        let starts = text.match_indices("claimgate_").filter_map(|(at, _)| text.get(at..));
        let names = starts.filter_map(|name| name.split(ends).next());
        names.filter(|name| *name != "claimgate_").collect()
    }

    #[test]
    fn the_list_for_operators_names_every_metric_and_word_and_no_other() {
        let list = include_str!("../../deploy/metrics.md");
        let code = include_str!("metrics.rs").split("#[cfg(test)]").next().unwrap();
        assert_eq!(names(list), names(code));
        let words = RefreshResult::ALL.map(RefreshResult::as_str).into_iter();
        let words = words.chain(UnknownKidOutcome::ALL.map(UnknownKidOutcome::as_str));
        let words = words.chain(ReloadResult::ALL.map(|(_, word)| word));
        let words = words.chain(HandshakeResult::ALL.map(HandshakeResult::as_str));
        for word in words.chain(ORIGINS) {
            assert!(list.contains(&format!("`{word}`")), "{word} is not in deploy/metrics.md");
        }
    }

    #[test]
    fn a_source_reports_under_its_own_labels() {
        let metrics = metrics();
        let source = metrics.source(&Label::new(0, "accounts"), &Label::new(0, "0"));
        source.refreshed(RefreshResult::BadDocument);
        source.keys(2, 1);
        source.skipped("weak_key", 1);
        let text = metrics.render();
        for line in [
            r#"claimgate_jwks_refresh_total{issuer="accounts",source="0",result="bad_document"} 1"#,
            r#"claimgate_jwks_keys{issuer="accounts",source="0",state="usable"} 2"#,
            r#"claimgate_jwks_skipped_keys{issuer="accounts",source="0",reason="weak_key"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn whether_the_keys_in_force_are_on_disk_is_told_once_it_is_known() {
        let metrics = metrics();
        let source = metrics.source(&Label::new(0, "accounts"), &Label::new(0, "0"));
        assert!(!metrics.render().contains("claimgate_jwks_persisted{"));
        for (ok, value) in [(true, 1), (false, 0)] {
            source.persisted(ok);
            let line =
                format!(r#"claimgate_jwks_persisted{{issuer="accounts",source="0"}} {value}"#);
            let text = metrics.render();
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_source_that_is_gone_gives_no_alarm() {
        let metrics = metrics();
        let source = metrics.source(&Label::new(0, "accounts"), &Label::new(0, "0"));
        source.succeeded(UnixTime::from_millis(1_000));
        source.stale(true);
        source.retire();
        let text = metrics.render();
        for (name, value) in [("stale", "0"), ("last_success_timestamp_seconds", "NaN")] {
            let line = format!(r#"claimgate_jwks_{name}{{issuer="accounts",source="0"}} {value}"#);
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn keys_in_force_have_one_origin_at_a_time() {
        let metrics = metrics();
        let source = metrics.source(&Label::new(0, "accounts"), &Label::new(0, "0"));
        for origin in ORIGINS {
            source.origin(origin);
            let text = metrics.render();
            let lines = text.lines().filter(|line| line.starts_with("claimgate_jwks_origin{"));
            let (ones, zeros): (Vec<_>, Vec<_>) = lines.partition(|line| line.ends_with(" 1"));
            let one = format!(
                r#"claimgate_jwks_origin{{issuer="accounts",source="0",origin="{origin}"}} 1"#
            );
            assert_eq!(ones, [one]);
            assert_eq!(zeros.len(), ORIGINS.len() - 1);
        }
    }
}
