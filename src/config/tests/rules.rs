//! What rules may ask for, and the path at which each mistake in one is reported.

use super::*;

#[test]
fn every_mistake_in_a_requirement_is_reported_at_its_path() {
    #[rustfmt::skip]
    let table = [
        ("issuer: accounts, any_of: [{issuer: accounts}]", ""),
        ("any_of: [{issuer: accounts}], all_of: [{issuer: accounts}]", ""),
        ("scopes: [a]", ""),
        ("any_of: [{issuer: accounts}, {scopes: [a]}]", ""),
        ("all_of: [{scopes: [a]}, {roles: [b]}]", ""),
        ("any_of: [{all_of: [{scopes: [a]}]}, {issuer: accounts}]", ""),
        ("any_of: [{issuer: accounts, optional: true}]", ".any_of[0].optional"),
        ("issuer: accounts, audiences: []", ".audiences"),
        ("issuer: accounts, audiences: ['']", ".audiences[0]"),
        ("issuer: accounts, subjects: []", ".subjects"),
        ("issuer: accounts, subjects: [7]", ".subjects[0]"),
        ("issuer: accounts, subjects: ['']", ".subjects[0]"),
        ("issuer: accounts, subjects: [{}]", ".subjects[0]"),
        ("issuer: accounts, subjects: [{prefix: ''}]", ".subjects[0]"),
        ("issuer: accounts, subjects: [{prefix: a, suffix: b}]", ".subjects[0]"),
        ("issuer: accounts, subjects: [{regex: '('}]", ".subjects[0].regex"),
        ("issuer: accounts, subjects: [{glob: a}]", ".subjects[0].glob"),
        ("issuer: accounts, scopes: []", ".scopes"),
        ("issuer: accounts, scopes: ['a b']", ".scopes[0]"),
        ("issuer: accounts, any_scope: [a, a]", ".any_scope[1]"),
        ("issuer: accounts, roles: []", ".roles"),
        ("issuer: accounts, claims: []", ".claims"),
        ("issuer: accounts, claims: [{claim: a}]", ".claims[0]"),
        ("issuer: accounts, claims: [{equals: a}]", ".claims[0].claim"),
        ("issuer: accounts, claims: [{claim: a..b, equals: a}]", ".claims[0].claim"),
        ("issuer: accounts, claims: [{claim: a, equals: a, exists: true}]", ".claims[0]"),
        ("issuer: accounts, claims: [{claim: a, equals: 1.5}]", ".claims[0].equals"),
        ("issuer: accounts, claims: [{claim: a, equals: [a]}]", ".claims[0].equals"),
        ("issuer: accounts, claims: [{claim: a, one_of: []}]", ".claims[0].one_of"),
        ("issuer: accounts, claims: [{claim: a, contains_all: [a, {}]}]", ".claims[0].contains_all[1]"),
        ("issuer: accounts, claims: [{claim: a, matches: '(?=a)'}]", ".claims[0].matches"),
        ("issuer: accounts, when: ''", ".when"),
        ("issuer: accounts, when: '1 +'", ".when"),
        ("issuer: accounts, when: claims.a + 1", ".when"),
        ("issuer: accounts, when: claim.a == 1", ".when"),
        ("issuer: accounts, when: request.query.a == claims.a", ".when"),
        ("issuer: accounts, when: claims.a.matches(claims.b)", ".when"),
        ("any_of: [{issuer: accounts, when: now() > 1}]", ".any_of[0].when"),
    ];
    for (require, place) in table {
        let text = with("require: {issuer: accounts}", &format!("require: {{{require}}}"));
        let expected = format!("rules[0].require{place}");
        assert_eq!(places(&text), [expected], "{require}: {:?}", mistakes(&text));
    }
}

#[test]
fn every_mistake_in_a_rule_is_reported_at_its_path() {
    const REQUIRE: &str = "require: {issuer: accounts}";
    #[rustfmt::skip]
    let table = [
        ("allow: anyone\n    match: {headers: [{name: x-probe}]}", "match.headers"),
        ("require: {issuer: accounts, optional: true}\n    match: {headers: [{name: x-probe}]}", "match.headers"),
        ("require: {issuer: accounts}\n    mode: shadow\n    match: {headers: [{name: x-probe}]}", "match.headers"),
        ("allow: anyone\n    mode: shadow", "mode"),
        ("allow: anyone\n    all_tokens: verify", "all_tokens"),
        ("require: {issuer: accounts}\n    mode: dry", "mode"),
        ("require: {issuer: accounts}\n    all_tokens: all", "all_tokens"),
        ("require: {issuer: accounts}\n    by_name_only: true\n    match: {path: /a}", "match"),
        ("require: {issuer: accounts}\n    tokens: []", "tokens"),
        ("require: {issuer: accounts}\n    tokens: [{header: x-jwt-sub}]", "tokens"),
        ("require: {issuer: accounts}\n    match: {path: '/a/{id}'}", "match.path"),
        ("require: {issuer: accounts}\n    match: {path_template: a}", "match.path_template"),
        ("require: {issuer: accounts}\n    match: {path_template: '/a{id}'}", "match.path_template"),
        ("require: {issuer: accounts}\n    match: {path_template: '/{}'}", "match.path_template"),
        ("require: {issuer: accounts}\n    match: {path_template: '/a//{b}'}", "match.path_template"),
        ("require: {issuer: accounts}\n    match: {path_template: '/**/a'}", "match.path_template"),
        ("require: {issuer: accounts}\n    match: {path_regex: '(a'}", "match.path_regex"),
        ("require: {issuer: accounts}\n    match: {path: /a, path_regex: b}", "match"),
        ("require: {issuer: accounts}\n    match: {headers: []}", "match.headers"),
        ("require: {issuer: accounts}\n    match: {headers: [{exact: a}]}", "match.headers[0].name"),
        ("require: {issuer: accounts}\n    match: {headers: [{name: x_a}]}", "match.headers[0].name"),
        ("require: {issuer: accounts}\n    match: {headers: [{name: a, exact: b, regex: c}]}", "match.headers[0]"),
        ("require: {all_of: [{issuer: accounts}, {scopes: [a]}]}\n    all_tokens: verify", "require"),
    ];
    for (rule, place) in table {
        let text = with(REQUIRE, rule);
        let expected = format!("rules[0].{place}");
        assert_eq!(places(&text), [expected], "{rule}: {:?}", mistakes(&text));
    }
}

