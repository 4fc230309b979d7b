//! The way to the collector: OTLP over gRPC or over HTTP with protobuf. One request, one answer, within a deadline; when to
//! try again is [`super::export`]'s to decide.

use std::fmt::Display;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Uri};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tokio::io;
use tokio::net::TcpStream;
use tokio::time;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tower::service_fn;

use super::settings::{HeaderFile, Protocol, TraceSettings};
use crate::util::escape::{escaped, innermost_cause};
use crate::util::file;

/// A collector, as it was reached once. What is in files is what was in them then.
#[derive(Debug)]
pub(super) struct Client(Way);

#[derive(Debug)]
enum Way {
    Grpc(TraceServiceClient<Channel>, MetadataMap),
    Http(reqwest::Client, HeaderMap),
}

/// Spans were not taken. The text names what happened; what a server wrote is escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExportError {
    /// Another attempt may do.
    #[error("{0}")]
    Transient(String),
    /// The collector does not want these, whenever they come.
    #[error("{0}")]
    Refused(String),
}

/// What the collector did not take of what it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    /// So many spans.
    pub(super) spans: u64,
    /// Its words.
    pub(super) why: String,
}

/// Longer answers are not read: they say nothing that we want to know.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Longer values of headers are refused, as servers refuse them.
const MAX_HEADER_BYTES: usize = 8 * 1024;

impl Client {
    /// Reads the files, and is ready to connect.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub(super) async fn prepare(
        settings: &TraceSettings,
        turn: &file::Turn,
    ) -> Result<Self, ExportError> {
        let headers = headers(settings, turn).await?;
        let tls = match settings.endpoint.scheme() {
            "https" => {
                let loaded = settings.tls.load(turn, settings.accepts_readable_secrets).await;
                Some(loaded.map_err(transient)?)
            }
            _ => None,
        };
        Ok(Self(match settings.protocol {
            Protocol::Grpc => Way::Grpc(
                grpc(settings, tls)?.max_decoding_message_size(MAX_ANSWER_BYTES),
                MetadataMap::from_headers(headers),
            ),
            Protocol::HttpProtobuf => Way::Http(http(tls)?, headers),
        }))
    }

    /// Sends `spans`.
    ///
    /// # Errors
    /// They were not taken, or it is not known whether they were.
    pub(super) async fn export(
        &mut self,
        settings: &TraceSettings,
        spans: &ExportTraceServiceRequest,
    ) -> Result<Rejected, ExportError> {
        let sent = async {
            match &mut self.0 {
                Way::Grpc(client, metadata) => {
                    let mut request = Request::new(spans.clone());
                    *request.metadata_mut() = metadata.clone();
                    let answer = client.export(request).await;
                    answer.map(|answer| answer.into_inner()).map_err(|status| refusal(&status))
                }
                Way::Http(client, headers) => post(client, settings, headers, spans).await,
            }
        };
        let answer = time::timeout(settings.timeout, sent).await.unwrap_or_else(|_| {
            Err(transient(format!("no whole answer within {:?}", settings.timeout)))
        })?;
        Ok(answer.partial_success.map_or_else(Rejected::default, |partial| Rejected {
            spans: u64::try_from(partial.rejected_spans).unwrap_or(0),
            why: shown(&partial.error_message),
        }))
    }
}

fn grpc(
    settings: &TraceSettings,
    tls: Option<ClientConfig>,
) -> Result<TraceServiceClient<Channel>, ExportError> {
    let endpoint = Endpoint::from_shared(settings.endpoint.to_string()).map_err(transient)?;
    let endpoint = endpoint.user_agent(USER_AGENT).map_err(transient)?;
    let tls = tls.map(|mut config| {
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsConnector::from(Arc::new(config))
    });
    let connect = service_fn(move |to: Uri| connect(to, tls.clone()));
    Ok(TraceServiceClient::new(endpoint.connect_with_connector_lazy(connect)))
}

/// TCP, or TLS over it.
async fn connect(to: Uri, tls: Option<TlsConnector>) -> io::Result<TokioIo<Stream>> {
    let host = to.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let usual = if tls.is_some() { 443 } else { 80 };
    let port = to.port_u16().unwrap_or(usual);
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(TokioIo::new(Box::new(stream))) };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    Ok(TokioIo::new(Box::new(tls.connect(name, stream).await?)))
}

trait Duplex: io::AsyncRead + io::AsyncWrite + Send + Unpin {}

impl<S: io::AsyncRead + io::AsyncWrite + Send + Unpin> Duplex for S {}

type Stream = Box<dyn Duplex>;

fn http(tls: Option<ClientConfig>) -> Result<reqwest::Client, ExportError> {
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        // Proxy variables of the environment are not configuration.
        .no_proxy();
    let builder = match tls {
        Some(config) => builder.tls_backend_preconfigured(config),
        None => builder.tls_certs_only([]),
    };
    builder.build().map_err(transient)
}

async fn post(
    client: &reqwest::Client,
    settings: &TraceSettings,
    headers: &HeaderMap,
    spans: &ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, ExportError> {
    let request = client
        .post(settings.endpoint.clone())
        .headers(headers.clone())
        .header(http::header::CONTENT_TYPE, "application/x-protobuf")
        .body(spans.encode_to_vec());
    let mut answer = request.send().await.map_err(|error| transient(innermost(&error)))?;
    let status = answer.status();
    let mut content = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| transient(innermost(&error)))? {
        if content.len() + piece.len() > MAX_ANSWER_BYTES {
            content.clear();
            break;
        }
        content.extend_from_slice(&piece);
    }
    match status.as_u16() {
        // What cannot be read was a success all the same.
        200..300 => Ok(ExportTraceServiceResponse::decode(content.as_slice()).unwrap_or_default()),
        // The ones that OTLP allows to try again.
        429 | 502 | 503 | 504 => Err(transient(format!("answered {status}"))),
        _ => Err(ExportError::Refused(format!("answered {status}"))),
    }
}

const USER_AGENT: &str = concat!("claimgate/", env!("CARGO_PKG_VERSION"));

/// What gRPC's status means to OTLP.
fn refusal(status: &Status) -> ExportError {
    let why = format!("{:?}: {}", status.code(), shown(status.message()));
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        // How the library says that the connection broke.
        | Code::Unknown => ExportError::Transient(why),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => ExportError::Refused(why),
    }
}

async fn headers(settings: &TraceSettings, turn: &file::Turn) -> Result<HeaderMap, ExportError> {
    let mut headers = HeaderMap::with_capacity(settings.headers.len());
    for HeaderFile { name, file: path } in &settings.headers {
        let wrong = |what: &dyn Display| {
            transient(format!("the header {name} in {}: {what}", path.display()))
        };
        let accepts_readable = settings.accepts_readable_secrets;
        let read = file::secret(turn, path, MAX_HEADER_BYTES, settings.timeout, accepts_readable);
        let content = read.await.map_err(|error| wrong(&error))?;
        let value = content.trim_ascii();
        let value = Some(value).filter(|value| !value.is_empty());
        let value = value.and_then(|value| HeaderValue::from_bytes(value).ok());
        let mut value = value.ok_or_else(|| wrong(&"it holds no value of a header"))?;
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    Ok(headers)
}

fn transient(error: impl Display) -> ExportError {
    ExportError::Transient(error.to_string())
}

/// What happened, without the URL around it.
fn innermost(error: &reqwest::Error) -> String {
    innermost_cause(error).unwrap_or_else(|| "the request failed".to_owned())
}

/// A server's words, on one line.
fn shown(text: &str) -> String {
    escaped(text.trim(), 160)
}
