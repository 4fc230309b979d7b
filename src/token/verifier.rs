//! Verification: the one place where a token's text becomes a [`VerifiedToken`].
//!
//! The order is fixed: form → issuer → algorithm → key → signature → claims. Before the signature only
//! `iss`, `kid` and `alg` are read, to find the key; a reason that speaks of other claims is told only to
//! holders of genuine tokens.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::claims::{Claims, UnverifiedClaims};
use super::fault::Fault;
use super::hs256::{self, HS256};
use super::issuer::{Issuer, IssuerName};
use super::jws::{RawToken, Segments, UnverifiedJws};
use super::observe::{HeaderFacts, KeyFact, Observe, TokenFact, TokenStep, Unobserved};
use super::signed_with::SignedWith;
use crate::keys::key::{Algorithm, VerificationKey};
use crate::keys::store::{KeyLookup, KeySnapshot};
use crate::util::clock::UnixTime;
use crate::util::json::View;
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
        self.verify_observed(token, keys, now, &mut Unobserved)
    }

    /// The same, watched by `observer`.
    ///
    /// # Errors
    /// The same.
    pub fn verify_observed(
        &self,
        token: RawToken<'_>,
        keys: &KeySnapshot,
        now: UnixTime,
        observer: &mut impl Observe<TokenStep>,
    ) -> Result<VerifiedToken, Refused> {
        let segments = Segments::decode(token, self.max_token_bytes);
        let segments = segments.as_ref().map_err(|fault| *fault);
        let jws = segments.and_then(UnverifiedJws::parse);
        let claims = match (segments, &jws) {
            (Ok(segments), Ok(_)) => UnverifiedClaims::parse(segments.payload()),
            (Err(fault), _) => Err(fault),
            (_, Err(fault)) => Err(*fault),
        };
        observer.note(|| form(token, jws.as_ref().ok(), claims.as_ref().err().copied()));
        let jws = jws.as_ref().map_err(|fault| Refused::early(*fault))?;
        let claims = claims.map_err(Refused::early)?;
        let iss = claims.issuer();
        let issuer = iss.as_ref().ok().and_then(|iss| self.issuer_of(iss.as_deref()?));
        observer.note(|| {
            let known = issuer.map(|issuer| issuer.label.clone());
            let (iss, fault) = match &iss {
                Ok(iss) => (iss.as_deref().map(str::to_owned), None),
                Err(fault) => (None, Some(*fault)),
            };
            let unknown = known.is_none().then_some(Refusal::UnknownIssuer);
            let refusal = fault.map(Refusal::from).or(unknown);
            TokenStep { looked_at: TokenFact::Issuer { iss, issuer: known, fault }, refusal }
        });
        iss.map_err(Refused::early)?;
        let issuer = issuer.ok_or_else(|| Refused::early(Refusal::UnknownIssuer))?;
        // Looked at before the signature only to tell whether a key is worth looking for.
        let has_expired = claims.seems_expired(issuer, now);
        verify_for(issuer, jws, claims, keys, now, observer).map_err(|refusal| {
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
        let key = find_key(issuer, token.kid(), algorithm, keys, now);
        key.is_ok_and(|key| key.thumbprint() == used && token.is_of_key(key.kid()))
            && token.claims.judge(issuer, now, &mut Unobserved).is_ok()
    }
}

fn verify_for(
    issuer: &Issuer,
    jws: &UnverifiedJws<'_>,
    claims: UnverifiedClaims<'_>,
    keys: &KeySnapshot,
    now: UnixTime,
    observer: &mut impl Observe<TokenStep>,
) -> Result<VerifiedToken, Refusal> {
    let signed_with = accepted(issuer, &jws.algorithm).ok_or(Refusal::AlgNotAllowed);
    observer.note(|| {
        let accepted = SignedWith::accepted_by(issuer).map(SignedWith::name).collect();
        TokenStep { looked_at: TokenFact::Algorithm { accepted }, refusal: signed_with.err() }
    });
    let signed_with = signed_with?;
    let signature = match signed_with {
        SignedWith::Hs256 => hs256::verify(issuer, jws, keys, now).map(|kid| (None, kid)),
        SignedWith::Public(algorithm) => find_key(issuer, jws.kid.as_deref(), algorithm, keys, now)
            .and_then(|key| {
                let input = jws.signing_input.as_bytes();
                let is_genuine = key.verify(algorithm, input, jws.signature);
                let used = || (Some(*key.thumbprint()), key.shared_kid());
                is_genuine.then(used).ok_or(Refusal::BadSignature)
            }),
    };
    observer.note(|| looked_up(issuer, jws, signature.err()));
    if matches!(signature, Ok(_) | Err(Refusal::BadSignature)) {
        let refusal = signature.err();
        observer.note(|| TokenStep { looked_at: TokenFact::Signature, refusal });
    }
    let (key, key_kid) = signature?;
    let claims = claims.into_claims();
    observer.note(|| {
        let fault = claims.as_ref().err().copied();
        TokenStep { looked_at: TokenFact::Claims { fault }, refusal: fault.map(Refusal::from) }
    });
    let claims = claims?;
    claims.judge(issuer, now, observer)?;
    let key_id = key_id(jws.kid.as_deref(), key_kid);
    let (issuer, typ) = (issuer.label.clone(), jws.typ.as_deref().map(shared_typ));
    let names_key = jws.kid.is_some();
    Ok(VerifiedToken { issuer, signed_with, key, key_id, names_key, typ, claims })
}

/// What the header says, else what the key is called: the same text nearly always, and the key's own is shared by all
/// tokens.
fn key_id(kid: Option<&str>, key_kid: Option<&Arc<str>>) -> Option<Arc<str>> {
    match (kid, key_kid) {
        (Some(kid), Some(key_kid)) if *kid == **key_kid => Some(Arc::clone(key_kid)),
        (Some(kid), _) => Some(kid.into()),
        (None, key_kid) => key_kid.cloned(),
    }
}

/// As it was sent. What nearly all tokens say takes no memory.
fn shared_typ(typ: &str) -> Cow<'static, str> {
    let usual = ["JWT", "at+jwt"].into_iter().find(|usual| *usual == typ);
    usual.map_or_else(|| Cow::Owned(typ.to_owned()), Cow::Borrowed)
}

