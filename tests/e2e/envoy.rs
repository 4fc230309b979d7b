//! A real Envoy as a child process, and the configurations that we ship, with the ports of a test in them.

use std::env::{self, VarError};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ROOT;
use crate::kept;
use crate::load::report;
use crate::service::eventually;

/// What deploy/install-envoy.sh installs unless it is asked for another.
const VERSION: &str = "1.40.0";

/// Names another one, of those that the same script installs. Set by tests/compatibility.sh.
const VERSION_VARIABLE: &str = "CLAIMGATE_TEST_ENVOY_VERSION";

/// The cluster of claimgate in what we ship.
pub(crate) const CLAIMGATE: &str = "claimgate";

/// A running Envoy, ended with this.
pub(crate) struct Envoy {
    child: Mutex<Child>,
    directory: TempDir,
    client: reqwest::Client,
}

impl Envoy {
    /// With two workers, so that claimgate has two connections at least.
    pub(crate) fn start(config: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        fs::write(place("envoy.json"), config.to_string()).unwrap();
        let child = Command::new(executable())
            // Several on one machine must not meet in shared memory.
            .args(["--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"])
            .args(["--file-flush-interval-msec", "100", "--config-path"])
            .arg(place("envoy.json"))
            .arg("--admin-address-path")
            .arg(place("admin"))
            .stdin(Stdio::null())
            .stdout(kept::file("envoy", &place("access.log")))
            .stderr(kept::file("envoy", &place("envoy.log")))
            .spawn()
            .expect("Envoy runs");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { child: Mutex::new(child), directory, client }
    }

    /// What Envoy itself says: warnings and worse.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("envoy.log")).unwrap()
    }

    /// What the access log says of every request.
    pub(crate) fn access_log(&self) -> String {
        fs::read_to_string(self.directory.path().join("access.log")).unwrap()
    }

    /// What the access log says of the last requests that did not pass.
    fn failures(&self) -> String {
        let log = self.access_log();
        let failed = log.lines().filter(|line| !line.contains("\"status\":200"));
        end_of(&failed.collect::<Vec<_>>().join("\n"))
    }

    /// A page of the admin port; `Null` as long as there is none.
    pub(crate) async fn admin(&self, page: &str) -> Value {
        let got = async {
            let address = fs::read_to_string(self.directory.path().join("admin")).ok()?;
            let answer = self.client.get(format!("http://{address}/{page}")).send().await.ok()?;
            serde_json::from_str(&answer.text().await.ok()?).ok()
        };
        got.await.unwrap_or_default()
    }

    /// Where its first listener is, once its workers listen.
    pub(crate) async fn ingress(&self) -> SocketAddr {
        let mut found = None;
        eventually("Envoy's listener", async || {
            let ended = self.child.lock().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "Envoy ended at once:\n{}", self.log());
            let info = self.admin("server_info").await;
            let listeners = self.admin("listeners?format=json").await;
            let port = "/listener_statuses/0/local_address/socket_address/port_value";
            found = listeners.pointer(port).and_then(Value::as_u64);
            info["state"] == "LIVE" && found.is_some()
        })
        .await;
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(found.unwrap()).unwrap()))
    }

    /// Which one it is, as it says itself.
    pub(crate) async fn version(&self) -> String {
        let info = self.admin("server_info").await;
        // COMMIT/VERSION/…
        info["version"].as_str().and_then(|it| it.split('/').nth(1)).unwrap().to_owned()
    }

    /// A counter or gauge by its whole name; 0 when there is none yet.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let page = self.admin(&format!("stats?format=json&filter=^{name}$")).await;
        page.pointer("/stats/0/value").and_then(Value::as_u64).unwrap_or_default()
    }

    /// The same, of the cluster of claimgate.
    pub(crate) async fn claimgate_stat(&self, name: &str) -> u64 {
        self.stat(&format!("cluster.{CLAIMGATE}.{name}")).await
    }

    /// Waits until Envoy's health checks have found so many replicas.
    pub(crate) async fn until_healthy(&self, replicas: u64) {
        let what = format!("{replicas} replicas healthy");
        eventually(&what, async || self.claimgate_stat("membership_healthy").await == replicas)
            .await;
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        // Gone already, or gone now.
        let _gone = child.kill().is_err();
        let _gone = child.wait().is_err();
        if std::thread::panicking() {
            report(&format!("Envoy said:\n{}\n{}", end_of(&self.log()), self.failures()));
        }
    }
}

