//! The verifier against every class of bad token, each signed as genuinely as the attack allows, so that
//! the one thing wrong with it is what refuses it. Keys are made for the run.

mod cache;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::issuer::mint::{mint, mint_bytes, mint_with_header};
use crate::issuer::{SigningKey, forgery};
use crate::keys::jwks::Jwks;
use crate::keys::key::{Algorithm, AlgorithmSet};
use crate::keys::store::{KeyStore, SourceId, SourceKeys};
use crate::util::clock::UnixTime;
use crate::util::label::Label;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://accounts.example.com";
const OTHER_ISSUER: &str = "https://partner.example.com";

static RSA: LazyLock<SigningKey> = LazyLock::new(|| key(Algorithm::Rs256, "rsa"));
static OTHER_RSA: LazyLock<SigningKey> = LazyLock::new(|| key(Algorithm::Rs256, "rsa"));
static P256: LazyLock<SigningKey> = LazyLock::new(|| key(Algorithm::Es256, "p256"));
static ED25519: LazyLock<SigningKey> = LazyLock::new(|| key(Algorithm::EdDsa, "ed"));

fn key(algorithm: Algorithm, kid: &str) -> SigningKey {
    SigningKey::generate(algorithm).unwrap().with_kid(kid)
}

/// Two issuers, each with its own keys; the first accepts every algorithm.
struct Fixture {
    verifier: Verifier,
    keys: KeyStore,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Issuer)) -> Self {
        let mut accounts = issuer(0, "accounts", ISSUER);
        change(&mut accounts);
        let partner = issuer(1, "partner", OTHER_ISSUER);
        let keys = KeyStore::new(&[1, 1]);
        publish(&keys, &accounts.label, &[&RSA, &P256, &ED25519]);
        publish(&keys, &partner.label, &[&OTHER_RSA]);
        Self { verifier: Verifier::new(vec![accounts, partner], 16 * 1024), keys }
    }

    fn verify_at(&self, token: &str, now: i64) -> Result<VerifiedToken, Refusal> {
        let now = UnixTime::from_secs(now).unwrap();
        let verified = self.verifier.verify(RawToken::new(token), &self.keys.load(), now);
        let verified = verified.map_err(|refused| refused.refusal)?;
        let issuer = &self.verifier.issuers()[verified.issuer().index()];
        verified.claims().judge_audience(&issuer.audiences, issuer.audience_claim.as_deref())?;
        Ok(verified)
    }

    /// Whomever it is for.
    fn verify_unjudged(&self, token: &str) -> VerifiedToken {
        let now = UnixTime::from_secs(NOW).unwrap();
        self.verifier.verify(RawToken::new(token), &self.keys.load(), now).unwrap()
    }

    fn refusal(&self, token: &str) -> Option<Refusal> {
        self.verify_at(token, NOW).err()
    }
}

fn issuer(index: usize, name: &str, iss: &str) -> Issuer {
    Issuer {
        label: Label::new(index, name),
        issuer: IssuerName::Exact(iss.to_owned()),
        audiences: Audiences::AnyOf(vec!["orders".to_owned(), "billing".to_owned()]),
        audience_claim: None,
        algorithms: AlgorithmSet::ALL,
        danger_accept_hs256: false,
        clock_skew: Duration::from_secs(30),
        require: RequiredClaims::default(),
    }
}

fn publish(keys: &KeyStore, issuer: &Label, signing: &[&SigningKey]) {
    let jwks: Vec<Value> = signing.iter().map(|key| key.public_jwk()).collect();
    let document = serde_json::to_vec(&json!({ "keys": jwks })).unwrap();
    let jwks = Jwks::parse(&document, AlgorithmSet::ALL, 256).unwrap();
    let source = SourceId { issuer: issuer.clone(), source: Label::new(0, "0") };
    keys.publish(&source, SourceKeys::new(jwks, None));
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "orders", "sub": "alice", "iat": NOW - 60, "exp": NOW + 300})
}

/// The usual claims with `over` laid over them; `null` stays a null.
fn claims_with(over: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in over.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn claims_without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().shift_remove(name);
    claims
}

