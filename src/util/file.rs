//! Reads a file that others replace while we look: a mounted secret, a rendered template. Keys, certificates, passwords,
//! revocations and the headers of an exporter are read with it. What a failure means is for who asks to decide; when to
//! read again, too ([`super::watch`] tells of changes). [`super::fs`] is what writes.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task;
use tokio::time;
use zeroize::Zeroizing;

/// Why a file was not read. The text names what happened, never what was read; who reports it puts the path in front.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// More bytes than the limit.
    #[error("longer than the limit of {0} bytes")]
    TooLarge(usize),
    /// The file system did not answer within the deadline.
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    /// No such file, no permission, not a file, a secret that others have access to.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

/// One read after the other, beyond the caller's patience too: a file system that never answers costs one thread and
/// not one for each attempt. There are only so many threads for this, and names are resolved on them as well.
#[derive(Clone, Debug, Default)]
pub struct Turn(Arc<Mutex<()>>);

/// The whole content of the regular file at `path`, symlinks followed.
///
/// # Errors
/// Anything but a regular file that can be read within `timeout` and has at most `max_bytes`.
pub async fn read(
    turn: &Turn,
    path: &Path,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Vec<u8>, FileError> {
    in_turn(turn, path, max_bytes, timeout, check_type).await
}

/// The same, of a file that nobody but its owner and group has any access to, unless it `accepts_readable` ones.
///
/// # Errors
/// The same, and a mode that gives others anything.
pub async fn secret(
    turn: &Turn,
    path: &Path,
    max_bytes: usize,
    timeout: Duration,
    accepts_readable: bool,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let check = if accepts_readable { check_type } else { check_private };
    in_turn(turn, path, max_bytes, timeout, check).await.map(Zeroizing::new)
}

/// The regular file at `path`, symlinks followed, to be read at leisure. Blocks: not for a worker.
///
/// # Errors
/// Anything but a regular file that can be opened.
pub fn open(path: &Path) -> io::Result<File> {
    open_checked(path, check_type)
}

/// The operating system's words, which name no content.
impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

type Check = fn(&Metadata) -> io::Result<()>;

async fn in_turn(
    Turn(turn): &Turn,
    path: &Path,
    max_bytes: usize,
    timeout: Duration,
    check: Check,
) -> Result<Vec<u8>, FileError> {
    let (turn, path) = (Arc::clone(turn), path.to_owned());
    let done = async {
        let turn = turn.lock_owned().await;
        let blocking = move || {
            let outcome = read_bounded(&path, max_bytes, check);
            drop(turn);
            outcome
        };
        task::spawn_blocking(blocking).await
    };
    match time::timeout(timeout, done).await {
        Ok(Ok(outcome)) => outcome,
        // It panicked, or the runtime is shutting down.
        Ok(Err(ended)) => Err(FileError::Unreadable(ended.to_string())),
        Err(_) => Err(FileError::Timeout(timeout)),
    }
}

fn read_bounded(path: &Path, max_bytes: usize, check: Check) -> Result<Vec<u8>, FileError> {
    let file = open_checked(path, check)?;
    let (limit, length) = (u64::try_from(max_bytes).unwrap_or(u64::MAX), file.metadata()?.len());
    if length > limit {
        return Err(FileError::TooLarge(max_bytes));
    }
    // Of the right size: a secret that is moved as it grows leaves copies behind.
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    // One byte more than allowed shows that it grew meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() > max_bytes { Err(FileError::TooLarge(max_bytes)) } else { Ok(content) }
}

fn open_checked(path: &Path, check: Check) -> io::Result<File> {
    // Looked at before it is opened: opening some devices has effects.
    check(&fs::metadata(path)?)?;
    // `O_NONBLOCK`: opening a FIFO that nobody writes to would otherwise hold a thread for ever.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    // And after: between the two it may have become another one.
    check(&file.metadata()?)?;
    Ok(file)
}

fn check_type(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "a directory" } else { "neither a file nor a link to one" };
    Err(io::Error::other(format!("it is {what}")))
}

fn check_private(metadata: &Metadata) -> io::Result<()> {
    check_type(metadata)?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let accepted = "a secret needs a mode that gives others nothing, such as 0600 or 0640";
    Err(io::Error::other(format!("its mode is {mode:04o}, {accepted}")))
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
            let outcome = secret(&Turn::default(), &file, 100, timeout, false).await;
            assert_eq!(outcome.is_ok(), is_private, "{mode:o}");
            if let Err(error) = outcome {
                assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
            }
            assert!(secret(&Turn::default(), &file, 100, timeout, true).await.is_ok(), "{mode:o}");
            assert!(read(&Turn::default(), &file, 100, timeout).await.is_ok(), "{mode:o}");
        }
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let outcome = secret(&Turn::default(), &link, 100, Duration::from_secs(20), false).await;
        assert!(outcome.is_err(), "what counts is the file, not the link");
    }

    #[tokio::test]
    async fn a_file_system_that_does_not_answer_holds_one_thread_and_not_one_each_time() {
        let turn = Turn::default();
        let held = Arc::clone(&turn.0).lock_owned().await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        write(&file, "text").unwrap();
        for _ in 0..3 {
            let timeout = Duration::from_millis(1);
            let outcome = read(&turn, &file, 100, timeout).await;
            assert_eq!(outcome, Err(FileError::Timeout(timeout)), "the one before is not over");
        }
        drop(held);
        assert!(read(&turn, &file, 100, Duration::from_secs(20)).await.is_ok());
    }
}
