//! A real Redis, on a Unix socket that only we can reach: started, killed, and back with what it had.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::cli::demo::program::{Kind, Program, ProgramError};

const REDIS: Kind = Kind {
    name: "redis-server",
    hint: "deploy/demo.sh gets one (Debian) and runs the demo with it; or install Redis 6 or newer (Debian, Ubuntu: \
           apt-get install redis-server; Fedora: dnf install redis; macOS: brew install redis), or give the path of one \
           with --redis PATH; or do without what needs it: --without-circle",
};

/// A running Redis. Dropping it kills the process and removes what it kept.
#[derive(Debug)]
pub(in crate::cli::demo) struct Redis {
    path: PathBuf,
    // Before the directory: fields are dropped in this order.
    program: Program,
    directory: TempDir,
}

impl Redis {
    /// Starts the Redis at `path` and waits until it answers.
    pub(in crate::cli::demo) async fn start(path: &Path) -> Result<Self, ProgramError> {
        let directory = REDIS.directory()?;
        let program = spawn(path, &directory)?;
        let mut redis = Self { path: path.to_owned(), program, directory };
        redis.until_ready().await?;
        Ok(redis)
    }

    /// As a configuration has it.
    pub(super) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(super) fn socket(&self) -> PathBuf {
        socket(&self.directory)
    }

    /// At once, as a machine that fails does it.
    pub(super) async fn kill(&mut self) -> Result<(), ProgramError> {
        self.program.kill().await
    }

    /// Starts it again after [`Self::kill`].
    pub(super) async fn start_again(&mut self) -> Result<(), ProgramError> {
        self.program = spawn(&self.path, &self.directory)?;
        self.until_ready().await
    }

    async fn until_ready(&mut self) -> Result<(), ProgramError> {
        let socket = self.socket();
        self.program.until("redis-server to answer", async || ping(&socket).await.ok()).await
    }
}

fn spawn(path: &Path, directory: &TempDir) -> Result<Program, ProgramError> {
    let log = directory.path().join("redis.log");
    let (mut command, output) = REDIS.prepare(path, &log)?;
    command
        // No port: nobody else reaches it.
        .args(["--port", "0", "--daemonize", "no", "--unixsocket"])
        .arg(socket(directory))
        .arg("--dir")
        .arg(directory.path())
        // As deploy/revocation.md has it: what is acknowledged is kept.
        .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
        .args(["--maxmemory-policy", "noeviction"])
        .stdout(output)
        .stderr(Stdio::null());
    Program::start(REDIS, &mut command, log)
}

fn socket(directory: &TempDir) -> PathBuf {
    directory.path().join("redis.sock")
}

/// An error as well while it still reads what it kept (`-LOADING`).
async fn ping(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    if &answer == b"+PONG\r\n" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
