//! The service behind Envoy: answers every request with the headers that it saw and, as
//! `:path`, its target; and counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::http::{HeaderMap, Uri};
use axum::response::Json;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::envoy::loopback;

/// Serves until it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicU64>,
    _stop: DropGuard,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(loopback()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&requests);
        let router = Router::new().fallback(async move |target: Uri, headers: HeaderMap| {
            counted.fetch_add(1, Ordering::Relaxed);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            // Pairs and not an object: a header that arrives twice must be seen twice.
            let pairs =
                headers.iter().map(|(name, value)| [name.to_string(), text(value.as_bytes())]);
            let target = [":path".to_owned(), target.to_string()];
            Json(json!(pairs.chain([target]).collect::<Vec<_>>()))
        });
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        #[expect(clippy::disallowed_methods, reason = "ends with its guard")]
        let _detached = tokio::spawn(
            axum::serve(listener, router).with_graceful_shutdown(stopped).into_future(),
        );
        Self { address, requests, _stop: stop.drop_guard() }
    }

    /// How many requests have come this far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}
