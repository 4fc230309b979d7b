//! One connection: a command or several go out, one answer to each comes back, within a deadline and a size. Nothing is
//! retried here, and a connection that failed once is not used again.
//!
//! The library (redis-rs) writes and parses the protocol. It gets a stream of ours ([`super::transport`]), so that TLS is
//! the one that the rest of the service speaks and no answer is longer than we allow; and of its asynchronous connection
//! the driver, so that it spawns nothing: the driver runs while an answer is waited for, and at no other time.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, Value, cmd};
use tokio::time::{Instant, timeout};

use super::RedisError;
use super::reply::{self, Odd};
use super::settings::{Account, Address, RedisSettings};
use super::tls::Tls;
use super::transport::{self, Budget};
use crate::util::file::{self, Turn};

/// Until a connection stands, TLS and password included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Until an answer is there, beyond what the command itself waits.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Longer files with a password are refused.
const MAX_PASSWORD_FILE_BYTES: usize = 64 * 1024;

/// Of such a file.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer, unless the command says otherwise.
const ANSWER_BYTES: usize = 64 * 1024;

/// What brings the answers; it ends with the connection.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection that stands.
pub(super) struct Connection {
    address: Address,
    commands: MultiplexedConnection,
    driver: Driver,
    budget: Budget,
    /// Since when it stands.
    since: Instant,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.address)
    }
}

impl Connection {
    /// Connects and says who we are.
    ///
    /// # Errors
    /// It does not stand within [`CONNECT_TIMEOUT`], or the server does not want us.
    pub(super) async fn open(
        address: &Address,
        settings: &RedisSettings,
        account: Option<&Account>,
        turn: &Turn,
    ) -> Result<Self, RedisError> {
        // Files first: what they cannot do in time is no fault of the server's.
        let tls = match address {
            Address::Tcp(..) => Tls::load(settings, turn).await?,
            Address::Unix(_) => None,
        };
        let password = match account {
            Some(account) => Some((account, password(settings, account, turn).await?)),
            None => None,
        };
        let opening = async {
            let mut connection = Self::connect(address, tls.as_ref()).await?;
            if let Some((account, password)) = password {
                let mut auth = cmd("AUTH");
                if let Some(username) = &account.username {
                    auth.arg(username);
                }
                auth.arg(password.as_slice());
                let answer = connection.ask("AUTH", &auth).await?;
                connection.taken("AUTH", reply::accepted(&answer))?;
            }
            Ok(connection)
        };
        match timeout(CONNECT_TIMEOUT, opening).await {
            Ok(outcome) => outcome,
            Err(_) => Err(RedisError::Timeout(address.clone(), CONNECT_TIMEOUT)),
        }
    }

    async fn connect(address: &Address, tls: Option<&Tls>) -> Result<Self, RedisError> {
        let unreachable = |what: &dyn fmt::Display| {
            RedisError::Unreachable(address.clone(), reply::shown(&what.to_string()))
        };
        let connected = transport::connect(address, tls).await;
        let (stream, budget) = connected.map_err(|error| unreachable(&error))?;
        // Nothing goes out before a command of ours: the library would name itself, which an ACL need not allow.
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (commands, driver) = made.map_err(|error| unreachable(&error))?;
        Ok(Self {
            address: address.clone(),
            commands,
            driver: Box::pin(driver),
            budget,
            since: Instant::now(),
        })
    }

    /// How long it has stood.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    #[cfg(test)]
    pub(super) fn grow_older(&mut self, by: Duration) {
        self.since = self.since.checked_sub(by).expect("not so long ago");
    }

    /// Whom it leads to.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The answer to one command, which may be a refusal.
    ///
    /// # Errors
    /// There is none: the connection is of no more use.
    pub(super) async fn ask(
        &mut self,
        name: &'static str,
        command: &Cmd,
    ) -> Result<Value, RedisError> {
        self.ask_for(name, command, ANSWER_BYTES, Duration::ZERO).await
    }

