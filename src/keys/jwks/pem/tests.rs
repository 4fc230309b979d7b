//! PEM files of every kind, whole and broken. Certificates are made with another library than they are read with.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use pkcs1::UintRef;
use proptest::collection::vec;
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyUsagePurpose};

use super::super::{Jwks, Reasons};
use super::*;
use crate::keys::key::Family;
use crate::keys::testing::{modulus, rsa_pair};

/// The public key of RFC 8037 §A.1.
const ED25519: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
/// Its thumbprint (§A.3).
const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

fn parse(text: &str, kid: Option<&str>) -> Result<Jwks, DocumentError> {
    Jwks::parse_pem(text.as_bytes(), kid, AlgorithmSet::ALL, 4)
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn certificate(usages: Vec<KeyUsagePurpose>) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["id.example".to_owned()]).unwrap();
    params.key_usages = usages;
    params.self_signed(&key).unwrap().pem()
}

fn reasons(jwks: &Jwks) -> Vec<SkipReason> {
    jwks.skipped.iter().map(|skipped| skipped.reason).collect()
}

#[test]
fn every_kind_of_public_key_is_read_from_its_subject_public_key_info() {
    let ec = |algorithm| {
        let der = EcdsaKeyPair::generate(algorithm).unwrap();
        let der: PublicKeyX509Der<'_> = der.public_key().as_der().unwrap();
        pem("PUBLIC KEY", der.as_ref())
    };
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let ed25519: PublicKeyX509Der<'_> = ed25519.public_key().as_der().unwrap();
    for (text, family) in [
        (ec(&ECDSA_P256_SHA256_FIXED_SIGNING), Family::P256),
        (ec(&ECDSA_P384_SHA384_FIXED_SIGNING), Family::P384),
        (ec(&ECDSA_P521_SHA512_FIXED_SIGNING), Family::P521),
        (pem("PUBLIC KEY", ed25519.as_ref()), Family::Ed25519),
    ] {
        let jwks = parse(&text, None).unwrap();
        assert_eq!((jwks.keys.len(), jwks.keys[0].family()), (1, family));
        assert_eq!(jwks.keys[0].kid().unwrap().len(), 43);
    }
}

#[test]
fn one_rsa_key_is_the_same_in_pkcs1_in_spki_and_in_a_jwk() {
    let (pair, modulus) = rsa_pair();
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let jwk = json!({"kty": "RSA", "n": base64url(&modulus), "e": "AQAB"});
    let kid = thumbprint(&jwk).unwrap();
    let of_jwk = json!({"keys": [jwk]}).to_string();
    let of_jwk = Jwks::parse(of_jwk.as_bytes(), AlgorithmSet::ALL, 4).unwrap();
    for text in
        [pem("RSA PUBLIC KEY", pair.public_key().as_ref()), pem("PUBLIC KEY", spki.as_ref())]
    {
        let jwks = parse(&text, None).unwrap();
        assert_eq!(jwks.keys.len(), of_jwk.keys.len(), "once for each padding");
        for (key, same) in jwks.keys.iter().zip(&of_jwk.keys) {
            assert!(key.same_material(same));
            assert_eq!(key.kid(), Some(kid.as_str()));
        }
    }
}

#[test]
fn a_certificate_gives_its_key_unless_that_may_not_sign() {
    for usages in [vec![], vec![KeyUsagePurpose::DigitalSignature]] {
        let jwks = parse(&certificate(usages), Some("named")).unwrap();
        assert_eq!((jwks.keys[0].kid(), jwks.keys[0].family()), (Some("named"), Family::P256));
    }
    let authority = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let public_authority = [vec![KeyUsagePurpose::DigitalSignature], authority.clone()].concat();
    for usages in [authority, public_authority] {
        let jwks = parse(&format!("{ED25519}{}", certificate(usages)), None).unwrap();
        assert_eq!((jwks.keys.len(), reasons(&jwks)), (1, vec![SkipReason::NotForVerification]));
    }
}

#[test]
fn a_key_is_called_by_its_thumbprint_or_by_the_one_kid_that_is_given() {
    assert_eq!(parse(ED25519, None).unwrap().keys[0].kid(), Some(THUMBPRINT));
    assert_eq!(parse(ED25519, Some("k1")).unwrap().keys[0].kid(), Some("k1"));
    let two = format!("{ED25519}{}", certificate(vec![]));
    assert_eq!(parse(&two, None).unwrap().keys.len(), 2);
    assert_eq!(parse(&two, Some("k1")).unwrap_err(), DocumentError::OneKidForSeveral(2));
    // The same key twice is one key.
    assert_eq!(parse(&format!("{ED25519}{ED25519}"), None).unwrap().keys.len(), 1);
}

