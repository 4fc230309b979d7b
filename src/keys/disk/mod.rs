//! The last good document of one source, kept on disk: what a restart during a provider's outage starts from.
//!
//! It keeps and gives back, no more: what comes back is parsed and judged like a fetched document, by whoever asked.
//! [`super::refresher`] saves after each success and loads once at its start. A disk that is full, read-only or
//! gone costs persistence and nothing else: every outcome is a value, and every wait has an end.
//!
//! The digest in a record finds damage, not forgery: whoever can write the file can compute it. Forgery is kept
//! out by the modes of the file and its directory, which are checked at every load.

mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::task;
use tokio::time;

pub use record::{Record, SourceIdentity};

use crate::util::clock::UnixTime;
use crate::util::fs::{create_private_directory, remove_leftovers, write_atomically};

/// The directory under `state_dir`.
const DIRECTORY: &str = "jwks";

/// A disk that takes longer counts as one that does not work: some network file systems never answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far in the future a record may have been fetched: clocks are set back by a little, not by more.
const MAX_AHEAD: Duration = Duration::from_secs(5 * 60);

/// What a crash left unfinished is removed after this time.
const LEFTOVER_AGE: Duration = Duration::from_secs(60 * 60);

/// Write permission for anybody but the owner.
const OTHERS_WRITE: u32 = 0o022;

/// How refusals call the file and the directory.
const IT: &str = "it";
const ITS_DIRECTORY: &str = "its directory";

/// Reads and writes of one directory at once. Those of a thousand sources at a start would otherwise take a thread each,
/// and a disk that hangs holds as many threads as this and no more.
const AT_ONCE: usize = 8;

/// A directory for what is to outlive the process.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
    /// A permit for each that may be at work.
    places: Arc<Semaphore>,
    /// When it was last looked through for leftovers, in milliseconds.
    tidied: Arc<AtomicI64>,
}