fn genuine(over: &Value) -> String {
    mint(&RSA, &claims_with(over)).unwrap()
}

fn signed(header: &str, payload: &[u8]) -> String {
    mint_bytes(&RSA, header.as_bytes(), payload).unwrap()
}

fn payload() -> Vec<u8> {
    serde_json::to_vec(&claims()).unwrap()
}

#[test]
fn accepts_a_genuine_token_of_every_algorithm() {
    use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    for algorithm in [Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, Es256, Es384, Es512, EdDsa] {
        let fixture = Fixture::new();
        let signing = key(algorithm, "k");
        publish(&fixture.keys, &fixture.verifier.issuers()[0].label, &[&signing]);
        let token = mint(&signing, &claims()).unwrap();
        let verified = fixture.verify_at(&token, NOW);
        assert!(verified.is_ok(), "{}: {:?}", algorithm.name(), verified.err());
        assert_eq!(verified.unwrap().issuer().name(), "accounts");
    }
}

#[test]
fn refuses_whatever_is_not_exactly_three_segments_of_canonical_base64url() {
    let fixture = Fixture::new();
    let token = genuine(&json!({}));
    let [header, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let mut bad = vec![
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        ".".repeat(10_000),
        header.to_owned(),
        format!("{header}.{body}"),
        format!("{header}.{body}."),
        format!(".{body}.{signature}"),
        format!("{header}..{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}.{signature}"),
        format!("{token} "),
        format!(" {token}"),
        format!("{token}="),
        format!("{token}~"),
        format!("{token}\n"),
        format!("{header}=.{body}.{signature}"),
        format!("{header}.{body}%00.{signature}"),
        format!("{header}.{body}\u{200b}.{signature}"),
        format!("{{\"payload\":\"{body}\"}}"),
    ];
    // Another spelling of the same octets: the last character's unused bits set.
    for segment in [header, body, signature] {
        if segment.len() % 4 != 0 {
            let twin = with_trailing_bits(segment);
            bad.push(token.replace(segment, &twin));
        }
    }
    for bad in bad {
        assert_eq!(fixture.refusal(&bad), Some(Refusal::Malformed), "{bad:?}");
    }
}

fn with_trailing_bits(segment: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = segment.split_at(segment.len() - 1);
    let value = ALPHABET.find(last).unwrap();
    format!("{start}{}", ALPHABET.chars().nth(value + 1).unwrap())
}

#[test]
fn refuses_a_token_beyond_the_limit_before_looking_at_it() {
    let fixture = Fixture::new();
    let big = genuine(&json!({"pad": "x".repeat(20_000)}));
    assert_eq!(fixture.refusal(&big), Some(Refusal::TooLarge));
    assert_eq!(fixture.refusal(&".".repeat(3 << 20)), Some(Refusal::TooLarge));
}

#[test]
fn refuses_headers_that_ask_for_more_than_is_understood() {
    let fixture = Fixture::new();
    for header in [
        json!({"crit": ["exp"]}),
        json!({"crit": []}),
        json!({"crit": "b64"}),
        json!({"b64": false, "crit": ["b64"]}),
        json!({"b64": false}),
        json!({"b64": true}),
        json!({"typ": "logout+jwt"}),
        json!({"typ": "dpop+jwt"}),
        json!({"typ": "secevent+jwt"}),
        json!({"typ": "application/"}),
        json!({"typ": 1}),
        json!({"kid": ""}),
        json!({"kid": 7}),
        json!({"kid": ["rsa"]}),
        json!({"kid": "k".repeat(257)}),
        json!({"alg": 256}),
        json!({"alg": ["RS256"]}),
    ] {
        let token = mint_with_header(&RSA, &header, &claims()).unwrap();
        assert_eq!(fixture.refusal(&token), Some(Refusal::Malformed), "{header}");
    }
    for header in [
        r#"{"alg":"RS256","kid":"rsa","crit":null}"#,
        r#"{"alg":"RS256","kid":null}"#,
        r#"{"alg":null,"kid":"rsa"}"#,
        r#"{"kid":"rsa"}"#,
        r#"{"alg":"RS256","alg":"RS256","kid":"rsa"}"#,
        r#"{"alg":"RS256","kid":"rsa","k\u0069d":"rsa"}"#,
        r#"["alg","RS256"]"#,
        "\u{feff}{\"alg\":\"RS256\",\"kid\":\"rsa\"}",
        r#"{"alg":"RS256","kid":"rsa"}{}"#,
    ] {
        let token = signed(header, &payload());
        assert_eq!(fixture.refusal(&token), Some(Refusal::Malformed), "{header}");
    }
}

#[test]
fn ignores_header_members_it_does_not_know_whatever_their_type() {
    let fixture = Fixture::new();
    for header in [
        json!({"x": {"y": [1, true, null]}, "z": false, "n": 1.5}),
        json!({"typ": "at+jwt"}),
        json!({"typ": "AT+JWT"}),
        json!({"typ": "application/at+jwt"}),
        json!({"typ": null}),
        json!({"cty": "JWT"}),
        json!({"zip": "DEF"}),
        json!({"x5t": "AAAA", "x5c": ["AAAA"]}),
    ] {
        let token = mint_with_header(&RSA, &header, &claims()).unwrap();
        assert_eq!(fixture.refusal(&token), None, "{header}");
    }
}

#[test]
fn never_uses_a_key_that_the_token_brings_along() {
    let fixture = Fixture::new();
    let attacker = key(Algorithm::Rs256, "rsa");
    let header = json!({"jwk": attacker.public_jwk(), "jku": "https://evil.example", "x5u": "https://evil.example"});
    let token = mint_with_header(&attacker, &header, &claims()).unwrap();
    assert_eq!(fixture.refusal(&token), Some(Refusal::BadSignature));
    let token = mint_with_header(
        &attacker,
        &json!({"kid": "evil", "jwk": attacker.public_jwk()}),
        &claims(),
    );
    assert_eq!(fixture.refusal(&token.unwrap()), Some(Refusal::UnknownKid));
}

#[test]
fn takes_the_algorithm_from_the_key_and_never_from_the_header() {
    let fixture = Fixture::new();
    for name in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        "",
        "HS256",
        "HS384",
        "HS512",
        "rs256",
        "RS256 ",
        "RS256\u{0}",
        "RS1",
        "ES256K",
        "Ed25519",
        "RSA-OAEP",
        "dir",
        "ＲＳ256",
    ] {
        let token = mint_with_header(&RSA, &json!({"alg": name}), &claims()).unwrap();
        assert_eq!(fixture.refusal(&token), Some(Refusal::AlgNotAllowed), "{name:?}");
    }
    // A known algorithm, only not this key's.
    for name in ["ES256", "ES384", "ES512", "EdDSA"] {
        let token = mint_with_header(&RSA, &json!({"alg": name}), &claims()).unwrap();
        assert_eq!(fixture.refusal(&token), Some(Refusal::AlgNotAllowed), "{name}");
    }
    let forged = forgery::unsigned("rsa", &claims()).unwrap();
    assert!(fixture.refusal(&forged).is_some());
    for public in [
        RSA.public_pem().unwrap().into_bytes(),
        RSA.public_pem().unwrap().replace('\n', "\r\n").into_bytes(),
        RSA.public_pem().unwrap().trim_end().as_bytes().to_vec(),
        RSA.public_jwk().to_string().into_bytes(),
        Vec::new(),
        b"rsa".to_vec(),
    ] {
        let forged = forgery::keyed_with_public(&public, "rsa", &claims()).unwrap();
        assert_eq!(fixture.refusal(&forged), Some(Refusal::AlgNotAllowed));
    }
}

