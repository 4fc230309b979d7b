//! The YAML of `rules`, one to one.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::RawTokenLocation;
use crate::config::scalar::{ClaimPath, Element, List, Mapping, Text};
use crate::config::words::{Anyone, RawAllTokens, RawRuleMode, RawRuleRevocation};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Rule", extend("required" = ["name"]))]
pub(in crate::config) struct RawRule {
    /// The label in metrics and logs, and what Envoy may call it by: context_extensions, claimgate.rule.
    pub(in crate::config) name: Option<String>,
    /// Which requests it is about. Default: every one.
    #[serde(rename = "match")]
    pub(in crate::config) matches: Option<Mapping<RawMatch>>,
    /// Whether it is only about requests for which Envoy names it. Default false.
    pub(in crate::config) by_name_only: Option<bool>,
    /// anyone: no token is needed.
    pub(in crate::config) allow: Option<Text<Anyone>>,
    /// What must be proved, unless anyone is allowed.
    pub(in crate::config) require: Option<Mapping<RawRequirement>>,
    /// Where a token is looked for. Default: the tokens of the configuration.
    pub(in crate::config) tokens: Option<List<Mapping<RawTokenLocation>>>,
    /// refuse (default): several tokens are denied. verify: all must do, and name the same subject.
    pub(in crate::config) all_tokens: Option<Text<RawAllTokens>>,
    /// check (default), or ignore: revoked tokens are as good as others.
    pub(in crate::config) revocation: Option<Text<RawRuleRevocation>>,
    /// enforce (default), or shadow: what is refused passes without claim headers, and is counted.
    pub(in crate::config) mode: Option<Text<RawRuleMode>>,
    /// Whether the upstream sees the token itself. Default: as in forward.
    pub(in crate::config) keep_token: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Match")]
pub(in crate::config) struct RawMatch {
    /// The exact path. Default: any path.
    pub(in crate::config) path: Option<String>,
    /// What the path begins with.
    pub(in crate::config) path_prefix: Option<String>,
    /// Segments, of which {those in braces} may be anything; ending in /** everything below as well.
    pub(in crate::config) path_template: Option<String>,
    /// A regular expression for the whole path.
    pub(in crate::config) path_regex: Option<String>,
    /// Any of these. Default: any method.
    pub(in crate::config) methods: Option<List<String>>,
    /// Any of these; *.example.com is every host below it. Default: any host.
    pub(in crate::config) hosts: Option<List<String>>,
    /// All of these. A client may send what it likes, so they are refused in a rule that lets pass without a token.
    pub(in crate::config) headers: Option<List<Mapping<RawHeaderMatch>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "HeaderMatch", extend("required" = ["name"]))]
pub(in crate::config) struct RawHeaderMatch {
    /// The name of the header.
    pub(in crate::config) name: Option<String>,
    /// One of its values is this. Without any condition it has to be there.
    pub(in crate::config) exact: Option<String>,
    /// One of its values begins with this.
    pub(in crate::config) prefix: Option<String>,
    /// One of its values ends with this.
    pub(in crate::config) suffix: Option<String>,
    /// One of its values is matched as a whole.
    pub(in crate::config) regex: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Requirement")]
pub(in crate::config) struct RawRequirement {
    /// At least one of these.
    pub(in crate::config) any_of: Option<List<Mapping<Self>>>,
    /// Every one of these.
    pub(in crate::config) all_of: Option<List<Mapping<Self>>>,
    /// The name of an issuer.
    pub(in crate::config) issuer: Option<String>,
    /// `aud` must name one of these, in place of the issuer's.
    pub(in crate::config) audiences: Option<List<String>>,
    /// `sub` must be one of these: a string, or {prefix: …}, {suffix: …}, {regex: …}.
    pub(in crate::config) subjects: Option<List<RawTextPattern>>,
    /// All of these scopes.
    pub(in crate::config) scopes: Option<List<String>>,
    /// At least one of these scopes.
    pub(in crate::config) any_scope: Option<List<String>>,
    /// All of these in the claim roles.
    pub(in crate::config) roles: Option<List<String>>,
    /// What other claims must be.
    pub(in crate::config) claims: Option<List<Mapping<RawClaimCondition>>>,
    /// A condition in CEL over claims, issuer and request.
    pub(in crate::config) when: Option<String>,
    /// Whether a request without a token passes, as nobody. Default false. Not inside any_of and all_of.
    pub(in crate::config) optional: Option<bool>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "ClaimCondition", extend("required" = ["claim"], "oneOf" = crate::config::schema::one_of(&CLAIM_TESTS)))]
pub(in crate::config) struct RawClaimCondition {
    /// A dotted path, or a list of literal names.
    pub(in crate::config) claim: Option<ClaimPath>,
    /// A string, a whole number, true or false.
    pub(in crate::config) equals: Option<Value>,
    /// It is one of these.
    pub(in crate::config) one_of: Option<Vec<Value>>,
    /// This is in the list.
    pub(in crate::config) contains: Option<Value>,
    /// All of these are in the list.
    pub(in crate::config) contains_all: Option<Vec<Value>>,
    /// At least one of these is in the list.
    pub(in crate::config) contains_any: Option<Vec<Value>>,
    /// true: it is there. false: it is not.
    pub(in crate::config) exists: Option<bool>,
    /// A regular expression for the whole string.
    pub(in crate::config) matches: Option<String>,
}

/// What a claim condition is one of.
pub(in crate::config) const CLAIM_TESTS: [&str; 7] =
    ["equals", "one_of", "contains", "contains_all", "contains_any", "exists", "matches"];

/// A string, or a condition on one.
#[derive(Clone, Debug)]
pub(in crate::config) enum RawTextPattern {
    Exact(String),
    Form(RawPatternForm),
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "TextPattern")]
pub(in crate::config) struct RawPatternForm {
    /// What it begins with.
    pub(in crate::config) prefix: Option<String>,
    /// What it ends with.
    pub(in crate::config) suffix: Option<String>,
    /// A regular expression for the whole of it.
    pub(in crate::config) regex: Option<String>,
}

impl RawTextPattern {
    /// What is accepted, for people.
    pub(in crate::config) const EXPECTED: &str =
        "a string, or one of {prefix: …}, {suffix: …}, {regex: …}";
}

impl Element for RawTextPattern {
    const LIST: &'static str = "a list of strings and conditions on them";
}

impl<'de> Deserialize<'de> for RawTextPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextPatternVisitor)
    }
}

struct TextPatternVisitor;

impl<'de> Visitor<'de> for TextPatternVisitor {
    type Value = RawTextPattern;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(RawTextPattern::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(RawTextPattern::Exact(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        RawPatternForm::deserialize(MapAccessDeserializer::new(map)).map(RawTextPattern::Form)
    }
}
