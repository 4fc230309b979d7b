//! Which requirement applies to a request. The first rule that matches wins; no match denies.
//!
//! A rule that opens something must not be reached by a path that somebody else reads differently, and a
//! rule that closes something must not be walked around by one. So an opening rule matches paths that have one
//! reading only, and an ambiguous path has to satisfy what each of its readings asks for.

mod index;
mod matching;

use std::collections::HashMap;
use std::sync::Arc;

pub use self::matching::{HeaderMatch, PathMatch, PathTemplate, RuleMatch};

use self::index::RuleIndex;
use self::matching::Target;
use super::host::Host;
use super::locations::TokenLocations;
use super::path::RequestPath;
use super::request::CheckRequest;
use super::requirement::Requirement;
use crate::util::label::Label;

/// The rules in order, and the ways to find the one that applies.
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    index: RuleIndex,
    by_name: HashMap<Box<str>, usize>,
}

/// One rule: which requests, and what they need.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in decisions, logs and metrics, and in Envoy's `context_extensions`.
    pub label: Label,
    /// Which requests it is about.
    pub matches: RuleMatch,
    /// Whether it is about no request but those for which Envoy names it.
    pub by_name_only: bool,
    /// What they need.
    pub action: RuleAction,
    /// Where a token is looked for.
    pub tokens: Arc<TokenLocations>,
    /// Whether the upstream sees the token itself.
    pub keep_token: bool,
    /// Whether a refusal denies.
    pub mode: RuleMode,
}

/// What a request needs.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleAction {
    /// Nothing. No token is looked at, and the upstream gets no claim header.
    AllowAnyone,
    /// A token that is good enough.
    Require(TokenRule),
}

/// What a rule wants of the tokens of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRule {
    /// What they must prove.
    pub requirement: Requirement,
    /// Whether a request without any token passes, as nobody. A bad token is refused all the same.
    pub optional: bool,
    /// What more than one token means.
    pub several: SeveralTokens,
    /// Whether they are looked up among the revocations, where there are any.
    pub checks_revocation: bool,
}

/// What more than one token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeveralTokens {
    /// `multiple_tokens`: whoever looks later might read another one.
    Refuse,
    /// Each must be verified, and all must name the same subject. Two in one place are refused all the same.
    VerifyAll,
}

/// What a refusal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleMode {
    /// It denies the request.
    Enforce,
    /// It is counted and logged, and the request passes without a claim header.
    Shadow,
}

/// The key in Envoy's `context_extensions` that names a rule for a route.
pub const CONTEXT_RULE: &str = "claimgate.rule";

/// What every key in there begins with that is meant for claimgate.
const CONTEXT_KEYS: &str = "claimgate.";

impl RuleSet {
    /// These rules, tried in order. Their labels number them from 0.
    pub fn new(rules: Vec<Rule>) -> Self {
        let index = RuleIndex::new(&rules);
        let names = rules.iter().map(|rule| rule.label.name().into()).zip(0..);
        Self { by_name: names.collect(), rules, index }
    }

