//! Every metric of `claimgate issuer`, which is a process of its own: with a recorder of its own, so that none of the
//! service's series are beside them. Label values are closed sets here, too: the configured clients, and words that the
//! code lists.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label as Pair, Recorder as _};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::names::{
    BUILD_INFO, CONNECTIONS, CONNECTIONS_LIMIT, READY, TLS_EXPIRY, TLS_HANDSHAKES, TLS_LAST_RELOAD,
    TLS_RELOADS, TURNED_AWAY,
};
use super::{ConnectionMetrics, METADATA, NONE, TlsMetrics, as_f64, gauge, process};
use crate::util::clock::UnixTime;
use crate::util::label::Label;

const REQUESTS: &str = "claimgate_issuer_requests_total";
const DURATION: &str = "claimgate_issuer_request_duration_seconds";
const TOKENS: &str = "claimgate_issuer_tokens_total";
const DOCUMENTS: &str = "claimgate_issuer_documents_total";
const REUSED: &str = "claimgate_issuer_refresh_reuse_total";
const FAMILIES: &str = "claimgate_issuer_refresh_families";
const REVOCATIONS: &str = "claimgate_issuer_revocations_total";
const UNWRITTEN: &str = "claimgate_issuer_unwritten_revocations";
const KEYS: &str = "claimgate_issuer_keys";
const ACTIVE_SINCE: &str = "claimgate_issuer_active_key_since_timestamp_seconds";
const KEY_RELOADS: &str = "claimgate_issuer_key_reload_total";
const KEY_LAST_RELOAD: &str = "claimgate_issuer_key_last_reload_successful";

/// A token costs a signature, a secret that is not known yet a hash of tens of milliseconds.
const BUCKETS: [f64; 9] = [500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 50e-3, 250e-3, 1.0, 3.0];

/// The metrics of a running issuer.
pub struct IssuerMetrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    durations: [Histogram; Endpoint::ALL.len()],
    families: Gauge,
    unwritten: Gauge,
    /// Registered on their first use: most combinations never happen. A map behind a lock, since a token costs a signature.
    counters: Mutex<HashMap<(&'static str, [usize; 3]), Counter>>,
}

/// What clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/token`.
    Token,
    /// `/revoke`.
    Revoke,
    /// `/logout`.
    Logout,
}

impl Endpoint {
    /// In the order of declaration, which is the order of the histograms.
    const ALL: [Self; 3] = [Self::Token, Self::Revoke, Self::Logout];

    /// The word in the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Revoke => "revoke",
            Self::Logout => "logout",
        }
    }
}

/// What everybody may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// The JWK Set.
    Jwks,
    /// Either form of the metadata.
    Metadata,
}

/// How a change of the key directory ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyReload {
    /// It is in force.
    Ok,
    /// It cannot be used; the keys before stay in force.
    Failed,
}

