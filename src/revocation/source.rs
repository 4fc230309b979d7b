//! Where revocations come from, and the contract that every source keeps. `testing` runs all of them through it.
//!
//! [`super::sync`] calls `Source::next` again and again and applies what it says:
//!
//! * The first answer, and the first one after an error, is a [`Update::Load`]: everything that the store holds. So is
//!   the answer whenever something may have been missed: a gap, a trimmed stream, an overflow.
//! * After it come [`Update::Changes`], in order, none left out, and [`Update::Unchanged`] when the store was asked
//!   just now and has nothing new. One of the three comes at least every ten seconds: each means that what is in force
//!   is all there is, as of now, and that is what `max_stale` counts from.
//! * A load says which store it is from, by its [`Epoch`]: a random word that whoever first writes to a store puts there
//!   and nobody changes. A store without one is not empty but lost, and is an error ([`SourceError::NoEpoch`]); one with
//!   another epoch than before has been emptied or replaced: what it has is taken, and what the one before had is kept
//!   until it expires.
//! * Entries that cannot be read are skipped and counted where many write to the store, each on his own; where one
//!   writes the whole, as a file, they make the whole unusable. It never ends in fewer entries unnoticed.
//! * An entry that is missing from a load was taken back by somebody, or lost. A source that is told of everything that is
//!   taken back says that of a load ([`Load::forgets_nothing`]): what is missing in it stays in force.
//! * Changes only add. What somebody took back is missing from the next load.
//! * On an error everything stays as it is; the source is called again after a while, with back-off and jitter. A source
//!   bounds its own waits, and may be dropped at any point of them.
//! * A source writes nothing.

use std::fmt;

use super::digest::Digester;
use super::entry::{EntryError, RevocationEntry};
use super::file::{FileSettings, FileSource};
use super::redis::RedisSource;
use super::redis::settings::RedisSettings;
use super::snapshot::slot_of;
use super::table::{Slot, Table};

/// Which source, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSettings {
    /// A watched file.
    File(FileSettings),
    /// A Redis.
    Redis(Box<RedisSettings>),
}

/// One source. Making one does no I/O.
#[derive(Debug)]
pub(super) enum Source {
    File(FileSource),
    Redis(Box<RedisSource>),
    #[cfg(test)]
    Scripted(super::testing::Scripted),
}

impl Source {
    pub(super) fn new(settings: &SourceSettings) -> Self {
        match settings {
            SourceSettings::File(file) => Self::File(FileSource::new(file.clone())),
            SourceSettings::Redis(redis) => Self::Redis(Box::new(RedisSource::new(redis))),
        }
    }

    /// Waits for what is next: see the contract above.
    pub(super) async fn next(&mut self, intake: &Intake) -> Result<Update, SourceError> {
        match self {
            Self::File(file) => file.next(intake).await,
            Self::Redis(redis) => redis.next(intake).await,
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.next(intake).await,
        }
    }

    /// Has it begin with everything again. What it remembers of the store stays: it tells a store that has lost something.
    pub(super) fn begin_again(&mut self, settings: &SourceSettings) {
        match self {
            Self::Redis(redis) => redis.begin_again(),
            Self::File(_) => *self = Self::new(settings),
            #[cfg(test)]
            Self::Scripted(_) => *self = Self::new(settings),
        }
    }
}

impl SourceSettings {
    /// Whether it is on this machine, and asks nobody.
    pub fn is_local(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Redis(_) => false,
        }
    }

    /// What an operator calls it, without what may be a secret.
    pub fn location(&self) -> String {
        match self {
            Self::File(file) => file.path.display().to_string(),
            Self::Redis(redis) => redis.to_string(),
        }
    }
}

/// What a source says.
#[derive(Debug)]
pub enum Update {
    /// Everything that it holds.
    Load(Epoch, Load),
    /// What has changed.
    Changes(Changes),
    /// Nothing has.
    Unchanged,
}

/// Which store it is: a word that changes when somebody empties it. Opaque.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch(Box<str>);

