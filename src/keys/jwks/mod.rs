//! JWK Set documents (RFC 7517 §5) → usable keys.
//!
//! A bad *entry* is skipped and counted with a reason, the rest is kept: providers publish keys of types
//! that nobody here can use. A bad *document* is refused whole, so that an error page never replaces a
//! good key set. Sources call [`Jwks::parse`] on whatever they fetched, whatever said it was.
//!
//! Documents on this machine may have two other forms, which end in the same checks: `keyset`, a map of key
//! IDs, and `pem`.

mod keyset;
pub(super) mod pem;
mod refused;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::value::RawValue;

pub use self::refused::{DocumentError, Reasons, SkipReason, SkippedKey};
use super::key::{Algorithm, AlgorithmSet, Family, MAX_KID_BYTES, VerificationKey};
use crate::util::json::{self, RawMembers};

/// What a JWK Set document holds for one issuer.
#[derive(Clone, Debug)]
pub struct Jwks {
    /// The usable keys, at least one.
    pub keys: Vec<Arc<VerificationKey>>,
    /// What was passed over, and why.
    pub skipped: Vec<SkippedKey>,
}

impl Jwks {
    /// Reads a document and keeps the keys that can verify one of the `accepted` algorithms.
    ///
    /// # Errors
    /// Not strict JSON, no `keys` array, more than `max_keys` entries, or no usable key among them.
    pub fn parse(
        document: &[u8],
        accepted: AlgorithmSet,
        max_keys: usize,
    ) -> Result<Self, DocumentError> {
        Examined::parse(document, accepted, max_keys)?.usable()
    }

    /// Reads a document that lies on this machine: a JWK Set, or a keyset, told apart by `keys` being an object.
    ///
    /// # Errors
    /// As for [`Self::parse`]; a keyset whose `active_kid` is none of its keys.
    pub fn parse_local(
        document: &[u8],
        accepted: AlgorithmSet,
        max_keys: usize,
    ) -> Result<Self, DocumentError> {
        Examined::parse_local(document, accepted, max_keys)?.usable()
    }

    /// Reads public keys in PEM. Each is called `kid`, which fits one only, else its RFC 7638 thumbprint.
    ///
    /// # Errors
    /// Not PEM, a private key in it, more than `max_keys` blocks, `kid` given for several, or no usable key.
    pub fn parse_pem(
        document: &[u8],
        kid: Option<&str>,
        accepted: AlgorithmSet,
        max_keys: usize,
    ) -> Result<Self, DocumentError> {
        let blocks = pem::blocks(document)?;
        if blocks.iter().any(|block| matches!(block, Err(SkipReason::PrivateKey))) {
            return Err(DocumentError::PrivateKey);
        }
        if blocks.len() > max_keys {
            return Err(DocumentError::TooManyKeys { found: blocks.len(), limit: max_keys });
        }
        if kid.is_some() && blocks.len() > 1 {
            return Err(DocumentError::OneKidForSeveral(blocks.len()));
        }
        Examined::collect(blocks.into_iter().map(|block| pem::keys(block, kid, accepted))).usable()
    }
}

/// What a JWK Set document holds, usable or not: for people who want to know why it is not.
#[derive(Clone, Debug)]
pub struct Examined {
    /// The usable keys, perhaps none.
    pub keys: Vec<Arc<VerificationKey>>,
    /// What was passed over, and why.
    pub skipped: Vec<SkippedKey>,
}

impl Examined {
    /// Reads a document as [`Jwks::parse`] does.
    ///
    /// # Errors
    /// The same, but not when every key is passed over.
    pub fn parse(
        document: &[u8],
        accepted: AlgorithmSet,
        max_keys: usize,
    ) -> Result<Self, DocumentError> {
        let members = RawMembers::parse(document).map_err(DocumentError::NotJson)?;
        let keys = members.get("keys").ok_or(DocumentError::NoKeys)?;
        let entries = json::raw_elements(keys.get()).map_err(|_| DocumentError::NoKeys)?;
        if entries.len() > max_keys {
            return Err(DocumentError::TooManyKeys { found: entries.len(), limit: max_keys });
        }
        Ok(Self::collect(entries.into_iter().map(|entry| parse_entry(entry, None, accepted))))
    }

    /// Reads a document as [`Jwks::parse_local`] does.
    ///
    /// # Errors
    /// The same, but not when every key is passed over.
    pub fn parse_local(
        document: &[u8],
        accepted: AlgorithmSet,
        max_keys: usize,
    ) -> Result<Self, DocumentError> {
        let members = RawMembers::parse(document).map_err(DocumentError::NotJson)?;
        match members.get("keys") {
            Some(keys) if keys.get().starts_with('{') => {
                Ok(Self::collect(keyset::entries(&members, keys, accepted, max_keys)?))
            }
            Some(_) | None => Self::parse(document, accepted, max_keys),
        }
    }

