//! Subcommands of this very program, run as an operator would type them.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::cli::demo::world::DemoError;

/// What came of one.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) succeeded: bool,
    /// Its standard output, and then its standard error.
    pub(super) text: String,
}

/// This program's file.
pub(super) fn executable() -> Result<PathBuf, DemoError> {
    std::env::current_exe().map_err(|error| DemoError::Service { what: "claimgate", error })
}

/// `claimgate ARGUMENTS` in `directory`.
pub(super) async fn claimgate(directory: &Path, arguments: &[&str]) -> Result<Said, DemoError> {
    let mut command = Command::new(executable()?);
    command.args(arguments).current_dir(directory).kill_on_drop(true);
    let output = command.stdin(std::process::Stdio::null()).output().await;
    let output = output.map_err(|error| DemoError::Service { what: "claimgate", error })?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok(Said { succeeded: output.status.success(), text })
}

/// The same, which has to succeed; what it says.
pub(super) async fn must(directory: &Path, arguments: &[&str]) -> Result<String, DemoError> {
    let Said { succeeded, text } = claimgate(directory, arguments).await?;
    if succeeded {
        return Ok(text);
    }
    Err(DemoError::Own { command: arguments.join(" "), said: text.trim_end().to_owned() })
}
