//! Writes to the store, by the same schema that `deploy/revocation.md` tells everybody: the entry under its own key and
//! into the stream, in one transaction. `claimgate revoke` and the reference issuer are its users.

use std::time::Duration;

use redis::{Pipeline, Value, cmd};

use super::RedisError;
use super::connection::Connection;
use super::reply::{self, Odd};
use super::scan::{Scan, Visit};
use super::schema::{ENTRY, EPOCH, Prefix, REMOVED};
use super::servers;
use super::settings::RedisSettings;
use crate::revocation::entry::{EntryKind, MAX_LINE_BYTES, RevocationEntry};
use crate::revocation::snapshot::LEEWAY;
use crate::util::clock::UnixTime;
use crate::util::file::Turn;

/// The stream is cut off at about this many changes. A reader that was away for longer reads everything.
const STREAM_LENGTH: usize = 100_000;

/// Answers of a transaction are short but for the entry that is read back.
const ANSWER_BYTES: usize = 2 * MAX_LINE_BYTES;

/// Writes entries. Making one does no I/O.
#[derive(Debug)]
pub struct Writer {
    settings: RedisSettings,
    /// Of the files.
    turn: Turn,
    connection: Option<Connection>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The server that has it.
    pub server: String,
    /// The key that it is under.
    pub key: String,
    /// Where it is in the stream.
    pub position: String,
    /// Whether the store has an epoch: without one nobody who starts now believes it.
    pub has_epoch: bool,
}

impl Writer {
    /// A writer to this store.
    pub fn new(settings: RedisSettings) -> Self {
        Self { settings, turn: Turn::default(), connection: None }
    }

    /// Writes an entry and reads it back. Doing so again does no harm: it is the same key.
    ///
    /// # Errors
    /// It is not known to be there. It may be all the same.
    pub async fn write(
        &mut self,
        entry: &RevocationEntry,
        now: UnixTime,
    ) -> Result<Written, RedisError> {
        let (prefix, text) = (self.settings.prefix.clone(), entry.to_json());
        let key = prefix.entry(&text);
        let mut commands = Pipeline::new();
        commands.cmd("SET").arg(&key).arg(&text).arg("EX").arg(ttl(entry, now));
        changed(&mut commands, &prefix, ENTRY, &text);
        let mut connection = self.connection().await?;
        let position = transaction(&mut connection, commands).await?;
        let mut commands = Pipeline::new();
        commands.cmd("GET").arg(&key).cmd("EXISTS").arg(prefix.epoch());
        let answers = connection.ask_all("GET", &commands, ANSWER_BYTES).await?;
        let [found, epoch] = both(&connection, answers)?;
        let found = connection.taken("GET", reply::text(found))?;
        if found.as_deref() != Some(text.as_bytes()) {
            return Err(RedisError::NotWritten(connection.address().clone()));
        }
        let has_epoch = connection.taken("EXISTS", reply::number(&epoch))? == 1;
        let server = connection.address().to_string();
        self.connection = Some(connection);
        Ok(Written { server, key, position, has_epoch })
    }

    /// Takes back every entry about this, whatever its times and whoever wrote it. How many there were.
    ///
    /// # Errors
    /// It is not known that they are gone.
    pub async fn remove(
        &mut self,
        kind: EntryKind,
        iss: &str,
        id: Option<&str>,
    ) -> Result<usize, RedisError> {
        let mut keys = Vec::new();
        self.visit(&mut |key, found| {
            let is_it = |entry: &RevocationEntry| {
                entry.kind() == kind && entry.iss() == iss && entry.revoked().id() == id
            };
            keys.extend(found.is_ok_and(|entry| is_it(&entry)).then(|| key.to_vec()));
            Ok(())
        })
        .await?;
        let prefix = self.settings.prefix.clone();
        let mut connection = self.connection().await?;
        if keys.is_empty() {
            // Services may have what the store has lost: they are told to look.
            let mut commands = Pipeline::new();
            changed(&mut commands, &prefix, REMOVED, &prefix.probe());
            transaction(&mut connection, commands).await?;
        }
        for key in &keys {
            let mut commands = Pipeline::new();
            commands.cmd("DEL").arg(key);
            changed(&mut commands, &prefix, REMOVED, &String::from_utf8_lossy(key));
            transaction(&mut connection, commands).await?;
        }
        self.connection = Some(connection);
        Ok(keys.len())
    }

