//! The gRPC server on its listeners, with its limits. Which services it has, and when it ends, is told to it.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio_stream::{once, pending};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use super::ext_authz::{DESCRIPTORS, ExtAuthz};
use super::health::Health;
use super::listener::{Acceptor, Connection};

/// Envoy keeps one connection for each of its workers and puts all its checks on it.
const STREAMS_PER_CONNECTION: u32 = 4096;
/// A connection whose other end does not answer pings is closed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Of the call itself, not of the headers inside a `CheckRequest`.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;
const MAX_PENDING_RESETS: usize = 256;

/// How it serves, apart from what it serves.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcSettings {
    /// Whether clients may ask what services there are.
    pub reflection: bool,
    /// A connection as old as this, give or take a tenth, is ended in good order (GOAWAY), so that the client's next
    /// one may go to another instance. `None`: connections stay as long as the client likes.
    pub max_connection_age: Option<Duration>,
}

/// Serves until `shutdown`; then stops listening, refuses new streams (GOAWAY), finishes those in flight and returns.
///
/// # Errors
/// When a connection cannot be set up, which takes a mistake of ours: what clients do ends only their connection.
pub async fn serve(
    mut acceptor: Acceptor,
    ext_authz: ExtAuthz,
    health: &Health,
    settings: GrpcSettings,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let server = Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS));
    let routes = routes(ext_authz, health, settings.reflection);
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            connection = acceptor.accept() => {
                let server = match settings.max_connection_age {
                    Some(age) => server.clone().max_connection_age(jittered(age)),
                    None => server.clone(),
                };
                connections.push(serve_one(server, routes.clone(), connection, &shutdown));
            }
            Some(ended) = connections.next() => ended?,
            () = shutdown.cancelled() => break,
        }
    }
    drop(acceptor);
    while let Some(ended) = connections.next().await {
        ended?;
    }
    Ok(())
}

fn routes(ext_authz: ExtAuthz, health: &Health, with_reflection: bool) -> Routes {
    let routes = Routes::new(ext_authz.into_service()).add_service(health.service());
    // The descriptors come from our own build: if they could not be read, there would be no service.
    let reflection = with_reflection.then(|| {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .build_v1()
    });
    match reflection {
        Some(Ok(reflection)) => routes.add_service(reflection).prepare(),
        Some(Err(_)) | None => routes.prepare(),
    }
}

/// A server for each connection, since tonic has one age for all connections of a server: those that were opened at
/// the same time, after a restart of ours, would all end at the same time, again and again.
async fn serve_one(
    mut server: Server,
    routes: Routes,
    connection: Connection,
    shutdown: &CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let over = shutdown.child_token();
    let connection = connection.telling(over.clone().drop_guard());
    let only = once(Ok::<_, std::io::Error>(connection)).chain(pending());
    server.add_routes(routes).serve_with_incoming_shutdown(only, over.cancelled_owned()).await
}

/// Nine to eleven tenths.
fn jittered(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * fastrand::f64())
}
