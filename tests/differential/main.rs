//! Side by side with `jwt_authn`: one list of requests, each sent to a real Envoy twice, once past its built-in filter and
//! once past claimgate behind ext_authz, both configured alike and in front of one upstream. What differs, in the verdict
//! or in what the upstream saw, is a bug or a row of [`table`].
//!
//! It needs the Envoy that `deploy/install-envoy.sh` installs, and fails without. Prints the counts and the table
//! (`cargo test --test differential`).

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test, as its functions may"
)]

mod case;
mod cases;
mod claimgate_yaml;
mod client;
mod echo;
mod envoy;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/faulty.rs"]
mod faulty;
mod http2;
mod jwt_authn;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/kept.rs"]
mod kept;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/logs.rs"]
mod logs;
mod migration;
mod over_time;
mod report;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/service.rs"]
mod service;
mod table;
mod tokens;
mod world;
mod worlds;

use std::path::PathBuf;

use crate::case::{Case, Outcome};
use crate::client::send;
use crate::envoy::{Envoy, Front, Setup, Side, listener_name};
use crate::over_time::{Stories, Teller};
use crate::report::Report;
use crate::service::TestService;
use crate::tokens::Tokens;

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_from_jwt_authn_is_one_that_is_explained() {
    let tokens = Tokens::new();
    let mut setup = Setup::new(echo::start().await);
    let mut services = Vec::new();
    for world in worlds::all(&tokens) {
        let service = TestService::start(world.claimgate()).await;
        service.until_ready().await;
        for front in [Front::Shipped, Front::Bare] {
            setup.add(&world, front, service.grpc);
        }
        services.push(service);
    }
    let stories = Stories::start(&mut setup, &tokens).await;
    let envoy = setup.start(&installed()).await;
    let mut report = Report::default();
    for kind in cases::KINDS {
        for case in kind(&tokens) {
            let (jwt_authn, claimgate) = run(&envoy, &case).await;
            report.add(&case, &jwt_authn, &claimgate);
        }
    }
    stories.tell(Teller { envoy: &envoy, tokens: &tokens, report: &mut report }).await;
    report.end();
}

async fn run(envoy: &Envoy, case: &Case) -> (Outcome, Outcome) {
    let at = |side| envoy.address(&listener_name(case.world, case.front, side));
    let (jwt_authn, claimgate) = tokio::join!(
        send(at(Side::JwtAuthn), &case.request),
        send(at(Side::Claimgate), &case.request),
    );
    let outcome = |answer| Outcome::of(answer, &case.request);
    (outcome(&jwt_authn), outcome(&claimgate))
}

/// Where deploy/install-envoy.sh puts the version that it pins.
fn installed() -> PathBuf {
    let envoy =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/envoy-1.40.0/envoy/_bin/envoy");
    assert!(envoy.exists(), "{} is missing: run deploy/install-envoy.sh", envoy.display());
    envoy
}
