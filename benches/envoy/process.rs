//! One Envoy with one worker, as a process of its own, until it is dropped.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::config::{self, Filter};
use crate::load::servers;
use crate::machine::{self, Place};
use crate::memory::free_port;
use crate::{Args, BoxError, timing};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Envoy {
    /// One for each filter.
    pub(super) listeners: Vec<SocketAddr>,
    child: Child,
    directory: TempDir,
}

impl Envoy {
    pub(super) fn start(
        args: &Args,
        path: &Path,
        filters: &[Filter],
        jwk: &Value,
    ) -> Result<Self, BoxError> {
        let directory = tempfile::tempdir()?;
        let listeners = filters.iter().map(|_| free_port()).collect::<Result<Vec<_>, _>>()?;
        let pairs: Vec<_> = filters.iter().zip(listeners.iter().copied()).collect();
        let file = directory.path().join("envoy.json");
        fs::write(&file, config::config(&pairs, jwk).to_string())?;
        let mut command = Command::new(path);
        command.arg("--config-path").arg(&file);
        command.arg("--log-path").arg(directory.path().join("log"));
        command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = servers::start(args.machine, Place::Subject, &mut command)?;
        let mut envoy = Self { listeners, child, directory };
        envoy.wait()?;
        Ok(envoy)
    }

    pub(super) fn processor_time(&self) -> Duration {
        machine::processor_time(self.child.id())
    }

    fn wait(&mut self) -> Result<(), BoxError> {
        let took = timing::stopwatch();
        while !self.listeners.iter().all(|address| TcpStream::connect(address).is_ok()) {
            let ended = self.child.try_wait()?.is_some();
            if ended || took.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.directory.path().join("log"))?;
                return Err(format!("Envoy does not listen. Its log:\n{log}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        servers::end(&mut self.child);
    }
}
