//! The steps of a check, as the library has them: the one file here that knows its types. Whoever changes the library's
//! entry points changes this file; what is measured with it stays.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claimgate::check::{Authorizer, CheckRequest, Decision, PolicySnapshot, VerifiedTokenCache};
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::mint;
use claimgate::keys::jwks::Jwks;
use claimgate::keys::key::{Algorithm, AlgorithmSet, VerificationKey};
use claimgate::keys::store::{KeyStore, SourceId, SourceKeys};
use claimgate::token::{RawToken, UnverifiedJws, Verifier};
use claimgate::util::clock::UnixTime;
use claimgate::util::label::Label;
use serde_json::{Value, json};

use crate::corpus::Corpus;
use crate::timing::Step;
use crate::{BoxError, world};

/// The step that has a target.
pub(crate) const CACHE_HIT: &str = "cache hit";

/// As long as a token may be.
pub(crate) const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What decides, without a server around it.
pub(crate) struct Decider {
    authorizer: Authorizer,
    now: UnixTime,
}

impl Decider {
    /// With `config`, whose issuers have one source each. `keys` are the JWKs in these: not in the configuration, which
    /// may not be as long as ten thousand keys are.
    pub(crate) fn new(
        config: &Value,
        keys: &[Vec<Value>],
        cache_bytes: usize,
    ) -> Result<Self, BoxError> {
        let config = Config::from_yaml(&config.to_string(), Path::new("."))?;
        let store = KeyStore::new(&vec![1; config.issuers.len()]);
        for (issuer, keys) in config.issuers.iter().zip(keys) {
            let jwks = json!({"keys": keys}).to_string();
            let jwks = Jwks::parse(jwks.as_bytes(), AlgorithmSet::ALL, keys.len().max(1))?;
            let source = SourceId { issuer: issuer.label.clone(), source: Label::new(0, "0") };
            store.publish(&source, SourceKeys::new(jwks, None));
        }
        let now = i64::try_from(world::now()?)?;
        let authorizer = Authorizer::new(PolicySnapshot {
            rules: config.rules,
            tokens: config.tokens,
            verifier: Verifier::new(config.issuers, MAX_TOKEN_BYTES),
            keys: Arc::new(store),
            cache: (cache_bytes > 0).then(|| VerifiedTokenCache::new(cache_bytes)),
            forward: config.forward,
            allows_preflight: false,
        });
        Ok(Self { authorizer, now: UnixTime::from_secs(now).ok_or("no time")? })
    }

    /// Whether the request may pass.
    pub(crate) fn allows(&self, request: &Request) -> bool {
        matches!(self.authorizer.check(&request.0, self.now), Decision::Allow(_))
    }

    /// How many tokens were known when they were asked for.
    pub(crate) fn hits(&self) -> u64 {
        self.authorizer.cache_stats().hits
    }
}

/// A request as the decision sees it.
pub(crate) struct Request(CheckRequest);

impl Request {
    /// A browser's.
    pub(crate) fn new(token: Option<&str>, path: &str) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let bearer = token.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
        Self(CheckRequest {
            method: "GET".to_owned(),
            host: "orders.example.com".to_owned(),
            path: path.to_owned(),
            headers: world::HEADERS.into_iter().map(owned).chain(bearer).collect(),
            context: Vec::new(),
        })
    }
}

/// The key in a JWK, parsed.
fn parsed(jwk: &Value) -> Result<Arc<VerificationKey>, BoxError> {
    let document = json!({"keys": [jwk]}).to_string();
    let jwks = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 1)?;
    Ok(jwks.keys.into_iter().next().ok_or("a JWK that is no key")?)
}

/// Verifies the signature of one token, of which nothing is left to parse.
fn signature(
    key: &Arc<VerificationKey>,
    algorithm: Algorithm,
    token: &str,
) -> Result<impl FnMut() + use<>, BoxError> {
    let (input, signature) = token.rsplit_once('.').ok_or("a token without a signature")?;
    let (input, signature) = (input.to_owned(), URL_SAFE_NO_PAD.decode(signature)?);
    let key = Arc::clone(key);
    if !key.verify(algorithm, input.as_bytes(), &signature) {
        return Err("a genuine signature is refused".into());
    }
    Ok(move || {
        std::hint::black_box(key.verify(algorithm, input.as_bytes(), &signature));
    })
}

