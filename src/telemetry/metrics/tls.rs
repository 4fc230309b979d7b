//! What is counted of one kind of listener that has a certificate. `server::tls` counts it.

use std::fmt;

use metrics::{Counter, Gauge, Key, Label as Pair, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::names::{TLS_EXPIRY, TLS_HANDSHAKES, TLS_LAST_RELOAD, TLS_RELOADS};
use super::{METADATA, gauge};
use crate::util::clock::UnixTime;

/// The metrics of TLS on one kind of listener.
pub struct TlsMetrics {
    expiry: Gauge,
    last_reload: Gauge,
    reloaded: Counter,
    reload_failed: Counter,
    handshakes: [Counter; HandshakeResult::ALL.len()],
}

impl TlsMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder, listener: &'static str) -> Self {
        let of_listener = || Pair::new("listener", listener);
        let counter = |name: &'static str, result: &'static str| {
            let pairs = vec![of_listener(), Pair::new("result", result)];
            recorder.register_counter(&Key::from_parts(name, pairs), &METADATA)
        };
        Self {
            expiry: gauge(recorder, TLS_EXPIRY, vec![of_listener()]),
            last_reload: gauge(recorder, TLS_LAST_RELOAD, vec![of_listener()]),
            reloaded: counter(TLS_RELOADS, "ok"),
            reload_failed: counter(TLS_RELOADS, "failed"),
            handshakes: HandshakeResult::ALL.map(|result| counter(TLS_HANDSHAKES, result.as_str())),
        }
    }

    /// The first certificate is in force until `expires`: `tls_certificate_expiry_timestamp_seconds{listener}`.
    pub fn loaded(&self, expires: UnixTime) {
        self.expiry.set(expires.as_secs_f64());
        self.in_its_files();
    }

    /// What is in the files is what is in use: `tls_last_reload_successful{listener}`.
    pub fn in_its_files(&self) {
        self.last_reload.set(1.0);
    }

    /// Another certificate took its place: `tls_reloads_total{listener,result}`.
    pub fn reloaded(&self, expires: UnixTime) {
        self.loaded(expires);
        self.reloaded.increment(1);
    }

    /// What is in the files now cannot be used.
    pub fn reload_failed(&self) {
        self.reload_failed.increment(1);
        self.last_reload.set(0.0);
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
    pub(super) const ALL: [Self; 3] = [Self::Ok, Self::Failed, Self::Timeout];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
        }
    }
}
