//! A real Envoy as a child process: started with a configuration, waited for, and gone when dropped.
//!
//! It knows the configuration only as a value to write to a file; [`super::envoy_config`] makes it. Started
//! by [`super::world`] and [`super::circle`].

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use super::client;
use super::program::{Kind, Program, ProgramError};

const ENVOY: Kind = Kind {
    name: "Envoy",
    hint: "deploy/demo.sh installs Envoy 1.40 and runs the demo with it; or give the path of one with --envoy PATH",
};

/// A running Envoy. Dropping it kills the process and removes its directory.
#[derive(Debug)]
pub(super) struct Envoy {
    // Before the directory: fields are dropped in this order.
    program: Program,
    directory: TempDir,
}

impl Envoy {
    /// Starts the Envoy at `path` with `config`. It is not ready yet.
    pub(super) fn start(path: &Path, config: &Value) -> Result<Self, ProgramError> {
        let directory = ENVOY.directory()?;
        let place = |name: &str| directory.path().join(name);
        let file = place("envoy.json");
        fs::write(&file, config.to_string()).map_err(|error| ENVOY.unprepared(error))?;
        let (mut command, access_log) = ENVOY.prepare(path, &place("access.log"))?;
        command
            .arg("--config-path")
            .arg(&file)
            .arg("--log-path")
            .arg(place("envoy.log"))
            .arg("--admin-address-path")
            .arg(place("admin"))
            // Several demos on one machine must not meet in shared memory.
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            // The access log is looked at while the demo runs; the default is ten seconds.
            .args(["--file-flush-interval-msec", "100"])
            .stdout(access_log)
            .stderr(Stdio::null());
        let program = Program::start(ENVOY, &mut command, place("envoy.log"))?;
        Ok(Self { program, directory })
    }

    /// Waits until each of the named listeners is up, and says where.
    pub(super) async fn listeners<const N: usize>(
        &mut self,
        names: [&str; N],
    ) -> Result<[SocketAddr; N], ProgramError> {
        let directory = self.directory.path();
        let look = async || look_up(directory, names).await;
        self.program.until("Envoy's listeners", look).await
    }

    /// Whether the access log holds `text`.
    pub(super) fn access_log_holds(&self, text: &str) -> bool {
        fs::read_to_string(self.directory.path().join("access.log"))
            .is_ok_and(|log| log.contains(text))
    }

    /// Where its configuration and logs are.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills the process and waits until it is gone.
    pub(super) async fn stop(mut self) -> Result<(), ProgramError> {
        self.program.kill().await
    }
}

async fn look_up<const N: usize>(directory: &Path, names: [&str; N]) -> Option<[SocketAddr; N]> {
    let admin = fs::read_to_string(directory.join("admin")).ok()?;
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
