//! Every algorithm, its own key and others, and signatures that are nearly right.

use claimgate::issuer::forgery::{keyed_with_public, unsigned, with_wrong_signature};
use claimgate::keys::key::Algorithm;
use serde_json::json;

use super::Cases;
use crate::tokens::{Tokens, with_signature};
use crate::worlds::same_key;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    for algorithm in Algorithm::ALL {
        own_key(cases, tokens, algorithm);
        other_keys(cases, tokens, algorithm);
    }
    forgeries(cases, tokens);
    names(cases, tokens);
    ecdsa(cases, tokens);
    rsa_without_alg(cases, tokens);
}

fn own_key(cases: &Cases, tokens: &Tokens, algorithm: Algorithm) {
    let genuine = tokens.signed("accounts", tokens.key(algorithm), &json!({}), &json!({}));
    cases.token(format!("{algorithm}"), "accounts", &genuine).passes();
    let no_kid =
        tokens.signed("accounts", tokens.key(algorithm), &json!({"kid": null}), &json!({}));
    cases.token(format!("{algorithm} without a kid"), "accounts", &no_kid).passes();
    let flipped = with_wrong_signature(&genuine);
    cases.token(format!("{algorithm}, one bit turned over"), "accounts", &flipped).refused();
    for (what, change) in [
        (
            "one octet less",
            (|signature| signature.truncate(signature.len() - 1)) as fn(&mut Vec<u8>),
        ),
        ("without its first octet", |signature| *signature = signature.split_off(1)),
        ("all zeros", |signature| signature.fill(0)),
        ("all ones", |signature| signature.fill(0xff)),
        ("of one octet", |signature| signature.truncate(1)),
    ] {
        let token = with_signature(&genuine, change);
        cases.token(format!("{algorithm}, signature {what}"), "accounts", &token).refused();
    }
    let longer = with_signature(&genuine, |signature| signature.push(0));
    let case = cases.token(format!("{algorithm}, signature one octet more"), "accounts", &longer);
    if algorithm.name().starts_with("ES") {
        case.claimgate_refuses("long-ecdsa-signature");
    } else {
        case.refused();
    }
}

/// A token may not choose how a key is used.
fn other_keys(cases: &Cases, tokens: &Tokens, algorithm: Algorithm) {
    let claimed = Algorithm::ALL.into_iter().filter(|other| *other != algorithm);
    for other in claimed {
        // The header says one algorithm and names the key of another, which did sign.
        let header = json!({"alg": other.name()});
        let token = tokens.signed("accounts", tokens.key(algorithm), &header, &json!({}));
        let name = format!("alg {other}, signed with the key of {algorithm}");
        cases.token(name, "accounts", &token).refused();
    }
    let header = json!({"kid": "EdDSA"});
    if algorithm != Algorithm::EdDsa {
        let token = tokens.signed("accounts", tokens.key(algorithm), &header, &json!({}));
        let name = format!("{algorithm} with the kid of another key");
        cases.token(name, "accounts", &token).refused();
    }
}

fn forgeries(cases: &Cases, tokens: &Tokens) {
    let claims = tokens.claims("accounts");
    let unsigned = unsigned("EdDSA", &claims).unwrap();
    cases.token("alg none", "accounts", &unsigned).refused();
    let (input, _) = unsigned.rsplit_once('.').unwrap();
    cases.token("alg none, no signature", "accounts", &format!("{input}.")).refused();
    let key = tokens.key(Algorithm::Rs256);
    for (what, secret) in [
        ("the PEM", key.public_pem().unwrap().into_bytes()),
        ("the JWK", key.public_jwk().to_string().into_bytes()),
        ("nothing", Vec::new()),
    ] {
        let token = keyed_with_public(&secret, "RS256", &claims).unwrap();
        cases
            .token(format!("HS256 keyed with {what} of the RSA key"), "accounts", &token)
            .refused();
    }
    let token = tokens.signed("accounts", &tokens.stranger, &json!({"kid": "EdDSA"}), &json!({}));
    cases.token("somebody else's key, our kid", "accounts", &token).refused();
    let embedded = json!({"kid": null, "jwk": tokens.stranger.public_jwk()});
    let token = tokens.signed("accounts", &tokens.stranger, &embedded, &json!({}));
    cases.token("somebody else's key, embedded", "accounts", &token).refused();
    let url = json!({"jku": "http://127.0.0.1:9/jwks.json", "x5u": "http://127.0.0.1:9/"});
    let token = tokens.signed("accounts", &tokens.stranger, &url, &json!({}));
    cases.token("somebody else's key, by jku", "accounts", &token).refused();
    let token = tokens.signed("accounts", tokens.key(Algorithm::EdDsa), &url, &json!({}));
    cases.token("our key, a jku beside", "accounts", &token).passes();
}

