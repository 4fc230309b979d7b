//! The development identity provider: discovery, JWKS, tokens for the asking, rotation and outages.
//!
//! **Not a production issuer**: whoever reaches its port gets a token with any claims. It therefore only
//! ever runs on a loopback address, and keeps its keys in memory. `claimgate demo` runs it, and tests
//! that need keys over HTTP.

mod endpoints;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::mint::{mint, overlay};
use crate::keys::key::Algorithm;
use crate::keys::signing::{SigningError, SigningKey};
use crate::util::clock::{Clock as _, SystemClock};

/// What the provider says of itself and puts into its tokens.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `iss` of its tokens, and the base of the URLs in its discovery document.
    pub issuer: String,
    /// The `aud` of its tokens unless asked otherwise.
    pub audience: String,
    /// What its keys sign with.
    pub algorithm: Algorithm,
    /// `Cache-Control: max-age` of the JWKS.
    pub max_age: Duration,
    /// `exp` less `iat` unless asked otherwise.
    pub lifetime: Duration,
}

impl Settings {
    /// An issuer at `address` with RS256 keys, tokens for five minutes and a JWKS that is fresh for one second.
    #[must_use]
    pub fn at(address: SocketAddr, audience: impl Into<String>) -> Self {
        Self {
            issuer: format!("http://{address}"),
            audience: audience.into(),
            algorithm: Algorithm::Rs256,
            max_age: Duration::from_secs(3),
            lifetime: Duration::from_secs(300),
        }
    }
}

/// Published keys beyond this number are dropped, oldest first: whoever reaches the port may rotate.
const MAX_PUBLISHED: usize = 16;
/// The provider. Cheap to clone; clones share keys and state.
#[derive(Clone, Debug)]
pub struct DevelopmentIssuer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    // Held for a few instructions at a time, and never across an await.
    state: Mutex<Keys>,
}

#[derive(Debug)]
struct Keys {
    /// Newest last; the last one is active.
    published: Vec<Arc<SigningKey>>,
    down: bool,
    /// How often the JWKS was asked for and not given.
    withheld: u64,
}

/// What a token request asked for that cannot be done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The `kid` asked for is not published.
    #[error("no published key has this kid; GET /jwks.json lists them")]
    UnknownKid,
    /// The key could not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl DevelopmentIssuer {
    /// Makes the first key, which takes a noticeable part of a second for RSA.
    pub fn new(settings: Settings) -> Result<Self, SigningError> {
        let first = Arc::new(SigningKey::generate(settings.algorithm)?);
        let state = Mutex::new(Keys { published: vec![first], down: false, withheld: 0 });
        Ok(Self { shared: Arc::new(Shared { settings, state }) })
    }

    /// What it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The published keys, newest (the active one) first.
    #[must_use]
    pub fn keys(&self) -> Vec<Arc<SigningKey>> {
        self.state().published.iter().rev().cloned().collect()
    }

    /// Makes a new key the active one. Slow for RSA: not to be called on an async worker.
    pub fn rotate(&self, drop_old: bool) -> Result<(), SigningError> {
        let fresh = Arc::new(SigningKey::generate(self.shared.settings.algorithm)?);
        let mut state = self.state();
        if drop_old {
            state.published.clear();
        } else if state.published.len() >= MAX_PUBLISHED {
            state.published.remove(0);
        }
        state.published.push(fresh);
        Ok(())
    }

    /// Starts (`true`) or ends an outage.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// How many requests for the keys were refused, over all outages.
    #[must_use]
    pub fn withheld(&self) -> u64 {
        self.state().withheld
    }

    /// The claims of a token that is asked for now: the defaults with `over` laid over them.
    #[must_use]
    pub fn claims(&self, over: &Value) -> Value {
        let settings = &self.shared.settings;
        let now = SystemClock.now().as_millis().div_euclid(1000);
        let lifetime = i64::try_from(settings.lifetime.as_secs()).unwrap_or(i64::MAX);
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), json!(settings.issuer));
        claims.insert("aud".to_owned(), json!(settings.audience));
        claims.insert("sub".to_owned(), json!("alice"));
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(now.saturating_add(lifetime)));
        claims.insert("jti".to_owned(), json!(random_id()));
        overlay(&mut claims, over);
        Value::Object(claims)
    }

    /// A token with [`Self::claims`], signed with the active key or the published one that has `kid`.
    pub fn token(&self, over: &Value, kid: Option<&str>) -> Result<String, TokenError> {
        let wanted = |key: &Arc<SigningKey>| kid.is_none_or(|kid| key.kid() == kid);
        let key = self.keys().into_iter().find(wanted).ok_or(TokenError::UnknownKid)?;
        Ok(mint(&key, &self.claims(over))?)
    }

    /// Serves `endpoints` until `shutdown`; refuses a listener that others than this machine can reach.
    pub async fn run(self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            let why =
                format!("the development identity provider serves loopback only, not {address}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        axum::serve(listener, endpoints::router(&self))
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await
    }

    /// Whether there is an outage; if so, one more request for the keys is counted as refused.
    fn withhold(&self) -> bool {
        let mut state = self.state();
        if state.down {
            state.withheld = state.withheld.saturating_add(1);
        }
        state.down
    }

    fn is_down(&self) -> bool {
        self.state().down
    }

    fn state(&self) -> MutexGuard<'_, Keys> {
        // No code panics while it holds the lock, and the keys are whole at every instruction.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sixteen random octets: the `jti` of a token. Zeros if the system has no randomness, in which case no
/// key could have been made either.
fn random_id() -> String {
    let mut bytes = [0; 16];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) | Err(_) => URL_SAFE_NO_PAD.encode(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer() -> DevelopmentIssuer {
        let address = SocketAddr::from(([127, 0, 0, 1], 9000));
        let settings = Settings { algorithm: Algorithm::EdDsa, ..Settings::at(address, "orders") };
        DevelopmentIssuer::new(settings).unwrap()
    }

    #[test]
    fn no_number_of_rotations_publishes_more_keys_than_the_limit() {
        let issuer = issuer();
        for _ in 0..2 * MAX_PUBLISHED {
            issuer.rotate(false).unwrap();
        }
        assert_eq!(issuer.keys().len(), MAX_PUBLISHED);
    }

    #[tokio::test]
    async fn a_listener_that_others_can_reach_is_refused() {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let error = issuer().run(listener, CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
