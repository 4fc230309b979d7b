//! Connections that have their age, with a real Envoy. Where something balances connections and not requests, as a
//! Service of Kubernetes does, Envoy stays with the replicas that it has once reached: only so it comes to others.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use claimgate::app::Options;
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::configuration::inline;
use crate::envoy::{self, Envoy, loopback};
use crate::load::{Load, key_and_token, report};
use crate::service::{TestService, eventually};

/// So many connections are ended, at the least.
const CONNECTIONS: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn envoy_comes_to_a_replica_that_is_added_as_its_connections_age_and_no_request_fails() {
    let (key, token) = key_and_token();
    let (first, second) = (replica(&key).await, replica(&key).await);
    let balancer = Balancer::start(first.grpc).await;
    let config = envoy::for_load(envoy::shipped("envoy.yaml", &[envoy::tcp(balancer.address)]));
    let envoy = Envoy::start(&config);
    let ingress = envoy.ingress().await;
    let ended = async || envoy.claimgate_stat("upstream_cx_close_notify").await;
    let checks = async |replica: &TestService| replica.metric(&["claimgate_checks_total"]).await;
    let load = Load::during(ingress, &token, async |load| {
        load.goes_on(100).await;
        balancer.add(second.grpc);
        eventually("asked", async || checks(&second).await > 0.0).await;
        eventually("ended", async || ended().await >= CONNECTIONS).await;
        load.goes_on(100).await;
    })
    .await;
    report(&format!(
        "connections ended at their age (GOAWAY): {}, requests meanwhile: {}, failed: {}; of the replica added then: {}",
        ended().await,
        load.asked(),
        load.failed(),
        checks(&second).await
    ));
    assert_eq!(load.failed(), 0, "{}", load.told());
    let cut = envoy.claimgate_stat("upstream_cx_destroy_remote_with_active_rq").await;
    assert_eq!(cut, 0, "connections that ended with requests on them");
    drop(envoy);
    for replica in [first, second] {
        replica.stop().await.unwrap();
    }
}

async fn replica(key: &SigningKey) -> TestService {
    let mut config = inline(key);
    config["listen"] =
        json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0", "max_connection_age": "1s"});
    let config = Config::from_yaml(&config.to_string(), Path::new(".")).unwrap();
    TestService::run(config, Options::default()).await
}

/// Passes each connection on to one of its targets, in turn, until it is dropped.
struct Balancer {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    _stop: DropGuard,
}

impl Balancer {
    async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let targets = Arc::new(Mutex::new(vec![target]));
        let stop = CancellationToken::new();
        let balancing = balance(listener, Arc::clone(&targets), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with its guard")]
        let _detached = tokio::spawn(stop.clone().run_until_cancelled_owned(balancing));
        Self { address, targets, _stop: stop.drop_guard() }
    }

    fn add(&self, target: SocketAddr) {
        self.targets.lock().unwrap().push(target);
    }
}

async fn balance(
    listener: TcpListener,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    stop: CancellationToken,
) {
    for nth in 0.. {
        let (mut from, _) = listener.accept().await.unwrap();
        let target = {
            let targets = targets.lock().unwrap();
            targets[nth % targets.len()]
        };
        let passing = async move {
            let mut to = TcpStream::connect(target).await.unwrap();
            // However it ends: both ends hear of it.
            let _ended = copy_bidirectional(&mut from, &mut to).await.is_ok();
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "ends with the guard, or with its connection"
        )]
        let _detached = tokio::spawn(stop.clone().run_until_cancelled_owned(passing));
    }
}
