//! nginx and Caddy as child processes, with the configurations that we ship; and what holds of each of them with claimgate
//! behind.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use claimgate::app::Options;
use claimgate::config::Config;
use claimgate::util::clock::{Clock as _, SystemClock};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ROOT;
use crate::configuration::inline;
use crate::envoy::loopback;
use crate::kept;
use crate::kept::mint;
use crate::load::{key_and_token, report};
use crate::service::{PATIENCE, TestService, eventually};
use crate::upstream::Upstream;

/// Where `tests/e2e/proxies/install.sh` puts them.
const PROXIES: &str = ".tools/proxies";

/// A running proxy, ended with this.
pub(crate) struct Proxy {
    child: Child,
    directory: TempDir,
    pub(crate) address: SocketAddr,
}

impl Proxy {
    /// Starts `name` with what `config` makes of an address to listen at and of a directory of its own, which is where
    /// `arguments` find it as `config`.
    pub(crate) async fn start(
        name: &str,
        config: impl Fn(SocketAddr, &Path) -> String,
        arguments: &[&str],
    ) -> Self {
        // Another process may take the port before the proxy does.
        for _ in 0..5 {
            let mut proxy = Self::spawn(name, &config, arguments);
            let mut is_up = false;
            eventually("listening, or over", async || {
                is_up = TcpStream::connect(proxy.address).await.is_ok();
                let has_ended = proxy.child.try_wait().unwrap().is_some();
                is_up &= !has_ended;
                is_up || has_ended
            })
            .await;
            if is_up {
                return proxy;
            }
            report(&format!("{name} ended at once:\n{}", proxy.log()));
        }
        panic!("{name} does not start");
    }

    fn spawn(
        name: &str,
        config: &impl Fn(SocketAddr, &Path) -> String,
        arguments: &[&str],
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
        fs::write(directory.path().join("config"), config(address, directory.path())).unwrap();
        let log = kept::file("proxy", &directory.path().join("log"));
        let child = Command::new(executable(name))
            .args(arguments)
            .current_dir(directory.path())
            // Caddy has a place for certificates there.
            .env("HOME", directory.path())
            .env("XDG_DATA_HOME", directory.path())
            .env("XDG_CONFIG_HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not run: {error}"));
        Self { child, directory, address }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Gone already, or gone now.
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
        if std::thread::panicking() {
            report(&format!("the proxy said:\n{}", self.log()));
        }
    }
}

fn executable(name: &str) -> PathBuf {
    let place = Path::new(ROOT).join(PROXIES).join(name);
    assert!(place.exists(), "{} is missing: run tests/e2e/proxies/install.sh", place.display());
    place
}

/// A shipped file, with each of these in the place of what is written there, which must be there.
pub(crate) fn shipped(file: &str, with: &[(&str, &str)]) -> String {
    let mut text = fs::read_to_string(Path::new(ROOT).join(file)).expect("shipped");
    for (written, ours) in with {
        assert!(text.contains(written), "{file} has no {written}");
        text = text.replace(written, ours);
    }
    text
}

/// A claimgate as the comment in `file` says, and what stands behind it.
pub(crate) struct World {
    pub(crate) service: TestService,
    pub(crate) upstream: Upstream,
    /// Of alice.
    pub(crate) token: String,
    /// Of alice, who is a clerk and an admin.
    pub(crate) with_roles: String,
}

impl World {
    pub(crate) async fn start(file: &str) -> Self {
        Self::start_with(file, |_| {}).await
    }

    /// The same, with a change to claimgate's configuration.
    pub(crate) async fn start_with(
        file: &str,
        change: impl FnOnce(&mut serde_json::Value),
    ) -> Self {
        let (key, token) = key_and_token();
        let mut config = inline(&key);
        let documented = crate::envoy::documented(file)["listen"].clone();
        assert_eq!(documented["http"], "127.0.0.1:9192");
        config["listen"] = documented;
        for listener in ["grpc", "http", "admin"] {
            config["listen"][listener] = "127.0.0.1:0".into();
        }
        change(&mut config);
        let config = Config::from_yaml(&config.to_string(), Path::new(".")).unwrap();
        let now = SystemClock.now().as_millis().div_euclid(1000);
        let claims = json!({
            "iss": "https://accounts.example.com", "aud": "orders", "sub": "alice",
            "exp": now + 3600, "roles": ["clerk", "admin"],
        });
        let with_roles = mint(&key, &claims).unwrap();
        let service = TestService::run(config, Options::default()).await;
        Self { service, upstream: Upstream::start().await, token, with_roles }
    }
}

