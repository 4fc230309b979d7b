//! [`Revocations`]: what the issuer takes back, written where every service reads it. The entries are
//! [`crate::revocation::entry`]'s; which store they go into is [`RevocationWriter`]'s, the one place to add another.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::task;
use tokio::time::timeout;

use super::settings::{IssuerSettings, RevocationSettings};
use crate::revocation::file::read_entries;
use crate::revocation::redis::settings::RedisSettings;
use crate::revocation::redis::{RedisError, Writer};
use crate::revocation::snapshot::LEEWAY;
use crate::revocation::source::SourceError;
use crate::revocation::{EntryError, EntryKind, RevocationEntry, Revoked};
use crate::telemetry::metrics::IssuerMetrics;
use crate::util::clock::UnixTime;
use crate::util::fs::write_atomically;

/// Writes entries, and keeps those that could not be written and that nobody will ask for again.
#[derive(Debug)]
pub struct Revocations {
    writer: RevocationWriter,
    // Held for a few instructions, and never across an await.
    pending: Mutex<VecDeque<RevocationEntry>>,
    metrics: Arc<IssuerMetrics>,
}

/// So many thefts while the store is gone; the oldest expire first anyway.
const MAX_PENDING: usize = 10_000;

/// Where revocations go. An entry that is written is one that every service will read.
#[derive(Debug)]
pub enum RevocationWriter {
    /// This process only: for development.
    Memory(Mutex<Vec<RevocationEntry>>),
    /// The file that services watch, which nobody else writes to.
    File(Arc<FileWriter>),
    /// The Redis that services follow.
    Redis(Box<AsyncMutex<Writer>>),
}

/// An entry was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It is none: a text too long for an entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// What is in the file is nothing to add to.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: SourceError,
    },
    /// The operating system refuses.
    #[error("{}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The Redis does not have it, or is not known to.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The Redis has it, and nobody believes that this is all that it should have.
    #[error(
        "{0} has no epoch, so services do not follow it; `claimgate revoke init` says that its list begins here"
    )]
    NoEpoch(String),
    /// Others wait for the same store.
    #[error("the store takes too long")]
    TooSlow,
    /// The task that wrote is gone.
    #[error("writing panicked: this is a bug in claimgate")]
    Panicked,
}

impl Revocations {
    /// Writes where `settings` say. Does no I/O.
    #[must_use]
    pub fn new(settings: &RevocationSettings, metrics: Arc<IssuerMetrics>) -> Self {
        Self { writer: RevocationWriter::new(settings), pending: Mutex::default(), metrics }
    }

    /// Looks whether anything can be written, before anybody asks for it.
    ///
    /// # Errors
    /// It cannot.
    pub async fn prepare(&self, now: UnixTime) -> Result<(), WriteError> {
        match &self.writer {
            // A Redis may be gone for a while, at the start as well; nothing is revoked meanwhile, and that is said.
            RevocationWriter::Memory(_) | RevocationWriter::Redis(_) => Ok(()),
            RevocationWriter::File(file) => {
                let file = Arc::clone(file);
                let prepared = task::spawn_blocking(move || file.prepare(now)).await;
                prepared.unwrap_or(Err(WriteError::Panicked))
            }
        }
    }

    /// Takes one token back.
    pub(super) async fn token(
        &self,
        issuer: &IssuerSettings,
        id: &str,
        expires_at: UnixTime,
        now: UnixTime,
    ) -> Result<(), WriteError> {
        self.write(issuer, Revoked::Token { jti: id.into() }, expires_at, now).await
    }

    /// Takes a session back: every access token with this `sid`.
    pub(super) async fn session(
        &self,
        issuer: &IssuerSettings,
        id: &str,
        now: UnixTime,
    ) -> Result<(), WriteError> {
        let last = last_token(issuer, now);
        self.write(issuer, Revoked::Session { sid: id.into() }, last, now).await
    }

    /// The same, now or later: for when nobody waits for it who would ask again.
    pub(super) async fn session_later(&self, issuer: &IssuerSettings, id: &str, now: UnixTime) {
        if self.session(issuer, id, now).await.is_ok() {
            return;
        }
        let revoked = Revoked::Session { sid: id.into() };
        if let Ok(entry) = entry(issuer, revoked, last_token(issuer, now)) {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if pending.len() >= MAX_PENDING {
                pending.pop_front();
            }
            pending.push_back(entry);
        }
    }

