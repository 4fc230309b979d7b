//! The admin port: probes, Prometheus' scrape and the status page. Reads, never changes; no body is looked at.
//!
//! | path | answers |
//! | --- | --- |
//! | `/livez` | 200 while the process runs |
//! | `/readyz` | 200 or 503, and what is pending, a line each |
//! | `/metrics` | Prometheus' text format |
//! | `/status` | [`super::status_page`] as JSON |

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;

use super::health::ReadyState;
use super::status_page;
use crate::keys::status::StatusBoard;
use crate::telemetry::metrics::Metrics;
use crate::token::Issuer;
use crate::util::clock::Clock;

/// What the pages are made from.
#[derive(Clone, Debug)]
pub struct Admin {
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For `/status`.
    pub board: Arc<StatusBoard>,
    /// For `/status`.
    pub issuers: Arc<[Issuer]>,
    /// `production` or `development`.
    pub profile: &'static str,
    /// For `/readyz` and `/status`.
    pub ready: watch::Receiver<ReadyState>,
    /// For ages.
    pub clock: Arc<dyn Clock>,
}

/// Further requests wait; a scrape takes milliseconds.
const CONCURRENT_REQUESTS: usize = 32;

/// Told to who asks for anything else.
const PAGES: &str = "not found; there are /livez, /readyz, /metrics and /status\n";

/// Serves until `shutdown`, and finishes what it began.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    admin: Admin,
    shutdown: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, router(admin)).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .fallback(|| async { (StatusCode::NOT_FOUND, PAGES) })
        .layer(GlobalConcurrencyLimitLayer::new(CONCURRENT_REQUESTS))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let state = admin.ready.borrow().clone();
    let (code, word) = match state.ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let lines: String = state.pending.iter().map(|line| format!("{line}\n")).collect();
    (code, format!("{word}\n{lines}")).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (text, admin.metrics.render()).into_response()
}

async fn status(State(admin): State<Admin>) -> Response {
    let ready = admin.ready.borrow().clone();
    let entries = admin.board.entries();
    let now = admin.clock.now();
    Json(status_page::page(admin.profile, &ready, &admin.issuers, &entries, now)).into_response()
}
