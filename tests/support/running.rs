//! The binary as a process that listens on Unix sockets in a directory of its own: for what would end a test's process
//! as well, and for what is measured from outside.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use claimgate::proto::envoy::service::auth::v3::CheckResponse;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::authority::channel;
use crate::kept;
use crate::service::{PATIENCE, check, eventually, request};

/// A running claimgate, ended with this.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) directory: TempDir,
}

impl Running {
    /// `prepared` is what a shell does before it becomes claimgate, `ulimit` for one.
    pub(crate) async fn start(config: &Value, prepared: &str, stderr: impl Into<Stdio>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listen = ["grpc", "admin"].map(|name| directory.path().join(name));
        let file = directory.path().join("claimgate.yaml");
        let mut config = config.clone();
        let [grpc, admin] = listen.map(|path| format!("unix://{}", path.display()));
        config["listen"] = json!({"grpc": grpc, "admin": admin});
        fs::write(&file, config.to_string()).unwrap();
        let child = Command::new("/bin/sh")
            .args([
                "-c",
                &format!("{prepared}\nexec \"$@\""),
                "sh",
                env!("CARGO_BIN_EXE_claimgate"),
            ])
            .args(["serve", "--drain-delay", "0", "--log-sample", "1", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(kept::stream("service"))
            .stderr(stderr)
            .spawn()
            .unwrap();
        let running = Self { child, directory };
        eventually("ready", async || {
            running.get("/readyz").await.is_ok_and(|page| page.starts_with("ready"))
        })
        .await;
        running
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A page of the admin port.
    pub(crate) async fn get(&self, page: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(self.path("admin")).await?;
        let request = format!("GET {page} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer")?;
        kept::page(&answer);
        let (_, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(body.to_owned())
    }

    pub(crate) async fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").await.unwrap()).unwrap()
    }

    /// The first series of `/metrics` that begins so.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let page = self.get("/metrics").await.unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        let line = line.unwrap_or_else(|| panic!("no {series} in\n{page}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// A connection of its own.
    pub(crate) fn channel(&self) -> Channel {
        let path = self.path("grpc");
        channel(move || UnixStream::connect(path.clone()))
    }

    /// A field of Linux's /proc/PID/status, in bytes.
    pub(crate) fn memory(&self, field: &str) -> usize {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
    }

    /// How many files it has open.
    pub(crate) fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        eventually("ended", async || self.child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already, or gone now.
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
    }
}

/// What is asked in these tests.
pub(crate) async fn ask(channel: &Channel) -> CheckResponse {
    timeout(PATIENCE, check(channel.clone(), request("GET", "/healthz", &[])))
        .await
        .expect("an answer")
}
