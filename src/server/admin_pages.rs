//! What every admin port has: probes, Prometheus' scrape and a status page, and what its clients may cost. [`super::admin`]
//! and [`super::issuer_admin`] say what is on the pages.
//!
//! | path | answers |
//! | --- | --- |
//! | `/livez` | 200 while the process runs |
//! | `/readyz` | 200 or 503, and what is pending, a line each |
//! | `/metrics` | Prometheus' text format |
//! | `/status` | JSON |

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{Mutex, watch};
use tokio::task;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;

use super::connections::{self, Bounds, Protocol, WhenFull};
use super::health::ReadyState;
use super::listener::Acceptor;
use crate::telemetry::metrics::ConnectionMetrics;

/// Further requests wait.
const CONCURRENT_REQUESTS: usize = 32;

/// Whoever takes an answer more slowly than this loses it.
const CONNECTION_AGE: Duration = Duration::from_secs(10 * 60);
const STREAMS_PER_CONNECTION: u32 = 32;
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Writes a page.
pub(super) type Page = Arc<dyn Fn() -> Response + Send + Sync>;

/// The probes, and `pages` that are written one at a time, each with its path, with `others` that only this port has;
/// `not_found` is told to who asks for anything else.
pub(super) fn router(
    ready: watch::Receiver<ReadyState>,
    pages: impl IntoIterator<Item = (&'static str, Page)>,
    others: Router,
    not_found: &'static str,
) -> Router {
    let turn = Arc::default();
    let written = |page: Page| {
        let turn = Arc::clone(&turn);
        get(move || written(Arc::clone(&page), turn))
    };
    let probes = Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(move || async move { readyz(&ready.borrow()) }));
    pages
        .into_iter()
        .fold(probes, |router, (path, page)| router.route(path, written(page)))
        .merge(others)
        .fallback(move || async move { (StatusCode::NOT_FOUND, not_found) })
        .layer(GlobalConcurrencyLimitLayer::new(CONCURRENT_REQUESTS))
}

/// Serves until `shutdown`, and finishes what it began. At most `max_connections` are open.
pub(super) async fn serve(
    acceptor: Acceptor,
    pages: Router,
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
    connections::serve(acceptor, pages, bounds, metrics, shutdown).await;
}

/// The page that Prometheus reads.
pub(super) fn scraped(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Has a page written that takes milliseconds where there are thousands of series or sources: not by a worker, whose
/// requests would wait for it, and one at a time, so that scrapes take no more than one processor from them.
async fn written(page: Page, turn: Arc<Mutex<()>>) -> Response {
    let turn = turn.lock_owned().await;
    let writing = move || {
        let page = page();
        drop(turn);
        page
    };
    // It panicked, which the hook has logged, or the runtime is ending.
    let written = task::spawn_blocking(writing).await;
    written.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn readyz(state: &ReadyState) -> Response {
    let (code, word) = match state.ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let lines: String = state.pending.iter().map(|line| format!("{line}\n")).collect();
    (code, format!("{word}\n{lines}")).into_response()
}