#[test]
fn refuses_an_algorithm_that_the_issuer_does_not_sign_with() {
    let only_rs256 = AlgorithmSet::from_iter([Algorithm::Rs256]);
    let fixture = Fixture::with(|issuer| issuer.algorithms = only_rs256);
    assert_eq!(fixture.refusal(&genuine(&json!({}))), None);
    let token = mint(&P256, &claims()).unwrap();
    assert_eq!(fixture.refusal(&token), Some(Refusal::AlgNotAllowed));
}

#[test]
fn a_pinned_key_does_not_verify_its_other_paddings_and_digests() {
    let fixture = Fixture::new();
    // The published key says RS256; the same key signs validly under each of the others.
    for algorithm in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = mint_with_header(&RSA, &json!({"alg": algorithm}), &claims()).unwrap();
        assert_eq!(fixture.refusal(&token), Some(Refusal::AlgNotAllowed), "{algorithm}");
    }
}

#[test]
fn refuses_every_signature_that_is_not_the_keys_own() {
    let fixture = Fixture::new();
    for signing in [&*RSA, &*P256, &*ED25519] {
        let token = mint(signing, &claims()).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let flipped = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            bytes
        };
        let half = bytes.len() / 2;
        let mut longer = bytes.clone();
        longer.push(0);
        let mut widened = vec![0];
        widened.extend_from_slice(&bytes[..half]);
        widened.push(0);
        widened.extend_from_slice(&bytes[half..]);
        for (what, bad) in [
            ("first bit", flipped(0)),
            ("last bit", flipped(bytes.len() - 1)),
            ("truncated", bytes[..bytes.len() - 1].to_vec()),
            ("extended", longer),
            ("doubled", bytes.repeat(2)),
            ("zero", vec![0; bytes.len()]),
            ("ones", vec![0xff; bytes.len()]),
            ("reversed", bytes.iter().rev().copied().collect()),
            ("widened", widened),
            ("one octet", vec![0]),
        ] {
            let bad = format!("{input}.{}", URL_SAFE_NO_PAD.encode(bad));
            assert_eq!(fixture.refusal(&bad), Some(Refusal::BadSignature), "{what}");
        }
        let other = mint(signing, &claims_with(&json!({"sub": "mallory"}))).unwrap();
        let (other_input, _) = other.rsplit_once('.').unwrap();
        assert_eq!(
            fixture.refusal(&format!("{other_input}.{signature}")),
            Some(Refusal::BadSignature)
        );
    }
}

