//! A claimgate service in this process, on ports of its own, with a client for each: what every integration test starts.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use claimgate::app::{App, AppError, Options};
use claimgate::config::Config;
use claimgate::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use claimgate::proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use claimgate::proto::envoy::service::auth::v3::check_response::HttpResponse;
use claimgate::proto::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use claimgate::util::clock::Clock;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::{kept, logs};

/// A running service.
pub(crate) struct TestService {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) channel: Channel,
    pub(crate) shutdown: CancellationToken,
    running: JoinHandle<Result<(), AppError>>,
}

/// Pages of the admin port.
const OPERATORS: [&str; 5] = ["/", "/livez", "/metrics", "/readyz", "/status"];

/// Nothing that is waited for takes this long unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl TestService {
    /// Starts with this configuration, to which the ports are added.
    pub(crate) async fn start(config: Value) -> Self {
        Self::start_with(config, Options::default()).await
    }

    pub(crate) async fn start_at(config: Value, clock: Arc<dyn Clock>) -> Self {
        Self::start_with(config, Options { clock, ..Options::default() }).await
    }

    pub(crate) async fn start_with(config: Value, options: Options) -> Self {
        Self::run(configuration(config, 0), options).await
    }

    /// Starts with exactly this configuration.
    pub(crate) async fn run(config: Config, mut options: Options) -> Self {
        logs::keep();
        if kept::is_on() {
            // So that requests which are allowed are in the log as well.
            options.log_sample = options.log_sample.min(10);
        }
        let bound = App::bind_with(config, options).await.unwrap();
        let (grpc, http, admin) = (bound.grpc_addr(), bound.http_addr(), bound.admin_addr());
        let shutdown = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "the test stands where the process does")]
        let running = tokio::spawn(bound.run(shutdown.clone()));
        let channel = connect(grpc);
        Self { grpc, http, admin, channel, shutdown, running }
    }

    /// Sends a request of any form.
    pub(crate) async fn check(&self, request: CheckRequest) -> CheckResponse {
        check(self.channel.clone(), request).await
    }

    /// Asks as Envoy does for a GET of `path`.
    pub(crate) async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        Answer::of(self.check(request("GET", path, headers)).await)
    }

    /// Asks with a bearer token.
    pub(crate) async fn ask_with(&self, token: &str) -> Answer {
        self.ask("/orders", &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// Status and body of a page of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        send(self.admin, "GET", path, &[], "").await
    }

    /// Status and body of a POST without a body to the admin port.
    pub(crate) async fn post(&self, path: &str) -> (u16, String) {
        send(self.admin, "POST", path, &[], "").await
    }

    /// The first source of the first issuer on `/status`.
    pub(crate) async fn source_status(&self) -> Value {
        let page: Value = serde_json::from_str(&self.admin("/status").await.1).unwrap();
        page["issuers"][0]["sources"][0].clone()
    }

    /// The series of `/metrics` whose name and labels hold all of `parts`, added up.
    pub(crate) async fn metric(&self, parts: &[&str]) -> f64 {
        metric(self.admin, parts).await
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn until_ready(&self) {
        eventually("ready", async || self.admin("/readyz").await.0 == 200).await;
    }

    /// Drains, and returns what `run` returned.
    pub(crate) async fn stop(self) -> Result<(), AppError> {
        self.shutdown.cancel();
        drop(self.channel);
        timeout(PATIENCE, self.running).await.expect("it ends").expect("it does not panic")
    }
}

/// An answer, reduced to what Envoy acts on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allowed { set: Vec<(String, String)>, remove: Vec<String> },
    Denied { status: i32, reason: String },
}

impl Answer {
    pub(crate) fn of(response: CheckResponse) -> Self {
        let code = response.status.map_or(0, |status| status.code);
        match response.http_response {
            Some(HttpResponse::OkResponse(ok)) if code == 0 => {
                let set = ok.headers.into_iter().filter_map(|option| option.header);
                let set = set.map(|header| (header.key, header.value)).collect();
                Self::Allowed { set, remove: ok.headers_to_remove }
            }
            Some(HttpResponse::DeniedResponse(denied)) if code != 0 => {
                let mut headers = denied.headers.into_iter().filter_map(|option| option.header);
                let reason = headers.find(|header| header.key == "x-ext-auth-reason");
                Self::Denied {
                    status: denied.status.map_or(0, |status| status.code),
                    reason: reason.map(|header| header.value).unwrap_or_default(),
                }
            }
            other => panic!("code {code} with {other:?}: Envoy reads that in its own way"),
        }
    }

    pub(crate) fn denied(status: i32, reason: &str) -> Self {
        Self::Denied { status, reason: reason.to_owned() }
    }

    pub(crate) fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    /// The word in the metric.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Allowed { .. } => "none",
            Self::Denied { reason, .. } => reason,
        }
    }
}

/// `json` as a configuration, which YAML is a superset of; claimgate listens on loopback, gRPC on `port`.
pub(crate) fn configuration(mut json: Value, port: u16) -> Config {
    json["listen"] = serde_json::json!({
        "grpc": format!("127.0.0.1:{port}"), "admin": "127.0.0.1:0",
    });
    Config::from_yaml(&json.to_string(), Path::new(".")).unwrap()
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> CheckRequest {
    let http = HttpRequest {
        method: method.to_owned(),
        host: "orders.example.com".to_owned(),
        path: path.to_owned(),
        headers: headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        ..HttpRequest::default()
    };
    let request = Some(Request { http: Some(http), ..Request::default() });
    CheckRequest { attributes: Some(AttributeContext { request, ..AttributeContext::default() }) }
}

/// Waits for a condition, within bounds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never {what}"));
}

/// The series of `/metrics` on this admin port whose name and labels hold all of `parts`, added up.
pub(crate) async fn metric(admin: SocketAddr, parts: &[&str]) -> f64 {
    let (_, text) = send(admin, "GET", "/metrics", &[], "").await;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    // With the space behind it: the whole of a name that has no labels is one with it.
    let samples = samples.filter_map(|line| line.split_at_checked(line.rfind(' ')? + 1));
    let wanted = samples.filter(|(series, _)| parts.iter().all(|part| series.contains(part)));
    wanted.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// A connection of its own.
pub(crate) fn connect(grpc: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{grpc}")).unwrap().connect_lazy()
}

/// Sends a request of any form, from wherever.
pub(crate) async fn check(channel: Channel, request: CheckRequest) -> CheckResponse {
    keep_tokens(&request);
    let mut client = AuthorizationClient::new(channel);
    let answer = client.check(request).await.expect("a denial is no gRPC error").into_inner();
    if let Some(HttpResponse::DeniedResponse(denied)) = &answer.http_response {
        kept::page(&format!("{denied:?}"));
    }
    answer
}

fn keep_tokens(request: &CheckRequest) {
    let attributes = request.attributes.as_ref();
    let http = attributes.and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
    let Some(http) = http.filter(|_| kept::is_on()) else { return };
    let raw = http.header_map.iter().flat_map(|map| &map.headers);
    for header in raw {
        kept::sent(&header.value);
        kept::sent(&String::from_utf8_lossy(&header.raw_value));
    }
    for value in http.headers.values().chain([&http.path, &http.method, &http.host, &http.query]) {
        kept::sent(value);
    }
}

/// Status and body of the answer to one HTTP request.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len(),
    );
    kept::sent(&request);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    // An answer of 200 to others than operators is for whoever may have it: a new token, verified claims.
    if status >= 400 || OPERATORS.contains(&target) {
        kept::page(&answer);
    }
    (status, body.to_owned())
}