/// One verification of an RS256 signature with a parsed key of 2048 bits.
pub(crate) fn verification(corpus: &Corpus) -> Result<impl FnMut() + use<>, BoxError> {
    signature(&parsed(corpus.jwk())?, Algorithm::Rs256, corpus.token(0))
}

/// All steps, each in its own right, on a usual request.
pub(crate) fn all() -> Result<Vec<Step<'static>>, BoxError> {
    let mut steps = Vec::new();
    let now = world::now()?;
    let claims = world::claims(now, now + 3_600, 0);
    let mut rs256 = None;
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm)?;
        let token = mint(&key, &claims)?;
        let verify = signature(&parsed(&key.public_jwk())?, algorithm, &token)?;
        steps.push(Step::new(format!("verify a signature, {}", algorithm.name()), verify));
        if algorithm == Algorithm::Rs256 {
            rs256 = Some((key, token));
        }
    }
    let (key, token) = rs256.ok_or("there is no RS256")?;
    steps.extend(of_token(&key, &token, now)?);
    steps.extend(of_request(&key, &token)?);
    Ok(steps)
}

/// What is done with the text of a token.
fn of_token(key: &SigningKey, token: &str, now: u64) -> Result<Vec<Step<'static>>, BoxError> {
    let config = world::config(&[key.public_jwk()], key.algorithm().name());
    let config = Config::from_yaml(&config.to_string(), Path::new("."))?;
    let verifier = Arc::new(Verifier::new(config.issuers.clone(), MAX_TOKEN_BYTES));
    let store = Arc::new(KeyStore::new(&[1]));
    let jwks = json!({"keys": [key.public_jwk()]}).to_string();
    let jwks = Jwks::parse(jwks.as_bytes(), AlgorithmSet::ALL, 1)?;
    let label = config.issuers.first().ok_or("no issuer")?.label.clone();
    store.publish(
        &SourceId { issuer: label, source: Label::new(0, "0") },
        SourceKeys::new(jwks, None),
    );
    let now = UnixTime::from_secs(i64::try_from(now)?).ok_or("no time")?;
    let text = token.to_owned();
    let parse = Step::new("take a token apart", move || {
        std::hint::black_box(UnverifiedJws::parse(RawToken::new(&text), MAX_TOKEN_BYTES).is_ok());
    });
    let (by, keys, text) = (Arc::clone(&verifier), Arc::clone(&store), token.to_owned());
    let whole = Step::new("verify a token, RS256", move || {
        std::hint::black_box(by.verify(RawToken::new(&text), &keys.load(), now).is_ok());
    });
    let cache = VerifiedTokenCache::new(1 << 20);
    let (by, keys, text) = (verifier, store, token.to_owned());
    let known = Step::new(CACHE_HIT, move || {
        let known = by.verify_known(Some(&cache), RawToken::new(&text), &keys.load(), now);
        std::hint::black_box(known.is_ok());
    });
    Ok(vec![parse, whole, known])
}

/// What is done with a request.
fn of_request(key: &SigningKey, token: &str) -> Result<Vec<Step<'static>>, BoxError> {
    let keys = vec![key.public_jwk()];
    let config = world::config(&keys, key.algorithm().name());
    let compiled = Config::from_yaml(&config.to_string(), Path::new("."))?;
    let (rules, tokens) = (compiled.rules, compiled.tokens);
    let request = || Request::new(Some(token), world::PATH).0;
    let asked = request();
    let select = Step::new("find the rule", move || {
        std::hint::black_box(rules.select(&asked));
    });
    let asked = request();
    let extract = Step::new("extract the token", move || {
        std::hint::black_box(tokens.extract(&asked));
    });
    let mut steps = vec![extract, select];
    let checks = [("check, cached", 1 << 20, Some(token)), ("check, verified", 0, Some(token))];
    for (name, cache, token) in checks.into_iter().chain([("check, no token", 0, None)]) {
        let decider = Decider::new(&config, std::slice::from_ref(&keys), cache)?;
        let asked = Request::new(token, world::PATH);
        if decider.allows(&asked) != token.is_some() {
            return Err(format!("{name}: a wrong answer").into());
        }
        steps.push(Step::new(name, move || {
            std::hint::black_box(decider.allows(&asked));
        }));
    }
    Ok(steps)
}
