//! Refresh tokens in Redis: for several instances, and over restarts. Each change is one script, which Redis runs as a
//! whole: of two instances that are shown the same token at the same time, one finds it used.
//!
//! | key, after `{PREFIX}:v1:issuer:` | type | what |
//! | --- | --- | --- |
//! | `token:HASH` | string | when it expires, in milliseconds, and its family, with a space between; HASH is of the token, in hexadecimal |
//! | `family:ID` | hash | `client`, `scopes` and `audiences` (JSON), `current` (a HASH), `ends` (milliseconds) |
//! | `client:ID` | sorted set | the client's families by when they expire |
//!
//! Every key has a TTL. Expiry is judged by our clock, as everywhere; the TTL only takes away what has expired.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Family, Found, Rotation, StoreError, TokenHash};
use crate::issuer::reference::settings::RefreshSettings;
use crate::revocation::redis::Client;
use crate::revocation::redis::settings::RedisSettings;
use crate::util::clock::UnixTime;

/// The store.
#[derive(Debug)]
pub struct RedisStore {
    settings: RefreshSettings,
    // One after the other: a script takes a fraction of a millisecond.
    client: Mutex<Client>,
}

/// Whoever waits longer for the others is told that the store does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// KEYS: token, family, client. ARGV: now, expires, ends, most of the client, family, client, scopes, audiences, hash.
const BEGIN: &str = "
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[1])
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[4]) then return {'full'} end
local ttl = tonumber(ARGV[2]) - tonumber(ARGV[1])
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[5], 'PX', ttl)
redis.call('HSET', KEYS[2], 'client', ARGV[6], 'scopes', ARGV[7], 'audiences', ARGV[8], 'current', ARGV[9], 'ends', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ttl)
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[5])
local whole = tonumber(ARGV[3]) - tonumber(ARGV[1])
if redis.call('PTTL', KEYS[3]) < whole then redis.call('PEXPIRE', KEYS[3], whole) end
return {'done'}
";

/// KEYS: token. ARGV: now, what the names of families begin with, hash. The family is in the same slot.
const FIND: &str = "
local token = redis.call('GET', KEYS[1])
if not token then return {'unknown'} end
local expires, id = string.match(token, '^(%d+) (.+)$')
if tonumber(expires) <= tonumber(ARGV[1]) then return {'unknown'} end
local family = redis.call('HMGET', ARGV[2] .. id, 'current', 'client', 'scopes', 'audiences')
if not family[1] then return {'unknown'} end
return {family[1] == ARGV[3] and 'current' or 'used', id, family[2], family[3], family[4]}
";

/// KEYS: token, next token, family, client. ARGV: now, idle, family, hash, next hash.
const ROTATE: &str = "
local token = redis.call('GET', KEYS[1])
if not token or tonumber(string.match(token, '^%d+')) <= tonumber(ARGV[1]) then return {'gone'} end
local family = redis.call('HMGET', KEYS[3], 'current', 'ends')
if not family[1] then return {'gone'} end
if family[1] ~= ARGV[4] then return {'reused'} end
local expires = math.min(tonumber(ARGV[1]) + tonumber(ARGV[2]), tonumber(family[2]))
local ttl = expires - tonumber(ARGV[1])
if ttl <= 0 then return {'gone'} end
redis.call('HSET', KEYS[3], 'current', ARGV[5])
redis.call('PEXPIRE', KEYS[3], ttl)
redis.call('SET', KEYS[2], string.format('%.0f', expires) .. ' ' .. ARGV[3], 'PX', ttl)
redis.call('ZADD', KEYS[4], string.format('%.0f', expires), ARGV[3])
if redis.call('PTTL', KEYS[4]) < ttl then redis.call('PEXPIRE', KEYS[4], ttl) end
return {'done'}
";

/// KEYS: family. ARGV: what the names of clients begin with, family.
const END: &str = "
local client = redis.call('HGET', KEYS[1], 'client')
if not client then return {} end
redis.call('DEL', KEYS[1])
redis.call('ZREM', ARGV[1] .. client, ARGV[2])
return {ARGV[2]}
";

/// KEYS: client. ARGV: what the names of families begin with.
const END_ALL: &str = "
local families = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, id in ipairs(families) do redis.call('DEL', ARGV[1] .. id) end
redis.call('DEL', KEYS[1])
return families
";

impl RedisStore {
    pub(super) fn new(settings: RefreshSettings, redis: RedisSettings) -> Self {
        Self { settings, client: Mutex::new(Client::new(redis)) }
    }

