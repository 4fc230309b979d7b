//! What the reference issuer is to do: typed settings that `config::compile` builds. A client may have what stands here
//! and nothing else.

use std::path::PathBuf;
use std::time::Duration;

use super::secret_hash::SecretHash;
use crate::revocation::redis::settings::RedisSettings;
use crate::util::label::Label;

/// Everything about the issuer but where it listens.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The `iss` of its tokens: what every URL of it begins with, without a slash at the end.
    pub issuer: String,
    /// The path of that URL, `""` or `/something`: its endpoints are below.
    pub path: String,
    /// The key directory.
    pub key_dir: PathBuf,
    /// Who gets tokens, labels numbered from 0.
    pub clients: Vec<Client>,
    /// The longest that an access token of any of them is good for.
    pub lifetime: Duration,
    /// Of refresh tokens.
    pub refresh: RefreshSettings,
    /// Where revocations are written.
    pub revocation: RevocationSettings,
    /// What clients may cost.
    pub limits: RateLimits,
}

/// One client (RFC 6749 §2).
#[derive(Clone, Debug)]
pub struct Client {
    /// Its `client_id`, which is its name in metrics and logs as well.
    pub label: Label,
    /// The hashes of its secrets, two while it changes from one to the next. Never empty.
    pub secrets: Vec<SecretHash>,
    /// The `sub` of its tokens.
    pub subject: String,
    /// The scopes that it may ask for, in the order in which they stand in a token.
    pub scopes: Vec<Scope>,
    /// What it gets without asking: a part of `scopes`.
    pub default_scopes: Vec<Scope>,
    /// The audiences that it may ask for; the first is what it gets without asking. Never empty.
    pub audiences: Vec<String>,
    /// The `roles` of its tokens.
    pub roles: Vec<String>,
    /// How long its access tokens are good for.
    pub lifetime: Duration,
    /// Whether it gets refresh tokens.
    pub refresh_tokens: bool,
}

impl Client {
    /// Its `client_id`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.label.name()
    }
}

/// A scope token (RFC 6749 §3.3): visible ASCII without `"` and `\`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(Box<str>);

impl Scope {
    /// What is accepted, for people.
    pub const EXPECTED: &'static str =
        "a scope: 1 to 256 visible ASCII characters other than \" and \\";

    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        let good = (1..=256).contains(&text.len()) && text.bytes().all(is_allowed);
        good.then(|| Self(text.into()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How long refresh tokens are good for, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshSettings {
    /// From the first token of a family to its end, however often it is used.
    pub lifetime: Duration,
    /// From one use to the next.
    pub idle: Duration,
    /// Families at once, of one client.
    pub per_client: usize,
    /// Tokens that are remembered, used ones included, of all clients.
    pub most: usize,
}

impl Default for RefreshSettings {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            idle: Duration::from_secs(24 * 60 * 60),
            per_client: 1_000,
            most: 100_000,
        }
    }
}

/// Where revocations are written, for every claimgate to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationSettings {
    /// Nowhere but in this process: for development.
    Memory,
    /// A file that services watch. Refresh tokens are in memory then.
    File(PathBuf),
    /// A Redis that services follow, which has the refresh tokens as well.
    Redis(Box<RedisSettings>),
}

/// How often something may be asked for. What is beyond is answered 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests of one client whose credentials were good, each second.
    pub client_requests: u32,
    /// And of all.
    pub requests: u32,
    /// Secrets that have to be hashed to know whether they are right, of one client, each minute. Those that were right
    /// before do not count.
    pub client_attempts: u32,
    /// And of all, those of nobody included.
    pub attempts: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self { client_requests: 100, requests: 1_000, client_attempts: 60, attempts: 600 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_what_rfc_6749_says() {
        for good in ["a", "orders:read", "https://api.example.com/orders", "!", "#[]~"] {
            assert_eq!(
                Scope::parse(good).map(|scope| scope.as_str() == good),
                Some(true),
                "{good}"
            );
        }
        for bad in ["", "a b", "\"", "a\\b", "ä", "a\n", "\u{7f}", &"a".repeat(257)] {
            assert!(Scope::parse(bad).is_none(), "{bad}");
        }
    }
}