    fn collect(
        entries: impl IntoIterator<Item = Result<Vec<VerificationKey>, SkippedKey>>,
    ) -> Self {
        let mut kept = Vec::new();
        let mut skipped = Vec::new();
        for entry in entries {
            match entry {
                Ok(keys) => kept.extend(keys.into_iter().map(Arc::new)),
                Err(skip) => skipped.push(skip),
            }
        }
        let keys = without_ambiguous(&kept, &mut skipped);
        Self { keys, skipped }
    }

    /// The document as something to verify with.
    ///
    /// # Errors
    /// There is no usable key.
    pub fn usable(self) -> Result<Jwks, DocumentError> {
        if self.keys.is_empty() {
            return Err(DocumentError::NoUsableKey(Reasons::of(&self.skipped)));
        }
        Ok(Jwks { keys: self.keys, skipped: self.skipped })
    }
}

/// One entry becomes one key, or two when an RSA key without `alg` may be used with either padding. `given` is
/// what something around it calls the key.
fn parse_entry(
    entry: &RawValue,
    given: Option<&str>,
    accepted: AlgorithmSet,
) -> Result<Vec<VerificationKey>, SkippedKey> {
    let skip = |kid: Option<&str>, reason| SkippedKey { kid: kid.map(Into::into), reason };
    let jwk = RawMembers::parse(entry.get().as_bytes());
    let jwk = Jwk(jwk.map_err(|_| skip(given, SkipReason::Malformed))?);
    let own = jwk.optional("kid").map_err(|reason| skip(given, reason))?;
    let kid = given.or(own.as_deref());
    if own.is_some() && own.as_deref() != kid {
        return Err(skip(given, SkipReason::KidMismatch));
    }
    if kid.is_some_and(|kid| kid.is_empty() || kid.len() > MAX_KID_BYTES) {
        return Err(skip(None, SkipReason::Malformed));
    }
    jwk.keys(kid, accepted).map_err(|reason| skip(kid, reason))
}

struct Jwk<'a>(RawMembers<'a>);

