//! Finds the few rules that may apply to a request among thousands, without asking each: by host, then by the segments
//! of the path. What it names is a superset, in the order of the configuration; [`super::RuleSet`] asks those rules.
//!
//! The work grows with the length of the path and with the rules that share host and path, not with the others.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use regex::{RegexSet, RegexSetBuilder};

use super::Rule;
use super::matching::{PathMatch, RuleMatch};
use crate::check::host::{Host, HostPattern};
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
        let (mut lists, mut matched) = (Vec::new(), Vec::new());
        self.any_host.collect(path, &mut lists, &mut matched);
        if !self.hosts.is_empty() || !self.below.is_empty() {
            let host = lower(host.0);
            if let Some(paths) = self.hosts.get(&*host) {
                paths.collect(path, &mut lists, &mut matched);
            }
            if !self.below.is_empty() {
                for (dot, _) in host.match_indices('.') {
                    let paths = host.get(dot..).and_then(|suffix| self.below.get(suffix));
                    if let Some(paths) = paths {
                        paths.collect(path, &mut lists, &mut matched);
                    }
                }
            }
        }
        matched.sort_unstable();
        matched.dedup();
        Candidates { lists, matched: matched.into_iter().peekable() }
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
    /// Those with an expression, of which many may match: one list.
    matched: Peekable<IntoIter<usize>>,
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let firsts = self.lists.iter().filter_map(|list| list.first());
        let next = firsts.chain(self.matched.peek()).copied().min()?;
        self.matched.next_if_eq(&next);
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
    regexes: Vec<Expressions>,
    /// Rule and expression, until all are there.
    expressions: Vec<(usize, String)>,
}

/// Rules with an expression, some of all.
#[derive(Clone, Debug)]
struct Expressions {
    rules: Vec<usize>,
    /// Their expressions in one automaton. `None` if they do not fit into one: then each rule is asked.
    set: Option<RegexSet>,
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

/// Expressions in one automaton. Of more, its states no longer fit into their memory, and what it does then takes a time
/// that grows with all of them at each byte: of five thousand, seconds for one path.
const MOST_TOGETHER: usize = 128;

/// For the expressions in one automaton, compiled, and for its states while it is at work.
const MAX_COMPILED_BYTES: usize = 16 << 20;
const MAX_STATE_BYTES: usize = 512 << 10;

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
        let together = expressions.chunks(MOST_TOGETHER).map(|some| {
            let mut set = RegexSetBuilder::new(some.iter().map(|(_, text)| text));
            set.size_limit(MAX_COMPILED_BYTES).dfa_size_limit(MAX_STATE_BYTES);
            Expressions {
                rules: some.iter().map(|(rule, _)| *rule).collect(),
                set: set.build().ok(),
            }
        });
        self.regexes = together.collect();
    }

    fn collect<'a>(&'a self, path: &str, lists: &mut Vec<&'a [usize]>, matched: &mut Vec<usize>) {
        let mut add = |list: &'a [usize]| {
            if !list.is_empty() {
                lists.push(list);
            }
        };
        add(&self.any);
        for Expressions { rules, set } in &self.regexes {
            match set {
                None => add(rules),
                Some(set) => {
                    let places = set.matches(path).into_iter();
                    matched.extend(places.filter_map(|place| rules.get(place)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_expressions_are_looked_for_in_small_automata() {
        let mut index = PathIndex::default();
        for rule in 0..1000 {
            let pattern = TextPattern::regex(&format!("/.*/svc{rule}/.*")).unwrap();
            index.add(&PathMatch::Regex(pattern), rule);
        }
        index.add(&PathMatch::Prefix("/a".to_owned()), 500);
        index.finish();
        let fits = |one: &Expressions| one.set.is_some() && one.rules.len() <= MOST_TOGETHER;
        assert!(index.regexes.iter().all(fits));
        let index = RuleIndex { any_host: index, ..RuleIndex::default() };
        let found = |path: &str| index.candidates(&Host("h"), path).collect::<Vec<_>>();
        assert_eq!(found("/a/svc999/svc7/svc128/"), [7, 128, 500, 999]);
        assert_eq!(found("/b/svc1000/"), [0; 0]);
    }
}