#[test]
fn refuses_an_ecdsa_signature_in_der() {
    let fixture = Fixture::new();
    let token = mint(&P256, &claims()).unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let integer = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = bytes.first().is_some_and(|byte| *byte >= 0x80);
        let body: Vec<u8> = sign.then_some(0).into_iter().chain(bytes).collect();
        [&[0x02, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
    };
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(der));
    assert_eq!(fixture.refusal(&token), Some(Refusal::BadSignature));
}

#[test]
fn a_key_of_one_issuer_never_verifies_a_token_of_another() {
    let fixture = Fixture::new();
    // Both issuers publish a key with the same kid.
    let token = mint(&OTHER_RSA, &claims()).unwrap();
    assert_eq!(fixture.refusal(&token), Some(Refusal::BadSignature));
    let token = mint(&RSA, &claims_with(&json!({"iss": OTHER_ISSUER}))).unwrap();
    assert_eq!(fixture.refusal(&token), Some(Refusal::BadSignature));
    let token = mint(&P256, &claims_with(&json!({"iss": OTHER_ISSUER}))).unwrap();
    assert_eq!(fixture.refusal(&token), Some(Refusal::UnknownKid));
    let token = mint(&OTHER_RSA, &claims_with(&json!({"iss": OTHER_ISSUER}))).unwrap();
    assert_eq!(fixture.refusal(&token), None);
}

#[test]
fn rejects_a_token_whose_kid_was_withdrawn_or_never_was() {
    let fixture = Fixture::new();
    let token = mint(&P256, &claims()).unwrap();
    assert_eq!(fixture.refusal(&token), None);
    publish(&fixture.keys, &fixture.verifier.issuers()[0].label, &[&RSA]);
    assert_eq!(fixture.refusal(&token), Some(Refusal::UnknownKid));
    for kid in ["RSA", "rsa ", "rsa\u{0}", "../rsa", "' or 1=1", "ｒsa", "rs", "rsaa", "k\r\nx: y"]
    {
        let token = mint_with_header(&RSA, &json!({"kid": kid}), &claims()).unwrap();
        assert_eq!(fixture.refusal(&token), Some(Refusal::UnknownKid), "{kid:?}");
    }
}

