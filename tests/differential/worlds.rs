//! The worlds that the cases live in, and Envoy's names for what is in them.

use serde_json::{Value, json};

use crate::tokens::{Tokens, changed};
use crate::world::{Claim, Issuer, Keys, Needs, Path, Place, Rule, Said, Text, World};
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;

/// Nearly everything.
pub(crate) const MAIN: &str = "main";
/// Tokens in other headers, and left where they are.
pub(crate) const KEPT: &str = "kept";

pub(crate) fn all(tokens: &Tokens) -> Vec<World> {
    vec![main(tokens), kept(tokens)]
}

fn main(tokens: &Tokens) -> World {
    let mut issuers = vec![
        Issuer { audiences: vec!["orders"], ..issuer("accounts", tokens.published()) },
        Issuer {
            audiences: vec!["invoices", "https://api.example.com/"],
            ..issuer("partner", tokens.published())
        },
        issuer("no-audience", tokens.published()),
        Issuer { skew: None, expires: None, ..issuer("defaults", tokens.published()) },
        Issuer { max_lifetime: Some(7200), ..issuer("lifetime", tokens.published()) },
    ];
    issuers.extend(odd_keys(tokens).into_iter().map(|(name, keys)| issuer(name, keys)));
    let below = |name, path, needs| Rule::new(name, Path::Below(path), needs);
    let mut rules = vec![
        below("open", "/open", Needs::Nothing),
        Rule::new("open-exact", Path::Exact("/healthz"), Needs::Nothing),
        Rule::new("open-prefix", Path::Prefix("/public"), Needs::Nothing),
        below("any-of", "/any-of", Needs::AnyOf(vec!["accounts", "partner"])),
        below("optional", "/optional", Needs::Optional("accounts")),
        below("whatever", "/whatever", Needs::Whatever("accounts")),
        below("audiences", "/audiences", Needs::Audiences("accounts", vec!["admin", "ops"])),
        below("subject-exact", "/subject/exact", Needs::Subject("accounts", Text::Exact("alice"))),
        below("subject-prefix", "/subject/prefix", Needs::Subject("accounts", Text::Prefix("al"))),
        below("subject-suffix", "/subject/suffix", Needs::Subject("accounts", Text::Suffix("ce"))),
        below("subject-regex", "/subject/regex", Needs::Subject("accounts", Text::Regex("a.*e"))),
        Rule {
            places: vec![BEARER, Place::Header { name: "x-partner", prefix: "" }],
            ..below("all-of", "/all-of", Needs::AllOf(vec!["accounts", "partner"]))
        },
        Rule {
            places: vec![Place::Query("access_token")],
            ..below("query", "/query", Needs::Issuer("accounts"))
        },
        Rule {
            places: vec![Place::Cookie("session")],
            ..below("cookie", "/cookie", Needs::Issuer("accounts"))
        },
        Rule {
            places: vec![BEARER, Place::Query("access_token"), Place::Cookie("session")],
            ..below("places", "/places", Needs::Issuer("accounts"))
        },
    ];
    rules.push(Rule::new("named", Path::ByRoute, Needs::Issuer("accounts")));
    rules.extend(issuers.iter().map(|issuer| {
        let path = leaked(format!("/i/{}", issuer.name));
        below(issuer.name, path, Needs::Issuer(issuer.name))
    }));
    World {
        name: MAIN,
        issuers,
        rules,
        routes: vec![
            ("/named", Said::Rule("named")),
            ("/open/named", Said::Rule("named")),
            ("/open/audiences", Said::Rule("audiences")),
            ("/i/accounts/any", Said::Rule("any-of")),
            ("/open/unknown", Said::Rule("unknown")),
            ("/i/accounts/off", Said::Off),
        ],
        claims: vec![
            (Claim::Dotted("sub"), "x-jwt-sub"),
            (Claim::Dotted("v"), "x-jwt-v"),
            (Claim::Dotted("deep.er.est"), "x-jwt-deepest"),
            (Claim::Literal("https://example.com/tenant"), "x-jwt-tenant"),
        ],
        structures: vec![("structure", "x-jwt-structure")],
        payload_header: Some("x-jwt-payload"),
        preflights: true,
        ..World::default()
    }
}

const BEARER: Place = Place::Header { name: "authorization", prefix: "Bearer " };

fn kept(tokens: &Tokens) -> World {
    let accounts = Issuer { audiences: vec!["orders"], ..issuer("accounts", tokens.published()) };
    World {
        name: KEPT,
        issuers: vec![accounts],
        rules: vec![
            Rule::new("open", Path::Below("/open"), Needs::Nothing),
            Rule::new("accounts", Path::Below("/i/accounts"), Needs::Issuer("accounts")),
        ],
        places: vec![
            BEARER,
            Place::Header { name: "x-access-token", prefix: "" },
            Place::Header { name: "x-custom", prefix: "Token " },
            Place::Header { name: "x-glued", prefix: "v1:" },
        ],
        claims: vec![(Claim::Dotted("sub"), "x-jwt-sub")],
        payload_header: Some("x-jwt-payload"),
        payload_padded: true,
        keep_token: true,
        ..World::default()
    }
}

/// Equal on both sides, whatever their defaults are.
fn issuer(name: &'static str, keys: Vec<Value>) -> Issuer {
    Issuer {
        name,
        keys: Keys::Inline(keys),
        audiences: Vec::new(),
        skew: Some(60),
        expires: Some(true),
        max_lifetime: None,
    }
}

