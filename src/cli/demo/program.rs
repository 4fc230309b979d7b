//! A program that runs beside the demo: waited for, with the end of its log for whoever waits in vain, and gone when
//! dropped.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::wait::{TimedOut, wait_for};

/// What we run starts in well under a second; a loaded machine gets more.
const START: Duration = Duration::from_secs(30);
/// How much of a log a failure shows.
const LOG_LINES: usize = 20;

/// Which program, and how to get it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// For who has none. A sentence.
    pub(super) hint: &'static str,
}

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("there is no {name} at `{}`. {hint}", .path.display())]
    NotFound { name: &'static str, path: PathBuf, hint: &'static str },
    #[error("cannot run {name} at `{}`: {error}", .path.display())]
    Spawn { name: &'static str, path: PathBuf, error: io::Error },
    #[error("cannot prepare {name}: {error}")]
    Prepare { name: &'static str, error: io::Error },
    #[error("{name} ended ({status}). The end of its log:\n{log}")]
    Exited { name: &'static str, status: ExitStatus, log: String },
    #[error("{error}. The end of {name}'s log:\n{log}")]
    NotReady { name: &'static str, error: TimedOut, log: String },
    #[error("cannot end {name}: {error}")]
    Kill { name: &'static str, error: io::Error },
}

/// A running program. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command`, which writes its log to `log` by itself or is given it as its standard error.
    pub(super) fn start(
        kind: Kind,
        command: &mut Command,
        log: PathBuf,
    ) -> Result<Self, ProgramError> {
        let Kind { name, hint } = kind;
        let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn().map_err(|error| {
            let path = PathBuf::from(command.as_std().get_program());
            if error.kind() == io::ErrorKind::NotFound {
                return ProgramError::NotFound { name, path, hint };
            }
            ProgramError::Spawn { name, path, error }
        })?;
        Ok(Self { name, child, log })
    }

    /// Looks again and again until there is something, and no longer than the program runs.
    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, ProgramError> {
        let name = self.name;
        let looked = wait_for(what, START, async || match self.child.try_wait() {
            Ok(Some(status)) => Some(Err(status)),
            Ok(None) | Err(_) => look().await.map(Ok),
        });
        match looked.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(status)) => Err(ProgramError::Exited { name, status, log: self.log() }),
            Err(error) => Err(ProgramError::NotReady { name, error, log: self.log() }),
        }
    }

    /// Kills the process and waits until it is gone.
    pub(super) async fn kill(&mut self) -> Result<(), ProgramError> {
        let killed = self.child.kill().await;
        killed.map_err(|error| ProgramError::Kill { name: self.name, error })
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}

impl Kind {
    /// A command for it, and a file that it writes to.
    pub(super) fn prepare(
        self,
        path: impl AsRef<OsStr>,
        output: &Path,
    ) -> Result<(Command, fs::File), ProgramError> {
        let options = fs::File::options().create(true).append(true).open(output);
        let file = options.map_err(|error| self.unprepared(error))?;
        Ok((Command::new(path), file))
    }

    /// A directory that only we can read, removed when dropped.
    pub(super) fn directory(self) -> Result<TempDir, ProgramError> {
        let made = tempfile::Builder::new().prefix("claimgate-demo-").tempdir();
        made.map_err(|error| self.unprepared(error))
    }

    pub(super) fn unprepared(self, error: io::Error) -> ProgramError {
        ProgramError::Prepare { name: self.name, error }
    }
}
