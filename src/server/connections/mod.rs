//! HTTP on the connections of an [`Acceptor`], within bounds: how many are open, how long one may take to say anything,
//! how old one gets, and what HTTP/1.1 and HTTP/2 may cost on it. [`super::grpc`], [`super::forward_auth`], the admin
//! ports and the reference issuer say what is served; what is answered is not this module's business.
//!
//! A task a connection, owned by the listener's: when that is aborted or dropped, they are gone with it. What fails on
//! a connection, a panic included, ends that connection and nothing else.

mod body;
mod opening;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{BoxError, Router};
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming as IncomingBody};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use self::body::BodyBudget;
pub use self::body::Received;
use self::opening::{Opened, Opening};
use super::listener::{Acceptor, Incoming, Peer};
use crate::telemetry::metrics::{ConnectionMetrics, TurnedAway};

/// What a listener's clients may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections open at once.
    pub connections: usize,
    /// What becomes of one more, when all that are open have begun to speak.
    pub when_full: WhenFull,
    /// A connection as old as this, give or take a tenth, is ended in good order (GOAWAY), so that the client's next one
    /// may go to another instance. `None`: connections stay as long as the client likes.
    pub age: Option<Duration>,
    /// Requests at once on one connection.
    pub streams: u32,
    /// Names and values of the headers of one request.
    pub header_bytes: u32,
    /// Header fields of one request over HTTP/1.1.
    pub http1_headers: usize,
    /// What is spoken.
    pub protocol: Protocol,
}

/// Who has to go when all connections are taken. One that has said nothing yet always goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest: requests are short, and whoever lost a connection makes another.
    EndOldest,
    /// The new one: those that there are carry the requests of many.
    RefuseNew,
}

/// What is spoken on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// With prior knowledge, or by ALPN.
    Http2,
    /// Either, as the client begins.
    Http1AndHttp2,
}

/// Until a client has said what it speaks. TLS has had its own deadline before.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);

/// After a connection was told to end for its age; an endless stream (a health `Watch`) does not keep it.
const GRACE: Duration = Duration::from_secs(30);

/// A connection whose other end does not answer pings is closed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// For the head of an HTTP/1.1 request, the wait for it included. Longer than scrapes are apart, so that their
/// connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// Streams that a client opens and resets at once (CVE-2023-44487), or has us reset: after so many that are not done
/// with, the connection is closed.
const PENDING_RESETS: usize = 256;
const ERROR_RESETS: usize = 256;

/// What a client may send without anybody reading it: of one request, and of a whole connection. The latter is much
/// more, so that requests that wait do not stop the others beside them.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Of one answer, on its way to a client that does not read.
const SEND_BUFFER: usize = 64 * 1024;

/// The body of a request, as it arrives.
pub type Arriving = Received<IncomingBody>;

/// What answers the requests of a listener.
pub trait Answering: Send + Sync + 'static {
    /// Of an answer.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;

    /// Answers one, which came from `peer`.
    fn answer(
        &self,
        peer: Peer,
        request: Request<Arriving>,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send + use<Self>;
}

/// A request has its [`Peer`] among its extensions.
impl Answering for Router {
    type Body = axum::body::Body;

    fn answer(
        &self,
        peer: Peer,
        mut request: Request<Arriving>,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send + use<> {
        request.extensions_mut().insert(peer);
        self.clone().oneshot(request)
    }
}

/// Serves until `shutdown`; then stops listening, refuses new requests (GOAWAY), finishes those in flight and returns.
pub async fn serve(
    mut acceptor: Acceptor,
    service: impl Answering,
    bounds: Bounds,
    metrics: ConnectionMetrics,
    shutdown: CancellationToken,
) {
    metrics.limit(bounds.connections);
    let mut connections = Connections::new(service, bounds, metrics, shutdown.clone());
    loop {
        tokio::select! {
            incoming = acceptor.accept() => connections.admit(incoming),
            () = connections.one_ended() => {}
            () = shutdown.cancelled() => break,
        }
    }
    drop(acceptor);
    connections.all_ended().await;
}

/// The open connections of one listener.
struct Connections<S> {
    tasks: JoinSet<()>,
    /// In the order of their coming; some are over.
    open: VecDeque<Open>,
    bounds: Bounds,
    shared: Arc<Shared<S>>,
}

struct Open {
    task: AbortHandle,
    opened: Opened,
}

/// What all connections need.
struct Shared<S> {
    http: Builder<TokioExecutor>,
    service: S,
    budget: BodyBudget,
    metrics: ConnectionMetrics,
    shutdown: CancellationToken,
}

impl<S: Answering> Connections<S> {
    fn new(
        service: S,
        bounds: Bounds,
        metrics: ConnectionMetrics,
        shutdown: CancellationToken,
    ) -> Self {
        let (http, budget) = (bounds.http(), BodyBudget::default());
        let shared = Arc::new(Shared { http, service, budget, metrics, shutdown });
        Self { tasks: JoinSet::new(), open: VecDeque::new(), bounds, shared }
    }

