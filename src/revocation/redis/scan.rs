//! Reads the keys of all entries, a batch at a time, and hands each to whoever asked: what cannot be read too, since one
//! writer's mistake must not take away what the others have revoked.

use redis::{Pipeline, Value, cmd};

use super::RedisError;
use super::connection::Connection;
use super::reply::{self, Odd};
use super::schema::Prefix;
use crate::revocation::entry::{EntryError, MAX_LINE_BYTES, RevocationEntry};
use crate::revocation::source::Load;

/// About so many keys at once.
const KEYS: usize = 1000;

/// The longest answer with them. The server decides how many they are.
const KEYS_BYTES: usize = 4 << 20;

/// So many entries at once.
const ENTRIES: usize = 500;

/// The longest answer with them.
const ENTRIES_BYTES: usize = ENTRIES * (MAX_LINE_BYTES + 64);

/// What is done with the text under a key, or with what is wrong there.
pub(super) type Visit<'a> = &'a mut (
            dyn FnMut(&[u8], Result<RevocationEntry, EntryError>) -> Result<(), RedisError> + Send
        );

/// Takes what is found into a load.
pub(super) fn into(
    load: &mut Load,
) -> impl FnMut(&[u8], Result<RevocationEntry, EntryError>) -> Result<(), RedisError> {
    |_key, found| match found {
        Ok(entry) => load.add(&entry).map_err(RedisError::TooMany),
        Err(error) => {
            load.skip(&error);
            Ok(())
        }
    }
}

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// `Some` once it has begun; 0 at its end.
    cursor: Option<u64>,
}

impl Scan {
    /// Whether there is nothing left to read.
    pub(super) fn is_over(&self) -> bool {
        self.cursor == Some(0)
    }

    /// Reads a batch.
    ///
    /// # Errors
    /// The connection is of no more use, or `visit` has had enough.
    pub(super) async fn go_on(
        &mut self,
        connection: &mut Connection,
        prefix: &Prefix,
        visit: Visit<'_>,
    ) -> Result<(), RedisError> {
        if self.is_over() {
            return Ok(());
        }
        let mut command = cmd("SCAN");
        command.arg(self.cursor.unwrap_or(0));
        command.arg("MATCH").arg(prefix.entries()).arg("COUNT").arg(KEYS);
        let answer =
            connection.ask_for("SCAN", &command, KEYS_BYTES, std::time::Duration::ZERO).await?;
        let (cursor, keys) = connection.taken("SCAN", reply::scanned(answer))?;
        for keys in keys.chunks(ENTRIES) {
            read(connection, keys, visit).await?;
        }
        self.cursor = Some(cursor);
        Ok(())
    }
}

async fn read(
    connection: &mut Connection,
    keys: &[Vec<u8>],
    visit: Visit<'_>,
) -> Result<(), RedisError> {
    let mut commands = Pipeline::new();
    for key in keys {
        // One byte more than an entry may have shows that it is longer; what is behind it is not sent.
        commands.cmd("GETRANGE").arg(key).arg(0).arg(MAX_LINE_BYTES);
    }
    let answers = connection.ask_all("GETRANGE", &commands, ENTRIES_BYTES).await?;
    let mut empty = Pipeline::new();
    for (key, answer) in keys.iter().zip(answers) {
        if matches!(&answer, Value::ServerError(error) if error.code() == "WRONGTYPE") {
            visit(key, Err(EntryError::NotAString("the value of the key")))?;
            continue;
        }
        let text = reply::text(answer).and_then(|text| text.ok_or(Odd::Form));
        let text = connection.taken("GETRANGE", text)?;
        if text.is_empty() {
            empty.cmd("EXISTS").arg(key);
            continue;
        }
        visit(key, RevocationEntry::parse(&text))?;
    }
    // It expired since its key was told, or somebody wrote nothing into it.
    for answer in connection.ask_all("EXISTS", &empty, ENTRIES_BYTES).await? {
        if connection.taken("EXISTS", reply::number(&answer))? != 0 {
            visit(&[], Err(EntryError::Missing("entry")))?;
        }
    }
    Ok(())
}
