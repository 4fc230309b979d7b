//! The gRPC server on its listeners: which services there are, and what its clients may cost.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use futures_util::TryFutureExt as _;
use futures_util::future::Either;
use http::{Request, Response};
use http_body_util::Either as OneOf;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::connections::{self, Answering, Arriving, Bounds, Protocol, WhenFull};
use super::ext_authz::{AnswerBody, CHECK_PATH, DESCRIPTORS, ExtAuthz};
use super::health::Health;
use super::listener::{Acceptor, Peer};
use crate::telemetry::metrics::ConnectionMetrics;

/// Envoy keeps one connection for each of its workers and puts its checks on it; when these are too few it makes another.
const STREAMS_PER_CONNECTION: u32 = 1024;

/// Of the call itself, not of the headers inside a `CheckRequest`.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;

/// How it serves, apart from what it serves.
#[derive(Clone, Copy, Debug)]
pub struct GrpcSettings {
    /// Whether clients may ask what services there are.
    pub reflection: bool,
    /// See [`Bounds::age`].
    pub max_connection_age: Option<Duration>,
    /// See [`Bounds::connections`].
    pub max_connections: usize,
}

/// Serves until `shutdown`; then stops listening, refuses new streams (GOAWAY), finishes those in flight and returns.
pub async fn serve(
    acceptor: Acceptor,
    ext_authz: ExtAuthz,
    health: &Health,
    settings: GrpcSettings,
    metrics: ConnectionMetrics,
    shutdown: CancellationToken,
) {
    let others = others(health, settings.reflection);
    let bounds = Bounds {
        connections: settings.max_connections,
        when_full: WhenFull::RefuseNew,
        age: settings.max_connection_age,
        streams: STREAMS_PER_CONNECTION,
        header_bytes: MAX_HEADER_LIST_BYTES,
        // There is no HTTP/1.1.
        http1_headers: 0,
        protocol: Protocol::Http2,
    };
    connections::serve(acceptor, Services { ext_authz, others }, bounds, metrics, shutdown).await;
}

/// What is asked for over gRPC.
struct Services {
    ext_authz: ExtAuthz,
    others: Router,
}

impl Answering for Services {
    type Body = OneOf<AnswerBody, axum::body::Body>;

    fn answer(
        &self,
        _: Peer,
        request: Request<Arriving>,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send + use<> {
        // Nearly every request is this one, and is spared the way through the others.
        if request.uri().path() == CHECK_PATH {
            let answer = self.ext_authz.call(request);
            Either::Left(answer.map_ok(|response| response.map(OneOf::Left)))
        } else {
            let others = self.others.clone().oneshot(request);
            Either::Right(others.map_ok(|response| response.map(OneOf::Right)))
        }
    }
}

/// Health checks, and reflection. What is neither is answered as not implemented.
fn others(health: &Health, with_reflection: bool) -> Router {
    let routes = Routes::new(health.service());
    // The descriptors come from our own build: if they could not be read, there would be no service.
    let reflection = with_reflection.then(|| {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .build_v1()
    });
    let routes = match reflection {
        Some(Ok(reflection)) => routes.add_service(reflection),
        Some(Err(_)) | None => routes,
    };
    routes.prepare().into_axum_router()
}
