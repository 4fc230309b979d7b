//! Keys that verify and keys that are refused: sizes, exponents, curves, points of small order.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RsaEncoding,
};

use super::super::testing::{ec_pair, modulus, rsa_pair};
use super::*;

const ALL: AlgorithmSet = AlgorithmSet::ALL;
const E: &[u8] = &[1, 0, 1];

#[test]
fn names_are_exact_and_every_algorithm_has_its_own() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        assert_eq!(Algorithm::from_name(&algorithm.name().to_lowercase()), None);
        assert!(ALL.contains(algorithm));
        assert!(!AlgorithmSet::from_iter([]).contains(algorithm));
    }
    for name in ["none", "None", "HS256", "HS512", "ES256K", "RS256 ", "", "RSA-OAEP"] {
        assert_eq!(Algorithm::from_name(name), None, "{name}");
    }
}

#[test]
fn verifies_what_its_key_signed_under_its_own_algorithm_only() {
    let random = SystemRandom::new();
    let (pair, modulus) = rsa_pair();
    let rsa_cases: [(&'static dyn RsaEncoding, Algorithm); 4] = [
        (&RSA_PKCS1_SHA256, Algorithm::Rs256),
        (&RSA_PKCS1_SHA512, Algorithm::Rs512),
        (&RSA_PSS_SHA256, Algorithm::Ps256),
        (&RSA_PSS_SHA384, Algorithm::Ps384),
    ];
    for (encoding, algorithm) in rsa_cases {
        let key = VerificationKey::rsa(None, &modulus, E, algorithm.family(), ALL).unwrap();
        let mut signature = vec![0; 256];
        pair.sign(encoding, &random, b"message", &mut signature).unwrap();
        assert_only(&key, algorithm, &signature);
    }
    for (signing, algorithm) in [
        (&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::Es256),
        (&ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::Es384),
        (&ECDSA_P521_SHA512_FIXED_SIGNING, Algorithm::Es512),
    ] {
        let (pair, x, y) = ec_pair(signing);
        let key = VerificationKey::ec(None, algorithm.family(), &x, &y, ALL).unwrap();
        assert_only(&key, algorithm, pair.sign(&random, b"message").unwrap().as_ref());
    }
    let pair = Ed25519KeyPair::generate().unwrap();
    let key = VerificationKey::ed25519(None, pair.public_key().as_ref(), ALL).unwrap();
    assert_only(&key, Algorithm::EdDsa, pair.sign(b"message").as_ref());
}

fn assert_only(key: &VerificationKey, right: Algorithm, signature: &[u8]) {
    for algorithm in Algorithm::ALL {
        let verified = key.verify(algorithm, b"message", signature);
        assert_eq!(verified, algorithm == right, "{algorithm} for {right}");
    }
    assert!(!key.verify(right, b"massage", signature));
    assert!(!key.verify(right, b"message", &signature[1..]));
    assert!(!key.verify(right, b"message", &[signature, &[0]].concat()));
    assert!(!key.verify(right, b"message", &[&[0], signature].concat()));
    assert!(!key.verify(right, b"message", &vec![0; signature.len()]));
    assert!(!key.verify(right, b"message", &[]));
}

#[test]
fn a_key_serves_only_the_accepted_algorithms_of_its_family() {
    let accepted = AlgorithmSet::from_iter([Algorithm::Rs256, Algorithm::Ps512]);
    let rsa = |family| VerificationKey::rsa(None, &modulus(2048), E, family, accepted);
    let key = rsa(Family::RsaPkcs1).unwrap();
    assert_eq!(key.algorithms().collect::<Vec<_>>(), [Algorithm::Rs256]);
    let key = rsa(Family::RsaPss).unwrap();
    assert_eq!(key.algorithms().collect::<Vec<_>>(), [Algorithm::Ps512]);
    let (_, x, y) = ec_pair(&ECDSA_P256_SHA256_FIXED_SIGNING);
    assert_eq!(ec(Family::P256, &x, &y, accepted), Some(KeyError::AlgorithmNotAccepted));
}

#[test]
fn rsa_keys_that_are_weak_or_costly_are_refused() {
    let error = |n: &[u8], e: &[u8]| VerificationKey::rsa(None, n, e, Family::RsaPkcs1, ALL).err();
    let good = modulus(2048);
    let mut even = good.clone();
    even[255] &= 0xfe;
    let mut padded = vec![0; 1900];
    padded.push(1);
    for (name, n, e, expected) in [
        ("2048 bits", good.as_slice(), E, None),
        ("leading zeros", &[&[0, 0], good.as_slice()].concat(), &[0, 1, 0, 1], None),
        ("8192 bits", &modulus(8192), E, None),
        ("largest exponent", &good, &[0xff; 4], None),
        ("no modulus", &[], E, Some(KeyError::WeakKey)),
        ("modulus 0", &[0], E, Some(KeyError::WeakKey)),
        ("modulus 1", &[1], E, Some(KeyError::WeakKey)),
        ("modulus 1 behind many zeros", &padded, E, Some(KeyError::WeakKey)),
        ("512 bits", &modulus(512), E, Some(KeyError::WeakKey)),
        ("1024 bits", &modulus(1024), E, Some(KeyError::WeakKey)),
        ("2047 bits", &modulus(2047), E, Some(KeyError::WeakKey)),
        ("even modulus", &even, E, Some(KeyError::InvalidKey)),
        ("8193 bits", &modulus(8193), E, Some(KeyError::InvalidKey)),
        ("16k bits", &modulus(16_384), E, Some(KeyError::InvalidKey)),
        ("64k bits", &modulus(65_536), E, Some(KeyError::InvalidKey)),
        ("no exponent", &good, &[], Some(KeyError::WeakKey)),
        ("exponent 0", &good, &[0], Some(KeyError::WeakKey)),
        ("exponent 1", &good, &[1], Some(KeyError::WeakKey)),
        ("exponent 2", &good, &[2], Some(KeyError::WeakKey)),
        ("exponent 3", &good, &[3], Some(KeyError::WeakKey)),
        ("exponent 65535", &good, &[0xff, 0xff], Some(KeyError::WeakKey)),
        ("even exponent", &good, &[1, 0, 2], Some(KeyError::WeakKey)),
        ("exponent 2³²+1", &good, &[1, 0, 0, 0, 1], Some(KeyError::InvalidKey)),
        ("huge exponent", &good, &[0xff; 256], Some(KeyError::InvalidKey)),
    ] {
        assert_eq!(error(n, e), expected, "{name}");
    }
}

#[test]
fn an_rsa_key_whose_primes_can_be_guessed_is_refused() {
    let flawed = hex(FLAWED_MODULUS);
    for family in [Family::RsaPkcs1, Family::RsaPss] {
        let error = VerificationKey::rsa(None, &flawed, E, family, ALL).err();
        assert_eq!(error, Some(KeyError::WeakKey));
        let mut other = flawed.clone();
        other[255] ^= 2;
        assert!(VerificationKey::rsa(None, &other, E, family, ALL).is_ok());
    }
}

/// Of two primes `k·M + (65537^a mod M)`, with `M` the product of the first 126 primes: CVE-2017-15361.
const FLAWED_MODULUS: &str = "\
    eb68728afddda28a6017eb06c33142c97461d30789083806112c49bef08edac224c6eb38dbae8b88c51d\
    1a2b9cf9cb5683d25131a21040bd75e4368e0aac13aca72feef1724b036ade5b30c3fb4c4ae260c25845\
    f8122edb7bdf996e88ffda792ad2cb58530c48435a50b2c3aa0ccd0268abed61518975ecd939cf6196ba\
    577435d78ec4a6cecba912619801169047aca41bfd61409c8c095986011b44551b6a5cd860287e64a4f3\
    b76ed6847c84d4711a6122bc421d709b142007ecfa731281612aec87a3be1105655bbb5cc7f249cf2361\
    c3ccc59f0653b2d8d8fb47759d653578ca984dca212a8bcae7cd66976dcdcd71f530f0693c55b7e1e9c1\
    d9ae21d3";

fn hex(text: &str) -> Vec<u8> {
    let octets = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    octets.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn ec(family: Family, x: &[u8], y: &[u8], accepted: AlgorithmSet) -> Option<KeyError> {
    VerificationKey::ec(None, family, x, y, accepted).err()
}

#[test]
fn points_that_are_not_on_the_curve_are_refused() {
    for (family, signing, bytes) in [
        (Family::P256, &ECDSA_P256_SHA256_FIXED_SIGNING, 32),
        (Family::P384, &ECDSA_P384_SHA384_FIXED_SIGNING, 48),
        (Family::P521, &ECDSA_P521_SHA512_FIXED_SIGNING, 66),
    ] {
        let (_, x, y) = ec_pair(signing);
        assert_eq!(ec(family, &x, &y, ALL), None);
        let mut off = y.clone();
        off[bytes - 1] ^= 1;
        let refused = Some(KeyError::InvalidKey);
        assert_eq!(ec(family, &x, &off, ALL), refused, "off the curve");
        assert_eq!(ec(family, &vec![0; bytes], &vec![0; bytes], ALL), refused, "infinity");
        assert_eq!(ec(family, &vec![0xff; bytes], &y, ALL), refused, "x beyond the field");
        assert_eq!(ec(family, &x, &[], ALL), refused, "no y");
        assert_eq!(ec(family, &x[1..], &y, ALL), refused, "short x");
        assert_eq!(ec(family, &[&[0], x.as_slice()].concat(), &y, ALL), refused, "long x");
        for other in [Family::P256, Family::P384, Family::P521, Family::Ed25519] {
            assert!(other == family || ec(other, &x, &y, ALL) == refused, "{other:?}");
        }
    }
}

#[test]
fn a_coordinate_has_one_spelling_and_that_is_below_the_field() {
    let p256 = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff".to_owned();
    let p384 = format!("{}{}", "f".repeat(63), "effffffff0000000000000000ffffffff");
    let p521 = format!("01{}", "ff".repeat(65));
    // On each curve a point with x = 0, and one whose y is so small that it fits beside the field's modulus.
    for (family, prime, y_of_zero, x_of_small, small) in [
        (
            Family::P256,
            p256,
            "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4",
            "d7325d7646cd60d80a92738ceb345f844cffaf35841022cab176f692de8de1d7",
            5,
        ),
        (
            Family::P384,
            p384,
            "c306610fb0ae5a159cf45c06069f22a6c5eb3641c602d42dea2c4b4f75550793\
             406d80d2b91ad54f9048bd487af1ade1",
            "2261b2bf605c22f2f3aef6338719b2c486388ad5240719a5257315969ef01ba2\
             7f0a104c89704773a81fdabee6ab5c78",
            1,
        ),
        (
            Family::P521,
            p521,
            "012df13601594a883ef2d935e44bb90bf4d6619b74e52af7552f97769011c0719eb4\
             39cfab2a88d40fe59a2bed1f43557169a2d0a2ccd280c607b92bbf51ffe0b078",
            "00d9cb7a32dab342f863edb340f3ea61ddf833e755ce66bb1a918a42714ba05bcdf4\
             ff10994f616a9d80cd0b48b326e3a8a2a8f5634d824875b6e71fb7cddd7b5018",
            1,
        ),
    ] {
        let (prime, y_of_zero, x_of_small) = (hex(&prime), hex(y_of_zero), hex(x_of_small));
        let zero = vec![0; prime.len()];
        let mut y = zero.clone();
        *y.last_mut().unwrap() = small;
        assert_eq!(ec(family, &zero, &y_of_zero, ALL), None, "x = 0");
        assert_eq!(ec(family, &x_of_small, &y, ALL), None, "y = {small}");
        let refused = Some(KeyError::InvalidKey);
        assert_eq!(ec(family, &prime, &y_of_zero, ALL), refused, "x = p");
        let beyond = sum(&prime, small);
        assert_eq!(ec(family, &x_of_small, &beyond, ALL), refused, "y = p + {small}");
    }
}

/// Big-endian.
fn sum(number: &[u8], small: u8) -> Vec<u8> {
    let mut sum = number.to_vec();
    let mut carry = small;
    for octet in sum.iter_mut().rev() {
        let (added, overflows) = octet.overflowing_add(carry);
        (*octet, carry) = (added, u8::from(overflows));
    }
    sum
}

#[test]
fn a_compressed_point_is_no_coordinate() {
    for (family, signing, sizes) in [
        (Family::P256, &ECDSA_P256_SHA256_FIXED_SIGNING, 32),
        (Family::P384, &ECDSA_P384_SHA384_FIXED_SIGNING, 48),
        (Family::P521, &ECDSA_P521_SHA512_FIXED_SIGNING, 66),
    ] {
        let (_, x, y) = ec_pair(signing);
        let refused = Some(KeyError::InvalidKey);
        for sign in [2, 3] {
            let compressed = [&[sign], x.as_slice()].concat();
            assert_eq!(ec(family, &compressed, &[], ALL), refused);
            assert_eq!(ec(family, &compressed, &y, ALL), refused);
            assert_eq!(ec(family, &compressed[..sizes], &y, ALL), refused);
        }
        let whole = [&[4], x.as_slice(), y.as_slice()].concat();
        assert_eq!(ec(family, &whole, &[], ALL), refused);
        assert_eq!(ec(family, &[0], &[], ALL), refused, "infinity, SEC 1 §2.3.3");
    }
}

#[test]
fn ed25519_points_of_small_order_are_refused_in_every_spelling() {
    let mut small: Vec<[u8; 32]> = Vec::new();
    for first in [0, 1, 0xec, 0xed, 0xee] {
        let mut point = if first > 1 { [0xff; 32] } else { [0; 32] };
        point[0] = first;
        point[31] &= 0x7f;
        small.push(point);
    }
    for text in [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ] {
        small.push(hex(text).try_into().unwrap());
    }
    for mut point in small {
        for sign in [0, 0x80] {
            point[31] = point[31] & 0x7f | sign;
            let error = VerificationKey::ed25519(None, &point, ALL).err();
            assert_eq!(error, Some(KeyError::WeakKey), "{point:02x?}");
        }
    }
}

#[test]
fn ed25519_keys_of_another_length_or_spelling_or_off_the_curve_are_refused() {
    let mut beyond = [0xff; 32]; // y = p + 2
    beyond[0] = 0xef;
    let mut off = [0; 32];
    off[0] = 2;
    for x in [&[9; 31][..], &[9; 33], &[], &beyond, &[0xff; 32], &off] {
        let error = VerificationKey::ed25519(None, x, ALL).err();
        assert_eq!(error, Some(KeyError::InvalidKey), "{x:02x?}");
    }
}

#[test]
fn material_is_compared_without_the_kid_and_without_leading_zeros() {
    let n = modulus(2048);
    let key = |kid, n: &[u8]| VerificationKey::rsa(kid, n, E, Family::RsaPkcs1, ALL).unwrap();
    let (a, b) = (key(Some("a"), &n), key(None, &[&[0], n.as_slice()].concat()));
    assert!(a.same_material(&b));
    assert!(!a.same_material(&key(Some("a"), &modulus(2048))));
    assert_eq!(format!("{a:?}"), "VerificationKey { kid: Some(\"a\"), family: RsaPkcs1, .. }");
}
