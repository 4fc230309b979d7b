//! What was signed is verified, and no other text is: not one bit off, not cut, not longer, not spelled otherwise.

use std::cell::Cell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claimgate::issuer::SigningKey;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::report;
use crate::world::WORLD;

#[test]
fn whatever_is_signed_is_verified_and_comes_out_as_it_went_in() {
    let cases = Cell::new(0);
    for key in &WORLD.keys {
        runner(64)
            .run(&claims(), |claims| {
                cases.set(cases.get() + 1);
                let token = WORLD.token(key, &claims);
                let verified = WORLD.verify(&token);
                prop_assert!(verified.is_ok(), "{}: {:?}", key.algorithm(), verified.err());
                let verified = verified.unwrap();
                prop_assert_eq!(verified.signed_with().name(), key.algorithm().name());
                for (name, value) in claims.as_object().unwrap() {
                    let mut json = String::new();
                    verified.claims().get(name).unwrap().write_json(&mut json);
                    let read: Value = serde_json::from_str(&json).unwrap();
                    prop_assert_eq!(&read, value);
                }
                Ok(())
            })
            .unwrap();
    }
    report("verify(sign(claims))", cases.get());
}

#[test]
fn no_single_bit_of_the_text_can_be_turned_over() {
    let mut cases = 0;
    for (key, token) in tokens() {
        for place in 0..token.len() {
            for bit in 0..8 {
                let mut changed = token.clone().into_bytes();
                changed[place] ^= 1 << bit;
                // What is no text is never a token: a header with such a value holds `!` in its place.
                let changed = String::from_utf8_lossy(&changed);
                refuses(key, &changed, || format!("bit {bit} of octet {place}"));
                cases += 1;
            }
        }
    }
    report("a bit of the text", cases);
}

#[test]
fn no_single_bit_of_what_is_signed_or_of_the_signature_can_be_turned_over() {
    let mut cases = 0;
    for (key, token) in tokens() {
        let parts: Vec<Vec<u8>> =
            token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        for (part, octets) in parts.iter().enumerate() {
            for bit in 0..8 * octets.len() {
                let mut changed = parts.clone();
                changed[part][bit / 8] ^= 1 << (bit % 8);
                refuses(key, &encode(&changed), || format!("bit {bit} of part {part}"));
                cases += 1;
            }
        }
    }
    report("a bit of what is encoded", cases);
}

#[test]
fn nothing_can_be_cut_off() {
    let mut cases = 0;
    for (key, token) in tokens() {
        for place in 0..token.len() {
            refuses(key, &token[..place], || format!("the first {place} octets"));
            cases += 1;
            if place > 0 {
                refuses(key, &token[place..], || format!("without the first {place} octets"));
                let without = format!("{}{}", &token[..place], &token[place + 1..]);
                refuses(key, &without, || format!("without octet {place}"));
                cases += 2;
            }
        }
    }
    report("truncation", cases);
}

#[test]
fn nothing_can_be_put_in_before_or_behind() {
    let cases = Cell::new(0);
    let added = (any::<char>(), vec(any::<char>(), 0..4), any::<prop::sample::Index>());
    for (key, token) in tokens() {
        for character in ('\0'..='\u{ff}').chain(['\u{200b}', '\u{2028}', '\u{feff}', '\u{ff0e}']) {
            for place in [0, token.find('.').unwrap(), token.len()] {
                refuses(key, &inserted(&token, place, &character.to_string()), || {
                    format!("{character:?} at {place}")
                });
                cases.set(cases.get() + 1);
            }
        }
        runner(500)
            .run(&added, |(first, rest, place)| {
                cases.set(cases.get() + 1);
                let place = place.index(token.len() + 1);
                let more: String = std::iter::once(first).chain(rest).collect();
                refuses(key, &inserted(&token, place, &more), || format!("{more:?} at {place}"));
                Ok(())
            })
            .unwrap();
    }
    report("extension", cases.get());
}

#[test]
fn a_token_has_one_spelling() {
    let mut cases = 0;
    for key in &WORLD.keys {
        // Several, so that every length modulo four and both special characters are met.
        for nth in 0..8 {
            let token = WORLD.token(key, &json!({"pad": "ÿ?".repeat(nth)}));
            assert!(WORLD.verify(&token).is_ok());
            for (how, other) in spellings(&token) {
                assert_ne!(other, token, "{how}");
                refuses(key, &other, || how.to_owned());
                cases += 1;
            }
        }
    }
    report("re-encoding", cases);
}

