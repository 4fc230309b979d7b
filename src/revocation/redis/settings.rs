//! Where the Redis is, and who we are to it. [`crate::config`] makes these; no secret is in them, only where one is.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use super::schema::Prefix;
use crate::util::client_tls::ClientTls;

/// How the store of revocations is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// Where it is.
    pub servers: Servers,
    /// `None`: TCP without TLS, or a Unix socket.
    pub tls: Option<RedisTls>,
    /// `None`: nobody asks who we are.
    pub account: Option<Account>,
    /// The number of the database; 0 in a Cluster, which has no other.
    pub database: u16,
    /// What the names of all keys begin with.
    pub prefix: Prefix,
    /// Whether a password or a private key that everybody on the machine can read is used all the same.
    pub accepts_readable_secrets: bool,
}

impl RedisSettings {
    /// Whether somebody between us and a server could read along, and change what is said.
    pub fn is_readable_on_the_way(&self) -> bool {
        let is_away = |address: &Address| match address {
            Address::Tcp(host, _) => {
                let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
                host != "localhost" && !is_loopback
            }
            Address::Unix(_) => false,
        };
        let addresses = match &self.servers {
            Servers::One(address) => std::slice::from_ref(address),
            Servers::Sentinel { sentinels: addresses, .. } | Servers::Cluster(addresses) => {
                addresses
            }
        };
        self.tls.is_none() && addresses.iter().any(is_away)
    }
}

/// For people, and without what is nobody's business.
impl fmt::Display for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |addresses: &[Address]| {
            addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(", ")
        };
        match &self.servers {
            Servers::One(address) => write!(f, "Redis {address}"),
            Servers::Sentinel { master, sentinels, .. } => {
                write!(f, "Redis {master} of the Sentinels {}", listed(sentinels))
            }
            Servers::Cluster(nodes) => write!(f, "Redis Cluster {}", listed(nodes)),
        }
    }
}

/// Which server to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    /// This one.
    One(Address),
    /// The one that Sentinels call the master.
    Sentinel {
        /// What they call it.
        master: String,
        /// Asked one after the other; of more than two, more than half must agree in the end, by Sentinel's own rules.
        sentinels: Vec<Address>,
        /// Who we are to the Sentinels, which have accounts of their own.
        account: Option<Account>,
    },
    /// The node of a Cluster that has our slot: all keys are in one.
    Cluster(Vec<Address>),
}

/// One server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A name or an IP address (IPv6 without brackets), and a port.
    Tcp(String, u16),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisTls {
    /// Whom we trust, and what we show.
    pub client: ClientTls,
    /// The name that the server's certificate must have; `None`: the host's. Sentinels and Clusters tell IP addresses.
    pub server_name: Option<String>,
}

/// An ACL user, or the one default password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `None`: the user `default`.
    pub username: Option<String>,
    /// Holds the password; read at every connection, so that a new one is taken without a restart.
    pub password_file: PathBuf,
}

/// The `url` of one server, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    /// Where.
    pub address: Address,
    /// Whether over TLS.
    pub is_tls: bool,
    /// The path of `redis` and `rediss`.
    pub database: Option<u16>,
}

/// Redis' own.
pub const DEFAULT_PORT: u16 = 6379;

/// Its Sentinels'.
pub const SENTINEL_PORT: u16 = 26379;

impl RedisUrl {
    /// What is accepted, for people.
    pub const EXPECTED: &'static str =
        "redis://HOST[:PORT][/DATABASE], rediss:// for TLS, or unix:///PATH";

    /// Reads `redis://`, `rediss://` and `unix://`; `port` is the one of a URL that has none.
    ///
    /// # Errors
    /// Why not, without the text: it may hold a password.
    pub fn parse(text: &str, port: u16) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return Err("a URL without an absolute path");
            }
            let address = Address::Unix(PathBuf::from(path));
            return Ok(Self { address, is_tls: false, database: None });
        }
        let url = url::Url::parse(text).map_err(|_| "no URL (not shown)")?;
        let is_tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err("a URL of another scheme"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "a URL with userinfo (not shown): write username and password_file beside it",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a URL with a query or a fragment");
        }
        let host = match url.host_str() {
            Some(host) if !host.is_empty() => host.trim_start_matches('[').trim_end_matches(']'),
            Some(_) | None => return Err("a URL without a host"),
        };
        let database = match url.path().trim_start_matches('/') {
            "" => None,
            number => Some(number.parse().map_err(|_| "a database that is no number")?),
        };
        let address = Address::Tcp(host.to_owned(), url.port().unwrap_or(port));
        Ok(Self { address, is_tls, database })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let cases = [
            ("redis://redis", "redis:6379", false, None),
            ("redis://redis.example:7000/3", "redis.example:7000", false, Some(3)),
            ("rediss://[::1]:1", "[::1]:1", true, None),
            ("rediss://10.0.0.1/0", "10.0.0.1:6379", true, Some(0)),
            ("unix:///run/redis.sock", "unix:/run/redis.sock", false, None),
        ];
        for (text, address, is_tls, database) in cases {
            let url = RedisUrl::parse(text, DEFAULT_PORT).unwrap();
            let shown = (url.address.to_string(), url.is_tls, url.database);
            assert_eq!(shown, (address.to_owned(), is_tls, database), "{text}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_redis_is_refused_and_a_password_is_not_shown() {
        for text in [
            "",
            "redis",
            "redis:6379",
            "http://redis",
            "redis://",
            "redis://:6379",
            "redis://h/x",
            "redis://h/70000",
            "redis://h?a=1",
            "redis://h#a",
            "unix://run/redis.sock",
            "redis://user@h",
            "redis://:hunter2@h",
            "redis://user:hunter2@h:x",
        ] {
            let reason = RedisUrl::parse(text, DEFAULT_PORT).unwrap_err();
            assert!(!reason.contains("hunter2"), "{text}: {reason}");
        }
    }
}
