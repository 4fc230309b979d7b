//! An issuer in the middle of its move: RS256 and HS256 side by side, and every way to take one for the other,
//! each signed as genuinely as the attack allows. Keys are made for the run.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::issuer::SigningKey;
use crate::issuer::mint::{mint, mint_with_header};
use crate::keys::hmac::HmacKey;
use crate::keys::jwks::Jwks;
use crate::keys::key::{Algorithm, AlgorithmSet};
use crate::keys::store::{KeyKind, KeyStore, SourceId, SourceKeys};
use crate::token::{
    Audiences, Issuer, IssuerName, RawToken, Refusal, RequiredClaims, SignedWith, Verifier,
};
use crate::util::clock::UnixTime;
use crate::util::label::Label;

const NOW: i64 = 1_800_000_000;
const SECRET: &[u8] = b"a secret that every service knows";
const OTHER_SECRET: &[u8] = b"a secret of somebody else at work";
const ISSUERS: [&str; 2] = ["https://accounts.example.com", "https://partner.example.com"];

static RSA: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).unwrap().with_kid("rsa"));

/// Two issuers that accept both; each has a source of public keys, 0, and a secret, 1.
struct Fixture {
    verifier: Verifier,
    keys: KeyStore,
}

impl Fixture {
    /// Both sources of the first issuer hold what they should; its secret is called `kid`.
    fn new(kid: Option<&str>) -> Self {
        let fixture = Self::without_keys(true);
        fixture.publish_public(0);
        fixture.publish_secret(0, kid, SECRET);
        fixture
    }

    fn without_keys(danger_accept_hs256: bool) -> Self {
        let issuer = |(index, iss): (usize, &str)| Issuer {
            label: Label::new(index, "-"),
            issuer: IssuerName::Exact(iss.to_owned()),
            audiences: Audiences::AnyOf(vec!["orders".to_owned()]),
            audience_claim: None,
            algorithms: AlgorithmSet::from_iter([Algorithm::Rs256]),
            danger_accept_hs256,
            clock_skew: Duration::ZERO,
            require: RequiredClaims::default(),
        };
        let issuers = ISSUERS.into_iter().enumerate().map(issuer).collect();
        let kinds = vec![KeyKind::Public, KeyKind::Hmac];
        let keys = KeyStore::with_kinds(&[kinds.clone(), kinds]);
        Self { verifier: Verifier::new(issuers, 16 * 1024), keys }
    }

    fn publish_public(&self, issuer: usize) {
        let document = json!({"keys": [RSA.public_jwk()]}).to_string();
        let jwks = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 8).unwrap();
        self.keys.publish(&id(issuer, 0), SourceKeys::new(jwks, None));
    }

    fn publish_secret(&self, issuer: usize, kid: Option<&str>, secret: &[u8]) {
        let key = HmacKey::parse(kid, secret).unwrap();
        self.keys.publish(&id(issuer, 1), SourceKeys::hmac(Arc::new(key), None));
    }

    fn verify(&self, token: &str) -> Result<SignedWith, Refusal> {
        let now = UnixTime::from_secs(NOW).unwrap();
        let verified = self.verifier.verify(RawToken::new(token), &self.keys.load(), now);
        verified.map(|verified| verified.signed_with()).map_err(|refused| refused.refusal)
    }
}

fn id(issuer: usize, source: usize) -> SourceId {
    SourceId { issuer: Label::new(issuer, "-"), source: Label::new(source, "-") }
}

fn claims() -> Value {
    json!({"iss": ISSUERS[0], "aud": "orders", "sub": "alice", "iat": NOW - 60, "exp": NOW + 300})
}

/// A token with exactly this header, tagged with `secret`.
fn tagged(algorithm: hmac::Algorithm, secret: &[u8], header: &Value, claims: &Value) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let input = format!("{}.{}", encode(header), encode(claims));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn hs256(secret: &[u8], kid: Option<&str>) -> String {
    let mut header = json!({"alg": "HS256", "typ": "JWT"});
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    tagged(HMAC_SHA256, secret, &header, &claims())
}

#[test]
fn both_are_accepted_side_by_side_and_told_apart() {
    let fixture = Fixture::new(Some("old"));
    let rs256 = SignedWith::Public(Algorithm::Rs256);
    for (token, signed_with) in [
        (hs256(SECRET, Some("old")), SignedWith::Hs256),
        (hs256(SECRET, None), SignedWith::Hs256),
        (mint(&RSA, &claims()).unwrap(), rs256),
        (mint_with_header(&RSA, &json!({"kid": null}), &claims()).unwrap(), rs256),
    ] {
        assert_eq!(fixture.verify(&token), Ok(signed_with), "{token}");
    }
}

