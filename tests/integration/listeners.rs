//! Where claimgate listens: several places at once, Unix sockets and what is in their way, and how old a connection gets.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use claimgate::app::{App, Options};
use claimgate::config::Config;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::answers::{claims, key};
use crate::authority::channel;
use crate::kept;
use crate::kept::mint;
use crate::provider::inline;
use crate::service::{Answer, PATIENCE, TestService, check, eventually, request};

#[tokio::test]
async fn one_service_answers_on_tcp_and_on_unix_sockets_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (grpc, admin) = (directory.path().join("grpc.sock"), directory.path().join("admin.sock"));
    let name = format!("claimgate-test-{}", std::process::id());
    let key = key();
    let listen = json!({
        "grpc": ["127.0.0.1:0", "127.0.0.1:0", unix(&grpc), format!("unix://@{name}")],
        "admin": [unix(&admin), "127.0.0.1:0"],
    });
    let config = listening(inline(&key), &listen);
    let bound = App::bind(config.clone()).await.unwrap();
    let places: Vec<_> = bound.grpc_addresses().iter().filter_map(|place| place.tcp()).collect();
    assert!(places.len() == 2 && places[0] != places[1] && places[0] == bound.grpc_addr());
    drop(bound);
    let service = TestService::run(config, Options::default()).await;
    assert_eq!(grpc.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    let token = mint(&key, &claims(&json!({}))).unwrap();
    let path = grpc.clone();
    let over_path = channel(move || UnixStream::connect(path.clone()));
    let over_name = channel(move || UnixStream::connect(format!("\0{name}")));
    for channel in [service.channel.clone(), over_path, over_name] {
        assert!(asked(&channel, &token).await.is_allowed());
        assert_eq!(asked(&channel, "no token").await, Answer::denied(401, "malformed"));
    }
    let mut probe = UnixStream::connect(&admin).await.unwrap();
    let get = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    probe.write_all(get).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, probe.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(service.admin("/livez").await.0, 200);
    service.stop().await.unwrap();
    assert!(!grpc.exists() && !admin.exists(), "the files go with the service");
}

#[tokio::test]
async fn a_socket_left_by_a_killed_process_is_replaced_and_anything_else_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grpc.sock");
    let config = listening(inline(&key()), &json!({"grpc": unix(&path), "admin": "127.0.0.1:0"}));
    drop(UnixListener::bind(&path).unwrap());
    let first = App::bind(config.clone()).await.unwrap();
    let error = App::bind(config.clone()).await.unwrap_err().to_string();
    let place = unix(&path);
    assert_eq!(
        error,
        format!("listen.grpc: cannot listen on {place}: another process listens there")
    );
    assert!(path.exists());
    drop(first);
    std::fs::write(&path, "precious").unwrap();
    let error = App::bind(config).await.unwrap_err().to_string();
    assert!(
        error.ends_with("there is something that is no socket, which is left alone"),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn listeners_that_cannot_all_be_had_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grpc.sock");
    let nowhere = directory.path().join("missing/admin.sock");
    let listen = json!({"grpc": unix(&path), "admin": unix(&nowhere)});
    let error = App::bind(listening(inline(&key()), &listen)).await.unwrap_err().to_string();
    assert!(error.starts_with("listen.admin: cannot listen on unix://"), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_socket_path_that_is_too_long_ends_the_start_with_a_clear_message() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("a".repeat(150));
    let mut config = inline(&key());
    config["listen"] = json!({"grpc": unix(&long)});
    let (code, said) = serve(&directory, &config);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("listen.grpc: found ") && said.contains("at most 10"), "{said}");
}

#[tokio::test]
async fn connections_are_ended_at_their_age_and_no_request_is_lost_by_it() {
    let listen = json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0", "max_connection_age": "1s"});
    let service = TestService::run(listening(inline(&key()), &listen), Options::default()).await;
    let (connections, address) = (Arc::new(AtomicUsize::new(0)), service.grpc);
    let counted = Arc::clone(&connections);
    let client = channel(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        TcpStream::connect(address)
    });
    let mut requests = 0;
    eventually("connected anew", async || {
        // At once, so that some are in flight when the connection's time has come.
        for answer in join_all((0..32).map(|_| asked(&client, "no token"))).await {
            requests += 1;
            assert_eq!(answer, Answer::denied(401, "malformed"));
        }
        connections.load(Ordering::Relaxed) >= 3
    })
    .await;
    let text = "connections ended at their age: 2, requests meanwhile";
    writeln!(io::stdout().lock(), "{text}: {requests}, none lost").unwrap();
    drop(client);
    service.stop().await.unwrap();
}

async fn asked(channel: &Channel, token: &str) -> Answer {
    let token = format!("Bearer {token}");
    let request = request("GET", "/orders", &[("authorization", &token)]);
    Answer::of(check(channel.clone(), request).await)
}

fn unix(path: &Path) -> String {
    format!("unix://{}", path.display())
}

pub(crate) fn listening(mut config: Value, listen: &Value) -> Config {
    config["listen"] = listen.clone();
    Config::from_yaml(&config.to_string(), Path::new(".")).unwrap()
}

/// Exit code and standard error of a `claimgate serve` that does not start.
pub(crate) fn serve(directory: &TempDir, config: &Value) -> (Option<i32>, String) {
    let file: PathBuf = directory.path().join("claimgate.yaml");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
    let output = command.args(["serve", "--config"]).arg(&file).output().unwrap();
    kept::printed(&output);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