    /// The rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Finds what applies: the rule that Envoy names for its route, else the first one that matches.
    pub fn select(&self, request: &CheckRequest<'_>) -> Selection<'_> {
        let Ok(host) = Host::parse(&request.host) else {
            return Selection::None(NoRule::UnreadableHost);
        };
        let target = Target { request, host };
        let path = RequestPath::parse(&request.path);
        // A key of ours that is mistyped would leave the route to be decided as if nothing had been said of it.
        let is_unknown = |key: &str| key.starts_with(CONTEXT_KEYS) && key != CONTEXT_RULE;
        if request.context.iter().any(|(key, _)| is_unknown(key)) {
            return Selection::None(NoRule::UnknownKey);
        }
        match request.context_value(CONTEXT_RULE) {
            Ok(None) => self.select_by_match(&target, &path),
            Ok(Some(name)) => self.select_by_name(name, &path),
            // Named twice: Envoy's own map cannot hold that.
            Err(_) => Selection::None(NoRule::NamedTwice),
        }
    }

    fn select_by_name(&self, name: &str, path: &RequestPath<'_>) -> Selection<'_> {
        let named = self.by_name.get(name).and_then(|place| self.rules.get(*place));
        match (named, path) {
            (None, _) => Selection::None(NoRule::UnknownName),
            (Some(_), RequestPath::Unreadable) => Selection::None(NoRule::UnreadablePath),
            (Some(rule), RequestPath::Plain(_) | RequestPath::Escaped { .. }) => {
                Selection::of(rule)
            }
            (Some(rule), RequestPath::Ambiguous(_)) if rule.is_open() => {
                Selection::None(NoRule::OpenForSeveral)
            }
            (Some(rule), RequestPath::Ambiguous(_)) => {
                Selection::Closed { first: rule, others: Vec::new(), is_ambiguous: true }
            }
        }
    }

    fn select_by_match(&self, target: &Target<'_>, path: &RequestPath<'_>) -> Selection<'_> {
        match path {
            RequestPath::Plain(path) => {
                let found = self.find(target, path, |_| true);
                found.map_or(Selection::None(NoRule::NoMatch), Selection::of)
            }
            RequestPath::Escaped { raw, decoded } => {
                let any = |_: &Rule| true;
                match (self.find(target, raw, any), self.find(target, decoded, any)) {
                    (Some(one), Some(other)) if one.label == other.label => Selection::of(one),
                    _ => self.select_for_each(target, [*raw, decoded.as_str()].into_iter()),
                }
            }
            RequestPath::Ambiguous(readings) => {
                self.select_for_each(target, readings.iter().map(String::as_str))
            }
            RequestPath::Unreadable => Selection::None(NoRule::UnreadablePath),
        }
    }

    /// The first rule that matches and that `may` be taken.
    fn find(&self, target: &Target<'_>, path: &str, may: impl Fn(&Rule) -> bool) -> Option<&Rule> {
        let candidates = self.index.candidates(&target.host, path);
        let mut candidates = candidates.filter_map(|place| self.rules.get(place));
        candidates.find(|rule| may(rule) && rule.matches.holds(target, path, rule.opens()))
    }

    /// None where one reading leads to something that no closing rule is about: the request goes nowhere.
    fn select_for_each<'a>(
        &self,
        target: &Target<'_>,
        readings: impl Iterator<Item = &'a str>,
    ) -> Selection<'_> {
        let mut selected: Vec<&Rule> = Vec::new();
        for (place, reading) in readings.enumerate() {
            let Some(rule) = self.find(target, reading, |rule| !rule.is_open()) else {
                return Selection::None(NoRule::NoMatchForReading(place));
            };
            if !selected.iter().any(|other| other.label == rule.label) {
                selected.push(rule);
            }
        }
        selected.sort_by_key(|rule| rule.label.index());
        let mut selected = selected.into_iter();
        let Some(first) = selected.next() else { return Selection::None(NoRule::NoMatch) };
        Selection::Closed { first, others: selected.collect(), is_ambiguous: true }
    }
}

/// What applies to a request.
#[derive(Clone, Debug)]
pub enum Selection<'a> {
    /// No rule: the request is denied.
    None(NoRule),
    /// A rule that lets anyone pass.
    Open(&'a Rule),
    /// Rules that want a token, which must do for every one of them.
    Closed {
        /// The first of them in the configuration: decision, log and metric name it.
        first: &'a Rule,
        /// The others; a path with one reading has none.
        others: Vec<&'a Rule>,
        /// Whether the path may be read in several ways: then nobody passes without a token.
        is_ambiguous: bool,
    },
}

/// Why no rule applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRule {
    /// None matches.
    NoMatch,
    /// None that closes something matches this reading of a path that has several, counted from 0.
    NoMatchForReading(usize),
    /// The route names two.
    NamedTwice,
    /// The route names one that lets anyone pass, for a path that can be read in several ways.
    OpenForSeveral,
    /// The route's configuration says something to claimgate under a key that means nothing.
    UnknownKey,
    /// The route names one that there is not.
    UnknownName,
    /// The host is no authority.
    UnreadableHost,
    /// The path is too long, or holds what no two readers agree on.
    UnreadablePath,
}

impl<'a> Selection<'a> {
    fn of(rule: &'a Rule) -> Self {
        if rule.is_open() {
            return Self::Open(rule);
        }
        Self::Closed { first: rule, others: Vec::new(), is_ambiguous: false }
    }
}

impl Rule {
    /// Whether the rule lets anyone pass.
    pub fn is_open(&self) -> bool {
        match self.action {
            RuleAction::AllowAnyone => true,
            RuleAction::Require(_) => false,
        }
    }

    /// Whether anybody passes without a token.
    fn opens(&self) -> bool {
        match &self.action {
            RuleAction::AllowAnyone => true,
            RuleAction::Require(rule) => rule.optional,
        }
    }
}

#[cfg(test)]
mod tests;
