//! Keys of every algorithm and type: what they sign, how they are written, what of them is shown.

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
        let other =
            if matches!(algorithm, Algorithm::EdDsa) { Algorithm::Es256 } else { Algorithm::EdDsa };
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
