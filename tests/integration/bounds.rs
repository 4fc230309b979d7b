//! What callers may cost the process, measured from outside while another caller goes on asking: ten thousand idle
//! connections, streams opened and reset, requests that are huge or never whole.

use std::cell::Cell;
use std::io::{self, Write as _};

use bytes::{BufMut as _, BytesMut};
use claimgate::app::raise_open_files;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::answers::key;
use crate::kept;
use crate::provider::inline;
use crate::running::{Running, ask};
use crate::service::{Answer, PATIENCE, check, eventually, request};

const IDLE: usize = 10_000;
const MIB: usize = 1 << 20;

/// HTTP/2's preface and empty settings.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test]
async fn ten_thousand_idle_connections_cost_little_and_hold_up_nobody() {
    let files = raise_open_files();
    assert!(
        files > IDLE as u64 + 1000,
        "the hard limit of open files is {files}: ulimit -Hn 20000"
    );
    let running = Running::start(&inline(&key()), "", kept::stream("service")).await;
    let other = running.channel();
    all_answered(&other, 100).await;
    let (memory, open) = (running.memory("VmRSS"), running.files());
    let mut idle = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        let mut stream = UnixStream::connect(running.path("grpc")).await.unwrap();
        stream.write_all(OPENING).await.unwrap();
        let mut settings = [0; 9];
        timeout(PATIENCE, stream.read_exact(&mut settings)).await.unwrap().unwrap();
        idle.push(stream);
    }
    let connections = running.metric("claimgate_connections{listener=\"grpc\"}").await;
    assert!(connections >= IDLE as f64, "{connections}");
    all_answered(&other, 100).await;
    let grown = running.memory("VmRSS").saturating_sub(memory);
    drop(idle);
    eventually("closed", async || running.files() <= open + 2).await;
    // A file is closed before the task that held it is counted out.
    eventually("no task is left of connections that are gone", async || {
        running.metric("claimgate_connections{listener=\"grpc\"}").await <= 1.0
    })
    .await;
    say(&format!(
        "{IDLE} idle connections: +{} MiB, {} KiB each",
        grown / MIB,
        grown / IDLE / 1024
    ));
    assert!(grown < IDLE * (64 << 10), "{grown}");
    drop(other);
    assert!(running.stop().await.success());
}

#[tokio::test]
async fn huge_requests_are_answered_and_those_that_are_never_whole_share_a_limit() {
    let running = Running::start(&inline(&key()), "", kept::stream("service")).await;
    let other = running.channel();
    all_answered(&other, 10).await;
    let long = "x".repeat(MIB);
    let many: Vec<String> = (0..10_000).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "value")).collect();
    let path = format!("/{}", "y".repeat(4 * MIB));
    for huge in [
        request("GET", "/healthz", &[("x-long", &long)]),
        request("GET", "/healthz", &many),
        request("GET", &path, &[]),
    ] {
        let answer = timeout(PATIENCE, check(other.clone(), huge)).await.expect("an answer");
        // Which one is not the matter here.
        let _whole = Answer::of(answer);
    }
    let memory = running.memory("VmRSS");
    let mut announced = BytesMut::from([0].as_slice());
    announced.put_u32(16 * 1024 * 1024 - 1);
    announced.resize(512 * 1024, 0);
    let announced = announced.freeze();
    let (mut streams, mut connections) = (0, Vec::new());
    for _ in 0..8 {
        let (client, connection) =
            h2::client::handshake(UnixStream::connect(running.path("grpc")).await.unwrap())
                .await
                .unwrap();
        let mut unfinished = Vec::new();
        let opening = async {
            for _ in 0..100 {
                let (_answer, mut body) =
                    client.clone().ready().await.unwrap().send_request(call(), false).unwrap();
                body.send_data(announced.clone(), false).unwrap();
                unfinished.push((_answer, body));
                streams += 1;
            }
            // Until the server has taken what it will.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        let mut connection = Box::pin(connection);
        tokio::select! {
            ended = connection.as_mut() => ended.unwrap(),
            () = opening => {}
        }
        connections.push((connection, unfinished));
    }
    all_answered(&other, 100).await;
    let grown = running.memory("VmRSS").saturating_sub(memory);
    say(&format!("{streams} requests of 16 MiB that are never whole: +{} MiB", grown / MIB));
    assert!(grown < 512 * MIB, "{grown}");
    drop((connections, other));
    assert!(running.stop().await.success());
}

#[tokio::test]
async fn streams_that_are_reset_at_once_cost_little_and_hold_up_nobody() {
    const RESETS: usize = 20_000;
    let running = Running::start(&inline(&key()), "", kept::stream("service")).await;
    let other = running.channel();
    all_answered(&other, 10).await;
    let memory = running.memory("VmRSS");
    let stream = UnixStream::connect(running.path("grpc")).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let count = Cell::new(0_usize);
    let resetting = async {
        while count.get() < RESETS {
            let Ok(mut client) = client.clone().ready().await else { return };
            let Ok((_answer, mut body)) = client.send_request(call(), false) else { return };
            body.send_reset(h2::Reason::CANCEL);
            count.set(count.get() + 1);
            if count.get().is_multiple_of(100) {
                tokio::task::yield_now().await;
            }
        }
    };
    let ended = tokio::select! {
        () = resetting => None,
        ended = connection => ended.err(),
    };
    let (count, ended) =
        (count.get(), ended.map_or_else(|| "it goes on".to_owned(), |e| e.to_string()));
    all_answered(&other, 100).await;
    let grown = running.memory("VmRSS").saturating_sub(memory);
    say(&format!("{count} streams reset at once: +{} MiB; their connection: {ended}", grown / MIB));
    assert!(grown < 64 * MIB, "{grown}");
    drop(other);
    assert!(running.stop().await.success());
}

/// A call of `Check`, before its message.
fn call() -> Request<()> {
    Request::post("http://localhost/envoy.service.auth.v3.Authorization/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

async fn all_answered(channel: &Channel, count: usize) {
    for _ in 0..count {
        assert!(Answer::of(ask(channel).await).is_allowed());
    }
}

pub(crate) fn say(line: &str) {
    writeln!(io::stdout().lock(), "{line}").unwrap();
}