#[test]
fn a_token_without_kid_is_verified_only_if_one_key_can_be_meant() {
    let fixture = Fixture::new();
    let token = mint_with_header(&RSA, &json!({"kid": null}), &claims()).unwrap();
    assert_eq!(fixture.refusal(&token), None);
    let second = key(Algorithm::Rs256, "second");
    publish(&fixture.keys, &fixture.verifier.issuers()[0].label, &[&RSA, &second]);
    assert_eq!(fixture.refusal(&token), Some(Refusal::UnknownKid));
}

#[test]
fn an_issuer_without_keys_is_a_state_and_not_an_empty_set() {
    let fixture = Fixture::new();
    let keys = KeyStore::new(&[1, 1]);
    let now = UnixTime::from_secs(NOW).unwrap();
    let token = genuine(&json!({}));
    let refused = fixture.verifier.verify(RawToken::new(&token), &keys.load(), now).unwrap_err();
    assert_eq!(refused.refusal, Refusal::KeysUnavailable);
    assert_eq!(refused.issuer.unwrap().name(), "accounts");
}

#[test]
fn the_issuer_is_one_exact_string() {
    let fixture = Fixture::new();
    for iss in [
        format!("{ISSUER}/"),
        ISSUER.to_uppercase(),
        format!("{ISSUER}\u{0}"),
        format!(" {ISSUER}"),
        format!("{ISSUER}.evil.example"),
        "https://accounts.example.com@evil.example".to_owned(),
        "https://accounts.example".to_owned(),
        "".to_owned(),
        "accounts".to_owned(),
    ] {
        assert_eq!(
            fixture.refusal(&genuine(&json!({"iss": iss}))),
            Some(Refusal::UnknownIssuer),
            "{iss}"
        );
    }
    for iss in [json!([ISSUER]), json!(7), json!(null), json!({"iss": ISSUER}), json!(true)] {
        assert_eq!(
            fixture.refusal(&genuine(&json!({"iss": iss}))),
            Some(Refusal::Malformed),
            "{iss}"
        );
    }
    let token = mint(&RSA, &claims_without("iss")).unwrap();
    assert_eq!(fixture.refusal(&token), Some(Refusal::UnknownIssuer));
}

#[test]
fn the_audience_is_a_string_or_strings_of_which_one_is_exactly_ours() {
    let fixture = Fixture::new();
    for aud in [json!("orders"), json!(["x", "billing"]), json!(["orders"])] {
        assert_eq!(fixture.refusal(&genuine(&json!({"aud": aud}))), None, "{aud}");
    }
    for aud in [
        json!("Orders"),
        json!("orders/"),
        json!("order"),
        json!("ordersx"),
        json!("orders,billing"),
        json!(""),
        json!([]),
        json!(["x"]),
        json!("orders\u{0}"),
        json!("*"),
    ] {
        let refusal = fixture.refusal(&genuine(&json!({"aud": aud})));
        assert_eq!(refusal, Some(Refusal::AudienceMismatch), "{aud}");
    }
    for aud in
        [json!(null), json!(1), json!(true), json!({}), json!(["orders", 1]), json!([["orders"]])]
    {
        assert_eq!(
            fixture.refusal(&genuine(&json!({"aud": aud}))),
            Some(Refusal::Malformed),
            "{aud}"
        );
    }
    let token = mint(&RSA, &claims_without("aud")).unwrap();
    assert_eq!(fixture.refusal(&token), Some(Refusal::MissingClaim));
}