/// The same token, as somebody might write it who reads the standards loosely.
fn spellings(token: &str) -> Vec<(&'static str, String)> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let mut spellings = vec![
        ("a dot in front", format!(".{token}")),
        ("a dot behind", format!("{token}.")),
        ("two dots", token.replacen('.', "..", 1)),
        ("a fourth part", format!("{token}.{signature}")),
        ("detached", format!("{header}..{signature}")),
        ("another order", format!("{payload}.{header}.{signature}")),
        (
            "flattened JSON serialization",
            json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
        ),
        (
            "general JSON serialization",
            json!({
                "payload": payload,
                "signatures": [{"protected": header, "signature": signature}],
            })
            .to_string(),
        ),
        ("a polyglot of both", format!("{{\"a\":\"{token}\",\"payload\":\"{payload}\"}}")),
        ("in quotes", format!("\"{token}\"")),
        ("in angle brackets", format!("<{token}>")),
        ("percent-encoded dot", token.replacen('.', "%2e", 1)),
        ("full-width dot", token.replacen('.', "\u{ff0e}", 1)),
        ("upper case", token.to_ascii_uppercase()),
        ("encoded once more", URL_SAFE_NO_PAD.encode(token)),
        ("SD-JWT without disclosures", format!("{token}~")),
        ("twice", format!("{token}{token}")),
        ("with its scheme", format!("Bearer {token}")),
    ];
    let with = |place: usize, part: String| {
        let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        parts[place] = part;
        parts.join(".")
    };
    for (place, part) in parts.iter().enumerate() {
        spellings.push(("one =", with(place, format!("{part}="))));
        spellings.push(("two =", with(place, format!("{part}=="))));
        spellings.push(("percent-encoded =", with(place, format!("{part}%3d"))));
        for space in [" ", "\t", "\n", "\r\n", "\u{a0}"] {
            let middle = part.len() / 2;
            spellings.push(("white space in front", with(place, format!("{space}{part}"))));
            spellings.push(("white space", with(place, inserted(part, middle, space))));
            spellings.push(("white space behind", with(place, format!("{part}{space}"))));
        }
        if part.contains(['-', '_']) {
            let standard = part.replace('-', "+").replace('_', "/");
            spellings.push(("the other alphabet", with(place, standard)));
        }
        // Bits that no octet is made of.
        let unused = [0, 0, 15, 3][part.len() % 4];
        let last = ALPHABET.find(&part[part.len() - 1..]).unwrap();
        for other in 1..=unused {
            let character = &ALPHABET[last + other..=last + other];
            let twin = format!("{}{character}", &part[..part.len() - 1]);
            spellings.push(("unused bits", with(place, twin)));
        }
    }
    let octets: Vec<Vec<u8>> =
        parts.iter().map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    for place in 0..2 {
        let mut spaced = octets.clone();
        spaced[place].push(b' ');
        spellings.push(("JSON with a space behind", encode(&spaced)));
        let value: Value = serde_json::from_slice(&octets[place]).unwrap();
        spaced[place] = serde_json::to_vec_pretty(&value).unwrap();
        spellings.push(("JSON on several lines", encode(&spaced)));
    }
    let mut trimmed = octets;
    trimmed[2].insert(0, 0);
    spellings.push(("a leading zero in the signature", encode(&trimmed)));
    spellings
}

fn refuses(key: &SigningKey, token: &str, what: impl Fn() -> String) {
    assert!(WORLD.verify(token).is_err(), "{}: {}: verified", key.algorithm(), what());
}

/// A good one of every algorithm.
fn tokens() -> impl Iterator<Item = (&'static SigningKey, String)> {
    WORLD.keys.iter().map(|key| {
        let token = WORLD.token(key, &json!({"roles": ["reader", "writer"]}));
        assert!(WORLD.verify(&token).is_ok());
        (key, token)
    })
}

fn inserted(text: &str, place: usize, more: &str) -> String {
    format!("{}{more}{}", &text[..place], &text[place..])
}

fn encode(parts: &[Vec<u8>]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    parts.join(".")
}

/// An object of claims that mean nothing, of every type and a few levels.
fn claims() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    btree_map("x-[a-zé\"\\\\]{0,8}", value, 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn runner(cases: u32) -> TestRunner {
    // What fails is shown, and is to become a test; nothing is written beside the sources.
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
}
