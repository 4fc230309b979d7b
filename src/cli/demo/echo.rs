//! The demo's upstream: answers every request with what it saw of it, and counts.
//!
//! The counter is what shows that a denied request never got here. Started by [`super::world`] and [`super::circle`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Json;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The upstream. Clones share the counter.
#[derive(Clone, Debug, Default)]
pub(super) struct Echo {
    requests: Arc<AtomicU64>,
}

impl Echo {
    /// How many requests have arrived.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Serves until `shutdown`.
    pub(super) async fn run(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> io::Result<()> {
        // Bodies are never read, so there is nothing to bound: hyper bounds the headers.
        let router = Router::new().fallback(answer).with_state(self);
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await
    }
}

async fn answer(
    State(echo): State<Echo>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Json<Value> {
    echo.requests.fetch_add(1, Ordering::SeqCst);
    // Pairs and not an object: a header that arrives twice must be seen twice.
    let headers: Vec<[String; 2]> = headers
        .iter()
        .map(|(name, value)| {
            [name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()]
        })
        .collect();
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    Json(json!({"method": method.as_str(), "path": path, "headers": headers}))
}
