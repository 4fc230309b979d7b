//! The choice of the key: `kid`, issuers, and keys that must never be used (RFC 7515 §4.1.4, RFC 7517, RFC 8725 §3.4,
//! §3.5, §3.8 and §3.10).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use num_bigint::BigUint;
use serde_json::{Value, json};

use crate::arithmetic::{padded, small_order_points};
use crate::kept::{mint, mint_with_header};
use crate::table::Attack;
use crate::world::{PARTNER, World, encode, sign};

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let mut rows = key_ids(world);
    rows.extend(issuers(world));
    rows.extend(unusable(world));
    rows
}

fn key_ids(world: &World) -> Vec<Attack> {
    let by = |key: &SigningKey, kid: &Value| {
        let mut header = json!({"alg": key.algorithm().name()});
        header["kid"] = kid.clone();
        sign(key, &encode(header.to_string()), &encode(world.claims().to_string()))
    };
    let unknown = |name, reference, kids: &[&str]| {
        let tokens: Vec<String> = kids.iter().map(|kid| by(&world.ed, &json!(kid))).collect();
        Attack::denied(name, reference, "unknown_kid", tokens)
    };
    let odd = [json!(7), json!(["ed"]), json!({"kid": "ed"}), json!(true), json!(null), json!("")];
    vec![
        unknown(
            "kid as a path",
            "RFC 8725 §3.10, CWE-22",
            &[
                "../../../../dev/null",
                "/dev/null",
                "file:///etc/passwd",
                "..\\..\\windows\\win.ini",
                "ed/../ed",
                "./ed",
            ],
        ),
        unknown(
            "kid as SQL, LDAP, a command, a template",
            "RFC 8725 §3.10",
            &[
                "' OR '1'='1",
                "x' UNION SELECT 'AAAA';--",
                "*)(uid=*))(|(uid=*",
                "ed; cat /etc/passwd",
                "$(id)",
                "`id`",
                "{{7*7}}",
                "${jndi:ldap://127.0.0.1/x}",
            ],
        ),
        unknown(
            "kid as a name in a language",
            "CWE-1321",
            &["__proto__", "constructor", "toString", ".*", "e.", "0"],
        ),
        unknown(
            "kid that looks like a good one",
            "RFC 7517 §4.5",
            &[
                "ED",
                "Ed",
                "e",
                "ed ",
                " ed",
                "edd",
                "ed\u{0}",
                "ed\u{200b}",
                "\u{435}d",
                "\u{ff45}d",
                "\"ed\"",
            ],
        ),
        unknown(
            "kid that forges a log",
            "CWE-117",
            &["ed\r\nallowed", "\u{1b}[2J", "\u{2028}", "\"}\n{\"message\":\"x\"}"],
        ),
        Attack::denied("kid longer than any key's", "CWE-770", "malformed", {
            [257, 5000].map(|bytes| by(&world.ed, &json!("k".repeat(bytes))))
        }),
        Attack::denied("kid of 64 KiB", "CWE-770", "too_large", {
            [by(&world.ed, &json!("k".repeat(64 << 10)))]
        }),
        Attack::denied("kid that is no string, or empty", "RFC 7515 §4.1.4", "malformed", {
            odd.map(|kid| by(&world.ed, &kid))
        }),
        Attack::denied(
            "no kid where several keys could be meant",
            "RFC 8725 §3.10",
            "unknown_kid",
            [&world.rsa, &world.any].map(|key| world.with_header(key, &json!({"kid": null}))),
        ),
        Attack::allowed("control: no kid where only one can be", "RFC 7515 §4.1.4", {
            [&world.ed, &world.p256].map(|key| world.with_header(key, &json!({"kid": null})))
        }),
        Attack::denied(
            "a made-up kid, signed by a trusted key",
            "RFC 8725 §3.10",
            "unknown_kid",
            {
                [&world.rsa, &world.ed]
                    .map(|key| world.with_header(key, &json!({"kid": "made-up"})))
            },
        ),
        Attack::denied("the kid of another trusted key", "RFC 7515 §4.1.4", "bad_signature", {
            [world.with_header(&world.any, &json!({"kid": "rsa"}))]
        }),
        Attack::denied("the same kid, another key", "RFC 7515 §4.1.4", "bad_signature", {
            [world.good(&world.stranger)]
        }),
    ]
}

