//! Two replicas behind a real Envoy are restarted, one after the other, while requests keep coming: none may fail.
//!
//! The Envoy configuration is the shipped one with a second endpoint and quicker health checks, so that the test takes
//! seconds and not minutes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use claimgate::app::Options;
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use serde_json::{Value, json};

use crate::configuration::inline;
use crate::envoy::{self, CLAIMGATE, Envoy};
use crate::load::{Load, key_and_token, report};
use crate::service::{TestService, eventually};

const RESTARTS: usize = 20;

/// Of Envoy's health checks: a twentieth of the shipped one.
const INTERVAL: &str = "0.1s";

/// Three would do; this is for a machine that has other things to do.
const DRAIN_DELAY: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn twenty_restarts_of_two_replicas_under_load_fail_no_request() {
    let (key, token) = key_and_token();
    let mut replicas = [None, None];
    for (which, place) in replicas.iter_mut().enumerate() {
        *place = Some(replica(&key, which, 0).await);
    }
    let addresses = replicas.each_ref().map(|replica| replica.as_ref().unwrap().grpc);
    let envoy = Envoy::start(&quick(&addresses));
    let ingress = envoy.ingress().await;
    envoy.until_healthy(2).await;
    let mut least = u64::MAX;
    let load = Load::during(ingress, &token, async |load| {
        for nth in 0..RESTARTS {
            let which = nth % replicas.len();
            let replica_before = replicas[which].take().unwrap();
            let used = async || replica_before.metric(&["claimgate_checks_total"]).await > 0.0;
            eventually("asked since its start", used).await;
            let before = load.asked();
            replica_before.stop().await.unwrap();
            let meanwhile = load.asked() - before;
            assert!(meanwhile > 0, "nobody asked during restart {nth}");
            least = least.min(meanwhile);
            replicas[which] = Some(replica(&key, which, addresses[which].port()).await);
            envoy.until_healthy(2).await;
        }
    })
    .await;
    report(&format!(
        "restarts of two replicas: {RESTARTS}, requests meanwhile: {} (at least {least} in each), failed: {}",
        load.asked(),
        load.failed()
    ));
    assert_eq!(load.failed(), 0, "{}\n{}", load.told(), envoy.failures());
    for replica in replicas.into_iter().flatten() {
        replica.stop().await.unwrap();
    }
}

async fn replica(key: &SigningKey, which: usize, port: u16) -> TestService {
    let mut config = inline(key);
    // An address of its own: the port of one that is restarted is nobody else's meanwhile, not of a client either.
    let host = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(which).unwrap());
    let grpc = SocketAddr::from((host, port)).to_string();
    config["listen"] = json!({"grpc": grpc, "admin": "127.0.0.1:0"});
    let config = Config::from_yaml(&config.to_string(), Path::new(".")).unwrap();
    let options = Options { drain_delay: DRAIN_DELAY, ..Options::default() };
    TestService::run(config, options).await
}

fn quick(replicas: &[SocketAddr]) -> Value {
    let replicas: Vec<_> = replicas.iter().map(|address| envoy::tcp(*address)).collect();
    let mut config = envoy::for_load(envoy::shipped("envoy.yaml", &replicas));
    let health = &mut envoy::cluster(&mut config, CLAIMGATE)["health_checks"][0];
    for interval in ["interval", "no_traffic_interval", "unhealthy_interval"] {
        health[interval] = INTERVAL.into();
    }
    config
}
