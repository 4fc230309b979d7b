//! How the store can fail us. The source tells these as [`SourceError`]s; `claimgate revoke` prints them.

use std::time::Duration;

use super::settings::Address;
use crate::revocation::source::SourceError;

/// Why there is nothing new from the store, or why nothing was written. What a server wrote is escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// No connection, or one that broke: refused, DNS, TLS, closed.
    #[error("{0}: {1}")]
    Unreachable(Address, String),
    /// No whole answer in time.
    #[error("{0}: no whole answer within {1:?}")]
    Timeout(Address, Duration),
    /// A file of the configuration that cannot be read or used.
    #[error("{0}")]
    File(String),
    /// The server refused a command: ACL, a full memory, a replica that takes no writes, a key of another type.
    #[error("{address} refuses {command}: {reply}")]
    Refused {
        /// Who.
        address: Address,
        /// Which command.
        command: &'static str,
        /// The server's words, which begin with a code.
        reply: String,
    },
    /// An answer of another form than the command's.
    #[error("{0} answers {1} in a form that it never has")]
    Unexpected(Address, &'static str),
    /// There is no epoch: the store was never set up, or lost everything.
    #[error(
        "{0} has no epoch: it was never set up, or it lost what it held; \
        `claimgate revoke init` says that its list begins here"
    )]
    NoEpoch(Address),
    /// The server is a replica where a master was expected.
    #[error("{0} is a replica, not the master")]
    Replica(Address),
    /// The Sentinels call another server the master now.
    #[error("{0} is the master no more, say the Sentinels")]
    Moved(Address),
    /// No Sentinel named a master, or no node of the Cluster our slot's; the last one's reason.
    #[error("no server to ask: {0}")]
    NoServer(String),
    /// More entries than are held in memory.
    #[error("{0}")]
    TooMany(SourceError),
    /// What was written is not what is there now.
    #[error("{0} took the entry, and does not have it")]
    NotWritten(Address),
}

impl RedisError {
    /// The code that a refusal begins with, such as `NOPERM`.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { reply, .. } => reply.split(' ').next(),
            Self::Unreachable(..)
            | Self::Timeout(..)
            | Self::File(_)
            | Self::Unexpected(..)
            | Self::NoEpoch(_)
            | Self::Replica(_)
            | Self::Moved(_)
            | Self::NoServer(_)
            | Self::TooMany(_)
            | Self::NotWritten(_) => None,
        }
    }
}

impl From<RedisError> for SourceError {
    fn from(error: RedisError) -> Self {
        let text = error.to_string();
        match &error {
            RedisError::Unreachable(..)
            | RedisError::File(_)
            | RedisError::Replica(_)
            | RedisError::Moved(_)
            | RedisError::NoServer(_) => Self::Unreachable(text),
            RedisError::Timeout(_, after) => Self::Timeout(*after),
            RedisError::Refused { .. } => match error.code().unwrap_or_default() {
                "NOPERM" | "NOAUTH" | "WRONGPASS" => Self::Denied(text),
                // It cannot just now: it starts, fails over, is moved, runs a script.
                "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY" | "MOVED"
                | "ASK" | "UNBLOCKED" => Self::Unreachable(text),
                _ => Self::Malformed(text),
            },
            RedisError::Unexpected(..) | RedisError::NotWritten(_) => Self::Malformed(text),
            RedisError::NoEpoch(_) => Self::NoEpoch,
            RedisError::TooMany(error) => error.clone(),
        }
    }
}
