//! Tables of requests beneath a configuration, under the head `| request | token | answer |`. Each is decided by what the
//! configuration compiles to, with real tokens.
//!
//! | column | in backticks |
//! | --- | --- |
//! | request | method and path, before which a host may stand; then headers, and the rule that Envoy's route names |
//! | token | claims that differ from a good token of alice's, before them the issuer if it is not the first, before that the header if it is not `Authorization: Bearer` |
//! | answer | a status and a reason; or `passes`, with headers that are set, headers that are not, and what a shadow rule would deny it for. Without a verified token it passes as nobody |

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use claimgate::check::answer::{AnswerSettings, DeniedAnswer};
use claimgate::check::{
    Authorizer, CheckRequest, Decision, DenialReason, PolicySnapshot, VerifiedTokenCache,
};
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::overlay;
use claimgate::keys::jwks::Jwks;
use claimgate::keys::key::{Algorithm, AlgorithmSet};
use claimgate::keys::store::{KeyStore, SourceKeys};
use claimgate::token::{Audiences, IssuerName, Verifier};
use claimgate::util::clock::UnixTime;
use serde_json::{Value, json};

use crate::blocks::Block;
use crate::kept::mint;

const NOW: i64 = 1_800_000_000;

pub(crate) const HEAD: &str = "| request | token | answer |";

/// One row.
pub(crate) struct Example {
    /// The row itself, for whoever has to find it.
    line: String,
    request: Vec<String>,
    tokens: Vec<String>,
    answer: String,
}

/// The rows beneath a block, if there is such a table.
pub(crate) fn of(block: &Block, document: &str) -> Vec<Example> {
    if block.table.first().is_none_or(|line| line != HEAD) {
        return Vec::new();
    }
    let rows = block.table.iter().skip(2).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [request, token, answer] = *cells else { panic!("not three cells: {line}") };
        let line = format!("{document}: {line}");
        let answer = answer.to_owned();
        Example { line, request: quoted(request), tokens: quoted(token), answer }
    });
    rows.collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Issuers have keys of their own; making one of RSA takes its time, so the nth issuer of every configuration has the nth.
static RSA: LazyLock<[Arc<SigningKey>; 3]> =
    LazyLock::new(|| [(); 3].map(|()| Arc::new(new_key(Algorithm::Rs256))));

fn new_key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap().with_kid("one")
}

/// A configuration in force, with keys that the examples sign with.
pub(crate) struct Service {
    authorizer: Authorizer,
    signers: Vec<Signer>,
}

/// An issuer's side of it.
struct Signer {
    name: String,
    key: Arc<SigningKey>,
    claims: Value,
}

impl Service {
    pub(crate) fn of(config: Config) -> Self {
        let mut sources: HashMap<usize, usize> = HashMap::new();
        for source in &config.sources {
            *sources.entry(source.id.issuer.index()).or_default() += 1;
        }
        let count = |issuer: usize| sources.get(&issuer).copied().unwrap_or_default();
        let keys = KeyStore::new(&(0..config.issuers.len()).map(count).collect::<Vec<_>>());
        let mut signers = Vec::new();
        for issuer in &config.issuers {
            let algorithm = issuer.algorithms.iter().next().expect("an algorithm");
            let key = if algorithm == Algorithm::Rs256 {
                Arc::clone(RSA.get(issuer.label.index()).expect("a key"))
            } else {
                Arc::new(new_key(algorithm))
            };
            let document = json!({"keys": [key.public_jwk()]}).to_string();
            let of_issuer = config.sources.iter().filter(|one| one.id.issuer == issuer.label);
            for source in of_issuer {
                let jwks = Jwks::parse(document.as_bytes(), AlgorithmSet::ALL, 8).unwrap();
                keys.publish(&source.id, SourceKeys::new(jwks, None));
            }
            let mut claims = json!({"sub": "alice", "iat": NOW, "exp": NOW + 300});
            if let Audiences::AnyOf(audiences) = &issuer.audiences {
                claims["aud"] = json!(audiences.first());
            }
            match &issuer.issuer {
                IssuerName::Exact(iss) => claims["iss"] = json!(iss),
                IssuerName::Tenants(pattern) => {
                    let tenant = pattern.tenants.first().expect("a tenant");
                    claims["iss"] = json!(format!("{}{tenant}{}", pattern.prefix, pattern.suffix));
                    claims[&pattern.claim] = json!(tenant);
                }
            }
            for required in &issuer.require.claims {
                if claims.get(required).is_none() {
                    claims[required] = json!("there");
                }
            }
            signers.push(Signer { name: issuer.label.name().to_owned(), key, claims });
        }
        let authorizer = Authorizer::new(PolicySnapshot {
            rules: config.rules,
            tokens: config.tokens,
            verifier: Verifier::new(config.issuers, config.limits.token_bytes),
            keys: Arc::new(keys),
            cache: Some(VerifiedTokenCache::new(1 << 20)),
            revocations: None,
            forward: config.forward,
            allows_preflight: config.allows_preflight,
        });
        Self { authorizer, signers }
    }

