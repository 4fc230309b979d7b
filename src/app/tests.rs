//! The service whose parts die one by one: none goes on without the others. And what none of them may hold up.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::sync::mpsc;
use std::thread;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

use super::tasks::testing::{break_task, names};
use super::*;
use crate::proto::envoy::service::auth::v3::CheckRequest;
use crate::proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use crate::server::health::ReadyState;
use crate::util::clock::ManualClock;
use crate::util::rfc3339::parse_rfc3339;

/// With everything that has a task of its own.
fn config(directory: &TempDir) -> Config {
    Config::from_yaml(&with_tls(directory).to_string(), directory.path()).unwrap()
}

fn with_tls(directory: &TempDir) -> serde_json::Value {
    let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::default());
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2031, 1, 1));
    let [certificate, private] = ["tls.crt", "tls.key"].map(|name| directory.path().join(name));
    fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&private, key.serialize_pem()).unwrap();
    let tls = json!({"cert_file": certificate, "key_file": private});
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "kid": "example",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let revoked = directory.path().join("revoked.jsonl");
    fs::write(&revoked, "{\"v\":1,\"kind\":\"end\"}\n").unwrap();
    json!({
        "profile": "development",
        "revocation": {"file": revoked},
        "listen": {
            "grpc": "127.0.0.1:0", "http": "127.0.0.1:0", "admin": "127.0.0.1:0",
            "tls": tls, "http_tls": tls, "admin_tls": tls,
        },
        "issuers": [{
            "name": "accounts", "issuer": "http://localhost", "algorithms": ["ES256"],
            "keys": [{"jwks": {"keys": [jwk]}}],
        }],
        "rules": [{"name": "open", "allow": "anyone"}],
    })
}

fn options() -> Options {
    let clock = ManualClock::new(parse_rfc3339("2025-01-01T00:00:00Z").unwrap());
    Options { clock: Arc::new(clock), ..Options::default() }
}

const PARTS: [&str; 12] = [
    "admin",
    "certificates of listen.admin_tls",
    "certificates of listen.http_tls",
    "certificates of listen.tls",
    "configuration",
    "ext_authz",
    "forward_auth",
    "keys of accounts, source 0",
    "metrics upkeep",
    "readiness",
    "revocations",
    "traces",
];

#[tokio::test]
async fn a_part_that_dies_takes_the_service_down_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut all = BTreeSet::new();
    for part in PARTS {
        let bound = App::bind_with(config(&directory), options()).await.unwrap();
        let mut ready = bound.service.readiness.subscribe();
        let broken = async {
            ready.wait_for(|state| state.ready).await.unwrap();
            // The refreshers are begun by another task.
            while !names().iter().any(|name| name == part) {
                tokio::task::yield_now().await;
            }
            all.extend(names());
            break_task(part);
        };
        let (outcome, ()) = tokio::join!(bound.run(CancellationToken::new()), broken);
        let error = outcome.unwrap_err();
        assert!(matches!(error, AppError::Task(_)));
        assert!(error.to_string().contains(&format!("`{part}` panicked")), "{error}");
        assert!(!ready.borrow().ready, "{part}");
    }
    assert_eq!(all, PARTS.map(str::to_owned).into(), "a part that is not tried above");
}

#[tokio::test]
async fn a_certificate_that_expires_in_use_is_named_and_the_instance_stays_ready() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(parse_rfc3339("2030-12-31T23:59:59Z").unwrap()));
    let options = Options { clock: Arc::<ManualClock>::clone(&clock), ..Options::default() };
    // Nothing reads their file here.
    let config = Config { revocation: None, ..config(&directory) };
    let bound = App::bind_with(config, options).await.unwrap();
    let ready = bound.service.readiness.subscribe();
    assert_eq!(*ready.borrow(), ReadyState { ready: true, pending: Vec::new() });
    clock.advance(Duration::from_secs(2));
    bound.service.readiness.look().await;
    let expired =
        |listener| format!("{listener}: the certificate in use expired at 2031-01-01T00:00:00Z");
    let pending = ["listen.tls", "listen.http_tls", "listen.admin_tls"].map(expired).into();
    assert_eq!(*ready.borrow(), ReadyState { ready: true, pending });
}

/// On one thread: whatever held it up would hold up the checks.
#[tokio::test]
async fn a_check_is_answered_while_metrics_and_status_are_being_written() {
    let directory = tempfile::tempdir().unwrap();
    for page in ["/metrics", "/status", "/"] {
        let mut config = with_tls(&directory);
        config["listen"] = json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"});
        let config = Config::from_yaml(&config.to_string(), directory.path()).unwrap();
        let bound = App::bind_with(config, options()).await.unwrap();
        let (grpc, admin) = (bound.grpc_addr(), bound.admin_addr());
        let current = bound.control().current.load_full();
        let (stalled, is_stalled) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let stalling = thread::spawn(move || {
            let source = current.board.entries().remove(0).id;
            let _stalled = current.metrics.stall();
            let mut was_told = false;
            current.board.update(&source, |_| {
                stalled.send(()).unwrap();
                was_told = may_go_on.recv_timeout(PATIENCE).is_ok();
            });
            was_told
        });
        is_stalled.recv().unwrap();
        let shutdown = CancellationToken::new();
        let asking = async {
            let mut scrape = TcpStream::connect(admin).await.unwrap();
            let request = format!("GET {page} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            scrape.write_all(request.as_bytes()).await.unwrap();
            let channel = Endpoint::from_shared(format!("http://{grpc}")).unwrap();
            let mut client = AuthorizationClient::new(channel.connect().await.unwrap());
            for _ in 0..100 {
                client.check(CheckRequest::default()).await.unwrap();
            }
            let answered = scrape.try_read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(answered, Err(ErrorKind::WouldBlock));
            let _fails_below = go_on.send(()).is_err();
            let mut answer = String::new();
            scrape.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            shutdown.cancel();
        };
        let (outcome, ()) = tokio::join!(bound.run(shutdown.clone()), asking);
        outcome.unwrap();
        assert!(stalling.join().unwrap(), "the checks had to wait until {page} was written");
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