fn names(cases: &Cases, tokens: &Tokens) {
    let key = tokens.key(Algorithm::Rs256);
    for alg in [
        json!("rs256"),
        json!("RS256 "),
        json!("RSA"),
        json!("None"),
        json!("nOnE"),
        json!(""),
        json!("Ed25519"),
        json!("ES256K"),
        json!("RS1"),
        json!(256),
        json!(true),
        json!(["RS256"]),
        json!({"alg": "RS256"}),
        json!("HS256"),
        json!("HS384"),
        json!("dir"),
    ] {
        let token = tokens.signed("accounts", key, &json!({"alg": alg}), &json!({}));
        cases.token(format!("alg {alg}"), "accounts", &token).refused();
    }
    let token = tokens.signed("accounts", key, &json!({"alg": null}), &json!({}));
    cases.token("no alg", "accounts", &token).refused();
}

fn ecdsa(cases: &Cases, tokens: &Tokens) {
    let genuine = tokens.signed("accounts", tokens.key(Algorithm::Es256), &json!({}), &json!({}));
    let high = with_signature(&genuine, |signature| {
        let (_, s) = signature.split_at_mut(32);
        negate(s);
    });
    cases.token("ES256, s replaced by n - s", "accounts", &high).passes();
    let der = with_signature(&genuine, |signature| {
        let mut body = Vec::new();
        for half in signature.chunks(32) {
            body.extend([2, 33, 0]);
            body.extend(half);
        }
        *signature = [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat();
    });
    cases.token("ES256, signature in DER", "accounts", &der).refused();
    let half = |zeroed: usize| {
        with_signature(&genuine, |signature| signature[zeroed..zeroed + 32].fill(0))
    };
    cases.token("ES256, r = 0", "accounts", &half(0)).refused();
    cases.token("ES256, s = 0", "accounts", &half(32)).refused();
    let swapped = with_signature(&genuine, |signature| signature.rotate_left(32));
    cases.token("ES256, r and s swapped", "accounts", &swapped).refused();
}

/// n - s, with n the order of P-256: as good a signature as the first (FIPS 186-5 §6.4).
fn negate(s: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
        0x25, 0x51,
    ];
    let mut borrow = 0;
    for (octet, order) in s.iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*octet) - borrow;
        borrow = i16::from(difference < 0);
        *octet = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
}

/// A key that does not say what it is for does all that its type can.
fn rsa_without_alg(cases: &Cases, tokens: &Tokens) {
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ] {
        let key = same_key(tokens, algorithm);
        let token = tokens.signed("no-alg", &key, &json!({}), &json!({}));
        cases.token(format!("{algorithm} of a key without alg"), "no-alg", &token).passes();
        let token = tokens.signed("no-alg", &key, &json!({"kid": null}), &json!({}));
        cases.token(format!("{algorithm} of it, no kid"), "no-alg", &token).passes();
    }
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let token = tokens.signed("no-alg", tokens.key(algorithm), &json!({}), &json!({}));
        cases.token(format!("{algorithm} of a key without alg"), "no-alg", &token).passes();
    }
    for (key, alg) in
        [(Algorithm::Rs256, "RS384"), (Algorithm::Rs256, "PS256"), (Algorithm::Es256, "ES384")]
    {
        let token = tokens.signed("no-alg", tokens.key(key), &json!({"alg": alg}), &json!({}));
        let name = format!("signed {key}, says {alg}, of a key without alg");
        cases.token(name, "no-alg", &token).refused();
    }
    for (key, alg) in
        [(Algorithm::EdDsa, "ES256"), (Algorithm::EdDsa, "ES512"), (Algorithm::Es256, "EdDSA")]
    {
        let token = tokens.signed("no-alg", tokens.key(key), &json!({"alg": alg}), &json!({}));
        let name = format!("signed {key}, says {alg}, of a key without alg");
        cases.token(name, "no-alg", &token).claimgate_refuses("alg-of-the-header");
    }
}
