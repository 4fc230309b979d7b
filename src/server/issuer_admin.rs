//! The admin port of `claimgate issuer`: the pages that every admin port has (`super::admin_pages`), with the state of
//! keys and certificates as its status.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Json};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::admin_pages::{self, Page};
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
    let IssuerAdmin { metrics: counted, ready, status } = admin;
    let is_ready = ready.clone();
    let scraped = move || {
        counted.upkeep();
        counted.ready(is_ready.borrow().ready);
        admin_pages::scraped(counted.render())
    };
    let status = move || Json(status()).into_response();
    let pages: [(_, Page); 2] = [("/metrics", Arc::new(scraped)), ("/status", Arc::new(status))];
    let pages = admin_pages::router(ready, pages, Router::new(), PAGES);
    admin_pages::serve(acceptor, pages, max_connections, metrics, shutdown).await;
}
