//! [`SigningKey`]: a private key, made here and never leaving the process, with its `kid` and its public half.
//!
//! It does not load, store or protect keys. [`super::mint`] signs with it, the development identity
//! provider publishes its public half, and tests make their issuers' keys with it.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::keys::key::Algorithm;

/// Why a key could not be made or a signature not be computed. None of these depends on outside input.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The cryptography library refused to make a key.
    #[error("could not generate a key for {0}")]
    Generate(&'static str),
    /// The cryptography library gave a public key in an encoding that we do not know.
    #[error("could not read back the public half of a key for {0}")]
    PublicKey(&'static str),
    /// The cryptography library refused to sign.
    #[error("could not sign with a key for {0}")]
    Sign(&'static str),
    /// Header or claims could not be written as JSON.
    #[error("header or claims cannot be written as JSON")]
    Json,
}

/// A private key with its `kid`. `Debug` shows only the `kid` and the algorithm.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    private: PrivateKey,
    public: Value,
}

enum PrivateKey {
    // Boxed: an RSA pair is several times the size of the others.
    Rsa(Box<rsa::KeyPair>, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A new key whose `kid` is its RFC 7638 thumbprint. RSA keys have 2048 bits and take a noticeable
    /// part of a second; the others are immediate.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        let refused = |_| SigningError::Generate(algorithm.name());
        let private = match family(algorithm) {
            Family::Rsa(encoding) => {
                let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(refused)?;
                PrivateKey::Rsa(Box::new(pair), encoding)
            }
            Family::Ecdsa { signing, .. } => {
                PrivateKey::Ecdsa(EcdsaKeyPair::generate(signing).map_err(refused)?)
            }
            Family::Ed25519 => PrivateKey::Ed25519(Ed25519KeyPair::generate().map_err(refused)?),
        };
        let public = public_members(&private, algorithm)
            .ok_or_else(|| SigningError::PublicKey(algorithm.name()))?;
        let kid = thumbprint(&public).ok_or(SigningError::Json)?;
        Ok(Self { kid, algorithm, private, public })
    }

    /// The same key under another `kid`.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = kid.into();
        self
    }

    /// What the token header's `kid` and the JWK's `kid` say.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm that this key signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half as a JWK with `kid`, `alg` and `use: sig`.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.public.clone();
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.algorithm.name());
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public half as a SubjectPublicKeyInfo in PEM (RFC 7468 §13).
    pub fn public_pem(&self) -> Result<String, SigningError> {
        let unreadable = || SigningError::PublicKey(self.algorithm.name());
        let der = self.public_der().ok_or_else(unreadable)?;
        let text = STANDARD.encode(der.as_ref());
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        for line in text.as_bytes().chunks(64) {
            pem.push_str(std::str::from_utf8(line).map_err(|_| unreadable())?);
            pem.push('\n');
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        Ok(pem)
    }

    /// The JWS signature over `message`: for ECDSA the fixed-length `r || s` of RFC 7518 §3.4.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let failed = |_| SigningError::Sign(self.algorithm.name());
        let random = SystemRandom::new();
        match &self.private {
            PrivateKey::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            PrivateKey::Ecdsa(pair) => {
                let signature = pair.sign(&random, message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            PrivateKey::Ed25519(pair) => {
                let signature = pair.try_sign(message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }

    fn public_der(&self) -> Option<PublicKeyX509Der<'static>> {
        match &self.private {
            PrivateKey::Rsa(pair, _) => pair.public_key().as_der(),
            PrivateKey::Ecdsa(pair) => pair.public_key().as_der(),
            PrivateKey::Ed25519(pair) => pair.public_key().as_der(),
        }
        .ok()
    }
}

// By hand: the derived form would print whatever the library prints of a private key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

enum Family {
    Rsa(&'static dyn RsaEncoding),
    Ecdsa { curve: &'static str, signing: &'static signature::EcdsaSigningAlgorithm },
    Ed25519,
}

/// How a key for `algorithm` is made and signs.
fn family(algorithm: Algorithm) -> Family {
    match algorithm {
        Algorithm::Rs256 => Family::Rsa(&signature::RSA_PKCS1_SHA256),
        Algorithm::Rs384 => Family::Rsa(&signature::RSA_PKCS1_SHA384),
        Algorithm::Rs512 => Family::Rsa(&signature::RSA_PKCS1_SHA512),
        Algorithm::Ps256 => Family::Rsa(&signature::RSA_PSS_SHA256),
        Algorithm::Ps384 => Family::Rsa(&signature::RSA_PSS_SHA384),
        Algorithm::Ps512 => Family::Rsa(&signature::RSA_PSS_SHA512),
        Algorithm::Es256 => {
            Family::Ecdsa { curve: "P-256", signing: &signature::ECDSA_P256_SHA256_FIXED_SIGNING }
        }
        Algorithm::Es384 => {
            Family::Ecdsa { curve: "P-384", signing: &signature::ECDSA_P384_SHA384_FIXED_SIGNING }
        }
        Algorithm::Es512 => {
            Family::Ecdsa { curve: "P-521", signing: &signature::ECDSA_P521_SHA512_FIXED_SIGNING }
        }
        Algorithm::EdDsa => Family::Ed25519,
    }
}

/// The members that RFC 7638 §3.2 hashes, in its (lexicographic) order.
fn public_members(private: &PrivateKey, algorithm: Algorithm) -> Option<Value> {
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match private {
        PrivateKey::Rsa(pair, _) => {
            let (modulus, exponent) = rsa_components(pair.public_key().as_ref())?;
            Some(json!({"e": base64(exponent), "kty": "RSA", "n": base64(modulus)}))
        }
        PrivateKey::Ecdsa(pair) => {
            let Family::Ecdsa { curve, .. } = family(algorithm) else {
                return None;
            };
            // SEC 1 §2.3.3: an uncompressed point is 0x04 and two coordinates of equal length.
            let point = pair.public_key().as_ref().strip_prefix(&[4])?;
            let (x, y) = point.split_at_checked(point.len() / 2)?;
            Some(json!({"crv": curve, "kty": "EC", "x": base64(x), "y": base64(y)}))
        }
        PrivateKey::Ed25519(pair) => {
            let x = base64(pair.public_key().as_ref());
            Some(json!({"crv": "Ed25519", "kty": "OKP", "x": x}))
        }
    }
}

/// RFC 7638 §3: SHA-256 over the required members, sorted, without white space. `public` is already in order.
fn thumbprint(public: &Value) -> Option<String> {
    let canonical = serde_json::to_vec(public).ok()?;
    Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, &canonical)))
}

/// Modulus and exponent out of the DER `RSAPublicKey` of RFC 8017 §A.1.1, without leading zeros.
fn rsa_components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, rest) = der_value(der, 0x30)?;
    let (modulus, after) = der_value(sequence, 0x02)?;
    let (exponent, end) = der_value(after, 0x02)?;
    (rest.is_empty() && end.is_empty()).then(|| (trim(modulus), trim(exponent)))
}

