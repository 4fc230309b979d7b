//! Wycheproof's vectors against [`VerificationKey`]: every signature set of RSA PKCS#1 v1.5, RSA-PSS, ECDSA in the
//! fixed-length form of JWS (IEEE P1363) and EdDSA. Prints a table (`cargo test --test wycheproof`). Not the JWS around
//! a signature: that is for the tests of `token` and for tests/attacks.
//!
//! Where JWA (RFC 7518 §3, RFC 8037) has an algorithm with the parameters of a set, what is valid is accepted under it
//! and what is invalid is refused. Under every other algorithm of the key what is valid is refused: a PSS signature with
//! another salt, a P-256 signature over SHA-512. What is "acceptable" is the one spelling of a DigestInfo that lacks its
//! NULL, and refused as well: the padding is made and compared (RFC 8017 §8.2.2), never parsed.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers may fail the test, as its functions may"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "hashes and curves that JWA has nothing with")]

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use claimgate::keys::key::{Algorithm, AlgorithmSet, Family, KeyError, VerificationKey};
use wycheproof::{
    EdwardsCurve, EllipticCurve, HashFunction, TestResult, ecdsa, eddsa, rsa_pkcs1_verify,
    rsa_pss_verify,
};

const ALL: AlgorithmSet = AlgorithmSet::ALL;

#[test]
fn rsa_pkcs1_signatures() {
    let mut table = Table::default();
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let (n, e) = (&group.key.n, &group.key.e);
            let key = VerificationKey::rsa(None, n, e, Family::RsaPkcs1, ALL);
            let right = match group.hash {
                HashFunction::Sha2_256 => Some(Algorithm::Rs256),
                HashFunction::Sha2_384 => Some(Algorithm::Rs384),
                HashFunction::Sha2_512 => Some(Algorithm::Rs512),
                _ => None,
            };
            for test in group.tests {
                table.judge("RSA PKCS#1", &key, right, &test.msg, &test.sig, test.result);
            }
        }
    }
    table.print();
    // RSA of 2048 to 8192 bits under three hashes; e = 3 is not accepted from anybody.
    table.holds(Algorithm::Rs256, [28, 990, 4]);
    table.holds(Algorithm::Rs384, [28, 1000, 4]);
    table.holds(Algorithm::Rs512, [28, 1000, 4]);
    assert_eq!(table.other("RSA PKCS#1", WEAK), 5);
}

#[test]
fn rsa_pss_signatures() {
    let mut table = Table::default();
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let (n, e) = (&group.key.n, &group.key.e);
            let key = VerificationKey::rsa(None, n, e, Family::RsaPss, ALL);
            // RFC 7518 §3.5: MGF1 with the same hash, and a salt as long as its output.
            let right = match (group.hash, group.mgf_hash, group.salt_size) {
                (HashFunction::Sha2_256, Some(HashFunction::Sha2_256), 32) => {
                    Some(Algorithm::Ps256)
                }
                (HashFunction::Sha2_384, Some(HashFunction::Sha2_384), 48) => {
                    Some(Algorithm::Ps384)
                }
                (HashFunction::Sha2_512, Some(HashFunction::Sha2_512), 64) => {
                    Some(Algorithm::Ps512)
                }
                _ => None,
            };
            for test in group.tests {
                table.judge("RSA-PSS", &key, right, &test.msg, &test.sig, test.result);
            }
        }
    }
    table.print();
    table.holds(Algorithm::Ps256, [300, 220, 0]);
    table.holds(Algorithm::Ps384, [190, 90, 0]);
    table.holds(Algorithm::Ps512, [260, 90, 0]);
    assert!(table.other("RSA-PSS", OTHER_PARAMETERS) > 1000);
}

#[test]
fn ecdsa_signatures_of_fixed_length() {
    let mut table = Table::default();
    for name in ecdsa::TestName::all() {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            if group.test_type != ecdsa::TestGroupTypeId::EcdsaP1363 {
                continue;
            }
            let (family, bytes, algorithm, hash) = match group.key.curve {
                EllipticCurve::Secp256r1 => {
                    (Family::P256, 32, Algorithm::Es256, HashFunction::Sha2_256)
                }
                EllipticCurve::Secp384r1 => {
                    (Family::P384, 48, Algorithm::Es384, HashFunction::Sha2_384)
                }
                EllipticCurve::Secp521r1 => {
                    (Family::P521, 66, Algorithm::Es512, HashFunction::Sha2_512)
                }
                _ => {
                    table.add("ECDSA", OTHER_CURVES, group.tests.len());
                    continue;
                }
            };
            let point = group.key.key.strip_prefix(&[4]).unwrap();
            let (x, y) = point.split_at(bytes);
            let key = VerificationKey::ec(None, family, x, y, ALL);
            let right = (group.hash == hash).then_some(algorithm);
            for test in group.tests {
                table.judge("ECDSA", &key, right, &test.msg, &test.sig, test.result);
            }
        }
    }
    table.print();
    table.holds(Algorithm::Es256, [170, 85, 0]);
    table.holds(Algorithm::Es384, [190, 85, 0]);
    table.holds(Algorithm::Es512, [230, 85, 0]);
    assert!(table.other("ECDSA", OTHER_PARAMETERS) > 1000);
}

