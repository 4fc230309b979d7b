//! The header: `alg`, `crit`, `typ`, keys and addresses in it (RFC 7515 §4.1, RFC 8725 §3.1 and §3.2).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};

use crate::kept::mint_with_header;
use crate::table::Attack;
use crate::world::{PARTNER, World, encode, parts, sign};

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let mut rows = unsigned(world);
    rows.extend(confusion(world));
    rows.extend(swaps(world));
    rows.extend(critical(world));
    rows.extend(keys_in_the_header(world));
    rows.extend(types(world));
    rows
}

const NONE: &str = "CVE-2015-9235, RFC 8725 §3.2";

fn unsigned(world: &World) -> Vec<Attack> {
    let claims = encode(world.claims_with(&json!({"sub": "mallory"})).to_string());
    let with = |header: &Value, signature: &str| {
        format!("{}.{claims}.{signature}", encode(header.to_string()))
    };
    let genuine = |name: &str| world.with_header(&world.rsa, &json!({"alg": name}));
    let names = ["none", "None", "NONE", "nOnE", "none ", " none", "none\u{0}", ""];
    let header = |name: &str| json!({"alg": name, "kid": "rsa"});
    vec![
        Attack::denied("alg none, empty signature", NONE, "malformed", {
            names.map(|name| with(&header(name), ""))
        }),
        Attack::denied("alg none, some signature", NONE, "alg_not_allowed", {
            names.map(|name| with(&header(name), "AAAA"))
        }),
        Attack::denied("alg none, genuine signature", "CVE-2021-22160", "alg_not_allowed", {
            names.map(genuine)
        }),
        Attack::denied("alg null, missing or no string", "RFC 7515 §4.1.1", "malformed", {
            let odd =
                [json!(null), json!(["none"]), json!(["RS256"]), json!(0), json!({}), json!(true)];
            let mut tokens: Vec<String> = odd
                .iter()
                .map(|alg| {
                    sign(
                        &world.rsa,
                        &encode(json!({"alg": alg, "kid": "rsa"}).to_string()),
                        &claims,
                    )
                })
                .collect();
            tokens.push(sign(&world.rsa, &encode(r#"{"kid":"rsa"}"#), &claims));
            tokens
        }),
        Attack::denied("alg twice", "RFC 7515 §4", "malformed", {
            [
                r#"{"alg":"RS256","alg":"none","kid":"rsa"}"#,
                r#"{"alg":"none","alg":"RS256","kid":"rsa"}"#,
                r#"{"alg":"RS256","\u0061lg":"none","kid":"rsa"}"#,
            ]
            .map(|header| sign(&world.rsa, &encode(header), &claims))
        }),
    ]
}

const CONFUSION: &str = "CVE-2016-10555, RFC 8725 §3.1";

/// HMAC with what everybody knows as the secret.
fn confusion(world: &World) -> Vec<Attack> {
    let forms = |key: &SigningKey| {
        let pem = key.public_pem().unwrap();
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let jwk = key.public_jwk();
        let number =
            |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap_or_default()).unwrap();
        vec![
            pem.clone().into_bytes(),
            pem.replace('\n', "\r\n").into_bytes(),
            pem.trim_end().as_bytes().to_vec(),
            format!("\n{pem}").into_bytes(),
            STANDARD.decode(&base64).unwrap(),
            base64.into_bytes(),
            number("n"),
            number("x"),
            [number("x"), number("y")].concat(),
            jwk.to_string().into_bytes(),
            jwk["n"].as_str().unwrap_or_default().as_bytes().to_vec(),
            key.kid().as_bytes().to_vec(),
            b"secret".to_vec(),
            vec![0; 32],
            Vec::new(),
        ]
    };
    let claims = encode(world.claims_with(&json!({"sub": "mallory"})).to_string());
    let row = |name, key: &SigningKey| {
        let mut tokens = Vec::new();
        for (algorithm, hash) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let header = encode(json!({"alg": algorithm, "kid": key.kid()}).to_string());
            let input = format!("{header}.{claims}");
            for secret in forms(key) {
                let tag = hmac::sign(&hmac::Key::new(hash, &secret), input.as_bytes());
                tokens.push(format!("{input}.{}", encode(tag)));
            }
        }
        Attack::denied(name, CONFUSION, "alg_not_allowed", tokens)
    };
    let secret = {
        let input = format!("{}.{claims}", encode(r#"{"alg":"HS256","kid":"oct"}"#));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), input.as_bytes());
        format!("{input}.{}", encode(tag))
    };
    vec![
        row("HMAC keyed with a public RSA key", &world.rsa),
        row("HMAC keyed with an RSA key without alg", &world.any),
        row("HMAC keyed with a public EC key", &world.p256),
        row("HMAC keyed with a public Ed25519 key", &world.ed),
        Attack::denied(
            "HMAC keyed with an oct key that was published",
            CONFUSION,
            "alg_not_allowed",
            [secret],
        ),
    ]
}

fn swaps(world: &World) -> Vec<Attack> {
    let under = |key: &SigningKey, algorithm: Algorithm| {
        let pem = key.private_pem().unwrap();
        let other = SigningKey::from_pem(pem.expose(), algorithm).unwrap();
        other.with_kid(key.kid())
    };
    let all = [&world.rsa, &world.p256, &world.p384, &world.p521, &world.ed];
    let names = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| world.with_header(&world.rsa, &json!({"alg": name}))).collect()
    };
    let of_partner = |key: &SigningKey, header: &Value| {
        mint_with_header(key, header, &world.claims_with(&json!({"iss": PARTNER}))).unwrap()
    };
    let denied = |name, reference, vectors: Vec<String>| {
        Attack::denied(name, reference, "alg_not_allowed", vectors)
    };
    vec![
        denied("another padding or hash than the key's alg", "RFC 8725 §3.1", {
            use Algorithm::{Ps256, Ps384, Ps512, Rs384, Rs512};
            [Rs384, Rs512, Ps256, Ps384, Ps512]
                .map(|algorithm| world.good(&under(&world.rsa, algorithm)))
                .into()
        }),
        denied("an algorithm of another type of key", "RFC 8725 §3.1", {
            let pairs =
                all.iter().flat_map(|key| Algorithm::ALL.map(|algorithm| (*key, algorithm)));
            let swapped = pairs.filter(|(key, algorithm)| *algorithm != key.algorithm());
            swapped
                .map(|(key, algorithm)| world.with_header(key, &json!({"alg": algorithm.name()})))
                .collect()
        }),
        denied("ES384 with a P-256 key, ES256 with P-384", "RFC 7518 §3.4", {
            vec![
                world.with_header(&world.p256, &json!({"alg": "ES384"})),
                world.with_header(&world.p384, &json!({"alg": "ES256"})),
                world.with_header(&world.p521, &json!({"alg": "ES256"})),
            ]
        }),
        denied("an algorithm that its issuer does not use", "RFC 8725 §3.1", {
            vec![of_partner(&under(&world.partner, Algorithm::Ps256), &json!({}))]
        }),
        denied("other spellings of an algorithm", "RFC 7515 §4.1.1", {
            names(&[
                "rs256",
                "Rs256",
                "RS256 ",
                " RS256",
                "RS256\u{0}",
                "\u{ff32}\u{ff33}256",
                "RSA",
                "RS",
            ])
        }),
        denied("algorithms that nobody should have", "RFC 8725 §3.2", {
            names(&[
                "RS1",
                "HS1",
                "ES256K",
                "RSA-OAEP",
                "RSA1_5",
                "dir",
                "A128KW",
                "PBES2-HS256+A128KW",
            ])
        }),
        denied("names of RFC 9864, which are not supported", "RFC 9864", {
            let names = [(&world.ed, "Ed25519"), (&world.p256, "ESP256"), (&world.ed, "Ed448")];
            names.map(|(key, name)| world.with_header(key, &json!({"alg": name}))).into()
        }),
        Attack::allowed("control: every algorithm of an RSA key without alg", "RFC 7518 §3.1", {
            use Algorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
            [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512]
                .map(|algorithm| world.good(&under(&world.any, algorithm)))
        }),
    ]
}

fn critical(world: &World) -> Vec<Attack> {
    let critical = "CVE-2025-59420, CVE-2026-32597, RFC 7515 §4.1.11";
    let with = |header: &Value| world.with_header(&world.rsa, header);
    let payload = world.claims().to_string();
    let raw_payload = |header: Value| {
        sign(&world.ed, &encode(header.to_string()), r#"{"iss":"https://accounts.example.com"}"#)
    };
    let malformed = |name, reference, vectors: Vec<String>| {
        Attack::denied(name, reference, "malformed", vectors)
    };
    vec![
        malformed("crit with an unknown extension", critical, {
            vec![
                with(&json!({"crit": ["bork"], "bork": true})),
                with(&json!({"crit": ["http://example.com/x"], "http://example.com/x": 1})),
            ]
        }),
        malformed("crit empty, no list, or null", critical, {
            let mut tokens: Vec<String> =
                [json!([]), json!("b64"), json!({}), json!(true), json!([1]), json!([[]])]
                    .map(|crit| with(&json!({"crit": crit})))
                    .into();
            let null = encode(r#"{"alg":"RS256","kid":"rsa","crit":null}"#);
            tokens.push(sign(&world.rsa, &null, &encode(&payload)));
            tokens
        }),
        malformed("crit with registered or absent names, or twice", critical, {
            vec![
                with(&json!({"crit": ["alg"]})),
                with(&json!({"crit": ["kid", "typ"]})),
                with(&json!({"crit": ["exp"]})),
                with(&json!({"crit": ["x", "x"], "x": 1})),
            ]
        }),
        malformed("b64: an unencoded payload", "RFC 7797, GHSA-wphv-vfrh-23q5", {
            vec![
                with(&json!({"b64": false})),
                with(&json!({"b64": true})),
                with(&json!({"b64": false, "crit": ["b64"]})),
                raw_payload(json!({"alg": "EdDSA", "kid": "ed", "b64": false, "crit": ["b64"]})),
                raw_payload(json!({"alg": "EdDSA", "kid": "ed"})),
            ]
        }),
    ]
}

fn keys_in_the_header(world: &World) -> Vec<Attack> {
    let (url, jwk) = (world.canary(), world.stranger.public_jwk());
    let brought = |kid: &str| {
        [
            json!({"kid": kid, "jwk": jwk}),
            json!({"kid": kid, "jku": url}),
            json!({"kid": kid, "x5u": url}),
            json!({"kid": kid, "x5c": ["MIIB"], "x5t": "AAAA", "x5t#S256": "AAAA"}),
            json!({"kid": kid, "jwk": jwk, "jku": url, "x5u": url}),
        ]
    };
    let by =
        |key: &SigningKey, kid: &str| brought(kid).map(|header| world.with_header(key, &header));
    vec![
        Attack::denied(
            "a key in the header, under a known kid",
            "CVE-2018-0114",
            "bad_signature",
            by(&world.stranger, "rsa"),
        ),
        Attack::denied("a key in the header, under its own kid", "CVE-2018-0114", "unknown_kid", {
            by(&world.stranger, "stranger")
        }),
        Attack::denied("a URL of a key, under a made-up kid", "RFC 8725 §3.10", "unknown_kid", {
            let urls = ["file:///etc/passwd", "http://169.254.169.254/", "data:,x", &*url];
            urls.map(|url| {
                world.with_header(&world.stranger, &json!({"kid": url, "jku": url, "x5u": url}))
            })
        }),
        Attack::allowed("control: they are not looked at", "RFC 7515 §4.1", by(&world.rsa, "rsa")),
    ]
}

fn types(world: &World) -> Vec<Attack> {
    let with = |header: &Value| world.with_header(&world.ed, header);
    let good = world.good(&world.ed);
    let [header, _, _] = parts(&good);
    vec![
        Attack::denied("a token for another purpose", "RFC 8725 §3.11", "malformed", {
            [
                "logout+jwt",
                "dpop+jwt",
                "secevent+jwt",
                "token-introspection+jwt",
                "oauth-authz-req+jwt",
                "application/logout+jwt",
                "JOSE",
                "",
            ]
            .map(|typ| with(&json!({"typ": typ})))
        }),
        Attack::denied("typ that is no string", "RFC 7515 §4.1.9", "malformed", {
            [json!(1), json!(["JWT"]), json!({}), json!(false)]
                .map(|typ| with(&json!({"typ": typ})))
        }),
        Attack::denied("a token inside a token", "RFC 7519 §5.2", "malformed", {
            let forged = format!("{}.{}.AA", encode(r#"{"alg":"none"}"#), parts(&good)[1]);
            let nested = encode(json!({"alg": "EdDSA", "kid": "ed", "cty": "JWT"}).to_string());
            [&good, &forged].map(|inner| sign(&world.ed, &nested, &encode(inner)))
        }),
        Attack::denied("a compressed payload", "RFC 7516 §4.1.3", "malformed", {
            // "{}" in DEFLATE (RFC 1951).
            let header = encode(json!({"alg": "EdDSA", "kid": "ed", "zip": "DEF"}).to_string());
            [sign(&world.ed, &header, &encode([0xab, 0xae, 0x05, 0x00]))]
        }),
        Attack::denied("a header that is no object", "RFC 7515 §4", "malformed", {
            ["[]", "null", "\"\"", "1", "{}{}", "{\"alg\":\"EdDSA\"", "\u{feff}{\"alg\":\"EdDSA\"}"]
                .map(|header| sign(&world.ed, &encode(header), parts(&good)[1]))
        }),
        Attack::denied("header and payload in each other's place", "RFC 7515 §5.2", "malformed", {
            [sign(&world.ed, parts(&good)[1], header)]
        }),
        Attack::allowed("control: unknown header parameters of every type", "RFC 7515 §4", {
            [
                json!({"x": {"y": [1, true, null]}, "z": false, "n": 1.5}),
                json!({"cty": "JWT"}),
                json!({"zip": "DEF"}),
                json!({"typ": null}),
                json!({"typ": "at+jwt"}),
                json!({"typ": "application/AT+JWT"}),
            ]
            .map(|header| with(&header))
        }),
    ]
}
