//! Which Redis to write to, as the command line says it, and waiting for it. No password is ever an argument: other users
//! of a machine see those.

use std::io;
use std::path::PathBuf;

use crate::config::Config;
use crate::revocation::redis::settings::{
    Account, DEFAULT_PORT, RedisSettings, RedisTls, RedisUrl, Servers,
};
use crate::revocation::redis::{Prefix, RedisError, Writer};
use crate::revocation::source::SourceSettings;
use crate::util::client_tls::ClientTls;

/// Where to write, and as whom.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Store {
    /// The store that this configuration of a service names in revocation.redis. The account named there may only
    /// read: give another one.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The store itself: redis://HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH.
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    redis: Option<String>,
    /// The ACL user to write as. Default: as the configuration says, or else the user default.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// A file with the user's password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// With --redis: the only authorities to trust. Default: the system's.
    #[arg(long, value_name = "FILE", requires = "redis")]
    ca_file: Option<PathBuf>,
    /// With --redis: what the names of the keys begin with. Default: claimgate:revocation.
    #[arg(long, value_name = "PREFIX", requires = "redis", value_parser = prefix)]
    prefix: Option<Prefix>,
}

/// Why nothing was written, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command line or the configuration.
    #[error("{0}")]
    Usage(String),
    /// The system.
    #[error("no runtime: {0}")]
    Io(#[from] io::Error),
    /// The store.
    #[error("{0}")]
    Store(#[from] RedisError),
    /// There is nothing to undo.
    #[error("no entry is about that")]
    Nothing,
}

impl Store {
    /// A writer to it.
    ///
    /// # Errors
    /// There is no such store.
    pub(super) fn writer(&self) -> Result<Writer, Failure> {
        let mut settings = match (&self.redis, &self.config) {
            (Some(url), _) => self.of_url(url)?,
            (None, Some(path)) => {
                let config =
                    Config::from_file(path).map_err(|errors| Failure::Usage(errors.to_string()))?;
                match config.revocation.and_then(|revocation| revocation.source) {
                    Some(SourceSettings::Redis(settings)) => *settings,
                    Some(SourceSettings::File(_)) | None => {
                        let path = path.display();
                        let text = format!("{path}: there is no revocation.redis to write to");
                        return Err(Failure::Usage(text));
                    }
                }
            }
            (None, None) => {
                return Err(Failure::Usage("--config or --redis is missing".to_owned()));
            }
        };
        if let Some(password_file) = self.password_file.clone() {
            settings.account = Some(Account { username: self.username.clone(), password_file });
        }
        Ok(Writer::new(settings))
    }

    fn of_url(&self, url: &str) -> Result<RedisSettings, Failure> {
        let url = RedisUrl::parse(url, DEFAULT_PORT).map_err(|found| {
            Failure::Usage(format!("--redis: {found}, expected {}", RedisUrl::EXPECTED))
        })?;
        if self.ca_file.is_some() && !url.is_tls {
            return Err(Failure::Usage("--ca-file: there is no TLS without rediss://".to_owned()));
        }
        let client = ClientTls { ca_file: self.ca_file.clone(), identity: None };
        let tls = RedisTls { client, server_name: None };
        Ok(RedisSettings {
            servers: Servers::One(url.address),
            tls: url.is_tls.then_some(tls),
            account: None,
            database: url.database.unwrap_or(0),
            prefix: self.prefix.clone().unwrap_or_default(),
            accepts_readable_secrets: false,
        })
    }
}

fn prefix(text: &str) -> Result<Prefix, String> {
    Prefix::parse(text).ok_or_else(|| format!("{} are accepted", Prefix::EXPECTED))
}

/// Waits for the store.
///
/// # Errors
/// It failed, or there is no way to wait.
pub(super) fn wait<T>(doing: impl Future<Output = Result<T, RedisError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(doing);
    // Names that are still being resolved, a file system that does not answer: their deadlines are over.
    runtime.shutdown_background();
    Ok(outcome?)
}
