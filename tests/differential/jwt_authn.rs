//! A world as `envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication`.

use serde_json::{Map, Value, json};

use crate::world::{
    Claim, Issuer, Keys, Needs, Path, Place, Rule, Said, Text, World, iss, keys_cluster, lay_over,
    some,
};

impl World {
    pub(crate) fn jwt_authn(&self) -> Value {
        let mut providers: Map<String, Value> =
            self.issuers.iter().map(|one| (one.name.to_owned(), self.provider(one))).collect();
        for rule in &self.rules {
            providers.extend(self.variants(rule));
        }
        let rules: Vec<Value> = self.rules.iter().filter_map(Rule::of_jwt_authn).collect();
        let named = self
            .rules
            .iter()
            .filter(|rule| self.routes.iter().any(|(_, said)| *said == Said::Rule(rule.name)));
        let named: Map<String, Value> =
            named.filter_map(|rule| Some((rule.name.to_owned(), rule.requires()?))).collect();
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": providers,
            "rules": rules,
            "requirement_map": named,
            "bypass_cors_preflight": self.preflights,
        })
    }

    fn provider(&self, issuer: &Issuer) -> Value {
        let claims = self.claims.iter().map(|(claim, header)| match claim {
            Claim::Dotted(name) => json!({"claim_name": name, "header_name": header}),
            Claim::Literal(name) => json!({"claim_path": [{"key": name}], "header_name": header}),
        });
        // It knows no other way to write them.
        let structures = self.structures.iter();
        let structures =
            structures.map(|(claim, header)| json!({"claim_name": claim, "header_name": header}));
        let mut provider = json!({
            "issuer": iss(issuer.name),
            "audiences": issuer.audiences,
            "claim_to_headers": claims.chain(structures).collect::<Vec<_>>(),
            "forward": self.keep_token,
            "pad_forward_payload_header": self.payload_padded,
        });
        lay_over(
            &mut provider,
            [
                ("forward_payload_header", self.payload_header.map(|name| json!(name))),
                ("clock_skew_seconds", issuer.skew.map(|skew| json!(skew))),
                ("require_expiration", issuer.expires.map(|expires| json!(expires))),
                ("max_lifetime", issuer.max_lifetime.map(|seconds| json!(format!("{seconds}s")))),
            ],
        );
        look_in(&mut provider, &self.places);
        match &issuer.keys {
            Keys::Inline(keys) => {
                let keys = json!({"keys": keys}).to_string();
                provider["local_jwks"] = json!({"inline_string": keys});
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

    /// Providers for one rule: where a token stands and who its subject is are a provider's here.
    fn variants(&self, rule: &Rule) -> Vec<(String, Value)> {
        let issuers = rule.needs.issuers().into_iter().enumerate();
        let variants = issuers.filter_map(|(nth, name)| {
            let key = rule.provider(name);
            let issuer = self.issuers.iter().find(|issuer| issuer.name == name)?;
            let mut provider = self.provider(issuer);
            let is_by_place = matches!(rule.needs, Needs::AllOf(_));
            let places = if is_by_place { &rule.places[nth..=nth] } else { &rule.places[..] };
            look_in(&mut provider, places);
            if let Needs::Subject(_, text) = rule.needs {
                provider["subjects"] = text.of_jwt_authn();
            }
            (key != name).then_some((key, provider))
        });
        variants.collect()
    }
}

fn look_in(provider: &mut Value, places: &[Place]) {
    let (mut headers, mut cookies, mut params) = (Vec::new(), Vec::new(), Vec::new());
    for place in places {
        match place {
            Place::Header { name, prefix } => {
                headers.push(json!({"name": name, "value_prefix": prefix}));
            }
            Place::Cookie(name) => cookies.push(json!(name)),
            Place::Query(name) => params.push(json!(name)),
        }
    }
    lay_over(
        provider,
        [
            ("from_headers", some(headers)),
            ("from_cookies", some(cookies)),
            ("from_params", some(params)),
        ],
    );
}

impl Needs {
    fn issuers(&self) -> Vec<&'static str> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Issuer(name)
            | Self::Optional(name)
            | Self::Whatever(name)
            | Self::Audiences(name, _)
            | Self::Subject(name, _) => vec![name],
            Self::AnyOf(names) | Self::AllOf(names) => names.clone(),
        }
    }
}

impl Rule {
    /// The name of the provider for an issuer's tokens under this rule.
    fn provider(&self, issuer: &str) -> String {
        let has_own = !self.places.is_empty() || matches!(self.needs, Needs::Subject(..));
        if has_own { format!("{issuer}@{}", self.name) } else { issuer.to_owned() }
    }

    fn of_jwt_authn(&self) -> Option<Value> {
        let matches = match self.path {
            Path::Exact(path) => json!({"path": path}),
            Path::Below(path) => json!({"path_separated_prefix": path}),
            Path::Prefix(path) => json!({"prefix": path}),
            Path::ByRoute => return None,
        };
        let mut rule = json!({"match": matches});
        // A rule without a requirement asks for nothing.
        lay_over(&mut rule, [("requires", self.requires())]);
        Some(rule)
    }

    fn requires(&self) -> Option<Value> {
        let provider = |name: &&str| json!({"provider_name": self.provider(name)});
        let any =
            |requirements: Vec<Value>| json!({"requires_any": {"requirements": requirements}});
        Some(match &self.needs {
            Needs::Nothing => return None,
            Needs::Issuer(name) | Needs::Subject(name, _) => provider(name),
            Needs::AnyOf(names) => any(names.iter().map(provider).collect()),
            Needs::AllOf(names) => {
                let requirements: Vec<_> = names.iter().map(provider).collect();
                json!({"requires_all": {"requirements": requirements}})
            }
            Needs::Optional(name) => any(vec![provider(name), json!({"allow_missing": {}})]),
            Needs::Whatever(name) => {
                any(vec![provider(name), json!({"allow_missing_or_failed": {}})])
            }
            Needs::Audiences(name, audiences) => {
                let provider = self.provider(name);
                json!({"provider_and_audiences": {
                    "provider_name": provider, "audiences": audiences,
                }})
            }
        })
    }
}

impl Said {
    /// `PerRouteConfig`.
    pub(crate) fn to_jwt_authn(self) -> Value {
        let mut config = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig",
        });
        match self {
            Self::Rule(name) => config["requirement_name"] = json!(name),
            Self::Off => config["disabled"] = json!(true),
        }
        json!({"envoy.filters.http.jwt_authn": config})
    }
}

impl Text {
    fn of_jwt_authn(self) -> Value {
        match self {
            Self::Exact(text) => json!({"exact": text}),
            Self::Prefix(text) => json!({"prefix": text}),
            Self::Suffix(text) => json!({"suffix": text}),
            Self::Regex(text) => json!({"safe_regex": {"regex": text}}),
        }
    }
}
