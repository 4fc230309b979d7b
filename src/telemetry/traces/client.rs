//! The way to the collector: OTLP over gRPC or over HTTP with protobuf. One request, one answer, within a deadline; when to
//! try again is [`super::export`]'s to decide.

use std::fmt::Display;
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Uri};
use hyper::rt::Executor;
use hyper_util::rt::{TokioExecutor, TokioIo};
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
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tower::service_fn;

use super::settings::{HeaderFile, Protocol, TraceSettings};
use crate::util::escape::{escaped, innermost_cause};
use crate::util::file;

/// A collector, as it was reached once. What is in files is what was in them then. Its connection ends with it.
#[derive(Debug)]
pub(super) struct Client {
    way: Way,
    _running: DropGuard,
}

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

/// What was sent may be unacknowledged for so long. Else a connection over HTTP that was given up, and that the other side
/// neither reads from nor closes, would be there for good.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

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
        let end = CancellationToken::new();
        let way = match settings.protocol {
            Protocol::Grpc => {
                let client = grpc(settings, tls, Ending(end.clone()))?;
                let client = client.max_decoding_message_size(MAX_ANSWER_BYTES);
                Way::Grpc(client, MetadataMap::from_headers(headers))
            }
            Protocol::HttpProtobuf => Way::Http(http(tls)?, headers),
        };
        Ok(Self { way, _running: end.drop_guard() })
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
            match &mut self.way {
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
    executor: Ending,
) -> Result<TraceServiceClient<Channel>, ExportError> {
    let endpoint = Endpoint::from_shared(settings.endpoint.to_string()).map_err(transient)?;
    let endpoint = endpoint.user_agent(USER_AGENT).map_err(transient)?.executor(executor);
    let tls = tls.map(|mut config| {
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsConnector::from(Arc::new(config))
    });
    let connect = service_fn(move |to: Uri| connect(to, tls.clone()));
    Ok(TraceServiceClient::new(endpoint.connect_with_connector_lazy(connect)))
}

/// Runs what a channel has running beside its calls, until that is cancelled. By itself none of it ends while it connects,
/// or has something to send: a collector that accepts connections and says nothing would get one more at every attempt.
#[derive(Clone, Debug)]
struct Ending(CancellationToken);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Ending {
    fn execute(&self, task: F) {
        let Self(end) = self.clone();
        TokioExecutor::new().execute(async move { end.run_until_cancelled_owned(task).await });
    }
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
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::rustls::RootCertStore;
    use tokio_rustls::rustls::crypto::aws_lc_rs;

    use super::super::testing;
    use super::*;

    fn settings(endpoint: &str, protocol: Protocol, timeout: Duration) -> TraceSettings {
        TraceSettings { protocol, timeout, ..testing::settings(endpoint) }
    }

    /// What becomes of an export that is answered with `head`, and then `rest` without end.
    async fn answered(head: &[u8], rest: &[u8]) -> Result<Rejected, ExportError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let settings = settings(&endpoint, Protocol::HttpProtobuf, Duration::from_secs(60));
        let mut client = Client::prepare(&settings, &file::Turn::default()).await.unwrap();
        let server = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let _length = connection.read(&mut request).await.unwrap();
            connection.write_all(head).await.unwrap();
            while !rest.is_empty() && connection.write_all(rest).await.is_ok() {}
            std::future::pending::<()>().await;
        };
        let spans = ExportTraceServiceRequest::default();
        tokio::select! {
            () = server => unreachable!("it never ends"),
            outcome = client.export(&settings, &spans) => outcome,
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut_and_one_from_elsewhere_not_asked_for() {
        let headers = answered(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n").await;
        assert!(matches!(headers, Err(ExportError::Transient(_))), "{headers:?}");
        let line = answered(b"HTTP/1.1 200 OK\r\na: ", b"aaaaaaaa").await;
        assert!(matches!(line, Err(ExportError::Transient(_))), "{line:?}");
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunks = [b"1000\r\n", &[b'a'; 0x1000][..], b"\r\n"].concat();
        assert_eq!(answered(chunked, &chunks).await, Ok(Rejected::default()));
        let body = b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551000\r\n\r\n";
        assert_eq!(answered(body, &[0; 1024]).await, Ok(Rejected::default()));
        let moved = b"HTTP/1.1 307 Elsewhere\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n";
        let refused = ExportError::Refused("answered 307 Temporary Redirect".to_owned());
        assert_eq!(answered(moved, b"").await, Err(refused));
    }

    #[tokio::test]
    async fn a_count_that_cannot_be_is_none() {
        for (said, spans) in [(3, 3), (-1, 0), (i64::MIN, 0), (i64::MAX, i64::MAX.unsigned_abs())] {
            let partial = ExportTracePartialSuccess {
                rejected_spans: said,
                error_message: "\u{1b}[2Jno".to_owned(),
            };
            let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
            let content = answer.encode_to_vec();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", content.len());
            let outcome = answered(&[head.as_bytes(), &content].concat(), b"").await;
            let why = "\\u{1b}[2Jno".to_owned();
            assert_eq!(outcome, Ok(Rejected { spans, why }), "{said}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_hangs_ends_with_the_client_that_made_it() {
        for (scheme, protocol) in [
            ("https", Protocol::Grpc),
            ("http", Protocol::Grpc),
            ("https", Protocol::HttpProtobuf),
            ("http", Protocol::HttpProtobuf),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = format!("{scheme}://{}", listener.local_addr().unwrap());
            let settings = settings(&endpoint, protocol, Duration::from_millis(50));
            let tls = (scheme == "https").then(|| {
                ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth()
            });
            let end = CancellationToken::new();
            let way = match protocol {
                Protocol::Grpc => Way::Grpc(
                    grpc(&settings, tls, Ending(end.clone())).unwrap(),
                    MetadataMap::new(),
                ),
                Protocol::HttpProtobuf => Way::Http(http(tls).unwrap(), HeaderMap::new()),
            };
            let mut client = Client { way, _running: end.drop_guard() };
            let spans = ExportTraceServiceRequest::default();
            let outcome = client.export(&settings, &spans).await;
            assert!(matches!(outcome, Err(ExportError::Transient(_))), "{outcome:?}");
            let (mut connection, _) = listener.accept().await.unwrap();
            drop(client);
            let mut received = vec![];
            let ended =
                time::timeout(Duration::from_secs(20), connection.read_to_end(&mut received));
            assert!(ended.await.is_ok(), "{endpoint} over {protocol:?} is still connected");
        }
    }
}
