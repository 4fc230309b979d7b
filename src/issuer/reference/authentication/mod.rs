//! Who is asking: a client's credentials as they come with a request (RFC 6749 §2.3.1), and whether they are right.
//!
//! A secret is compared by hashing it, which is slow on purpose. Four things follow. It is done off the threads that serve
//! connections, a few at a time ([`super::workshop`]). How often is limited, for each client and for all. Secrets that were
//! right are remembered, by an HMAC under a key that this process makes up and keeps, so that a client that works is
//! neither slowed down by the hash nor shut out by somebody who tries secrets in its name. And every secret that has to be
//! hashed takes the same work, also one of a client that does not exist: else the time would tell who does.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::answer::Refused;
use super::form::{Form, decode};
use super::limiter::{Limiter, Rate};
use super::secret_hash::{Cost, MAX_SECRET_BYTES, SecretError, SecretHash};
use super::settings::{Client, RateLimits};
use super::workshop::Workshop;
use crate::util::clock::UnixTime;

/// What came with a request. `Debug` shows who it claims to be from.
pub struct Credentials {
    id: String,
    secret: Zeroizing<String>,
}

/// Longer than any `client_id` that can be configured.
const MAX_ID_BYTES: usize = 256;

impl Credentials {
    /// Reads them: `client_secret_basic` or `client_secret_post`, and never both.
    ///
    /// # Errors
    /// None at all are `invalid_client`; several, or some that can be read in two ways, `invalid_request`.
    pub fn of(headers: &HeaderMap, form: &Form) -> Result<Self, Refused> {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let in_body = form.get("client_secret");
        let (id, secret) = match (fields.next(), in_body) {
            (Some(_), Some(_)) => return Err(TWICE),
            (Some(field), None) => {
                if fields.next().is_some() {
                    return Err(TWICE);
                }
                let (id, secret) = basic(field.as_bytes()).ok_or(Refused::InvalidClient)?;
                // RFC 6749 §4.1.3 has it there for other clients; another one than who authenticates is nonsense.
                if form.get("client_id").is_some_and(|named| named != id) {
                    return Err(TWICE);
                }
                (id, secret)
            }
            (None, Some(secret)) => {
                let id = form.get("client_id").ok_or(Refused::InvalidClient)?;
                (id.to_owned(), Zeroizing::new(secret.to_owned()))
            }
            (None, None) => return Err(Refused::InvalidClient),
        };
        let is_possible = id.len() <= MAX_ID_BYTES && secret.len() <= MAX_SECRET_BYTES;
        is_possible.then_some(Self { id, secret }).ok_or(Refused::InvalidClient)
    }
}

const TWICE: Refused = Refused::InvalidRequest("client credentials are there more than once");

/// `Basic base64(form(id):form(secret))`.
fn basic(field: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let (scheme, encoded) = std::str::from_utf8(field).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim_start_matches(' ')).ok()?);
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (id, rest) = decoded.split_at_checked(colon)?;
    let secret = decode(rest.get(1..)?).ok()?;
    Some((decode(id).ok()?, Zeroizing::new(secret)))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Tells whether credentials are right.
pub struct Authenticator {
    clients: Arc<[Client]>,
    by_id: HashMap<String, usize>,
    /// Of each client: what it was right with.
    proven: Vec<Mutex<Vec<hmac::Tag>>>,
    key: hmac::Key,
    /// In the place of hashes that a client does not have.
    nothing: Arc<SecretHash>,
    /// Hashes that are evaluated for every secret.
    rounds: usize,
    attempts: Limiter,
    hashing: Workshop,
}

/// Of those that wait to be hashed; what is beyond is told to come back.
const WAITING: usize = 64;

/// Each needs its memory, 19 MiB mostly.
const MOST_AT_ONCE: usize = 4;

/// Enough for two clients' worth of secrets in use.
const MOST_PROVEN: usize = 4;