    pub(super) async fn begin(
        &self,
        family: Family,
        token: TokenHash,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        let ends = now.saturating_add(self.settings.lifetime);
        let expires = now.saturating_add(self.settings.idle).min(ends);
        let (hash, most) = (hexadecimal(token), self.settings.per_client);
        let keys = [
            format!("token:{hash}"),
            format!("family:{}", family.id),
            format!("client:{}", family.client),
        ];
        let arguments = [
            millis(now),
            millis(expires),
            millis(ends),
            most.to_string(),
            family.id,
            family.client,
            json(&family.scopes)?,
            json(&family.audiences)?,
            hash,
        ];
        match self.run(BEGIN, &keys, |_| arguments.to_vec()).await?.as_slice() {
            [done] if done == "done" => Ok(true),
            [full] if full == "full" => Ok(false),
            _ => Err(odd()),
        }
    }

    pub(super) async fn find(&self, token: TokenHash, now: UnixTime) -> Result<Found, StoreError> {
        let hash = hexadecimal(token);
        let keys = [format!("token:{hash}")];
        let arguments = |client: &Client| vec![millis(now), client.key("family:"), hash.clone()];
        let answer = self.run(FIND, &keys, arguments).await?;
        let (state, family) = match answer.as_slice() {
            [unknown] if unknown == "unknown" => return Ok(Found::Unknown),
            [state, id, client, scopes, audiences] => {
                let (id, client) = (id.clone(), client.clone());
                let (scopes, audiences) = (texts(scopes)?, texts(audiences)?);
                (state.as_str(), Family { id, client, scopes, audiences })
            }
            _ => return Err(odd()),
        };
        match state {
            "current" => Ok(Found::Current(family)),
            "used" => Ok(Found::Used(family)),
            _ => Err(odd()),
        }
    }

    pub(super) async fn rotate(
        &self,
        token: TokenHash,
        next: TokenHash,
        now: UnixTime,
    ) -> Result<Rotation, StoreError> {
        // Which family it is of never changes.
        let family = match self.find(token, now).await? {
            Found::Current(family) | Found::Used(family) => family,
            Found::Unknown => return Ok(Rotation::Gone),
        };
        let (hash, next) = (hexadecimal(token), hexadecimal(next));
        let keys = [
            format!("token:{hash}"),
            format!("token:{next}"),
            format!("family:{}", family.id),
            format!("client:{}", family.client),
        ];
        let idle = self.settings.idle.as_millis().to_string();
        let arguments = [millis(now), idle, family.id, hash, next];
        match self.run(ROTATE, &keys, |_| arguments.to_vec()).await?.as_slice() {
            [one] if one == "done" => Ok(Rotation::Done),
            [one] if one == "reused" => Ok(Rotation::Reused),
            [one] if one == "gone" => Ok(Rotation::Gone),
            _ => Err(odd()),
        }
    }

    pub(super) async fn end(&self, family: &str) -> Result<(), StoreError> {
        let keys = [format!("family:{family}")];
        let arguments = |client: &Client| vec![client.key("client:"), family.to_owned()];
        self.run(END, &keys, arguments).await.map(drop)
    }

    pub(super) async fn end_all_of(&self, client: &str) -> Result<Vec<String>, StoreError> {
        let keys = [format!("client:{client}")];
        self.run(END_ALL, &keys, |client| vec![client.key("family:")]).await
    }

    async fn run(
        &self,
        script: &str,
        keys: &[String],
        arguments: impl FnOnce(&Client) -> Vec<String>,
    ) -> Result<Vec<String>, StoreError> {
        let client = timeout(PATIENCE, self.client.lock()).await;
        let mut client = client.map_err(|_| StoreError("others wait for it".to_owned()))?;
        let keys: Vec<String> = keys.iter().map(|key| client.key(key)).collect();
        let arguments = arguments(&client);
        let answer = client.run(script, &keys, &arguments).await;
        let answer = answer.map_err(|error| StoreError(error.to_string()))?;
        let texts = answer.into_iter().map(|bytes| String::from_utf8(bytes).map_err(|_| odd()));
        texts.collect()
    }
}

fn odd() -> StoreError {
    StoreError("what it holds is not what was put there".to_owned())
}

fn millis(time: UnixTime) -> String {
    time.as_millis().to_string()
}

fn hexadecimal(token: TokenHash) -> String {
    token.as_bytes().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn json(texts: &[String]) -> Result<String, StoreError> {
    serde_json::to_string(texts).map_err(|_| odd())
}

fn texts(json: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(json).map_err(|_| odd())
}