impl Jwk<'_> {
    fn keys(
        &self,
        kid: Option<&str>,
        accepted: AlgorithmSet,
    ) -> Result<Vec<VerificationKey>, SkipReason> {
        let kty = self.required("kty")?;
        if kty == "oct" {
            return Err(SkipReason::SymmetricKey);
        }
        // Of whatever type: a document with a secret in it is not written to disk. `priv` is that of `AKP`.
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];
        if private.iter().any(|part| self.0.get(part).is_some()) {
            return Err(SkipReason::PrivateKey);
        }
        // Before the type: X25519, say, is one that nothing is verified with.
        let operations = self.operations()?;
        if self.is_for_encryption(operations.as_deref())? {
            return Err(SkipReason::ForEncryption);
        }
        let families = self.families(&kty)?;
        self.check_use(operations.as_deref())?;
        let accepted = self.pinned(families, accepted)?;
        match families {
            [Family::RsaPkcs1, Family::RsaPss] => {
                let (modulus, exponent) = (self.octets("n")?, self.octets("e")?);
                let of_family = |family: &Family| {
                    let usable = accepted.iter().any(|algorithm| algorithm.family() == *family);
                    usable
                        .then(|| VerificationKey::rsa(kid, &modulus, &exponent, *family, accepted))
                };
                let keys: Vec<_> =
                    families.iter().filter_map(of_family).collect::<Result<_, _>>()?;
                if keys.is_empty() { Err(SkipReason::AlgorithmNotAccepted) } else { Ok(keys) }
            }
            [Family::Ed25519] => {
                Ok(vec![VerificationKey::ed25519(kid, &self.octets("x")?, accepted)?])
            }
            [family] => {
                let (x, y) = (self.octets("x")?, self.octets("y")?);
                Ok(vec![VerificationKey::ec(kid, *family, &x, &y, accepted)?])
            }
            _ => Err(SkipReason::UnsupportedType),
        }
    }

    /// What a key of this `kty` and `crv` is able to do.
    fn families(&self, kty: &str) -> Result<&'static [Family], SkipReason> {
        if kty == "RSA" {
            return Ok(&[Family::RsaPkcs1, Family::RsaPss]);
        }
        if kty != "EC" && kty != "OKP" {
            return Err(SkipReason::UnsupportedType);
        }
        match (kty, self.required("crv")?.as_ref()) {
            ("EC", "P-256") => Ok(&[Family::P256]),
            ("EC", "P-384") => Ok(&[Family::P384]),
            ("EC", "P-521") => Ok(&[Family::P521]),
            ("OKP", "Ed25519") => Ok(&[Family::Ed25519]),
            _ => Err(SkipReason::UnsupportedType),
        }
    }

    /// `key_ops`, if there is such a member.
    fn operations(&self) -> Result<Option<Vec<Cow<'_, str>>>, SkipReason> {
        let Some(operations) = self.0.get("key_ops") else { return Ok(None) };
        let operations = json::raw_elements(operations.get()).map_err(|_| SkipReason::Malformed)?;
        let operations = operations.into_iter().map(json::string_of);
        operations.collect::<Result<_, _>>().map(Some).map_err(|_| SkipReason::Malformed)
    }

    /// Whether the key says so itself: by its use, or without one by all of its operations, or by its algorithm.
    fn is_for_encryption(&self, operations: Option<&[Cow<'_, str>]>) -> Result<bool, SkipReason> {
        // RFC 7517 §4.3, those that are not of signatures.
        const OF_ENCRYPTION: [&str; 6] =
            ["encrypt", "decrypt", "wrapKey", "unwrapKey", "deriveKey", "deriveBits"];
        if let Some(purpose) = self.optional("use")? {
            return Ok(purpose == "enc");
        }
        if let Some(operations) = operations {
            let is_of_encryption = |one: &Cow<'_, str>| OF_ENCRYPTION.contains(&one.as_ref());
            return Ok(!operations.is_empty() && operations.iter().all(is_of_encryption));
        }
        // RFC 7518 §4.1, those of public keys.
        let algorithm = self.optional("alg")?;
        Ok(algorithm.is_some_and(|name| {
            name == "RSA1_5" || name.starts_with("RSA-OAEP") || name.starts_with("ECDH-ES")
        }))
    }

    fn check_use(&self, operations: Option<&[Cow<'_, str>]>) -> Result<(), SkipReason> {
        if self.optional("use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(SkipReason::NotForVerification);
        }
        let verifies = operations.is_none_or(|several| several.iter().any(|one| one == "verify"));
        if verifies { Ok(()) } else { Err(SkipReason::NotForVerification) }
    }

    /// The accepted algorithms, narrowed to the key's own `alg` where it names one.
    fn pinned(
        &self,
        families: &[Family],
        accepted: AlgorithmSet,
    ) -> Result<AlgorithmSet, SkipReason> {
        let Some(name) = self.optional("alg")? else { return Ok(accepted) };
        let algorithm = Algorithm::from_name(&name).ok_or(SkipReason::AlgorithmMismatch)?;
        if !families.contains(&algorithm.family()) {
            return Err(SkipReason::AlgorithmMismatch);
        }
        if !accepted.contains(algorithm) {
            return Err(SkipReason::AlgorithmNotAccepted);
        }
        Ok(AlgorithmSet::from_iter([algorithm]))
    }

    fn optional(&self, name: &str) -> Result<Option<Cow<'_, str>>, SkipReason> {
        let member = self.0.get(name).map(json::string_of);
        member.transpose().map_err(|_| SkipReason::Malformed)
    }

    fn required(&self, name: &str) -> Result<Cow<'_, str>, SkipReason> {
        self.optional(name)?.ok_or(SkipReason::Malformed)
    }

    fn octets(&self, name: &str) -> Result<Vec<u8>, SkipReason> {
        URL_SAFE_NO_PAD.decode(self.required(name)?.as_bytes()).map_err(|_| SkipReason::Malformed)
    }
}

/// Drops repetitions of a key, and every key that shares its `kid` and an algorithm with a different one:
/// which of the two a token meant cannot be told, and the last one must not win silently.
fn without_ambiguous(
    keys: &[Arc<VerificationKey>],
    skipped: &mut Vec<SkippedKey>,
) -> Vec<Arc<VerificationKey>> {
    let mut by_kid: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, key) in keys.iter().enumerate() {
        if let Some(kid) = key.kid() {
            by_kid.entry(kid).or_default().push(place);
        }
    }
    let mut dropped = vec![false; keys.len()];
    let mut ambiguous = vec![false; keys.len()];
    for places in by_kid.values().filter(|places| places.len() > 1) {
        for (nth, &later) in places.iter().enumerate().skip(1) {
            for &earlier in places.iter().take(nth) {
                let (Some(a), Some(b)) = (keys.get(earlier), keys.get(later)) else { continue };
                let overlap = a.algorithms().any(|algorithm| b.supports(algorithm));
                if overlap && a.same_material(b) && a.algorithms().eq(b.algorithms()) {
                    set(&mut dropped, later);
                } else if overlap && !a.same_material(b) {
                    set(&mut ambiguous, earlier);
                    set(&mut ambiguous, later);
                }
            }
        }
    }
    let mut kept = Vec::with_capacity(keys.len());
    for ((key, dropped), ambiguous) in keys.iter().zip(dropped).zip(ambiguous) {
        if ambiguous {
            let kid = key.kid().map(Into::into);
            skipped.push(SkippedKey { kid, reason: SkipReason::DuplicateKid });
        } else if !dropped {
            kept.push(Arc::clone(key));
        }
    }
    kept
}

fn set(flags: &mut [bool], place: usize) {
    if let Some(flag) = flags.get_mut(place) {
        *flag = true;
    }
}

#[cfg(test)]
mod tests;
