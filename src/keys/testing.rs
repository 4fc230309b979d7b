//! Keys and JWK Sets for the tests of this layer, made with the cryptography library directly.

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A new Ed25519 key as a JWK.
pub(super) fn ed25519_jwk(kid: &str) -> Value {
    let pair = Ed25519KeyPair::generate().unwrap();
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64url(pair.public_key().as_ref())})
}

/// A new P-256 key as a JWK.
pub(super) fn p256_jwk(kid: &str) -> Value {
    let (_, x, y) = ec_pair(&ECDSA_P256_SHA256_FIXED_SIGNING);
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": base64url(&x), "y": base64url(&y)})
}

/// An RSA key as a JWK without `alg`. Nobody has its private half.
pub(super) fn rsa_jwk(kid: &str) -> Value {
    json!({"kty": "RSA", "kid": kid, "n": base64url(&modulus(2048)), "e": "AQAB"})
}

/// An odd number of exactly so many bits, another one each time.
pub(super) fn modulus(bits: usize) -> Vec<u8> {
    let mut octets = vec![0; bits.div_ceil(8)];
    aws_lc_rs::rand::fill(&mut octets).unwrap();
    let spare = octets.len() * 8 - bits;
    octets[0] = (octets[0] | 0x80) >> spare;
    *octets.last_mut().unwrap() |= 1;
    octets
}

/// A JWK Set of these entries.
pub(super) fn set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// A key pair with the coordinates of its public half.
pub(super) fn ec_pair(
    algorithm: &'static EcdsaSigningAlgorithm,
) -> (EcdsaKeyPair, Vec<u8>, Vec<u8>) {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = &pair.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let (x, y) = (x.to_vec(), y.to_vec());
    (pair, x, y)
}

/// A 2048-bit pair and its modulus; the exponent is 65537.
pub(super) fn rsa_pair() -> (rsa::KeyPair, Vec<u8>) {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    // RFC 8017 §A.1.1: SEQUENCE, INTEGER of 257 octets with a leading zero, INTEGER of 3.
    let der = pair.public_key().as_ref();
    let modulus = der[9..265].to_vec();
    assert_eq!(der[265..], [2, 3, 1, 0, 1]);
    (pair, modulus)
}
