//! Runs a program that prints a JWK Set or a keyset: the client of a key-management service, a script.
//!
//! No shell, no environment but what is listed, no input, and a process group of its own that does not
//! outlive the read: not on a timeout, not on too much output, not when the read is given up. What it prints
//! is judged like any other document. [`super::reader`] calls [`Command::run`].

use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process;
use tokio::time;

use super::SourceError;

/// Where programs are looked for, and the `PATH` that they get unless it is one of theirs to inherit.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How much of standard error is kept: the end of it, where the error is.
const MAX_STDERR_BYTES: usize = 4 * 1024;

/// How much of that is shown.
const SHOWN_STDERR: usize = 200;

/// How long output is waited for once the program has ended: somebody else may hold on to its pipes.
const GRACE: Duration = Duration::from_millis(200);

/// A program with its arguments, which `Debug` keeps back.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    program: String,
    arguments: Vec<String>,
    inherits: Vec<String>,
}

impl Command {
    /// `program` is an absolute path, or a name to be looked for in [`SEARCH_PATH`]; `inherits` names
    /// environment variables.
    pub fn new(program: String, arguments: Vec<String>, inherits: Vec<String>) -> Self {
        Self { program, arguments, inherits }
    }

    /// The program as configured. Arguments may be secrets.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The program and its arguments.
    pub fn words(&self) -> Vec<&str> {
        std::iter::once(&self.program).chain(&self.arguments).map(String::as_str).collect()
    }

    /// What it prints, when it ends with 0 within `timeout`. Dropped, the read takes the program with it.
    ///
    /// # Errors
    /// It cannot be started, ends otherwise, prints more than `max_bytes`, or is not done in time.
    pub async fn run(&self, max_bytes: usize, timeout: Duration) -> Result<Vec<u8>, SourceError> {
        match time::timeout(timeout, self.run_unhurried(max_bytes)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SourceError::Timeout(timeout)),
        }
    }

    async fn run_unhurried(&self, max_bytes: usize) -> Result<Vec<u8>, SourceError> {
        let mut child = self.spawn()?;
        let group = Group(child.id());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut printed = Vec::new();
        let mut complained = Vec::new();
        let ended = {
            let reading = async {
                tokio::try_join!(
                    read_bounded(stdout, &mut printed, max_bytes),
                    read_end(stderr, &mut complained)
                )
            };
            tokio::pin!(reading);
            tokio::select! {
                ended = child.wait() => {
                    // Whatever it left behind would hold the pipes open, and be there again each time.
                    drop(group);
                    match time::timeout(GRACE, reading).await {
                        Ok(read) => read.map(|_| ended)?,
                        // It has left the group. All that the program itself printed has been read.
                        Err(_) => ended,
                    }
                }
                read = &mut reading => {
                    read?;
                    let ended = child.wait().await;
                    drop(group);
                    ended
                }
            }
        };
        match ended {
            Ok(status) if status.success() => Ok(printed),
            Ok(status) => Err(failed(status, &complained)),
            Err(error) => Err(SourceError::Unreachable(error.to_string())),
        }
    }

    fn spawn(&self) -> Result<process::Child, SourceError> {
        let mut command = process::Command::new(&self.program);
        command.args(&self.arguments).env_clear().env("PATH", SEARCH_PATH);
        for name in &self.inherits {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The group goes by `Group`; this makes sure that nobody is left to be waited for.
        command.process_group(0).kill_on_drop(true);
        command
            .spawn()
            .map_err(|error| SourceError::Unreachable(format!("it cannot be started: {error}")))
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("program", &self.program).finish_non_exhaustive()
    }
}

/// A process group, killed when this is dropped. Its number is taken for as long as somebody is in it; that
/// it be given away between the end of the last and the signal takes a whole round of process numbers.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let id = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // Nobody left in it: what was wanted.
            let _gone = kill_process_group(id, Signal::KILL).is_err();
        }
    }
}

async fn read_bounded(
    from: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    max_bytes: usize,
) -> Result<(), SourceError> {
    each_chunk(from, |chunk| {
        if into.len().saturating_add(chunk.len()) > max_bytes {
            return Err(SourceError::TooLarge(max_bytes));
        }
        into.extend_from_slice(chunk);
        Ok(())
    })
    .await
}

/// Reads everything, so that the program is not held up, and keeps the end.
async fn read_end(
    from: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
) -> Result<(), SourceError> {
    each_chunk(from, |chunk| {
        into.extend_from_slice(chunk);
        let surplus = into.len().saturating_sub(MAX_STDERR_BYTES);
        into.drain(..surplus);
        Ok(())
    })
    .await
}

/// Reads to the end, or until `take` has enough.
async fn each_chunk(
    from: Option<impl AsyncRead + Unpin>,
    mut take: impl FnMut(&[u8]) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let Some(mut from) = from else { return Ok(()) };
    let mut buffer = vec![0; 4096];
    loop {
        let read = from.read(&mut buffer).await.map_err(|error| unreadable(&error))?;
        match buffer.get(..read) {
            Some(chunk) if !chunk.is_empty() => take(chunk)?,
            Some(_) | None => return Ok(()),
        }
    }
}

fn unreadable(error: &std::io::Error) -> SourceError {
    SourceError::Unreachable(error.to_string())
}

fn failed(status: ExitStatus, stderr: &[u8]) -> SourceError {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim();
    let surplus = text.chars().count().saturating_sub(SHOWN_STDERR);
    let mut shown = if surplus > 0 { "…".to_owned() } else { String::new() };
    shown.extend(text.chars().skip(surplus).flat_map(char::escape_default));
    SourceError::Command { status: status.to_string(), stderr: shown }
}

#[cfg(test)]
mod tests;