impl IssuerMetrics {
    /// Metrics with every count at zero.
    #[must_use]
    pub fn new(profile: &'static str) -> Self {
        let with_buckets = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), &BUCKETS);
        // The only error is an empty list of buckets.
        let recorder = with_buckets.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
        describe(&recorder);
        let durations = Endpoint::ALL.map(|endpoint| {
            let pairs = vec![Pair::new("endpoint", endpoint.as_str())];
            recorder.register_histogram(&Key::from_parts(DURATION, pairs), &METADATA)
        });
        let build =
            vec![Pair::new("version", env!("CARGO_PKG_VERSION")), Pair::new("profile", profile)];
        gauge(&recorder, BUILD_INFO, build).set(1.0);
        let families = gauge(&recorder, FAMILIES, vec![]);
        let unwritten = gauge(&recorder, UNWRITTEN, vec![]);
        let (handle, counters) = (recorder.handle(), Mutex::default());
        let metrics = Self { recorder, handle, durations, families, unwritten, counters };
        // Prometheus sees no increase where a series begins with its first count, and these are to be alerted on.
        metrics.count(KEY_RELOADS, [0, 0, 0], 0, || vec![Pair::new("result", "ok")]);
        metrics.count(KEY_RELOADS, [1, 0, 0], 0, || vec![Pair::new("result", "failed")]);
        metrics.keys_in_force(true);
        metrics
    }

    /// Whether requests may come: `ready`. To be told before each [`Self::render`].
    pub fn ready(&self, is_ready: bool) {
        gauge(&self.recorder, READY, vec![]).set(if is_ready { 1.0 } else { 0.0 });
    }

    /// The clients that there are and the kinds of revocations: what is counted of them and alerted on begins at zero.
    pub fn expect<'a>(&self, clients: impl IntoIterator<Item = &'a Label>, kinds: &[&'static str]) {
        for client in clients {
            self.count_reused(client, 0);
        }
        for kind in kinds.iter().copied().enumerate() {
            self.count_revocation(kind, true, 0);
            self.count_revocation(kind, false, 0);
        }
    }

    /// Counts a request that is over: `issuer_requests_total{endpoint,client,result}`, `issuer_request_duration_seconds{endpoint}`.
    /// `result` is `ok` or one of a list of words; `place` is its place in that list, from 1.
    pub fn request(
        &self,
        endpoint: Endpoint,
        client: Option<&Label>,
        (place, result): (usize, &'static str),
        took: Duration,
    ) {
        if let Some(duration) = self.durations.get(endpoint as usize) {
            duration.record(took.as_secs_f64());
        }
        let cell = [endpoint as usize, of_client(client), place];
        self.count(REQUESTS, cell, 1, || {
            let endpoint = Pair::new("endpoint", endpoint.as_str());
            vec![endpoint, client_pair(client), Pair::new("result", result)]
        });
    }

    /// Counts a token: `issuer_tokens_total{client,grant}`.
    pub fn issued(&self, client: &Label, grant: &'static str, with_refresh_token: bool) {
        let refresh = if with_refresh_token { "yes" } else { "no" };
        let is_refresh = usize::from(grant == "refresh_token");
        let cell = [client.index(), is_refresh, usize::from(with_refresh_token)];
        self.count(TOKENS, cell, 1, || {
            let grant = Pair::new("grant", grant);
            vec![client_pair(Some(client)), grant, Pair::new("with_refresh_token", refresh)]
        });
    }

    /// Counts a document that was asked for: `issuer_documents_total{document,result}`.
    pub fn document(&self, document: Document, status: u16) {
        let name = match document {
            Document::Jwks => "jwks",
            Document::Metadata => "metadata",
        };
        let result = match status {
            200 => "ok",
            304 => "not_modified",
            _ => "unavailable",
        };
        let cell = [document as usize, usize::from(status), 0];
        self.count(DOCUMENTS, cell, 1, || {
            vec![Pair::new("document", name), Pair::new("result", result)]
        });
    }

    /// Counts a refresh token that came a second time: `issuer_refresh_reuse_total{client}`.
    pub fn reused(&self, client: &Label) {
        self.count_reused(client, 1);
    }

    fn count_reused(&self, client: &Label, by: u64) {
        self.count(REUSED, [client.index(), 0, 0], by, || vec![client_pair(Some(client))]);
    }

    /// How many families of refresh tokens there are: `issuer_refresh_families`.
    pub fn families(&self, count: usize) {
        self.families.set(as_f64(count));
    }

    /// Counts a revocation that was to be written: `issuer_revocations_total{kind,result}`. `place` is that of the kind in
    /// the list of kinds.
    pub fn revocation(&self, kind: (usize, &'static str), is_written: bool) {
        self.count_revocation(kind, is_written, 1);
    }

    fn count_revocation(&self, (place, kind): (usize, &'static str), is_written: bool, by: u64) {
        let result = if is_written { "ok" } else { "failed" };
        self.count(REVOCATIONS, [place, usize::from(is_written), 0], by, || {
            vec![Pair::new("kind", kind), Pair::new("result", result)]
        });
    }

    /// How many sessions are to be revoked and could not be yet: `issuer_unwritten_revocations`.
    pub fn unwritten(&self, count: usize) {
        self.unwritten.set(as_f64(count));
    }

    /// How many keys are in a state: `issuer_keys{state}`.
    pub fn keys(&self, state: &'static str, count: usize) {
        gauge(&self.recorder, KEYS, vec![Pair::new("state", state)]).set(as_f64(count));
    }

    /// Since when the active key signs, 0 when none does: `issuer_active_key_since_timestamp_seconds`.
    pub fn active_key_since(&self, since: Option<UnixTime>) {
        let since = since.map_or(0.0, UnixTime::as_secs_f64);
        gauge(&self.recorder, ACTIVE_SINCE, vec![]).set(since);
    }

    /// Whether the key directory is in force as it is now: `issuer_key_last_reload_successful`.
    pub fn keys_in_force(&self, are: bool) {
        gauge(&self.recorder, KEY_LAST_RELOAD, vec![]).set(if are { 1.0 } else { 0.0 });
    }

    /// Counts a change of the key directory: `issuer_key_reload_total{result}`.
    pub fn keys_reloaded(&self, result: KeyReload) {
        self.keys_in_force(result == KeyReload::Ok);
        let (place, word) = match result {
            KeyReload::Ok => (0, "ok"),
            KeyReload::Failed => (1, "failed"),
        };
        self.count(KEY_RELOADS, [place, 0, 0], 1, || vec![Pair::new("result", word)]);
    }

    /// The metrics of TLS on one kind of listener, `issuer` or `admin`.
    #[must_use]
    pub fn tls(&self, listener: &'static str) -> TlsMetrics {
        TlsMetrics::new(&self.recorder, listener)
    }

    /// The metrics of the connections of one kind of listener, `issuer` or `admin`.
    #[must_use]
    pub fn connections(&self, listener: &'static str) -> ConnectionMetrics {
        ConnectionMetrics::new(&self.recorder, listener)
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        process::write_to(&mut text);
        text
    }

    /// Histograms collect what was recorded until this is called; to be called every few seconds.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn count(
        &self,
        name: &'static str,
        cell: [usize; 3],
        by: u64,
        pairs: impl FnOnce() -> Vec<Pair>,
    ) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry((name, cell)).or_insert_with(|| {
            self.recorder.register_counter(&Key::from_parts(name, pairs()), &METADATA)
        });
        counter.increment(by);
    }
}

