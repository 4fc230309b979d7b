//! The upstream of everybody: answers each request with what it saw of it.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Json};
use tokio::net::TcpListener;

/// In every answer of the upstream, and of nobody else: that is how a request is known to have passed.
pub(crate) const MARK: &str = "x-upstream";

/// Serves until the runtime ends.
#[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn answer(method: Method, uri: Uri, headers: HeaderMap) -> impl IntoResponse {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    let mut seen =
        vec![[":method".to_owned(), method.to_string()], [":path".to_owned(), path.to_owned()]];
    // Pairs and not an object: a header that arrives twice must be seen twice.
    seen.extend(headers.iter().map(|(name, value)| {
        let value = value.as_bytes().iter().map(|octet| char::from(*octet)).collect();
        [name.to_string(), value]
    }));
    ([(MARK, "1")], Json(seen))
}