#[test]
fn a_claim_in_place_of_the_audience_is_judged_as_strictly_and_alone() {
    let fixture = Fixture::new();
    let ours = Audiences::AnyOf(vec!["orders".to_owned(), "billing".to_owned()]);
    // Without an `aud`: every token of this issuer is one for nobody else.
    let judged = |over: &Value, claim: &str| {
        let mut claims = claims_with(over);
        if claims["aud"] == "orders" {
            claims.as_object_mut().unwrap().shift_remove("aud");
        }
        let token = fixture.verify_unjudged(&mint(&RSA, &claims).unwrap());
        token.claims().judge_audience(&ours, Some(claim)).err()
    };
    for named in [json!("orders"), json!(["x", "billing"])] {
        assert_eq!(judged(&json!({"client_id": named}), "client_id"), None, "{named}");
    }
    for named in [
        json!("Orders"),
        json!("orders "),
        json!(""),
        json!([]),
        json!(null),
        json!(7),
        json!(true),
        json!({"orders": "orders"}),
        json!([["orders"]]),
        json!(["orders", 7]),
        json!(["orders", null]),
    ] {
        let refusal = judged(&json!({"client_id": named}), "client_id");
        assert_eq!(refusal, Some(Refusal::AudienceMismatch), "{named}");
    }
    assert_eq!(judged(&json!({}), "client_id"), Some(Refusal::MissingClaim));
    // A name and no path.
    let inside = json!({"client": {"id": "orders"}});
    assert_eq!(judged(&inside, "client.id"), Some(Refusal::MissingClaim));
    assert_eq!(judged(&json!({"client.id": "orders"}), "client.id"), None);
    // One that has an `aud` is another kind of token, whomever both are for.
    for aud in [json!("billing"), json!(["orders"]), json!([]), json!("others")] {
        let refusal = judged(&json!({"aud": aud, "client_id": "orders"}), "client_id");
        assert_eq!(refusal, Some(Refusal::AudienceMismatch), "{aud}");
    }
    let unchecked = fixture.verify_unjudged(&genuine(&json!({})));
    let judged = unchecked.claims().judge_audience(&Audiences::DangerNotChecked, Some("client_id"));
    assert_eq!(judged, Ok(()));
}

#[test]
fn expiry_and_start_are_judged_to_the_second_with_the_skew() {
    let fixture = Fixture::new();
    let token = genuine(&json!({"exp": NOW, "nbf": NOW - 100, "iat": NOW - 100}));
    assert!(fixture.verify_at(&token, NOW + 29).is_ok());
    assert_eq!(fixture.verify_at(&token, NOW + 30).err(), Some(Refusal::Expired));
    let token = genuine(&json!({"nbf": NOW + 100, "exp": NOW + 1000}));
    assert_eq!(fixture.verify_at(&token, NOW + 69).err(), Some(Refusal::NotYetValid));
    assert!(fixture.verify_at(&token, NOW + 70).is_ok());
    let token = genuine(&json!({"iat": NOW + 31}));
    assert_eq!(fixture.verify_at(&token, NOW).err(), Some(Refusal::NotYetValid));
    let token = genuine(&json!({"iat": NOW + 30}));
    assert!(fixture.verify_at(&token, NOW).is_ok());
}

#[test]
fn dates_are_numbers_with_a_meaning_or_the_token_is_malformed() {
    let fixture = Fixture::new();
    let with_date = |name: &str, text: &str| {
        let claims = claims_without(name).to_string();
        signed(
            r#"{"alg":"RS256","kid":"rsa"}"#,
            claims.replacen('{', &format!("{{\"{name}\":{text},"), 1).as_bytes(),
        )
    };
    for name in ["exp", "nbf", "iat"] {
        for text in [
            "\"1800000300\"",
            "null",
            "true",
            "[1800000300]",
            "{}",
            "\"never\"",
            "1e400",
            "-1e400",
            "1e308",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551616",
            "1e19",
            "10000000000000000000000000000000000000000",
        ] {
            let refusal = fixture.refusal(&with_date(name, text));
            assert_eq!(refusal, Some(Refusal::Malformed), "{name}: {text}");
        }
        let digits = "9".repeat(5000);
        assert_eq!(fixture.refusal(&with_date(name, &digits)), Some(Refusal::Malformed));
    }
    for text in ["1800000300", "1800000300.5", "1.8000003e9", "4000000000"] {
        assert_eq!(fixture.refusal(&with_date("exp", text)), None, "{text}");
    }
    for text in ["0", "-1", "1", "1799999970", "1799999969.9", "-9000000000000000"] {
        assert_eq!(fixture.refusal(&with_date("exp", text)), Some(Refusal::Expired), "{text}");
    }
    let token = mint(&RSA, &claims_without("exp")).unwrap();
    assert_eq!(fixture.refusal(&token), Some(Refusal::MissingClaim));
    let lenient = Fixture::with(|issuer| issuer.require.exp = false);
    assert_eq!(lenient.refusal(&token), None);
    assert_eq!(lenient.refusal(&with_date("exp", "null")), Some(Refusal::Malformed));
}

