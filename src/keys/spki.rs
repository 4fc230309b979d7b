//! A public key as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) → the members of a JWK.
//!
//! Enough DER for the keys that claimgate makes and no more; it checks no number and no point, which is
//! [`super::key`]'s part. [`super::signing`] and [`super::lifecycle`] call it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// `kty` and the public members, in the order that RFC 7638 hashes them. `None` for any other structure
/// or type of key.
pub(super) fn public_members(spki: &[u8]) -> Option<Value> {
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (info, end) = value(spki, SEQUENCE)?;
    let (algorithm, rest) = value(info, SEQUENCE)?;
    let (key, after) = value(rest, BIT_STRING)?;
    let (oid, parameters) = value(algorithm, OBJECT_IDENTIFIER)?;
    // The first octet counts the unused bits of the last.
    let key = key.strip_prefix(&[0])?;
    if !end.is_empty() || !after.is_empty() {
        return None;
    }
    match oid {
        RSA_ENCRYPTION => {
            let (modulus, exponent) = rsa_components(key)?;
            Some(json!({"e": base64(exponent), "kty": "RSA", "n": base64(modulus)}))
        }
        EC_PUBLIC_KEY => {
            let (curve, _) = value(parameters, OBJECT_IDENTIFIER)?;
            let (_, name) = CURVES.iter().find(|(oid, _)| *oid == curve)?;
            // SEC 1 §2.3.3: an uncompressed point is 0x04 and two coordinates of equal length.
            let point = key.strip_prefix(&[4])?;
            let (x, y) = point.split_at_checked(point.len() / 2)?;
            Some(json!({"crv": name, "kty": "EC", "x": base64(x), "y": base64(y)}))
        }
        ED25519 => Some(json!({"crv": "Ed25519", "kty": "OKP", "x": base64(key)})),
        _ => None,
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// 1.2.840.113549.1.1.1, RFC 8017 §A.1.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1, RFC 5480 §2.1.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.3.101.112, RFC 8410 §3.
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// RFC 5480 §2.1.1.1.
const CURVES: [(&[u8], &str); 3] = [
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], "P-256"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
];

/// Modulus and exponent out of the DER `RSAPublicKey` of RFC 8017 §A.1.1, without leading zeros.
fn rsa_components(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, rest) = value(der, SEQUENCE)?;
    let (modulus, after) = value(sequence, INTEGER)?;
    let (exponent, end) = value(after, INTEGER)?;
    (rest.is_empty() && end.is_empty()).then(|| (trim(modulus), trim(exponent)))
}

/// One DER element with the given tag: its content, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
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
    use super::*;
    use crate::keys::key::Algorithm;
    use crate::keys::signing::{SigningKey, pem};

    #[test]
    fn no_truncation_and_no_trailing_octet_reads_as_a_key() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let text = SigningKey::generate(algorithm).unwrap().public_pem().unwrap();
            let der = pem::decode(&text, "PUBLIC KEY").unwrap();
            assert!(public_members(&der).is_some());
            for length in 0..der.len() {
                assert_eq!(public_members(&der[..length]), None, "{algorithm} {length}");
            }
            assert_eq!(public_members(&[&*der, &[0]].concat()), None);
        }
    }
}