/// Headers in claimgate's name, in every spelling, from a client.
const SPOOFED: &str = "x-jwt-sub: mallory\r\nX-JWT-Sub: mallory\r\nX-JWT-Roles: admin\r\n\
     x_jwt_sub: mallory\r\nX_JWT-roles: admin\r\nx.jwt.sub: mallory\r\nx-jwt_sub: mallory\r\n";

/// What a client might write to be taken for a proxy.
const FORGED: [&str; 4] = [
    "x-original-uri: /healthz\r\nx-original-method: GET\r\nx-original-host: open.example\r\n",
    "X-Forwarded-Uri: /healthz\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: open.example\r\n",
    "x-original-url: http://open.example/healthz\r\nx-rewrite-url: /healthz\r\n\
     x-http-method-override: GET\r\n",
    "x_original_uri: /healthz\r\nx_forwarded_uri: /healthz\r\nforwarded: for=127.0.0.1\r\n",
];

/// What holds of `proxy` with claimgate behind; at the end claimgate is gone, and `unavailable` is what clients get then.
pub(crate) async fn keeps_its_promises(file: &str, proxy: &Proxy, world: World, unavailable: u16) {
    let World { service, upstream, token, with_roles } = world;
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let ask = async |target: &str, headers: &str| ask(proxy.address, "GET", target, headers).await;

    let answer = ask("/orders", &bearer(&token)).await;
    assert_eq!((answer.status, answer.identity()), (200, vec!["x-jwt-sub: alice".to_owned()]));
    let answer = ask("/orders?a=%2F..&b", &format!("{}{SPOOFED}", bearer(&token))).await;
    assert_eq!((answer.status, answer.identity()), (200, vec!["x-jwt-sub: alice".to_owned()]));
    let expected = vec!["x-jwt-roles: clerk,admin".to_owned(), "x-jwt-sub: alice".to_owned()];
    let answer = ask("/orders", &format!("{}{SPOOFED}", bearer(&with_roles))).await;
    assert_eq!((answer.status, answer.identity()), (200, expected));
    let answer = ask("/healthz", SPOOFED).await;
    assert_eq!((answer.status, answer.identity()), (200, vec![]), "where anyone is let in");
    // What is not claimgate's arrives as it was sent.
    let sent = format!("{}cookie: a=1; b=2\r\nx-tenant: contoso\r\n", bearer(&token));
    let arrived = ask("/orders", &sent).await.arrived();
    assert!(arrived.contains(&"cookie: a=1; b=2".to_owned()), "{arrived:?}");
    assert!(arrived.contains(&"x-tenant: contoso".to_owned()), "{arrived:?}");
    let basic = ask("/healthz", "authorization: Basic YTpi\r\n").await;
    assert_eq!(basic.identity(), ["authorization: Basic YTpi"], "no token, so not taken away");
    let body = format!("{}content-length: 3\r\n", bearer(&token));
    assert_eq!(self::ask(proxy.address, "POST", "/orders", &body).await.status, 200);

    let passed = upstream.requests();
    let answer = ask("/orders", "").await;
    assert_eq!((answer.status, answer.header("x-ext-auth-reason")), (401, Some("missing_token")));
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="claimgate""#));
    let answer = ask("/orders", &bearer("no token")).await;
    assert_eq!((answer.status, answer.header("x-ext-auth-reason")), (401, Some("malformed")));
    for forged in FORGED {
        let answer = ask("/orders", forged).await;
        assert_eq!(answer.status, 401, "{forged}: {answer:?}");
    }
    for target in [
        "/healthz/../orders",
        "/x/../orders",
        "/healthz%2f..%2forders",
        "/healthz/..%2forders",
        "/healthz/%2e%2e/orders",
        "/healthz/..;/orders",
        "//orders",
        "/healthz;/../orders",
        "/healthz%00/orders",
        "/healthz\\..\\orders",
        "/orders?/healthz",
        "/orders#/healthz",
        "/auth/envoy/healthz",
        "/_claimgate",
    ] {
        let answer = ask(target, "").await;
        assert!((400..500).contains(&answer.status), "{target}: {answer:?}");
    }
    for method in ["POST", "HEAD", "OPTIONS", "DELETE"] {
        let answer = self::ask(proxy.address, method, "/healthz", "content-length: 0\r\n").await;
        assert_eq!(answer.status, 401, "{method}: {answer:?}");
    }
    assert!(service.metric(&["claimgate_checks_total", "\"missing_token\""]).await > 5.0);

    service.stop().await.unwrap();
    for _ in 0..3 {
        let answer = ask("/orders", &bearer(&token)).await;
        assert_eq!(answer.status, unavailable, "with nobody to ask: {answer:?}");
    }
    assert_eq!(upstream.requests(), passed, "of what was denied nothing arrived");
    let told =
        "a good token passes, nothing else does, and no header in claimgate's name but its own";
    report(&format!("{file}, run by the proxy itself: {told}"));
}

