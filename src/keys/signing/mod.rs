//! [`SigningKey`]: a private key with its `kid` and its public half; made here, or read from PKCS#8.
//!
//! It stores and protects nothing: [`super::lifecycle`] keeps keys in a directory. `issuer::mint` signs with
//! one, both issuers publish public halves, and tests make their issuers' keys with it.

mod key_type;
pub(in crate::keys) mod pem;

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding};
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub use self::key_type::KeyType;
use super::jwks;
use super::key::Algorithm;
use super::thumbprint::thumbprint;

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
        let der = Zeroizing::new(pem::decode(pem, PRIVATE_LABEL).ok_or_else(refused)?);
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
        let public = jwks::pem::public_members(der.as_ref()).map_err(|_| unreadable())?;
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
        let pem = match &self.private {
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
        Ok(PrivatePem(Zeroizing::new(pem)))
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
/// Wiped when it is dropped.
pub struct PrivatePem(Zeroizing<String>);

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
mod tests;
