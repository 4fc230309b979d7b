//! One public key, parsed once. What it is not: a place that reads JSON (see [`super::jwks`]) or that
//! decides which key a token gets (see [`super::store`]). `token::verifier` calls [`VerificationKey::verify`].

mod edwards25519;
mod roca;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters};

/// Longer key IDs are refused, in documents and in tokens.
pub const MAX_KID_BYTES: usize = 256;

/// A JWS signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). There is no `none` and no HMAC here, so
/// no header can choose them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm, in the order that the documentation lists them.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// The exact, case-sensitive name of the `alg` header parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The family a key must be of to carry this algorithm.
    pub const fn family(self) -> Family {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 => Family::RsaPkcs1,
            Self::Ps256 | Self::Ps384 | Self::Ps512 => Family::RsaPss,
            Self::Es256 => Family::P256,
            Self::Es384 => Family::P384,
            Self::Es512 => Family::P521,
            Self::EdDsa => Family::Ed25519,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of algorithms: what an issuer's tokens may be signed with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AlgorithmSet(u16);

impl AlgorithmSet {
    /// The set of everything that claimgate can verify.
    pub const ALL: Self = Self((1 << Algorithm::ALL.len()) - 1);

    /// Whether `algorithm` is in the set.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << algorithm as u16) != 0
    }

    /// The members, in the order of [`Algorithm::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }

    /// Whether no algorithm is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Algorithm> for AlgorithmSet {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |set, algorithm| set | 1 << algorithm as u16))
    }
}

impl fmt::Debug for AlgorithmSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What a key is able to do. A key has exactly one family, so a token's header never gets to choose
/// between two ways of using the same key (RFC 8725 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// RSA with PKCS#1 v1.5 padding.
    RsaPkcs1,
    /// RSA with PSS padding.
    RsaPss,
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// ECDSA on NIST P-521.
    P521,
    /// EdDSA on edwards25519.
    Ed25519,
}

/// A public key that can verify signatures of one [`Family`], its material parsed and checked once.
pub struct VerificationKey {
    kid: Option<Arc<str>>,
    family: Family,
    thumbprint: [u8; 32],
    signature_bytes: usize,
    /// One entry for each algorithm the key may be used with: at least one, at most three.
    parsed: Vec<(Algorithm, ParsedPublicKey)>,
}

impl VerificationKey {
    /// An RSA key from its big-endian modulus and exponent, for those of `algorithms` that are of `family`.
    ///
    /// # Errors
    /// A modulus under 2048 or over 8192 bits or even (RFC 7518 §3.3), an exponent that is even, below
    /// 65537 or over 32 bits (FIPS 186-5 §5.4; the upper bound keeps verification cheap), a modulus whose factors
    /// can be computed (CVE-2017-15361).
    pub fn rsa(
        kid: Option<&str>,
        modulus: &[u8],
        exponent: &[u8],
        family: Family,
        algorithms: AlgorithmSet,
    ) -> Result<Self, KeyError> {
        let modulus = without_leading_zeros(modulus);
        let exponent = without_leading_zeros(exponent);
        let bits = bit_length(modulus);
        if bits < 2048 {
            return Err(KeyError::WeakKey);
        }
        if bits > 8192 || modulus.last().is_none_or(|byte| byte % 2 == 0) {
            return Err(KeyError::InvalidKey);
        }
        let value = exponent.iter().try_fold(0_u32, |value, byte| {
            value.checked_mul(256).map(|value| value | u32::from(*byte))
        });
        match value {
            None => return Err(KeyError::InvalidKey),
            Some(value) if value < 65537 || value % 2 == 0 => return Err(KeyError::WeakKey),
            Some(_) if roca::is_roca(modulus) => return Err(KeyError::WeakKey),
            Some(_) => {}
        }
        let components = signature::RsaPublicKeyComponents { n: modulus, e: exponent };
        let usable = algorithms.iter().filter(|algorithm| algorithm.family() == family);
        let parsed = usable.filter_map(|algorithm| Some((algorithm, rsa_parameters(algorithm)?)));
        let parsed = parsed.map(|(algorithm, parameters)| {
            let key = components.to_parsed_public_key(parameters);
            key.map(|key| (algorithm, key)).map_err(|_| KeyError::InvalidKey)
        });
        Self::assemble(kid, family, modulus.len(), parsed.collect::<Result<_, _>>()?)
    }

