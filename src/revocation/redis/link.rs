//! One connection to the store while it is followed: what it holds, what the stream brings, and whether something was
//! missed. [`super::source`] makes one after the other.
//!
//! The order that nothing slips through: the end of the stream is noted first, then all keys are read, then the stream
//! from that end on. What is written meanwhile is in one of the two, or in both, which does no harm.

use std::time::Duration;

use redis::{Pipeline, Value, cmd};
use tokio::time::Instant;

use super::RedisError;
use super::connection::Connection;
use super::reply::{self, StreamInfo};
use super::scan::{self, Scan};
use super::schema::{Change, Prefix, StreamId};
use super::settings::{Address, RedisSettings, Servers};
use crate::revocation::entry::{EntryError, MAX_LINE_BYTES, RevocationEntry};
use crate::revocation::source::{Changes, Intake, Load};

/// How long the stream is waited for; then the server is asked whether it is still the same.
const BLOCK: Duration = Duration::from_secs(1);

/// So many changes at once.
const CHANGES: usize = 250;

/// The longest answer with them: every entry as long as any, and what is around it.
const CHANGES_BYTES: usize = CHANGES * (MAX_LINE_BYTES + 256);

/// The longest answer about the store's state, which repeats up to three entries.
const STATE_BYTES: usize = 8 * MAX_LINE_BYTES;

/// Everything is read again after this long, the least and the most, for writers that died before they told the stream.
pub(super) const PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(600)];

/// Between the two: reading takes no more than a hundredth of the time.
const PAUSE_PER_LOAD: u32 = 100;

/// A connection, and how far it has been read.
#[derive(Debug)]
pub(super) struct Link {
    connection: Connection,
    prefix: Prefix,
    is_cluster: bool,
    /// The stream was read up to here.
    position: StreamId,
    /// The newest entry of the stream that was there. It stays until it is trimmed away; before that, only a store that has
    /// lost something has it no more.
    anchor: Option<StreamId>,
    epoch: String,
    /// Everything is being read again, a bit between two looks at the stream.
    again: Option<(Scan, Load, Instant)>,
    /// When that is to begin next.
    due: Instant,
    /// Whether something may have been taken back that is still in force.
    forgets: bool,
    pauses: [Duration; 2],
}

/// What came of one look at the stream.
pub(super) enum Step {
    /// Nothing is new.
    Unchanged,
    /// This is.
    Changes(Changes),
    /// Everything was read again.
    Loaded(Load),
    /// It is another store than before, or has lost something: everything has to be read now.
    LoadAgain,
}

/// The store, as it says itself.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Which server.
    pub(super) address: Address,
    /// The word in the key `epoch`.
    pub(super) epoch: String,
    /// How far it has come.
    pub(super) seen: Seen,
    /// Whether it throws entries away when its memory is full, as far as it tells.
    pub(super) evicts: bool,
    info: StreamInfo,
}

/// How far a store has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The last place that was given out in the stream.
    pub(super) last: StreamId,
    /// The newest entry of the stream.
    pub(super) newest: Option<StreamId>,
    /// Whether a change that was there is missing where it should be.
    pub(super) is_forgotten: bool,
    /// How many keys it has thrown away; `None`: it does not tell us, or was not asked.
    pub(super) evicted: Option<u64>,
}

impl Seen {
    /// Whether a store that had come as far as `before` can have come to this without losing entries.
    pub(super) fn has_lost(&self, before: &Self) -> bool {
        // The count begins anew with the server's process.
        let has_evicted = match (before.evicted, self.evicted) {
            (Some(before), Some(now)) => now != before && now > 0,
            (None, _) | (_, None) => false,
        };
        self.last < before.last || self.is_forgotten || has_evicted
    }
}

impl Link {
    pub(super) fn new(
        connection: Connection,
        settings: &RedisSettings,
        pauses: [Duration; 2],
    ) -> Self {
        Self {
            connection,
            prefix: settings.prefix.clone(),
            is_cluster: matches!(settings.servers, Servers::Cluster(_)),
            position: StreamId::default(),
            anchor: None,
            epoch: String::new(),
            again: None,
            due: Instant::now(),
            forgets: false,
            pauses,
        }
    }

    /// Up to where the stream was read, and all that it says was done.
    pub(super) fn done(&self) -> Option<StreamId> {
        (!self.forgets).then_some(self.position)
    }

    pub(super) fn address(&self) -> &Address {
        self.connection.address()
    }

