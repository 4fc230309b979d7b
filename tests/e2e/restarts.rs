//! Two replicas behind a real Envoy, each a process, are restarted by SIGTERM, one after the other, while requests keep
//! coming: none may fail.
//!
//! The Envoy configuration is the shipped one with a second endpoint and quicker health checks, so that the test takes
//! seconds and not minutes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::configuration::inline;
use crate::envoy::{self, CLAIMGATE, Envoy};
use crate::kept;
use crate::load::{Load, key_and_token, report};
use crate::service::{PATIENCE, eventually, metric};

const RESTARTS: usize = 20;

/// Of Envoy's health checks: a twentieth of the shipped one.
const INTERVAL: &str = "0.1s";

/// In seconds. A fifth of it would do; this is for a machine that has other things to do.
const DRAIN_DELAY: &str = "1.5";

#[tokio::test(flavor = "multi_thread")]
async fn twenty_restarts_of_two_replicas_under_load_fail_no_request() {
    let (key, token) = key_and_token();
    let config = inline(&key);
    let mut replicas = [2, 3].map(|host| Replica::new(host, &config));
    let envoy = Envoy::start(&quick(&replicas.each_ref().map(|replica| replica.grpc)));
    let ingress = envoy.ingress().await;
    envoy.until_healthy(2).await;
    let mut least = u64::MAX;
    let load = Load::during(ingress, &token, async |load| {
        for nth in 0..RESTARTS {
            let replica = &mut replicas[nth % 2];
            eventually("asked since its start", async || replica.checks().await > 0.0).await;
            let before = load.asked();
            replica.stop().await;
            let meanwhile = load.asked() - before;
            assert!(meanwhile > 0, "nobody asked during restart {nth}");
            least = least.min(meanwhile);
            replica.start();
            envoy.until_healthy(2).await;
        }
    })
    .await;
    report(&format!(
        "restarts of two replicas: {RESTARTS}, requests meanwhile: {} (at least {least} in each), failed: {}",
        load.asked(),
        load.failed()
    ));
    assert_eq!(load.failed(), 0, "{}", load.told());
    for replica in &mut replicas {
        replica.stop().await;
    }
}

/// A `claimgate serve`, ended with this.
struct Replica {
    grpc: SocketAddr,
    admin: SocketAddr,
    process: Child,
    directory: TempDir,
}

impl Replica {
    /// Starts at 127.0.0.`host`: on an address of its own nobody else takes the ports while it is restarted, not for
    /// the near end of a connection either.
    fn new(host: u8, config: &Value) -> Self {
        let free = [0, 1].map(|_| TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap());
        let [grpc, admin] = free.map(|listener| listener.local_addr().unwrap());
        let mut config = config.clone();
        config["listen"] = json!({"grpc": grpc.to_string(), "admin": admin.to_string()});
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("claimgate.yaml"), config.to_string()).unwrap();
        Self { grpc, admin, process: Self::spawn(&directory), directory }
    }

    fn start(&mut self) {
        self.process = Self::spawn(&self.directory);
    }

    fn spawn(directory: &TempDir) -> Child {
        Command::new(env!("CARGO_BIN_EXE_claimgate"))
            .args(["serve", "--drain-delay", DRAIN_DELAY, "--config"])
            .arg(directory.path().join("claimgate.yaml"))
            .stdin(Stdio::null())
            .stderr(kept::stream("service"))
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// As who replaces it does: the signal, and then patience.
    async fn stop(&mut self) {
        let pid = self.process.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        kill_process(pid.expect("it runs"), Signal::TERM).unwrap();
        let ended = timeout(PATIENCE, self.process.wait()).await.expect("it ends").unwrap();
        assert!(ended.success(), "{ended}");
    }

    /// Since its start.
    async fn checks(&self) -> f64 {
        metric(self.admin, &["claimgate_checks_total"]).await
    }
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