    /// Takes back everything of a subject that was issued before a time.
    pub(super) async fn subject(
        &self,
        issuer: &IssuerSettings,
        subject: &str,
        not_before: UnixTime,
        now: UnixTime,
    ) -> Result<(), WriteError> {
        let last = last_token(issuer, not_before);
        self.write(issuer, Revoked::Subject { sub: subject.into(), not_before }, last, now).await
    }

    /// How many entries are written nowhere yet.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Tries to write what could not be written before.
    pub async fn try_again(&self, now: UnixTime) {
        let pending: Vec<RevocationEntry> = {
            let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.iter().cloned().collect()
        };
        if pending.is_empty() {
            return;
        }
        let count = pending.len();
        if self.writer.write(pending, now).await.is_ok() {
            // Others are only ever added at the end.
            let mut left = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let gone = count.min(left.len());
            left.drain(..gone);
            tracing::info!(count, "revocations that could not be written are written");
        }
    }

    async fn write(
        &self,
        issuer: &IssuerSettings,
        revoked: Revoked,
        last: UnixTime,
        now: UnixTime,
    ) -> Result<(), WriteError> {
        let kind = revoked.kind();
        let written = match entry(issuer, revoked, last) {
            Ok(entry) => self.writer.write(vec![entry], now).await,
            Err(error) => Err(error.into()),
        };
        let place = EntryKind::ALL.iter().position(|known| *known == kind).unwrap_or_default();
        self.metrics.revocation((place, kind.as_str()), written.is_ok());
        written.inspect_err(|error| tracing::error!(kind = kind.as_str(), %error, "not revoked"))
    }
}

/// The `exp` of the last token that an entry of now can be about.
fn last_token(issuer: &IssuerSettings, now: UnixTime) -> UnixTime {
    now.saturating_add(issuer.lifetime)
}

fn entry(
    issuer: &IssuerSettings,
    revoked: Revoked,
    last: UnixTime,
) -> Result<RevocationEntry, EntryError> {
    // Some verifier's clock may be that late.
    RevocationEntry::new(&issuer.issuer, revoked, last.saturating_add(LEEWAY))
}

impl RevocationWriter {
    fn new(settings: &RevocationSettings) -> Self {
        match settings {
            RevocationSettings::Memory => Self::Memory(Mutex::default()),
            RevocationSettings::File(path) => Self::File(Arc::new(FileWriter::new(path))),
            RevocationSettings::Redis(redis) => {
                let writer = Writer::new(RedisSettings::clone(redis));
                Self::Redis(Box::new(AsyncMutex::new(writer)))
            }
        }
    }

    /// Adds entries to what is there.
    ///
    /// # Errors
    /// None of them may be taken for written then.
    pub async fn write(
        &self,
        entries: Vec<RevocationEntry>,
        now: UnixTime,
    ) -> Result<(), WriteError> {
        match self {
            Self::Memory(known) => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known.retain(|entry| is_needed(entry, now));
                known.extend(entries);
                Ok(())
            }
            Self::File(file) => {
                let file = Arc::clone(file);
                let written = task::spawn_blocking(move || file.add(entries, now)).await;
                written.unwrap_or(Err(WriteError::Panicked))
            }
            Self::Redis(writer) => {
                let writer = timeout(PATIENCE, writer.lock()).await;
                let mut writer = writer.map_err(|_| WriteError::TooSlow)?;
                for entry in &entries {
                    let written = writer.write(entry, now).await?;
                    if !written.has_epoch {
                        return Err(WriteError::NoEpoch(written.server));
                    }
                }
                Ok(())
            }
        }
    }
}

/// For the others that write.
const PATIENCE: Duration = Duration::from_secs(3);

/// Adds to a file by putting another one in its place. One writes after the other; two processes must not.
#[derive(Debug)]
pub struct FileWriter {
    path: PathBuf,
    /// What was written or found before. A file that somebody takes away does not take the revocations with it: services
    /// would believe the next one that it is all there is.
    known: Mutex<Vec<RevocationEntry>>,
}

/// Read by services that may run as somebody else; there is nothing secret in it.
const MODE: u32 = 0o644;

