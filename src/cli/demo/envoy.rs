//! A real Envoy as a child process: started with a configuration, waited for, and gone when dropped.
//!
//! It knows the configuration only as a value to write to a file; [`super::envoy_config`] makes it. Started
//! by [`super::world`].

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

use super::client;
use super::wait::{TimedOut, wait_until};

/// Envoy starts in well under a second; a loaded machine gets more.
const START: Duration = Duration::from_secs(30);
/// How much of Envoy's log a failure shows.
const LOG_LINES: usize = 20;

/// Why there is no Envoy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvoyError {
    #[error(
        "there is no Envoy at `{}`. deploy/demo.sh installs Envoy 1.40 and runs the demo with it; \
         or give the path of one with --envoy PATH",
        .0.display()
    )]
    NotFound(PathBuf),
    #[error("cannot run Envoy at `{}`: {error}", .path.display())]
    Spawn { path: PathBuf, error: io::Error },
    #[error("cannot write Envoy's configuration: {0}")]
    Write(#[source] io::Error),
    #[error("Envoy ended at once ({status}). The end of its log:\n{log}")]
    Exited { status: ExitStatus, log: String },
    #[error("{error}. The end of Envoy's log:\n{log}")]
    NotReady { error: TimedOut, log: String },
}

/// A running Envoy. Dropping it kills the process and removes its directory.
#[derive(Debug)]
pub(super) struct Envoy {
    // Before the directory: fields are dropped in this order.
    child: Child,
    directory: Directory,
}

impl Envoy {
    /// Starts the Envoy at `path` with `config`. It is not ready yet.
    pub(super) fn start(path: &Path, config: &Value) -> Result<Self, EnvoyError> {
        let directory = Directory::create().map_err(EnvoyError::Write)?;
        let file = directory.join("envoy.json");
        fs::write(&file, config.to_string()).map_err(EnvoyError::Write)?;
        let access_log =
            fs::File::create(directory.join("access.log")).map_err(EnvoyError::Write)?;
        let child = Command::new(path)
            .arg("--config-path")
            .arg(&file)
            .arg("--log-path")
            .arg(directory.join("envoy.log"))
            .arg("--admin-address-path")
            .arg(directory.join("admin"))
            // Several demos on one machine must not meet in shared memory.
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            // The access log is looked at while the demo runs; the default is ten seconds.
            .args(["--file-flush-interval-msec", "100"])
            .stdin(Stdio::null())
            .stdout(access_log)
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let path = path.to_owned();
                if error.kind() == io::ErrorKind::NotFound {
                    return EnvoyError::NotFound(path);
                }
                EnvoyError::Spawn { path, error }
            })?;
        Ok(Self { child, directory })
    }

    /// Waits until each of the named listeners is up, and says where.
    pub(super) async fn listeners<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> Result<[SocketAddr; N], EnvoyError> {
        let mut found = None;
        let mut exited = None;
        let ready = wait_until("Envoy's listeners", START, async || {
            exited = self.child.try_wait().ok().flatten();
            found = self.look_up(names).await;
            found.is_some() || exited.is_some()
        })
        .await;
        match (ready, exited, found) {
            (_, Some(status), _) => Err(EnvoyError::Exited { status, log: self.log() }),
            (Ok(()), None, Some(addresses)) => Ok(addresses),
            (Err(error), None, _) => Err(EnvoyError::NotReady { error, log: self.log() }),
            (Ok(()), None, None) => Err(EnvoyError::NotReady {
                error: TimedOut { what: "Envoy's listeners".to_owned(), bound: START },
                log: self.log(),
            }),
        }
    }

    /// Whether the access log holds `text`.
    pub(super) fn access_log_holds(&self, text: &str) -> bool {
        fs::read_to_string(self.directory.join("access.log")).is_ok_and(|log| log.contains(text))
    }

    /// Where its configuration and logs are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// Kills the process and waits until it is gone.
    pub(super) async fn stop(mut self) -> io::Result<()> {
        self.child.kill().await
    }

    async fn look_up<const N: usize>(&self, names: [&str; N]) -> Option<[SocketAddr; N]> {
        let admin = fs::read_to_string(self.directory.join("admin")).ok()?;
        let admin = admin.trim().parse().ok()?;
        // /ready: LIVE once the first health checks are through and the workers listen.
        if client::get(admin, "/ready").await.ok()?.status != 200 {
            return None;
        }
        let listeners = client::get(admin, "/listeners?format=json").await.ok()?.json()?;
        let mut addresses = Vec::new();
        for name in names {
            let mut all = listeners["listener_statuses"].as_array()?.iter();
            let listener = all.find(|listener| listener["name"] == name)?;
            let socket = listener.pointer("/local_address/socket_address")?;
            let ip = socket["address"].as_str()?.parse().ok()?;
            let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
            addresses.push(SocketAddr::new(ip, port));
        }
        addresses.try_into().ok()
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.join("envoy.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}

/// A directory that only we can read, removed when dropped.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn create() -> io::Result<Self> {
        let name = format!("claimgate-demo-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        // Fails if it exists: somebody else's directory is not ours to use.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn join(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "the demo's temporary directory stays behind");
        }
    }
}
