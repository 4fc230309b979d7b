//! What reading costs: however a token or a document is made, the memory that is held while it is read is a small
//! multiple of its length. The binary's allocator counts, for each thread by itself.

use std::cell::Cell;

use allocation_counter::measure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claimgate::issuer::mint::mint_bytes;
use claimgate::keys::jwks::{Examined, Jwks};
use claimgate::keys::key::AlgorithmSet;
use claimgate::token::VerifiedTokenCache;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use crate::report;
use crate::world::{MAX_TOKEN_BYTES, WORLD};

/// Bytes held for each byte read, at the most: a claim of six octets takes a name, a value and a place in a set; an
/// element of two octets a reference and a value.
const MULTIPLE: u64 = 64;

/// What even the shortest input may cost.
const BASE: u64 = 4096;

#[test]
fn a_token_is_read_within_a_multiple_of_its_length() {
    let (cases, worst) = (Cell::new(0), Cell::new(0));
    let key = WORLD.keys.last().unwrap();
    let hold = |token: &str| {
        cases.set(cases.get() + 1);
        holds(&worst, token.len(), || drop(WORLD.verify(token)));
    };
    for content in shapes(10_000) {
        let encoded = URL_SAFE_NO_PAD.encode(&content);
        let lossy = String::from_utf8_lossy(&content);
        hold(&lossy);
        hold(&format!("{encoded}.{encoded}.{encoded}"));
        hold(&format!("e30.{encoded}.AA"));
        hold(&format!("{encoded}.e30.AA"));
        // Signed, which is when every claim is looked into.
        hold(&mint_bytes(key, &header(), &content).unwrap());
        let claims = usual(&content);
        hold(&mint_bytes(key, &header(), &claims).unwrap());
    }
    for dots in [0, 1, 2, 100_000] {
        hold(&".".repeat(dots));
    }
    hold(&"A".repeat(MAX_TOKEN_BYTES + 1));
    runner(500)
        .run(&(vec(any::<u8>(), 0..600), vec(any::<u8>(), 0..600)), |(header, payload)| {
            hold(&mint_bytes(key, &header, &payload).unwrap());
            Ok(())
        })
        .unwrap();
    report(&format!("memory for a token (at most {} times its length)", worst.get()), cases.get());
}

#[test]
fn a_document_of_keys_is_read_within_a_multiple_of_its_length() {
    let (cases, worst) = (Cell::new(0), Cell::new(0));
    let hold = |document: &[u8]| {
        cases.set(cases.get() + 1);
        holds(&worst, document.len(), || {
            drop(Examined::parse(document, AlgorithmSet::ALL, 256));
            drop(Jwks::parse_local(document, AlgorithmSet::ALL, 256));
            drop(Jwks::parse_pem(document, None, AlgorithmSet::ALL, 256));
        });
    };
    let keys: Vec<_> = WORLD.keys.iter().map(|key| key.public_jwk()).collect();
    for content in shapes(500_000) {
        hold(&content);
        hold(&[b"{\"keys\":", content.as_slice(), b"}"].concat());
        hold(&[b"{\"keys\":[", content.as_slice(), b"]}"].concat());
        hold(&[b"{\"active_kid\":\"a\",\"keys\":", content.as_slice(), b"}"].concat());
        hold(&[b"-----BEGIN PUBLIC KEY-----\n", content.as_slice(), b"\n"].concat());
        hold(
            &[b"-----BEGIN PUBLIC KEY-----\n", &content[..], b"\n-----END PUBLIC KEY-----\n"]
                .concat(),
        );
    }
    hold(&"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n".repeat(10_000).into_bytes());
    for count in 0..=keys.len() {
        hold(serde_json::json!({"keys": keys[..count]}).to_string().as_bytes());
    }
    runner(500)
        .run(&vec(any::<u8>(), 0..600), |document| {
            hold(&document);
            Ok(())
        })
        .unwrap();
    report(
        &format!("memory for a document (at most {} times its length)", worst.get()),
        cases.get(),
    );
}

