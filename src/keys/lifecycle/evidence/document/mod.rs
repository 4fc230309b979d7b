//! A JWK Set or a keyset file → the [`Keyset`] that evidence is made of: how keys that live in a KMS or another
//! issuer are documented. Private members and private PEM blocks are replaced by their public part, and said so;
//! symmetric keys have none and are refused. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::Keyset;
use crate::keys::jwks;
use crate::keys::key::{Algorithm, MAX_KID_BYTES};
use crate::keys::lifecycle::document::public_part;
use crate::keys::signing::SigningKey;
use crate::keys::thumbprint::thumbprint;
use crate::util::escape::escaped;
use crate::util::json::{self, RawMembers};

/// What a document holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its keys, public parts only.
    pub keyset: Keyset,
    /// The kids of those that came with their private part, which was left out.
    pub private: Vec<String>,
}

/// Reads `{"keys": [JWK, …]}` or `{"active_kid": …, "keys": {kid: PEM or JWK, …}}`.
///
/// # Errors
/// Anything else, a key without a public part among them. The text quotes nothing but kids.
pub fn read(document: &[u8]) -> Result<Read, Unreadable> {
    let members = RawMembers::parse(document).map_err(Unreadable::NotJson)?;
    let keys = members.get("keys").ok_or(Unreadable::NoKeys)?;
    let mut read = Read {
        keyset: Keyset { active_kid: None, keys: BTreeMap::new(), states: BTreeMap::new() },
        private: vec![],
    };
    if keys.get().starts_with('[') {
        let entries = json::raw_elements(keys.get()).map_err(Unreadable::NotJson)?;
        for (place, entry) in entries.into_iter().enumerate() {
            read.add(None, entry, &format!("keys[{place}]"))?;
        }
    } else {
        let entries = RawMembers::parse(keys.get().as_bytes()).map_err(Unreadable::NotJson)?;
        for (kid, entry) in entries.iter() {
            read.add(Some(kid), entry, &escaped(kid, 200))?;
        }
    }
    if read.keyset.keys.is_empty() {
        return Err(Unreadable::NoKeys);
    }
    read.keyset.active_kid = active_kid(&members, &read.keyset)?;
    let active = read.keyset.active_kid.iter().cloned().collect();
    let others = read.keyset.keys.keys();
    let others = others.filter(|kid| Some(*kid) != read.keyset.active_kid.as_ref());
    let others = others.cloned().collect();
    // Whether another key is still to sign or signs no more is not in such a document.
    read.keyset.states = [("active".to_owned(), active), ("published".to_owned(), others)].into();
    Ok(read)
}

/// Why a document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not strict JSON, or another type than expected.
    #[error("not a JWK Set and no keyset: {0}")]
    NotJson(json::Malformed),
    /// No `keys`, or none in it.
    #[error("\"keys\" is missing or empty")]
    NoKeys,
    /// No public key can be had from an entry.
    #[error(
        "{0}: neither a JWK of type RSA, EC or OKP, nor one public key or certificate or PKCS#8 private key in PEM"
    )]
    NoPublicKey(String),
    /// Two entries of one name, or one that contradicts itself.
    #[error(
        "{0}: the kid is missing, too long, another key's, or not the one that it stands under"
    )]
    Kid(String),
    /// The active key is not there.
    #[error("active_kid names none of the keys")]
    ActiveKid,
}

impl Read {
    fn add(&mut self, name: Option<&str>, entry: &RawValue, place: &str) -> Result<(), Unreadable> {
        let no_key = || Unreadable::NoPublicKey(place.to_owned());
        let wrong_kid = || Unreadable::Kid(place.to_owned());
        let (mut jwk, private) = match json::string_of(entry) {
            Ok(text) => of_pem(&text).ok_or_else(no_key)?,
            Err(_) => of_jwk(entry).ok_or_else(no_key)?,
        };
        let thumbprint = thumbprint(&jwk).ok_or_else(no_key)?;
        let own = jwk.get("kid").map(|kid| kid.as_str().ok_or_else(wrong_kid)).transpose()?;
        if name.is_some() && own.is_some() && name != own {
            return Err(wrong_kid());
        }
        let kid = name.or(own).unwrap_or(&thumbprint).to_owned();
        if kid.is_empty() || kid.len() > MAX_KID_BYTES || self.keyset.keys.contains_key(&kid) {
            return Err(wrong_kid());
        }
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".to_owned(), Value::from(kid.as_str()));
        }
        if private {
            self.private.push(escaped(&kid, 200));
        }
        self.keyset.keys.insert(kid, jwk);
        Ok(())
    }
}

/// The public part, and whether there was another.
fn of_jwk(entry: &RawValue) -> Option<(Value, bool)> {
    // Strictly first: a repeated member could show one key here and another elsewhere.
    json::check(entry).ok()?;
    let whole: Value = serde_json::from_str(entry.get()).ok()?;
    let public = public_part(&whole)?;
    Some((public, whole.get("d").is_some()))
}

fn of_pem(text: &str) -> Option<(Value, bool)> {
    if let Ok([Ok(public)]) = jwks::pem::blocks(text.as_bytes()).as_deref() {
        return Some((public.clone(), false));
    }
    // RSA, the three curves and Ed25519, each by one algorithm; which one is not in the PEM.
    let types =
        [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa];
    let mut read = types.into_iter().filter_map(|kind| SigningKey::from_pem(text, kind).ok());
    Some((read.next()?.public_members().clone(), true))
}

fn active_kid(members: &RawMembers<'_>, keyset: &Keyset) -> Result<Option<String>, Unreadable> {
    let Some(named) = members.get("active_kid").filter(|raw| raw.get() != "null") else {
        return Ok(None);
    };
    let named: Option<Cow<'_, str>> = json::string_of(named).ok();
    let named = named.filter(|kid| keyset.keys.contains_key(kid.as_ref()));
    named.map(|kid| Some(kid.into_owned())).ok_or(Unreadable::ActiveKid)
}

#[cfg(test)]
mod tests;
