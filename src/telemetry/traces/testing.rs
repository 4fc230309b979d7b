//! What the tests of this module begin with.

use std::time::Duration;

use super::settings::{Protocol, TraceSettings};
use crate::telemetry::metrics::{Metrics, MetricsSettings};
use crate::util::client_tls::ClientTls;

/// Spans for a collector over gRPC; nothing that nobody decided on is sampled.
pub(super) fn settings(endpoint: &str) -> TraceSettings {
    TraceSettings {
        endpoint: endpoint.parse().unwrap(),
        protocol: Protocol::Grpc,
        tls: ClientTls::default(),
        headers: vec![],
        service_name: "claimgate".to_owned(),
        resource: vec![],
        sample: None,
        timeout: Duration::from_secs(5),
        accepts_readable_secrets: false,
    }
}

/// Without a rule and an issuer.
pub(super) fn metrics() -> Metrics {
    Metrics::new(MetricsSettings {
        rules: vec![],
        issuers: vec![],
        reasons: vec![],
        algorithms: vec![],
        profile: "production",
        concurrent_checks: 1,
        cache_bytes: 0,
    })
}
