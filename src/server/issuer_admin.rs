//! The admin port of `claimgate issuer`: probes, Prometheus' scrape and a status page, with the same paths as the
//! service's ([`super::admin`]).
//!
//! | path | answers |
//! | --- | --- |
//! | `/livez` | 200 while the process runs |
//! | `/readyz` | 200 or 503, and what is pending, a line each |
//! | `/metrics` | Prometheus' text format |
//! | `/status` | the state of keys and certificates, as JSON |

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::get;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;

use super::connections::{self, Bounds, Protocol, WhenFull};
use super::health::ReadyState;
use super::listener::Acceptor;
use crate::telemetry::metrics::{ConnectionMetrics, IssuerMetrics};

/// What the pages are made from.
#[derive(Clone)]
pub struct IssuerAdmin {
    /// For `/metrics`.
    pub metrics: Arc<IssuerMetrics>,
    /// For `/readyz`.
    pub ready: watch::Receiver<ReadyState>,
    /// Makes `/status`.
    pub status: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl fmt::Debug for IssuerAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerAdmin").finish_non_exhaustive()
    }
}

/// Further requests wait; a scrape takes milliseconds.
const CONCURRENT_REQUESTS: usize = 32;

/// As on the service's admin port.
const CONNECTION_AGE: Duration = Duration::from_secs(10 * 60);
const STREAMS_PER_CONNECTION: u32 = 32;
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Told to who asks for anything else.
const PAGES: &str = "not found; there are /livez, /readyz, /metrics and /status\n";

/// Serves until `shutdown`, and finishes what it began. At most `max_connections` are open.
pub async fn serve(
    acceptor: Acceptor,
    admin: IssuerAdmin,
    max_connections: usize,
    metrics: ConnectionMetrics,
    shutdown: CancellationToken,
) {
    let bounds = Bounds {
        connections: max_connections,
        when_full: WhenFull::EndOldest,
        age: Some(CONNECTION_AGE),
        streams: STREAMS_PER_CONNECTION,
        header_bytes: MAX_HEADER_BYTES,
        http1_headers: MAX_HEADERS,
        protocol: Protocol::Http1AndHttp2,
    };
    connections::serve(acceptor, router(admin), bounds, metrics, shutdown).await;
}

fn router(admin: IssuerAdmin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .fallback(|| async { (StatusCode::NOT_FOUND, PAGES) })
        .layer(GlobalConcurrencyLimitLayer::new(CONCURRENT_REQUESTS))
        .with_state(admin)
}

async fn readyz(State(admin): State<IssuerAdmin>) -> Response {
    let state = admin.ready.borrow().clone();
    let (code, word) = match state.ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let lines: String = state.pending.iter().map(|line| format!("{line}\n")).collect();
    (code, format!("{word}\n{lines}")).into_response()
}

async fn metrics(State(admin): State<IssuerAdmin>) -> Response {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    admin.metrics.upkeep();
    (text, admin.metrics.render()).into_response()
}

async fn status(State(admin): State<IssuerAdmin>) -> Response {
    Json((admin.status)()).into_response()
}
