//! [`SigningKey`]: a private key with its `kid` and its public half; made here, or read from PKCS#8.
//!
//! It stores and protects nothing: [`super::lifecycle`] keeps keys in a directory. `issuer::mint` signs with
//! one, the development identity provider publishes its public half, and tests make their issuers' keys with it.

pub(in crate::keys) mod pem;

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding};
use serde_json::{Value, json};

use super::key::Algorithm;
use super::spki;
use super::thumbprint::thumbprint;

/// A type of key that `claimgate keys` makes, and the one algorithm that it signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// RSA with 2048 bits, the least that RFC 7518 §3.3 allows; RS256.
    Rsa2048,
    /// RSA with 3072 bits; RS256.
    Rsa3072,
    /// RSA with 4096 bits; RS256.
    Rsa4096,
    /// ECDSA on P-256; ES256.
    P256,
    /// ECDSA on P-384; ES384.
    P384,
    /// Ed25519; EdDSA.
    Ed25519,
}

impl KeyType {
    /// Every type, the default one first.
    pub const ALL: [Self; 6] =
        [Self::Rsa4096, Self::Rsa3072, Self::Rsa2048, Self::P256, Self::P384, Self::Ed25519];

    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::P256 => "p-256",
            Self::P384 => "p-384",
            Self::Ed25519 => "ed25519",
        }
    }

    /// What a key of this type signs with.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => Algorithm::Rs256,
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::Ed25519 => Algorithm::EdDsa,
        }
    }
}

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
    /// What was to be read is not exactly one PKCS#8 private key for the algorithm.
    #[error("not a PKCS#8 private key for {0}, in PEM")]
    PrivateKey(&'static str),
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
        Self::generate_sized(algorithm, rsa::KeySize::Rsa2048)
    }

    /// The same for a type of key. RSA with 4096 bits may take seconds.
    pub fn generate_type(key_type: KeyType) -> Result<Self, SigningError> {
        let size = match key_type {
            KeyType::Rsa3072 => rsa::KeySize::Rsa3072,
            KeyType::Rsa4096 => rsa::KeySize::Rsa4096,
            KeyType::Rsa2048 | KeyType::P256 | KeyType::P384 | KeyType::Ed25519 => {
                rsa::KeySize::Rsa2048
            }
        };
        Self::generate_sized(key_type.algorithm(), size)
    }

    /// Reads what [`Self::private_pem`] wrote. The `kid` is the thumbprint again.
    ///
    /// # Errors
    /// Anything but one PKCS#8 private key that can sign with `algorithm`. The text names no part of it.
    pub fn from_pem(pem: &str, algorithm: Algorithm) -> Result<Self, SigningError> {
        let refused = || SigningError::PrivateKey(algorithm.name());
        let der = pem::decode(pem, PRIVATE_LABEL).ok_or_else(refused)?;
        let private = match family(algorithm) {
            Family::Rsa(encoding) => {
                let pair = rsa::KeyPair::from_pkcs8(&der).map_err(|_| refused())?;
                PrivateKey::Rsa(Box::new(pair), encoding)
            }
            Family::Ecdsa(signing) => {
                let pair = EcdsaKeyPair::from_pkcs8(signing, &der).map_err(|_| refused())?;
                PrivateKey::Ecdsa(pair)
            }
            Family::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| refused())?;
                PrivateKey::Ed25519(pair)
            }
        };
        Self::assemble(algorithm, private)
    }

    fn generate_sized(algorithm: Algorithm, size: rsa::KeySize) -> Result<Self, SigningError> {
        let refused = |_| SigningError::Generate(algorithm.name());
        let private = match family(algorithm) {
            Family::Rsa(encoding) => {
                let pair = rsa::KeyPair::generate(size).map_err(refused)?;
                PrivateKey::Rsa(Box::new(pair), encoding)
            }
            Family::Ecdsa(signing) => {
                PrivateKey::Ecdsa(EcdsaKeyPair::generate(signing).map_err(refused)?)
            }
            Family::Ed25519 => PrivateKey::Ed25519(Ed25519KeyPair::generate().map_err(refused)?),
        };
        Self::assemble(algorithm, private)
    }

    fn assemble(algorithm: Algorithm, private: PrivateKey) -> Result<Self, SigningError> {
        let unreadable = || SigningError::PublicKey(algorithm.name());
        let der = private.public_der().ok_or_else(unreadable)?;
        let public = spki::public_members(der.as_ref()).ok_or_else(unreadable)?;
        let kid = thumbprint(&public).ok_or_else(unreadable)?;
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

    /// `kty` and the public members alone.
    pub(in crate::keys) fn public_members(&self) -> &Value {
        &self.public
    }

    /// The public half as a SubjectPublicKeyInfo in PEM (RFC 7468 §13).
    pub fn public_pem(&self) -> Result<String, SigningError> {
        let der = self.private.public_der();
        let der = der.ok_or_else(|| SigningError::PublicKey(self.algorithm.name()))?;
        Ok(pem::encode("PUBLIC KEY", der.as_ref()))
    }

    /// The private key as PKCS#8 in PEM (RFC 7468 §10).
    pub fn private_pem(&self) -> Result<PrivatePem, SigningError> {
        let unwritable = |_| SigningError::PrivateKey(self.algorithm.name());
        let der = match &self.private {
            PrivateKey::Rsa(pair, _) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(unwritable)?;
                pem::encode(PRIVATE_LABEL, der.as_ref())
            }
            PrivateKey::Ecdsa(pair) => {
                pem::encode(PRIVATE_LABEL, pair.to_pkcs8v1().map_err(unwritable)?.as_ref())
            }
            // Version 1, without the public key: the form that other tools read as well.
            PrivateKey::Ed25519(pair) => {
                pem::encode(PRIVATE_LABEL, pair.to_pkcs8v1().map_err(unwritable)?.as_ref())
            }
        };
        Ok(PrivatePem(der))
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
}

