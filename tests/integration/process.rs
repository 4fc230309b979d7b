//! The binary as a process: what signals do. Everything else about the service is tried in this process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::kept;
use crate::provider::Provider;
use crate::service::{PATIENCE, eventually};

// The provider runs beside the test, which blocks while it reads the log.
#[tokio::test(flavor = "multi_thread")]
async fn sighup_has_the_keys_read_again_and_sigterm_ends_in_good_order() {
    let provider = Provider::start().await;
    let mut config = provider.config();
    // No schedule reads within the time of this test; the provider asks for a second and gets an hour.
    config["issuers"][0]["refresh"] = json!({"interval": "1h", "min": "1h"});
    let mut process = Process::serve(&config);
    process.until_logged("ready");
    provider.issuer.set_down(true);
    process.signal(Signal::HUP);
    eventually("read again", async || provider.issuer.withheld() > 0).await;
    process.until_logged("reading keys and configuration again");
    process.signal(Signal::TERM);
    process.until_logged("ended");
    assert!(process.child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_takes_the_programs_that_print_keys_with_it() {
    let provider = Provider::start().await;
    let mut config = provider.config();
    let directory = tempfile::tempdir().unwrap();
    // Each makes a file that is called like its process.
    let script = "> $1/$$; exec sleep 600";
    let source = json!({"command": ["/bin/sh", "-c", script, "sh", directory.path()]});
    config["issuers"][0]["keys"] = json!(vec![source; PROGRAMS]);
    config["issuers"][0]["refresh"] = json!({"timeout": "60s"});
    let mut process = Process::serve_with(&config, "600");
    let pids = || {
        let files = std::fs::read_dir(directory.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect::<Vec<_>>()
    };
    eventually("running", async || pids().len() == PROGRAMS).await;
    process.signal(Signal::TERM);
    process.until_logged("shutting down");
    process.signal(Signal::TERM);
    assert!(!process.child.wait().unwrap().success());
    // Of one that nobody has waited for yet there is no command line any more.
    let is_gone = |pid: &String| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline"));
        line.map_or(true, |line| line.is_empty())
    };
    eventually("gone", async || pids().iter().all(is_gone)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_as_many_as_there_are_processors_for_them_or_as_many_as_were_asked_for() {
    let provider = Provider::start().await;
    // The first that this test may run on itself: 0 is not in every container's set.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = allowed.unwrap().trim().split(['-', ',']).next().unwrap();
    let (pinned, asked) = (["taskset", "-c", first], ["--workers", "3"]);
    for (before, args, workers) in [(&pinned[..], &[][..], 1), (&pinned, &asked, 3)] {
        let process = Process::start(before, &provider.config(), args);
        assert_eq!(process.until_logged("listening")["workers"], workers);
    }
}

const PROGRAMS: usize = 8;

/// A running claimgate, ended with this.
struct Process {
    child: Child,
    log: Receiver<String>,
    _directory: tempfile::TempDir,
}

impl Process {
    fn serve(config: &Value) -> Self {
        Self::serve_with(config, "0")
    }

    fn serve_with(config: &Value, drain_delay: &str) -> Self {
        Self::start(&[], config, &["--drain-delay", drain_delay])
    }

    /// `before` is a program that becomes claimgate, and its arguments.
    fn start(before: &[&str], config: &Value, args: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("claimgate.yaml");
        let mut config = config.clone();
        config["listen"] = json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"});
        std::fs::write(&file, config.to_string()).unwrap();
        let words = [before, &[env!("CARGO_BIN_EXE_claimgate"), "serve"], args].concat();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(kept::stream("service"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, log) = channel();
        let _ends_with_the_process = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept::logged(format!("{line}\n").as_bytes());
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, log, _directory: directory }
    }

    /// Reads the log up to a line with this message, and returns that. A process that ends without it fails the test.
    fn until_logged(&self, message: &str) -> Value {
        let mut seen = String::new();
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("it never said {message:?}:\n{seen}"));
            seen.push_str(&line);
            seen.push('\n');
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["fields"]["message"] == message || line["message"] == message {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already, or gone now.
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
    }
}
