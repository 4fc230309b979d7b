//! What is counted of the connections of one kind of listener. `server::connections` counts it.

use std::fmt;

use metrics::{Counter, Gauge, Key, Label as Pair, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::names::{CONNECTIONS, CONNECTIONS_LIMIT, TURNED_AWAY};
use super::{METADATA, as_f64, gauge};

/// The metrics of the connections of one kind of listener.
#[derive(Clone)]
pub struct ConnectionMetrics {
    open: Gauge,
    limit: Gauge,
    turned_away: [Counter; TurnedAway::ALL.len()],
}

impl ConnectionMetrics {
    pub(super) fn new(recorder: &PrometheusRecorder, listener: &'static str) -> Self {
        let of_listener = || Pair::new("listener", listener);
        let counter = |reason: TurnedAway| {
            let pairs = vec![of_listener(), Pair::new("reason", reason.as_str())];
            recorder.register_counter(&Key::from_parts(TURNED_AWAY, pairs), &METADATA)
        };
        Self {
            open: gauge(recorder, CONNECTIONS, vec![of_listener()]),
            limit: gauge(recorder, CONNECTIONS_LIMIT, vec![of_listener()]),
            turned_away: TurnedAway::ALL.map(counter),
        }
    }

    /// How many are open: `connections{listener}`.
    pub fn open(&self, count: usize) {
        self.open.set(as_f64(count));
    }

    /// How many may be: `connections_limit{listener}`.
    pub fn limit(&self, most: usize) {
        self.limit.set(as_f64(most));
    }

    /// Counts one that was not served, or no longer: `connections_turned_away_total{listener,reason}`.
    pub fn turned_away(&self, reason: TurnedAway) {
        if let Some(counter) = self.turned_away.get(reason as usize) {
            counter.increment(1);
        }
    }
}

impl fmt::Debug for ConnectionMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionMetrics").finish_non_exhaustive()
    }
}

/// Why a client lost its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// As many as may be are open, and all are in use.
    Full,
    /// It was the oldest, and another took its place.
    Oldest,
    /// It said nothing in time, or not until another took its place.
    Silent,
}

impl TurnedAway {
    /// In the order of declaration, which is the order of the counters.
    const ALL: [Self; 3] = [Self::Full, Self::Oldest, Self::Silent];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Oldest => "oldest",
            Self::Silent => "silent",
        }
    }
}