#[test]
fn hs256_is_refused_where_it_is_not_accepted_even_with_the_secret_in_the_store() {
    let fixture = Fixture::without_keys(false);
    fixture.publish_public(0);
    fixture.publish_secret(0, None, SECRET);
    for kid in [Some("old"), Some("rsa"), None] {
        assert_eq!(fixture.verify(&hs256(SECRET, kid)), Err(Refusal::AlgNotAllowed));
    }
    assert!(fixture.verify(&mint(&RSA, &claims()).unwrap()).is_ok());
}

/// What is known of the public key, in every spelling that somebody may have taken for a secret.
fn public_forms() -> Vec<Vec<u8>> {
    let pem = RSA.public_pem().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(&body).unwrap();
    let jwk = RSA.public_jwk();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    // RFC 5280 §4.1: an SPKI of this size has 24 octets in front of its RSAPublicKey.
    let pkcs1 = der[24..].to_vec();
    vec![
        pem.clone().into_bytes(),
        pem.replace('\n', "\r\n").into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        format!("\n{pem}").into_bytes(),
        body.into_bytes(),
        der,
        pkcs1,
        modulus,
        jwk["n"].as_str().unwrap().as_bytes().to_vec(),
        jwk.to_string().into_bytes(),
        format!("{jwk:#}").into_bytes(),
        json!({"keys": [jwk]}).to_string().into_bytes(),
        b"rsa".to_vec(),
        Vec::new(),
    ]
}

#[test]
fn a_public_key_is_never_a_secret_although_both_algorithms_are_accepted() {
    for named in [Some("old"), Some("rsa"), None] {
        let fixture = Fixture::new(named);
        for public in public_forms() {
            for kid in [Some("rsa"), Some("old"), Some("new"), None] {
                let refusal = fixture.verify(&hs256(&public, kid)).unwrap_err();
                // Not known by that name, or known and not what signed it.
                let is_known = named.is_none() || kid.is_none() || kid == named;
                let expected = if is_known { Refusal::BadSignature } else { Refusal::UnknownKid };
                assert_eq!(refusal, expected, "{named:?} {kid:?}");
            }
        }
    }
}

#[test]
fn without_a_secret_a_public_key_is_not_taken_in_its_place() {
    let fixture = Fixture::without_keys(true);
    fixture.publish_public(0);
    for public in public_forms() {
        for kid in [Some("rsa"), None] {
            let refusal = fixture.verify(&hs256(&public, kid));
            assert_eq!(refusal, Err(Refusal::KeysUnavailable), "the secret has not been read");
        }
    }
}

#[test]
fn a_signature_under_the_other_algorithm_s_name_is_refused() {
    for named in [Some("rsa"), None] {
        let fixture = Fixture::new(named);
        for kid in [Some("rsa"), None] {
            let header = json!({"alg": "HS256", "kid": kid});
            let rsa_as_hmac = mint_with_header(&RSA, &header, &claims()).unwrap();
            assert_eq!(fixture.verify(&rsa_as_hmac), Err(Refusal::BadSignature), "{kid:?}");
            let mut header = json!({"alg": "RS256"});
            if let Some(kid) = kid {
                header["kid"] = kid.into();
            }
            let hmac_as_rsa = tagged(HMAC_SHA256, SECRET, &header, &claims());
            assert_eq!(fixture.verify(&hmac_as_rsa), Err(Refusal::BadSignature), "{kid:?}");
        }
    }
}

#[test]
fn other_names_and_hashes_are_not_accepted_with_the_right_secret_either() {
    let fixture = Fixture::new(None);
    for (algorithm, name) in [
        (HMAC_SHA384, "HS384"),
        (HMAC_SHA512, "HS512"),
        (HMAC_SHA256, "hs256"),
        (HMAC_SHA256, "HS256 "),
        (HMAC_SHA256, "HS256\u{0}"),
        (HMAC_SHA256, "HS1"),
        (HMAC_SHA256, "none"),
        (HMAC_SHA256, "ＨS256"),
    ] {
        let token = tagged(algorithm, SECRET, &json!({"alg": name}), &claims());
        assert_eq!(fixture.verify(&token), Err(Refusal::AlgNotAllowed), "{name:?}");
    }
    for algorithm in [HMAC_SHA384, HMAC_SHA512] {
        let token = tagged(algorithm, SECRET, &json!({"alg": "HS256"}), &claims());
        assert_eq!(fixture.verify(&token), Err(Refusal::BadSignature));
    }
}

