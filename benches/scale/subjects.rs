//! Deciders of every size, and a request for each that meets what lies in the middle of it.

use std::sync::Arc;

use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::mint;
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};

use crate::steps::{Decider, MAX_TOKEN_BYTES, Request};
use crate::{BoxError, world};

const CACHE: usize = 1 << 20;
const ALGORITHM: Algorithm = Algorithm::EdDsa;

/// One size.
pub(super) struct Sized {
    pub(super) size: usize,
    pub(super) cached: Decider,
    pub(super) uncached: Decider,
    pub(super) request: Request,
}

impl Sized {
    fn new(
        size: usize,
        config: &Value,
        keys: &[Vec<Value>],
        request: Request,
    ) -> Result<Self, BoxError> {
        let cached = Decider::new(config, keys, CACHE)?;
        let uncached = Decider::new(config, keys, 0)?;
        let is_right = [&cached, &cached, &uncached].iter().all(|one| one.allows(&request));
        if !is_right || cached.hits() != 1 {
            return Err(format!("{size}: a wrong answer").into());
        }
        Ok(Self { size, cached, uncached, request })
    }
}

/// One issuer with so many keys.
pub(super) fn keys(sizes: [usize; 3]) -> Result<Vec<Sized>, BoxError> {
    let of_size = |size: usize| {
        let keys = generate(size)?;
        let request = Request::new(Some(&token(middle(&keys)?, world::ISSUER)?), world::PATH);
        Sized::new(size, &config(&issuers(1), &rules(1)), &[public(&keys)], request)
    };
    sizes.into_iter().map(of_size).collect()
}

/// So many issuers with one key each.
pub(super) fn issuers_of(sizes: [usize; 3]) -> Result<Vec<Sized>, BoxError> {
    let of_size = |size: usize| {
        let keys = generate(size)?;
        let token = token(middle(&keys)?, &issuer(size / 2))?;
        let public: Vec<_> = keys.iter().map(|key| vec![key.public_jwk()]).collect();
        let name = format!("i{:05}", size / 2);
        let rules = vec![json!({"name": "rest", "require": {"issuer": name}})];
        let request = Request::new(Some(&token), world::PATH);
        Sized::new(size, &config(&issuers(size), &rules), &public, request)
    };
    sizes.into_iter().map(of_size).collect()
}

/// So many rules, each about another path.
pub(super) fn rules_of(sizes: [usize; 3]) -> Result<Vec<Sized>, BoxError> {
    let keys = generate(1)?;
    let token = token(middle(&keys)?, world::ISSUER)?;
    let of_size = |size: usize| {
        let path = format!("/s{:05}/orders/4711?expand=items", size / 2);
        let request = Request::new(Some(&token), &path);
        Sized::new(size, &config(&issuers(1), &rules(size)), &[public(&keys)], request)
    };
    sizes.into_iter().map(of_size).collect()
}

/// Tokens of so many bytes. The shortest is as short as one can be that has an issuer, an end and such a signature.
pub(super) fn lengths() -> Result<Vec<Sized>, BoxError> {
    let keys = generate(1)?;
    let key = middle(&keys)?.clone();
    let end = world::now()? + 3_600;
    let config = json!({
        "profile": "development",
        "issuers": [{"name": "i", "issuer": "i", "audiences": [world::AUDIENCE], "algorithms": [ALGORITHM.name()],
            "keys": [{"jwks_url": "http://127.0.0.1:9/"}]}],
        "rules": [{"name": "r", "match": {"path_prefix": "/"}, "require": {"issuer": "i"}}],
    });
    let mut sizes = Vec::new();
    for wanted in [0, 1_000, 4_000, 16_000] {
        let mut claims = json!({"iss": "i", "aud": world::AUDIENCE, "exp": end});
        let shortest = mint(&key, &claims)?.len();
        if wanted > shortest {
            // Three bytes become four characters.
            let filler = ((wanted - shortest) * 3 / 4).saturating_sub(r#","pad":"""#.len());
            claims["pad"] = "x".repeat(filler).into();
        }
        let token = mint(&key, &claims)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err("the longest token is too long".into());
        }
        let request = Request::new(Some(&token), world::PATH);
        sizes.push(Sized::new(token.len(), &config, &[public(&keys)], request)?);
    }
    Ok(sizes)
}

pub(super) fn generate(count: usize) -> Result<Vec<Arc<SigningKey>>, BoxError> {
    (0..count).map(|_| Ok(SigningKey::generate(ALGORITHM)?.into())).collect()
}

fn middle(keys: &[Arc<SigningKey>]) -> Result<&Arc<SigningKey>, BoxError> {
    Ok(keys.get(keys.len() / 2).ok_or("no key")?)
}

fn public(keys: &[Arc<SigningKey>]) -> Vec<Value> {
    keys.iter().map(|key| key.public_jwk()).collect()
}

fn token(key: &SigningKey, issuer: &str) -> Result<String, BoxError> {
    let now = world::now()?;
    let mut claims = world::claims(now, now + 3_600, 0);
    claims["iss"] = issuer.into();
    Ok(mint(key, &claims)?)
}

fn issuer(number: usize) -> String {
    if number == 0 { world::ISSUER.to_owned() } else { format!("{}/{number:05}", world::ISSUER) }
}

fn issuers(count: usize) -> Vec<Value> {
    let issuer = |number: usize| {
        json!({
            "name": format!("i{number:05}"), "issuer": issuer(number), "audiences": [world::AUDIENCE],
            "algorithms": [ALGORITHM.name()], "keys": [{"jwks_url": "http://127.0.0.1:9/"}],
        })
    };
    (0..count).map(issuer).collect()
}

fn rules(count: usize) -> Vec<Value> {
    let rule = |number: usize| {
        let prefix = if count == 1 { "/".to_owned() } else { format!("/s{number:05}/") };
        let (name, matched) = (format!("r{number:05}"), json!({"path_prefix": prefix}));
        json!({"name": name, "match": matched, "require": {"issuer": "i00000"}})
    };
    (0..count).map(rule).collect()
}

fn config(issuers: &[Value], rules: &[Value]) -> Value {
    let headers = world::FORWARDED;
    let headers = headers.map(|(claim, header)| json!({"claim": claim, "header": header}));
    json!({
        "profile": "development",
        "issuers": issuers,
        "forward": {"headers": headers, "strip": ["x-jwt-*"]},
        "rules": rules,
    })
}
