//! Revocations out of a Redis, by the contract of [`crate::revocation::source`]: everything at first and whenever
//! something may have been missed, then what the stream brings, and everything once more now and then.
//!
//! [`Link`] knows one connection; this outlives it, and with it the memory of what the store was like before: a store that
//! has lost entries is told from one that has dropped them because they expired, and what it lost stays in force.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::RedisError;
use super::link::{Link, PAUSES, Seen, State, Step};
use super::schema::StreamId;
use super::servers;
use super::settings::RedisSettings;
use crate::revocation::source::{Epoch, Intake, SourceError, Update};
use crate::util::file::Turn;

/// Reads a Redis. Making one does no I/O.
pub(in crate::revocation) struct RedisSource {
    settings: RedisSettings,
    /// Of the files.
    turn: Turn,
    link: Option<Link>,
    /// Resolves when the server is the right one no more.
    moved: Pin<Box<dyn Future<Output = ()> + Send>>,
    memory: Memory,
    /// Between two times that everything is read, the least and the most.
    pauses: [Duration; 2],
}

/// What the store was like when it was last looked at.
#[derive(Debug, Default)]
struct Memory {
    /// In this epoch, up to here.
    seen: Option<(String, Seen)>,
    /// In that epoch, up to where its stream was read and done.
    done: Option<StreamId>,
    /// How often it has lost entries within one epoch.
    losses: u64,
    /// Whether somebody was told that it throws away what it has when its memory is full.
    told: bool,
}

impl RedisSource {
    pub(in crate::revocation) fn new(settings: &RedisSettings) -> Self {
        let moved = Box::pin(std::future::pending());
        Self {
            settings: settings.clone(),
            turn: Turn::default(),
            link: None,
            moved,
            memory: Memory::default(),
            pauses: PAUSES,
        }
    }

    #[cfg(test)]
    pub(super) fn reading_again_at_once(self) -> Self {
        Self { pauses: [Duration::ZERO; 2], ..self }
    }

    /// Waits for what is next, a second or so at most once everything has been loaded.
    pub(in crate::revocation) async fn next(
        &mut self,
        intake: &Intake,
    ) -> Result<Update, SourceError> {
        let outcome = self.step(intake).await;
        if outcome.is_err() {
            self.link = None;
        }
        outcome.map_err(SourceError::from)
    }

    /// On a new connection; what the store was like stays known, and what it said does not.
    pub(in crate::revocation) fn begin_again(&mut self) {
        (self.link, self.memory.done) = (None, None);
    }

    async fn step(&mut self, intake: &Intake) -> Result<Update, RedisError> {
        if let Some(link) = &mut self.link {
            let (step, state) = tokio::select! {
                biased;
                step = link.step(intake) => step?,
                () = &mut self.moved => return Err(RedisError::Moved(link.address().clone())),
            };
            let done = link.done();
            let epoch = self.memory.look(&state)?;
            self.memory.done = done;
            match step {
                Step::Unchanged => return Ok(Update::Unchanged),
                Step::Changes(changes) => return Ok(Update::Changes(changes)),
                Step::Loaded(load) => return Ok(Update::Load(epoch, load)),
                Step::LoadAgain => {}
            }
        }
        self.load(intake).await
    }

    /// Loads everything, on a new connection unless there is one.
    async fn load(&mut self, intake: &Intake) -> Result<Update, RedisError> {
        // Dropped half way, it connects anew.
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                let connection = servers::open(&self.settings, &self.turn).await?;
                let (settings, turn) = (self.settings.clone(), self.turn.clone());
                let address = connection.address().clone();
                self.moved = Box::pin(servers::until_moved(settings, turn, address));
                Link::new(connection, &self.settings, self.pauses)
            }
        };
        let begun = Instant::now();
        let before = link.begin(self.memory.newest()).await?;
        // Before it is read, lest what it lost be taken for what it never had.
        let known = self.memory.epoch() == Some(&before.epoch);
        self.memory.look(&before)?;
        let resumed = self.memory.done.filter(|_| known);
        if !self.memory.told && before.evicts {
            self.memory.told = true;
            tracing::error!(
                server = %link.address(),
                "this Redis throws entries away when its memory is full: set maxmemory-policy noeviction"
            );
        }
        let (load, after) = link.load(intake, &before, begun, resumed).await?;
        let epoch = self.memory.look(&after)?;
        self.memory.done = link.done();
        self.link = Some(link);
        Ok(Update::Load(epoch, load))
    }
}

impl Memory {
    fn epoch(&self) -> Option<&String> {
        self.seen.as_ref().map(|(epoch, _)| epoch)
    }

    /// The newest entry that the stream is known to have had.
    fn newest(&self) -> Option<StreamId> {
        self.seen.as_ref().and_then(|(_, seen)| seen.newest)
    }

    /// Compares the store with what it was, and returns what tells it from any other, or from itself before it lost
    /// something.
    fn look(&mut self, state: &State) -> Result<Epoch, RedisError> {
        if let Some((epoch, seen)) = &self.seen
            && *epoch == state.epoch
            && state.seen.has_lost(seen)
        {
            self.losses += 1;
            tracing::error!(
                server = %state.address, losses = self.losses,
                "the store of the revocations has lost entries: it threw them away, or a replica without them took over"
            );
        }
        let before = || self.seen.as_ref().and_then(|(_, seen)| seen.evicted);
        let evicted = state.seen.evicted.or_else(before);
        self.seen = Some((state.epoch.clone(), Seen { evicted, ..state.seen }));
        let text = match self.losses {
            0 => state.epoch.clone(),
            losses => format!("{} after {losses} losses", state.epoch),
        };
        Epoch::new(&text).ok_or_else(|| RedisError::NoEpoch(state.address.clone()))
    }
}

impl fmt::Debug for RedisSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSource").field("link", &self.link).finish_non_exhaustive()
    }
}