impl Epoch {
    /// The longest, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// The epoch that a store says it has; `None` for one that is empty or longer than [`Self::MAX_BYTES`].
    pub fn new(text: &str) -> Option<Self> {
        (1..=Self::MAX_BYTES).contains(&text.len()).then(|| Self(text.into()))
    }
}

/// Takes entries in on their way into the snapshot. What it takes is digested at once: a million texts are never held.
#[derive(Clone, Debug)]
pub struct Intake {
    digester: Digester,
    max_entries: usize,
}

impl Intake {
    pub(super) fn new(digester: Digester, max_entries: usize) -> Self {
        Self { digester, max_entries }
    }

    /// Begins to take in everything.
    pub fn load(&self) -> Load {
        let (table, skipped) = (Table::default(), Skipped::default());
        Load { intake: self.clone(), table, skipped, forgets: true }
    }

    /// Begins to take in changes.
    pub fn changes(&self) -> Changes {
        Changes { intake: self.clone(), added: Vec::new(), skipped: Skipped::default() }
    }
}

/// Everything that a store holds.
#[derive(Debug)]
pub struct Load {
    intake: Intake,
    pub(super) table: Table,
    pub(super) skipped: Skipped,
    /// Whether what is missing in it was taken back.
    pub(super) forgets: bool,
}

impl Load {
    /// Nothing was taken back since what the source said before: what is missing has been lost.
    pub fn forgets_nothing(&mut self) {
        self.forgets = false;
    }

    /// Takes an entry in. The same one twice is one, with the later times of both.
    ///
    /// # Errors
    /// There are more than `max_entries`: part of them would look like all of them, so it is to be given up.
    pub fn add(&mut self, entry: &RevocationEntry) -> Result<(), SourceError> {
        self.table.insert(slot_of(&self.intake.digester, entry));
        let max = self.intake.max_entries;
        if self.table.len() > max { Err(SourceError::TooMany(max)) } else { Ok(()) }
    }

    /// Passes over one that cannot be read.
    pub fn skip(&mut self, error: &EntryError) {
        self.skipped.add(error);
    }
}

/// Changes since what was said before.
#[derive(Debug)]
pub struct Changes {
    intake: Intake,
    pub(super) added: Vec<Slot>,
    pub(super) skipped: Skipped,
}

impl Changes {
    /// An entry is new, or has other times.
    pub fn add(&mut self, entry: &RevocationEntry) {
        self.added.push(slot_of(&self.intake.digester, entry));
    }

    /// Passes over one that cannot be read.
    pub fn skip(&mut self, error: &EntryError) {
        self.skipped.add(error);
    }
}

/// Entries that were passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: usize,
    /// What is wrong with the first of them.
    pub first: Option<String>,
}

impl Skipped {
    fn add(&mut self, error: &EntryError) {
        self.count += 1;
        self.first.get_or_insert_with(|| error.to_string());
    }

    /// These as well.
    pub(super) fn join(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }
}

/// Why a source says nothing. Texts are for people: escaped, cut, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It does not answer, or cannot be opened.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    Timeout(std::time::Duration),
    /// It answers, but not us: wrong password, no right to read.
    #[error("refuses: {0}")]
    Denied(String),
    /// What it says cannot be used.
    #[error("{0}")]
    Malformed(String),
    /// It has no epoch: nobody has ever written to it, or somebody has emptied it. That is not an empty list.
    #[error("has no epoch: it was emptied, or nothing was ever written to it")]
    NoEpoch,
    /// It holds more than it may.
    #[error("holds more than {0} entries (max_entries)")]
    TooMany(usize),
}

impl SourceError {
    /// How metrics call it.
    pub(super) fn result(&self) -> crate::telemetry::metrics::SyncResult {
        use crate::telemetry::metrics::SyncResult;
        match self {
            Self::Unreachable(_) => SyncResult::Unreachable,
            Self::Timeout(_) => SyncResult::Timeout,
            Self::Denied(_) => SyncResult::Denied,
            Self::Malformed(_) => SyncResult::Malformed,
            Self::NoEpoch => SyncResult::NoEpoch,
            Self::TooMany(_) => SyncResult::TooMany,
        }
    }
}

impl fmt::Display for Epoch {
    /// For people: escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().flat_map(char::escape_default).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}
