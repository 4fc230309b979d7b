//! The servers that are compared, each a process of its own: the service that does nothing, which is this program again,
//! and `claimgate serve` as cargo built it beside, with what an operator would leave at its default.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::http1;
use crate::BoxError;
use crate::machine::{self, Machine, Place};

/// The hidden argument that makes this program the service that does nothing.
pub(crate) const SERVE_NO_OP: &str = "serve-no-op";

const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) grpc: SocketAddr,
    /// Only claimgate has one.
    pub(crate) admin: Option<SocketAddr>,
    child: Child,
    /// Its configuration and its log.
    directory: TempDir,
}

impl Server {
    /// What tonic and prost cost by themselves.
    pub(crate) fn no_op(machine: Machine, place: Place) -> Result<Self, BoxError> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = command.arg(SERVE_NO_OP).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = start(machine, place, command)?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("a server without an output")?;
        BufReader::new(output).read_line(&mut line)?;
        let directory = tempfile::tempdir()?;
        Ok(Self { grpc: line.trim().parse()?, admin: None, child, directory })
    }

    /// The real service, once it is ready.
    pub(crate) fn claimgate(
        machine: Machine,
        place: Place,
        config: &Value,
    ) -> Result<Self, BoxError> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("claimgate.yaml");
        fs::write(&file, config.to_string())?;
        let log = fs::File::create(directory.path().join("log"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
        command.arg("serve").arg("--config").arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = start(machine, place, &mut command)?;
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { grpc: nowhere, admin: None, child, directory };
        server.wait()?;
        Ok(server)
    }

    pub(crate) fn processor_time(&self) -> Duration {
        machine::processor_time(self.child.id())
    }

    pub(crate) fn resident(&self) -> f64 {
        machine::resident(self.child.id()) as f64
    }

    /// One of claimgate's counters.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, BoxError> {
        let admin = self.admin.ok_or("a server without metrics")?;
        Ok(http1::metric(admin, name)?)
    }

    /// Until it says where it listens, and then that it is ready.
    fn wait(&mut self) -> Result<(), BoxError> {
        let begun = now();
        loop {
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            if let Some(listening) = log.lines().find_map(listening) {
                self.grpc = first(&listening, "grpc").ok_or("claimgate listens nowhere")?;
                self.admin = first(&listening, "admin");
            }
            let ready = self.admin.map(|admin| http1::get(admin, "/readyz"));
            if let Some(Ok((200, _))) = ready {
                return Ok(());
            }
            let ended = self.child.try_wait()?.is_some();
            if ended || begun.elapsed() > PATIENCE {
                return Err(format!("claimgate is not ready. Its log:\n{log}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Starts `command` where it is to run.
pub(crate) fn start(
    machine: Machine,
    place: Place,
    command: &mut Command,
) -> Result<Child, BoxError> {
    machine.move_to(place)?;
    let child = command.spawn();
    machine.move_to(Place::Driver)?;
    let program = Path::new(command.get_program()).display();
    Ok(child.map_err(|error| format!("cannot start {program}: {error}"))?)
}

/// Ends a process of ours, without a drain.
pub(crate) fn end(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        println!("process {} may be left over: {error}", child.id());
    }
}

/// The line that says where claimgate listens.
fn listening(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").cloned().unwrap_or(line);
    fields.get("grpc").is_some().then_some(fields)
}

fn first(listening: &Value, listener: &str) -> Option<SocketAddr> {
    let addresses = listening.get(listener)?.as_str()?;
    addresses.split(", ").find_map(|address| address.parse().ok())
}

#[expect(clippy::disallowed_methods, reason = "waiting has an end")]
fn now() -> Instant {
    Instant::now()
}
