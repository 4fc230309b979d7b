//! The gRPC server on its listener, with its limits. Which services it has, and when it ends, is told to it.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::ext_authz::{DESCRIPTORS, ExtAuthz};
use super::health::Health;

/// Envoy keeps one connection for each of its workers and puts all its checks on it.
const STREAMS_PER_CONNECTION: u32 = 4096;
/// A connection whose other end does not answer pings is closed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Of the call itself, not of the headers inside a `CheckRequest`.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;
const MAX_PENDING_RESETS: usize = 256;

/// Serves until `shutdown`; then refuses new streams (GOAWAY), finishes those in flight and returns.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    ext_authz: ExtAuthz,
    health: &Health,
    with_reflection: bool,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let reflection = || {
        // The descriptors come from our own build: if they could not be read, there would be no service.
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .build_v1()
            .ok()
    };
    Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .add_service(ext_authz.into_service())
        .add_service(health.service())
        .add_optional_service(with_reflection.then(reflection).flatten())
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown.cancelled_owned(),
        )
        .await
}
