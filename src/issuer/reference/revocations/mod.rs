//! [`Revocations`]: what the issuer takes back, written where every service reads it. The entries are
//! [`crate::revocation::entry`]'s; which store they go into is [`RevocationWriter`]'s, the one place to add another.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::task;
use tokio::time::timeout;

use super::refresh::{RefreshStore, StoreError};
use super::settings::{IssuerSettings, RevocationSettings};
use crate::revocation::file::read_entries;
use crate::revocation::redis::settings::RedisSettings;
use crate::revocation::redis::{RedisError, Writer};
use crate::revocation::snapshot::LEEWAY;
use crate::revocation::source::SourceError;
use crate::revocation::{EntryError, EntryKind, RevocationEntry, Revoked};
use crate::telemetry::metrics::IssuerMetrics;
use crate::util::clock::{Clock, UnixTime};
use crate::util::fs::write_atomically;

/// Writes entries, and keeps in mind what could not be written and nobody will ask for again.
#[derive(Debug)]
pub struct Revocations {
    writer: RevocationWriter,
    /// Sessions that have to end, and have not in every store.
    // Held for a few instructions, and never across an await.
    thefts: Mutex<VecDeque<Arc<str>>>,
    metrics: Arc<IssuerMetrics>,
}

/// So many thefts while the store is gone; what came of the oldest expires first anyway.
const MAX_THEFTS: usize = 10_000;

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
        Self { writer: RevocationWriter::new(settings), thefts: Mutex::default(), metrics }
    }

    /// Looks whether anything can be written, before anybody asks for it. A file that is not there may have been lost with
    /// what was revoked in it: it begins with everything that was issued before, none of which is good for longer than
    /// `longest`.
    ///
    /// # Errors
    /// It cannot.
    pub async fn prepare(
        &self,
        issuer: &IssuerSettings,
        longest: Duration,
        now: UnixTime,
    ) -> Result<(), WriteError> {
        match &self.writer {
            // A Redis may be gone for a while, at the start as well; nothing is revoked meanwhile, and that is said.
            RevocationWriter::Memory(_) | RevocationWriter::Redis(_) => Ok(()),
            RevocationWriter::File(file) => {
                let file = Arc::clone(file);
                // What is issued from this second on is good.
                let begun = UnixTime::from_millis(now.as_millis().div_euclid(1000) * 1000);
                let last = now.saturating_add(longest);
                let before = entry(issuer, Revoked::Issuer { not_before: begun }, last)?;
                let prepared = task::spawn_blocking(move || file.prepare(vec![before], now)).await;
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

    /// Takes a session back: every access token with this `sid`, of which none is good after `last`.
    pub(super) async fn session(
        &self,
        issuer: &IssuerSettings,
        id: &str,
        last: UnixTime,
        now: UnixTime,
    ) -> Result<(), WriteError> {
        self.write(issuer, Revoked::Session { sid: id.into() }, last, now).await
    }

    /// Ends a session whose refresh token was stolen, and takes it back: now, or as soon as that is possible. Nobody asks
    /// for it again, and who caused it may hang up; so it is noted before anything is waited for.
    ///
    /// # Errors
    /// Its refresh tokens are not known to have ended yet.
    pub(super) async fn theft(
        &self,
        issuer: &IssuerSettings,
        refresh: &RefreshStore,
        id: &str,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        self.note(id);
        let ended = refresh.end(id).await;
        // Whatever came of that: what was issued up to now need not wait for it.
        let now = clock.now();
        let written = self.session(issuer, id, last_token(issuer, now), now).await;
        if ended.is_ok() && written.is_ok() {
            self.forget(id);
        }
        ended
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

    /// How many thefts are not dealt with yet.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.thefts().len()
    }

    /// Tries once more what could not be done before.
    pub async fn try_again(
        &self,
        issuer: &IssuerSettings,
        refresh: &RefreshStore,
        clock: &dyn Clock,
    ) {
        let thefts: Vec<Arc<str>> = self.thefts().iter().cloned().collect();
        for id in thefts {
            // In this order: with a token that is still good somebody gets access tokens until it has ended, and the entry
            // has to outlive the last of them.
            if refresh.end(&id).await.is_err() {
                return;
            }
            let (now, revoked) = (clock.now(), Revoked::Session { sid: (&*id).into() });
            // What is no entry never becomes one.
            let Ok(entry) = entry(issuer, revoked, last_token(issuer, now)) else {
                self.forget(&id);
                continue;
            };
            if self.writer.write(vec![entry], now).await.is_err() {
                return;
            }
            self.forget(&id);
            tracing::info!(sid = &*id, "a session that could not be revoked is revoked");
        }
    }

    fn note(&self, id: &str) {
        let mut thefts = self.thefts();
        if thefts.iter().any(|known| **known == *id) {
            return;
        }
        if thefts.len() >= MAX_THEFTS {
            thefts.pop_front();
        }
        thefts.push_back(id.into());
    }

    fn forget(&self, id: &str) {
        self.thefts().retain(|known| **known != *id);
    }

    fn thefts(&self) -> MutexGuard<'_, VecDeque<Arc<str>>> {
        // No code panics while it holds the lock.
        self.thefts.lock().unwrap_or_else(PoisonError::into_inner)
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
pub(super) fn last_token(issuer: &IssuerSettings, now: UnixTime) -> UnixTime {
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
                // Waited for here, and not on the threads that also sign and hash: as many writers as there are of these
                // would leave none.
                let turn = timeout(PATIENCE, Arc::clone(&file.turn).lock_owned()).await;
                let turn = turn.map_err(|_| WriteError::TooSlow)?;
                let file = Arc::clone(file);
                let written = task::spawn_blocking(move || {
                    // Also when nobody waits for it any more.
                    let _held = turn;
                    file.add(entries, now)
                });
                written.await.unwrap_or(Err(WriteError::Panicked))
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
    turn: Arc<AsyncMutex<()>>,
    /// What was written or found before. A file that somebody takes away does not take the revocations with it: services
    /// would believe the next one that it is all there is.
    known: Mutex<Vec<RevocationEntry>>,
}

/// Read by services that may run as somebody else; there is nothing secret in it.
const MODE: u32 = 0o644;

impl FileWriter {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), turn: Arc::default(), known: Mutex::default() }
    }

    /// Reads what is there, and makes the file with `first` in it if there is none, so that services have something to read:
    /// a list says that it is all, a missing one says nothing.
    ///
    /// # Errors
    /// It cannot be read or written.
    fn prepare(&self, first: Vec<RevocationEntry>, now: UnixTime) -> Result<(), WriteError> {
        if self.path.exists() {
            return self.add(Vec::new(), now);
        }
        let file = self.path.display().to_string();
        tracing::warn!(
            file,
            "there is no file of revocations: one is made, and what was issued before is revoked"
        );
        self.add(first, now)
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
mod tests;