/// Has tokens come in a cookie.
pub(crate) fn with_a_cookie(config: &mut serde_json::Value) {
    config["tokens"] = json!([{"cookie": "session"}]);
}

/// Of a [`World`] made [`with_a_cookie`]: the upstream gets the other cookies and no token.
pub(crate) async fn takes_a_token_out_of_a_cookie(proxy: &Proxy, world: World) {
    for (sent, expected) in [
        (format!("a=1; session={}; b=2", world.token), vec!["cookie: a=1; b=2"]),
        (format!("session={}", world.token), vec![]),
    ] {
        let answer = ask(proxy.address, "GET", "/orders", &format!("cookie: {sent}\r\n")).await;
        assert_eq!((answer.status, answer.identity()), (200, vec!["x-jwt-sub: alice".to_owned()]));
        let arrived = answer.arrived();
        let cookies: Vec<_> = arrived.iter().filter(|line| line.starts_with("cookie")).collect();
        assert_eq!(cookies, expected);
    }
    world.service.stop().await.unwrap();
}

/// Has claimgate believe another address than the proxy's.
pub(crate) fn trusting_nobody_here(config: &mut serde_json::Value) {
    config["listen"]["trusted_forwarders"] = json!(["127.0.0.2"]);
}

/// Of a [`World`] made [`trusting_nobody_here`]: no request arrives, not even on a public route.
pub(crate) async fn lets_nothing_pass(proxy: &Proxy, world: World) {
    let bearer = format!("authorization: Bearer {}\r\n", world.token);
    for target in ["/orders", "/healthz"] {
        assert_eq!(ask(proxy.address, "GET", target, &bearer).await.status, 401);
    }
    assert_eq!(world.upstream.requests(), 0);
    world.service.stop().await.unwrap();
}

#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    head: String,
    body: String,
}

impl HttpAnswer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = pairs.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value)
    }

    /// The headers that arrived upstream, in order.
    pub(crate) fn arrived(&self) -> Vec<String> {
        let pairs: Vec<[String; 2]> = serde_json::from_str(&self.body).expect("the upstream's");
        let mut lines: Vec<_> = pairs.into_iter().map(|pair| pair.join(": ")).collect();
        lines.sort();
        lines
    }

    /// Those of them that say who it is.
    pub(crate) fn identity(&self) -> Vec<String> {
        let folded = |line: &str| line.to_ascii_lowercase().replace(['_', '.'], "-");
        let ours =
            |line: &String| folded(line).starts_with("x-jwt") || line.starts_with("authorization");
        self.arrived().into_iter().filter(ours).collect()
    }
}

/// Asks with exactly this target and these lines of headers; a client that tidies neither up.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
) -> HttpAnswer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = if headers.contains("content-length: 3") { "abc" } else { "" };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: orders.example.com\r\nconnection: close\r\n{headers}\r\n{body}"
    );
    kept::sent(&head);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    HttpAnswer { status, head: head.to_owned(), body: body.to_owned() }
}
