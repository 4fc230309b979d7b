//! One configuration, said once and written twice: as Envoy's `jwt_authn` filter ([`super::jwt_authn`]) and as claimgate's
//! YAML ([`super::claimgate_yaml`]).
//!
//! A case names its rule and its issuer; what these mean to either side is decided here and nowhere else, so that a
//! difference in an answer is never a difference in what was asked for. Which worlds there are: [`super::worlds`].

use serde_json::Value;

/// Issuers, rules and what is forwarded.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) issuers: Vec<Issuer>,
    /// The first match wins, on both sides.
    pub(crate) rules: Vec<Rule>,
    /// Routes of Envoy's, by what their paths begin with, that say themselves what they need.
    pub(crate) routes: Vec<(&'static str, Said)>,
    /// Where tokens are looked for; empty: each side's own default.
    pub(crate) places: Vec<Place>,
    /// Which claim goes into which header.
    pub(crate) claims: Vec<(Claim, &'static str)>,
    /// Claims whose structure goes on as base64 of its JSON.
    pub(crate) structures: Vec<(&'static str, &'static str)>,
    pub(crate) payload_header: Option<&'static str>,
    pub(crate) payload_padded: bool,
    pub(crate) keep_token: bool,
    /// Whether CORS preflights pass.
    pub(crate) preflights: bool,
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
    /// Where its tokens are looked for; empty: as everywhere.
    pub(crate) places: Vec<Place>,
}

impl Rule {
    pub(crate) fn new(name: &'static str, path: Path, needs: Needs) -> Self {
        Self { name, path, needs, places: Vec::new() }
    }
}

/// What a route says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The name of a rule.
    Rule(&'static str),
    /// That nobody is asked.
    Off,
}

pub(crate) enum Path {
    Exact(&'static str),
    /// This path and what is below it.
    Below(&'static str),
    /// What somebody writes who carries `prefix` over as `path_prefix`.
    Prefix(&'static str),
    /// None, but where a route names the rule.
    ByRoute,
}

/// What a request must bring.
pub(crate) enum Needs {
    Nothing,
    Issuer(&'static str),
    AnyOf(Vec<&'static str>),
    /// One token of each, the nth in the nth of the rule's places.
    AllOf(Vec<&'static str>),
    /// Of this issuer, or none at all.
    Optional(&'static str),
    /// Whatever comes; claims of a good token only.
    Whatever(&'static str),
    /// For these, in place of the issuer's own audiences.
    Audiences(&'static str, Vec<&'static str>),
    /// Whose `sub` is like this.
    Subject(&'static str, Text),
}

#[derive(Clone, Copy)]
pub(crate) enum Text {
    Exact(&'static str),
    Prefix(&'static str),
    Suffix(&'static str),
    Regex(&'static str),
}

#[derive(Clone)]
pub(crate) enum Place {
    Header { name: &'static str, prefix: &'static str },
    Cookie(&'static str),
    Query(&'static str),
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

/// Sets the members that there are.
pub(crate) fn lay_over<const N: usize>(object: &mut Value, members: [(&str, Option<Value>); N]) {
    for (name, value) in members {
        if let Some(value) = value {
            object[name] = value;
        }
    }
}

/// A list, if there is something in it.
pub(crate) fn some(list: Vec<Value>) -> Option<Value> {
    (!list.is_empty()).then_some(Value::Array(list))
}
