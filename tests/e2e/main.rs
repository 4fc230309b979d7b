//! End to end, with a real Envoy: the story of the demo, every Envoy configuration that we ship, and what goes on while
//! claimgate is restarted, its certificates are replaced and its connections age; with a real nginx and a real Caddy; and
//! with a real OpenID provider.
//!
//! They need the Envoy that `deploy/install-envoy.sh` installs, the proxies of `tests/e2e/proxies/install.sh` and the
//! provider of `tests/e2e/oidc_provider/install.sh`, and fail without: what is skipped is not tested.
//!
//! `CLAIMGATE_TEST_ENVOY_VERSION` has them run another Envoy, such as 1.37.0, that `deploy/install-envoy.sh 1.37.0` has
//! installed. `tests/compatibility.sh` does so with all that there are.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test, as its functions may"
)]

#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/authority.rs"]
mod authority;
mod caddy;
mod circle;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/collector.rs"]
mod collector;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/provider.rs"]
mod configuration;
mod connections;
mod decisions;
mod demo;
mod envoy;
mod envoy_http;
mod issuer_clients;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/issuer.rs"]
mod issuer_process;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/kept.rs"]
mod kept;
mod load;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/logs.rs"]
mod logs;
mod mtls;
mod nginx;
mod provider;
mod proxies;
#[allow(dead_code, reason = "shared with the tests of revocation, which use more of it")]
#[path = "../support/redis.rs"]
mod redis;
mod restarts;
mod rotation;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/service.rs"]
mod service;
mod shipped;
mod traces;
mod upstream;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
