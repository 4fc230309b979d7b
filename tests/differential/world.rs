//! One configuration, said once and written twice: as Envoy's `jwt_authn` filter and as claimgate's YAML.
//!
//! A case names its rule and its issuer; what these mean to either side is decided here and nowhere else, so that a
//! difference in an answer is never a difference in what was asked for. Which worlds there are: [`super::worlds`].

use serde_json::{Map, Value, json};

/// Issuers, rules and what is forwarded.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) issuers: Vec<Issuer>,
    /// The first match wins, on both sides.
    pub(crate) rules: Vec<Rule>,
    /// Where tokens are looked for; empty: each side's own default.
    pub(crate) places: Vec<Place>,
    /// Which claim goes into which header.
    pub(crate) claims: Vec<(Claim, &'static str)>,
    pub(crate) payload_header: Option<&'static str>,
    pub(crate) keep_token: bool,
}

/// One whose tokens are accepted. Its `iss` is [`iss`] of its name.
pub(crate) struct Issuer {
    pub(crate) name: &'static str,
    /// Empty: not checked.
    pub(crate) audiences: Vec<&'static str>,
    pub(crate) keys: Keys,
    /// In seconds; `None`: each side's own default.
    pub(crate) skew: Option<u64>,
    /// Whether a token must expire; `None`: each side's own default.
    pub(crate) expires: Option<bool>,
    /// In seconds.
    pub(crate) max_lifetime: Option<u64>,
}

pub(crate) enum Keys {
    /// JWKs in the configuration.
    Inline(Vec<Value>),
    /// A JWK Set behind a URL.
    Remote {
        url: String,
        /// How long `jwt_authn` uses an answer; claimgate has its own ways to know.
        cache: &'static str,
        /// Whether `jwt_authn` keeps the tokens that it verified.
        token_cache: bool,
    },
}

pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) path: Path,
    pub(crate) needs: Needs,
}