#[test]
fn an_age_limit_counts_from_iat_and_needs_one() {
    let hour = Duration::from_secs(3600);
    let fixture = Fixture::with(|issuer| issuer.require.max_age = Some(hour));
    let forever = json!({"iat": NOW - 3600, "exp": NOW + 1_000_000});
    assert!(fixture.verify_at(&genuine(&forever), NOW + 29).is_ok());
    assert_eq!(fixture.verify_at(&genuine(&forever), NOW + 30).err(), Some(Refusal::TooOld));
    let token = mint(&RSA, &claims_without("iat")).unwrap();
    assert_eq!(fixture.refusal(&token), Some(Refusal::MissingClaim));
}

#[test]
fn a_lifetime_limit_is_the_time_from_iat_or_now_to_exp() {
    let hour = Duration::from_secs(3600);
    let fixture = Fixture::with(|issuer| issuer.require.max_lifetime = Some(hour));
    for (issued_at, expires_at, refusal) in [
        (json!(NOW), NOW + 3600, None),
        (json!(NOW - 3000), NOW + 600, None),
        (json!(NOW), NOW + 3601, Some(Refusal::TooOld)),
        (json!(NOW - 3001), NOW + 600, Some(Refusal::TooOld)),
        // A time in the future, within the skew, makes no life longer.
        (json!(NOW + 20), NOW + 3610, Some(Refusal::TooOld)),
    ] {
        let over = json!({"iat": issued_at, "exp": expires_at});
        assert_eq!(fixture.refusal(&genuine(&over)), refusal, "{over}");
    }
    let mut claims = claims_without("iat");
    for (expires_at, refusal) in [(NOW + 3600, None), (NOW + 3601, Some(Refusal::TooOld))] {
        claims["exp"] = json!(expires_at);
        assert_eq!(fixture.refusal(&mint(&RSA, &claims).unwrap()), refusal, "{expires_at}");
    }
    let endless = Fixture::with(|issuer| {
        issuer.require =
            RequiredClaims { exp: false, max_lifetime: Some(hour), ..RequiredClaims::default() };
    });
    let token = mint(&RSA, &claims_without("exp")).unwrap();
    assert_eq!(endless.refusal(&token), Some(Refusal::MissingClaim));
}

#[test]
fn a_tenant_speaks_for_itself_alone() {
    let fixture = Fixture::with(|issuer| {
        issuer.issuer = IssuerName::Tenants(TenantPattern {
            prefix: "https://login.example.com/".to_owned(),
            suffix: "/v2.0".to_owned(),
            tenants: ["blue", "red"].map(str::to_owned).into(),
            claim: "tid".to_owned(),
        });
    });
    let iss = |tenant: &str| format!("https://login.example.com/{tenant}/v2.0");
    for (iss, tid, refusal) in [
        (iss("blue"), json!("blue"), None),
        (iss("red"), json!("red"), None),
        (iss("blue"), json!("red"), Some(Refusal::ClaimMismatch)),
        (iss("blue"), json!("Blue"), Some(Refusal::ClaimMismatch)),
        (iss("blue"), json!(["blue"]), Some(Refusal::ClaimMismatch)),
        (iss("blue"), json!(null), Some(Refusal::ClaimMismatch)),
        (iss("green"), json!("green"), Some(Refusal::UnknownIssuer)),
        (iss(""), json!(""), Some(Refusal::UnknownIssuer)),
        (iss("blue/v2.0/x"), json!("blue"), Some(Refusal::UnknownIssuer)),
        (iss("{tenant}"), json!("{tenant}"), Some(Refusal::UnknownIssuer)),
        ("https://login.example.com/v2.0".to_owned(), json!("blue"), Some(Refusal::UnknownIssuer)),
    ] {
        let over = json!({"iss": iss, "tid": tid});
        assert_eq!(fixture.refusal(&genuine(&over)), refusal, "{over}");
    }
    let over = json!({"iss": iss("blue")});
    assert_eq!(fixture.refusal(&genuine(&over)), Some(Refusal::MissingClaim));
}