fn of_client(client: Option<&Label>) -> usize {
    client.map_or(0, |client| client.index() + 1)
}

fn client_pair(client: Option<&Label>) -> Pair {
    Pair::new("client", client.map_or(NONE, Label::name).to_owned())
}

fn describe(recorder: &PrometheusRecorder) {
    let counters = [
        (REQUESTS, "Requests of clients by endpoint, client and result."),
        (TOKENS, "Access tokens by client and grant, and whether a refresh token came with them."),
        (DOCUMENTS, "Requests for the JWK Set and the metadata, by result."),
        (REUSED, "Refresh tokens that came a second time: their family was ended."),
        (REVOCATIONS, "Revocations by kind, and whether they were written."),
        (KEY_RELOADS, "Changes of the key directory, by whether they are in force."),
        (TLS_RELOADS, "Changes of a listener's certificate files, by whether they are in use."),
        (TLS_HANDSHAKES, "TLS handshakes of a listener by result."),
        (
            TURNED_AWAY,
            "Connections that a listener refused or ended to stay within its bounds, by reason.",
        ),
    ];
    let gauges = [
        (FAMILIES, "Families of refresh tokens that have not ended."),
        (UNWRITTEN, "Sessions that are to be revoked and could not be yet."),
        (KEYS, "Keys of the directory by state."),
        (ACTIVE_SINCE, "Since when the active key signs; 0 when none does."),
        (
            KEY_LAST_RELOAD,
            "0 while a changed key directory is refused and the keys before are in force.",
        ),
        (TLS_EXPIRY, "When the certificate of a listener ends."),
        (
            TLS_LAST_RELOAD,
            "0 while a listener's changed certificate files are refused and the certificate before is in use.",
        ),
        (CONNECTIONS, "Connections that are open on a listener."),
        (CONNECTIONS_LIMIT, "Connections that a listener may have open."),
        (READY, "1 while requests may come, 0 before and when draining, as /readyz says."),
        (BUILD_INFO, "1, with version and profile."),
    ];
    for (name, help) in counters {
        recorder.describe_counter(name.into(), None, help.into());
    }
    for (name, help) in gauges {
        recorder.describe_gauge(name.into(), None, help.into());
    }
    recorder.describe_histogram(DURATION.into(), None, "Time of a client's request.".into());
}