#[test]
fn comments_white_space_and_line_ends_do_not_matter() {
    let (first, rest) = ED25519.lines().nth(1).unwrap().split_at(10);
    let wide = format!(
        "Bag Attributes\r\n  friendlyName: x\r\n-----BEGIN PUBLIC KEY-----\r\n  {first} \r\n{rest}\r\n\
         -----END PUBLIC KEY-----\r\nmore"
    );
    assert_eq!(parse(&wide, None).unwrap().keys[0].kid(), Some(THUMBPRINT));
}

#[test]
fn a_private_key_is_refused_with_whatever_is_beside_it_and_never_quoted() {
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
        let private = format!("-----BEGIN {label}-----\naGlkZGVu\n-----END {label}-----\n");
        for text in [private.clone(), format!("{ED25519}{private}")] {
            let error = parse(&text, None).unwrap_err();
            assert_eq!(error, DocumentError::PrivateKey);
            assert!(!error.to_string().contains("aGlkZGVu"));
        }
    }
}

#[test]
fn what_is_cut_off_or_not_pem_is_refused_whole() {
    let (whole, _) = ED25519.split_at(ED25519.len() - 1);
    for length in 0..whole.len() {
        let (part, _) = whole.split_at(length);
        assert!(parse(part, None).is_err(), "{length}");
        let after_a_whole_one = parse(&format!("{ED25519}{part}"), None);
        // Before its first line is there, nobody can tell that more is to come.
        assert_eq!(after_a_whole_one.is_ok(), length < "-----BEGIN PUBLIC KEY-----".len());
    }
    for text in [
        "",
        "hidden",
        "{\"keys\":[]}",
        "-----BEGIN PUBLIC KEY-----\nhidden\n-----END CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\nhidden\n-----BEGIN PUBLIC KEY-----\n",
    ] {
        let error = parse(text, None).unwrap_err();
        assert!(matches!(error, DocumentError::NotPem(_)), "{text}: {error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let error = Jwks::parse_pem(&[0xff, 0xfe], None, AlgorithmSet::ALL, 4).unwrap_err();
    assert_eq!(error, DocumentError::NotPem("not text"));
    let error = parse(&ED25519.repeat(5), None).unwrap_err();
    assert_eq!(error, DocumentError::TooManyKeys { found: 5, limit: 4 });
}

#[test]
fn a_block_that_cannot_be_used_costs_only_itself() {
    let (weak, exponent) = (modulus(1024), [1, 0, 1]);
    let weak = RsaPublicKeyRef {
        modulus: UintRef::new(&weak).unwrap(),
        public_exponent: UintRef::new(&exponent).unwrap(),
    };
    // RFC 8410 §3: X25519, for key agreement only.
    let mut x25519 = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
    x25519.extend([9; 32]);
    let mut trailing = STANDARD.decode(ED25519.lines().nth(1).unwrap()).unwrap();
    trailing.push(0);
    for (bad, reason) in [
        (pem("RSA PUBLIC KEY", &weak.to_der().unwrap()), SkipReason::WeakKey),
        (pem("PUBLIC KEY", &x25519), SkipReason::UnsupportedType),
        (pem("PUBLIC KEY", &trailing), SkipReason::Malformed),
        (pem("PUBLIC KEY", b"hidden"), SkipReason::Malformed),
        (pem("CERTIFICATE", b"hidden"), SkipReason::Malformed),
        (pem("RSA PUBLIC KEY", b""), SkipReason::Malformed),
        (pem("CERTIFICATE REQUEST", b"hidden"), SkipReason::UnsupportedType),
        ("-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n".into(), SkipReason::Malformed),
    ] {
        let jwks = parse(&format!("{bad}{ED25519}"), None).unwrap();
        assert_eq!((jwks.keys.len(), reasons(&jwks)), (1, vec![reason]), "{bad}");
        let error = parse(&bad, None).unwrap_err();
        assert_eq!(error, DocumentError::NoUsableKey(Reasons::of(&jwks.skipped)), "{bad}");
    }
}

proptest! {
    /// What a file holds may be anything: it is read or refused, and nothing else happens.
    #[test]
    fn no_content_of_a_block_does_harm(der in vec(any::<u8>(), 0..200), at in 0..400_usize, octet: u8) {
        let whole = certificate(vec![KeyUsagePurpose::DigitalSignature]);
        let text: String = whole.lines().filter(|line| !line.starts_with('-')).collect();
        let mut changed = STANDARD.decode(text).unwrap();
        let at = at % changed.len();
        changed[at] = octet;
        for label in ["CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY"] {
            for der in [&der, &changed] {
                if let Ok(jwks) = parse(&pem(label, der), None) {
                    prop_assert!(!jwks.keys.is_empty());
                }
            }
        }
    }
}