#[test]
fn required_claims_are_there_and_say_something() {
    let fixture = Fixture::with(|issuer| issuer.require.claims = vec!["tenant".to_owned()]);
    for tenant in [json!("t"), json!(0), json!(false), json!([]), json!({})] {
        assert_eq!(fixture.refusal(&genuine(&json!({"tenant": tenant}))), None, "{tenant}");
    }
    for over in [json!({}), json!({"tenant": null}), json!({"tenant": ""}), json!({"Tenant": "t"})]
    {
        assert_eq!(fixture.refusal(&genuine(&over)), Some(Refusal::MissingClaim), "{over}");
    }
}

#[test]
fn names_that_revocation_and_services_compare_are_strings() {
    let fixture = Fixture::new();
    for name in ["sub", "jti"] {
        for value in [json!(1), json!(null), json!(["alice"]), json!({"a": 1}), json!(true)] {
            let mut over = json!({});
            over[name] = value;
            assert_eq!(fixture.refusal(&genuine(&over)), Some(Refusal::Malformed), "{over}");
        }
    }
    let token = mint(&RSA, &claims_without("sub")).unwrap();
    assert_eq!(fixture.refusal(&token), None);
}

#[test]
fn claims_are_one_strict_object_without_repetitions() {
    let fixture = Fixture::new();
    let header = r#"{"alg":"RS256","kid":"rsa"}"#;
    let good = String::from_utf8(payload()).unwrap();
    let with = |member: &str| good.replacen('{', &format!("{{{member},"), 1);
    for payload in [
        with(r#""sub":"mallory""#),
        with(r#""\u0073ub":"mallory""#),
        with(r#""o":{"a":1,"a":2}"#),
        with(r#""x":"\ud800""#),
        with(r#""x":NaN"#),
        with(r#""x":01"#),
        format!("{good}{{}}"),
        format!("{good} x"),
        format!("[{good}]"),
        format!("\u{feff}{good}"),
        format!("\"{}\"", "a"),
        "null".to_owned(),
        with(&format!("\"x\":{}{}", "[".repeat(1000), "]".repeat(1000))),
        with(&format!("\"x\":{}", "[".repeat(9000))),
    ] {
        let token = signed(header, payload.as_bytes());
        let shown: String = payload.chars().take(60).collect();
        assert_eq!(fixture.refusal(&token), Some(Refusal::Malformed), "{shown}");
    }
    let mut utf16 = Vec::new();
    for unit in good.encode_utf16() {
        utf16.extend_from_slice(&unit.to_le_bytes());
    }
    assert_eq!(fixture.refusal(&signed(header, &utf16)), Some(Refusal::Malformed));
    assert_eq!(fixture.refusal(&signed(header, b"{\"iss\":\"\xff\"}")), Some(Refusal::Malformed));
    let nested = mint(&RSA, &claims()).unwrap();
    assert_eq!(fixture.refusal(&signed(header, nested.as_bytes())), Some(Refusal::Malformed));
}

#[test]
fn a_reason_that_speaks_of_claims_is_told_to_holders_of_genuine_tokens_only() {
    let fixture = Fixture::new();
    for over in
        [json!({"exp": 1}), json!({"aud": "x"}), json!({"nbf": NOW + 9000}), json!({"sub": 1})]
    {
        let forged = forgery::with_wrong_signature(&genuine(&over));
        assert_eq!(fixture.refusal(&forged), Some(Refusal::BadSignature), "{over}");
    }
}

#[test]
fn neither_tokens_nor_claims_are_shown_in_debug_form() {
    let fixture = Fixture::new();
    let token = genuine(&json!({"email": "secret@example.com"}));
    let verified = fixture.verify_at(&token, NOW).unwrap();
    let segments = Segments::decode(RawToken::new(&token), 16 * 1024).unwrap();
    let jws = UnverifiedJws::parse(&segments).unwrap();
    let shown = format!("{:?} {:?} {jws:?}", RawToken::new(&token), Arc::new(verified));
    for secret in ["secret@example.com", "alice", token.get(10..26).unwrap()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
