//! Spans as a collector sees them: which checks have one, where it stands, what is in it, and what happens while the
//! collector does not take any.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use claimgate::app::{ConfigFile, Options};
use claimgate::config::Config;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

use crate::answers::{claims, key};
use crate::authority::Authority;
use crate::collector::{Collector, Outcome, Received};
use crate::kept::mint;
use crate::logs;
use crate::provider::inline;
use crate::service::{TestService, eventually, request, send};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn sampled() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

/// A service that accepts the tokens that `token` makes, and exports as `traces` say.
struct World {
    service: TestService,
    token: String,
}

impl World {
    async fn start(traces: Value) -> Self {
        Self::start_as(traces, json!("development")).await
    }

    async fn start_as(traces: Value, profile: Value) -> Self {
        logs::collect();
        let key = key();
        let mut config = inline(&key);
        config["traces"] = traces;
        config["profile"] = profile;
        if config["profile"] == "production" {
            config["issuers"][0].as_object_mut().unwrap().remove("refresh");
        }
        let token = mint(&key, &claims(&json!({}))).unwrap();
        Self { service: TestService::start(config).await, token }
    }

    /// Asks for `path` with a good token, with this metadata on the call.
    async fn call(&self, path: &str, metadata: &[(&'static str, &str)], headers: &[(&str, &str)]) {
        let bearer = format!("Bearer {}", self.token);
        let all = [&[("authorization", bearer.as_str())], headers].concat();
        self.call_with(request("GET", path, &all), metadata).await;
    }

    async fn call_with(
        &self,
        asked: claimgate::proto::envoy::service::auth::v3::CheckRequest,
        metadata: &[(&'static str, &str)],
    ) {
        use claimgate::proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
        let mut asked = tonic::Request::new(asked);
        for (name, value) in metadata {
            asked.metadata_mut().insert(*name, value.parse().unwrap());
        }
        AuthorizationClient::new(self.service.channel.clone()).check(asked).await.unwrap();
    }

    async fn spans(&self, result: &str) -> f64 {
        self.service.metric(&["claimgate_spans_total", &format!("\"{result}\"")]).await
    }
}

async fn one(collector: &Collector) -> Received {
    let mut spans = collector.spans_of("claimgate", 1).await;
    assert_eq!(spans.len(), 1, "{spans:?}");
    spans.remove(0)
}

#[tokio::test]
async fn a_sampled_check_is_a_span_of_the_proxys_trace() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start().await;
        let traces = json!({
            "endpoint": collector.url(), "protocol": protocol,
            "resource": [{"name": "deployment.environment.name", "value": "test"}],
        });
        let world = World::start(traces).await;
        let metadata = [("traceparent", &*sampled()), ("tracestate", "vendor=1")];
        let id = [("x-request-id", "6f1c")];
        world.call("/orders?secret=1", &metadata, &id).await;
        let received = one(&collector).await;
        assert_eq!((received.trace_id(), received.parent()), (TRACE.into(), PARENT.into()));
        assert_ne!(received.span_id(), PARENT);
        assert_eq!(received.span.trace_state, "vendor=1");
        assert_eq!(received.span.name, "envoy.service.auth.v3.Authorization/Check");
        assert_eq!(received.span.kind, 2, "of a server");
        assert!(received.span.end_time_unix_nano >= received.span.start_time_unix_nano);
        assert_eq!(received.span.status, None);
        let told: Vec<_> = received
            .attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let expected = [
            ("claimgate.algorithm", "EdDSA"),
            ("claimgate.decision", "allow"),
            ("claimgate.issuer", "accounts"),
            ("claimgate.kid", received.attribute("claimgate.kid")),
            ("claimgate.request_id", "6f1c"),
            ("claimgate.rule", "rest"),
            ("http.request.method", "GET"),
            ("url.path", "/orders"),
        ];
        assert_eq!(told, expected);
        assert!(!received.attribute("claimgate.kid").is_empty());
        assert_eq!(received.resource["deployment.environment.name"], "test");
        assert_eq!(received.resource["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(received.resource["service.instance.id"].len(), 32);
        eventually("counted", async || world.spans("exported").await == 1.0).await;
        world.service.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_looks_like_a_token_is_in_no_part_of_a_span() {
    let collector = Collector::start().await;
    let world = World::start(json!({"endpoint": collector.url()})).await;
    let token = world.token.clone();
    let state = format!("vendor={}", token.get(..200).unwrap());
    let metadata = [("traceparent", &*sampled()), ("tracestate", state.as_str())];
    world.call(&format!("/a/{token}"), &metadata, &[("x-request-id", &token)]).await;
    let received = one(&collector).await;
    assert_eq!(received.trace_id(), TRACE);
    assert_eq!(received.attribute("url.path"), "/a/[cut]");
    let told = format!("{:?}", received.span);
    let parts: Vec<_> = token.split('.').collect();
    assert!(parts.iter().all(|part| !told.contains(part.get(..20).unwrap())), "{told}");
    world.service.stop().await.unwrap();
}

#[tokio::test]
async fn a_denial_says_why_and_is_an_error_only_where_it_is_ours() {
    let collector = Collector::start().await;
    let world = World::start(json!({"endpoint": collector.url()})).await;
    let parent = sampled();
    let metadata = [("traceparent", parent.as_str())];
    world.call_with(request("GET", "/orders", &[]), &metadata).await;
    world.call_with(request("GET", "/orders", &[("authorization", "Bearer a.b")]), &metadata).await;
    let spans = collector.spans_of("claimgate", 2).await;
    let told = |received: &Received| {
        let reason = received.attribute("claimgate.reason").to_owned();
        (received.attribute("claimgate.decision").to_owned(), reason)
    };
    assert_eq!(told(&spans[0]), ("deny".into(), "missing_token".into()));
    assert_eq!(told(&spans[1]), ("deny".into(), "malformed".into()));
    assert!(spans.iter().all(|received| received.span.status.is_none()));
    world.service.stop().await.unwrap();

    let mut config = inline(&key());
    config["traces"] = json!({"endpoint": collector.url(), "service_name": "without-keys"});
    config["issuers"][0]["keys"] = json!([{"jwks_url": "http://127.0.0.1:1/jwks.json"}]);
    let token = mint(&key(), &claims(&json!({}))).unwrap();
    let world = World { service: TestService::start(config).await, token };
    world.call("/orders", &metadata, &[]).await;
    let spans = collector.spans_of("without-keys", 1).await;
    assert_eq!(told(&spans[0]), ("deny".into(), "keys_unavailable".into()));
    let status = spans[0].span.status.clone().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "keys_unavailable"));
    world.service.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_began_the_trace_decides_and_b3_is_understood() {
    let collector = Collector::start().await;
    let world = World::start(json!({"endpoint": collector.url()})).await;
    let not_sampled = format!("00-{TRACE}-{PARENT}-00");
    world.call("/1", &[("traceparent", &not_sampled)], &[]).await;
    world.call("/2", &[], &[]).await;
    world.call("/3", &[("b3", "0")], &[]).await;
    world.call("/4", &[("b3", &format!("{TRACE}-{PARENT}-1"))], &[]).await;
    let parts = [("x-b3-traceid", TRACE), ("x-b3-spanid", PARENT), ("x-b3-sampled", "1")];
    world.call("/5", &parts, &[]).await;
    // Where the proxy says nothing, what the request itself brings.
    world.call("/6", &[], &[("traceparent", &sampled())]).await;
    world.call("/7", &[("traceparent", &not_sampled)], &[("traceparent", &sampled())]).await;
    let spans = collector.spans_of("claimgate", 3).await;
    let paths: Vec<_> = spans.iter().map(|received| received.attribute("url.path")).collect();
    assert_eq!(paths, ["/4", "/5", "/6"]);
    for received in &spans {
        assert_eq!((received.trace_id(), received.parent()), (TRACE.into(), PARENT.into()));
    }
    world.service.stop().await.unwrap();
}

#[tokio::test]
async fn a_check_that_nobody_decided_on_begins_a_trace_as_configured() {
    let collector = Collector::start().await;
    let world = World::start(json!({"endpoint": collector.url(), "sample": 1})).await;
    world.call("/1", &[], &[]).await;
    world.call("/2", &[], &[]).await;
    world.call("/3", &[("b3", "0")], &[]).await;
    let spans = collector.spans_of("claimgate", 2).await;
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|received| received.parent().is_empty()));
    assert_ne!(spans[0].trace_id(), spans[1].trace_id());
    world.service.stop().await.unwrap();
}

#[tokio::test]
async fn a_line_of_the_log_says_the_trace_and_the_key() {
    let collector = Collector::start().await;
    let world = World::start(json!({"endpoint": collector.url(), "sample": 1})).await;
    let trace = format!("{:032x}", fastrand::u128(1..));
    let parent = format!("00-{trace}-{PARENT}-00");
    world.call_with(request("GET", "/denied", &[]), &[("traceparent", &parent)]).await;
    let begun = format!("/begun-{trace}");
    world.call_with(request("GET", &begun, &[("x-request-id", "r-1")]), &[]).await;
    let spans = collector.spans_of("claimgate", 1).await;
    let lines = logs::lines();
    let line = |part: &str| -> Value {
        let found = lines.lines().find(|line| line.contains(part)).unwrap();
        serde_json::from_str(found).unwrap()
    };
    let denied = line(&trace);
    assert_eq!((&denied["trace_id"], &denied["path"]), (&json!(trace), &json!("/denied")));
    let begun = line(&begun);
    assert_eq!(begun["trace_id"], json!(spans[0].trace_id()), "the one that it began itself");
    assert_eq!(begun["request_id"], "r-1");
    let unknown = mint(&key().with_kid("missing"), &claims(&json!({}))).unwrap();
    let bearer = format!("Bearer {unknown}");
    let path = format!("/unknown-{trace}");
    world.call_with(request("GET", &path, &[("authorization", &bearer)]), &[]).await;
    let lines = logs::lines();
    let found = lines.lines().find(|line| line.contains(&path)).unwrap();
    let unknown: Value = serde_json::from_str(found).unwrap();
    assert!(unknown["reason"] == "unknown_kid" && unknown["kid"] == "missing", "{unknown}");
    world.service.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_busy_collector_refuses_is_sent_again_and_what_it_does_not_want_is_not() {
    let collector = Collector::start().await;
    for protocol in ["grpc", "http/protobuf"] {
        let traces =
            json!({"endpoint": collector.url(), "protocol": protocol, "service_name": protocol});
        let world = World::start(traces).await;
        let parent = sampled();
        let metadata = [("traceparent", parent.as_str())];
        collector.answer(&[Outcome::Busy]);
        world.call("/again", &metadata, &[]).await;
        collector.spans_of(protocol, 1).await;
        eventually("exported", async || world.spans("exported").await == 1.0).await;

        collector.answer(&[Outcome::Refused]);
        world.call("/refused", &metadata, &[]).await;
        eventually("given up", async || world.spans("failed").await == 1.0).await;
        collector.answer(&[Outcome::AllButOne]);
        world.call("/rejected", &metadata, &[]).await;
        eventually("rejected", async || world.spans("rejected").await == 1.0).await;
        assert_eq!(world.spans("exported").await, 1.0);
        world.service.stop().await.unwrap();
    }
    let lines = logs::lines();
    assert!(!lines.contains("\nforged line"), "what a collector writes is on one line");
    assert!(lines.contains(r"not these\\nforged line"), "{lines}");
}

#[tokio::test]
async fn a_collector_that_is_not_there_delays_and_changes_nothing() {
    let traces = json!({"endpoint": "http://127.0.0.1:1", "timeout": "100ms"});
    let world = World::start(traces).await;
    let parent = sampled();
    for _ in 0..20 {
        let headers = [("authorization", format!("Bearer {}", world.token))];
        let headers: Vec<_> = headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let headers = [headers.as_slice(), &[("traceparent", parent.as_str())]].concat();
        assert!(world.service.ask("/orders", &headers).await.is_allowed());
    }
    eventually("given up", async || world.spans("failed").await == 20.0).await;
    assert_eq!(world.service.admin("/readyz").await.0, 200, "no reason to be unready");
    world.service.stop().await.unwrap();
}

#[tokio::test]
async fn the_last_spans_are_sent_before_the_process_ends() {
    let collector = Collector::start().await;
    let world = World::start(json!({"endpoint": collector.url()})).await;
    world.call("/last", &[("traceparent", &sampled())], &[]).await;
    world.service.stop().await.unwrap();
    assert_eq!(one(&collector).await.attribute("url.path"), "/last");
}

#[tokio::test]
async fn a_new_configuration_sends_them_somewhere_else() {
    let (first, second) = (Collector::start().await, Collector::start().await);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("claimgate.yaml");
    let mut config = inline(&key());
    let write = |config: &Value| {
        let mut config = config.clone();
        config["listen"] = json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"});
        fs::write(&file, config.to_string()).unwrap();
    };
    config["traces"] = json!({"endpoint": first.url()});
    write(&config);
    let (fingerprint, _) = Config::read_file(&file);
    let follow = Some(ConfigFile { path: file.clone(), fingerprint });
    let options = Options { follow, ..Options::default() };
    let service = TestService::start_with(config.clone(), options).await;
    let world = World { service, token: String::new() };
    let parent = sampled();
    let metadata = [("traceparent", parent.as_str())];
    world.call("/first", &metadata, &[]).await;
    first.spans_of("claimgate", 1).await;
    config["traces"] = json!({"endpoint": second.url(), "service_name": "moved"});
    write(&config);
    let generation = ["claimgate_config_generation"];
    eventually("taken over", async || world.service.metric(&generation).await == 2.0).await;
    world.call("/second", &metadata, &[]).await;
    second.spans_of("moved", 1).await;
    config.as_object_mut().unwrap().remove("traces");
    write(&config);
    eventually("taken over", async || world.service.metric(&generation).await == 3.0).await;
    world.call("/third", &metadata, &[]).await;
    world.service.stop().await.unwrap();
    assert_eq!((first.spans().len(), second.spans().len()), (1, 1));
}

#[tokio::test]
async fn a_door_for_other_proxies_has_spans_as_well() {
    let collector = Collector::start().await;
    let mut config = inline(&key());
    config["traces"] = json!({"endpoint": collector.url()});
    config["listen"] = json!({
        "grpc": "127.0.0.1:0", "admin": "127.0.0.1:0", "http": "127.0.0.1:0",
        "trusted_forwarders": ["127.0.0.1"],
    });
    let config = Config::from_yaml(&config.to_string(), std::path::Path::new(".")).unwrap();
    let service = TestService::run(config, Options::default()).await;
    let parent = sampled();
    let headers = [
        ("x-original-method", "GET"),
        ("x-original-uri", "/orders?a=b"),
        ("x-original-host", "orders.example.com"),
        ("traceparent", parent.as_str()),
    ];
    assert_eq!(send(service.http, "GET", "/auth/nginx", &headers, "").await.0, 401);
    let received = one(&collector).await;
    assert_eq!((received.trace_id(), received.parent()), (TRACE.into(), PARENT.into()));
    assert_eq!(received.span.name, "/auth/nginx");
    assert_eq!(received.attribute("url.path"), "/orders");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn the_collector_is_reached_over_mutual_tls_with_secret_headers_out_of_files() {
    let authority = Authority::new();
    let (server, client) = (authority.issue(&["localhost"]), authority.issue(&["claimgate"]));
    let mut roots = RootCertStore::empty();
    let ca =
        tokio_rustls::rustls::pki_types::CertificateDer::from_pem_slice(authority.pem.as_bytes());
    roots.add(ca.unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap());
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
    let mut config = config.with_single_cert(vec![server.der()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let collector = Collector::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    for protocol in ["grpc", "http/protobuf"] {
        let traces = json!({
            "endpoint": format!("https://localhost:{}", collector.address.port()),
            "protocol": protocol,
            "service_name": protocol,
            "ca_file": file("ca.pem", &authority.pem),
            "client_cert_file": file("client.pem", &client.certificate),
            "client_key_file": file("client.key", &client.key),
            "headers": [{"name": "authorization", "file": file("token", "Bearer collector-secret\n")}],
        });
        let world = World::start_as(traces, json!("production")).await;
        world.call("/orders", &[("traceparent", &sampled())], &[]).await;
        collector.spans_of(protocol, 1).await;
        world.service.stop().await.unwrap();
    }
    let headers = collector.headers();
    assert!(headers.iter().all(|headers| headers["authorization"] == "Bearer collector-secret"));
    assert!(!logs::lines().contains("collector-secret"));

    // Without a certificate nothing arrives; a file that others can read is not used.
    let endpoint = format!("https://localhost:{}", collector.address.port());
    let traces = json!({"endpoint": endpoint, "ca_file": file("ca.pem", &authority.pem)});
    let readable = file("readable", "Bearer collector-secret");
    fs::set_permissions(&readable, fs::Permissions::from_mode(0o644)).unwrap();
    let with_header = json!({
        "endpoint": endpoint, "headers": [{"name": "authorization", "file": readable}],
    });
    for traces in [traces, with_header] {
        let world = World::start_as(traces, json!("production")).await;
        world.call("/orders", &[("traceparent", &sampled())], &[]).await;
        eventually("given up", async || world.spans("failed").await == 1.0).await;
        world.service.stop().await.unwrap();
    }
    assert_eq!(collector.spans().len(), 2);
}
