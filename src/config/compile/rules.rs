//! `rules`: who may do what. A path that could not match, or could match more than it says, is refused.

use std::net::Ipv6Addr;

use super::Compiler;
use crate::check::path::RequestPath;
use crate::check::rules::{
    HostPattern, PathMatch, Requirement, Rule, RuleAction, RuleMatch, RuleSet,
};
use crate::config::raw::{RawMatch, RawRequire, RawRule};
use crate::config::report::{Path, quote, suggestion};
use crate::config::scalar::{List, Mapping};
use crate::token::Issuer;
use crate::util::label::Label;

impl Compiler<'_> {
    pub(super) fn rules(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawRule>>>,
        issuers: &[Issuer],
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
        let mut names = Vec::new();
        let mut rules = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let path = path.index(index);
            let name = self.name(&path.key("name"), raw.name, &mut names);
            let matches = self.rule_match(&path.key("match"), raw.matches);
            let label = Label::new(index, &name);
            let action = match (raw.allow, raw.require) {
                (Some(_), None) => Some(RuleAction::AllowAnyone),
                (None, Some(Mapping(require))) => {
                    let any_of = self.require(&path.key("require"), require, issuers);
                    Some(RuleAction::Require(any_of))
                }
                (None, None) => {
                    if !self.report.has_in(&path) {
                        self.report.missing(&path, "allow: anyone, or require");
                    }
                    None
                }
                (Some(_), Some(_)) => {
                    self.report.wrong(&path, "allow and require", "one of them");
                    None
                }
            };
            rules.extend(action.map(|action| Rule { label, matches, action }));
        }
        RuleSet::new(rules)
    }

    fn rule_match(&mut self, path: &Path, raw: Option<Mapping<RawMatch>>) -> RuleMatch {
        let Some(Mapping(raw)) = raw else { return RuleMatch::default() };
        let path_match = match (raw.path, raw.path_prefix) {
            (None, None) => PathMatch::Any,
            (Some(exact), None) => {
                self.check_path(&path.key("path"), &exact);
                PathMatch::Exact(exact)
            }
            (None, Some(prefix)) => {
                self.check_path(&path.key("path_prefix"), &prefix);
                let bare = prefix.strip_suffix('/').unwrap_or(&prefix);
                PathMatch::Prefix(bare.to_owned())
            }
            (Some(_), Some(_)) => {
                self.report.wrong(path, "path and path_prefix", "one of them");
                PathMatch::Any
            }
        };
        let methods = self.methods(&path.key("methods"), raw.methods);
        let hosts = self.hosts(&path.key("hosts"), raw.hosts);
        RuleMatch { path: path_match, methods, hosts }
    }

    /// Requests are matched by their plain path, so nothing else would ever match.
    fn check_path(&mut self, path: &Path, text: &str) {
        let is_plain = match RequestPath::parse(text) {
            // A query would have been cut off. A `*` would be compared literally, and close nothing.
            RequestPath::Plain(plain) => plain == text && !text.contains('*'),
            RequestPath::Ambiguous(_) | RequestPath::Unreadable => false,
        };
        if !is_plain {
            let expected =
                "a path that starts with / and holds no //, ., .., %, ;, ?, #, *, \\ or space";
            self.report.wrong(path, quote(text), expected);
        }
    }

    fn methods(&mut self, path: &Path, raw: Option<List<String>>) -> Vec<String> {
        let Some(List(list)) = raw else { return Vec::new() };
        self.not_empty(path, list.len(), "at least one method, or no such key for any");
        let methods = self.strings(path, list);
        for (index, method) in methods.iter().enumerate() {
            let is_fit = |c: char| c.is_ascii_uppercase() || c == '-' || c == '_';
            if method.len() > 32 || !method.chars().all(is_fit) {
                let expected = "a method in capitals, such as GET";
                self.report.wrong(&path.index(index), quote(method), expected);
            }
        }
        methods
    }

    fn hosts(&mut self, path: &Path, raw: Option<List<String>>) -> Vec<HostPattern> {
        let Some(List(list)) = raw else { return Vec::new() };
        self.not_empty(path, list.len(), "at least one host, or no such key for any");
        let mut patterns = Vec::with_capacity(list.len());
        for (index, host) in list.into_iter().enumerate() {
            let Some(host) = host else { continue };
            match host_pattern(&host) {
                Some(pattern) => patterns.push(pattern),
                None => {
                    let expected = "a host without port, such as api.example.com or *.example.com";
                    self.report.wrong(&path.index(index), quote(&host), expected);
                }
            }
        }
        patterns
    }

    fn require(&mut self, path: &Path, raw: RawRequire, issuers: &[Issuer]) -> Vec<Requirement> {
        const EXPECTED: &str = "issuer, or any_of with a list of {issuer: …}";
        match (raw.issuer, raw.any_of) {
            (Some(name), None) => {
                self.requirement(&path.key("issuer"), &name, issuers).into_iter().collect()
            }
            (None, Some(List(list))) => {
                let path = path.key("any_of");
                self.not_empty(&path, list.len(), "at least one {issuer: …}");
                let mut any_of = Vec::with_capacity(list.len());
                for (index, raw) in list.into_iter().enumerate() {
                    let Some(Mapping(raw)) = raw else { continue };
                    let path = path.index(index).key("issuer");
                    match raw.issuer {
                        None => self.report.missing(&path, "the name of an issuer"),
                        Some(name) => any_of.extend(self.requirement(&path, &name, issuers)),
                    }
                }
                any_of
            }
            (None, None) => {
                if !self.report.has_in(path) {
                    self.report.missing(path, EXPECTED);
                }
                Vec::new()
            }
            (Some(_), Some(_)) => {
                self.report.wrong(path, "issuer and any_of", "one of them");
                Vec::new()
            }
        }
    }

    fn requirement(&mut self, path: &Path, name: &str, issuers: &[Issuer]) -> Option<Requirement> {
        let known = || issuers.iter().map(|issuer| issuer.label.name());
        if let Some(issuer) = issuers.iter().find(|issuer| issuer.label.name() == name) {
            return Some(Requirement { issuer: issuer.label.clone() });
        }
        // Where names are missing, that has been said.
        if !issuers.is_empty() && known().all(|name| !name.is_empty()) {
            let names: Vec<&str> = known().collect();
            let suggestion = suggestion(name, known());
            let expected = format!("the name of an issuer: {}{suggestion}", names.join(", "));
            self.report.wrong(path, quote(name), expected);
        }
        None
    }
}

fn host_pattern(text: &str) -> Option<HostPattern> {
    let host = text.to_ascii_lowercase();
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().ok().map(|_| HostPattern::Exact(host.clone()));
    }
    match host.strip_prefix('*') {
        None => is_host(&host).then_some(HostPattern::Exact(host)),
        Some(suffix) => {
            let below = suffix.strip_prefix('.')?;
            is_host(below).then(|| HostPattern::Below(suffix.to_owned()))
        }
    }
}

fn is_host(host: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| !label.is_empty() && label.chars().all(is_plain);
    host.len() <= 253 && host.split('.').all(is_label)
}