impl Authenticator {
    /// For these clients.
    ///
    /// # Errors
    /// A system without randomness.
    pub fn new(
        clients: Arc<[Client]>,
        limits: RateLimits,
        now: UnixTime,
    ) -> Result<Self, SecretError> {
        let by_id = clients.iter().enumerate();
        let by_id = by_id.map(|(place, client)| (client.id().to_owned(), place)).collect();
        let hashes = || clients.iter().flat_map(|client| &client.secrets);
        let cost = hashes().map(SecretHash::cost).max().unwrap_or_else(Cost::default);
        let rounds = clients.iter().map(|client| client.secrets.len()).max().unwrap_or(1).max(1);
        let minute = |count| Rate { count, per: Duration::from_secs(60) };
        let (own, all) = (minute(limits.client_attempts), minute(limits.attempts));
        let at_once = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let random = aws_lc_rs::rand::SystemRandom::new();
        Ok(Self {
            by_id,
            proven: clients.iter().map(|_| Mutex::default()).collect(),
            key: hmac::Key::generate(hmac::HMAC_SHA256, &random)
                .map_err(|_| SecretError::System)?,
            nothing: Arc::new(SecretHash::of_nothing(cost)?),
            rounds,
            attempts: Limiter::new(clients.len(), own, all, now),
            hashing: Workshop::new(at_once.min(MOST_AT_ONCE), WAITING),
            clients,
        })
    }

    /// The client whose credentials these are.
    ///
    /// # Errors
    /// `invalid_client`, whatever is wrong; too many attempts, or too many at once.
    pub async fn authenticate(
        &self,
        credentials: Credentials,
        now: UnixTime,
    ) -> Result<&Client, Refused> {
        let Credentials { id, secret } = credentials;
        let place = self.by_id.get(&id).copied();
        let known = place.and_then(|place| self.clients.get(place).zip(self.proven.get(place)));
        if let Some((client, proven)) = known
            && self.is_proven(proven, &secret)
        {
            return Ok(client);
        }
        self.attempts.take(place, now).map_err(Refused::TooMany)?;
        let hashes = self.hashes(known.map(|(client, _)| client));
        let tag = hmac::sign(&self.key, secret.as_bytes());
        let judged = self.hashing.run(move || judge(&hashes, secret.as_bytes())).await;
        match (judged.map_err(|_| Refused::Overloaded)?, known) {
            (true, Some((client, proven))) => {
                let mut proven = proven.lock().unwrap_or_else(PoisonError::into_inner);
                if proven.len() >= MOST_PROVEN {
                    proven.remove(0);
                }
                proven.push(tag);
                Ok(client)
            }
            (true, None) | (false, _) => Err(Refused::InvalidClient),
        }
    }

    #[cfg(test)]
    fn client(&self, id: &str) -> Option<&Client> {
        self.clients.get(*self.by_id.get(id)?)
    }

    /// So many for everybody; whether each is one that counts.
    fn hashes(&self, client: Option<&Client>) -> Vec<(SecretHash, bool)> {
        let own = client.map_or(&[][..], |client| &client.secrets);
        let own = own.iter().map(|hash| (hash.clone(), true));
        let rest = std::iter::repeat_with(|| (SecretHash::clone(&self.nothing), false));
        own.chain(rest).take(self.rounds).collect()
    }

    fn is_proven(&self, proven: &Mutex<Vec<hmac::Tag>>, secret: &str) -> bool {
        let proven = proven.lock().unwrap_or_else(PoisonError::into_inner);
        // Without an end before the last one: the time says nothing about which it was.
        proven.iter().fold(false, |found, tag| {
            found | hmac::verify(&self.key, secret.as_bytes(), tag.as_ref()).is_ok()
        })
    }
}

/// Evaluates every hash, also after one that fits.
fn judge(hashes: &[(SecretHash, bool)], secret: &[u8]) -> bool {
    hashes.iter().fold(false, |found, (hash, counts)| found | (hash.matches(secret) & counts))
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