#[test]
fn eddsa_signatures() {
    let mut table = Table::default();
    for name in eddsa::TestName::all() {
        for group in eddsa::TestSet::load(name).unwrap().test_groups {
            if group.key.curve != EdwardsCurve::Ed25519 {
                table.add("EdDSA", OTHER_CURVES, group.tests.len());
                continue;
            }
            let key = VerificationKey::ed25519(None, &group.key.pk, ALL);
            let right = Some(Algorithm::EdDsa);
            for test in group.tests {
                table.judge("EdDSA", &key, right, &test.msg, &test.sig, test.result);
            }
        }
    }
    table.print();
    table.holds(Algorithm::EdDsa, [85, 60, 0]);
}

const VALID: &str = "valid, accepted";
const INVALID: &str = "invalid, refused";
const ACCEPTABLE: &str = "acceptable, refused";
const OTHER_PARAMETERS: &str = "other parameters, refused";
const INVALID_ELSEWHERE: &str = "invalid under other parameters, not for us";
const OTHER_CURVES: &str = "other curves: no such keys";
const WEAK: &str = "weak key, not loaded";

/// Vectors by scheme or algorithm, and by what became of them.
#[derive(Default)]
struct Table(BTreeMap<(String, &'static str), usize>);

impl Table {
    /// One vector, under each algorithm of the key; `right` is the one that its parameters are of.
    fn judge(
        &mut self,
        scheme: &str,
        key: &Result<VerificationKey, KeyError>,
        right: Option<Algorithm>,
        message: &[u8],
        signature: &[u8],
        expected: TestResult,
    ) {
        let key = match key {
            Ok(key) => key,
            Err(error) => {
                assert_eq!(*error, KeyError::WeakKey, "{scheme}");
                return self.add(scheme, WEAK, 1);
            }
        };
        if expected == TestResult::Valid {
            for other in key.algorithms().filter(|algorithm| Some(*algorithm) != right) {
                assert!(!key.verify(other, message, signature), "{other} in place of {right:?}");
            }
        }
        let Some(right) = right else {
            // What is wrong with an invalid one may be that its parameters are those of JWA.
            let of_others = [OTHER_PARAMETERS, INVALID_ELSEWHERE];
            let place = usize::from(expected != TestResult::Valid);
            return self.add(scheme, of_others[place], 1);
        };
        let is_accepted = key.verify(right, message, signature);
        let (outcome, should_be) = match expected {
            TestResult::Valid => (VALID, true),
            TestResult::Invalid => (INVALID, false),
            TestResult::Acceptable => (ACCEPTABLE, false),
        };
        assert_eq!(is_accepted, should_be, "{right}: {outcome}: {signature:02x?}");
        self.add(right.name(), outcome, 1);
    }

    fn add(&mut self, scheme: &str, outcome: &'static str, vectors: usize) {
        *self.0.entry((scheme.to_owned(), outcome)).or_default() += vectors;
    }

    fn other(&self, scheme: &str, outcome: &'static str) -> usize {
        self.0.get(&(scheme.to_owned(), outcome)).copied().unwrap_or(0)
    }

    /// At least so many were valid, invalid and acceptable: a run over nothing proves nothing.
    fn holds(&self, algorithm: Algorithm, floor: [usize; 3]) {
        for (outcome, floor) in [VALID, INVALID, ACCEPTABLE].into_iter().zip(floor) {
            let found = self.other(algorithm.name(), outcome);
            assert!(found >= floor, "{algorithm}: {found} {outcome}, fewer than {floor}");
        }
    }

    /// Past the test harness, which shows what a test prints only when it fails.
    fn print(&self) {
        let mut text = String::new();
        for ((scheme, outcome), vectors) in &self.0 {
            text += &format!("wycheproof {scheme}: {vectors} {outcome}\n");
        }
        let not_run = [OTHER_CURVES, INVALID_ELSEWHERE];
        let run = self.0.iter().filter(|((_, outcome), _)| !not_run.contains(outcome));
        let run: usize = run.map(|(_, vectors)| vectors).sum();
        text += &format!("counted: {run} vectors of Wycheproof\n");
        io::stdout().lock().write_all(text.as_bytes()).unwrap();
    }
}
