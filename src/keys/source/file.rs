//! Reads a JWK Set file that others replace while we look: a mounted secret, a rendered template.
//!
//! It is polled: watches ([`crate::util::watch`]) are sooner, and say nothing on some network file systems.
//! [`super::reader`] calls [`read`]; what a failure means is the refresher's to decide.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
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
    match time::timeout(timeout, read_bounded(path, max_bytes, check_type)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(SourceError::Timeout(timeout)),
    }
}

/// The same, of a file that nobody but its owner and group has any access to.
///
/// # Errors
/// The same, and a mode that gives others anything.
pub async fn read_private(
    path: &Path,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Vec<u8>, SourceError> {
    match time::timeout(timeout, read_bounded(path, max_bytes, check_private)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(SourceError::Timeout(timeout)),
    }
}

async fn read_bounded(
    path: &Path,
    max_bytes: usize,
    check: fn(&Metadata) -> Result<(), SourceError>,
) -> Result<Vec<u8>, SourceError> {
    // Looked at before it is opened: opening some devices has effects.
    let before = fs::metadata(path).await.map_err(|error| unreadable(&error))?;
    check(&before)?;
    let file = open(path).await.map_err(|error| unreadable(&error))?;
    // And after: between the two it may have become another one.
    let opened = file.metadata().await.map_err(|error| unreadable(&error))?;
    check(&opened)?;
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

fn check_type(metadata: &Metadata) -> Result<(), SourceError> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "a directory" } else { "neither a file nor a link to one" };
    Err(SourceError::Unreachable(format!("it is {what}")))
}

fn check_private(metadata: &Metadata) -> Result<(), SourceError> {
    check_type(metadata)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let accepted = "a secret needs a mode that gives others nothing, such as 0600 or 0640";
    Err(SourceError::Unreachable(format!("its mode is {mode:04o}, {accepted}")))
}

/// The operating system's words, which name no content.
fn unreadable(error: &io::Error) -> SourceError {
    SourceError::Unreachable(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};

    use super::*;

    #[tokio::test]
    async fn a_secret_is_read_only_while_others_have_no_access_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        write(&file, "text").unwrap();
        for (mode, is_private) in [
            (0o600, true),
            (0o640, true),
            (0o660, true),
            (0o400, true),
            (0o644, false),
            (0o604, false),
            (0o602, false),
            (0o601, false),
        ] {
            set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let timeout = Duration::from_secs(20);
            let outcome = read_private(&file, 100, timeout).await;
            assert_eq!(outcome.is_ok(), is_private, "{mode:o}");
            if let Err(error) = outcome {
                assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
            }
            assert!(read(&file, 100, timeout).await.is_ok(), "{mode:o}");
        }
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let outcome = read_private(&link, 100, Duration::from_secs(20)).await;
        assert!(outcome.is_err(), "what counts is the file, not the link");
    }
}
