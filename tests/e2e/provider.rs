//! With npm's oidc-provider, a certified OpenID provider that we did not write: its discovery document, its keys and its
//! access tokens. It is rotated and stopped, and claimgate restarted without it.
//!
//! Needs what `tests/e2e/oidc_provider/install.sh` installs, and fails without it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::ROOT;
use crate::kept;
use crate::service::{TestService, eventually, send};

/// Where its files are, and where the ones that it runs are installed.
const FOLDER: &str = "tests/e2e/oidc_provider";

/// The one client that it knows.
const CLIENT: (&str, &str) = ("orders-client", "a-secret-for-this-test-run");

#[tokio::test]
async fn a_certified_provider_is_followed_through_rotation_outage_and_a_restart_without_it() {
    let directory = tempfile::tempdir().unwrap();
    let all = make_keys(&["first", "second"]);
    let keys = directory.path().join("keys.json");
    let publish = |order: &[usize]| {
        let order: Vec<&Value> = order.iter().map(|nth| &all["keys"][*nth]).collect();
        fs::write(&keys, json!({"keys": order}).to_string()).unwrap();
    };

    publish(&[0]);
    let mut provider = Provider::start(0, &keys);
    let address = provider.address;
    let state = directory.path().join("state");
    let service = TestService::start(config(address, &state)).await;
    service.until_ready().await;
    let before = token(address).await;
    assert_eq!(kid(&before), "first");
    assert!(service.ask_with(&before).await.is_allowed());
    let fetches = || service.metric(&["claimgate_jwks_refresh_total"]);
    let fetches_before = fetches().await;

    // The first one signs; the old one stays published.
    provider.stop();
    publish(&[1, 0]);
    provider = Provider::start(address.port(), &keys);
    let after = token(address).await;
    assert_eq!(kid(&after), "second");
    assert!(service.ask_with(&after).await.is_allowed(), "a rotated key, on its first use");
    assert!(service.ask_with(&before).await.is_allowed(), "the old key is still published");
    assert_eq!(fetches().await - fetches_before, 1.0);

    provider.stop();
    for token in [&before, &after] {
        assert!(service.ask_with(token).await.is_allowed(), "in an outage");
    }
    service.stop().await.unwrap();

    let service = TestService::start(config(address, &state)).await;
    service.until_ready().await;
    for token in [&before, &after] {
        assert!(service.ask_with(token).await.is_allowed(), "restarted in an outage");
    }
    let failed = r#"result="unreachable""#;
    eventually("refused", async || {
        service.metric(&["claimgate_jwks_refresh_total", failed]).await > 0.0
    })
    .await;
    assert!(service.ask_with(&after).await.is_allowed(), "after a refresh that failed");
    assert_eq!(service.source_status().await["origin"], "disk");
    service.stop().await.unwrap();
}

/// The intervals are so long that no refresh is due while the test runs.
fn config(provider: SocketAddr, state: &Path) -> Value {
    json!({
        "profile": "development",
        "state_dir": state,
        "issuers": [{
            "name": "accounts", "issuer": format!("http://{provider}"), "audiences": ["orders"],
            "algorithms": ["RS256"], "keys": [{"discovery": true}],
            "refresh": {"interval": "1h", "min": "1h", "unknown_kid_wait": "5s"},
        }],
        "rules": [{"name": "all", "match": {"path_prefix": "/"}, "require": {"issuer": "accounts"}}],
    })
}

/// An access token as a client of the provider gets it.
async fn token(provider: SocketAddr) -> String {
    let credentials = STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1));
    let headers = [
        ("authorization", format!("Basic {credentials}")),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let form = "grant_type=client_credentials&resource=urn:orders&scope=orders:read";
    let (status, answer) = send(provider, "POST", "/token", &headers, form).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let token = answer["access_token"].as_str().unwrap();
    kept::token(token);
    kept::secret(&credentials);
    token.to_owned()
}

fn kid(token: &str) -> String {
    let (header, _) = token.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// A private JWK Set with new keys under these IDs.
fn make_keys(kids: &[&str]) -> Value {
    let output = node().arg("keys.mjs").args(kids).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The provider, running until it is stopped or dropped.
struct Provider {
    address: SocketAddr,
    process: Child,
}

impl Provider {
    fn start(port: u16, keys: &Path) -> Self {
        let mut command = node();
        command.arg("server.mjs").arg(modules()).arg(port.to_string()).arg(keys);
        command.args([CLIENT.0, CLIENT.1]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().expect("it says its port, unless it could not start");
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), process }
    }

    /// Ends it and waits until its port is free.
    fn stop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // Fails when it has ended, which is what is wanted.
        let _ended = self.process.kill().is_err();
        let _reaped = self.process.wait().is_ok();
    }
}

fn node() -> Command {
    let mut command = Command::new("node");
    command.current_dir(Path::new(ROOT).join(FOLDER));
    command
}

/// The folder that the installation script filled.
fn modules() -> PathBuf {
    let package = fs::read_to_string(Path::new(ROOT).join(FOLDER).join("package.json")).unwrap();
    let package: Value = serde_json::from_str(&package).unwrap();
    let version = package["dependencies"]["oidc-provider"].as_str().unwrap();
    let modules = Path::new(ROOT).join(format!(".tools/oidc-provider-{version}/node_modules"));
    assert!(modules.exists(), "{} is missing: run {FOLDER}/install.sh", modules.display());
    modules
}
