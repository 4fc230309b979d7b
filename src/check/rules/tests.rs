//! Which rule applies to which request.

use super::*;
use crate::check::host::HostPattern;
use crate::check::pattern::TextPattern;
use crate::check::requirement::TokenRequirement;

fn rule(index: usize, name: &str, path: PathMatch, open: bool) -> Rule {
    let requirement = Requirement::Token(TokenRequirement::default());
    let token = TokenRule {
        requirement,
        optional: false,
        several: SeveralTokens::Refuse,
        checks_revocation: true,
    };
    Rule {
        label: Label::new(index, name),
        matches: RuleMatch { path, ..RuleMatch::default() },
        by_name_only: false,
        action: if open { RuleAction::AllowAnyone } else { RuleAction::Require(token) },
        tokens: Arc::new(TokenLocations::default()),
        keep_token: false,
        mode: RuleMode::Enforce,
    }
}

fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

fn request(method: &str, host: &str, path: &str) -> CheckRequest<'static> {
    let (method, host, path) = (method.to_owned(), host.to_owned(), path.to_owned());
    let (method, host, path) = (method.into(), host.into(), path.into());
    CheckRequest { method, host, path, ..CheckRequest::default() }
}

fn selected(rules: &RuleSet, request: &CheckRequest<'_>) -> String {
    match rules.select(request) {
        Selection::None(_) => "none".to_owned(),
        Selection::Open(rule) => format!("open {}", rule.label),
        Selection::Closed { first, others, .. } => {
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
        "/public/%2541",
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

#[test]
fn an_opening_rule_matches_a_path_whose_escapes_change_nothing() {
    let rules = RuleSet::new(vec![
        rule(0, "public", prefix("/public"), true),
        rule(1, "rest", PathMatch::Any, false),
    ]);
    assert_eq!(get(&rules, "/public/a%20b/caf%C3%A9"), "open public");
    // To whoever does not decode it, this is not below /public.
    assert_eq!(get(&rules, "/%70ublic/x"), "rest");
    assert_eq!(get(&rules, "/public/%2e%2e/x"), "rest");
}

#[test]
fn templates_and_expressions_match_whole_paths() {
    let template = |segments: &[Option<&str>], below| {
        let segments = segments.iter().map(|one| one.map(str::to_owned)).collect();
        PathMatch::Template(PathTemplate { segments, below })
    };
    let rules = RuleSet::new(vec![
        rule(0, "order", template(&[Some("orders"), None], false), false),
        rule(1, "items", template(&[Some("orders"), None, Some("items")], true), false),
        rule(2, "files", PathMatch::Regex(TextPattern::regex("/f/[a-z]+\\.txt").unwrap()), false),
    ]);
    for (path, name) in [
        ("/orders/7", "order"),
        ("/orders/7?x=/", "order"),
        ("/orders/", "none"),
        ("/orders", "none"),
        ("/orders/7/", "none"),
        ("/orders/7/items", "items"),
        ("/orders/7/items/1/2", "items"),
        ("/orders//items", "none"),
        ("/orders/7/itemsx", "none"),
        ("/f/a.txt", "files"),
        ("/f/a.txt2", "none"),
        ("/x/f/a.txt", "none"),
        ("/f/A.txt", "none"),
    ] {
        assert_eq!(get(&rules, path), name, "{path}");
    }
}

#[test]
fn envoy_names_a_rule_for_a_route_and_an_unknown_name_denies() {
    let mut named = rule(2, "named", PathMatch::Any, false);
    named.by_name_only = true;
    let rules = RuleSet::new(vec![
        rule(0, "open", prefix("/public"), true),
        rule(1, "admin", prefix("/admin"), false),
        named,
    ]);
    let with = |path: &str, names: &[&str]| {
        let context = names.iter().map(|name| (CONTEXT_RULE.into(), (*name).into()));
        selected(&rules, &CheckRequest { context: context.collect(), ..request("GET", "h", path) })
    };
    assert_eq!(with("/public", &["admin"]), "admin");
    assert_eq!(with("/anything", &["named"]), "named");
    assert_eq!(with("/anything", &["open"]), "open open");
    assert_eq!(with("/a/../b", &["named"]), "named");
    assert_eq!(with("/a/../b", &["open"]), "none");
    for names in [&["Admin"][..], &[""], &["nobody"], &["admin", "admin"], &["admin", "open"]] {
        assert_eq!(with("/public", names), "none", "{names:?}");
    }
    assert_eq!(get(&rules, "/anything"), "none");
    for (key, selects) in
        [("claimgate.rules", "none"), ("claimgate.Rule", "none"), ("claimgate_rule", "open open")]
    {
        let context = vec![(key.into(), "admin".into())];
        let sent = CheckRequest { context, ..request("GET", "h", "/public") };
        assert_eq!(selected(&rules, &sent), selects, "{key}");
    }
    // What a client sends is no context.
    let headers = vec![(CONTEXT_RULE.into(), "open".into())];
    let sent = CheckRequest { headers, ..request("GET", "h", "/admin") };
    assert_eq!(selected(&rules, &sent), "admin");
}

#[test]
fn headers_are_conditions_on_any_of_their_values() {
    let mut versioned = rule(0, "v2", PathMatch::Any, false);
    let value = Some(TextPattern::Exact("2".into()));
    versioned.matches.headers = vec![HeaderMatch { name: "x-version".to_owned(), value }];
    let mut present = rule(1, "tenant", PathMatch::Any, false);
    present.matches.headers = vec![HeaderMatch { name: "x-tenant".to_owned(), value: None }];
    let rules = RuleSet::new(vec![versioned, present, rule(2, "rest", PathMatch::Any, false)]);
    for (headers, name) in [
        (vec![("X-Version", "2")], "v2"),
        (vec![("x-version", "1, 2")], "v2"),
        (vec![("x-version", "1"), ("x-version", "2")], "v2"),
        (vec![("x-version", "22")], "rest"),
        (vec![("x-tenant", "")], "tenant"),
        (vec![], "rest"),
    ] {
        let named = headers.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        let sent = CheckRequest { headers: named.collect(), ..request("GET", "h", "/") };
        assert_eq!(selected(&rules, &sent), name, "{headers:?}");
    }
}

/// What the index is there to save: asking every rule in order.
fn scanned<'a>(rules: &'a RuleSet, request: &CheckRequest<'_>, path: &str) -> Option<&'a Rule> {
    let target = Target { request, host: Host::parse(&request.host).unwrap() };
    let mut rules = rules.rules().iter();
    rules.find(|rule| !rule.by_name_only && rule.matches.holds(&target, path, rule.opens()))
}

#[test]
fn the_index_finds_the_rule_that_a_scan_would_find() {
    // A small generator of its own, so that a failure can be seen again.
    let mut state = 7_u64;
    let mut pick = move |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % most
    };
    let words = ["", "a", "b", "ab", "orders", "x"];
    let hosts = ["a.example", "b.a.example", "c.b.a.example", "example", "other.org"];
    for _ in 0..200 {
        let mut rules = Vec::new();
        for index in 0..1 + pick(40) {
            let segments: Vec<&str> = (0..pick(4)).map(|_| words[pick(words.len())]).collect();
            let text = format!("/{}", segments.join("/"));
            let path = match pick(5) {
                0 => PathMatch::Any,
                1 => PathMatch::Exact(text),
                2 => PathMatch::Prefix(text.trim_end_matches('/').to_owned()),
                3 => {
                    let any =
                        |one: &&str| (!one.is_empty() && one.len() > 1).then(|| (*one).to_owned());
                    let segments = segments.iter().map(any).collect();
                    PathMatch::Template(PathTemplate { segments, below: pick(2) == 0 })
                }
                _ => PathMatch::Regex(TextPattern::regex(&format!("{text}.?")).unwrap()),
            };
            let mut one = rule(index, &format!("r{index}"), path, pick(3) == 0);
            for _ in 0..pick(3) {
                let host = hosts[pick(hosts.len())];
                one.matches.hosts.push(match pick(2) {
                    0 => HostPattern::Exact(host.to_owned()),
                    _ => HostPattern::Below(format!(".{host}")),
                });
            }
            if pick(4) == 0 {
                one.matches.methods.push("POST".to_owned());
            }
            rules.push(one);
        }
        let rules = RuleSet::new(rules);
        for _ in 0..100 {
            let segments: Vec<&str> = (0..1 + pick(4)).map(|_| words[pick(words.len())]).collect();
            let path = format!("/{}", segments.join("/"));
            let method = ["GET", "POST"][pick(2)];
            let request = request(method, &hosts[pick(hosts.len())].to_uppercase(), &path);
            let target = Target { request: &request, host: Host::parse(&request.host).unwrap() };
            let found = rules.find(&target, &path, |_| true);
            let expected = scanned(&rules, &request, &path);
            let (found, expected) = (found.map(|one| &one.label), expected.map(|one| &one.label));
            assert_eq!(found, expected, "{request:?} {path} {:#?}", rules.rules());
        }
    }
}

#[test]
fn of_ten_thousand_rules_a_request_is_held_against_the_few_that_may_be_about_it() {
    let template = |index: usize| {
        PathMatch::Template(PathTemplate {
            segments: vec![Some(format!("t{index}")), None],
            below: false,
        })
    };
    let rules = (0..10_000).map(|index| {
        let path = match index % 4 {
            0 => PathMatch::Exact(format!("/e{index}")),
            1 => prefix(&format!("/p{index}")),
            2 => template(index),
            _ => PathMatch::Any,
        };
        let mut one = rule(index, &format!("r{index}"), path, false);
        if index % 4 == 3 {
            one.matches.hosts.push(HostPattern::Exact(format!("h{index}.example")));
        }
        one
    });
    let rules = RuleSet::new(rules.collect());
    for (host, path, name) in [
        ("h", "/e4000", "r4000"),
        ("h", "/p4001/x/y", "r4001"),
        ("h", "/t4002/7", "r4002"),
        ("H4003.example:80", "/x", "r4003"),
        ("h", "/nothing", "none"),
    ] {
        let request = request("GET", host, path);
        assert_eq!(selected(&rules, &request), name);
        let host = Host::parse(&request.host).unwrap();
        assert!(rules.index.candidates(&host, path).count() <= 2, "{host:?} {path}");
    }
}