impl StateDir {
    /// The directory at `path`, whether it is there or not. No I/O.
    pub fn new(path: &Path) -> Self {
        let (path, places) = (path.to_path_buf(), Arc::new(Semaphore::new(AT_ONCE)));
        Self { path, places, tidied: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// Removes what crashes left unfinished, unless that was done lately: a thousand sources would look through the
    /// files of a thousand. Best effort: what stays costs space only, and a directory that cannot be read is told of by
    /// each load.
    fn tidy(&self, now: UnixTime) {
        let age = i64::try_from(LEFTOVER_AGE.as_millis()).unwrap_or(i64::MAX);
        let before = now.as_millis().saturating_sub(age);
        // Two that come here at once do it twice.
        if self.tidied.load(Ordering::Relaxed) < before {
            self.tidied.store(now.as_millis(), Ordering::Relaxed);
            let directory = self.path.join(DIRECTORY);
            let _tidied = remove_leftovers(&directory, UnixTime::from_millis(before)).is_ok();
        }
    }

    /// Does `work` where waiting harms nobody, in its `turn`.
    async fn work<T: Send + 'static, Turn: Send + 'static>(
        &self,
        turn: impl Future<Output = Turn>,
        work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let places = Arc::clone(&self.places);
        let done = async {
            let turn = turn.await;
            // Nobody closes it; if somebody did, this would be a bound less and not a document less.
            let place = places.acquire_owned().await.ok();
            let blocking = move || {
                let outcome = work();
                drop((turn, place));
                outcome
            };
            task::spawn_blocking(blocking).await
        };
        match time::timeout(PATIENCE, done).await {
            Ok(Ok(outcome)) => outcome,
            // It panicked, or the runtime is shutting down.
            Ok(Err(ended)) => Err(Failure::Io(ended.into())),
            Err(_) => {
                let text = format!("the disk did not answer within {PATIENCE:?}");
                Err(Failure::Io(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }
}

/// Where one source's last good document is kept: `<state_dir>/jwks/<SHA-256 of what the source is>.json`.
/// Several processes may share a directory: each finds a whole record of one of them.
#[derive(Debug)]
pub struct LastKnownGood {
    state_dir: StateDir,
    path: PathBuf,
    identity: SourceIdentity,
    /// Held while the disk is at work, beyond the caller's patience too: a disk that hangs costs one thread and
    /// not one for each attempt, and a late write never comes after a newer one.
    turn: Arc<Mutex<()>>,
}

impl LastKnownGood {
    /// The place below `state_dir` for the source of this `identity`. No I/O.
    pub fn new(state_dir: &StateDir, identity: &SourceIdentity) -> Self {
        let name = format!("{}.json", identity.as_hex());
        let path = state_dir.path.join(DIRECTORY).join(name);
        let (state_dir, identity) = (state_dir.clone(), identity.clone());
        Self { state_dir, path, identity, turn: Arc::default() }
    }

    #[cfg(test)]
    fn path(&self) -> &Path {
        &self.path
    }

    /// Puts `record` in place of the one before, for its owner only. `state_dir` is made if its parent is there.
    ///
    /// # Errors
    /// It could not be written and made durable within 5 s. The record before is still there, unless the disk lost it.
    pub async fn save(&self, record: &Record) -> Result<(), DiskError> {
        let content = record::encode(&self.identity, record);
        let written = self.work(move |path| write(path, &content)).await;
        written.map_err(|failure| self.not_written(failure))
    }

    fn not_written(&self, failure: Failure) -> DiskError {
        let error = match failure {
            Failure::Io(error) => error,
            Failure::Refused(refusal) => io::Error::other(refusal),
        };
        DiskError::Write { path: self.path.clone(), error }
    }

    /// Removes the record, if there is one.
    ///
    /// # Errors
    /// It is still there.
    pub async fn forget(&self) -> Result<(), DiskError> {
        let removed = self.work(|path| match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        });
        removed.await.map_err(|failure| self.not_written(failure))
    }

    /// The record, if there is one that may be used at `now`: at most `max_stale` old, if there is such a limit, with
    /// a body of at most `max_bytes`. One from the near future counts as fetched `now`.
    ///
    /// # Errors
    /// There is a record and it cannot be read, or must not be used. `Ok(None)` means that there is none.
    pub async fn load(
        &self,
        now: UnixTime,
        max_stale: Option<Duration>,
        max_bytes: usize,
    ) -> Result<Option<Record>, DiskError> {
        let (identity, state_dir) = (self.identity.clone(), self.state_dir.clone());
        let read = self.work(move |path| {
            state_dir.tidy(now);
            let content = read(path, record::max_encoded_bytes(max_bytes))?;
            let record = content.map(|content| record::decode(&content, &identity, max_bytes));
            let record = record.transpose()?;
            Ok(record.map(|record| within_age(record, now, max_stale)).transpose()?)
        });
        let path = || self.path.clone();
        read.await.map_err(|failure| match failure {
            Failure::Io(error) => DiskError::Read { path: path(), error },
            Failure::Refused(refusal) => DiskError::Refused { path: path(), refusal },
        })
    }

    /// Does `work` where waiting harms nobody, one at a time.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (turn, path) = (Arc::clone(&self.turn), self.path.clone());
        self.state_dir.work(turn.lock_owned(), move || work(&path)).await
    }
}

/// Why a record was not kept or not given back. The text names the file and the reason, never content.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The record cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// There is a record, and it must not be used.
    #[error("{}: not used: {refusal}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// The record cannot be written.
    #[error("{}: cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}

/// Why a record is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Cut, overwritten, or never one of ours.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// Either this clock is wrong or the one that it was written by.
    #[error("it was fetched {0:?} in the future, at most {MAX_AHEAD:?} is accepted")]
    FromTheFuture(Duration),
    /// Something else in the place of a regular file.
    #[error("it is {0}, only a regular file is accepted")]
    NotAFile(&'static str),
    /// The record of another source, or of the same one when it had another URL or issuer.
    #[error("it belongs to another source")]
    OtherSource,
    /// Older than `max_stale`.
    #[error("it was fetched {age:?} ago, max_stale is {max_stale:?}")]
    TooOld {
        /// Its age.
        age: Duration,
        /// The limit.
        max_stale: Duration,
    },
    /// The document, or the file that it is in.
    #[error("it is longer than the limit of {0} bytes")]
    TooLarge(usize),
    /// Written by a version of claimgate that this one does not know.
    #[error("it has version {0}, only version {v} is accepted", v = record::VERSION)]
    UnknownVersion(u64),
    /// Somebody else can write the file, or put another in its place. (A Kubernetes `fsGroup` makes a volume
    /// group-writable at each mount, unless `fsGroupChangePolicy: OnRootMismatch` is set.)
    #[error("{place} has mode {mode:03o}, nobody but its owner may write to it")]
    WritableByOthers {
        /// The file or its directory.
        place: &'static str,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else made the file or its directory.
    #[error("{place} belongs to user {owner}, only this process's user and root are accepted")]
    WrongOwner {
        /// The file or its directory.
        place: &'static str,
        /// Its owner's number.
        owner: u32,
    },
}

/// What went wrong, before anybody says with which file.
enum Failure {
    Io(io::Error),
    Refused(Refusal),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(path);
    if let Some(state_dir) = directory.parent() {
        create_private_directory(state_dir)?;
    }
    create_private_directory(directory)?;
    // A record that no load will take is none, and this is the time to say so.
    check_access(ITS_DIRECTORY, &fs::metadata(directory)?)?;
    write_atomically(path, content, 0o600)?;
    Ok(check_access(IT, &fs::symlink_metadata(path)?)?)
}

fn read(path: &Path, max_bytes: usize) -> Result<Option<Vec<u8>>, Failure> {
    let Some(file) = open(path)? else { return Ok(None) };
    check_access(ITS_DIRECTORY, &fs::metadata(path.parent().unwrap_or(path))?)?;
    // Of the open file: by name it may have become another one.
    let metadata = file.metadata()?;
    check_type(&metadata)?;
    check_access(IT, &metadata)?;
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    if metadata.len() > limit {
        return Err(Refusal::TooLarge(max_bytes).into());
    }
    let mut content = Vec::new();
    // One byte more than allowed shows that it grew meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() > max_bytes {
        return Err(Refusal::TooLarge(max_bytes).into());
    }
    Ok(Some(content))
}

/// `None` when there is no such file.
fn open(path: &Path) -> Result<Option<File>, Failure> {
    // Looked at before it is opened: opening some devices has effects.
    match fs::symlink_metadata(path) {
        Ok(metadata) => check_type(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // If it has become a FIFO or a link since: does not wait, does not follow.
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    Ok(Some(OpenOptions::new().read(true).custom_flags(flags).open(path)?))
}

fn check_type(metadata: &fs::Metadata) -> Result<(), Refusal> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(Refusal::NotAFile(if metadata.is_dir() {
        "a directory"
    } else if metadata.is_symlink() {
        "a symlink"
    } else {
        "neither a file nor a directory"
    }))
}

/// Whether nobody but root and this process's user can have written what is there.
fn check_access(place: &'static str, metadata: &fs::Metadata) -> Result<(), Refusal> {
    let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
    if mode & OTHERS_WRITE != 0 {
        return Err(Refusal::WritableByOthers { place, mode });
    }
    check_owner(place, owner, rustix::process::geteuid().as_raw())
}

fn check_owner(place: &'static str, owner: u32, us: u32) -> Result<(), Refusal> {
    if owner == us || owner == 0 { Ok(()) } else { Err(Refusal::WrongOwner { place, owner }) }
}

fn within_age(
    mut record: Record,
    now: UnixTime,
    max_stale: Option<Duration>,
) -> Result<Record, Refusal> {
    let ahead = record.fetched_at.since(now);
    if ahead > MAX_AHEAD {
        return Err(Refusal::FromTheFuture(ahead));
    }
    record.fetched_at = record.fetched_at.min(now);
    let age = now.since(record.fetched_at);
    match max_stale {
        Some(max_stale) if age > max_stale => Err(Refusal::TooOld { age, max_stale }),
        Some(_) | None => Ok(record),
    }
}

#[cfg(test)]
mod tests;
