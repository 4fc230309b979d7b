//! `match`: which requests a rule is about. A path that could not match, or could match more than it says, is refused.

use std::net::Ipv6Addr;

use super::Compiler;
use crate::check::forward::plain_header_name;
use crate::check::host::HostPattern;
use crate::check::path::RequestPath;
use crate::check::pattern::TextPattern;
use crate::check::rules::{HeaderMatch, PathMatch, PathTemplate, RuleMatch};
use crate::config::raw::{RawHeaderMatch, RawMatch};
use crate::config::report::{Path, quote};
use crate::config::scalar::{List, Mapping};

const PATH: &str =
    "a path that starts with / and has no //, no segment . or .., and none of %;?#*\\ and space";

impl Compiler<'_> {
    pub(super) fn rule_match(&mut self, path: &Path, raw: Option<Mapping<RawMatch>>) -> RuleMatch {
        let Some(Mapping(raw)) = raw else { return RuleMatch::default() };
        let given = [&raw.path, &raw.path_prefix, &raw.path_template, &raw.path_regex];
        if given.into_iter().flatten().count() > 1 {
            let expected = "one of path, path_prefix, path_template and path_regex";
            self.report.wrong(path, "more than one condition on the path", expected);
        }
        let mut path_match = PathMatch::Any;
        if let Some(exact) = raw.path {
            self.check_path(&path.key("path"), &exact);
            path_match = PathMatch::Exact(exact);
        }
        if let Some(prefix) = raw.path_prefix {
            self.check_path(&path.key("path_prefix"), &prefix);
            let bare = prefix.strip_suffix('/').unwrap_or(&prefix);
            path_match = PathMatch::Prefix(bare.to_owned());
        }
        if let Some(template) = raw.path_template {
            path_match = self.path_template(&path.key("path_template"), &template);
        }
        if let Some(expression) = raw.path_regex {
            let path = path.key("path_regex");
            path_match = self.regex(&path, &expression).map_or(PathMatch::Any, PathMatch::Regex);
        }
        RuleMatch {
            path: path_match,
            methods: self.methods(&path.key("methods"), raw.methods),
            hosts: self.hosts(&path.key("hosts"), raw.hosts),
            headers: self.header_matches(&path.key("headers"), raw.headers),
        }
    }

    /// Requests are matched by their plain path, so nothing else would ever match.
    fn check_path(&mut self, path: &Path, text: &str) {
        let is_plain = match RequestPath::parse(text) {
            // A query would have been cut off. A `*` would be compared literally, and close nothing.
            RequestPath::Plain(plain) => plain == text && !text.contains('*'),
            RequestPath::Escaped { .. } | RequestPath::Ambiguous(_) | RequestPath::Unreadable => {
                false
            }
        };
        if !is_plain {
            self.report.wrong(path, quote(text), PATH);
        } else if text.contains(['{', '}']) {
            // Compared literally it would close nothing either.
            let expected = format!("{PATH}; with {{braces}} in it is a path_template");
            self.report.wrong(path, quote(text), expected);
        }
    }

    fn path_template(&mut self, path: &Path, text: &str) -> PathMatch {
        const EXPECTED: &str =
            "a path such as /orders/{id}, with whole segments in braces, that may end in /**";
        let (bare, below) = text.strip_suffix("/**").map_or((text, false), |bare| (bare, true));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let segment = |segment: &str| match segment.strip_prefix('{') {
            Some(rest) => {
                let name = rest.strip_suffix('}')?;
                (!name.is_empty() && name.chars().all(is_name)).then_some(None)
            }
            None => (!segment.contains(['{', '}'])).then(|| Some(segment.to_owned())),
        };
        let literal = bare.replace(['{', '}'], "");
        let is_plain = match RequestPath::parse(&literal) {
            RequestPath::Plain(plain) => plain == literal && !literal.contains('*'),
            RequestPath::Escaped { .. } | RequestPath::Ambiguous(_) | RequestPath::Unreadable => {
                false
            }
        };
        let segments = bare.strip_prefix('/').filter(|_| is_plain).and_then(|relative| {
            relative.split('/').map(segment).collect::<Option<Vec<Option<String>>>>()
        });
        match segments {
            Some(segments) => PathMatch::Template(PathTemplate { segments, below }),
            None => {
                self.report.wrong(path, quote(text), EXPECTED);
                PathMatch::Any
            }
        }
    }

    pub(super) fn regex(&mut self, path: &Path, expression: &str) -> Option<TextPattern> {
        match TextPattern::regex(expression) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let said = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
                let expected = format!("a regular expression without look-around ({said})");
                self.report.wrong(path, quote(expression), expected);
                None
            }
        }
    }

    fn header_matches(
        &mut self,
        path: &Path,
        raw: Option<List<Mapping<RawHeaderMatch>>>,
    ) -> Vec<HeaderMatch> {
        let Some(List(list)) = raw else { return Vec::new() };
        self.not_empty(path, list.len(), "at least one header, or no such key");
        let mut headers = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let Some(Mapping(raw)) = raw else { continue };
            let path = path.index(index);
            let name = raw.name.as_deref().and_then(plain_header_name);
            if name.is_none() {
                let expected = "a header name of letters, digits and hyphens";
                match &raw.name {
                    None => self.report.missing(&path.key("name"), expected),
                    Some(name) => self.report.wrong(&path.key("name"), quote(name), expected),
                }
            }
            let given = [&raw.exact, &raw.prefix, &raw.suffix, &raw.regex];
            if given.into_iter().flatten().count() > 1 {
                let expected = "one of exact, prefix, suffix and regex";
                self.report.wrong(&path, "more than one condition", expected);
            }
            let value = match (raw.exact, raw.prefix, raw.suffix, raw.regex) {
                (Some(exact), ..) => Some(TextPattern::Exact(exact.into())),
                (_, Some(prefix), ..) => Some(TextPattern::Prefix(prefix.into())),
                (_, _, Some(suffix), _) => Some(TextPattern::Suffix(suffix.into())),
                (.., Some(expression)) => self.regex(&path.key("regex"), &expression),
                (None, None, None, None) => None,
            };
            headers.extend(name.map(|name| HeaderMatch { name, value }));
        }
        headers
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
