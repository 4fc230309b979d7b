//! A world as claimgate's YAML, which JSON is.

use serde_json::{Value, json};

use crate::world::{
    ALGORITHMS, Claim, Issuer, Keys, Needs, Path, Place, Rule, Said, Text, World, iss, lay_over,
    some,
};

impl World {
    pub(crate) fn claimgate(&self) -> Value {
        let issuers: Vec<Value> = self.issuers.iter().map(Issuer::of_claimgate).collect();
        let rules: Vec<Value> = self.rules.iter().map(Rule::of_claimgate).collect();
        let claims = self.claims.iter().map(|(claim, header)| match claim {
            Claim::Dotted(name) => json!({"claim": name, "header": header}),
            Claim::Literal(name) => json!({"claim": [name], "header": header}),
        });
        let structures = self
            .structures
            .iter()
            .map(|(claim, header)| json!({"claim": claim, "header": header, "format": "base64"}));
        let mut forward = json!({
            "headers": claims.chain(structures).collect::<Vec<_>>(),
            "strip": ["x-jwt-*"],
            "keep_token": self.keep_token,
        });
        lay_over(
            &mut forward,
            [
                ("payload_header", self.payload_header.map(|name| json!(name))),
                ("payload_padded", self.payload_padded.then(|| json!(true))),
            ],
        );
        let mut config = json!({
            // For issuers without audiences, which production refuses; it changes no answer.
            "profile": "development",
            "issuers": issuers,
            "forward": forward,
            "rules": rules,
        });
        lay_over(
            &mut config,
            [
                ("tokens", some(places(&self.places))),
                ("cors_preflight", self.preflights.then(|| json!("allow"))),
            ],
        );
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
            // No refresh is due while the test runs, and on a loaded machine one may take its time.
            "refresh": {"interval": "1h", "unknown_kid_wait": "5s"},
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
        let mut rule = json!({"name": self.name});
        match self.path {
            Path::Exact(path) => rule["match"] = json!({"path": path}),
            Path::Below(path) | Path::Prefix(path) => rule["match"] = json!({"path_prefix": path}),
            Path::ByRoute => rule["by_name_only"] = json!(true),
        }
        lay_over(&mut rule, [("tokens", some(places(&self.places)))]);
        let each = |names: &[&str]| -> Value {
            names.iter().map(|name| json!({"issuer": name})).collect()
        };
        let require = match &self.needs {
            Needs::Nothing => {
                rule["allow"] = json!("anyone");
                return rule;
            }
            Needs::Issuer(issuer) => json!({"issuer": issuer}),
            Needs::AnyOf(issuers) => json!({"any_of": each(issuers)}),
            Needs::AllOf(issuers) => {
                rule["all_tokens"] = json!("verify");
                json!({"all_of": each(issuers)})
            }
            Needs::Optional(issuer) => json!({"issuer": issuer, "optional": true}),
            Needs::Whatever(issuer) => {
                rule["mode"] = json!("shadow");
                json!({"issuer": issuer})
            }
            Needs::Audiences(issuer, audiences) => {
                json!({"issuer": issuer, "audiences": audiences})
            }
            Needs::Subject(issuer, text) => {
                json!({"issuer": issuer, "subjects": [text.of_claimgate()]})
            }
        };
        rule["require"] = require;
        rule
    }
}

impl Said {
    /// `ExtAuthzPerRoute`.
    pub(crate) fn to_ext_authz(self) -> Value {
        let mut config = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
        });
        match self {
            Self::Rule(name) => {
                let extensions = json!({"claimgate.rule": name});
                config["check_settings"] = json!({"context_extensions": extensions});
            }
            Self::Off => config["disabled"] = json!(true),
        }
        json!({"envoy.filters.http.ext_authz": config})
    }
}

impl Text {
    fn of_claimgate(self) -> Value {
        match self {
            Self::Exact(text) => json!(text),
            Self::Prefix(text) => json!({"prefix": text}),
            Self::Suffix(text) => json!({"suffix": text}),
            Self::Regex(text) => json!({"regex": text}),
        }
    }
}

fn places(places: &[Place]) -> Vec<Value> {
    let places = places.iter().map(|place| match place {
        Place::Header { name, prefix } => json!({"header": name, "prefix": prefix}),
        Place::Cookie(name) => json!({"cookie": name}),
        Place::Query(name) => json!({"query": name}),
    });
    places.collect()
}
