//! A collector in this process: OTLP over gRPC and over HTTP with protobuf, and Zipkin's JSON, at one port, with TLS or
//! without. It keeps what it was sent, and refuses what a test wants refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::kept;
use crate::service::eventually;

/// Collects until it is dropped.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    _stop: DropGuard,
}

/// What came so far.
#[derive(Default)]
struct Kept {
    spans: Vec<Received>,
    /// As they were sent.
    zipkin: Vec<serde_json::Value>,
    /// Of the exports, those that were refused among them.
    headers: Vec<HeaderMap>,
    /// Answers to the next exports, first the last one.
    answers: Vec<Outcome>,
}

/// A span, and what sent it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) resource: BTreeMap<String, String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) span: Span,
}

/// How an export ends that is not simply taken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// To be tried again: UNAVAILABLE, 503.
    Busy,
    /// Not to be tried again: INVALID_ARGUMENT, 400.
    Refused,
    /// Taken, but for one span.
    AllButOne,
}

impl Received {
    pub(crate) fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub(crate) fn span_id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub(crate) fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    pub(crate) async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let stop = CancellationToken::new();
        let grpc = Routes::new(TraceServiceServer::new(Grpc(Arc::clone(&kept))));
        let http = Router::new()
            .route("/v1/traces", post(take))
            .route("/api/v2/spans", post(take_zipkin))
            .with_state(Arc::clone(&kept));
        let router = grpc.into_axum_router().merge(http);
        let serving = serve(listener, tls, router, stop.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with its guard")]
        let _detached = tokio::spawn(serving);
        Self { address, kept, _stop: stop.drop_guard() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How the next exports end, one after the other.
    pub(crate) fn answer(&self, outcomes: &[Outcome]) {
        lock(&self.kept).answers = outcomes.iter().rev().copied().collect();
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Received> {
        lock(&self.kept).spans.clone()
    }

    /// All spans of Zipkin's so far.
    pub(crate) fn zipkin(&self) -> Vec<serde_json::Value> {
        lock(&self.kept).zipkin.clone()
    }

    /// The headers of all exports so far.
    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        lock(&self.kept).headers.clone()
    }

    /// The spans of `service` once there are so many.
    pub(crate) async fn spans_of(&self, service: &str, count: usize) -> Vec<Received> {
        let of = || {
            let mut spans = self.spans();
            spans.retain(|received| received.resource["service.name"] == service);
            spans
        };
        eventually(&format!("{count} spans of {service}"), async || of().len() >= count).await;
        of()
    }
}

async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: CancellationToken,
) {
    while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with its connection, or the guard")]
        let _detached = tokio::spawn(async move {
            let service = TowerToHyperService::new(router);
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = async {
                match tls {
                    None => {
                        let _broken = builder.serve_connection(TokioIo::new(stream), service).await;
                    }
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { return };
                        let _broken = builder.serve_connection(TokioIo::new(stream), service).await;
                    }
                }
            };
            stop.run_until_cancelled(connection).await;
        });
    }
}

struct Grpc(Arc<Mutex<Kept>>);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let headers = request.metadata().clone().into_headers();
        match keep(&self.0, headers, request.into_inner()) {
            Ok(answer) => Ok(Response::new(answer)),
            Err(Outcome::Busy) => Err(Status::unavailable("busy")),
            Err(_) => Err(Status::invalid_argument("not these\nforged line")),
        }
    }
}

async fn take(
    State(kept): State<Arc<Mutex<Kept>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Vec<u8>, StatusCode> {
    if headers["content-type"] != "application/x-protobuf" {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let sent = ExportTraceServiceRequest::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    match keep(&kept, headers, sent) {
        Ok(answer) => Ok(answer.encode_to_vec()),
        Err(Outcome::Busy) => Err(StatusCode::SERVICE_UNAVAILABLE),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

async fn take_zipkin(
    State(kept): State<Arc<Mutex<Kept>>>,
    Json(spans): Json<Vec<serde_json::Value>>,
) -> StatusCode {
    kept::page(&format!("{spans:?}"));
    lock(&kept).zipkin.extend(spans);
    StatusCode::ACCEPTED
}

fn keep(
    kept: &Mutex<Kept>,
    headers: HeaderMap,
    sent: ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, Outcome> {
    // A collector is somebody else: what it is sent must not have a token in it.
    kept::page(&format!("{sent:?}"));
    let mut kept = lock(kept);
    kept.headers.push(headers);
    let answer = kept.answers.pop();
    if let Some(refused @ (Outcome::Busy | Outcome::Refused)) = answer {
        return Err(refused);
    }
    for of_resource in sent.resource_spans {
        let resource = texts(of_resource.resource.unwrap_or_default().attributes);
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let attributes = texts(span.attributes.clone());
            kept.spans.push(Received { resource: resource.clone(), attributes, span });
        }
    }
    let partial_success = answer.map(|_| ExportTracePartialSuccess {
        rejected_spans: 1,
        error_message: "one was not wanted".to_owned(),
    });
    Ok(ExportTraceServiceResponse { partial_success })
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| match attribute.value?.value? {
        Value::StringValue(text) => Some((attribute.key, text)),
        Value::BoolValue(_)
        | Value::IntValue(_)
        | Value::DoubleValue(_)
        | Value::ArrayValue(_)
        | Value::KvlistValue(_)
        | Value::BytesValue(_)
        | Value::StringValueStrindex(_) => None,
    };
    attributes.into_iter().filter_map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
