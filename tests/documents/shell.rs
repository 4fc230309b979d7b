//! The shell that a reader types into: one for a whole page, so that variables, functions and programs in the background
//! are there for the next command. What it started ends with it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use claimgate::util::clock::Stopwatch;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::kept;

/// For one command.
const PATIENCE: Duration = Duration::from_secs(60);

/// Printed behind the output of every command.
const END: &str = "--- the command has ended";

pub(crate) struct Shell {
    bash: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    /// In `folder`, where `claimgate` is the one that was built for the tests.
    pub(crate) fn new(folder: &Path) -> Self {
        let binaries = Path::new(env!("CARGO_BIN_EXE_claimgate")).parent().unwrap();
        let mut bash = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder)
            // So that all of it can be ended together.
            .process_group(0)
            .env("BINARIES", binaries)
            .env("LC_ALL", "C")
            .env_remove("CLAIMGATE_CONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(bash.stdout.take().unwrap());
        let (sender, lines) = channel();
        // Ends with the last program that has the shell's output.
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut shell = Self { input: bash.stdin.take().unwrap(), bash, lines };
        shell.types("exec 2>&1; PATH=\"$BINARIES:$PATH\"");
        shell
    }

    /// What `command` prints on both streams.
    pub(crate) fn types(&mut self, command: &str) -> Vec<String> {
        // From a file of its own: what reads standard input must not read the next command. The line break is for output
        // that has none at its end.
        writeln!(self.input, "{{ {command}\n}} </dev/null\nprintf '\\n%s\\n' '{END}'").unwrap();
        let (mut printed, since) = (Vec::new(), Stopwatch::start());
        loop {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(since.elapsed())) {
                Ok(line) if line == END => break,
                Ok(line) => printed.push(line),
                Err(error) => panic!("{command}: {error}, after\n{}", printed.join("\n")),
            }
        }
        if printed.last().is_some_and(String::is_empty) {
            printed.pop();
        }
        kept::line(&printed.join("\n"));
        printed
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = i32::try_from(self.bash.id()).ok().and_then(Pid::from_raw);
        let _gone = group.is_some_and(|group| kill_process_group(group, Signal::KILL).is_err());
        let _gone = self.bash.wait().is_err();
    }
}
