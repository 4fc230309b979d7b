//! A real Redis on this machine, of its own: on a Unix socket or a loopback port, ended by its own process id. Needs what
//! `tests/redis/install.sh` installs, and fails without.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server, or a Sentinel. Killed when it is dropped.
pub(crate) struct RedisServer {
    pub(crate) directory: TempDir,
    is_sentinel: bool,
    arguments: Vec<String>,
    child: Option<Child>,
    /// 0: it has only its socket.
    pub(crate) port: u16,
}

/// Starting takes a moment, and longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

impl RedisServer {
    /// One on a Unix socket, which keeps what it has over a restart.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more of a configuration.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut server = Self::new(false, 0, arguments);
        assert!(server.try_start(), "redis-server does not start:\n{}", server.log());
        server
    }

    /// One on a loopback port as well.
    pub(crate) fn start_on_a_port(arguments: &[&str]) -> Self {
        // Nobody else takes a port that was free a moment ago, or hardly ever.
        for _ in 0..5 {
            let mut server = Self::new(false, free_port(), arguments);
            if server.try_start() {
                return server;
            }
        }
        panic!("no port is free for redis-server");
    }

    fn new(is_sentinel: bool, port: u16, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { directory, is_sentinel, arguments, child: None, port }
    }

    /// A Sentinel that watches a server on a port.
    pub(crate) fn sentinel(master: &str, watched: &Self) -> Self {
        Self::sentinel_with(master, watched.port, &[])
    }

    /// The same for a server on this port, with more of a configuration.
    pub(crate) fn sentinel_with(master: &str, watched: u16, arguments: &[&str]) -> Self {
        for _ in 0..5 {
            let mut sentinel = Self::new(true, free_port(), arguments);
            let configuration = format!(
                "sentinel monitor {master} 127.0.0.1 {watched} 1\n\
                 sentinel down-after-milliseconds {master} 500\n\
                 sentinel failover-timeout {master} 3000\n"
            );
            fs::write(sentinel.directory.path().join("sentinel.conf"), configuration).unwrap();
            if sentinel.try_start() {
                return sentinel;
            }
        }
        panic!("no port is free for a Sentinel");
    }

    /// Starts it again after [`Self::kill`].
    pub(crate) fn start_again(&mut self) {
        assert!(self.try_start(), "it does not start again:\n{}", self.log());
    }

    fn try_start(&mut self) -> bool {
        let directory = self.directory.path();
        let log = File::create(directory.join("log")).unwrap();
        let mut command = Command::new(executable());
        if self.is_sentinel {
            command.arg(directory.join("sentinel.conf")).arg("--sentinel");
        } else {
            command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
            command.args(["--enable-debug-command", "yes"]);
        }
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.arg("--dir").arg(directory).arg("--unixsocket").arg(self.socket());
        command.args(["--daemonize", "no"]).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let _none = fs::remove_file(self.socket()).is_err();
        self.child = Some(command.spawn().unwrap());
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            if self.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                self.child = None;
                return false;
            }
            // "NOAUTH" is an answer; LOADING is one as well, but not yet a good one.
            if let Ok(mut connection) = self.client().get_connection() {
                match redis::cmd("PING").query::<String>(&mut connection) {
                    Err(error) if error.code() == Some("LOADING") => {}
                    Ok(_) | Err(_) => return true,
                }
            }
            sleep(Duration::from_millis(20));
            waited += Duration::from_millis(20);
        }
        false
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// For `url`.
    pub(crate) fn unix_url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// For `url`.
    pub(crate) fn tcp_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn client(&self) -> redis::Client {
        redis::Client::open(self.unix_url()).unwrap()
    }

    /// The outcome of a command, by a client that is none of ours.
    pub(crate) fn run(&self, command: &[&str]) -> redis::RedisResult<redis::Value> {
        let mut connection = self.client().get_connection()?;
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name).arg(arguments).query(&mut connection)
    }

    /// The same, which must not be refused.
    pub(crate) fn ask(&self, command: &[&str]) -> redis::Value {
        self.run(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// At once, as a machine that fails does it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What it kept is gone.
    pub(crate) fn forget(&self) {
        let kept = self.directory.path().join("appendonlydir");
        if kept.exists() {
            fs::remove_dir_all(kept).unwrap();
        }
    }

    /// It is there and does nothing.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A loopback port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The Redis of these tests.
pub(crate) fn executable() -> PathBuf {
    let installed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/redis/redis-server");
    assert!(installed.exists(), "no Redis in .tools/redis: run tests/redis/install.sh");
    installed
}