/// One DER element with the given tag: its content, and what follows it.
fn der_value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    // X.690 §8.1.3: below 0x80 the length itself, else the number of octets that hold it.
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if octets.len() > 4 {
            return None;
        }
        (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

fn trim(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|octet| **octet == 0).count();
    integer.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ParsedPublicKey, VerificationAlgorithm};

    use super::*;

    fn verification(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
        match algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
            Algorithm::Es512 => &signature::ECDSA_P521_SHA512_FIXED,
            Algorithm::EdDsa => &signature::ED25519,
        }
    }

    #[test]
    fn every_algorithm_signs_what_its_public_half_verifies() {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate(algorithm).unwrap();
            let signature = key.sign(b"message").unwrap();
            let der = key.public_der().unwrap();
            let public = ParsedPublicKey::new(verification(algorithm), der.as_ref()).unwrap();
            public.verify_sig(b"message", &signature).unwrap();
            assert!(public.verify_sig(b"massage", &signature).is_err(), "{algorithm:?}");
        }
    }

    #[test]
    fn a_jwk_holds_coordinates_of_full_length_and_no_private_member() {
        for (algorithm, member, length) in [
            (Algorithm::Rs256, "n", 256),
            (Algorithm::Rs256, "e", 3),
            (Algorithm::Es256, "y", 32),
            (Algorithm::Es384, "x", 48),
            (Algorithm::Es512, "x", 66),
            (Algorithm::EdDsa, "x", 32),
        ] {
            let jwk = SigningKey::generate(algorithm).unwrap().public_jwk();
            let bytes = URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap();
            assert_eq!(bytes.len(), length, "{algorithm:?} {member}");
            assert_eq!(jwk["alg"], algorithm.name());
            assert!(jwk.get("d").is_none());
        }
    }

    #[test]
    fn the_thumbprint_is_that_of_the_example_in_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let public = json!({"e": "AQAB", "kty": "RSA", "n": n});
        assert_eq!(thumbprint(&public).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_given_kid_replaces_the_thumbprint_everywhere() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("k1");
        assert_eq!(key.kid(), "k1");
        assert_eq!(key.public_jwk()["kid"], "k1");
    }

    #[test]
    fn debug_shows_the_kid_and_the_algorithm_only() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap().with_kid("k1");
        assert_eq!(format!("{key:?}"), r#"SigningKey { kid: "k1", algorithm: Es256, .. }"#);
    }
}