/// Issuers whose key sets are not all that they should be. Each has a good key of another algorithm, since a set
/// without one is refused by both.
fn odd_keys(tokens: &Tokens) -> Vec<(&'static str, Vec<Value>)> {
    let es384 = tokens.key(Algorithm::Es384).public_jwk();
    let with = |keys: Vec<Value>| [keys, vec![es384.clone()]].concat();
    let eddsa = |over: Value| tokens.jwk(Algorithm::EdDsa, &over);
    let second = |over: Value| changed(tokens.second.public_jwk(), &over);
    // Of a key with 1024 bits and of one with e = 3, made once and thrown away.
    let rsa = |kid: &str, n: &str, e: &str| json!({"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": n, "e": e});
    vec![
        ("use-enc", with(vec![eddsa(json!({"use": "enc"}))])),
        ("key-ops", with(vec![eddsa(json!({"use": null, "key_ops": ["sign"]}))])),
        ("key-ops-verify", with(vec![eddsa(json!({"use": null, "key_ops": ["verify"]}))])),
        ("no-kid", with(vec![eddsa(json!({"kid": null}))])),
        ("one-key", with(vec![eddsa(json!({}))])),
        ("two-keys", with(vec![eddsa(json!({})), second(json!({}))])),
        ("same-kid", with(vec![eddsa(json!({})), second(json!({"kid": "EdDSA"}))])),
        (
            "no-alg",
            vec![
                tokens.jwk(Algorithm::Rs256, &json!({"alg": null})),
                tokens.jwk(Algorithm::Es256, &json!({"alg": null})),
                eddsa(json!({"alg": null})),
            ],
        ),
        (
            "padded-key",
            with(vec![{
                let jwk = eddsa(json!({}));
                let x = format!("{}=", jwk["x"].as_str().unwrap());
                changed(jwk, &json!({"x": x}))
            }]),
        ),
        ("rsa-1024", with(vec![rsa("rsa-1024", RSA_1024_MODULUS, "AQAB")])),
        ("rsa-e3", with(vec![rsa("rsa-e3", RSA_E3_MODULUS, "Aw")])),
    ]
}

/// What the same RSA key signs under another algorithm of its family or its type.
pub(crate) fn same_key(tokens: &Tokens, algorithm: Algorithm) -> SigningKey {
    let pem = tokens.key(Algorithm::Rs256).private_pem().unwrap();
    SigningKey::from_pem(pem.expose(), algorithm).unwrap().with_kid("RS256")
}

/// Rules and paths are a handful, and live as long as the test.
fn leaked(text: String) -> &'static str {
    text.leak()
}

const RSA_1024_MODULUS: &str = "8_IWlZ5y7NVEHdcwFLeBL35d9HgMl9jWV8zdFmLmLZ7-p8w-a3vC22H86jasCH7T_z4ok0ZlfiADguBP28yxdf4W2vDp1fgQqX4QvTrApBZSfBLllBNl1MULtsdcfkDhJBoQmAQzWD45mBn1jvXNjYWnL1C8degKkJFNF0Hm2OM";
/// RS256, `iss` https://rsa-1024.example.com, until the year 2100.
pub(crate) const RSA_1024_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS0xMDI0In0.eyJpc3MiOiJodHRwczovL3JzYS0xMDI0LmV4YW1wbGUuY29tIiwiYXVkIjoib3JkZXJzIiwic3ViIjoiYWxpY2UiLCJleHAiOjQxMDI0NDQ4MDB9.8rm2pST7Gv-qw6HwmNcwzaYer2gOZ4kidRroxOAYjuzlRZ5n-zvb3E3x8kdtUWgsXcIEYHN2jozFwJjLqeXdZIFbPCZqgO35jons-eSdbI85H7B7o4gU4DBIBiHTyiR2Ci4EH1-HtfG1ae9vk-xivIWw1dGHSdQAkT6s_i2EUjE";
const RSA_E3_MODULUS: &str = "0iY0KggCSSIniN3RJksuuYQFUKn0IZKORnRpWKl2ltwC5sHAQL4NJQ-MgXP-sbOTkVQa1JRwR4plIv6H2hL1kpo5VtIEWSati8c9Z9gNDMW2wGk9CJKxB2ZyhV1maeqEXxde_-sFRk2nw0ouBOydvHd62hW8a2vp8xODyAAxTuY4oNIsWh-z6Ttna89ilxwzKgW8gHdc1Y9nrPnAZcZhvHebrT8adQyATdGJIuQ80tDgsXcKxc9uLgeK9nliulH7dX2BbkKwzAfZNKXFT6K35S5i3Jg_0NAidc0y7bWuzYsbxIX2QDnFsQhuIXZ3SaQC_Ntqsp-bdWZbgWpKQd8flw";
/// RS256, `iss` https://rsa-e3.example.com, until the year 2100.
pub(crate) const RSA_E3_TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYS1lMyJ9.eyJpc3MiOiJodHRwczovL3JzYS1lMy5leGFtcGxlLmNvbSIsImF1ZCI6Im9yZGVycyIsInN1YiI6ImFsaWNlIiwiZXhwIjo0MTAyNDQ0ODAwfQ.0BZIy6jy7TNq8aVFaYSQFEZy0R1uNxnTduHOV9SZwUdAx3sVmOl_6smKARnZT3ksGIFHDabmVfezEVtzsD4rMFidsdc7VVzTmMftUpfzMGoebsu-oQLigHDDNdHoRZr94gOvm81dSEq24cjTCfRpUDFNch3Wqqh6qsNqjTlrrBa7Y3e1VR3CMwyLnNkBhmwAm0ObIAxCBNjeZDsVDZqu0E0p9_LjJR9c9ObUyLLUqsD8ZEh08ArvanI9Vu11tqIi7izGF2YFQcmz39dFYqpoxzOxlBHlahxzjJYm-5nbnu2WuAwodu2ViyYkVCI8k1BFmPmzYNt_mBChYjSi76YFAw";
