//! How long it is from the start of the process until it says that it is ready, with keys from `state_dir` and no
//! provider that could be asked.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};

use crate::figures::median;
use crate::load::{http1, servers};
use crate::machine::Place;
use crate::report::{Section, Table};
use crate::{Args, BoxError, timing, world};

const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked whether it is ready.
const POLL: Duration = Duration::from_micros(500);

pub(super) fn run(args: &Args, section: &mut Section) -> Result<(), BoxError> {
    let mut table = Table::new(["issuers", "ready from disk after"]);
    for (issuers, wanted) in [(1, 100.0), (args.scaled(1_000), 500.0)] {
        let took = median(&of(args, issuers)?);
        table.row([issuers.to_string(), format!("{:.0} ms", took * 1e3)]);
        let what = format!("ready from disk with {issuers} issuers, the provider away");
        section.at_most(&what, wanted, took * 1e3, " ms");
    }
    section.add(table);
    section
        .add("From the start of the process until /readyz says 200; no provider can be reached.");
    Ok(())
}

/// Seconds, one entry a round.
fn of(args: &Args, issuers: usize) -> Result<Vec<f64>, BoxError> {
    let directory = tempfile::tempdir()?;
    let (grpc, admin) = (free_port()?, free_port()?);
    let provider = Provider::start(issuers)?;
    let config = config(issuers, provider.address, grpc, admin);
    let file = directory.path().join("claimgate.yaml");
    fs::write(&file, config.to_string())?;
    // Once with the provider there, so that there is something on disk.
    start(args, &file, admin, || kept(directory.path()) >= issuers)?;
    drop(provider);
    (0..args.rounds).map(|_| start(args, &file, admin, || true)).collect()
}

/// Starts claimgate, waits until it is ready and `is_done`, ends it. Seconds until it was ready.
fn start(
    args: &Args,
    config: &Path,
    admin: SocketAddr,
    is_done: impl Fn() -> bool,
) -> Result<f64, BoxError> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
    command.args(["serve", "--config"]).arg(config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let took = timing::stopwatch();
    let mut child = servers::start(args.machine, Place::Subject, &mut command)?;
    let mut ready = None;
    let outcome = loop {
        if ready.is_none() && matches!(http1::get(admin, "/readyz"), Ok((200, _))) {
            ready = Some(took.elapsed());
        }
        match ready {
            Some(ready) if is_done() => break Ok(ready.as_secs_f64()),
            _ if took.elapsed() > PATIENCE => break Err("claimgate does not become ready".into()),
            _ => std::thread::sleep(POLL),
        }
    };
    servers::end(&mut child);
    outcome
}

/// How many sources' documents are on disk.
fn kept(directory: &Path) -> usize {
    fs::read_dir(directory.join("state/jwks")).map_or(0, Iterator::count)
}

fn config(issuers: usize, provider: SocketAddr, grpc: SocketAddr, admin: SocketAddr) -> Value {
    let issuer = |number: usize| {
        json!({
            "name": format!("i{number}"), "issuer": format!("{}/{number}", world::ISSUER),
            "audiences": [world::AUDIENCE], "algorithms": ["EdDSA"],
            "keys": [{"jwks_url": format!("http://{provider}/{number}")}],
        })
    };
    json!({
        "profile": "development",
        "listen": {"grpc": grpc.to_string(), "admin": admin.to_string()},
        "state_dir": "state",
        "issuers": (0..issuers).map(issuer).collect::<Vec<_>>(),
        "rules": [{"name": "rest", "require": {"issuer": "i0"}}],
    })
}

/// One that was free a moment ago.
pub(crate) fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Hands out one key for each issuer, until it is dropped.
struct Provider {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Provider {
    fn start(issuers: usize) -> Result<Self, BoxError> {
        let mut router = Router::new();
        for number in 0..issuers {
            let key = SigningKey::generate(Algorithm::EdDsa)?;
            let document = json!({"keys": [key.public_jwk()]}).to_string();
            let answer = ([("content-type", "application/json")], document);
            router = router.route(&format!("/{number}"), get(|| async { answer }));
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, runtime: Some(runtime) })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
