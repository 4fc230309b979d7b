//! Finds the few rules that may apply to a request among thousands, without asking each: by host, then by the segments
//! of the path. What it names is a superset, in the order of the configuration; [`super::RuleSet`] asks those rules.
//!
//! The work grows with the length of the path and with the rules that share host and path, not with the others.

use std::borrow::Cow;
use std::collections::HashMap;

use regex::{RegexSet, RegexSetBuilder};

use super::Rule;
use super::host::{Host, HostPattern};
use super::matching::{PathMatch, RuleMatch};
use crate::check::pattern::TextPattern;

/// The rules by host and path. Numbers are places in the configuration, each list ascending.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleIndex {
    any_host: PathIndex,
    /// By name in lower case.
    hosts: HashMap<Box<str>, PathIndex>,
    /// By what follows the `*`, in lower case: `.example.com`.
    below: HashMap<Box<str>, PathIndex>,
}

impl RuleIndex {
    /// Rules that are only meant to be named are left out.
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (place, rule) in rules.iter().enumerate().filter(|(_, rule)| !rule.by_name_only) {
            let RuleMatch { path, hosts, .. } = &rule.matches;
            if hosts.is_empty() {
                index.any_host.add(path, place);
            }
            for host in hosts {
                let paths = match host {
                    HostPattern::Exact(name) => index.hosts.entry(name.as_str().into()),
                    HostPattern::Below(suffix) => index.below.entry(suffix.as_str().into()),
                };
                paths.or_default().add(path, place);
            }
        }
        let of_hosts = index.hosts.values_mut().chain(index.below.values_mut());
        of_hosts.chain([&mut index.any_host]).for_each(PathIndex::finish);
        index
    }

    /// The rules that may apply, in their order.
    pub(super) fn candidates<'a>(&'a self, host: &Host<'_>, path: &str) -> Candidates<'a> {
        let mut lists = Vec::new();
        self.any_host.collect(path, &mut lists);
        if !self.hosts.is_empty() || !self.below.is_empty() {
            let host = lower(host.0);
            if let Some(paths) = self.hosts.get(&*host) {
                paths.collect(path, &mut lists);
            }
            if !self.below.is_empty() {
                for (dot, _) in host.match_indices('.') {
                    let paths = host.get(dot..).and_then(|suffix| self.below.get(suffix));
                    paths.into_iter().for_each(|paths| paths.collect(path, &mut lists));
                }
            }
        }
        Candidates { lists }
    }
}

fn lower(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Ascending lists, read as one.
pub(super) struct Candidates<'a> {
    lists: Vec<&'a [usize]>,
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let next = self.lists.iter().filter_map(|list| list.first().copied()).min()?;
        for list in &mut self.lists {
            if let Some((first, rest)) = list.split_first()
                && *first == next
            {
                *list = rest;
            }
        }
        Some(next)
    }
}

/// The rules of one host, or of all, by path.
#[derive(Clone, Debug, Default)]
struct PathIndex {
    any: Vec<usize>,
    root: Node,
    /// Rules with an expression.
    regexes: Vec<usize>,
    /// All those expressions in one automaton. `None` if they do not fit into one: then each rule is asked.
    set: Option<RegexSet>,
    /// Rule and expression, until all are there.
    expressions: Vec<(usize, String)>,
}

/// A place in the tree of segments.
#[derive(Clone, Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Self>,
    /// Any segment that is not empty.
    parameter: Option<Box<Self>>,
    /// Rules whose path ends here.
    exact: Vec<usize>,
    /// Rules about this and everything below.
    below: Vec<usize>,
}

/// For all expressions of a host together, compiled.
const MAX_COMPILED_BYTES: usize = 16 << 20;

impl PathIndex {
    fn add(&mut self, path: &PathMatch, rule: usize) {
        match path {
            PathMatch::Any => push(&mut self.any, rule),
            PathMatch::Exact(path) => push(&mut self.root.at(segments(path)).exact, rule),
            PathMatch::Prefix(path) => {
                let node =
                    if path.is_empty() { &mut self.root } else { self.root.at(segments(path)) };
                push(&mut node.below, rule);
            }
            PathMatch::Template(template) => {
                let node = self.root.at(template.segments.iter().map(Option::as_deref));
                push(if template.below { &mut node.below } else { &mut node.exact }, rule);
            }
            PathMatch::Regex(TextPattern::Regex(regex)) => {
                self.expressions.push((rule, regex.as_str().to_owned()));
            }
            PathMatch::Regex(_) => push(&mut self.any, rule),
        }
    }

    /// To be called once all rules are there.
    fn finish(&mut self) {
        let expressions = std::mem::take(&mut self.expressions);
        if expressions.is_empty() {
            return;
        }
        self.regexes = expressions.iter().map(|(rule, _)| *rule).collect();
        let mut set = RegexSetBuilder::new(expressions.into_iter().map(|(_, text)| text));
        self.set = set.size_limit(MAX_COMPILED_BYTES).build().ok();
    }

    fn collect<'a>(&'a self, path: &str, lists: &mut Vec<&'a [usize]>) {
        let mut add = |list: &'a [usize]| {
            if !list.is_empty() {
                lists.push(list);
            }
        };
        add(&self.any);
        match &self.set {
            None => add(&self.regexes),
            Some(set) => {
                for place in set.matches(path) {
                    add(self.regexes.get(place..=place).unwrap_or_default());
                }
            }
        }
        // What does not start with a slash only the root may be about.
        let Some(rest) = path.strip_prefix('/') else { return add(&self.root.below) };
        let mut open = vec![(&self.root, Some(rest))];
        while let Some((node, rest)) = open.pop() {
            add(&node.below);
            let Some(rest) = rest else {
                add(&node.exact);
                continue;
            };
            let (segment, rest) =
                rest.split_once('/').map_or((rest, None), |(head, tail)| (head, Some(tail)));
            open.extend(node.children.get(segment).map(|child| (child, rest)));
            if !segment.is_empty() {
                open.extend(node.parameter.as_deref().map(|child| (child, rest)));
            }
        }
    }
}

/// A rule that names a host twice is in its list once.
fn push(list: &mut Vec<usize>, rule: usize) {
    if list.last() != Some(&rule) {
        list.push(rule);
    }
}

fn segments(path: &str) -> impl Iterator<Item = Option<&str>> {
    path.strip_prefix('/').unwrap_or(path).split('/').map(Some)
}

impl Node {
    /// The node at the end of `segments`, of which `None` is any.
    fn at<'a>(&mut self, segments: impl Iterator<Item = Option<&'a str>>) -> &mut Self {
        segments.fold(self, |node, segment| match segment {
            Some(literal) => node.children.entry(literal.into()).or_default(),
            None => node.parameter.get_or_insert_default(),
        })
    }
}
