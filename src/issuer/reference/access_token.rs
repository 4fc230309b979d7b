//! Access tokens (RFC 9068): what stands in one, and the way back, from a token that a client gives to be revoked to what
//! was issued. Which claims a client may have was decided before.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::key_ring::{KeyRing, own_source};
use crate::issuer::mint::mint_with_header;
use crate::keys::key::AlgorithmSet;
use crate::keys::signing::SigningError;
use crate::revocation::snapshot::LEEWAY;
use crate::token::{Audiences, Issuer, IssuerName, RawToken, RequiredClaims, Verifier};
use crate::util::clock::UnixTime;

/// What is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `client_id`.
    pub client: String,
    /// `sub`.
    pub subject: String,
    /// `scope`, without the spaces.
    pub scopes: Vec<String>,
    /// `aud`. Never empty.
    pub audiences: Vec<String>,
    /// `roles`.
    pub roles: Vec<String>,
    /// `sid`: the family of refresh tokens that it belongs to.
    pub session: Option<String>,
}

/// A token, and what the audit line says of it.
pub struct AccessToken {
    /// Compact, signed.
    pub text: String,
    /// Its `jti`.
    pub id: String,
    /// What it was signed with.
    pub kid: String,
    /// Its `exp`.
    pub expires_at: UnixTime,
    /// `exp` less `iat`.
    pub lifetime: Duration,
}

/// Why no token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// No key is active.
    #[error("no key is active")]
    NothingSigns,
    /// A library refuses: to sign, or to give randomness.
    #[error("the library refused")]
    Library,
}

impl From<SigningError> for IssueError {
    fn from(_: SigningError) -> Self {
        Self::Library
    }
}

/// Signs a token with the key that is active, good for `lifetime` or as long as the keys allow. Takes the time of a
/// signature, milliseconds for a large RSA key.
///
/// # Errors
/// No key is active.
pub fn issue(
    ring: &KeyRing,
    issuer: &str,
    grant: &Grant,
    lifetime: Duration,
    now: UnixTime,
) -> Result<AccessToken, IssueError> {
    let key = ring.signing_key().ok_or(IssueError::NothingSigns)?;
    let lifetime = lifetime.min(ring.longest_lifetime());
    let issued_at = now.as_millis().div_euclid(1000);
    let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let expires = issued_at.saturating_add(seconds);
    let id = random_id().ok_or(IssueError::Library)?;
    let mut claims = Map::new();
    let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    claim("iss", json!(issuer));
    claim("sub", json!(grant.subject));
    claim(
        "aud",
        match grant.audiences.as_slice() {
            [one] => json!(one),
            several => json!(several),
        },
    );
    claim("client_id", json!(grant.client));
    if !grant.scopes.is_empty() {
        claim("scope", json!(grant.scopes.join(" ")));
    }
    if !grant.roles.is_empty() {
        claim("roles", json!(grant.roles));
    }
    claim("iat", json!(issued_at));
    claim("exp", json!(expires));
    claim("jti", json!(id));
    if let Some(session) = &grant.session {
        claim("sid", json!(session));
    }
    let text = mint_with_header(key, &json!({"typ": "at+jwt"}), &Value::Object(claims))?;
    let expires_at = UnixTime::from_secs(expires).ok_or(IssueError::Library)?;
    Ok(AccessToken { text, id, kid: key.kid().to_owned(), expires_at, lifetime })
}

/// A token of ours, verified, that has not expired for every verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnToken {
    /// `client_id`.
    pub client: String,
    /// `sub`.
    pub subject: String,
    /// `jti`.
    pub id: String,
    /// `sid`.
    pub session: Option<String>,
    /// `exp`.
    pub expires_at: UnixTime,
}

/// Reads our own tokens.
#[derive(Debug)]
pub struct OwnTokens(Verifier);

/// The token itself is not shown.
impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// None of ours is longer.
const MAX_BYTES: usize = 16 * 1024;

impl OwnTokens {
    /// Those of `issuer`.
    #[must_use]
    pub fn of(issuer: &str) -> Self {
        let own = Issuer {
            label: own_source().issuer,
            issuer: IssuerName::Exact(issuer.to_owned()),
            // They are for others, and that is not what is asked here.
            audiences: Audiences::DangerNotChecked,
            audience_claim: None,
            algorithms: AlgorithmSet::ALL,
            danger_accept_hs256: false,
            // A verifier may accept them for so much longer, and what anybody accepts can be taken back.
            clock_skew: LEEWAY,
            require: RequiredClaims::default(),
        };
        Self(Verifier::new(vec![own], MAX_BYTES))
    }

    /// What was issued; `None` for anything that is not a token of ours that somebody may accept now.
    #[must_use]
    pub fn read(&self, text: &str, ring: &KeyRing, now: UnixTime) -> Option<OwnToken> {
        let verified = self.0.verify(RawToken::new(text), &ring.own().load(), now).ok()?;
        let claims = verified.claims();
        let claim = |name| claims.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        // RFC 9068 §4: a token of another kind that we may have signed is none.
        verified.typ().filter(|typ| *typ == "at+jwt")?;
        Some(OwnToken {
            client: claim("client_id")?,
            subject: claim("sub")?,
            id: claim("jti")?,
            session: claim("sid"),
            expires_at: claims.expires_at()?,
        })
    }
}

/// 128 random bits. `None` if the system has no randomness.
pub(super) fn random_id() -> Option<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}
