//! Which requirement applies to a request. The first rule that matches wins; no match denies.
//!
//! A rule that opens something must not be reached by a path that somebody else reads differently, and a
//! rule that closes something must not be walked around by one. So an opening rule matches plain paths
//! only, and an ambiguous path has to satisfy what each of its readings asks for.

use super::path::RequestPath;
use super::request::CheckRequest;
use crate::token::VerifiedToken;
use crate::util::label::Label;

/// The rules in order.
#[derive(Clone, Debug)]
pub struct RuleSet(Vec<Rule>);

/// One rule: which requests, and what they need.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in decisions, logs and metrics.
    pub label: Label,
    /// Which requests it is about.
    pub matches: RuleMatch,
    /// What they need.
    pub action: RuleAction,
}

/// Which requests a rule is about: all conditions must hold; one that is empty always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleMatch {
    /// The path, without the query. Case matters.
    pub path: PathMatch,
    /// One of these methods, in upper case.
    pub methods: Vec<String>,
    /// One of these hosts.
    pub hosts: Vec<HostPattern>,
}

/// A condition on the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PathMatch {
    /// Any path, also none at all.
    #[default]
    Any,
    /// Exactly this path.
    Exact(String),
    /// This path and everything below it: `/admin` and `/admin/x`, never `/administrator`. Kept without
    /// its trailing slash.
    Prefix(String),
}

/// A condition on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host, in lower case, without port or trailing dot.
    Exact(String),
    /// Any host below this suffix, which starts with a dot: `*.example.com`.
    Below(String),
}

/// What a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleAction {
    /// Nothing. No token is looked at, and the upstream gets no claim header.
    AllowAnyone,
    /// A verified token that does for one of these.
    Require(Vec<Requirement>),
}

/// What a token must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Signed by this issuer.
    pub issuer: Label,
}

impl RuleSet {
    /// These rules, tried in order. Their labels number them from 0.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// The rules in order.
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// Finds what applies.
    pub fn select(&self, request: &CheckRequest) -> Selection<'_> {
        let Ok(host) = Host::parse(&request.host) else { return Selection::None };
        let request = Target { method: &request.method, host, path: &request.path };
        match RequestPath::parse(request.path) {
            RequestPath::Plain(path) => {
                match self.0.iter().find(|rule| rule.matches(&request, path)) {
                    None => Selection::None,
                    Some(rule) if rule.is_open() => Selection::Open(rule),
                    Some(rule) => Selection::Closed { first: rule, others: Vec::new() },
                }
            }
            RequestPath::Ambiguous(readings) => self.select_for_each(&request, &readings),
            RequestPath::Unreadable => Selection::None,
        }
    }

    fn select_for_each(&self, request: &Target<'_>, readings: &[String]) -> Selection<'_> {
        let mut selected: Vec<&Rule> = Vec::new();
        for reading in readings {
            let mut closing = self.0.iter().filter(|rule| !rule.is_open());
            // Where one reading leads to something that no rule allows, the request goes nowhere.
            let Some(rule) = closing.find(|rule| rule.matches(request, reading)) else {
                return Selection::None;
            };
            if !selected.iter().any(|other| other.label == rule.label) {
                selected.push(rule);
            }
        }
        selected.sort_by_key(|rule| rule.label.index());
        let mut selected = selected.into_iter();
        match selected.next() {
            Some(first) => Selection::Closed { first, others: selected.collect() },
            None => Selection::None,
        }
    }
}

/// What applies to a request.
#[derive(Clone, Debug)]
pub enum Selection<'a> {
    /// No rule: the request is denied.
    None,
    /// A rule that lets anyone pass.
    Open(&'a Rule),
    /// Rules that need a token, which must do for every one of them.
    Closed {
        /// The first of them in the configuration: decision, log and metric name it.
        first: &'a Rule,
        /// The others; a plain path has none.
        others: Vec<&'a Rule>,
    },
}

impl Rule {
    /// Whether the rule lets anyone pass.
    pub fn is_open(&self) -> bool {
        match self.action {
            RuleAction::AllowAnyone => true,
            RuleAction::Require(_) => false,
        }
    }

    /// Whether `token` is what the rule asks for.
    pub fn accepts(&self, token: &VerifiedToken) -> bool {
        match &self.action {
            RuleAction::AllowAnyone => true,
            RuleAction::Require(any_of) => {
                any_of.iter().any(|requirement| requirement.issuer == *token.issuer())
            }
        }
    }

