//! The RFC 7638 thumbprint of a public key: the `kid` of a key that was given none.
//!
//! It hashes; whether the members are a usable key is [`super::jwks`]' question. Key generation and
//! sources that read bare keys call it.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// SHA-256, in base64url, over the members that RFC 7638 §3.2 (RFC 8037 §2 for `OKP`) requires of the JWK's
/// type, sorted and without white space. Other members, `kid` and private ones among them, count for nothing.
///
/// `None` when `jwk` is no object, its `kty` is not `RSA`, `EC` or `OKP`, or a required member is not a string.
#[must_use]
pub fn thumbprint(jwk: &Value) -> Option<String> {
    let required: &[&str] = match jwk.get("kty")?.as_str()? {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        _ => return None,
    };
    let mut members = Map::new();
    for name in required {
        let value = jwk.get(name).filter(|value| value.is_string())?;
        members.insert((*name).to_owned(), value.clone());
    }
    let canonical = serde_json::to_vec(&Value::Object(members)).ok()?;
    Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, &canonical)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_example_in_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let public =
            json!({"kid": "2011-04-29", "n": n, "e": "AQAB", "alg": "RS256", "kty": "RSA"});
        assert_eq!(thumbprint(&public).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn the_thumbprint_is_that_of_the_example_in_rfc_8037() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let public = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
        assert_eq!(thumbprint(&public).unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn what_is_not_a_public_key_has_none() {
        for jwk in [
            json!(null),
            json!({}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "RSA", "n": "AQAB"}),
            json!({"kty": "RSA", "n": "AQAB", "e": 65537}),
        ] {
            assert_eq!(thumbprint(&jwk), None, "{jwk}");
        }
    }
}