#[test]
fn every_tag_that_is_not_the_secret_s_own_is_refused() {
    let fixture = Fixture::new(None);
    let token = hs256(SECRET, None);
    let (input, tag) = token.rsplit_once('.').unwrap();
    let tag = URL_SAFE_NO_PAD.decode(tag).unwrap();
    let mut flipped = tag.clone();
    flipped[31] ^= 1;
    for wrong in [
        flipped,
        tag[..31].to_vec(),
        tag[..16].to_vec(),
        tag[..1].to_vec(),
        [tag.as_slice(), &[0]].concat(),
        tag.repeat(2),
        vec![0; 32],
    ] {
        let forged = format!("{input}.{}", URL_SAFE_NO_PAD.encode(&wrong));
        assert_eq!(fixture.verify(&forged), Err(Refusal::BadSignature), "{} octets", wrong.len());
    }
    assert_eq!(fixture.verify(&format!("{input}.")), Err(Refusal::Malformed));
    for other in [OTHER_SECRET, &SECRET[1..], &[SECRET, b"\n"].concat()] {
        assert_eq!(fixture.verify(&hs256(other, None)), Err(Refusal::BadSignature));
    }
}

#[test]
fn a_secret_of_one_issuer_never_verifies_a_token_of_another() {
    let fixture = Fixture::new(Some("old"));
    fixture.publish_secret(1, Some("old"), OTHER_SECRET);
    assert_eq!(fixture.verify(&hs256(OTHER_SECRET, Some("old"))), Err(Refusal::BadSignature));
    let mut partners = claims();
    partners["iss"] = ISSUERS[1].into();
    let token = |secret| tagged(HMAC_SHA256, secret, &json!({"alg": "HS256"}), &partners);
    assert_eq!(fixture.verify(&token(SECRET)), Err(Refusal::BadSignature));
    assert_eq!(fixture.verify(&token(OTHER_SECRET)), Ok(SignedWith::Hs256));
}

#[test]
fn a_replaced_secret_ends_the_tokens_of_the_old_one_at_once() {
    let fixture = Fixture::new(None);
    let token = hs256(SECRET, None);
    assert!(fixture.verify(&token).is_ok());
    fixture.publish_secret(0, None, OTHER_SECRET);
    assert_eq!(fixture.verify(&token), Err(Refusal::BadSignature));
    assert!(fixture.verify(&hs256(OTHER_SECRET, None)).is_ok());
}

#[test]
fn what_is_missing_of_one_kind_changes_nothing_for_tokens_of_the_other() {
    let rs256 = |kid: Value| mint_with_header(&RSA, &json!({"kid": kid}), &claims()).unwrap();
    let without_secret = Fixture::without_keys(true);
    without_secret.publish_public(0);
    assert!(without_secret.verify(&rs256(Value::Null)).is_ok());
    assert_eq!(without_secret.verify(&rs256(json!("x"))), Err(Refusal::UnknownKid));
    let without_public = Fixture::without_keys(true);
    without_public.publish_secret(0, Some("old"), SECRET);
    assert!(without_public.verify(&hs256(SECRET, None)).is_ok());
    assert_eq!(without_public.verify(&hs256(SECRET, Some("x"))), Err(Refusal::UnknownKid));
    assert_eq!(without_public.verify(&rs256(Value::Null)), Err(Refusal::KeysUnavailable));
}

#[test]
fn nobody_is_asked_for_a_secret_that_a_token_names() {
    let fixture = Fixture::new(Some("old"));
    let missing = |token: &str| {
        let now = UnixTime::from_secs(NOW).unwrap();
        let refused = fixture.verifier.verify(RawToken::new(token), &fixture.keys.load(), now);
        refused.unwrap_err().missing_kid
    };
    assert_eq!(missing(&hs256(SECRET, Some("x"))), None);
    let public = mint_with_header(&RSA, &json!({"kid": "x"}), &claims()).unwrap();
    assert_eq!(missing(&public).as_deref(), Some("x"));
}

#[test]
fn the_claims_of_an_hs256_token_are_judged_like_any_other_s_and_only_after_its_tag() {
    let fixture = Fixture::new(None);
    let with = |secret, name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        fixture.verify(&tagged(HMAC_SHA256, secret, &json!({"alg": "HS256"}), &claims))
    };
    for (name, value, refusal) in [
        ("exp", json!(NOW), Refusal::Expired),
        ("aud", json!(7), Refusal::Malformed),
        ("nbf", json!(NOW + 1), Refusal::NotYetValid),
        ("sub", json!(7), Refusal::Malformed),
    ] {
        assert_eq!(with(SECRET, name, value.clone()), Err(refusal), "{name}");
        assert_eq!(with(OTHER_SECRET, name, value), Err(Refusal::BadSignature), "{name}");
    }
}
