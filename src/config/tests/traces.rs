//! `traces`: what becomes of it, and its mistakes.

use std::time::Duration;

use super::{MINIMAL, mistakes, read};
use crate::telemetry::traces::settings::{Protocol, TraceSettings};

fn with(traces: &str) -> String {
    format!("{MINIMAL}traces: {traces}\n")
}

fn traces(text: &str) -> TraceSettings {
    let config = read(&with(text)).unwrap_or_else(|errors| panic!("{errors}"));
    config.traces.unwrap().as_ref().clone()
}

#[test]
fn an_endpoint_is_enough() {
    assert!(read(MINIMAL).unwrap().traces.is_none());
    let settings = traces("{endpoint: \"http://collector:4317\"}");
    assert_eq!(settings.endpoint.as_str(), "http://collector:4317/");
    assert_eq!((settings.protocol, settings.sample), (Protocol::Grpc, None));
    assert_eq!(settings.service_name, "claimgate");
    assert_eq!(settings.timeout, Duration::from_secs(5));
    assert!(!settings.accepts_readable_secrets, "in production");
}

#[test]
fn over_http_the_path_is_the_standards_unless_there_is_one() {
    for (endpoint, whole) in [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://collector/otlp/v1/traces", "https://collector/otlp/v1/traces"),
    ] {
        let text = format!("{{endpoint: \"{endpoint}\", protocol: http/protobuf}}");
        assert_eq!(traces(&text).endpoint.as_str(), whole);
    }
}

#[test]
fn each_mistake_is_told_where_it_is() {
    let at = |rest: &str| format!("{{endpoint: \"https://collector\", {rest}}}");
    let cases = [
        ("{}".to_owned(), "traces.endpoint: missing, expected the collector"),
        ("{endpoint: collector:4317}".to_owned(), "traces.endpoint: found something else"),
        ("{endpoint: \"https://u:hunter2@a\"}".to_owned(), "traces.endpoint: found something else"),
        (
            "{endpoint: \"https://a/?hunter2\"}".to_owned(),
            "traces.endpoint: found a URL with a query",
        ),
        (
            "{endpoint: \"https://a/v1/traces\"}".to_owned(),
            "traces.endpoint: found \"https://a/v1/traces\", expected a URL without a path",
        ),
        (at("protocol: http/json"), "traces.protocol: "),
        (at("service_name: \"\""), "traces.service_name: found \"\""),
        (at("timeout: 99ms"), "traces.timeout: found 99 ms, expected 100ms to 60s"),
        (at("timeout: 61s"), "traces.timeout: found 61000 ms"),
        (at("client_cert_file: a"), "traces.client_key_file: missing"),
        (at("headers: [{name: authorization}]"), "traces.headers[0].file: missing"),
        (at("headers: [{file: a}]"), "traces.headers[0].name: missing"),
        (at("headers: [{name: \"a b\", file: a}]"), "traces.headers[0].name: found \"a b\""),
        (at("headers: [{name: Host, file: a}]"), "traces.headers[0].name: found \"Host\""),
        (at("headers: [{name: grpc-timeout, file: a}]"), "traces.headers[0].name: "),
        (at("headers: [{name: a, file: a}, {name: A, file: a}]"), "traces.headers[1].name: "),
        (at("resource: [{name: a}]"), "traces.resource[0].value: missing"),
        (at("resource: [{name: service.name, value: a}]"), "traces.resource[0].name: "),
        (at("resource: [{name: a, value: b}, {name: a, value: c}]"), "traces.resource[1].name: "),
        (at("sample: -1"), "traces.sample: "),
        ("{endpoint: \"http://a\", ca_file: a}".to_owned(), "traces: found a setting of TLS"),
        (
            "{endpoint: \"http://a\", headers: [{name: b, file: c}]}".to_owned(),
            "traces.headers: found headers that anybody could read",
        ),
    ];
    for (text, expected) in cases {
        let found = mistakes(&with(&text));
        assert!(matches!(&found[..], [only] if only.starts_with(expected)), "{text}: {found:?}");
        assert!(!found[0].contains("hunter2"), "{found:?}");
    }
    let local = "{endpoint: \"http://127.0.0.1:4317\", headers: [{name: b, file: c}]}";
    assert_eq!(traces(local).headers.len(), 1, "nobody is between");
}