    fn matches(&self, request: &Target<'_>, path: &str) -> bool {
        self.matches_method(request.method)
            && self.matches_host(&request.host)
            && self.matches_path(path)
    }

    /// Methods are case-sensitive (RFC 9110 §9.1), but an upstream may not know: `post` must not
    /// walk around a rule that closes `POST`.
    fn matches_method(&self, method: &str) -> bool {
        let methods = &self.matches.methods;
        let is_named = |name: &String| {
            if self.is_open() { name == method } else { name.eq_ignore_ascii_case(method) }
        };
        methods.is_empty() || methods.iter().any(is_named)
    }

    fn matches_host(&self, host: &Host<'_>) -> bool {
        let hosts = &self.matches.hosts;
        hosts.is_empty() || hosts.iter().any(|pattern| pattern.matches(host.0))
    }

    fn matches_path(&self, path: &str) -> bool {
        match &self.matches.path {
            PathMatch::Any => true,
            PathMatch::Exact(exact) => path == exact,
            PathMatch::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host.eq_ignore_ascii_case(exact),
            Self::Below(suffix) => {
                let start = host.len().checked_sub(suffix.len());
                let tail = start.filter(|start| *start > 0).and_then(|start| host.get(start..));
                tail.is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
            }
        }
    }
}

struct Target<'a> {
    method: &'a str,
    host: Host<'a>,
    path: &'a str,
}

/// A host without port and trailing dot; case is left as sent.
struct Host<'a>(&'a str);

