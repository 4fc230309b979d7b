//! The admin port: probes, Prometheus' scrape, the status page, and a way to have keys read at once. No body is
//! looked at.
//!
//! | path | answers |
//! | --- | --- |
//! | `/livez` | 200 while the process runs |
//! | `/readyz` | 200 or 503, and what is pending, a line each |
//! | `/metrics` | Prometheus' text format |
//! | `/status` | [`super::status_page`] as JSON |
//! | `POST /keys/refresh` | 202 when a key source is being read now, 429 when the limiter lets none; which, as JSON |

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use tokio::sync::{Mutex, watch};
use tokio::task;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;

use super::connections::{self, Bounds, Protocol, WhenFull};
use super::generation::{Current, ReloadState};
use super::health::ReadyState;
use super::listener::Acceptor;
use super::status_page;
use super::tls::Tls;
use crate::keys::demand::Asked;
use crate::telemetry::metrics::ConnectionMetrics;
use crate::util::clock::Clock;

/// What the pages are made from.
#[derive(Clone, Debug)]
pub struct Admin {
    /// What is in force.
    pub current: Current,
    /// How the last attempt to read the configuration again went.
    pub reload: watch::Receiver<ReloadState>,
    /// For `/readyz` and `/status`.
    pub ready: watch::Receiver<ReadyState>,
    /// What listeners have certificates from.
    pub tls: Vec<Arc<Tls>>,
    /// For ages.
    pub clock: Arc<dyn Clock>,
}

/// Further requests wait.
const CONCURRENT_REQUESTS: usize = 32;

/// Whoever takes an answer more slowly than this loses it.
const CONNECTION_AGE: Duration = Duration::from_secs(10 * 60);
const STREAMS_PER_CONNECTION: u32 = 32;
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Told to who asks for anything else.
const PAGES: &str =
    "not found; there are /livez, /readyz, /metrics, /status and POST /keys/refresh\n";

/// Serves until `shutdown`, and finishes what it began. At most `max_connections` are open.
pub async fn serve(
    acceptor: Acceptor,
    admin: Admin,
    max_connections: usize,
    metrics: ConnectionMetrics,
    shutdown: CancellationToken,
) {
    let bounds = Bounds {
        connections: max_connections,
        // A probe must always get through: if it did not, the process would be ended for it.
        when_full: WhenFull::EndOldest,
        age: Some(CONNECTION_AGE),
        streams: STREAMS_PER_CONNECTION,
        header_bytes: MAX_HEADER_BYTES,
        http1_headers: MAX_HEADERS,
        protocol: Protocol::Http1AndHttp2,
    };
    connections::serve(acceptor, router(admin), bounds, metrics, shutdown).await;
}

pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(|pages: State<Pages>| written(pages, metrics)))
        .route("/status", get(|pages: State<Pages>| written(pages, status)))
        .route("/keys/refresh", post(refresh_keys))
        .fallback(|| async { (StatusCode::NOT_FOUND, PAGES) })
        .layer(GlobalConcurrencyLimitLayer::new(CONCURRENT_REQUESTS))
        .with_state(Pages { admin, turn: Arc::default() })
}

/// What the pages are made from, and whose turn it is to have a long one written.
#[derive(Clone)]
struct Pages {
    admin: Admin,
    turn: Arc<Mutex<()>>,
}

/// Has a page written that takes milliseconds where there are thousands of series or sources: not by a worker, whose
/// checks would wait for it, and one at a time, so that scrapes take no more than one processor from them.
async fn written(State(pages): State<Pages>, page: fn(&Admin) -> Response) -> Response {
    let Pages { admin, turn } = pages;
    let turn = turn.lock_owned().await;
    let writing = move || {
        let page = page(&admin);
        drop(turn);
        page
    };
    // It panicked, which the hook has logged, or the runtime is ending.
    let written = task::spawn_blocking(writing).await;
    written.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn readyz(State(Pages { admin, .. }): State<Pages>) -> Response {
    let state = admin.ready.borrow().clone();
    let (code, word) = match state.ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let lines: String = state.pending.iter().map(|line| format!("{line}\n")).collect();
    (code, format!("{word}\n{lines}")).into_response()
}

fn metrics(admin: &Admin) -> Response {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let generation = admin.current.load_full();
    generation.upkeep();
    (text, generation.metrics.render()).into_response()
}

fn status(admin: &Admin) -> Response {
    let ready = admin.ready.borrow().clone();
    let reload = admin.reload.borrow().clone();
    let (generation, now) = (admin.current.load_full(), admin.clock.now());
    let tls: Vec<_> = admin.tls.iter().map(|tls| tls.state()).collect();
    Json(status_page::page(&generation, &ready, &reload, &tls, now)).into_response()
}

async fn refresh_keys(State(Pages { admin, .. }): State<Pages>) -> Response {
    let now = admin.clock.now();
    let asked = admin.current.load().demand.ask_for_all(now);
    let whole_seconds =
        |wait: Duration| u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    let wait = |asked: &Asked| asked.limited_until.map(|until| whole_seconds(until.since(now)));
    let sources = asked.iter().map(|asked| {
        serde_json::json!({
            "issuer": asked.id.issuer.name(),
            "source": asked.id.source.name(),
            "refresh": if asked.limited_until.is_none() { "started" } else { "limited" },
            "retry_after_seconds": wait(asked),
        })
    });
    let body = Json(serde_json::json!({"sources": sources.collect::<Vec<_>>()}));
    // Nothing to be read is nothing to wait for either: keys that are part of the configuration.
    let is_limited = !asked.is_empty() && asked.iter().all(|asked| asked.limited_until.is_some());
    if !is_limited {
        return (StatusCode::ACCEPTED, body).into_response();
    }
    let soonest = asked.iter().filter_map(wait).min().unwrap_or_default();
    let retry_after = [(header::RETRY_AFTER, soonest.to_string())];
    (StatusCode::TOO_MANY_REQUESTS, retry_after, body).into_response()
}
