//! What is valid and still weak: settings that a build should not ship. `claimgate check --strict` fails for
//! them; nothing else looks here, and the service runs with them as before.

use super::{Config, ConfigError, Profile};
use crate::check::rules::{Rule, RuleAction, RuleMode};
use crate::revocation::policy::{WhenStale, WithoutJti};
use crate::revocation::source::SourceSettings as RevocationSource;
use crate::token::{Audiences, Issuer};

impl Config {
    /// Every weak setting, each with its place in the document and what is wrong with it: `profile` first,
    /// then issuers and rules in their order.
    pub fn weaknesses(&self) -> Vec<ConfigError> {
        let mut found = Vec::new();
        let mut weak = |place: String, message: &str| {
            found.push(ConfigError { place, message: message.to_owned() });
        };
        match self.profile {
            Profile::Production => {}
            Profile::Development => {
                weak("profile".to_owned(), "development: it allows what weakens security");
            }
        }
        for issuer in &self.issuers {
            let place = |key: &str| format!("issuers[{}].{key}", issuer.label.index());
            match &issuer.audiences {
                Audiences::AnyOf(_) => {}
                Audiences::DangerNotChecked => {
                    weak(place("audiences"), "not checked: tokens meant for others are accepted");
                }
            }
            if issuer.danger_accept_hs256 {
                weak(
                    place("algorithms"),
                    if issuer.algorithms.is_empty() { ONLY_HS256 } else { HS256 },
                );
            }
            if !issuer.require.exp {
                weak(place("require.exp"), "false: tokens without \"exp\" never expire");
            }
            if self.is_never_stale(issuer) {
                weak(place("refresh.max_stale"), "unlimited: a withdrawn key may be used for ever");
            }
        }
        if let Some(revocation) = &self.revocation {
            let place = |key: &str| format!("revocation.{key}");
            if revocation.source.is_some() && revocation.policy.max_stale.is_none() {
                weak(place("max_stale"), "unlimited: what is revoked may pass for ever");
            }
            if let Some(RevocationSource::Redis(redis)) = &revocation.source
                && redis.is_readable_on_the_way()
            {
                let what = "no TLS to another machine: who is between sees passwords, and hides revocations";
                weak(place("redis"), what);
            }
            if revocation.policy.when_stale == WhenStale::Allow {
                weak(place("when_stale"), "allow: while the source is gone, revoked tokens pass");
            }
            if revocation.policy.without_jti == WithoutJti::Accept {
                weak(place("without_jti"), "accept: such a token cannot be revoked by itself");
            }
        }
        for rule in self.rules.rules() {
            if let RuleAction::Require(required) = &rule.action
                && self.revocation.is_some()
                && !required.checks_revocation
            {
                let place = format!("rules[{}].revocation", rule.label.index());
                weak(place, "ignore: revoked tokens pass");
            }
            if opens_everything(rule) {
                weak(format!("rules[{}]", rule.label.index()), OPEN);
            }
            if rule.mode == RuleMode::Shadow {
                weak(format!("rules[{}].mode", rule.label.index()), SHADOW);
            }
        }
        found
    }

    fn is_never_stale(&self, issuer: &Issuer) -> bool {
        let mut sources = self.sources.iter().filter(|source| source.id.issuer == issuer.label);
        sources.any(|source| source.refresh.max_stale.is_none())
    }
}

const ONLY_HS256: &str =
    "only HS256 is accepted: whoever verifies could sign; RS256 and its public keys are missing";
const HS256: &str = "HS256 is still accepted: whoever verifies could sign";
const SHADOW: &str = "shadow: whatever the rule refuses is let through, and only counted";
const OPEN: &str = "allow: anyone for every path, method and host: every request is let through";

/// Whether any request that comes to this rule gets through.
fn opens_everything(rule: &Rule) -> bool {
    rule.is_open() && rule.matches.is_everything() && !rule.by_name_only
}
