//! Verification: the one place where a token's text becomes a [`VerifiedToken`].
//!
//! The order is fixed: form → issuer → algorithm → key → signature → claims. Before the signature only
//! `iss`, `kid` and `alg` are read, to find the key; a reason that speaks of other claims is told only to
//! holders of genuine tokens.

use std::collections::HashMap;
use std::sync::Arc;

use super::claims::{Claims, UnverifiedClaims};
use super::hs256::{self, HS256};
use super::issuer::{Issuer, IssuerName};
use super::jws::{RawToken, UnverifiedJws};
use super::signed_with::SignedWith;
use crate::keys::key::{Algorithm, VerificationKey};
use crate::keys::store::{KeyLookup, KeySnapshot};
use crate::util::clock::UnixTime;
use crate::util::json::Value;
use crate::util::label::Label;

/// Verifies tokens of the configured issuers.
#[derive(Clone, Debug)]
pub struct Verifier {
    issuers: Arc<[Issuer]>,
    /// The place of each issuer that has one name.
    by_name: Arc<HashMap<String, usize>>,
    /// The places of the others.
    with_tenants: Arc<[usize]>,
    max_token_bytes: usize,
}

impl Verifier {
    /// A verifier for `issuers`, whose labels are numbered as in the key snapshots.
    pub fn new(issuers: Vec<Issuer>, max_token_bytes: usize) -> Self {
        let (mut by_name, mut with_tenants) = (HashMap::new(), Vec::new());
        for (place, issuer) in issuers.iter().enumerate() {
            match &issuer.issuer {
                IssuerName::Exact(name) => {
                    by_name.entry(name.clone()).or_insert(place);
                }
                IssuerName::Tenants(_) => with_tenants.push(place),
            }
        }
        Self {
            issuers: issuers.into(),
            by_name: Arc::new(by_name),
            with_tenants: with_tenants.into(),
            max_token_bytes,
        }
    }

    fn issuer_of(&self, iss: &str) -> Option<&Issuer> {
        let place = self.by_name.get(iss).copied().or_else(|| {
            self.with_tenants
                .iter()
                .copied()
                .find(|place| self.issuers.get(*place).is_some_and(|issuer| issuer.issuer.is(iss)))
        });
        self.issuers.get(place?)
    }

    /// The issuers that are trusted.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// Verifies `token` with the keys of its own issuer.
    ///
    /// # Errors
    /// The first reason found, and the issuer as soon as it is known.
    pub fn verify(
        &self,
        token: RawToken<'_>,
        keys: &KeySnapshot,
        now: UnixTime,
    ) -> Result<VerifiedToken, Refused> {
        let jws = UnverifiedJws::parse(token, self.max_token_bytes).map_err(Refused::early)?;
        let claims = UnverifiedClaims::parse(&jws.payload).map_err(Refused::early)?;
        let iss = claims.issuer().map_err(Refused::early)?;
        let issuer = iss.and_then(|iss| self.issuer_of(&iss));
        let issuer = issuer.ok_or_else(|| Refused::early(Refusal::UnknownIssuer))?;
        // Looked at before the signature only to tell whether a key is worth looking for.
        let has_expired = claims.seems_expired(issuer, now);
        verify_for(issuer, &jws, claims, keys, now).map_err(|refusal| {
            // Secrets are in files that are looked at every second: nobody is asked for one.
            let is_missing = matches!(refusal, Refusal::UnknownKid | Refusal::KeysUnavailable)
                && jws.algorithm != HS256;
            let missing_kid = jws.kid.as_deref().filter(|_| is_missing && !has_expired);
            let missing_kid = missing_kid.map(Into::into);
            Refused { refusal, issuer: Some(issuer.label.clone()), missing_kid }
        })
    }
}

impl Verifier {
    /// Whether a token that was verified before still would be: its issuer, the key that it is to be verified with and
    /// its times, as they are now. Only what cannot change is not looked at again: form, signature, claims.
    pub(super) fn still_verifies(
        &self,
        token: &VerifiedToken,
        keys: &KeySnapshot,
        now: UnixTime,
    ) -> bool {
        let (Some(issuer), Some(used), SignedWith::Public(algorithm)) =
            (self.issuers.get(token.issuer.index()), &token.key, token.signed_with)
        else {
            return false;
        };
        let key = find_key(issuer, token.kid.as_deref(), algorithm, keys, now);
        key.is_ok_and(|key| key.thumbprint() == used) && token.claims.judge(issuer, now).is_ok()
    }
}