/// Tokens as a provider writes them, from the shortest to one with the roles of a large realm, and what each may take
/// beyond itself and its claims as they were sent.
#[test]
fn a_cache_holds_what_it_says_and_little_more_than_tokens_and_claims() {
    let key = WORLD.keys.last().unwrap();
    let roles: Vec<String> = (0..40).map(|n| format!("realm-role-{n}")).collect();
    let shapes = [
        (json!({}), 420),
        (
            json!({
                "jti": "b7c0e1de-91a4-4c52-8a3c-3a1e0d2f6b11", "nbf": 1_799_999_940, "azp": "shop",
                "scope": "openid profile orders:read orders:write", "email": "alice@example.com",
                "sub": "2c8a0a4e-6c5d-4f1b-8f5b-0c5a5f7b9d21",
                "realm_access": {"roles": ["clerk", "user"]},
            }),
            420,
        ),
        // Six bytes for each value, of which there are many.
        (json!({"realm_access": {"roles": roles}, "groups": roles}), 700),
    ];
    let (cases, worst) = (Cell::new(0), Cell::new(0));
    for (own, most) in shapes {
        // How full the tables are depends on the count.
        for count in [2_000, 5_000] {
            let token = |n: usize| {
                let mut own = own.clone();
                own["session"] = json!(format!("{n:08}"));
                WORLD.token(key, &own)
            };
            let tokens: Vec<String> = (0..count).map(token).collect();
            let claims = |token: &String| token.split('.').nth(1).unwrap().len() * 3 / 4;
            let sent: usize = tokens.iter().map(|token| token.len() + claims(token)).sum();
            let mut cache = None;
            let info = measure(|| {
                let cache = cache.insert(VerifiedTokenCache::new(1 << 25));
                tokens.iter().for_each(|token| WORLD.verify_known(cache, token));
            });
            // An allocation takes its head besides, and is rounded up.
            let held = usize::try_from(info.bytes_current + 16 * info.count_current).unwrap();
            let said = usize::try_from(cache.unwrap().stats().bytes).unwrap();
            let beyond = held.saturating_sub(sent) / count;
            assert!(held <= said && said <= 2 * held, "{held} held, {said} said");
            assert!(beyond <= most, "{beyond} bytes beyond a token and its claims");
            cases.set(cases.get() + count);
            worst.set(worst.get().max(beyond));
        }
    }
    let worst = worst.get();
    report(&format!("memory of a remembered token (at most {worst} bytes besides)"), cases.get());
}

fn holds(worst: &Cell<u64>, length: usize, read: impl FnOnce()) {
    let length = u64::try_from(length).unwrap();
    let held = measure(read).bytes_max;
    assert!(held <= BASE + MULTIPLE * length, "{held} bytes held for {length}");
    worst.set(worst.get().max(held.saturating_sub(BASE).div_ceil(length.max(1))));
}

/// Content of about so many octets, of forms that are dear to read.
fn shapes(octets: usize) -> Vec<Vec<u8>> {
    let members = |member: &dyn Fn(usize) -> String, each: usize| {
        let members: Vec<String> = (0..octets / each).map(member).collect();
        format!("{{{}}}", members.join(","))
    };
    let nested = |open: &str, close: &str| {
        let levels = octets / (open.len() + close.len());
        format!("{{\"a\":{}1{}}}", open.repeat(levels), close.repeat(levels))
    };
    let texts = [
        "[0".to_owned() + &",0".repeat(octets / 2) + "]",
        "[[]".to_owned() + &",[]".repeat(octets / 3) + "]",
        "[{}".to_owned() + &",{}".repeat(octets / 3) + "]",
        "[\"\"".to_owned() + &",\"\"".repeat(octets / 3) + "]",
        "[1".to_owned() + &"0".repeat(octets) + "]",
        format!("{{\"a\":[0{}]}}", ",0".repeat(octets / 2)),
        format!("{{\"a\":[[]{}]}}", ",[]".repeat(octets / 3)),
        members(&|nth| format!("\"{nth}\":0"), 8),
        members(&|nth| format!("\"\\u0061{nth}\":\"\\u0061\""), 20),
        members(&|_| "\"a\":0".to_owned(), 6),
        nested("[", "]"),
        nested("{\"a\":", "}"),
        format!("{{\"a\":\"{}\"}}", "\\u0061".repeat(octets / 6)),
        format!("{{\"a\":\"{}\"}}", "x".repeat(octets)),
        format!("{{{}}}", " ".repeat(octets)),
        "{\"a\":1}".repeat(octets / 7),
        String::new(),
    ];
    let mut shapes: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    shapes.push(vec![0xff; octets]);
    shapes.push(vec![0; octets]);
    shapes
}

/// `content`, an object, with the claims that a token must have.
fn usual(content: &[u8]) -> Vec<u8> {
    let rest = content.strip_prefix(b"{").unwrap_or_default();
    let needed = br#"{"iss":"https://accounts.example.com","aud":"orders","exp":1800000300"#;
    let comma: &[u8] = if rest.starts_with(b"}") || rest.is_empty() { b"" } else { b"," };
    [needed, comma, rest].concat()
}

fn header() -> Vec<u8> {
    let key = WORLD.keys.last().unwrap();
    serde_json::json!({"alg": key.algorithm().name(), "kid": key.kid()}).to_string().into_bytes()
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}
