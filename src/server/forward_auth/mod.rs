//! HTTP forward-auth on `listen.http`, for proxies that do not speak Envoy's gRPC API: the same checks as
//! [`super::ext_authz`], counted and logged alike, with the same answers where HTTP has a place for them.
//!
//! Where the request that is asked about comes from is said by the path that is asked at, and never guessed: a door that
//! took the one when the other is missing would judge `/` for a proxy that forgot a header.
//!
//! | asked at | what is asked about | for |
//! | --- | --- | --- |
//! | `/auth/envoy/…` | the request itself, without this prefix | Envoy's `http_service` with `path_prefix: /auth/envoy` |
//! | `/auth/nginx` | `X-Original-Method`, `X-Original-URI`, `X-Original-Host` | nginx' `auth_request` |
//! | `/auth/caddy` | `X-Forwarded-Method`, `X-Forwarded-Uri`, `X-Forwarded-Host` | Caddy's `forward_auth` |
//! | `/auth/traefik` | the same | Traefik's `forwardAuth` |
//!
//! The last three believe what stands in headers, so only those are believed who are named in `listen.trusted_forwarders`,
//! by the address that the system says the connection is from; to everybody else they say no. All three headers must be
//! there, once each. Every answer but 200 is a no, to each of these proxies. At any other path there is 404.
//!
//! What an allowed request is to look like stands in the answer (`answer`); that it does is up to the proxy's
//! configuration, which is shown in `deploy/forward-auth.md`. There is no place for dynamic metadata, for headers of the
//! response and for what is to be taken out of a query. A body is never read.

mod answer;
mod original;
#[cfg(test)]
mod tests;
pub mod trusted;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use self::answer::respond;
use self::original::{Door, Fault};
use self::trusted::TrustedForwarders;
use super::checks::{Arrival, Checks, before_any_rule};
use super::connections::{self, Bounds, Protocol, WhenFull};
use super::listener::{Acceptor, Peer};
use crate::check::{CheckRequest, DenialReason};
use crate::telemetry::metrics::ConnectionMetrics;
use crate::util::clock::Clock;

/// What proxies ask.
pub struct ForwardAuth {
    checks: Arc<Checks>,
    trusted: TrustedForwarders,
    clock: Arc<dyn Clock>,
    /// When a fault was last told of, in milliseconds.
    told: AtomicI64,
}

/// How it serves, apart from what it serves.
#[derive(Clone, Copy, Debug)]
pub struct ForwardAuthSettings {
    /// See [`Bounds::age`].
    pub max_connection_age: Option<Duration>,
    /// See [`Bounds::connections`].
    pub max_connections: usize,
}

/// A proxy without a pool has a connection for each request that it asks about.
const STREAMS_PER_CONNECTION: u32 = 1024;

/// Of a client's request and of what its proxies added; nginx takes 32 KiB of a client, Envoy 60.
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// Envoy takes 100 of a client.
const MAX_HEADERS: usize = 128;

/// The same fault is one of a configuration, mostly, and comes with every request.
const TELL_AGAIN_MILLIS: i64 = 60_000;

/// Told to who asks anywhere else.
const DOORS: &str =
    "not found; there are /auth/envoy/, /auth/nginx, /auth/caddy and /auth/traefik\n";

impl ForwardAuth {
    /// Answers with what `checks` decide, and believes what those who are `trusted` say of other requests.
    pub fn new(checks: Arc<Checks>, trusted: TrustedForwarders, clock: Arc<dyn Clock>) -> Self {
        Self { checks, trusted, clock, told: AtomicI64::new(i64::MIN) }
    }

    /// Serves until `shutdown`; then stops listening and finishes what it began.
    pub async fn serve(
        self,
        acceptor: Acceptor,
        settings: ForwardAuthSettings,
        metrics: ConnectionMetrics,
        shutdown: CancellationToken,
    ) {
        let bounds = Bounds {
            connections: settings.max_connections,
            when_full: WhenFull::RefuseNew,
            age: settings.max_connection_age,
            streams: STREAMS_PER_CONNECTION,
            header_bytes: MAX_HEADER_BYTES,
            http1_headers: MAX_HEADERS,
            protocol: Protocol::Http1AndHttp2,
        };
        connections::serve(acceptor, self.into_router(), bounds, metrics, shutdown).await;
    }

    /// What answers a request, which has the [`Peer`] of its connection among its extensions; without, nobody is believed.
    pub fn into_router(self) -> Router {
        Router::new().fallback(answer).with_state(Arc::new(self))
    }

    async fn check(&self, asked: &Parts, arrival: Arrival) -> Response {
        let Some(door) = Door::of(&asked.uri) else {
            return (StatusCode::NOT_FOUND, DOORS).into_response();
        };
        let request = self.original(asked, door);
        let arrival = arrival.with_deadline(door.deadline(&asked.headers));
        let arrival = arrival.of_call(door.path(), &asked.headers);
        let (decision, generation) = self.checks.decide(request.as_ref(), arrival).await;
        respond(&decision, request.as_ref(), door, generation.answers)
    }

    /// `None` when it is not known what is asked about, which is denied.
    fn original<'a>(&self, asked: &'a Parts, door: Door<'a>) -> Option<CheckRequest<'a>> {
        let peer = asked.extensions.get::<Peer>().copied();
        let is_trusted = peer.is_some_and(|peer| self.trusted.contains(peer));
        let original = match door.believes_headers() && !is_trusted {
            true => Err(Fault::NotTrusted),
            false => door.original(asked),
        };
        original.map_err(|fault| self.tell(&fault, asked.uri.path(), peer)).ok()
    }

    fn tell(&self, fault: &Fault, at: &str, peer: Option<Peer>) {
        let now = self.clock.now().as_millis();
        let last = self.told.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= TELL_AGAIN_MILLIS || now < last;
        let is_ours =
            || self.told.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
        if is_due && is_ours().is_ok() {
            // What else is in the path of a request to /auth/envoy/ is a client's.
            let at = if at.starts_with(original::ENVOY) { original::ENVOY } else { at };
            let by = peer.map(tracing::field::display);
            tracing::warn!(at, by, %fault, "denied without looking at a token; told once a minute");
        }
    }
}

async fn answer(State(service): State<Arc<ForwardAuth>>, request: Request<Body>) -> Response {
    let arrival = service.checks.arrived();
    // The body goes unread.
    let (asked, _) = request.into_parts();
    // The decision has its own guard; this one holds for everything around it: a connection that ends without an answer
    // is something that a proxy may be configured to let pass.
    let answer = AssertUnwindSafe(service.check(&asked, arrival)).catch_unwind();
    answer.await.unwrap_or_else(|_| {
        let answers = service.checks.current().answers;
        respond(&before_any_rule(DenialReason::Internal), None, Door::Nginx, answers)
    })
}

impl fmt::Debug for ForwardAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardAuth").field("trusted", &self.trusted).finish_non_exhaustive()
    }
}
