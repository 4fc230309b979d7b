//! Connections without sockets, in a time that passes by itself.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::telemetry::metrics::{Metrics, MetricsSettings};

/// A listener that answers `GET /` at once, and `/body` when the body is whole, with its length.
struct Listener {
    connections: Connections<Router>,
    metrics: Metrics,
    shutdown: CancellationToken,
}

impl Listener {
    fn new(bounds: Bounds) -> Self {
        let metrics = Metrics::new(MetricsSettings {
            rules: Vec::new(),
            issuers: Vec::new(),
            reasons: Vec::new(),
            algorithms: Vec::new(),
            profile: "development",
            concurrent_checks: 100,
            cache_bytes: 1000,
        });
        let whole = |body: Body| async move {
            body.collect()
                .await
                .map_or_else(|error| error.to_string(), |whole| whole.to_bytes().len().to_string())
        };
        let routes = Router::new().route("/", get(|| async { "x" })).route("/body", any(whole));
        let shutdown = CancellationToken::new();
        let counted = metrics.connections("admin");
        let connections = Connections::new(routes, bounds, counted, shutdown.clone());
        Self { connections, metrics, shutdown }
    }

    fn connect(&mut self) -> DuplexStream {
        let (client, server) = duplex(1 << 16);
        self.connections.admit(Incoming::plain(server));
        client
    }

    fn turned_away(&self, reason: &str) -> bool {
        let series = format!("reason=\"{reason}\"}} ");
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.contains(&series)).expect("it is counted");
        !line.ends_with(" 0")
    }
}

const BOUNDS: Bounds = Bounds {
    connections: 2,
    when_full: WhenFull::EndOldest,
    age: None,
    streams: 16,
    header_bytes: 16 * 1024,
    http1_headers: 64,
    protocol: Protocol::Http1AndHttp2,
};

/// One request on a connection that stays.
async fn answers(client: &mut DuplexStream) -> bool {
    if client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.is_err() {
        return false;
    }
    let mut answer = [0; 512];
    let read = client.read(&mut answer).await.unwrap_or(0);
    answer.get(..read).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}

/// Whatever is said until the other end closes.
async fn rest(client: &mut DuplexStream) -> String {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _reset = client.read_to_end(&mut rest).await.is_err();
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_say_what_it_speaks_loses_its_connection() {
    for protocol in [Protocol::Http2, Protocol::Http1AndHttp2] {
        let mut listener = Listener::new(Bounds { protocol, ..BOUNDS });
        for begun in [b"".as_slice(), b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let mut client = listener.connect();
            client.write_all(begun).await.unwrap();
            rest(&mut client).await;
            listener.connections.one_ended().await;
        }
        assert!(listener.turned_away("silent"));
        assert!(listener.connections.tasks.is_empty(), "no task is left");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_and_a_pause_that_never_ends_lose_their_connection() {
    let mut listener = Listener::new(BOUNDS);
    let mut slow = listener.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
    rest(&mut slow).await;
    let mut idle = listener.connect();
    assert!(answers(&mut idle).await);
    rest(&mut idle).await;
    listener.connections.all_ended().await;
}

#[tokio::test(start_paused = true)]
async fn an_http2_client_that_answers_no_ping_loses_its_connection() {
    let mut listener = Listener::new(Bounds { protocol: Protocol::Http2, ..BOUNDS });
    let mut mute = listener.connect();
    mute.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    rest(&mut mute).await;
    listener.connections.all_ended().await;
}

#[tokio::test]
async fn the_oldest_makes_room_where_requests_are_short() {
    let mut listener = Listener::new(BOUNDS);
    let (mut first, mut second) = (listener.connect(), listener.connect());
    assert!(answers(&mut first).await && answers(&mut second).await);
    let mut third = listener.connect();
    assert!(answers(&mut third).await && answers(&mut second).await);
    assert_eq!(rest(&mut first).await, "");
    assert!(listener.turned_away("oldest") && !listener.turned_away("full"));
}

#[tokio::test]
async fn who_is_served_keeps_its_place_where_connections_carry_the_requests_of_many() {
    let mut listener = Listener::new(Bounds { when_full: WhenFull::RefuseNew, ..BOUNDS });
    let (mut first, mut second) = (listener.connect(), listener.connect());
    assert!(answers(&mut first).await && answers(&mut second).await);
    let mut third = listener.connect();
    assert!(!answers(&mut third).await);
    assert!(answers(&mut first).await && answers(&mut second).await);
    assert!(listener.turned_away("full") && !listener.turned_away("oldest"));
}

#[tokio::test]
async fn who_has_said_nothing_makes_room_first() {
    let mut listener = Listener::new(Bounds { when_full: WhenFull::RefuseNew, ..BOUNDS });
    let (mut speaks, mut silent) = (listener.connect(), listener.connect());
    assert!(answers(&mut speaks).await);
    let mut third = listener.connect();
    assert!(answers(&mut third).await && answers(&mut speaks).await);
    assert_eq!(rest(&mut silent).await, "");
    assert!(listener.turned_away("silent") && !listener.turned_away("full"));
}

#[tokio::test]
async fn what_is_kept_of_connections_that_are_over_is_bounded() {
    let mut listener = Listener::new(BOUNDS);
    for _ in 0..100 {
        drop(listener.connect());
        listener.connections.one_ended().await;
        assert!(listener.connections.open.len() <= 2 * BOUNDS.connections);
    }
    assert!(listener.connections.tasks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_at_its_age_in_good_order_and_after_a_grace_at_all_events() {
    let age = Some(Duration::from_secs(60));
    let mut listener = Listener::new(Bounds { age, protocol: Protocol::Http1AndHttp2, ..BOUNDS });
    let mut idle = listener.connect();
    assert!(answers(&mut idle).await);
    let begun = Instant::now();
    assert_eq!(rest(&mut idle).await, "");
    assert!(begun.elapsed() <= Duration::from_secs(77), "at its age, or as idle");
    // A request that is never whole: the answer waits for it.
    let mut endless = listener.connect();
    endless.write_all(b"PUT /body HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n").await.unwrap();
    assert!(rest(&mut endless).await.contains("not whole within 10 s"));
    listener.connections.all_ended().await;
}

#[tokio::test]
async fn at_the_end_nobody_is_waited_for_who_has_not_asked_anything() {
    let mut listener = Listener::new(Bounds { protocol: Protocol::Http2, ..BOUNDS });
    let (_silent, mut half) = (listener.connect(), listener.connect());
    half.write_all(b"PRI *").await.unwrap();
    listener.shutdown.cancel();
    listener.connections.all_ended().await;
}

#[tokio::test(start_paused = true)]
async fn long_requests_wait_for_each_other_and_short_ones_for_nobody() {
    let budget = BodyBudget::default();
    let taken = Arc::clone(budget.semaphore()).acquire_many_owned(1024).await.unwrap();
    let received = |length: usize| {
        let chunks = std::iter::repeat_n(vec![0; 1024], length >> 10);
        let frames =
            chunks.map(|chunk| Ok::<_, Infallible>(hyper::body::Frame::data(chunk.into())));
        Received::new(http_body_util::StreamBody::new(tokio_stream::iter(frames)), &budget)
    };
    let short = received(63 << 10).collect().await.unwrap();
    assert_eq!(short.to_bytes().len(), 63 << 10);
    let error = received(65 << 10).collect().await.unwrap_err();
    assert!(error.to_string().contains("not whole within 10 s"), "{error}");
    drop(taken);
    let long = received(16 << 20).collect().await.unwrap();
    assert_eq!(long.to_bytes().len(), 16 << 20);
}
