//! Any bytes as a document of keys: a JWK Set, a keyset, PEM. What comes out of it is within the limits, is the same
//! each time, and verifies no signature that nobody made.

#![no_main]

use claimgate::keys::jwks::{DocumentError, Examined, Jwks};
use claimgate::keys::key::{AlgorithmSet, Family, MAX_KID_BYTES};
use libfuzzer_sys::fuzz_target;

const MAX_KEYS: usize = 8;

fuzz_target!(|document: &[u8]| {
    let parsed = Jwks::parse(document, AlgorithmSet::ALL, MAX_KEYS);
    let examined = Examined::parse(document, AlgorithmSet::ALL, MAX_KEYS);
    assert!(parsed.is_err() || examined.is_ok());
    hold(&parsed);
    hold(&Jwks::parse_local(document, AlgorithmSet::ALL, MAX_KEYS));
    hold(&Jwks::parse_pem(document, None, AlgorithmSet::ALL, MAX_KEYS));
    hold(&Jwks::parse_pem(document, Some("given"), AlgorithmSet::ALL, MAX_KEYS));
});

fn hold(parsed: &Result<Jwks, DocumentError>) {
    let jwks = match parsed {
        Ok(jwks) => jwks,
        Err(error) => return assert!(error.to_string().len() < 1000),
    };
    assert!(!jwks.keys.is_empty());
    // An RSA key without `alg` is two keys.
    assert!(jwks.keys.len() <= 2 * MAX_KEYS);
    for key in &jwks.keys {
        assert!(key.kid().is_none_or(|kid| !kid.is_empty() && kid.len() <= MAX_KID_BYTES));
        let algorithms: Vec<_> = key.algorithms().collect();
        assert!(!algorithms.is_empty());
        let of_rsa = matches!(key.family(), Family::RsaPkcs1 | Family::RsaPss);
        assert!(!of_rsa || (256..=1024).contains(&key.signature_bytes()));
        let (zeros, ones) = (vec![0; key.signature_bytes()], vec![0xff; key.signature_bytes()]);
        let mut one = zeros.clone();
        one.last_mut().into_iter().for_each(|last| *last = 1);
        // A small key's first octet: the neutral element of Ed25519, as an R for S = 0.
        let mut neutral = zeros.clone();
        neutral.first_mut().into_iter().for_each(|first| *first = 1);
        for algorithm in algorithms {
            assert_eq!(algorithm.family(), key.family());
            for signature in [&zeros, &ones, &one, &neutral, &Vec::new()] {
                assert!(!key.verify(algorithm, b"nobody signed this", signature));
            }
        }
    }
}