impl fmt::Debug for IssuerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerMetrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_client_and_result_and_tokens_by_grant() {
        let metrics = IssuerMetrics::new("production");
        let worker = Label::new(0, "worker");
        let took = Duration::from_millis(2);
        metrics.request(Endpoint::Token, Some(&worker), (0, "ok"), took);
        metrics.request(Endpoint::Token, Some(&worker), (0, "ok"), took);
        metrics.request(Endpoint::Token, None, (2, "invalid_client"), took);
        metrics.issued(&worker, "client_credentials", true);
        metrics.issued(&worker, "refresh_token", true);
        metrics.revocation((2, "session"), false);
        metrics.keys("active", 1);
        metrics.document(Document::Jwks, 304);
        let text = metrics.render();
        for line in [
            r#"claimgate_issuer_requests_total{endpoint="token",client="worker",result="ok"} 2"#,
            r#"claimgate_issuer_requests_total{endpoint="token",client="none",result="invalid_client"} 1"#,
            r#"claimgate_issuer_tokens_total{client="worker",grant="refresh_token",with_refresh_token="yes"} 1"#,
            r#"claimgate_issuer_revocations_total{kind="session",result="failed"} 1"#,
            r#"claimgate_issuer_keys{state="active"} 1"#,
            r#"claimgate_issuer_documents_total{document="jwks",result="not_modified"} 1"#,
            r#"claimgate_issuer_key_reload_total{result="failed"} 0"#,
            r#"claimgate_build_info{version="#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("claimgate_checks_total"), "those are the service's");
    }

    #[test]
    fn what_is_alerted_on_begins_at_zero() {
        let metrics = IssuerMetrics::new("production");
        let worker = Label::new(0, "worker");
        metrics.expect([&worker], &["token", "session"]);
        let text = metrics.render();
        for line in [
            r#"claimgate_issuer_refresh_reuse_total{client="worker"} 0"#,
            r#"claimgate_issuer_revocations_total{kind="session",result="failed"} 0"#,
            "claimgate_issuer_unwritten_revocations 0",
            "claimgate_issuer_key_last_reload_successful 1",
            "# TYPE process_start_time_seconds gauge",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        metrics.reused(&worker);
        metrics.revocation((1, "session"), false);
        metrics.unwritten(2);
        metrics.keys_reloaded(KeyReload::Failed);
        metrics.ready(true);
        let text = metrics.render();
        for line in [
            r#"claimgate_issuer_refresh_reuse_total{client="worker"} 1"#,
            r#"claimgate_issuer_revocations_total{kind="session",result="failed"} 1"#,
            r#"claimgate_issuer_revocations_total{kind="token",result="failed"} 0"#,
            "claimgate_issuer_unwritten_revocations 2",
            "claimgate_issuer_key_last_reload_successful 0",
            "claimgate_ready 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        metrics.keys_in_force(true);
        assert!(metrics.render().contains("claimgate_issuer_key_last_reload_successful 1\n"));
    }

    #[test]
    fn every_metric_is_in_the_document() {
        let document = include_str!("../../../deploy/issuer.md");
        for name in [
            REQUESTS,
            DURATION,
            TOKENS,
            DOCUMENTS,
            REUSED,
            FAMILIES,
            REVOCATIONS,
            KEYS,
            ACTIVE_SINCE,
            KEY_RELOADS,
            KEY_LAST_RELOAD,
            UNWRITTEN,
        ] {
            assert!(document.contains(&format!("`{name}")), "{name} is not in deploy/issuer.md");
        }
    }
}