#[test]
fn every_way_to_ask_for_something_compiles() {
    for require in [
        "all_of: [{any_of: [{issuer: accounts}]}, {scopes: [a]}]",
        "any_of: [{all_of: [{issuer: accounts}, {roles: [a]}]}, {issuer: accounts, any_scope: [b]}]",
        "issuer: accounts, optional: true",
        "issuer: accounts, claims: [{claim: a, exists: false}, {claim: [a.b], equals: -7}]",
        "issuer: accounts, when: \"claims.tenant == request.headers['x-tenant']\"",
        "issuer: accounts, scopes: [a], when: 'has(claims.a) && claims.level > 2'",
        "any_of: [{issuer: accounts, when: request.method == 'GET'}, {issuer: accounts}]",
    ] {
        let text = with("require: {issuer: accounts}", &format!("require: {{{require}}}"));
        assert_eq!(mistakes(&text), [""; 0], "{require}");
    }
}

#[test]
fn what_is_forwarded_is_right_in_itself() {
    #[rustfmt::skip]
    let table = [
        ("{claim: a, value: b, header: x-a}", "claim"),
        ("{value: '', header: x-a}", "value"),
        ("{value: ' a', header: x-a}", "value"),
        ("{value: 'a\\tb', header: x-a}", ""),
        ("{value: é, header: x-a}", "value"),
        ("{value: a, header: x-a, required: true}", "required"),
        ("{claim: a, header: x-a, max_bytes: 0}", "max_bytes"),
        ("{claim: a, header: x-a, max_bytes: 1MiB}", "max_bytes"),
        ("{claim: a, header: x-a, too_long: drop}", "too_long"),
        ("{claim: a, header: x-a, max_bytes: 10, too_long: cut}", "too_long"),
        ("{claim: a, header: x-a, max_bytes: 10, too_long: drop, required: true}", "too_long"),
        ("{claim: a, header: x-a, format: hex}", "format"),
    ];
    for (header, place) in table {
        let text = with(HEADER, &format!("    - {header}\n"));
        let expected = format!("forward.headers[0].{place}");
        let expected: &[String] = if place.is_empty() { &[] } else { &[expected] };
        assert_eq!(places(&text), expected, "{header}: {:?}", mistakes(&text));
    }
    for (key, place) in [
        ("payload_padded: true", "forward.payload_padded"),
        (
            "response_headers: [{claim: sub, header: set-cookie}]",
            "forward.response_headers[0].header",
        ),
        (
            "response_headers: [{claim: sub, header: location}]",
            "forward.response_headers[0].header",
        ),
    ] {
        let text = with(HEADER, &format!("    - {{claim: a, header: x-a}}\n  {key}\n"));
        assert_eq!(places(&text), [place], "{key}: {:?}", mistakes(&text));
    }
}

#[test]
fn an_issuer_with_tenants_names_them_and_needs_a_place_for_them() {
    const ISSUER: &str = "    issuer: https://accounts.example.com\n";
    let tenants = "https://login.example.com/{tenant}/v2.0";
    for (lines, place) in [
        (format!("    issuer: {tenants}\n"), "tenants"),
        (format!("    issuer: {tenants}\n    tenants: []\n"), "tenants"),
        (format!("    issuer: {tenants}/{{tenant}}\n    tenants: [a]\n"), "issuer"),
        (format!("{ISSUER}    tenants: [a]\n"), "issuer"),
        (format!("{ISSUER}    tenant_claim: tid\n"), "tenant_claim"),
        (
            format!("    issuer: {tenants}\n    tenants: [a]\n    tenant_claim: ''\n"),
            "tenant_claim",
        ),
        (format!("    issuer: {tenants}\n    tenants: [a, b]\n"), ""),
    ] {
        let text = with(ISSUER, &lines);
        let expected = format!("issuers[0].{place}");
        let expected: &[String] = if place.is_empty() { &[] } else { &[expected] };
        assert_eq!(places(&text), expected, "{lines}: {:?}", mistakes(&text));
    }
}