    /// The state before a load; `newest` is the newest entry that the stream is known to have had.
    ///
    /// # Errors
    /// There is no epoch, or the server does not say.
    pub(super) async fn begin(&mut self, newest: Option<StreamId>) -> Result<State, RedisError> {
        self.again = None;
        let state = self.state(newest).await?;
        self.with_memory(state).await
    }

    /// Reads everything, which `before` is the state of. `begun`: since when that is being tried. `resumed`: up to where the
    /// stream of this store was read before, if it was; then what was taken back since is to be found in it.
    ///
    /// # Errors
    /// Any: part of the list is no list.
    pub(super) async fn load(
        &mut self,
        intake: &Intake,
        before: &State,
        begun: Instant,
        resumed: Option<StreamId>,
    ) -> Result<(Load, State), RedisError> {
        let (mut scan, mut load) = (Scan::default(), intake.load());
        let resumed = resumed.filter(|position| *position <= before.info.last);
        if resumed.is_some() {
            load.forgets_nothing();
        }
        while !scan.is_over() {
            scan.go_on(&mut self.connection, &self.prefix, &mut scan::into(&mut load)).await?;
        }
        self.check_slot().await?;
        let after = self.state(None).await?;
        if after.epoch != before.epoch {
            return Err(RedisError::NoEpoch(self.address().clone()));
        }
        let after = self.with_memory(after).await?;
        self.position = resumed.unwrap_or(before.info.last);
        (self.anchor, self.forgets) = (before.seen.newest, false);
        self.epoch.clone_from(&before.epoch);
        self.loaded(begun);
        Ok((load, after))
    }

    /// Looks at the stream once: waits for it, unless everything is being read again. Dropped half way, it has done
    /// nothing.
    ///
    /// # Errors
    /// The connection is of no more use, or the store is not.
    pub(super) async fn step(&mut self, intake: &Intake) -> Result<(Step, State), RedisError> {
        if self.again.is_none() && Instant::now() >= self.due {
            self.again = Some((Scan::default(), intake.load(), Instant::now()));
        }
        if let Some((scan, load, _)) = &mut self.again {
            scan.go_on(&mut self.connection, &self.prefix, &mut scan::into(load)).await?;
        }
        let read = self.read().await?;
        let position = read.last().map_or(self.position, |(id, _)| *id);
        let anchor = read.last().map(|(id, _)| *id).or(self.anchor);
        let state = self.state(anchor).await?;
        if state.epoch != self.epoch || state.seen.is_forgotten || state.info.last < position {
            return Ok((Step::LoadAgain, state));
        }
        let is_over = self.again.as_ref().is_some_and(|(scan, ..)| scan.is_over());
        let state = if is_over {
            self.check_slot().await?;
            self.with_memory(state).await?
        } else {
            state
        };
        // What came after our place begins behind it: what was between the two may have been trimmed away.
        let has_gap = state.info.last > self.position
            && state.info.first.is_none_or(|first| first > self.position);
        // Nothing below waits: from here on it is done.
        (self.position, self.anchor) = (position, anchor);
        let is_quiet = read.is_empty();
        if has_gap {
            // What there is of it is in force at once, and the rest with the keys, which are read from the next step on.
            (self.again, self.due, self.forgets) = (None, Instant::now(), true);
            if is_quiet {
                (self.position, self.anchor) = (state.info.last, state.seen.newest);
            }
        }
        let changes = self.take(read, intake)?;
        match self.again.take_if(|(scan, ..)| scan.is_over()) {
            // What the stream brought is in it.
            Some((_, mut load, begun)) => {
                self.loaded(begun);
                if !std::mem::take(&mut self.forgets) {
                    load.forgets_nothing();
                }
                Ok((Step::Loaded(load), state))
            }
            None if is_quiet => Ok((Step::Unchanged, state)),
            None => Ok((Step::Changes(changes), state)),
        }
    }

    /// Takes in what the stream brought.
    fn take(
        &mut self,
        read: Vec<(StreamId, Change)>,
        intake: &Intake,
    ) -> Result<Changes, RedisError> {
        let mut changes = intake.changes();
        for (_, change) in read {
            let entry = match change {
                Change::Entry(text) => RevocationEntry::parse(&text),
                Change::Epoch => continue,
                // Which other entries say the same is not known: it takes a look at all of them. What has been read of
                // them up to now may hold it.
                Change::Removed => {
                    (self.again, self.due, self.forgets) = (None, Instant::now(), true);
                    continue;
                }
                Change::Unreadable => Err(EntryError::Missing("entry")),
            };
            match (entry, &mut self.again) {
                (Ok(entry), None) => changes.add(&entry),
                (Ok(entry), Some((_, load, _))) => {
                    changes.add(&entry);
                    load.add(&entry).map_err(RedisError::TooMany)?;
                }
                // Its key, if it has one, is counted when the keys are read.
                (Err(error), _) => changes.skip(&error),
            }
        }
        Ok(changes)
    }