    /// The same of a command that may answer this long an answer, after waiting for this long.
    ///
    /// # Errors
    /// There is none: the connection is of no more use.
    pub(super) async fn ask_for(
        &mut self,
        name: &'static str,
        command: &Cmd,
        bytes: usize,
        blocking: Duration,
    ) -> Result<Value, RedisError> {
        let Self { commands, driver, budget, address, .. } = self;
        budget.allow(bytes);
        let answer = commands.send_packed_command(command);
        let deadline = ANSWER_TIMEOUT.saturating_add(blocking);
        driven(address, name, answer, (driver, budget), deadline).await
    }

    /// The answers to several commands, sent at once, each of which may be a refusal.
    ///
    /// # Errors
    /// One is missing: the connection is of no more use.
    pub(super) async fn ask_all(
        &mut self,
        name: &'static str,
        commands: &Pipeline,
        bytes: usize,
    ) -> Result<Vec<Value>, RedisError> {
        let count = commands.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let Self { commands: connection, driver, budget, address, .. } = self;
        budget.allow(bytes);
        let answers = connection.send_packed_commands(commands, 0, count);
        let answers = driven(address, name, answers, (driver, budget), ANSWER_TIMEOUT).await?;
        if answers.len() == count { Ok(answers) } else { Err(self.odd(name, Odd::Form)) }
    }

    /// What came of reading an answer, as an error of this server's.
    ///
    /// # Errors
    /// What was wrong with it.
    pub(super) fn taken<T>(
        &self,
        command: &'static str,
        read: Result<T, Odd>,
    ) -> Result<T, RedisError> {
        read.map_err(|odd| self.odd(command, odd))
    }

    fn odd(&self, command: &'static str, odd: Odd) -> RedisError {
        let address = self.address.clone();
        match odd {
            Odd::Refused(reply) => RedisError::Refused { address, command, reply },
            Odd::Form => RedisError::Unexpected(address, command),
        }
    }
}

/// Waits for an answer while the driver brings it.
async fn driven<T>(
    address: &Address,
    name: &'static str,
    answer: impl Future<Output = redis::RedisResult<T>>,
    (driver, budget): (&mut Driver, &Budget),
    deadline: Duration,
) -> Result<T, RedisError> {
    let either = async {
        tokio::select! {
            biased;
            answer = answer => Some(answer),
            () = driver => None,
        }
    };
    match timeout(deadline, either).await {
        Ok(Some(Ok(answer))) => Ok(answer),
        // The library has its own words for that, as if the server had hung up.
        Ok(Some(Err(_)) | None) if budget.is_exceeded() => {
            let what = format!("{name}: its answer is longer than any may be");
            Err(RedisError::Unreachable(address.clone(), what))
        }
        Ok(Some(Err(error))) => {
            let words = reply::shown(&error.to_string());
            Err(RedisError::Unreachable(address.clone(), format!("{name}: {words}")))
        }
        Ok(None) => Err(RedisError::Unreachable(address.clone(), format!("{name}: it hung up"))),
        Err(_) => Err(RedisError::Timeout(address.clone(), deadline)),
    }
}

async fn password(
    settings: &RedisSettings,
    account: &Account,
    turn: &Turn,
) -> Result<zeroize::Zeroizing<Vec<u8>>, RedisError> {
    let path = &account.password_file;
    let accepts_readable = settings.accepts_readable_secrets;
    let content =
        file::secret(turn, path, MAX_PASSWORD_FILE_BYTES, FILE_TIMEOUT, accepts_readable).await;
    let content = content
        .map_err(|error| RedisError::File(format!("password_file {}: {error}", path.display())))?;
    // Editors and `echo` end a file with a line break.
    let password = content.strip_suffix(b"\n").unwrap_or(&content);
    let password = password.strip_suffix(b"\r").unwrap_or(password);
    if password.is_empty() || password.contains(&b'\n') {
        let path = path.display();
        return Err(RedisError::File(format!("password_file {path}: it does not hold one line")));
    }
    Ok(zeroize::Zeroizing::new(password.to_vec()))
}