fn form(token: RawToken<'_>, jws: Option<&UnverifiedJws<'_>>, fault: Option<Fault>) -> TokenStep {
    let header = jws.map(|jws| HeaderFacts {
        alg: jws.algorithm.to_string(),
        kid: jws.kid.as_deref().map(str::to_owned),
        typ: jws.typ.as_deref().map(str::to_owned),
    });
    let looked_at = TokenFact::Form { bytes: token.bytes(), header, fault };
    TokenStep { looked_at, refusal: fault.map(Refusal::from) }
}

/// What a verification that was refused like this says of the key.
fn looked_up(issuer: &Issuer, jws: &UnverifiedJws<'_>, refusal: Option<Refusal>) -> TokenStep {
    let found = match refusal {
        Some(Refusal::AlgNotAllowed) => KeyFact::OtherAlgorithm,
        Some(Refusal::UnknownKid) => KeyFact::Unknown,
        Some(Refusal::KeysUnavailable) => KeyFact::Unavailable,
        // Whatever comes later is not the key's.
        Some(_) | None => KeyFact::Found,
    };
    let (issuer, kid) = (issuer.label.clone(), jws.kid.as_deref().map(str::to_owned));
    let refusal = refusal.filter(|_| found != KeyFact::Found);
    TokenStep { looked_at: TokenFact::Key { issuer, kid, found }, refusal }
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
    /// What the header calls it or, where it does not say, what it is called.
    key_id: Option<Arc<str>>,
    /// Whether the header says it.
    names_key: bool,
    typ: Option<Cow<'static, str>>,
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
        self.key_id().filter(|_| self.names_key)
    }

    /// The ID of the key that it was verified with, also where its header names none: whoever stole a key that was
    /// withdrawn by its ID would leave it out.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Whether a key called `kid` now is called as the one that it was verified with.
    fn is_of_key(&self, kid: Option<&str>) -> bool {
        self.names_key || self.key_id() == kid
    }

    /// `typ` in its header, as sent.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// `iss`, as sent.
    pub fn iss(&self) -> Option<&str> {
        self.claims.get("iss").and_then(View::as_str)
    }

    /// `sub`. Only together with `iss` it is somebody (RFC 7519 §4.1.2).
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(View::as_str)
    }

    /// Whether the key that it was verified with can be told again: not where a shared secret signed.
    pub(super) fn can_be_known(&self) -> bool {
        self.key.is_some()
    }

    /// An estimate of the memory that it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        // The key's own, nearly always.
        let key_id = self.key_id().map_or(0, str::len);
        let typ = match &self.typ {
            Some(Cow::Owned(typ)) => typ.len(),
            Some(Cow::Borrowed(_)) | None => 0,
        };
        size_of::<Self>() + key_id + typ + self.claims.bytes()
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
    fn early(refusal: impl Into<Refusal>) -> Self {
        Self { refusal: refusal.into(), issuer: None, missing_kid: None }
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
