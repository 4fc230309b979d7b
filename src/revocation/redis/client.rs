//! [`Client`]: for what else is kept beside the revocations, in the same Redis and under the same prefix: the refresh tokens
//! of the reference issuer. It runs scripts, each of them whole; what they mean is their owner's business.

use redis::cmd;

use super::RedisError;
use super::connection::Connection;
use super::reply;
use super::servers;
use super::settings::RedisSettings;
use crate::util::file::Turn;

/// Runs scripts in a Redis. Making one does no I/O.
#[derive(Debug)]
pub struct Client {
    settings: RedisSettings,
    /// Of the files.
    turn: Turn,
    connection: Option<Connection>,
}

impl Client {
    /// Of this Redis.
    pub fn new(settings: RedisSettings) -> Self {
        Self { settings, turn: Turn::default(), connection: None }
    }

    /// The name of a key, beside those of revocations and in the same slot of a Cluster.
    pub fn key(&self, name: &str) -> String {
        format!("{{{}}}:v1:issuer:{name}", self.settings.prefix)
    }

    /// Runs `script` (Lua, EVAL), which answers with a list of strings.
    ///
    /// # Errors
    /// It is not known to have run. It may have all the same.
    pub async fn run(
        &mut self,
        script: &str,
        keys: &[String],
        arguments: &[String],
    ) -> Result<Vec<Vec<u8>>, RedisError> {
        let mut command = cmd("EVAL");
        command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
        let mut connection = self.connection().await?;
        let answer = connection.ask("EVAL", &command).await?;
        let answer = connection.taken("EVAL", reply::texts(answer))?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// One that answers. One that fails is not put back.
    async fn connection(&mut self) -> Result<Connection, RedisError> {
        servers::reopen(self.connection.take(), &self.settings, &self.turn).await
    }
}
