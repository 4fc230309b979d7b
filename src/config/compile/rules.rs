//! `rules`: who may do what.

use std::sync::Arc;

use super::Compiler;
use super::forward::holds_tokens;
use crate::check::forward::Forward;
use crate::check::locations::TokenLocations;
use crate::check::rules::{Rule, RuleAction, RuleMode, RuleSet, SeveralTokens, TokenRule};
use crate::config::raw::RawRule;
use crate::config::report::Path;
use crate::config::scalar::{List, Mapping, Text};
use crate::config::words::{RawAllTokens, RawRuleMode, RawRuleRevocation};
use crate::token::Issuer;
use crate::util::label::Label;

/// What holds for rules that do not say otherwise, and what they may refer to.
pub(super) struct RuleDefaults<'a> {
    pub(super) tokens: &'a TokenLocations,
    pub(super) forward: &'a Forward,
    pub(super) keep_token: bool,
    pub(super) issuers: &'a [Issuer],
}

impl Compiler<'_> {
    pub(super) fn rules(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawRule>>>,
        defaults: &RuleDefaults<'_>,
    ) -> RuleSet {
        const EXPECTED: &str = "a list with at least one rule, since every request is denied without (only profile: development may leave it empty)";
        let list = match raw {
            Some(List(list)) => {
                if self.is_production() {
                    self.not_empty(path, list.len(), EXPECTED);
                }
                list
            }
            None => {
                if self.is_production() {
                    self.report.missing(path, EXPECTED);
                }
                Vec::new()
            }
        };
        let tokens = Arc::new(defaults.tokens.clone());
        let mut names = Vec::new();
        let mut rules = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let path = path.index(index);
            let name = self.name(&path.key("name"), raw.name.clone(), &mut names);
            rules.extend(self.rule(&path, raw, Label::new(index, &name), &tokens, defaults));
        }
        RuleSet::new(rules)
    }

    fn rule(
        &mut self,
        path: &Path,
        mut raw: RawRule,
        label: Label,
        tokens: &Arc<TokenLocations>,
        defaults: &RuleDefaults<'_>,
    ) -> Option<Rule> {
        let matches = self.rule_match(&path.key("match"), raw.matches.take());
        let by_name_only = raw.by_name_only.unwrap_or(false);
        if by_name_only && matches != Default::default() {
            let expected =
                "no match, since the rule is about no request but those for which Envoy names it";
            self.report.wrong(&path.key("match"), "conditions", expected);
        }
        let own = raw.tokens.take();
        let tokens = match own {
            None => Arc::clone(tokens),
            Some(own) => {
                let path = path.key("tokens");
                let own = self.tokens(&path, Some(own));
                for header in
                    defaults.forward.settings().targets().filter(|one| holds_tokens(&own, one))
                {
                    let expected = "places that forward does not write to";
                    self.report.wrong(&path, header, expected);
                }
                Arc::new(own)
            }
        };
        let action = match (raw.allow, raw.require.take()) {
            (Some(_), None) => {
                self.check_open(path, &raw, !matches.headers.is_empty());
                Some(RuleAction::AllowAnyone)
            }
            (None, Some(Mapping(require))) => {
                let optional = require.optional.unwrap_or(false);
                let several = match raw.all_tokens {
                    Some(Text(RawAllTokens::Verify)) => SeveralTokens::VerifyAll,
                    Some(Text(RawAllTokens::Refuse)) | None => SeveralTokens::Refuse,
                };
                let path = path.key("require");
                let requirement = self.requirement(&path, require, defaults.issuers)?;
                if !requirement.names_an_issuer() && !self.report.has_below(&path) {
                    let expected = "an issuer in every way to satisfy it: one of any_of, or a part of all_of, without one accepts tokens of any issuer";
                    self.report.wrong(&path, "no issuer", expected);
                }
                if several == SeveralTokens::VerifyAll {
                    self.check_several(&path, &requirement);
                }
                let checks_revocation = match raw.revocation {
                    Some(Text(RawRuleRevocation::Ignore)) => false,
                    Some(Text(RawRuleRevocation::Check)) | None => true,
                };
                let rule = TokenRule { requirement, optional, several, checks_revocation };
                Some(RuleAction::Require(rule))
            }
            (None, None) => {
                if !self.report.has_in(path) {
                    self.report.missing(path, "allow: anyone, or require");
                }
                None
            }
            (Some(_), Some(_)) => {
                self.report.wrong(path, "allow and require", "one of them");
                None
            }
        };
        let mode = match raw.mode {
            Some(Text(RawRuleMode::Shadow)) => RuleMode::Shadow,
            Some(Text(RawRuleMode::Enforce)) | None => RuleMode::Enforce,
        };
        let keep_token = raw.keep_token.unwrap_or(defaults.keep_token);
        let action = action?;
        let lets_nobody_pass = match &action {
            RuleAction::AllowAnyone => false,
            RuleAction::Require(require) => require.optional || mode == RuleMode::Shadow,
        };
        if lets_nobody_pass && !matches.headers.is_empty() {
            let expected = "no such condition where a request without a token passes (optional, mode: shadow): whoever asks sends the headers it likes";
            self.report.wrong(&path.key("match").key("headers"), "a condition", expected);
        }
        Some(Rule { label, matches, by_name_only, action, tokens, keep_token, mode })
    }

    /// What makes no sense, or is a hole, where anyone may pass.
    fn check_open(&mut self, path: &Path, raw: &RawRule, has_headers: bool) {
        if has_headers {
            let expected =
                "no such condition with allow: anyone: whoever asks sends the headers it likes";
            self.report.wrong(&path.key("match").key("headers"), "a condition", expected);
        }
        if raw.mode.is_some() {
            let expected = "no mode with allow: anyone, which refuses nothing";
            self.report.wrong(&path.key("mode"), "a mode", expected);
        }
        if raw.all_tokens.is_some() {
            let expected = "no such key with allow: anyone, which looks at no token";
            self.report.wrong(&path.key("all_tokens"), "a word", expected);
        }
        if raw.revocation.is_some() {
            let expected = "no such key with allow: anyone, which looks at no token";
            self.report.wrong(&path.key("revocation"), "a word", expected);
        }
    }
}
