//! The shell that a reader types into: one for a whole page, so that variables, functions and programs in the background
//! are there for the next command. What it started ends with it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// For one command.
const PATIENCE: Duration = Duration::from_secs(60);

/// Printed behind the output of every command.
const END: &str = "--- the command has ended";

pub(crate) struct Shell {
    bash: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Shell {
    /// In `folder`, where `claimgate` is the one that was built for the tests.
    pub(crate) fn new(folder: &Path) -> Self {
        let binaries = Path::new(env!("CARGO_BIN_EXE_claimgate")).parent().unwrap();
        let mut bash = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder)
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
        let mut shell = Self { input: bash.stdin.take(), bash, lines };
        shell.types("exec 2>&1; PATH=\"$BINARIES:$PATH\"");
        shell
    }

    /// What `command` prints on both streams.
    pub(crate) fn types(&mut self, command: &str) -> Vec<String> {
        let input = self.input.as_mut().unwrap();
        // From a file of its own: what reads standard input must not read the next command. The line break is for output
        // that has none at its end.
        writeln!(input, "{{ {command}\n}} </dev/null\nprintf '\\n%s\\n' '{END}'").unwrap();
        input.flush().unwrap();
        let mut printed = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == END => break,
                Ok(line) => printed.push(line),
                Err(error) => panic!("{command}: {error}, after\n{}", printed.join("\n")),
            }
        }
        if printed.last().is_some_and(String::is_empty) {
            printed.pop();
        }
        printed
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(mut input) = self.input.take() {
            let _gone = writeln!(input, "kill -9 $(jobs -p); exit").is_err();
        }
        let _gone = self.bash.wait().is_err();
    }
}