    /// An elliptic-curve key from its affine coordinates, each exactly as long as the field
    /// (RFC 7518 §6.2.1.2). The point is checked to be on the curve and not infinity.
    ///
    /// # Errors
    /// Wrong lengths, a point that is not on the curve, or an algorithm that is not in `algorithms`.
    pub fn ec(
        kid: Option<&str>,
        family: Family,
        x: &[u8],
        y: &[u8],
        algorithms: AlgorithmSet,
    ) -> Result<Self, KeyError> {
        let (algorithm, verification, field_bytes) =
            ec_parameters(family).ok_or(KeyError::InvalidKey)?;
        if x.len() != field_bytes || y.len() != field_bytes {
            return Err(KeyError::InvalidKey);
        }
        let mut point = Vec::with_capacity(1 + 2 * field_bytes);
        point.push(0x04); // uncompressed, SEC 1 §2.3.3
        point.extend_from_slice(x);
        point.extend_from_slice(y);
        let key = ParsedPublicKey::new(verification, &point).map_err(|_| KeyError::InvalidKey)?;
        let parsed = algorithms.contains(algorithm).then_some((algorithm, key));
        Self::assemble(kid, family, 2 * field_bytes, parsed.into_iter().collect())
    }

    /// An Ed25519 key from its 32 octets (RFC 8037 §2).
    ///
    /// # Errors
    /// Wrong length, not canonical, not on the curve, one of the points of small order (for which signatures
    /// can be made without a private key), or EdDSA not in `algorithms`.
    pub fn ed25519(
        kid: Option<&str>,
        x: &[u8],
        algorithms: AlgorithmSet,
    ) -> Result<Self, KeyError> {
        let point: &[u8; 32] = x.try_into().map_err(|_| KeyError::InvalidKey)?;
        if edwards25519::is_small_order(point) {
            return Err(KeyError::WeakKey);
        }
        if !edwards25519::is_canonical(point) || !edwards25519::is_on_curve(point) {
            return Err(KeyError::InvalidKey);
        }
        let key = ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| KeyError::InvalidKey)?;
        let parsed = algorithms.contains(Algorithm::EdDsa).then_some((Algorithm::EdDsa, key));
        Self::assemble(kid, Family::Ed25519, 64, parsed.into_iter().collect())
    }

    fn assemble(
        kid: Option<&str>,
        family: Family,
        signature_bytes: usize,
        parsed: Vec<(Algorithm, ParsedPublicKey)>,
    ) -> Result<Self, KeyError> {
        let (_, first) = parsed.first().ok_or(KeyError::AlgorithmNotAccepted)?;
        let digest = digest::digest(&digest::SHA256, first.as_ref());
        let thumbprint = digest.as_ref().try_into().map_err(|_| KeyError::InvalidKey)?;
        Ok(Self { kid: kid.map(Into::into), family, thumbprint, signature_bytes, parsed })
    }

    /// Whether `signature` is this key's signature of `message` under `algorithm`.
    ///
    /// False as well when the key is not for that algorithm or the signature has not exactly the
    /// length that the algorithm prescribes (RFC 7518 §3.3 to §3.5, RFC 8037 §3.1).
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if signature.len() != self.signature_bytes {
            return false;
        }
        self.parsed
            .iter()
            .find(|(candidate, _)| *candidate == algorithm)
            .is_some_and(|(_, key)| key.verify_sig(message, signature).is_ok())
    }

    /// A digest of its material: what the key is, whatever it is called.
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The key ID as published.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The same, shared by the tokens that it verified.
    pub fn shared_kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }

    /// The one family that the key belongs to.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The length of its signatures in octets, which for RSA is that of the modulus.
    pub fn signature_bytes(&self) -> usize {
        self.signature_bytes
    }

    /// Whether the key may verify `algorithm`.
    pub fn supports(&self, algorithm: Algorithm) -> bool {
        self.parsed.iter().any(|(candidate, _)| *candidate == algorithm)
    }

    /// The algorithms that the key may verify.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.parsed.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Whether both hold the same public key, whatever their `kid`.
    pub fn same_material(&self, other: &Self) -> bool {
        self.thumbprint == other.thumbprint
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("kid", &self.kid)
            .field("family", &self.family)
            .finish_non_exhaustive()
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// None of the algorithms that the key is able to do is accepted from this issuer.
    #[error("none of the key's algorithms is accepted")]
    AlgorithmNotAccepted,
    /// Not a key of its type: off the curve, wrong length, an impossible number.
    #[error("not a valid key")]
    InvalidKey,
    /// A key that can be forged with: too short, a tiny exponent, a modulus with a known flaw, a point of small order.
    #[error("too weak to be trusted")]
    WeakKey,
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => None,
    }
}

fn ec_parameters(
    family: Family,
) -> Option<(Algorithm, &'static EcdsaVerificationAlgorithm, usize)> {
    match family {
        Family::P256 => Some((Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED, 32)),
        Family::P384 => Some((Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED, 48)),
        Family::P521 => Some((Algorithm::Es512, &signature::ECDSA_P521_SHA512_FIXED, 66)),
        Family::RsaPkcs1 | Family::RsaPss | Family::Ed25519 => None,
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// Bits of a big-endian number without leading zero octets.
fn bit_length(bytes: &[u8]) -> usize {
    bytes.first().map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests;