    fn admit(&mut self, incoming: Incoming) {
        if self.open.len() >= 2 * self.bounds.connections {
            self.open.retain(|open| !open.task.is_finished());
        }
        if self.tasks.len() >= self.bounds.connections && !self.make_room() {
            self.shared.metrics.turned_away(TurnedAway::Full);
            return;
        }
        let opened = Opened::default();
        let age = self.bounds.age.map(jittered);
        let serving = serve_one(incoming, Arc::clone(&self.shared), opened.clone(), age);
        let task = self.tasks.spawn(serving);
        self.open.push_back(Open { task, opened });
        self.count();
    }

    /// Ends a connection, if there is one that is worth less than a new one.
    fn make_room(&mut self) -> bool {
        self.open.retain(|open| !open.task.is_finished());
        let silent = self.open.iter().position(|open| !open.opened.is_set());
        let (place, why) = match (silent, self.bounds.when_full) {
            (Some(place), _) => (place, TurnedAway::Silent),
            (None, WhenFull::EndOldest) => (0, TurnedAway::Oldest),
            (None, WhenFull::RefuseNew) => return false,
        };
        // Else those that were in the way have just ended.
        if let Some(gone) = self.open.remove(place) {
            gone.task.abort();
            self.shared.metrics.turned_away(why);
        }
        true
    }

    /// Waits for the end of a connection; for ever when there is none.
    async fn one_ended(&mut self) {
        // One that panicked was logged by the hook, and ended nothing else.
        if self.tasks.join_next().await.is_none() {
            std::future::pending().await
        }
        self.count();
    }

    async fn all_ended(&mut self) {
        while self.tasks.join_next().await.is_some() {
            self.count();
        }
    }

    fn count(&self) {
        self.shared.metrics.open(self.tasks.len());
    }
}

async fn serve_one<S: Answering>(
    incoming: Incoming,
    shared: Arc<Shared<S>>,
    opened: Opened,
    age: Option<Duration>,
) {
    let shutdown = &shared.shutdown;
    let peer = incoming.peer();
    // Nothing has been asked on it yet: who connects while the service ends loses nothing.
    let Some(Some(io)) = shutdown.run_until_cancelled(incoming.handshake()).await else { return };
    let io = TokioIo::new(Opening::new(io, opened.clone()));
    let answering = Arc::clone(&shared);
    let service = service_fn(move |request: Request<IncomingBody>| {
        let request = request.map(|body| Received::new(body, &answering.budget));
        answering.service.answer(peer, request)
    });
    let mut connection = pin!(shared.http.serve_connection(io, service));
    let mut opening = pin!(time::sleep(OPENING_TIMEOUT));
    let mut aging = pin!(time::sleep(age.unwrap_or_default()));
    let (mut is_opening, mut is_old, mut is_shutting_down) = (true, false, false);
    loop {
        tokio::select! {
            // What fails on it is the client's business.
            _ended = connection.as_mut() => return,
            () = opening.as_mut(), if is_opening => {
                if !opened.is_set() {
                    return shared.metrics.turned_away(TurnedAway::Silent);
                }
                is_opening = false;
            }
            () = aging.as_mut(), if age.is_some() => {
                if is_old {
                    return;
                }
                is_old = true;
                connection.as_mut().graceful_shutdown();
                aging.as_mut().reset(Instant::now() + GRACE);
            }
            () = shutdown.cancelled(), if !is_shutting_down => {
                if !opened.is_set() {
                    return;
                }
                is_shutting_down = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

impl Bounds {
    fn http(&self) -> Builder<TokioExecutor> {
        let mut http = Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(self.http1_headers)
            // hyper takes no less than 8 KiB.
            .max_buf_size(usize::try_from(self.header_bytes).unwrap_or(usize::MAX).max(8192));
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_concurrent_streams(self.streams)
            .max_header_list_size(self.header_bytes)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(ERROR_RESETS)
            // Where there is only gRPC: nobody keeps an answer, and Envoy would read the date of each.
            .auto_date_header(self.protocol != Protocol::Http2)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER);
        match self.protocol {
            Protocol::Http2 => http.http2_only(),
            Protocol::Http1AndHttp2 => http,
        }
    }
}

/// Nine to eleven tenths: connections that were opened at the same time, after a restart of ours, would all end at the
/// same time, again and again.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * fastrand::f64())
}
