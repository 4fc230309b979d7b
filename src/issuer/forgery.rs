//! Tokens that look right and must never pass: the attacks that `claimgate demo --check` and the tests
//! try.
//!
//! It knows no private key. Nothing on the way of a request calls it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::mint::{signing_input, to_json};
use crate::keys::signing::SigningError;

/// A token that claims to need no signature (`alg: none`, RFC 8725 §2.1). The signature segment is
/// filled, so that the token is refused for its algorithm and not for its shape.
pub fn unsigned(kid: &str, claims: &Value) -> Result<String, SigningError> {
    let header = json!({"alg": "none", "typ": "JWT", "kid": kid});
    let input = signing_input(&to_json(&header)?, &to_json(claims)?);
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode("none")))
}

/// A token with `alg: HS256` whose secret is something public, such as the PEM or the JWK of the
/// issuer's key (RFC 8725 §2.1: a verifier that takes the algorithm from the header would accept it).
pub fn keyed_with_public(public: &[u8], kid: &str, claims: &Value) -> Result<String, SigningError> {
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
    let input = signing_input(&to_json(&header)?, &to_json(claims)?);
    let key = hmac::Key::new(hmac::HMAC_SHA256, public);
    let tag = hmac::sign(&key, input.as_bytes());
    Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref())))
}

/// A genuine token with one bit of its signature turned over. The encoding stays canonical, so that the
/// token is refused for its signature and not for its shape; text that is no token comes back as it was.
#[must_use]
pub fn with_wrong_signature(token: &str) -> String {
    let Some((input, signature)) = token.rsplit_once('.') else {
        return token.to_owned();
    };
    let Ok(mut bytes) = URL_SAFE_NO_PAD.decode(signature) else {
        return token.to_owned();
    };
    // In the middle: the first octet of an RSA signature may carry it over the modulus.
    let middle = bytes.len() / 2;
    if let Some(octet) = bytes.get_mut(middle) {
        *octet ^= 1;
    }
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::mint::mint;
    use crate::keys::key::Algorithm;
    use crate::keys::signing::SigningKey;

    #[test]
    fn a_wrong_signature_differs_in_the_last_segment_only() {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let token = mint(&key, &json!({"sub": "alice"})).unwrap();
        let forged = with_wrong_signature(&token);
        assert_ne!(token, forged);
        assert_eq!(token.len(), forged.len());
        assert_eq!(token.rsplit_once('.').unwrap().0, forged.rsplit_once('.').unwrap().0);
    }

    #[test]
    fn forgeries_have_three_segments_and_say_their_algorithm() {
        for (token, algorithm) in [
            (unsigned("k1", &json!({})).unwrap(), "none"),
            (keyed_with_public(b"public", "k1", &json!({})).unwrap(), "HS256"),
        ] {
            let segments: Vec<&str> = token.split('.').collect();
            let header = URL_SAFE_NO_PAD.decode(segments[0]).unwrap();
            let header: Value = serde_json::from_slice(&header).unwrap();
            assert_eq!(segments.len(), 3);
            assert_eq!(header["alg"], algorithm);
        }
    }
}
