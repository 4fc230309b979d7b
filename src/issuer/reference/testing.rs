//! A small issuer for tests: a key directory, three clients, a clock that stands still, no port.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::secret_hash::SecretHash;
use super::settings::{
    Client, IssuerSettings, RateLimits, RefreshSettings, RevocationSettings, Scope,
};
use super::{KeyRing, ReferenceIssuer};
use crate::keys::lifecycle::manifest::Kid;
use crate::keys::lifecycle::steps::{self, Options};
use crate::keys::signing::KeyType;
use crate::revocation::RevocationEntry;
use crate::revocation::file::read_entries;
use crate::telemetry::metrics::IssuerMetrics;
use crate::util::clock::{Clock as _, ManualClock, UnixTime};
use crate::util::label::Label;

/// Of every client.
pub(crate) const SECRET: &str = "a-secret-that-every-client-of-a-test-has";

pub(crate) const ISSUER: &str = "https://id.example.com";

/// When tests begin.
pub(crate) const NOW: UnixTime = UnixTime::from_millis(1_800_000_000_000);

static HASH: LazyLock<SecretHash> = LazyLock::new(|| SecretHash::of(SECRET.as_bytes()).unwrap());

fn client(place: usize, id: &str, refresh_tokens: bool) -> Client {
    let scopes = ["orders:read", "orders:write", "stock:read"].map(|s| Scope::parse(s).unwrap());
    Client {
        label: Label::new(place, id),
        secrets: vec![HASH.clone()],
        subject: format!("service:{id}"),
        default_scopes: scopes[..1].to_vec(),
        scopes: scopes.into(),
        audiences: vec!["orders".to_owned(), "https://stock.example.com/".to_owned()],
        roles: vec!["reader".to_owned()],
        lifetime: Duration::from_secs(300),
        refresh_tokens,
    }
}

/// With `worker`, `agent`, which gets refresh tokens, and `spy`, who does, too; keys beside the file of revocations.
pub(crate) fn settings(revocations: &Path) -> IssuerSettings {
    IssuerSettings {
        issuer: ISSUER.to_owned(),
        path: String::new(),
        key_dir: revocations.with_file_name("keys"),
        clients: vec![client(0, "worker", false), client(1, "agent", true), client(2, "spy", true)],
        lifetime: Duration::from_secs(300),
        refresh: RefreshSettings::default(),
        revocation: RevocationSettings::File(revocations.to_owned()),
        limits: RateLimits { client_attempts: 1000, attempts: 1000, ..RateLimits::default() },
    }
}

/// The issuer, and what it stands on.
pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) issuer: ReferenceIssuer,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) metrics: Arc<IssuerMetrics>,
    ring: Arc<ArcSwap<KeyRing>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answered {
    pub(crate) fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {self:?}")).to_owned()
    }

    /// Status and error.
    pub(crate) fn refused(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings.
    pub(crate) fn with(change: impl FnOnce(&mut IssuerSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        generate(&folder.path().join("keys"), KeyType::Ed25519, "k1");
        Self::begin(folder, change)
    }

    /// Another process with the same files, as configured in the beginning.
    pub(crate) fn started_again(self) -> Self {
        Self::begin(self.folder, |_| {})
    }

    fn begin(folder: TempDir, change: impl FnOnce(&mut IssuerSettings)) -> Self {
        let mut settings = settings(&folder.path().join("revocations"));
        change(&mut settings);
        let ring = KeyRing::load(&settings.key_dir, settings.lifetime).unwrap();
        let ring = Arc::new(ArcSwap::from_pointee(ring));
        let (clock, metrics) =
            (Arc::new(ManualClock::new(NOW)), Arc::new(IssuerMetrics::new("production")));
        let (counted, timed) = (Arc::clone(&metrics), Arc::clone(&clock));
        let issuer = ReferenceIssuer::new(settings, Arc::clone(&ring), counted, timed).unwrap();
        Self { folder, issuer, clock, metrics, ring }
    }

    pub(crate) fn key_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("keys")
    }

    /// One step of a rotation, by force, in force at once.
    pub(crate) fn rotate(&self) {
        let options = Options { force: true, ..Options::default() };
        steps::rotate(&self.key_dir(), &options, self.clock.now()).unwrap();
        self.reload();
    }

    /// As a follower of the directory does it.
    pub(crate) fn reload(&self) {
        self.ring.store(Arc::new(KeyRing::read(&self.key_dir()).unwrap()));
    }

    pub(crate) fn clock_seconds(&self) -> i64 {
        self.clock.now().as_millis() / 1000
    }

    /// Everything that is revoked.
    pub(crate) fn revoked(&self) -> Vec<RevocationEntry> {
        let path = self.folder.path().join("revocations");
        if path.exists() { read_entries(&path).unwrap() } else { Vec::new() }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let answer = self.issuer.router().oneshot(request).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Answered { status, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// A form, from a client with its secret.
    pub(crate) async fn post(&self, path: &str, client: &str, body: &str) -> Answered {
        let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{SECRET}")));
        self.send(form(path, &[("authorization", &basic)], body)).await
    }

    /// A token with what the client gets without asking.
    pub(crate) async fn token(&self, client: &str) -> Answered {
        let answer = self.post("/token", client, "grant_type=client_credentials").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str) -> Answered {
        let body = format!("grant_type=refresh_token&refresh_token={token}");
        self.post("/token", client, &body).await
    }
}

/// A form with other headers than a client's.
pub(crate) fn form(path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::post(path);
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// Makes a key, in a directory that need not be there.
pub(crate) fn generate(directory: &Path, key_type: KeyType, kid: &str) {
    let options = Options { key_type: Some(key_type), kid: Kid::parse(kid), ..Options::default() };
    steps::generate(directory, &options, NOW).unwrap();
}

/// Header or claims of a token.
pub(crate) fn segment(token: &str, index: usize) -> Value {
    let text = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}
