//! `revocation.redis`, of the service and of the reference issuer: where the store is, and who we are to it. Nothing is
//! connected to here, and no file is read.

use super::Compiler;
use crate::config::raw::{REDIS_SERVERS, RawRedis, RawSentinel};
use crate::config::report::{Path, quote};
use crate::config::scalar::{Count, List, Mapping, Text};
use crate::revocation::redis::Prefix;
use crate::revocation::redis::settings::{
    Account, Address, DEFAULT_PORT, RedisSettings, RedisTls, RedisUrl, SENTINEL_PORT, Servers,
};
use crate::util::client_tls::ClientTls;

impl Compiler<'_> {
    pub(super) fn redis(&mut self, path: &Path, raw: RawRedis) -> Option<RedisSettings> {
        let given = [raw.url.is_some(), raw.sentinel.is_some(), raw.cluster.is_some()];
        let given: Vec<&str> =
            REDIS_SERVERS.iter().zip(given).filter(|(_, is)| *is).map(|(key, _)| *key).collect();
        if given.len() > 1 {
            let expected = format!("exactly one of {}", REDIS_SERVERS.join(", "));
            self.report.wrong(path, given.join(" and "), expected);
        }
        let RawRedis { username, password_file, prefix, .. } = &raw;
        let account = self.redis_account(
            path,
            ("username", username.as_deref()),
            ("password_file", password_file.as_deref()),
        );
        let prefix = self.redis_prefix(&path.key("prefix"), prefix.as_deref());
        let tls = self.redis_tls(path, &raw);
        let (servers, is_tls, database) = self.redis_servers(path, raw)?;
        if !is_tls && tls != RedisTls::default() {
            self.report.wrong(path, "a setting of TLS", "rediss:// URLs with it");
        }
        Some(RedisSettings {
            servers,
            tls: is_tls.then_some(tls),
            account,
            database,
            prefix,
            accepts_readable_secrets: !self.is_production(),
        })
    }

    /// The servers, whether TLS is spoken to them, and the database.
    fn redis_servers(&mut self, path: &Path, raw: RawRedis) -> Option<(Servers, bool, u16)> {
        if let Some(text) = raw.url {
            let url = self.redis_url(&path.key("url"), &text, DEFAULT_PORT)?;
            return Some((Servers::One(url.address), url.is_tls, url.database.unwrap_or(0)));
        }
        if let Some(Mapping(sentinel)) = raw.sentinel {
            return self.sentinel(&path.key("sentinel"), sentinel);
        }
        if let Some(List(list)) = raw.cluster {
            let (nodes, is_tls) = self.redis_urls(&path.key("cluster"), list, DEFAULT_PORT)?;
            return Some((Servers::Cluster(nodes), is_tls, 0));
        }
        if !self.report.has_in(path) {
            self.report.missing(path, format!("one of {}", REDIS_SERVERS.join(", ")));
        }
        None
    }

    fn sentinel(&mut self, path: &Path, raw: RawSentinel) -> Option<(Servers, bool, u16)> {
        let master = raw.master.filter(|master| !master.is_empty());
        if master.is_none() {
            self.report.missing(&path.key("master"), "what the Sentinels call the master");
        }
        let account = self.redis_account(
            path,
            ("sentinel_username", raw.sentinel_username.as_deref()),
            ("sentinel_password_file", raw.sentinel_password_file.as_deref()),
        );
        let database = raw.database.map_or(0, |Text(Count(number))| number);
        let database = u16::try_from(database).unwrap_or_else(|_| {
            self.report.wrong(&path.key("database"), database, "0 to 65535");
            0
        });
        let urls = path.key("urls");
        let Some(List(list)) = raw.urls else {
            self.report.missing(&urls, "the URLs of the Sentinels");
            return None;
        };
        let (sentinels, is_tls) = self.redis_urls(&urls, list, SENTINEL_PORT)?;
        let master = master?;
        Some((Servers::Sentinel { master, sentinels, account }, is_tls, database))
    }

    /// Several servers that are reached alike: what they tell of one another is an address only.
    fn redis_urls(
        &mut self,
        path: &Path,
        list: Vec<Option<String>>,
        port: u16,
    ) -> Option<(Vec<Address>, bool)> {
        self.not_empty(path, list.len(), "a list with at least one URL");
        let texts = self.strings(path, list);
        let mut urls: Vec<RedisUrl> = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let path = path.index(index);
            let Some(url) = self.redis_url(&path, text, port) else { continue };
            if url.database.is_some() || matches!(url.address, Address::Unix(_)) {
                let expected = "redis://HOST:PORT or rediss://HOST:PORT, without a database";
                self.report.wrong(&path, quote(text), expected);
            }
            if urls.first().is_some_and(|first| first.is_tls != url.is_tls) {
                let expected = "the scheme of the first: all of them, or none, over TLS";
                self.report.wrong(&path, quote(text), expected);
            }
            urls.push(url);
        }
        let is_tls = urls.first()?.is_tls;
        Some((urls.into_iter().map(|url| url.address).collect(), is_tls))
    }

    fn redis_url(&mut self, path: &Path, text: &str, port: u16) -> Option<RedisUrl> {
        match RedisUrl::parse(text, port) {
            Ok(url) => Some(url),
            Err(found) => {
                self.report.wrong(path, found, RedisUrl::EXPECTED);
                None
            }
        }
    }

    fn redis_account(
        &mut self,
        path: &Path,
        (username_key, username): (&str, Option<&str>),
        (file_key, file): (&str, Option<&str>),
    ) -> Option<Account> {
        if username == Some("") {
            self.report.wrong(&path.key(username_key), "an empty string", "the name of a user");
        }
        let Some(file) = file else {
            if username.is_some() {
                self.report.missing(&path.key(file_key), format!("the password of {username_key}"));
            }
            return None;
        };
        let password_file = self.file(&path.key(file_key), file, "a file with a password");
        Some(Account { username: username.map(str::to_owned), password_file })
    }

    fn redis_prefix(&mut self, path: &Path, text: Option<&str>) -> Prefix {
        let Some(text) = text else { return Prefix::default() };
        Prefix::parse(text).unwrap_or_else(|| {
            self.report.wrong(path, quote(text), Prefix::EXPECTED);
            Prefix::default()
        })
    }

    fn redis_tls(&mut self, path: &Path, raw: &RawRedis) -> RedisTls {
        let ca_file = self.file_at(path, "ca_file", raw.ca_file.as_deref(), "certificates in PEM");
        let (cert_file, key_file) = (&raw.client_cert_file, &raw.client_key_file);
        let identity = self.client_identity(path, cert_file.as_deref(), key_file.as_deref());
        if raw.server_name.as_deref() == Some("") {
            let path = path.key("server_name");
            self.report.wrong(&path, "an empty string", "the name in the server's certificate");
        }
        RedisTls { client: ClientTls { ca_file, identity }, server_name: raw.server_name.clone() }
    }
}
