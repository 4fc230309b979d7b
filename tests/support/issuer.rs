//! `claimgate issuer` as a process, on ports of its own, with a key directory: for tests that want the real one.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kept;
use crate::service::{eventually, send};

/// Of every client of [`config`].
pub(crate) const SECRET: &str = "a-secret-for-this-page";

/// Of [`SECRET`]. Making one takes its time.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$i2fqKsdqcftDP6CH4MaS3A$nW2ph2EYPQT3QHGmlNjnQqKGnbZa4U7QhHceqZaKR+U";

/// A running issuer, ended with this.
pub(crate) struct IssuerProcess {
    child: Child,
    pub(crate) folder: TempDir,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Two clients, of which `agent` gets refresh tokens. Ports and paths are [`IssuerProcess`]'.
pub(crate) fn config() -> Value {
    json!({
        "profile": "development",
        "key_dir": "keys",
        "revocation": {"file": "revoked.jsonl"},
        "limits": {"client_requests": 10_000, "requests": 10_000},
        "clients": [
            {
                "id": "worker", "secret_hashes": [HASH], "audiences": ["orders", "stock"],
                "scopes": ["orders:read", "stock:read"], "roles": ["reader"],
            },
            {
                "id": "agent", "secret_hashes": [HASH], "audiences": ["orders", "stock"],
                "scopes": ["orders:read"], "roles": ["reader", "writer"], "refresh_tokens": true,
            },
        ],
    })
}

/// What a token request is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl IssuerProcess {
    /// With a key of this type. Listens on 127.0.0.`host`: on an address of its own nobody else takes the ports while it
    /// is restarted.
    pub(crate) async fn start(host: u8, key_type: &str, config: Value) -> Self {
        Self::start_with(host, &["--type", key_type], config).await
    }

    /// With a key that is made with these arguments of `claimgate keys generate`.
    pub(crate) async fn start_with(host: u8, key: &[&str], config: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made =
            claimgate(folder.path(), &[&["keys", "generate", "--dir", "keys"], key].concat());
        assert!(made.0, "{}", made.1);
        kept::keys(&folder.path().join("keys"));
        let free = [0, 1].map(|_| TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap());
        let [http, admin] = free.map(|listener| listener.local_addr().unwrap());
        let mut config = config;
        config["issuer"] = format!("http://{http}").into();
        config["listen"] = json!({"http": http.to_string(), "admin": admin.to_string()});
        fs::write(folder.path().join("issuer.yaml"), config.to_string()).unwrap();
        let mut issuer = Self { child: spawn(folder.path()), folder, http, admin };
        issuer.until_ready().await;
        issuer
    }

    /// Starts it again.
    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(self.folder.path());
        self.until_ready().await;
    }

    async fn until_ready(&mut self) {
        eventually("the issuer ready", async || {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended:\n{}", self.log());
            tokio::net::TcpStream::connect(self.admin).await.is_ok()
                && send(self.admin, "GET", "/readyz", &[], "").await.0 == 200
        })
        .await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it has logged, over all its starts.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("issuer.log")).unwrap_or_default()
    }

    /// A form from a client, with its secret.
    pub(crate) async fn post(&self, path: &str, client: &str, body: &str) -> (u16, Value) {
        let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{SECRET}")));
        kept::secret(SECRET);
        kept::secret(&basic);
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [("authorization", basic.as_str()), kind];
        let (status, body) = send(self.http, "POST", path, &headers, body).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Tokens for what a client gets without asking, and for both audiences.
    pub(crate) async fn tokens(&self, client: &str) -> Tokens {
        let body = "grant_type=client_credentials&audience=orders&audience=stock";
        let (status, answer) = self.post("/token", client, body).await;
        assert_eq!(status, 200, "{answer}");
        Tokens::of(&answer)
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str) -> (u16, Value) {
        let body = format!("grant_type=refresh_token&refresh_token={token}");
        self.post("/token", client, &body).await
    }

    /// One step of a rotation, in force when this returns.
    pub(crate) async fn rotate(&self) {
        let before = self.published().await;
        let (good, told) =
            claimgate(self.folder.path(), &["keys", "rotate", "--force", "--dir", "keys"]);
        assert!(good, "{told}");
        kept::keys(&self.path("keys"));
        eventually("rotated", async || self.published().await != before).await;
    }

    /// The JWK Set.
    pub(crate) async fn published(&self) -> String {
        send(self.http, "GET", "/.well-known/jwks.json", &[], "").await.1
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().unwrap();
        self.ended().await;
    }

    async fn ended(&mut self) -> ExitStatus {
        eventually("ended", async || self.child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap()
    }
}

impl Tokens {
    pub(crate) fn of(answer: &Value) -> Self {
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let tokens = Self { access: text("access_token"), refresh: text("refresh_token") };
        kept::token(&tokens.access);
        kept::secret(&tokens.refresh);
        tokens
    }

    /// The claims of the access token, unverified.
    pub(crate) fn claims(&self) -> Value {
        let payload = self.access.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }
}

impl Drop for IssuerProcess {
    fn drop(&mut self) {
        // Gone already, or gone now.
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
    }
}

fn spawn(folder: &Path) -> Child {
    let log = kept::file("issuer", &folder.join("issuer.log"));
    Command::new(env!("CARGO_BIN_EXE_claimgate"))
        .args(["issuer", "--drain-delay", "0", "--log-level", "trace", "--config"])
        .arg(folder.join("issuer.yaml"))
        .stdin(Stdio::null())
        .stdout(kept::stream("issuer"))
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Runs a subcommand in a folder: whether it exits with 0, and what it prints.
pub(crate) fn claimgate(folder: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
    let output = command.args(args).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    kept::printed(&output);
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).unwrap())
}