    /// Fails where the answer is not the one that stands there.
    pub(crate) fn answers(&self, example: &Example) {
        let Example { line, answer, .. } = example;
        let request = self.request(example);
        let decision = self.authorizer.check(&request, UnixTime::from_secs(NOW).unwrap());
        let allowance = match decision {
            Decision::Deny(denial) => {
                let told = DeniedAnswer::new(denial.reason, AnswerSettings::default(), false);
                let got = format!("{} `{}`", told.status, denial.reason.as_str());
                return assert_eq!(*answer, got, "{line}");
            }
            Decision::Allow(allowance) => allowance,
        };
        assert!(answer.starts_with("passes"), "it passes\n{line}");
        let is_nobody = answer.starts_with("passes as nobody");
        assert_eq!(allowance.token.is_none(), is_nobody, "{line}");
        let set: Vec<(&str, &str)> = allowance.mutations.set().collect();
        let mut would_deny = None;
        for part in quoted(answer) {
            if let Some((name, value)) = part.split_once(": ") {
                let there = set.contains(&(name, value));
                assert!(there, "{part}: {set:?}\n{line}");
            } else if DenialReason::ALL.iter().any(|reason| reason.as_str() == part) {
                would_deny = Some(part);
            } else {
                assert!(set.iter().all(|(name, _)| **name != *part), "{part}\n{line}");
            }
        }
        let got = allowance.would_deny.map(|denial| denial.reason.as_str());
        assert_eq!(would_deny.as_deref(), got, "{line}");
    }

    fn request<'a>(&self, example: &'a Example) -> CheckRequest<'a> {
        let [target, rest @ ..] = &*example.request else { panic!("{}", example.line) };
        let (method, target) = target.split_once(' ').expect("a method and a path");
        let (host, path) = target.split_at(target.find('/').expect("a path"));
        let mut request = CheckRequest {
            method: method.into(),
            host: if host.is_empty() { "api.example.com" } else { host }.into(),
            path: path.into(),
            ..CheckRequest::default()
        };
        for part in rest {
            match part.split_once(": ") {
                Some((name, value)) => request.headers.push((name.into(), value.into())),
                None => request.context.push(("claimgate.rule".into(), part.into())),
            }
        }
        request.headers.extend(
            example
                .tokens
                .iter()
                .map(|token| self.header(token))
                .map(|(name, value)| (name.into(), value.into())),
        );
        request
    }

    /// The header that a token of the table stands in: `{…}`, `partner {…}`, `Cookie: session={…}`.
    fn header(&self, text: &str) -> (String, String) {
        let (before, over) = text.split_at(text.find('{').expect("claims"));
        let over: Value =
            serde_json::from_str(over).unwrap_or_else(|error| panic!("{text}: {error}"));
        let (header, before) = before.split_once(": ").unwrap_or(("authorization", before));
        let (prefix, name) = match before.rsplit_once('=') {
            Some((cookie, name)) => (format!("{cookie}="), name.trim()),
            None if header == "authorization" => ("Bearer ".to_owned(), before.trim()),
            None => (String::new(), before.trim()),
        };
        let mut signers = self.signers.iter();
        let signer = signers.find(|signer| name.is_empty() || signer.name == name);
        let signer = signer.unwrap_or_else(|| panic!("no such issuer: {text}"));
        let mut claims = signer.claims.clone();
        // A claim that is null is not there.
        overlay(claims.as_object_mut().unwrap(), &over);
        (header.to_owned(), format!("{prefix}{}", mint(&signer.key, &claims).unwrap()))
    }
}