impl FileWriter {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), known: Mutex::default() }
    }

    /// Reads what is there, and makes the file if there is none, so that services have something to read: an empty list
    /// says so, a missing one says nothing.
    ///
    /// # Errors
    /// It cannot be read or written.
    fn prepare(&self, now: UnixTime) -> Result<(), WriteError> {
        if !self.path.exists() {
            let file = self.path.display().to_string();
            tracing::warn!(file, "there is no file of revocations yet: an empty one is made");
        }
        self.add(Vec::new(), now)
    }

    fn add(&self, new: Vec<RevocationEntry>, now: UnixTime) -> Result<(), WriteError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let path = || self.path.clone();
        let found = match self.path.try_exists() {
            Ok(false) => Vec::new(),
            Err(error) => return Err(WriteError::Write { path: path(), error }),
            // What cannot be read is not replaced: it may be half of a list that somebody needs.
            Ok(true) => read_entries(&self.path)
                .map_err(|error| WriteError::Read { path: path(), error })?,
        };
        let mut lines = BTreeSet::new();
        let entries: Vec<RevocationEntry> = known
            .iter()
            .cloned()
            .chain(found)
            .chain(new)
            .filter(|entry| is_needed(entry, now) && lines.insert(entry.to_json()))
            .collect();
        let mut text = String::from("# Written by `claimgate issuer`; nobody else adds to it.\n");
        for entry in &entries {
            text.push_str(&entry.to_json());
            text.push('\n');
        }
        text.push_str("{\"v\":1,\"kind\":\"end\"}\n");
        write_atomically(&self.path, text.as_bytes(), MODE)
            .map_err(|error| WriteError::Write { path: path(), error })?;
        *known = entries;
        Ok(())
    }
}

/// Services keep an entry for as long after its end.
fn is_needed(entry: &RevocationEntry, now: UnixTime) -> bool {
    now < entry.expires_at().saturating_add(LEEWAY)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);

    fn session(id: &str, seconds: u64) -> RevocationEntry {
        let until = NOW.saturating_add(Duration::from_secs(seconds));
        RevocationEntry::new("https://id.example", Revoked::Session { sid: id.into() }, until)
            .unwrap()
    }

    fn ids(path: &Path) -> Vec<String> {
        let entries = read_entries(path).unwrap();
        entries.iter().map(|entry| entry.revoked().id().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn what_is_added_to_a_file_is_there_with_what_was_there_before_until_it_is_not_needed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let file = FileWriter::new(&path);
        file.prepare(NOW).unwrap();
        assert_eq!(ids(&path), Vec::<String>::new());
        let writer = RevocationWriter::new(&RevocationSettings::File(path.clone()));
        writer.write(vec![session("a", 1)], NOW).await.unwrap();
        writer.write(vec![session("b", 3600)], NOW).await.unwrap();
        assert_eq!(ids(&path), ["a", "b"]);
        let later = NOW.saturating_add(LEEWAY + Duration::from_secs(1));
        writer.write(vec![session("c", 3600)], later).await.unwrap();
        assert_eq!(ids(&path), ["b", "c"]);
    }

    #[tokio::test]
    async fn a_file_that_is_taken_away_does_not_take_the_revocations_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let writer = RevocationWriter::new(&RevocationSettings::File(path.clone()));
        writer.write(vec![session("a", 60)], NOW).await.unwrap();
        fs::remove_file(&path).unwrap();
        writer.write(vec![session("b", 60), session("b", 60)], NOW).await.unwrap();
        assert_eq!(ids(&path), ["a", "b"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn entries_that_are_written_at_the_same_time_are_all_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let writer = RevocationWriter::new(&RevocationSettings::File(path.clone()));
        let writes = (0..20).map(|i| writer.write(vec![session(&format!("s{i}"), 60)], NOW));
        for written in futures_util::future::join_all(writes).await {
            written.unwrap();
        }
        assert_eq!(ids(&path).len(), 20);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_not_replaced_and_what_nobody_asks_for_again_is_written_later()
     {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        fs::write(&path, "half a li").unwrap();
        let settings = RevocationSettings::File(path.clone());
        let revocations = Revocations::new(&settings, Arc::new(IssuerMetrics::new("production")));
        let issuer = crate::issuer::reference::testing::settings(&path);
        assert!(revocations.session(&issuer, "a", NOW).await.is_err());
        assert_eq!(revocations.unwritten(), 0, "whoever asked for it asks again");
        revocations.session_later(&issuer, "b", NOW).await;
        revocations.try_again(NOW).await;
        assert_eq!((revocations.unwritten(), fs::read(&path).unwrap()), (1, b"half a li".to_vec()));
        fs::remove_file(&path).unwrap();
        revocations.try_again(NOW).await;
        assert_eq!((revocations.unwritten(), ids(&path)), (0, vec!["b".to_owned()]));
    }
}
