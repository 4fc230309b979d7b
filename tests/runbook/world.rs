//! What the runbook's reader has: a directory, an identity provider that serves `jwks.json` out of it, claimgate, and
//! time that passes when a comment says so. The service is the real one, with the production settings of the
//! runbook, but for `profile: development`: the provider here speaks plain HTTP.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use claimgate::app::Options;
use claimgate::config::Config;
use claimgate::issuer::forgery;
use claimgate::keys::lifecycle::directory::KeyDirectory;
use claimgate::util::clock::{Clock as _, ManualClock, SystemClock, UnixTime};
use claimgate::util::rfc3339::{parse_rfc3339, rfc3339};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::document::Step;
use crate::kept;
use crate::kept::mint;
use crate::output::matches;
use crate::service::{Answer, PATIENCE, TestService, eventually};

/// As the runbook writes them.
const JWKS_URL: &str = "https://accounts.example.com/.well-known/jwks.json";
const ADMIN: &str = "127.0.0.1:9193";

pub(crate) struct World {
    folder: TempDir,
    clock: Arc<ManualClock>,
    provider: SocketAddr,
    provider_up: Arc<AtomicBool>,
    service: Option<TestService>,
    tokens: HashMap<String, String>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let provider_up = Arc::new(AtomicBool::new(true));
        let provider = serve(folder.path().join("jwks.json"), Arc::clone(&provider_up)).await;
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        Self { folder, clock, provider, provider_up, service: None, tokens: HashMap::new() }
    }

    pub(crate) async fn take(&mut self, step: &Step, place: &str) {
        match step {
            Step::Run(command) => {
                let (printed, success) = self.run(command).await;
                assert!(success, "{place}: {command}\n{printed}");
            }
            Step::File { name, content } => {
                fs::write(self.folder.path().join(name), content).unwrap();
            }
            Step::Service => self.start().await,
            Step::Provider { up } => self.provider_up.store(*up, Ordering::SeqCst),
            Step::Later(by) => self.later(*by),
            Step::Token { name, hs256 } => {
                let token = self.token(*hs256);
                self.tokens.insert(name.clone(), token);
            }
            Step::Answer { token, status, reason } => {
                self.answers(token, *status, reason, place).await;
            }
            Step::Command { command, output, until } => {
                self.prints(command, output, *until, place).await;
            }
        }
    }

    pub(crate) async fn end(self) {
        kept::folder(self.folder.path());
        if let Some(service) = self.service {
            service.stop().await.unwrap();
        }
    }

    /// Starts claimgate with the file as it is now; one that runs is stopped before.
    async fn start(&mut self) {
        if let Some(running) = self.service.take() {
            running.stop().await.unwrap();
        }
        let written = fs::read_to_string(self.folder.path().join("claimgate.yaml")).unwrap();
        let url = format!("http://{}/jwks.json", self.provider);
        assert!(written.contains(JWKS_URL));
        let yaml = format!(
            "profile: development\nlisten: {{grpc: '127.0.0.1:0', admin: '127.0.0.1:0'}}\n{}",
            written.replace(JWKS_URL, &url)
        );
        let config = Config::from_yaml(&yaml, self.folder.path()).unwrap();
        let options = Options {
            clock: Arc::clone(&self.clock) as _,
            drain_delay: Duration::ZERO,
            ..Options::default()
        };
        self.service = Some(TestService::run(config, options).await);
    }

    /// For the service time moves on; for the key directory what has happened moves back.
    fn later(&self, by: Duration) {
        self.clock.advance(by);
        let path = self.folder.path().join("keys/manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for key in manifest["keys"].as_array_mut().unwrap() {
            for transition in key["transitions"].as_array_mut().unwrap() {
                let at = parse_rfc3339(transition["at"].as_str().unwrap()).unwrap();
                let by = i64::try_from(by.as_millis()).unwrap();
                let earlier = UnixTime::from_millis(at.as_millis() - by);
                transition["at"] = json!(rfc3339(earlier));
            }
        }
        fs::write(path, format!("{manifest:#}\n")).unwrap();
    }

    fn token(&self, hs256: bool) -> String {
        let now = self.clock.now().as_millis() / 1000;
        let claims = json!({
            "iss": "https://accounts.example.com", "aud": "orders", "sub": "alice",
            "iat": now, "exp": now + 24 * 3600,
        });
        if hs256 {
            let secret = fs::read(self.folder.path().join("hs256.secret")).unwrap();
            kept::secret(String::from_utf8_lossy(&secret).trim());
            return forgery::keyed_with_public(&secret, "any", &claims).unwrap();
        }
        let keys = KeyDirectory::read(&self.folder.path().join("keys")).unwrap();
        mint(&keys.signing_key().unwrap().expect("an active key"), &claims).unwrap()
    }

    async fn answers(&self, token: &str, status: i32, reason: &str, place: &str) {
        let service = self.service.as_ref().expect("a service that was started");
        let token = &self.tokens[token];
        let right = |answer: &Answer| match status {
            200 => answer.is_allowed(),
            _ => *answer == Answer::denied(status, reason),
        };
        // Keys are read in the background.
        let what = format!("{place}: {status} {reason}");
        eventually(&what, async || right(&service.ask_with(token).await)).await;
    }

    async fn prints(&self, command: &str, output: &[String], until: bool, place: &str) {
        let mut last = String::new();
        let looking = async {
            loop {
                let (printed, success) = self.run(command).await;
                let lines: Vec<&str> = printed.lines().collect();
                if success && matches(output, &lines) {
                    return;
                }
                last = format!("exit code 0: {success}\n{printed}");
                assert!(until, "{place}: {command}\n{last}");
                sleep(Duration::from_millis(50)).await;
            }
        };
        let found = timeout(PATIENCE, looking).await;
        assert!(found.is_ok(), "{place}: never as shown: {command}\n{last}");
    }

    /// What a command prints on both streams, and whether it exits with 0.
    async fn run(&self, command: &str) -> (String, bool) {
        let binary = Path::new(env!("CARGO_BIN_EXE_claimgate"));
        let admin =
            self.service.as_ref().map_or_else(|| ADMIN.to_owned(), |it| it.admin.to_string());
        let script =
            format!("exec 2>&1\nPATH=\"$BINARIES:$PWD:$PATH\"\n{}", command.replace(ADMIN, &admin));
        let mut shell = Command::new("bash");
        shell.args(["-c", &script]).current_dir(self.folder.path()).stdin(Stdio::null());
        shell.env("BINARIES", binary.parent().unwrap()).env("LC_ALL", "C").kill_on_drop(true);
        let output = timeout(PATIENCE, shell.output()).await.expect(command).unwrap();
        kept::printed(&output);
        (String::from_utf8(output.stdout).unwrap(), output.status.success())
    }
}

/// An identity provider that publishes `file`, or answers 503.
async fn serve(file: PathBuf, up: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move || {
        let (file, up) = (file.clone(), up.load(Ordering::SeqCst));
        async move {
            if up { published(&file) } else { StatusCode::SERVICE_UNAVAILABLE.into_response() }
        }
    };
    let router = Router::new().route("/jwks.json", get(answer));
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    let _detached = tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn published(file: &Path) -> Response {
    match fs::read(file) {
        Ok(document) => ([("content-type", "application/jwk-set+json")], document).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