/// The last lines: the first failure has the same cause, mostly, as the thousandth.
fn end_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A shipped configuration that listens on loopback at any port, and asks claimgate at these addresses. Nothing else is
/// changed.
pub(crate) fn shipped(file: &str, claimgate: &[Value]) -> Value {
    let mut config = read_yaml(&format!("deploy/envoy/{file}"));
    // Without it nobody could say which port was taken.
    assert!(config["admin"].is_null(), "{file} opens the admin port");
    config["admin"] = json!({"address": tcp(loopback())});
    config["static_resources"]["listeners"][0]["address"] = tcp(loopback());
    ask_at(&mut config, claimgate);
    config
}

/// Has claimgate asked at these addresses.
pub(crate) fn ask_at(config: &mut Value, claimgate: &[Value]) {
    let endpoints = claimgate.iter().map(|address| json!({"endpoint": {"address": address}}));
    let assignment = &mut cluster(config, CLAIMGATE)["load_assignment"];
    assignment["endpoints"][0]["lb_endpoints"] = endpoints.collect();
}

/// Has this service for an upstream.
pub(crate) fn pass_on_to(config: &mut Value, upstream: SocketAddr) {
    let assignment = &mut cluster(config, "upstream")["load_assignment"];
    assignment["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = tcp(upstream);
}

/// For tests that count: answers 200 in the upstream's place. On a busy machine the quarter of a second that a check
/// may take passes without anybody's fault, so it is given more.
pub(crate) fn for_load(mut config: Value) -> Value {
    let answer = json!([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]);
    manager(&mut config)["route_config"]["virtual_hosts"][0]["routes"] = answer;
    let ext_authz = &mut manager(&mut config)["http_filters"][1];
    assert_eq!(ext_authz["name"], "envoy.filters.http.ext_authz");
    ext_authz["typed_config"]["grpc_service"]["timeout"] = "10s".into();
    config
}

/// The HTTP connection manager of the first listener.
pub(crate) fn manager(config: &mut Value) -> &mut Value {
    let listener = &mut config["static_resources"]["listeners"][0];
    &mut listener["filter_chains"][0]["filters"][0]["typed_config"]
}

pub(crate) fn cluster<'a>(config: &'a mut Value, name: &str) -> &'a mut Value {
    let clusters = config["static_resources"]["clusters"].as_array_mut().unwrap();
    clusters.iter_mut().find(|cluster| cluster["name"] == name).expect("a cluster of that name")
}

/// As Envoy writes an address.
pub(crate) fn tcp(address: SocketAddr) -> Value {
    let (ip, port) = (address.ip().to_string(), address.port());
    json!({"socket_address": {"address": ip, "port_value": port}})
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn read_yaml(file: &str) -> Value {
    let text = fs::read_to_string(Path::new(ROOT).join(file)).expect("shipped");
    serde_saphyr::from_str(&text).expect("YAML")
}

/// The YAML that the comment at the top of a file shows: its lines that are indented.
pub(crate) fn documented(file: &str) -> Value {
    let text = fs::read_to_string(Path::new(ROOT).join(file)).expect("shipped");
    let comment = text.lines().map_while(|line| line.strip_prefix('#'));
    // A diagram is indented, too, and no YAML.
    let shown = comment.filter(|line| line.starts_with("     ") && !line.contains('▶'));
    serde_saphyr::from_str(&shown.collect::<Vec<_>>().join("\n")).expect("YAML")
}

pub(crate) fn executable() -> PathBuf {
    let version = version();
    let envoy = Path::new(ROOT).join(format!(".tools/envoy-{version}/envoy/_bin/envoy"));
    assert!(
        envoy.exists(),
        "{} is missing: run deploy/install-envoy.sh {version}",
        envoy.display()
    );
    envoy
}

#[expect(clippy::disallowed_methods, reason = "the tests' own, which claimgate never reads")]
fn version() -> String {
    match env::var(VERSION_VARIABLE) {
        Ok(version) => version,
        Err(VarError::NotPresent) => VERSION.to_owned(),
        Err(error) => panic!("{VERSION_VARIABLE}: {error}"),
    }
}