pub(crate) enum Path {
    Exact(&'static str),
    /// This path and what is below it.
    Below(&'static str),
    /// What somebody writes who carries `prefix` over as `path_prefix`.
    Prefix(&'static str),
}

/// What a request must bring.
pub(crate) enum Needs {
    Nothing,
    Issuer(&'static str),
    AnyOf(Vec<&'static str>),
}

#[derive(Clone)]
pub(crate) enum Place {
    Header { name: &'static str, prefix: &'static str },
}

pub(crate) enum Claim {
    /// Dots lead into objects.
    Dotted(&'static str),
    /// One name, whatever is in it.
    Literal(&'static str),
}

/// What both accept.
pub(crate) const ALGORITHMS: [&str; 10] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

pub(crate) fn iss(name: &str) -> String {
    format!("https://{name}.example.com")
}

/// Where Envoy finds the keys of a world.
pub(crate) fn keys_cluster(world: &str) -> String {
    format!("keys-{world}")
}

// === Envoy's jwt_authn ===

impl World {
    /// `envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication`.
    pub(crate) fn jwt_authn(&self) -> Value {
        let providers: Map<String, Value> =
            self.issuers.iter().map(|one| (one.name.to_owned(), self.provider(one))).collect();
        let rules: Vec<Value> = self.rules.iter().map(Rule::of_jwt_authn).collect();
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": providers,
            "rules": rules,
            "bypass_cors_preflight": true,
        })
    }

    fn provider(&self, issuer: &Issuer) -> Value {
        let claims = self.claims.iter().map(|(claim, header)| match claim {
            Claim::Dotted(name) => json!({"claim_name": name, "header_name": header}),
            Claim::Literal(name) => json!({"claim_path": [{"key": name}], "header_name": header}),
        });
        let mut provider = json!({
            "issuer": iss(issuer.name),
            "audiences": issuer.audiences,
            "claim_to_headers": claims.collect::<Vec<_>>(),
            "forward": self.keep_token,
        });
        let headers = self
            .places
            .iter()
            .map(|Place::Header { name, prefix }| json!({"name": name, "value_prefix": prefix}));
        let headers: Vec<_> = headers.collect();
        let optional = [
            ("forward_payload_header", self.payload_header.map(|name| json!(name))),
            ("from_headers", (!headers.is_empty()).then(|| json!(headers))),
            ("clock_skew_seconds", issuer.skew.map(|skew| json!(skew))),
            ("require_expiration", issuer.expires.map(|expires| json!(expires))),
            ("max_lifetime", issuer.max_lifetime.map(|seconds| json!(format!("{seconds}s")))),
        ];
        lay_over(&mut provider, optional);
        match &issuer.keys {
            Keys::Inline(keys) => {
                provider["local_jwks"] =
                    json!({"inline_string": json!({"keys": keys}).to_string()});
            }
            Keys::Remote { url, cache, token_cache } => {
                let uri = json!({"uri": url, "cluster": keys_cluster(self.name), "timeout": "5s"});
                provider["remote_jwks"] = json!({"http_uri": uri, "cache_duration": cache});
                if *token_cache {
                    provider["jwt_cache_config"] = json!({"jwt_cache_size": 100});
                }
            }
        }
        provider
    }
}

impl Rule {
    fn of_jwt_authn(&self) -> Value {
        let matches = match self.path {
            Path::Exact(path) => json!({"path": path}),
            Path::Below(path) => json!({"path_separated_prefix": path}),
            Path::Prefix(path) => json!({"prefix": path}),
        };
        match &self.needs {
            // A rule without a requirement asks for nothing.
            Needs::Nothing => json!({"match": matches}),
            Needs::Issuer(name) => json!({"match": matches, "requires": {"provider_name": name}}),
            Needs::AnyOf(names) => {
                let requirements: Vec<_> =
                    names.iter().map(|name| json!({"provider_name": name})).collect();
                json!({"match": matches, "requires": {"requires_any": {"requirements": requirements}}})
            }
        }
    }
}

// === claimgate ===

impl World {
    /// The YAML, which JSON is.
    pub(crate) fn claimgate(&self) -> Value {
        let issuers: Vec<Value> = self.issuers.iter().map(Issuer::of_claimgate).collect();
        let rules: Vec<Value> = self.rules.iter().map(Rule::of_claimgate).collect();
        let headers = self.claims.iter().map(|(claim, header)| match claim {
            Claim::Dotted(name) => json!({"claim": name, "header": header}),
            Claim::Literal(name) => json!({"claim": [name], "header": header}),
        });
        let mut forward = json!({
            "headers": headers.collect::<Vec<_>>(),
            "strip": ["x-jwt-*"],
            "keep_token": self.keep_token,
        });
        let payload = self.payload_header.map(|name| json!(name));
        lay_over(&mut forward, [("payload_header", payload)]);
        let places = self
            .places
            .iter()
            .map(|Place::Header { name, prefix }| json!({"header": name, "prefix": prefix}));
        let places: Vec<_> = places.collect();
        let mut config = json!({
            // For issuers without audiences, which production refuses; it changes no answer.
            "profile": "development",
            "issuers": issuers,
            "forward": forward,
            "rules": rules,
        });
        lay_over(&mut config, [("tokens", (!places.is_empty()).then(|| json!(places)))]);
        config
    }
}

impl Issuer {
    fn of_claimgate(&self) -> Value {
        let mut issuer = json!({
            "name": self.name,
            "issuer": iss(self.name),
            "algorithms": ALGORITHMS,
            "keys": [match &self.keys {
                Keys::Inline(keys) => json!({"jwks": {"keys": keys}}),
                Keys::Remote { url, .. } => json!({"jwks_url": url}),
            }],
            // A test that holds the clock waits for nothing; one on a loaded machine waits for long.
            "refresh": {"interval": "1h", "unknown_kid_wait": "2s"},
            "require": {},
        });
        let audiences = (!self.audiences.is_empty()).then(|| json!(self.audiences));
        let skew = self.skew.map(|skew| json!(format!("{skew}s")));
        lay_over(&mut issuer, [("audiences", audiences), ("clock_skew", skew)]);
        let lifetime = self.max_lifetime.map(|seconds| json!(format!("{seconds}s")));
        let expires = self.expires.map(|expires| json!(expires));
        lay_over(&mut issuer["require"], [("exp", expires), ("max_lifetime", lifetime)]);
        issuer
    }
}

impl Rule {
    fn of_claimgate(&self) -> Value {
        let matches = match self.path {
            Path::Exact(path) => json!({"path": path}),
            Path::Below(path) | Path::Prefix(path) => json!({"path_prefix": path}),
        };
        let name = self.name;
        match &self.needs {
            Needs::Nothing => json!({"name": name, "match": matches, "allow": "anyone"}),
            Needs::Issuer(issuer) => {
                json!({"name": name, "match": matches, "require": {"issuer": issuer}})
            }
            Needs::AnyOf(issuers) => {
                let issuers: Vec<_> = issuers.iter().map(|name| json!({"issuer": name})).collect();
                json!({"name": name, "match": matches, "require": {"any_of": issuers}})
            }
        }
    }
}

fn lay_over<const N: usize>(object: &mut Value, members: [(&str, Option<Value>); N]) {
    for (name, value) in members {
        if let Some(value) = value {
            object[name] = value;
        }
    }
}
