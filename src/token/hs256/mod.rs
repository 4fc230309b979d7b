//! The way of an HS256 token to its secret (RFC 7518 §3.2), for issuers that accept such tokens while they move
//! to RS256. [`super::verifier`] comes here only after the issuer's settings said so.
//!
//! Public keys are not known here, and shared secrets nowhere else: whatever a header says, no public key is
//! ever used as a secret (RFC 8725 §2.1).

use std::sync::Arc;

use super::issuer::Issuer;
use super::jws::UnverifiedJws;
use super::verifier::Refusal;
use crate::keys::store::{HmacLookup, KeySnapshot};
use crate::util::clock::UnixTime;

/// The one algorithm with a shared secret that is ever accepted, as the header names it.
pub(super) const HS256: &str = "HS256";

/// Checks the tag of `jws` with the secret of `issuer` that it must be made with. Returns what that is called.
pub(super) fn verify<'a>(
    issuer: &Issuer,
    jws: &UnverifiedJws<'_>,
    keys: &'a KeySnapshot,
    now: UnixTime,
) -> Result<Option<&'a Arc<str>>, Refusal> {
    let key = match keys.find_hmac(&issuer.label, jws.kid.as_deref(), now) {
        HmacLookup::Found(key) => key,
        HmacLookup::UnknownKid => return Err(Refusal::UnknownKid),
        HmacLookup::Unavailable => return Err(Refusal::KeysUnavailable),
    };
    let is_genuine = key.verify(jws.signing_input.as_bytes(), jws.signature);
    is_genuine.then(|| key.shared_kid()).ok_or(Refusal::BadSignature)
}

#[cfg(test)]
mod tests;
