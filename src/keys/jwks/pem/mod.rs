//! Public keys in PEM (RFC 7468) → JWKs: SubjectPublicKeyInfo (`PUBLIC KEY`), PKCS#1 (`RSA PUBLIC KEY`) and
//! X.509 (`CERTIFICATE`).
//!
//! Of a certificate only the key counts, with what it may be used for: neither its dates nor who signed it are
//! looked at, since whoever configured the file vouches for the key. The octets of a private key are never
//! decoded. [`super::Jwks::parse_pem`] and [`super::keyset`] call it; key generation and evidence read public keys
//! by it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pkcs1::RsaPublicKeyRef;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::KeyUsage;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::{DocumentError, SkipReason, SkippedKey, parse_entry};
use crate::keys::key::{AlgorithmSet, VerificationKey};
use crate::keys::thumbprint::thumbprint;

/// A block: the members of a JWK without a `kid`, or why there are none.
pub(in crate::keys) type Block = Result<Value, SkipReason>;

/// Every block of `document`, at least one. Text around them is a comment (RFC 7468 §2).
///
/// # Errors
/// Not text, no block, or a block without its end: the file is being written.
pub(in crate::keys) fn blocks(document: &[u8]) -> Result<Vec<Block>, DocumentError> {
    let text = std::str::from_utf8(document).map_err(|_| DocumentError::NotPem("not text"))?;
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line, "-----BEGIN ") else { continue };
        let mut content = String::new();
        loop {
            let line = lines.next().ok_or(DocumentError::NotPem("a block without an end"))?;
            match boundary(line, "-----END ") {
                Some(end) if end == label => break,
                Some(_) => return Err(DocumentError::NotPem("a block that ends as another")),
                None if line.starts_with("-----") => {
                    return Err(DocumentError::NotPem("a block without an end"));
                }
                None => content.push_str(line),
            }
        }
        blocks.push(block(label, &content));
    }
    if blocks.is_empty() { Err(DocumentError::NotPem("no block in it")) } else { Ok(blocks) }
}

/// The keys of one block under `kid`, or under its thumbprint.
pub(super) fn keys(
    block: Block,
    kid: Option<&str>,
    accepted: AlgorithmSet,
) -> Result<Vec<VerificationKey>, SkippedKey> {
    let skip = |reason| SkippedKey { kid: kid.map(Into::into), reason };
    let jwk = block.map_err(skip)?;
    let own = thumbprint(&jwk).ok_or_else(|| skip(SkipReason::Malformed))?;
    let raw = serde_json::value::to_raw_value(&jwk).map_err(|_| skip(SkipReason::Malformed))?;
    parse_entry(&raw, Some(kid.unwrap_or(&own)), accepted)
}

fn boundary<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

fn block(label: &str, content: &str) -> Block {
    if label.contains("PRIVATE KEY") {
        return Err(SkipReason::PrivateKey);
    }
    let der = || STANDARD.decode(content).map_err(|_| SkipReason::Malformed);
    match label {
        "PUBLIC KEY" => public_members(&der()?),
        "RSA PUBLIC KEY" => rsa(&der()?),
        "CERTIFICATE" | "X509 CERTIFICATE" => certificate(&der()?),
        _ => Err(SkipReason::UnsupportedType),
    }
}

fn certificate(der: &[u8]) -> Block {
    let malformed = |_| SkipReason::Malformed;
    let certificate = Certificate::from_der(der).map_err(malformed)?;
    let certificate = certificate.tbs_certificate();
    // Keeps an authority out whose certificate is in the file for the chain's sake. Many of them may sign messages
    // as well (OCSP).
    let usage = certificate.get_extension::<KeyUsage>().map_err(malformed)?;
    if usage.is_some_and(|(_, usage)| !usage.digital_signature() || usage.key_cert_sign()) {
        return Err(SkipReason::NotForVerification);
    }
    public_members(&certificate.subject_public_key_info().to_der().map_err(malformed)?)
}

/// A SubjectPublicKeyInfo, RFC 5280 §4.1.2.7, with the algorithms of RFC 8017 §A.1, RFC 5480 §2.1.1 and RFC 8410 §3.
pub(in crate::keys) fn public_members(der: &[u8]) -> Block {
    const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    const CURVES: [(ObjectIdentifier, &str); 3] = [
        (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), "P-256"),
        (ObjectIdentifier::new_unwrap("1.3.132.0.34"), "P-384"),
        (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "P-521"),
    ];
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| SkipReason::Malformed)?;
    let key = info.subject_public_key.as_bytes().ok_or(SkipReason::Malformed)?;
    match info.algorithm.oid {
        RSA => rsa(key),
        ED25519 => Ok(json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(key)})),
        EC => {
            let curve = info.algorithm.parameters_oid().map_err(|_| SkipReason::UnsupportedType)?;
            let curve = CURVES.iter().find(|(oid, _)| *oid == curve);
            let (_, curve) = curve.ok_or(SkipReason::UnsupportedType)?;
            // SEC 1 §2.3.3: an uncompressed point is 0x04 and two coordinates of equal length.
            let point = key.strip_prefix(&[4]).ok_or(SkipReason::UnsupportedType)?;
            let (x, y) = point.split_at_checked(point.len() / 2).ok_or(SkipReason::Malformed)?;
            Ok(json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)}))
        }
        _ => Err(SkipReason::UnsupportedType),
    }
}

/// RFC 8017 §A.1.1.
fn rsa(der: &[u8]) -> Block {
    let key = RsaPublicKeyRef::from_der(der).map_err(|_| SkipReason::Malformed)?;
    let (n, e) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
    Ok(json!({"kty": "RSA", "n": base64url(n), "e": base64url(e)}))
}

fn base64url(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

#[cfg(test)]
mod tests;