impl<'a> Host<'a> {
    /// Refuses what is no authority (userinfo, lists, spaces), so that no rule is chosen by it.
    fn parse(authority: &'a str) -> Result<Self, ()> {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) => host,
            // An IPv6 address ends in its bracket.
            Some(_) if authority.ends_with(']') => authority,
            Some(_) => return Err(()),
            None => authority,
        };
        let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let (name, separator) = match address {
            Some(address) => (address, ':'),
            None => (host.strip_suffix('.').unwrap_or(host), '.'),
        };
        // An escape or an empty label would be another host to whoever decodes or trims it.
        let is_plain = |c: char| c == separator || c.is_ascii_alphanumeric() || "-._~".contains(c);
        let has_gap = address.is_none() && !name.is_empty() && name.split('.').any(str::is_empty);
        if has_gap || !name.chars().all(is_plain) {
            return Err(());
        }
        Ok(Self(if address.is_some() { host } else { name }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(index: usize, name: &str, path: PathMatch, open: bool) -> Rule {
        let requirement = Requirement { issuer: Label::new(0, "accounts") };
        let action =
            if open { RuleAction::AllowAnyone } else { RuleAction::Require(vec![requirement]) };
        let matches = RuleMatch { path, ..RuleMatch::default() };
        Rule { label: Label::new(index, name), matches, action }
    }

    fn prefix(path: &str) -> PathMatch {
        PathMatch::Prefix(path.to_owned())
    }

    fn request(method: &str, host: &str, path: &str) -> CheckRequest {
        let (method, host, path) = (method.to_owned(), host.to_owned(), path.to_owned());
        CheckRequest { method, host, path, headers: Vec::new() }
    }

    fn selected(rules: &RuleSet, request: &CheckRequest) -> String {
        match rules.select(request) {
            Selection::None => "none".to_owned(),
            Selection::Open(rule) => format!("open {}", rule.label),
            Selection::Closed { first, others } => {
                let rules = std::iter::once(first).chain(others);
                let names: Vec<&str> = rules.map(|rule| rule.label.name()).collect();
                names.join("+")
            }
        }
    }

    fn get(rules: &RuleSet, path: &str) -> String {
        selected(rules, &request("GET", "example.com", path))
    }

    #[test]
    fn the_first_match_wins_and_no_match_selects_nothing() {
        let rules = RuleSet::new(vec![
            rule(0, "health", PathMatch::Exact("/healthz".to_owned()), true),
            rule(1, "admin", prefix("/admin"), false),
        ]);
        assert_eq!(get(&rules, "/healthz?x=1"), "open health");
        assert_eq!(get(&rules, "/admin"), "admin");
        assert_eq!(get(&rules, "/admin/x"), "admin");
        assert_eq!(get(&rules, "/administrator"), "none");
        assert_eq!(get(&rules, "/Admin"), "none");
        assert_eq!(get(&rules, "/healthz/"), "none");
    }

    #[test]
    fn an_opening_rule_matches_plain_paths_only() {
        let rules = RuleSet::new(vec![rule(0, "public", prefix("/public"), true)]);
        assert_eq!(get(&rules, "/public/x"), "open public");
        for path in [
            "/public/../admin",
            "/public//x",
            "/public/./x",
            "/public/x;y",
            "/public/%2e%2e/admin",
            "/public/..%2fadmin",
            "/public/x%00",
            "/public\\x",
            "/public/%zz",
            "/public/#x",
            "/public/ä",
        ] {
            assert_eq!(get(&rules, path), "none", "{path}");
        }
    }

    #[test]
    fn a_closing_rule_cannot_be_walked_around() {
        let rules = RuleSet::new(vec![
            rule(0, "public", prefix("/public"), true),
            rule(1, "weak", prefix("/weak"), false),
            rule(2, "admin", prefix("/admin"), false),
            rule(3, "rest", PathMatch::Any, false),
        ]);
        for path in [
            "/public/../admin",
            "//admin",
            "/public/..;/admin/x",
            "/%61dmin",
            "/public/%2e%2e/admin",
            "/public/..%252fadmin",
            "/x\\..\\admin",
            "/;/admin",
        ] {
            let names = get(&rules, path);
            assert!(names.split('+').any(|name| name == "admin"), "{path}: {names}");
            assert!(!names.contains("open"), "{path}: {names}");
        }
        assert_eq!(get(&rules, "/weak/../admin"), "weak+admin");
    }

    #[test]
    fn a_reading_that_no_rule_allows_denies_the_request() {
        let rules = RuleSet::new(vec![rule(0, "api", prefix("/api"), false)]);
        assert_eq!(get(&rules, "/api/x%20y"), "api");
        assert_eq!(get(&rules, "/api/..%2fsecret"), "none");
        assert_eq!(get(&rules, "/api/%00"), "none");
    }

    #[test]
    fn methods_close_in_any_case_and_open_in_the_right_one_only() {
        let mut open = rule(0, "open", PathMatch::Any, true);
        open.matches.methods = vec!["GET".to_owned()];
        let mut closed = rule(1, "closed", PathMatch::Any, false);
        closed.matches.methods = vec!["POST".to_owned()];
        let rules = RuleSet::new(vec![open, closed]);
        assert_eq!(selected(&rules, &request("GET", "h", "/")), "open open");
        assert_eq!(selected(&rules, &request("get", "h", "/")), "none");
        assert_eq!(selected(&rules, &request("post", "h", "/")), "closed");
        assert_eq!(selected(&rules, &request("CONNECT", "h", "")), "none");
    }

    #[test]
    fn hosts_are_compared_without_case_port_and_trailing_dot() {
        let mut exact = rule(0, "exact", PathMatch::Any, false);
        exact.matches.hosts = vec![HostPattern::Exact("api.example.com".to_owned())];
        let mut below = rule(1, "below", PathMatch::Any, false);
        below.matches.hosts = vec![HostPattern::Below(".example.org".to_owned())];
        let rules = RuleSet::new(vec![exact, below]);
        for host in
            ["api.example.com", "API.example.COM:8443", "api.example.com.", "api.example.com.:80"]
        {
            assert_eq!(selected(&rules, &request("GET", host, "/")), "exact", "{host}");
        }
        assert_eq!(selected(&rules, &request("GET", "a.b.example.org", "/")), "below");
        for host in ["example.org", ".example.org", "evilexample.org", "api.example.com.evil", ""] {
            assert_eq!(selected(&rules, &request("GET", host, "/")), "none", "{host}");
        }
    }

    #[test]
    fn an_authority_that_is_none_matches_no_rule() {
        let rules = RuleSet::new(vec![rule(0, "rest", PathMatch::Any, false)]);
        // `h..`, `h%2e` and `h]` would be no host that a closing rule names, and `h` to somebody else.
        for host in [
            "u@h",
            "a,b",
            "a b",
            "h:x",
            "a:b:c",
            "h/x",
            "ä",
            "h..",
            ".h",
            "a..h",
            "%68",
            "h%2e",
            "h]",
            "[h",
            "[::1%25lo]",
        ] {
            assert_eq!(selected(&rules, &request("GET", host, "/")), "none", "{host}");
        }
        for host in ["", "h", "h:443", "[::1]", "[::1]:443"] {
            assert_eq!(selected(&rules, &request("GET", host, "/")), "rest", "{host}");
        }
    }
}
