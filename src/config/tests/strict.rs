//! What `check --strict` finds in configurations that are valid.

use super::*;

fn weak(text: &str) -> Vec<String> {
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    config.weaknesses().iter().map(|weakness| weakness.place.clone()).collect()
}

#[test]
fn the_minimal_configuration_and_the_example_are_strong() {
    assert_eq!(weak(MINIMAL), Vec::<String>::new());
    let example = include_str!("../../../deploy/claimgate.example.yaml");
    assert_eq!(weak(example), Vec::<String>::new());
}

#[test]
fn each_weak_setting_is_found_at_its_place() {
    let open = |rule: &str| with("  - name: rest\n", &format!("  - {rule}\n  - name: rest\n"));
    let rows = [
        (
            with(AUDIENCES, "    audiences: [a]\n    refresh: {max_stale: unlimited}\n"),
            "issuers[0].refresh.max_stale",
        ),
        (
            with(AUDIENCES, "    audiences: [a]\n    require: {exp: false}\n"),
            "issuers[0].require.exp",
        ),
        (with("", "revocation: {file: a, max_stale: unlimited}"), "revocation.max_stale"),
        (with("", "revocation: {file: a, when_stale: allow}"), "revocation.when_stale"),
        (with("", "revocation: {file: a, without_jti: accept}"), "revocation.without_jti"),
        (
            format!(
                "revocation: {{file: a}}\n{}",
                with("  - name: rest\n", "  - name: rest\n    revocation: ignore\n")
            ),
            "rules[0].revocation",
        ),
        (with("  - name: rest\n", "  - name: rest\n    revocation: ignore\n"), ""),
        (open("{name: all, allow: anyone}"), "rules[0]"),
        (open("{name: all, match: {}, allow: anyone}"), "rules[0]"),
        (open("{name: all, match: {path_prefix: /}, allow: anyone}"), "rules[0]"),
        (open("{name: some, match: {path: /}, allow: anyone}"), ""),
        (open("{name: some, match: {path_prefix: /public/}, allow: anyone}"), ""),
        (open("{name: some, match: {hosts: [public.example.com]}, allow: anyone}"), ""),
        (open("{name: some, match: {methods: [OPTIONS]}, allow: anyone}"), ""),
    ];
    for (text, expected) in rows {
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(weak(&text), expected, "{text}");
    }
}

#[test]
fn development_is_weak_as_such_and_in_what_it_leaves_out() {
    let text = format!("profile: development\n{}", with(AUDIENCES, ""));
    assert_eq!(weak(&text), ["profile", "issuers[0].audiences"]);
}