fn issuers(world: &World) -> Vec<Attack> {
    let from = |key: &SigningKey, iss: &str| mint(key, &world.claims_with(&json!({"iss": iss})));
    vec![
        Attack::denied(
            "a key of one issuer for a token of another",
            "RFC 8725 §3.8",
            "bad_signature",
            {
                // Both publish a key of this ID.
                [world.good(&world.partner), from(&world.rsa, PARTNER).unwrap()]
            },
        ),
        Attack::denied("a kid that only the other issuer has", "RFC 8725 §3.8", "unknown_kid", {
            [from(&world.any, PARTNER).unwrap()]
        }),
        Attack::denied("iss twice", "RFC 7519 §4", "malformed", {
            let claims = world.claims().to_string();
            [ISS_FIRST, ISS_ESCAPED].map(|iss| {
                let claims = claims.replacen('{', &format!("{{{iss},"), 1);
                sign(&world.partner, &encode(r#"{"alg":"RS256","kid":"rsa"}"#), &encode(claims))
            })
        }),
        Attack::allowed("control: each issuer's own key", "RFC 8725 §3.8", {
            [world.good(&world.rsa), from(&world.partner, PARTNER).unwrap()]
        }),
        Attack::allowed("control: an oct key beside it, under its kid", "RFC 7517 §4.5", {
            [world.good(&world.rsa)]
        }),
    ]
}

const ISS_FIRST: &str = r#""iss":"https://partner.example.com""#;
const ISS_ESCAPED: &str = r#""\u0069ss":"https://partner.example.com""#;

/// Tokens by the keys of [`never_used`], forged where that key makes it possible.
fn unusable(world: &World) -> Vec<Attack> {
    let claims = world.claims_with(&json!({"sub": "mallory"}));
    let input = |algorithm: &str, kid: &str| {
        let header = json!({"alg": algorithm, "kid": kid}).to_string();
        format!("{}.{}", encode(header), encode(claims.to_string()))
    };
    let forged = |algorithm: &str, kid: &str, signature: &[u8]| {
        format!("{}.{}", input(algorithm, kid), encode(signature))
    };
    let signed = |key: &SigningKey, kid: &str| {
        mint_with_header(key, &json!({"kid": kid}), &world.claims()).unwrap()
    };
    let unknown = |name, reference, vectors: Vec<String>| {
        Attack::denied(name, reference, "unknown_kid", vectors)
    };
    vec![
        unknown("Ed25519 points of small order, S = 0", "RFC 8725 §3.4, RFC 8032 §5.1.7", {
            small_order_forgeries(world)
        }),
        unknown("RSA with e = 1", "CVE-2006-4339, RFC 8725 §3.5", {
            let block = pkcs1_block(input("RS256", "e-1").as_bytes(), 256);
            vec![forged("RS256", "e-1", &block)]
        }),
        unknown("RSA with e = 3: a cube root", "CVE-2006-4339, CVE-2014-1568, CVE-2016-1494", {
            let input = input("RS256", "e-3");
            let signature = cube_root(input.as_bytes());
            vec![forged("RS256", "e-3", &signature)]
        }),
        unknown("RSA with an even or a huge exponent", "FIPS 186-5 §5.4", {
            ["e-0", "e-2", "e-even", "e-huge"].map(|kid| forged("RS256", kid, &[1; 256])).into()
        }),
        unknown("RSA under 2048 bits", "RFC 7518 §3.3", {
            vec![
                forged(
                    "RS256",
                    "bits-512",
                    &pkcs1_block(input("RS256", "bits-512").as_bytes(), 64),
                ),
                forged("RS256", "bits-1024", &[1; 128]),
                forged("RS256", "bits-2047", &[1; 256]),
            ]
        }),
        unknown("RSA over 8192 bits", "CVE-2006-2940, CVE-2023-29409", {
            vec![forged("RS256", "bits-16384", &[1; 2048])]
        }),
        unknown("RSA with an even modulus", "RFC 8725 §3.5", {
            vec![forged("RS256", "n-even", &[1; 256])]
        }),
        unknown("EC points that are none", "RFC 8725 §3.4", {
            ["off-curve", "infinity", "beyond-p", "compressed", "other-curve"]
                .map(|kid| forged("ES256", kid, &[1; 64]))
                .into()
        }),
        unknown("OKP keys of another length or curve, or off it", "RFC 8037 §2", {
            ["short", "long", "off-edwards", "x25519"]
                .map(|kid| forged("EdDSA", kid, &[1; 64]))
                .into()
        }),
        unknown("keys for something else", "RFC 7517 §4.2 to §4.4", {
            ["use-enc", "ops-sign", "alg-other", "alg-hmac"]
                .map(|kid| signed(&world.ed, kid))
                .into()
        }),
        unknown("a private key that was published", "RFC 7517 §9.2", {
            vec![signed(&world.ed, "private")]
        }),
        unknown("a kid that two different keys have", "RFC 7517 §4.5", {
            vec![signed(&world.ed, "twin")]
        }),
        unknown("keys that cannot be read", "RFC 7517 §4", {
            ["bad-base64", "no-x", "number-x"].map(|kid| signed(&world.ed, kid)).into()
        }),
    ]
}

/// For each point of small order as the key, in each spelling, a signature that is good for whoever only verifies: with
/// the right one of these points for R, and S = 0. Which one is right depends on the message, so several are tried.
fn small_order_forgeries(world: &World) -> Vec<String> {
    let points = small_order_points();
    let forge = |nth: usize, key: &[u8; 32]| {
        let header = encode(json!({"alg": "EdDSA", "kid": format!("small-{nth}")}).to_string());
        let tries = (0..100).flat_map(|attempt| {
            let claims = world.claims_with(&json!({"sub": "mallory", "attempt": attempt}));
            let input = format!("{header}.{}", encode(claims.to_string()));
            points.iter().map(move |r| (input.clone(), [r.as_slice(), &[0; 32]].concat()))
        });
        let plain = UnparsedPublicKey::new(&ED25519, key);
        let mut tries = tries.peekable();
        let any = tries.peek().cloned();
        let found =
            tries.find(|(input, signature)| plain.verify(input.as_bytes(), signature).is_ok());
        let token = |(input, signature)| format!("{input}.{}", encode(signature));
        (found.is_some(), found.or(any).map(token).unwrap())
    };
    let forged: Vec<_> = points.iter().enumerate().map(|(nth, key)| forge(nth, key)).collect();
    // The library takes all canonical spellings, and perhaps others.
    let deceived = forged.iter().filter(|(deceives, _)| *deceives).count();
    assert!(deceived >= 8, "{deceived} of the signatures are forgeries");
    forged.into_iter().map(|(_, token)| token).collect()
}

/// An entry of the document, and why it is not used.
pub(crate) struct NeverUsed {
    pub(crate) jwk: Value,
    pub(crate) reason: &'static str,
}

/// Keys that an issuer might publish by mistake or be made to publish. `good` is one that is fit, for those that are
/// unfit only by what is said about them.
pub(crate) fn never_used(good: &SigningKey) -> Vec<NeverUsed> {
    let mut bad = Vec::new();
    let mut add = |kid: &str, reason, mut jwk: Value| {
        jwk["kid"] = json!(kid);
        bad.push(NeverUsed { jwk, reason });
    };
    for (place, point) in small_order_points().iter().enumerate() {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": encode(point)});
        add(&format!("small-{place}"), "weak_key", jwk);
    }
    let rsa = |n: &[u8], e: &[u8]| json!({"kty": "RSA", "n": encode(n), "e": encode(e)});
    let n = modulus(2048);
    for (kid, e) in [("e-0", &[0][..]), ("e-1", &[1]), ("e-2", &[2]), ("e-3", &[3])] {
        add(kid, "weak_key", rsa(&n, e));
    }
    add("e-even", "weak_key", rsa(&n, &[1, 0, 2]));
    add("e-huge", "invalid_key", rsa(&n, &[0xff; 256]));
    for (kid, bits) in [("bits-512", 512), ("bits-1024", 1024), ("bits-2047", 2047)] {
        add(kid, "weak_key", rsa(&modulus(bits), &[1, 0, 1]));
    }
    add("bits-16384", "invalid_key", rsa(&modulus(16_384), &[1, 0, 1]));
    let mut even = n;
    even[255] &= 0xfe;
    add("n-even", "invalid_key", rsa(&even, &[1, 0, 1]));
    let p256 = SigningKey::generate(Algorithm::Es256).unwrap().public_jwk();
    let with = |jwk: &Value, over: Value| {
        let mut jwk = jwk.clone();
        for (name, value) in over.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    };
    add("off-curve", "invalid_key", with(&p256, json!({"y": p256["x"]})));
    let zero = encode([0; 32]);
    add("infinity", "invalid_key", with(&p256, json!({"x": zero, "y": zero})));
    add("beyond-p", "invalid_key", with(&p256, json!({"x": encode([0xff; 32])})));
    let compressed = encode([&[2], &[9; 32][..]].concat());
    add("compressed", "invalid_key", with(&p256, json!({"x": compressed, "y": ""})));
    let p384 = SigningKey::generate(Algorithm::Es384).unwrap().public_jwk();
    let labelled = json!({"crv": "P-256", "alg": "ES256"});
    add("other-curve", "invalid_key", with(&p384, labelled));
    let ed = good.public_jwk();
    add("short", "invalid_key", with(&ed, json!({"x": encode([9; 31])})));
    add("long", "invalid_key", with(&ed, json!({"x": encode([9; 33])})));
    let off = [&[2], &[0; 31][..]].concat();
    add("off-edwards", "invalid_key", with(&ed, json!({"x": encode(off)})));
    add("x25519", "unsupported_type", with(&ed, json!({"crv": "X25519"})));
    add("use-enc", "for_encryption", with(&ed, json!({"use": "enc"})));
    add("ops-sign", "not_for_verification", with(&ed, json!({"key_ops": ["sign"]})));
    add("alg-other", "algorithm_mismatch", with(&ed, json!({"alg": "RS256"})));
    add("alg-hmac", "algorithm_mismatch", with(&ed, json!({"alg": "HS256"})));
    add("private", "private_key", with(&ed, json!({"d": encode([7; 32])})));
    add("twin", "duplicate_kid", ed.clone());
    let other = SigningKey::generate(Algorithm::EdDsa).unwrap().public_jwk();
    add("twin", "duplicate_kid", other);
    add("bad-base64", "malformed", with(&ed, json!({"x": "+/+/"})));
    add("number-x", "malformed", with(&ed, json!({"x": 7})));
    let mut without = ed;
    without.as_object_mut().unwrap().shift_remove("x");
    add("no-x", "malformed", without);
    add("oct", "symmetric_key", json!({"kty": "oct", "k": "c2VjcmV0"}));
    add("post-quantum", "unsupported_type", json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA"}));
    bad
}

/// An odd number of so many bits. Nobody knows its factors.
fn modulus(bits: usize) -> Vec<u8> {
    let mut octets = vec![0; bits.div_ceil(8)];
    rand::fill(&mut octets).unwrap();
    octets[0] = (octets[0] | 0x80) >> (octets.len() * 8 - bits);
    *octets.last_mut().unwrap() |= 1;
    octets
}

/// SEQUENCE { SEQUENCE { sha256, NULL }, OCTET STRING } (RFC 8017 §9.2).
pub(crate) const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// What RS256 signs: 00 01 FF … 00, and the DigestInfo of `message`.
pub(crate) fn pkcs1_block(message: &[u8], bytes: usize) -> Vec<u8> {
    let hash = digest(&SHA256, message);
    let rest = [&[0], SHA256_INFO.as_slice(), hash.as_ref()].concat();
    let filling = vec![0xff; bytes - 2 - rest.len()];
    [&[0, 1], filling.as_slice(), &rest].concat()
}

/// A number whose cube begins like a signed block with eight octets of filling; whatever follows the hash is garbage.
fn cube_root(message: &[u8]) -> Vec<u8> {
    let hash = digest(&SHA256, message);
    let start = [&[0, 1], &[0xff; 8][..], &[0], &SHA256_INFO, hash.as_ref()].concat();
    let least = [start.as_slice(), &vec![0; 256 - start.len()]].concat();
    let root: BigUint = BigUint::from_bytes_be(&least).cbrt() + 1_u8;
    let cube = padded(&root.pow(3), 256);
    assert_eq!(cube[..start.len()], start, "a verifier that parses is not deceived");
    padded(&root, 256)
}
