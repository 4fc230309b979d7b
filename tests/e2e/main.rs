//! End to end, with a real Envoy: the story of the demo, and the Envoy configuration that we ship; and with a real
//! OpenID provider.
//!
//! They need the Envoy that `deploy/install-envoy.sh` installs and the provider of
//! `tests/e2e/oidc_provider/install.sh`, and fail without: what is skipped is not tested.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test, as its functions may"
)]

mod provider;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/service.rs"]
mod service;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Where deploy/install-envoy.sh puts the version that it pins.
const ENVOY: &str = ".tools/envoy-1.40.0/envoy/_bin/envoy";

#[test]
fn the_story_of_the_demo_comes_true() {
    let output = Command::new(env!("CARGO_BIN_EXE_claimgate"))
        .args(["demo", "--check", "--envoy"])
        .arg(envoy())
        .output()
        .unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{table}\n{errors}", output.status);
    assert!(!table.contains("FAIL"), "{table}");
}

#[test]
fn a_missing_envoy_is_reported_with_the_way_to_get_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_claimgate"))
        .args(["demo", "--check", "--envoy", "/nowhere/envoy"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("/nowhere/envoy") && errors.contains("deploy/demo.sh"), "{errors}");
}

#[test]
fn envoy_accepts_the_shipped_configuration() {
    validate(&Path::new(ROOT).join("deploy/envoy/envoy.yaml"));
}

#[test]
fn envoy_accepts_the_snippet_in_a_plain_configuration() {
    let snippet = read_yaml("deploy/envoy/filter.yaml");
    let mut config: Value = serde_json::from_str(PLAIN).unwrap();
    let filters = config
        .pointer_mut(
            "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters",
        )
        .and_then(Value::as_array_mut)
        .unwrap();
    let before_the_router = filters.len() - 1;
    let added = snippet["http_filters"].as_array().unwrap().iter().cloned();
    filters.splice(before_the_router..before_the_router, added);
    let clusters = config.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    clusters.unwrap().extend(snippet["clusters"].as_array().unwrap().iter().cloned());

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.json");
    fs::write(&file, config.to_string()).unwrap();
    validate(&file);
}

/// An Envoy that somebody has: one listener, one route, nothing of ours.
const PLAIN: &str = r#"{"static_resources": {
    "listeners": [{
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "plain",
                "route_config": {"virtual_hosts": [{
                    "name": "all", "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]
                }]},
                "http_filters": [{
                    "name": "router",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
                }]
            }
        }]}]
    }],
    "clusters": []
}}"#;

fn validate(file: &Path) {
    let output = Command::new(envoy())
        .args(["--mode", "validate", "--log-level", "warning", "--disable-hot-restart", "-c"])
        .arg(file)
        .output()
        .expect("Envoy runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", file.display());
    // A deprecated field is accepted with a warning now and refused by a later Envoy.
    assert!(!said.contains("deprecated"), "{}: {said}", file.display());
}

fn read_yaml(file: &str) -> Value {
    let text = fs::read_to_string(Path::new(ROOT).join(file)).expect("shipped");
    serde_saphyr::from_str(&text).expect("YAML")
}

fn envoy() -> PathBuf {
    let envoy = Path::new(ROOT).join(ENVOY);
    assert!(envoy.exists(), "{} is missing: run deploy/install-envoy.sh", envoy.display());
    envoy
}