fn verify_for(
    issuer: &Issuer,
    jws: &UnverifiedJws<'_>,
    claims: UnverifiedClaims<'_>,
    keys: &KeySnapshot,
    now: UnixTime,
) -> Result<VerifiedToken, Refusal> {
    let signed_with = accepted(issuer, &jws.algorithm).ok_or(Refusal::AlgNotAllowed)?;
    let key = match signed_with {
        SignedWith::Hs256 => {
            hs256::verify(issuer, jws, keys, now)?;
            None
        }
        SignedWith::Public(algorithm) => {
            let key = find_key(issuer, jws.kid.as_deref(), algorithm, keys, now)?;
            let is_genuine = key.verify(algorithm, jws.signing_input.as_bytes(), &jws.signature);
            is_genuine.then_some(()).ok_or(Refusal::BadSignature)?;
            Some(*key.thumbprint())
        }
    };
    let claims = claims.into_claims()?;
    claims.judge(issuer, now)?;
    let (issuer, kid) = (issuer.label.clone(), jws.kid.as_deref().map(Into::into));
    let typ = jws.typ.as_deref().map(Into::into);
    Ok(VerifiedToken { issuer, signed_with, key, kid, typ, claims })
}

/// What the header's `alg` means, if this issuer's tokens may be signed so.
fn accepted(issuer: &Issuer, name: &str) -> Option<SignedWith> {
    if name == HS256 {
        return issuer.danger_accept_hs256.then_some(SignedWith::Hs256);
    }
    let algorithm = Algorithm::from_name(name);
    algorithm.filter(|one| issuer.algorithms.contains(*one)).map(SignedWith::Public)
}

/// Knows public keys only: no shared secret can get here, whatever the header says.
fn find_key<'a>(
    issuer: &Issuer,
    kid: Option<&str>,
    algorithm: Algorithm,
    keys: &'a KeySnapshot,
    now: UnixTime,
) -> Result<&'a VerificationKey, Refusal> {
    match keys.find(&issuer.label, kid, algorithm, now) {
        KeyLookup::Found(key) => Ok(key),
        KeyLookup::OtherAlgorithm => Err(Refusal::AlgNotAllowed),
        KeyLookup::UnknownKid => Err(Refusal::UnknownKid),
        KeyLookup::Unavailable => Err(Refusal::KeysUnavailable),
    }
}

/// A token whose signature, issuer and times were good. Only [`Verifier`] makes one. Whom it has to be meant for is
/// its issuer's or a rule's to say: `check::requirement` judges that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    issuer: Label,
    signed_with: SignedWith,
    /// The thumbprint of the public key; `None` where a shared secret signed.
    key: Option<[u8; 32]>,
    kid: Option<Box<str>>,
    typ: Option<Box<str>>,
    claims: Claims,
}

impl VerifiedToken {
    /// Which configured issuer signed it.
    pub fn issuer(&self) -> &Label {
        &self.issuer
    }

    /// What it was signed with.
    pub fn signed_with(&self) -> SignedWith {
        self.signed_with
    }

    /// The key ID in its header.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// `typ` in its header, as sent.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// `iss`, as sent.
    pub fn iss(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// `sub`. Only together with `iss` it is somebody (RFC 7519 §4.1.2).
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }

    /// Whether the key that it was verified with can be told again: not where a shared secret signed.
    pub(super) fn can_be_known(&self) -> bool {
        self.key.is_some()
    }

    /// An estimate of the memory that it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
        size_of::<Self>() + text(&self.kid) + text(&self.typ) + self.claims.bytes()
    }

    /// Its claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// A refusal, with the issuer when the token named one of ours (which does not make it theirs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// The issuer whose keys and rules were applied.
    pub issuer: Option<Label>,
    /// The key that the issuer would have to have published. Only for a token that is worth looking for
    /// one: of our issuer, with an accepted algorithm, and not expired.
    pub missing_kid: Option<Box<str>>,
}

impl Refused {
    fn early(refusal: Refusal) -> Self {
        Self { refusal, issuer: None, missing_kid: None }
    }
}

/// Why a token is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `alg` is not accepted from this issuer, is not the key's, or is nothing that claimgate verifies.
    AlgNotAllowed,
    /// `aud` names none of the accepted audiences.
    AudienceMismatch,
    /// The signature is not the key's.
    BadSignature,
    /// The tenant is another than the one in `iss`.
    ClaimMismatch,
    /// `exp` has passed.
    Expired,
    /// The issuer's keys are not known yet or too old.
    KeysUnavailable,
    /// Not a strict JWT.
    Malformed,
    /// A claim that must be there is not.
    MissingClaim,
    /// `nbf` or `iat` lies in the future.
    NotYetValid,
    /// Longer than the limit.
    TooLarge,
    /// Issued longer ago than `max_age`, or valid for longer than `max_lifetime`.
    TooOld,
    /// `iss` is none of the configured issuers.
    UnknownIssuer,
    /// No key of that `kid` and algorithm.
    UnknownKid,
}
