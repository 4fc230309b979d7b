//! Reads a JWK Set file that others replace while we look: a mounted secret, a rendered template.
//!
//! It is polled, not watched: watches miss the symlink swap of a mounted volume and say nothing on some
//! network file systems. [`super::super::refresher`] calls [`read`] and decides what a failure means.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncReadExt as _;
use tokio::time;

use super::SourceError;

/// How often the file is looked at.
pub const POLL: Duration = Duration::from_secs(1);

/// The whole content of the regular file at `path`, symlinks followed.
///
/// # Errors
/// Anything but a regular file that can be read within `timeout` and has at most `max_bytes`.
pub async fn read(
    path: &Path,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Vec<u8>, SourceError> {
    match time::timeout(timeout, read_bounded(path, max_bytes)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(SourceError::Timeout(timeout)),
    }
}

async fn read_bounded(path: &Path, max_bytes: usize) -> Result<Vec<u8>, SourceError> {
    // Looked at before it is opened: opening some devices has effects.
    let before = fs::metadata(path).await.map_err(|error| unreadable(&error))?;
    check_type(&before)?;
    let file = open(path).await.map_err(|error| unreadable(&error))?;
    // And after: between the two it may have become another one.
    let opened = file.metadata().await.map_err(|error| unreadable(&error))?;
    check_type(&opened)?;
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    if opened.len() > limit {
        return Err(SourceError::TooLarge(max_bytes));
    }
    let mut content = Vec::new();
    // One byte more than allowed shows that it grew meanwhile.
    let mut reader = file.take(limit.saturating_add(1));
    reader.read_to_end(&mut content).await.map_err(|error| unreadable(&error))?;
    if content.len() > max_bytes { Err(SourceError::TooLarge(max_bytes)) } else { Ok(content) }
}

/// `O_NONBLOCK`: opening a FIFO that nobody writes to would otherwise hold a thread for ever.
async fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).await
}

fn check_type(metadata: &std::fs::Metadata) -> Result<(), SourceError> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "a directory" } else { "neither a file nor a link to one" };
    Err(SourceError::Unreachable(format!("it is {what}")))
}

/// The operating system's words, which name no content.
fn unreadable(error: &io::Error) -> SourceError {
    SourceError::Unreachable(error.to_string())
}
