//! Handshakes that never end, and certificates judged by the service's clock. Clients are tried with the whole service.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::*;
use crate::telemetry::metrics::{Metrics, MetricsSettings};
use crate::util::clock::{ManualClock, SystemClock};
use crate::util::rfc3339::parse_rfc3339;

/// A certificate of its own authority, valid in the years 2020 to 2031, and its key.
fn files() -> (TempDir, TlsSettings) {
    let directory = tempfile::tempdir().unwrap();
    let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::default());
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2031, 1, 1));
    let [cert_file, key_file] = ["tls.crt", "tls.key"].map(|name| directory.path().join(name));
    fs::write(&cert_file, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let settings = TlsSettings {
        cert_file,
        key_file,
        client_ca_file: None,
        allowed_client_sans: Vec::new(),
        min_version: TlsVersion::V1_2,
        accepts_readable_key: true,
    };
    (directory, settings)
}

fn metrics() -> Metrics {
    Metrics::new(MetricsSettings {
        rules: Vec::new(),
        issuers: Vec::new(),
        reasons: Vec::new(),
        algorithms: Vec::new(),
        profile: "production",
        concurrent_checks: 100,
        cache_bytes: 1000,
    })
}

async fn load(
    settings: TlsSettings,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Tls, TlsError> {
    Tls::load("listen.tls", settings, GRPC_PROTOCOLS, clock, metrics.tls("grpc")).await
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_ends_is_given_up_and_counted() {
    let (_directory, settings) = files();
    let metrics = metrics();
    let clock = ManualClock::new(parse_rfc3339("2025-01-01T00:00:00Z").unwrap());
    let tls = load(settings, Arc::new(clock), &metrics).await.unwrap();
    let (_silent, ours) = tokio::io::duplex(1024);
    assert!(tls.handshake(ours).await.is_none());
    let counted = r#"claimgate_tls_handshakes_total{listener="grpc",result="timeout"} 1"#;
    assert!(metrics.render().contains(counted), "{}", metrics.render());
}

#[tokio::test]
async fn a_certificate_is_judged_by_the_service_s_clock() {
    for (now, told) in [
        ("2019-12-31T23:59:59Z", Some("its certificate is valid only from 2020-01-01T00:00:00Z")),
        ("2020-01-01T00:00:00Z", None),
        ("2031-01-01T00:00:00Z", None),
        ("2031-01-01T00:00:01Z", Some("its certificate expired at 2031-01-01T00:00:00Z")),
    ] {
        let (_directory, settings) = files();
        let file = settings.cert_file.clone();
        let clock = Arc::new(ManualClock::new(parse_rfc3339(now).unwrap()));
        let error = load(settings, clock, &metrics()).await.err().map(|error| error.to_string());
        let expected = told.map(|told| format!("cert_file {}: {told}", file.display()));
        assert_eq!(error, expected, "{now}");
    }
}

#[tokio::test]
async fn nothing_of_a_key_is_shown() {
    let (_directory, settings) = files();
    let pem = fs::read_to_string(&settings.key_file).unwrap();
    let tls = load(settings, Arc::new(SystemClock), &metrics()).await.unwrap();
    let shown = format!("{tls:?}");
    assert!(shown.contains("tls.key"), "{shown}");
    assert!(!pem.lines().any(|line| shown.contains(line)), "{shown}");
}