    /// When to read everything the next time, after it was read since `begun`.
    fn loaded(&mut self, begun: Instant) {
        let now = Instant::now();
        let took = now.saturating_duration_since(begun);
        let [least, most] = self.pauses;
        let pause = took.saturating_mul(PAUSE_PER_LOAD).clamp(least, most);
        // Those that began together do not come together.
        self.due = now + pause.mul_f64(0.9 + 0.2 * fastrand::f64());
    }

    async fn read(&mut self) -> Result<Vec<(StreamId, Change)>, RedisError> {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(CHANGES);
        let blocking = match self.again {
            None => {
                command.arg("BLOCK").arg(BLOCK.as_millis() as u64);
                BLOCK
            }
            Some(_) => Duration::ZERO,
        };
        let command = command.arg("STREAMS").arg(self.prefix.changes());
        let command = command.arg(self.position.to_string());
        let answer = self.connection.ask_for("XREAD", command, CHANGES_BYTES, blocking).await?;
        self.connection.taken("XREAD", reply::changes(answer))
    }

    /// What the store says of itself, and whether it still has the change at `anchor`.
    async fn state(&mut self, anchor: Option<StreamId>) -> Result<State, RedisError> {
        let (epoch, changes) = (self.prefix.epoch(), self.prefix.changes());
        let mut commands = Pipeline::new();
        commands.cmd("GET").arg(epoch);
        commands.cmd("XINFO").arg("STREAM").arg(&changes);
        let id = anchor.unwrap_or_default().to_string();
        commands.cmd("XRANGE").arg(changes).arg(&id).arg(id).arg("COUNT").arg(1);
        let answers = self.connection.ask_all("XINFO STREAM", &commands, STATE_BYTES).await?;
        let [epoch, info, at] = <[Value; 3]>::try_from(answers)
            .map_err(|_| RedisError::Unexpected(self.address().clone(), "XINFO STREAM"))?;
        let epoch = self.connection.taken("GET epoch", reply::text(epoch))?;
        let info = self.connection.taken("XINFO STREAM changes", reply::stream_info(info))?;
        let at = self.connection.taken("XRANGE changes", reply::entries_of(at))?;
        let address = self.address().clone();
        let epoch = epoch.and_then(|epoch| String::from_utf8(epoch).ok());
        let Some(epoch) = epoch.filter(|epoch| !epoch.is_empty()) else {
            return Err(RedisError::NoEpoch(address));
        };
        let is_forgotten = at.is_empty()
            && anchor.is_some_and(|anchor| {
                info.first.is_some_and(|first| first <= anchor) && anchor <= info.last
            });
        let seen = Seen { last: info.last, newest: info.newest, is_forgotten, evicted: None };
        Ok(State { address, epoch, seen, info, evicts: false })
    }

    /// With what the server says of its memory, if it does: an account need not have the right to ask.
    async fn with_memory(&mut self, state: State) -> Result<State, RedisError> {
        let mut commands = Pipeline::new();
        commands.cmd("INFO").arg("memory").cmd("INFO").arg("stats");
        let answers = self.connection.ask_all("INFO", &commands, STATE_BYTES).await?;
        let text = |answer| match reply::text(answer) {
            Ok(Some(text)) => String::from_utf8_lossy(&text).into_owned(),
            Ok(None) | Err(_) => String::new(),
        };
        let info: String = answers.into_iter().map(text).collect();
        let value = |name: &str| {
            let lines = info.lines().filter_map(|line| line.split_once(':'));
            lines.filter(|(found, _)| *found == name).map(|(_, value)| value.trim()).next()
        };
        let evicts = value("maxmemory").is_some_and(|bytes| bytes != "0")
            && value("maxmemory_policy").is_some_and(|policy| policy != "noeviction");
        let evicted = value("evicted_keys").and_then(|count| count.parse().ok());
        Ok(State { evicts, seen: Seen { evicted, ..state.seen }, ..state })
    }

    /// A node of a Cluster that is giving our slot away has part of the keys, and says so of every other.
    async fn check_slot(&mut self) -> Result<(), RedisError> {
        if !self.is_cluster {
            return Ok(());
        }
        let answer = self.connection.ask("EXISTS", cmd("EXISTS").arg(self.prefix.probe())).await?;
        self.connection.taken("EXISTS", reply::number(&answer)).map(drop)
    }
}