impl PrivateKey {
    fn public_der(&self) -> Option<PublicKeyX509Der<'static>> {
        match self {
            Self::Rsa(pair, _) => pair.public_key().as_der(),
            Self::Ecdsa(pair) => pair.public_key().as_der(),
            Self::Ed25519(pair) => pair.public_key().as_der(),
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

/// A private key as text. It is for a file that nobody else may read: `Debug` keeps it back, there is no `Display`.
pub struct PrivatePem(String);

impl PrivatePem {
    /// The text, for the one who writes that file.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivatePem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivatePem(..)")
    }
}

const PRIVATE_LABEL: &str = "PRIVATE KEY";

enum Family {
    Rsa(&'static dyn RsaEncoding),
    Ecdsa(&'static signature::EcdsaSigningAlgorithm),
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
        Algorithm::Es256 => Family::Ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => Family::Ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Es512 => Family::Ecdsa(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        Algorithm::EdDsa => Family::Ed25519,
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ParsedPublicKey, VerificationAlgorithm};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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
            let der = key.private.public_der().unwrap();
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
    fn a_private_key_comes_back_from_its_pem_and_from_no_other() {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate(algorithm).unwrap();
            let pem = key.private_pem().unwrap();
            let back = SigningKey::from_pem(pem.expose(), algorithm).unwrap();
            assert_eq!(back.public_jwk(), key.public_jwk());
            let signature = back.sign(b"message").unwrap();
            let der = key.private.public_der().unwrap();
            let public = ParsedPublicKey::new(verification(algorithm), der.as_ref()).unwrap();
            public.verify_sig(b"message", &signature).unwrap();
            let other = if matches!(algorithm, Algorithm::EdDsa) {
                Algorithm::Es256
            } else {
                Algorithm::EdDsa
            };
            for text in [pem.expose().replace("PRIVATE", "PUBLIC"), key.public_pem().unwrap()] {
                assert!(SigningKey::from_pem(&text, algorithm).is_err());
            }
            assert!(SigningKey::from_pem(pem.expose(), other).is_err());
        }
    }

    #[test]
    fn every_type_of_key_has_the_size_that_its_name_says() {
        for (key_type, member, length) in [
            (KeyType::Rsa2048, "n", 256),
            (KeyType::Rsa3072, "n", 384),
            (KeyType::P256, "x", 32),
            (KeyType::P384, "x", 48),
            (KeyType::Ed25519, "x", 32),
        ] {
            let jwk = SigningKey::generate_type(key_type).unwrap().public_jwk();
            let bytes = URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap();
            assert_eq!(bytes.len(), length, "{key_type:?}");
            assert_eq!(jwk["alg"], key_type.algorithm().name());
        }
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
        assert_eq!(format!("{:?}", key.private_pem().unwrap()), "PrivatePem(..)");
    }
}