    /// Everything that the store holds, and how much of it cannot be read.
    ///
    /// # Errors
    /// Not all of it could be read, or there is no epoch: then it is not known what is missing.
    pub async fn list(&mut self) -> Result<(Vec<RevocationEntry>, usize), RedisError> {
        let (mut entries, mut unreadable) = (Vec::new(), 0);
        let mut connection = self.connection().await?;
        let answer =
            connection.ask("EXISTS", cmd("EXISTS").arg(self.settings.prefix.epoch())).await?;
        if connection.taken("EXISTS", reply::number(&answer))? == 0 {
            return Err(RedisError::NoEpoch(connection.address().clone()));
        }
        self.connection = Some(connection);
        self.visit(&mut |_key, found| {
            match found {
                Ok(entry) => entries.push(entry),
                Err(_) => unreadable += 1,
            }
            Ok(())
        })
        .await?;
        Ok((entries, unreadable))
    }

    async fn visit(&mut self, visit: Visit<'_>) -> Result<(), RedisError> {
        let mut connection = self.connection().await?;
        let mut scan = Scan::default();
        while !scan.is_over() {
            scan.go_on(&mut connection, &self.settings.prefix, visit).await?;
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Says that the list begins here: gives the store an epoch, unless it has one. Whether it was given one now.
    ///
    /// # Errors
    /// It is not known to have one.
    pub async fn init(&mut self, epoch: &str) -> Result<bool, RedisError> {
        let prefix = self.settings.prefix.clone();
        let mut connection = self.connection().await?;
        let mut command = cmd("SET");
        let answer =
            connection.ask("SET", command.arg(prefix.epoch()).arg(epoch).arg("NX")).await?;
        let is_new = connection.taken("SET", reply::was_set(&answer))?;
        if is_new {
            let mut commands = Pipeline::new();
            changed(&mut commands, &prefix, EPOCH, epoch);
            let answers = connection.ask_all("XADD", &commands, ANSWER_BYTES).await?;
            let answer = answers.into_iter().next().unwrap_or_default();
            connection.taken("XADD", reply::text(answer))?;
        }
        self.connection = Some(connection);
        Ok(is_new)
    }

    /// A connection that leads to whoever has the list now. One that fails is not put back.
    async fn connection(&mut self) -> Result<Connection, RedisError> {
        servers::reopen(self.connection.take(), &self.settings, &self.turn).await
    }

    #[cfg(test)]
    pub(super) fn grow_older(&mut self, by: Duration) {
        self.connection.as_mut().expect("a connection").grow_older(by);
    }
}

/// Adds a change to the stream.
fn changed(commands: &mut Pipeline, prefix: &Prefix, field: &str, value: &str) {
    let command = commands.cmd("XADD").arg(prefix.changes());
    command.arg("MAXLEN").arg("~").arg(STREAM_LENGTH).arg("*").arg(field).arg(value);
}

/// Runs `commands`, the last of which adds to the stream, all or none; returns the place in the stream.
async fn transaction(
    connection: &mut Connection,
    commands: Pipeline,
) -> Result<String, RedisError> {
    let mut all = Pipeline::new();
    all.cmd("MULTI");
    for command in commands.cmd_iter() {
        all.add_command(command.clone());
    }
    all.cmd("EXEC");
    let mut answers = connection.ask_all("EXEC", &all, ANSWER_BYTES).await?;
    let outcome = answers.pop().unwrap_or_default();
    // What EXEC says is only that a command was refused; the command itself says why.
    for answer in &answers {
        connection.taken("the transaction", reply::accepted(answer))?;
    }
    let mut outcomes = connection.taken("EXEC", reply::list(outcome))?;
    let position = outcomes.pop().unwrap_or_default();
    for outcome in &outcomes {
        if let Value::ServerError(_) = outcome {
            return connection.taken("the transaction", Err(reply::odd(outcome)));
        }
    }
    let position = connection.taken("XADD", reply::text(position))?;
    let position = position.and_then(|position| String::from_utf8(position).ok());
    connection.taken("XADD", position.ok_or(Odd::Form))
}

fn both(connection: &Connection, answers: Vec<Value>) -> Result<[Value; 2], RedisError> {
    connection.taken("GET", answers.try_into().map_err(|_| Odd::Form))
}

/// How long the store keeps it, by our clock: as long as claimgate does, and never not at all.
fn ttl(entry: &RevocationEntry, now: UnixTime) -> u64 {
    let left = entry.expires_at().saturating_add(LEEWAY).since(now);
    left.saturating_add(Duration::from_millis(999)).as_secs().max(1)
}
