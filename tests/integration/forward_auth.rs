//! HTTP forward-auth: one table of decisions over gRPC and at every door of `listen.http`; whom the doors believe; and
//! what a client cannot do to them.

use std::net::SocketAddr;
use std::path::Path;

use claimgate::app::Options;
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::proto::envoy::service::auth::v3::CheckRequest;
use claimgate::proto::envoy::service::auth::v3::check_response::HttpResponse;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::answers::{claims, key};
use crate::kept::mint;
use crate::logs;
use crate::provider::inline;
use crate::service::{Answer, PATIENCE, TestService, eventually, request};

/// Where it is asked, and in which headers it says method, path and host; in none where they are the request's own.
const DOORS: [(&str, Option<[&str; 3]>); 4] = [
    ("/auth/envoy", None),
    ("/auth/nginx", Some(["X-Original-Method", "X-Original-URI", "X-Original-Host"])),
    ("/auth/caddy", Some(["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"])),
    ("/auth/traefik", Some(["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"])),
];

/// One request, and what is decided on it: `allow` or the reason of a denial.
struct Case<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, String)>,
    expected: &'a str,
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn one_table_of_decisions_holds_over_grpc_and_at_every_door() {
    let key = key();
    let service = start(config(&key)).await;
    let sign = |over: Value| mint(&key, &claims(&over)).unwrap();
    let good = sign(json!({}));
    let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
    let with = |headers: &[(&'static str, &str)]| {
        let sent = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        [bearer(&good), sent.collect()].concat()
    };
    let mut broken = good.clone();
    broken.replace_range(good.len() - 6.., "AAAAAA");
    let preflight = |more: &[(&'static str, &str)]| -> Vec<(&str, String)> {
        let sent = [("origin", "https://a.example"), ("access-control-request-method", "PUT")];
        sent.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let case =
        |method, host, path, headers, expected| Case { method, host, path, headers, expected };
    let get = |path, headers, expected| case("GET", "api.example.com", path, headers, expected);
    #[rustfmt::skip]
    let table = [
        get("/orders", bearer(&good), "allow"),
        get("/orders?a=b&c", bearer(&good), "allow"),
        case("DELETE", "api.example.com", "/orders/7", bearer(&good), "allow"),
        get("/orders", vec![("authorization", format!("bearer {good}"))], "allow"),
        get("/orders", vec![("cookie", format!("a=1; session={good}"))], "allow"),
        get("/orders", vec![("x-access-token", good.clone())], "allow"),
        get("/orders", vec![], "missing_token"),
        get("/orders", vec![("authorization", "Basic YTpi".to_owned())], "missing_token"),
        get("/orders", bearer("no token"), "malformed"),
        get("/orders", bearer(&format!("{good}, Bearer {good}")), "multiple_tokens"),
        get("/orders", [bearer(&good), vec![("cookie", format!("session={good}"))]].concat(), "multiple_tokens"),
        get("/orders", bearer(&broken), "bad_signature"),
        get("/orders", bearer(&sign(json!({"exp": 1_000_000_000}))), "expired"),
        get("/orders", bearer(&sign(json!({"nbf": 4_000_000_000_u64}))), "not_yet_valid"),
        get("/orders", bearer(&sign(json!({"aud": "another"}))), "audience_mismatch"),
        get("/orders", bearer(&sign(json!({"iss": "https://else.example.com"}))), "unknown_issuer"),
        get("/orders", bearer(&"a".repeat(20_000)), "too_large"),
        get("/admin/users", bearer(&good), "insufficient_scope"),
        get("/admin/users", bearer(&sign(json!({"scope": "admin"}))), "allow"),
        // Paths that are read in more than one way.
        get("/healthz", vec![], "allow"),
        get("/healthz?x=/orders", vec![], "allow"),
        get("/healthz/../orders", vec![], "missing_token"),
        get("/healthz/../admin/users", bearer(&good), "insufficient_scope"),
        get("/orders/../healthz", vec![], "missing_token"),
        get("/%68ealthz", vec![], "missing_token"),
        get("/healthz%2f..%2forders", vec![], "missing_token"),
        get("//healthz", vec![], "missing_token"),
        get("/healthz;a", vec![], "missing_token"),
        get("/healthz%00", vec![], "no_rule"),
        get("/public%2f..%2fadmin%2fusers", bearer(&good), "insufficient_scope"),
        case("POST", "api.example.com", "/healthz", vec![], "missing_token"),
        case("get", "api.example.com", "/healthz", vec![], "missing_token"),
        // Hosts.
        case("GET", "open.example.com", "/orders", vec![], "allow"),
        case("GET", "OPEN.example.com.:443", "/orders", vec![], "allow"),
        case("GET", "open.example.com.evil.example", "/orders", bearer(&good), "no_rule"),
        case("GET", "api.example.com", "/orders", with(&[("host2", "open.example.com")]), "allow"),
        // Headers.
        get("/tenant", with(&[("x-tenant", "contoso")]), "insufficient_scope"),
        get("/tenant", with(&[("x-tenant", "fabrikam")]), "allow"),
        get("/tenant", with(&[]), "allow"),
        get("/orders", with(&[("x-jwt-sub", "mallory"), ("X-JWT-Roles", "admin"), ("x_jwt_sub", "mallory")]), "allow"),
        // Preflights.
        case("OPTIONS", "api.example.com", "/orders", preflight(&[]), "allow"),
        case("OPTIONS", "api.example.com", "/orders", preflight(&[("content-length", "3")]), "missing_token"),
        case("OPTIONS", "api.example.com", "/orders", vec![("origin", "https://a.example".to_owned())], "missing_token"),
        // What may be refused and is not.
        get("/shadow", vec![], "allow"),
        get("/shadow", bearer(&broken), "allow"),
        get("/optional", vec![], "allow"),
        get("/optional", bearer(&broken), "bad_signature"),
        get("/kept", bearer(&good), "allow"),
    ];
    let mut asked = 0.0;
    for Case { method, host, path, headers, expected } in &table {
        let told = format!("{method} {host} {path} {:?}", headers.iter().map(|(name, _)| name));
        let sent: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let over_grpc = Answer::of(service.check(envoy_asks(method, host, path, &sent)).await);
        let is_fit = match &over_grpc {
            Answer::Allowed { .. } => *expected == "allow",
            Answer::Denied { reason, .. } => reason == expected,
        };
        assert!(is_fit, "{told}: {over_grpc:?}, not {expected}");
        for (door, names) in DOORS {
            let answer = ask(service.http, door, names, method, host, path, &sent).await;
            check_same(&over_grpc, &answer, door, &sent, &told);
        }
        asked += 1.0;
        // Each counted, and under the same names.
        for part in [format!("reason=\"{}\"", reason(expected, path, &sent))] {
            let count = service.metric(&["claimgate_checks_total", &part]).await;
            assert!((count % 5.0).abs() < 0.1 && count > 0.0, "{told}: {part} {count}");
        }
        assert_eq!(service.metric(&["claimgate_checks_total"]).await, asked * 5.0, "{told}");
    }
    service.stop().await.unwrap();
}

/// What it is counted as.
fn reason<'a>(expected: &'a str, path: &str, sent: &[(&str, &str)]) -> &'a str {
    match (expected, path, sent.is_empty()) {
        ("allow", "/shadow", true) => "missing_token",
        ("allow", "/shadow", false) => "bad_signature",
        ("allow", ..) => "none",
        (reason, ..) => reason,
    }
}

/// Whether a door says what gRPC does, in its own way.
fn check_same(
    over_grpc: &Answer,
    answer: &HttpAnswer,
    door: &str,
    sent: &[(&str, &str)],
    told: &str,
) {
    let told = format!("{told} at {door}: {answer:?}");
    let (set, remove) = match over_grpc {
        Answer::Denied { status, reason } => {
            assert_eq!(
                (i32::from(answer.status), answer.header("x-ext-auth-reason")),
                (*status, Some(&**reason)),
                "{told}"
            );
            assert_eq!(answer.header("www-authenticate").is_some(), *status != 503, "{told}");
            assert!(answer.body.contains(&format!(r#""reason":"{reason}""#)), "{told}");
            return;
        }
        Answer::Allowed { set, remove } => (set, remove),
    };
    assert_eq!((answer.status, &*answer.body), (200, ""), "{told}");
    for (name, value) in set {
        assert_eq!(answer.header(name), Some(&**value), "{told}");
    }
    let is_removed = |name: &str| remove.iter().any(|removed| removed == name);
    for name in remove {
        let expected = (door == "/auth/caddy").then_some("");
        assert_eq!(answer.header(name), expected, "{told}");
    }
    if door == "/auth/envoy" {
        let told_to = answer.header("x-envoy-auth-headers-to-remove").unwrap_or_default();
        assert_eq!(told_to, remove.join(","), "{told}");
        return;
    }
    for name in ["authorization", "cookie"] {
        let kept = sent.iter().find(|(sent, _)| *sent == name).map(|(_, value)| *value);
        if let (Some(kept), false) = (kept, is_removed(name))
            && !set.iter().any(|(set, _)| set == name)
        {
            assert_eq!(answer.header(name), Some(kept), "{told}");
        }
    }
}

#[tokio::test]
async fn headers_are_believed_of_trusted_forwarders_alone_and_of_nobody_by_default() {
    let key = key();
    let token = format!("Bearer {}", mint(&key, &claims(&json!({}))).unwrap());
    let sent = [("authorization", token.as_str())];
    for (trusted, is_trusted) in [
        (json!(null), false),
        (json!([]), false),
        (json!(["10.0.0.0/8", "::1"]), false),
        (json!(["127.0.0.2"]), false),
        (json!(["127.0.0.1"]), true),
        (json!(["10.0.0.0/8", "127.0.0.0/8"]), true),
    ] {
        let mut config = config(&key);
        config["listen"]["trusted_forwarders"] = trusted.clone();
        if trusted.is_null() {
            config["listen"].as_object_mut().unwrap().remove("trusted_forwarders");
        }
        let service = start(config).await;
        for (door, names) in DOORS {
            for path in ["/orders", "/healthz"] {
                let answer =
                    ask(service.http, door, names, "GET", "api.example.com", path, &sent).await;
                let is_allowed = is_trusted || names.is_none();
                assert_eq!(answer.status == 200, is_allowed, "{trusted} {door} {answer:?}");
                if !is_allowed {
                    assert_eq!(answer.header("x-ext-auth-reason"), Some("malformed"));
                }
            }
        }
        service.stop().await.unwrap();
    }
}

#[tokio::test]
async fn the_owner_of_a_unix_socket_says_who_is_trusted_on_it() {
    let key = key();
    let directory = tempfile::tempdir().unwrap();
    for (trusted, expected) in [(json!(["unix"]), 200), (json!(["127.0.0.1"]), 401)] {
        let path = directory.path().join("http.sock");
        let mut config = config(&key);
        config["listen"]["http"] = json!([format!("unix://{}", path.display()), "127.0.0.1:0"]);
        config["listen"]["trusted_forwarders"] = trusted;
        let service = start(config).await;
        let head = "GET /auth/nginx HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             x-original-method: GET\r\nx-original-uri: /healthz\r\nx-original-host: b\r\n\r\n";
        let socket = UnixStream::connect(&path).await.unwrap();
        assert_eq!(HttpAnswer::to(socket, head).await.status, expected);
        let network = TcpStream::connect(service.http).await.unwrap();
        // What is trusted of the one is not of the other.
        assert_eq!(HttpAnswer::to(network, head).await.status, 601 - expected);
        service.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_forgotten_or_a_second_header_opens_nothing() {
    let key = key();
    let mut config = config(&key);
    // Wherever it fell back to, it would be let in there.
    config["rules"] = json!([
        {"name": "open", "match": {"path": "/"}, "allow": "anyone"},
        {"name": "doors", "match": {"path_prefix": "/auth"}, "allow": "anyone"},
        {"name": "health", "match": {"path": "/healthz"}, "allow": "anyone"},
    ]);
    let service = start(config).await;
    for (door, names) in DOORS {
        let Some(names) = names else { continue };
        let whole = [(names[0], "GET"), (names[1], "/healthz"), (names[2], "a.example")];
        assert_eq!(raw(service.http, door, &whole).await.status, 200);
        for (name, _) in whole {
            let without: Vec<_> = whole.into_iter().filter(|(other, _)| *other != name).collect();
            let twice = [&whole[..], &[(name, "/healthz")]].concat();
            for headers in [without, twice] {
                let answer = raw(service.http, door, &headers).await;
                assert_eq!(answer.status, 401, "{door} {headers:?}");
                assert_eq!(answer.header("x-ext-auth-reason"), Some("malformed"));
            }
        }
        // The one proxy's headers say nothing at the other's door.
        let other = match names[0] {
            "X-Original-Method" => ["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"],
            _ => ["X-Original-Method", "X-Original-URI", "X-Original-Host"],
        };
        let others = [(other[0], "GET"), (other[1], "/healthz"), (other[2], "a.example")];
        assert_eq!(raw(service.http, door, &others).await.status, 401, "{door}");
    }
    for path in ["/", "/auth", "/auth/", "/auth/envoy", "/auth/nginx/", "/auth/../auth/nginx"] {
        assert_eq!(raw(service.http, path, &[]).await.status, 404, "{path}");
    }
    service.stop().await.unwrap();
}

/// The one difference between gRPC and HTTP that an upstream sees, unless a proxy takes it away by itself.
#[tokio::test]
async fn a_token_in_the_query_does_and_can_only_be_taken_away_over_grpc() {
    let key = key();
    let mut config = config(&key);
    config["tokens"] = json!([{"query": "access_token"}]);
    let service = start(config).await;
    let path = format!("/orders?access_token={}", mint(&key, &claims(&json!({}))).unwrap());
    let asked = envoy_asks("GET", "api.example.com", &path, &[]);
    match service.check(asked).await.http_response {
        Some(HttpResponse::OkResponse(ok)) => {
            assert_eq!(ok.query_parameters_to_remove, ["access_token"]);
        }
        other => panic!("{other:?}"),
    }
    for (door, names) in DOORS {
        let answer = ask(service.http, door, names, "GET", "api.example.com", &path, &[]).await;
        assert_eq!((answer.status, answer.header("x-jwt-sub")), (200, Some("alice")), "{door}");
    }
    service.stop().await.unwrap();
}

#[tokio::test]
async fn no_rule_matches_what_only_says_how_a_request_came() {
    let mut config = config(&key());
    let rules = ["x-forwarded-for", "x-forwarded-uri", "x-original-uri", "x-real-ip", "te", "via"];
    let rule = |name: &str| json!({"name": name, "match": {"headers": [{"name": name, "exact": "trailers"}]}, "require": {"issuer": "accounts"}});
    config["rules"] = rules.map(rule).into();
    let service = start(config).await;
    for name in rules {
        let answer = raw(service.http, "/auth/envoy/", &[(name, "trailers")]).await;
        assert_eq!(answer.header("x-ext-auth-reason"), Some("no_rule"), "{name}");
    }
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_is_not_waited_for_and_heads_are_bounded() {
    let service = start(config(&key())).await;
    let answer = raw(service.http, "/auth/envoy/healthz", &[("content-length", "1000000")]).await;
    assert_eq!(answer.status, 200);
    let many: Vec<_> = (0..127).map(|_| ("x-a", "b")).collect();
    assert_eq!(raw(service.http, "/auth/envoy/healthz", &many).await.status, 431);
    assert_eq!(raw(service.http, "/auth/envoy/healthz", &many[..100]).await.status, 200);
    let long = "a".repeat(70_000);
    assert_eq!(raw(service.http, "/auth/envoy/healthz", &[("x-a", &long)]).await.status, 431);
    let fits = "a".repeat(50_000);
    assert_eq!(raw(service.http, "/auth/envoy/healthz", &[("x-a", &fits)]).await.status, 200);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn the_end_waits_for_no_idle_client_and_turns_none_away_before() {
    let service = start(config(&key())).await;
    let mut idle = TcpStream::connect(service.http).await.unwrap();
    let ask = b"GET /auth/envoy/healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    for _ in 0..2 {
        idle.write_all(ask).await.unwrap();
        let mut start = [0; 12];
        timeout(PATIENCE, idle.read_exact(&mut start)).await.unwrap().unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        let mut rest = Vec::new();
        while !rest.ends_with(b"\r\n\r\n") {
            rest.push(idle.read_u8().await.unwrap());
        }
    }
    let connections = ["claimgate_connections{", "listener=\"http\""];
    eventually("counted", async || service.metric(&connections).await == 1.0).await;
    service.stop().await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, idle.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn who_is_not_trusted_is_told_of_in_the_log_and_nothing_that_was_sent_is() {
    logs::collect();
    let mut config = config(&key());
    config["listen"]["trusted_forwarders"] = json!([]);
    let service = start(config).await;
    for _ in 0..3 {
        let sent = [("x-forwarded-uri", "/secret-path"), ("authorization", "Bearer secret-token")];
        assert_eq!(raw(service.http, "/auth/caddy?secret-query", &sent).await.status, 401);
    }
    service.stop().await.unwrap();
    let lines = logs::lines();
    let mut told = lines.lines().filter(|line| line.contains("listen.trusted_forwarders"));
    assert!(told.any(|line| line.contains(r#""by":"127.0.0.1""#)), "{lines}");
    for secret in ["secret-path", "secret-query", "secret-token"] {
        assert!(!lines.contains(secret), "{secret}");
    }
}

async fn start(config: Value) -> TestService {
    let config = Config::from_yaml(&config.to_string(), Path::new(".")).unwrap();
    TestService::run(config, Options::default()).await
}

fn config(key: &SigningKey) -> Value {
    let mut config = inline(key);
    config["listen"] = json!({
        "grpc": "127.0.0.1:0", "http": "127.0.0.1:0", "admin": "127.0.0.1:0",
        "trusted_forwarders": ["127.0.0.1"],
    });
    config["tokens"] = json!([
        {"header": "authorization"}, {"cookie": "session"}, {"header": "x-access-token"},
    ]);
    config["cors_preflight"] = "allow".into();
    let accounts = json!({"issuer": "accounts"});
    config["rules"] = json!([
        {"name": "health", "match": {"path": "/healthz", "methods": ["GET"]}, "allow": "anyone"},
        {"name": "open", "match": {"hosts": ["open.example.com"]}, "allow": "anyone"},
        {"name": "public", "match": {"path_prefix": "/public/"}, "allow": "anyone"},
        {"name": "admin", "match": {"path_prefix": "/admin/"}, "require": {"issuer": "accounts", "scopes": ["admin"]}},
        {"name": "tenant", "match": {"path": "/tenant", "headers": [{"name": "x-tenant", "exact": "contoso"}]}, "require": {"issuer": "accounts", "scopes": ["contoso"]}},
        {"name": "shadow", "match": {"path": "/shadow"}, "require": accounts, "mode": "shadow"},
        {"name": "optional", "match": {"path": "/optional"}, "require": {"issuer": "accounts", "optional": true}},
        {"name": "kept", "match": {"path": "/kept"}, "require": accounts, "keep_token": true},
        {"name": "rest", "match": {"hosts": ["api.example.com"]}, "require": accounts},
    ]);
    config
}

fn envoy_asks(method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> CheckRequest {
    let mut request = request(method, path, headers);
    let http = request.attributes.as_mut().and_then(|a| a.request.as_mut()?.http.as_mut());
    host.clone_into(&mut http.unwrap().host);
    request
}

/// Asks at a door about a request.
async fn ask(
    http: SocketAddr,
    door: &str,
    names: Option<[&str; 3]>,
    method: &str,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> HttpAnswer {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = match names {
        None => format!("{method} {door}{path} HTTP/1.1\r\nhost: {host}\r\n"),
        Some([a, b, c]) => format!(
            "GET {door} HTTP/1.1\r\nhost: claimgate\r\n{a}: {method}\r\n{b}: {path}\r\n{c}: {host}\r\n"
        ),
    };
    let socket = TcpStream::connect(http).await.unwrap();
    HttpAnswer::to(socket, &format!("{head}{headers}connection: close\r\n\r\n")).await
}

/// Asks with exactly these headers, and a host.
async fn raw(http: SocketAddr, target: &str, headers: &[(&str, &str)]) -> HttpAnswer {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    HttpAnswer::to(TcpStream::connect(http).await.unwrap(), &head).await
}

#[derive(Debug)]
struct HttpAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl HttpAnswer {
    async fn to(mut socket: impl AsyncRead + AsyncWrite + Unpin, head: &str) -> Self {
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Who was sent more than it read may reset the connection after its answer.
        let _reset = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap().is_err();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        };
        Self { status, headers: lines.map(pair).collect(), body: body.to_owned() }
    }

    /// The value of a header, which must not be there twice.
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name);
        let found = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} twice: {self:?}");
        found
    }
}
