//! The same request over HTTP/2, without TLS: where Envoy puts several headers of one name together in another way.

use std::net::SocketAddr;

use axum::http::{self, HeaderName, HeaderValue};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Answer, Request};
use crate::service::PATIENCE;

/// `None` for what HTTP/2 has no form for, or no client would send.
pub(crate) fn translated(request: &Request) -> Option<http::Request<()>> {
    let target = format!("http://api.example.com{}", request.target);
    let mut builder = http::Request::builder().method(request.method.as_str()).uri(&target);
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        // Of the connection, which HTTP/2 has in another form (RFC 9113 §8.2.2).
        if name == "connection" || name == "te" {
            return None;
        }
        builder = builder.header(name, HeaderValue::from_bytes(value).ok()?);
    }
    let translated = builder.body(()).ok()?;
    // A fragment would have been cut off.
    let kept = translated.uri().path_and_query().map(|kept| kept.as_str() == request.target);
    kept.unwrap_or(false).then_some(translated)
}

pub(crate) async fn send(address: SocketAddr, request: &Request) -> Answer {
    let exchange = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "it ends with the connection")]
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = translated(request).expect("tried before");
        let (answer, _) = client.send_request(request, true).unwrap();
        let (head, mut stream) = answer.await.unwrap().into_parts();
        let mut body = Vec::new();
        while let Some(chunk) = stream.data().await {
            let chunk = chunk.unwrap();
            stream.flow_control().release_capacity(chunk.len()).unwrap();
            body.extend_from_slice(&chunk);
        }
        connection.abort();
        let headers = head.headers.iter().map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: head.status.as_u16(), headers: headers.collect(), body }
    };
    timeout(PATIENCE, exchange).await.expect("an answer")
}
