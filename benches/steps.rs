//! The steps of a check, as the library has them: the one file here that knows its types. Whoever changes the library's
//! entry points changes this file; what is measured with it stays.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use claimgate::app::{App, Options};
use claimgate::check::{Authorizer, CheckRequest, Decision, PolicySnapshot, VerifiedTokenCache};
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::mint;
use claimgate::keys::jwks::Jwks;
use claimgate::keys::key::{Algorithm, AlgorithmSet, VerificationKey};
use claimgate::keys::store::{KeyStore, SourceId, SourceKeys};
use claimgate::server::ext_authz::answer::Answers;
use claimgate::server::ext_authz::received;
use claimgate::token::{RawToken, Segments, UnverifiedJws, Verifier};
use claimgate::util::clock::UnixTime;
use claimgate::util::label::Label;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::checks::Expectation;
use crate::checks::bodies;
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
        let config = compiled(config)?;
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
            revocations: None,
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
pub(crate) struct Request(CheckRequest<'static>);

impl Request {
    /// A browser's.
    pub(crate) fn new(token: Option<&str>, path: &str) -> Self {
        let headers = world::HEADERS.map(|(name, value)| (name.into(), value.into()));
        let bearer = token.map(|token| ("authorization".into(), format!("Bearer {token}").into()));
        Self(CheckRequest {
            method: "GET".into(),
            host: "orders.example.com".into(),
            path: path.to_owned().into(),
            headers: headers.into_iter().chain(bearer).collect(),
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
    steps.extend(of_wire(&key, &token)?);
    Ok(steps)
}

/// What is done with the text of a token.
fn of_token(key: &SigningKey, token: &str, made: u64) -> Result<Vec<Step<'static>>, BoxError> {
    let config = world::config(&[key.public_jwk()], key.algorithm().name());
    let config = compiled(&config)?;
    let verifier = Arc::new(Verifier::new(config.issuers.clone(), MAX_TOKEN_BYTES));
    let store = Arc::new(KeyStore::new(&[1]));
    let jwks = json!({"keys": [key.public_jwk()]}).to_string();
    let jwks = Jwks::parse(jwks.as_bytes(), AlgorithmSet::ALL, 1)?;
    let label = config.issuers.first().ok_or("no issuer")?.label.clone();
    store.publish(
        &SourceId { issuer: label, source: Label::new(0, "0") },
        SourceKeys::new(jwks, None),
    );
    let now = UnixTime::from_secs(i64::try_from(made)?).ok_or("no time")?;
    let text = token.to_owned();
    let parse = Step::new("take a token apart", move || {
        let segments = Segments::decode(RawToken::new(&text), MAX_TOKEN_BYTES);
        let jws = segments.as_ref().map(UnverifiedJws::parse);
        std::hint::black_box(jws.is_ok_and(|jws| jws.is_ok()));
    });
    let (by, keys, text) = (Arc::clone(&verifier), Arc::clone(&store), token.to_owned());
    let whole = Step::new("verify a token, RS256", move || {
        std::hint::black_box(by.verify(RawToken::new(&text), &keys.load(), now).is_ok());
    });
    // So many that next to none is still known when its turn comes again.
    let others = world::mint_all(key, TAKING_TURNS, |n| world::claims(made, made + 3_600, n))?;
    let cache = VerifiedTokenCache::new(FEW);
    let (by, keys) = (Arc::clone(&verifier), Arc::clone(&store));
    let mut turn = 0;
    let mut remember = move || {
        turn = (turn + 1) % others.len();
        let token = RawToken::new(others.get(turn).map_or("", String::as_str));
        by.verify_known(Some(&cache), token, &keys.load(), now).is_ok()
    };
    if !remember() {
        return Err("a genuine token is refused".into());
    }
    let remembered = Step::new("verify a token, RS256, and remember it", move || {
        std::hint::black_box(remember());
    });
    let cache = VerifiedTokenCache::new(1 << 20);
    let (by, keys, text) = (verifier, store, token.to_owned());
    let known = Step::new(CACHE_HIT, move || {
        let known = by.verify_known(Some(&cache), RawToken::new(&text), &keys.load(), now);
        std::hint::black_box(known.is_ok());
    });
    Ok(vec![parse, whole, remembered, known])
}

/// Of these, a cache of so many bytes holds a few dozen.
const TAKING_TURNS: usize = 1_024;
const FEW: usize = 1 << 16;

/// What is done with a request.
fn of_request(key: &SigningKey, token: &str) -> Result<Vec<Step<'static>>, BoxError> {
    let keys = vec![key.public_jwk()];
    let config = world::config(&keys, key.algorithm().name());
    let Config { rules, tokens, .. } = compiled(&config)?;
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
        if decider.allows(&asked) != token.is_some() || decider.hits() > 0 {
            return Err(format!("{name}: a wrong answer").into());
        }
        steps.push(Step::new(name, move || {
            std::hint::black_box(decider.allows(&asked));
        }));
    }
    Ok(steps)
}

/// What is done with bytes, and all of it together, without HTTP/2.
fn of_wire(key: &SigningKey, token: &str) -> Result<Vec<Step<'static>>, BoxError> {
    let keys = vec![key.public_jwk()];
    let config = world::config(&keys, key.algorithm().name());
    let framed: Bytes = bodies::frame(&world::check_request(Some(token), world::PATH)).into();
    let message = framed.slice(FRAME_BYTES..);
    if !matches!(received::read(&message), Ok(Some(_))) {
        return Err("a request cannot be read".into());
    }
    let decode = Step::new("decode the request", move || {
        std::hint::black_box(received::read(&message).is_ok());
    });
    let decider = Decider::new(&config, std::slice::from_ref(&keys), 1 << 20)?;
    let decision = decider.authorizer.check(&Request::new(Some(token), world::PATH).0, decider.now);
    let (answers, settings) = (Answers::default(), compiled(&config)?.answers);
    let encode = Step::new("encode the answer", move || {
        std::hint::black_box(answers.encode(&decision, settings, false));
    });
    let service = App::ext_authz(compiled(&config)?, &Options::default()).now_or_never();
    let service = service.ok_or("the service is not built at once")?;
    let call = move || -> Option<Bytes> {
        let answer = service.call(http::Request::new(Full::new(framed.clone())));
        let body = answer.now_or_never()?.ok()?.into_body();
        Some(body.collect().now_or_never()?.ok()?.to_bytes())
    };
    Expectation::Allow.must_hold(&call().ok_or("a call is not answered at once")?)?;
    let call = Step::new("the whole call, cached", move || {
        std::hint::black_box(call());
    });
    Ok(vec![decode, encode, call])
}

fn compiled(config: &Value) -> Result<Config, BoxError> {
    Ok(Config::from_yaml(&config.to_string(), Path::new("."))?)
}

/// What gRPC puts before a message.
const FRAME_BYTES: usize = 5;
