//! Mistakes of every kind, and the exact path that each is reported at.

use super::*;

#[test]
fn every_mistake_is_reported_at_its_path() {
    #[rustfmt::skip]
    let table = [
        ("", "listen: {grpc: nowhere}", "listen.grpc"),
        ("", "listen: {https: 127.0.0.1:1}", "listen.https"),
        ("", "listen: [127.0.0.1:9191]", "listen"),
        ("", "listen: {admin: 127.0.0.1:9191}", "listen.admin"),
        ("", "listen:", "listen"),
        ("", "state_dir: ''", "state_dir"),
        ("", "cache: {max_bytes: 1KiB}", "cache.max_bytes"),
        ("", "cache: {max_bytes: 0}", ""),
        ("", "revocation: {}", "revocation"),
        ("", "revocation: []", "revocation"),
        ("", "revocation: {files: a}", "revocation.files"),
        ("", "revocation: {file: ''}", "revocation.file"),
        ("", "revocation: {file: a, max_stale: 29s}", "revocation.max_stale"),
        ("", "revocation: {file: a, max_stale: 30s}", ""),
        ("", "revocation: {file: a, max_stale: unlimited}", ""),
        ("", "revocation: {file: a, when_stale: ignore}", "revocation.when_stale"),
        ("", "revocation: {file: a, without_jti: allow}", "revocation.without_jti"),
        ("", "revocation: {file: a, before_first_load: yes}", "revocation.before_first_load"),
        ("", "revocation: {file: a, max_entries: 0}", "revocation.max_entries"),
        ("", "revocation: {entries: []}", ""),
        ("", "revocation: {entries: [{}]}", "revocation.entries[0].kind revocation.entries[0].iss"),
        ("", "revocation: {entries: [{kind: user, iss: a}]}", "revocation.entries[0].kind revocation.entries[0].iss"),
        ("", "revocation: {entries: [{kind: token, iss: 'https://accounts.example.com'}]}", "revocation.entries[0].jti"),
        ("", "revocation: {entries: [{kind: token, iss: 'https://accounts.example.com', jti: ''}]}", "revocation.entries[0]"),
        ("", "revocation: {entries: [{kind: token, iss: 'https://accounts.example.com/', jti: a}]}", "revocation.entries[0].iss"),
        ("", "revocation: {entries: [{kind: token, iss: 'https://accounts.example.com', jti: a, sub: b}]}", "revocation.entries[0].sub"),
        ("", "revocation: {entries: [{kind: subject, iss: 'https://accounts.example.com', sub: b}]}", "revocation.entries[0].not_before"),
        ("", "revocation: {entries: [{kind: key, iss: 'https://accounts.example.com', kid: b, not_before: '2026-01-01T00:00:00Z'}]}", "revocation.entries[0].not_before"),
        ("", "revocation: {entries: [{kind: issuer, iss: 'https://accounts.example.com', not_before: yesterday}]}", "revocation.entries[0].not_before"),
        ("", "revocation: {entries: [{kind: session, iss: 'https://accounts.example.com', sid: b, expires_at: '2107-01-01T00:00:00Z'}]}", "revocation.entries[0]"),
        ("", "limits: {token_bytes: 1}", "limits.token_bytes"),
        ("", "limits: {token_bytes: 16kb}", "limits.token_bytes"),
        ("", "limits: {jwks_keys: 0}", "limits.jwks_keys"),
        ("", "limits: {jwks_keys: -1}", "limits.jwks_keys"),
        ("", "limits: {concurrent_checks: many}", "limits.concurrent_checks"),
        ("", "answers: {reason_header: maybe}", "answers.reason_header"),
        ("", "answers: {reason_header: yes}", "answers.reason_header"),
        ("", "tokens: []", "tokens"),
        ("", "tokens: [{}]", "tokens[0]"),
        ("", "tokens: [{prefix: x}]", "tokens[0] tokens[0].prefix"),
        ("", "tokens: [{header: x_token}]", "tokens[0].header"),
        ("", "tokens: [{header: Cookie}]", "tokens[0].header"),
        ("", "tokens: [{header: a}, {header: A}]", "tokens[1].header"),
        ("", "tokens: [{header: authorization, prefix: Bearer}]", "tokens[0].prefix"),
        ("", "tokens: [{header: a, prefix: 'a,'}]", "tokens[0].prefix"),
        ("", "tokens: [{header: x-jwt-sub}]", "forward.headers[0].header"),
        ("", "tokens: [{cookie: a, query: a}]", "tokens[0]"),
        ("", "tokens: [{cookie: 'a b'}, {query: 'a=b'}]", "tokens[0].cookie tokens[1].query"),
        ("", "tokens: [{cookie: a}, {cookie: a}]", "tokens[1]"),
        ("", "tokens: [{cookie: a, prefix: x}]", "tokens[0].prefix"),
        (HEADER, "    - {claim: sub}\n", "forward.headers[0].header"),
        (HEADER, "    - {header: x-a}\n", "forward.headers[0].claim"),
        (HEADER, "    - {claim: a..b, header: x-a}\n", "forward.headers[0].claim"),
        (HEADER, "    - {claim: [], header: x-a}\n", "forward.headers[0].claim"),
        (HEADER, "    - {claim: [a, 1], header: x-a}\n", "forward.headers[0].claim[1]"),
        (HEADER, "    - {claim: [a, ], header: x_a}\n", "forward.headers[0].header"),
        (HEADER, "    - {claim: a, header: x-a, join: ''}\n", "forward.headers[0].join"),
        (HEADER, "    - {claim: a, header: x-a, join: A}\n", "forward.headers[0].join"),
        (HEADER, "    - {claim: a, header: x-a, join: '%'}\n", "forward.headers[0].join"),
        (HEADER, "    - {claim: a, header: x-http-method-override}\n", "forward.headers[0].header"),
        (HEADER, "    - {claim: a, header: content-encoding}\n", "forward.headers[0].header"),
        (HEADER, "    - {claim: a, header: b}\n  strip: [x-original-url]\n", ""),
        (HEADER, "    - {claim: a, header: x-a, join: ',', format: json}\n", "forward.headers[0]"),
        (HEADER, "    - {claim: a, header: x-a, format: xml}\n", "forward.headers[0].format"),
        (HEADER, "    - {claim: a, header: x-a}\n    - {claim: b, header: X-A}\n", "forward.headers[1].header"),
        (HEADER, "    - {claim: a, header: b}\n  strip: [x-*-y]\n", "forward.strip[0]"),
        (HEADER, "    - {claim: a, header: b}\n  payload_header: x-envoy-payload\n", "forward.payload_header"),
        (AUDIENCES, "    audiences: []\n", "issuers[0].audiences"),
        (AUDIENCES, "    audiences: [a, '']\n", "issuers[0].audiences[1]"),
        (AUDIENCES, "    audiences: [a]\n    audience_claim: ''\n", "issuers[0].audience_claim"),
        (AUDIENCES, "    audiences: [a]\n    audience_claim: sub\n", "issuers[0].audience_claim"),
        (AUDIENCES, "    audiences: [a]\n    audience_claim: [client_id]\n", "issuers[0].audience_claim"),
        (AUDIENCES, "    audiences: [a]\n    audience_claim: aud\n", ""),
        (AUDIENCES, "    audiences: [a]\n    audience_claim: client_id\n", ""),
        (AUDIENCES, "    audience_claim: client_id\n", "issuers[0].audiences"),
        (AUDIENCES, "    audiences: [a, 7, b]\n", "issuers[0].audiences[1]"),
        (AUDIENCES, "    audiences: [a, null]\n", "issuers[0].audiences[1]"),
        (AUDIENCES, "    audiences: [a]\n    algorithms: [rs256]\n", "issuers[0].algorithms[0]"),
        (AUDIENCES, "    audiences: [a]\n    algorithms: []\n", "issuers[0].algorithms"),
        (AUDIENCES, "    audiences: [a]\n    clock_skew: 11m\n", "issuers[0].clock_skew"),
        (AUDIENCES, "    audiences: [a]\n    clock_skew: 30\n", "issuers[0].clock_skew"),
        (AUDIENCES, "    audiences: [a]\n    require: {max_lifetime: 0s}\n", "issuers[0].require.max_lifetime"),
        (AUDIENCES, "    audiences: [a]\n    require: {exp: 1}\n", "issuers[0].require.exp"),
        (AUDIENCES, "    audiences: [a]\n    refresh: {min: 2h}\n    \n", ""),
        (AUDIENCES, "    audiences: [a]\n    refresh: {min: 2h, max: 1h}\n", "issuers[0].refresh.min"),
        (AUDIENCES, "    audiences: [a]\n    refresh: {max_stale: 1m, max: 1h}\n", "issuers[0].refresh.max"),
        (AUDIENCES, "    audiences: [a]\n    refresh: {max_stale: forever}\n", "issuers[0].refresh.max_stale"),
        (AUDIENCES, "    audiences: [a]\n    refresh: {timeout: 2m}\n", "issuers[0].refresh.timeout"),
        (AUDIENCES, "    audiences: [a]\n    refresh: {max_stale: unlimited}\n", ""),
        ("name: accounts", "name: Accounts", "issuers[0].name rules[0].require.issuer"),
        ("name: accounts", "name: none", "issuers[0].name rules[0].require.issuer"),
        ("    issuer: https://accounts.example.com\n", "", "issuers[0].issuer"),
        (KEY, "      []\n", "issuers[0].keys"),
        (KEY, "      - {}\n", "issuers[0].keys[0]"),
        (KEY, "      - {jwks_url: https://h/, jwks_file: f}\n", "issuers[0].keys[0]"),
        (KEY, "      - jwks_url: 5\n", "issuers[0].keys[0].jwks_url"),
        (KEY, "      - jwks_url: accounts/jwks.json\n", "issuers[0].keys[0].jwks_url"),
        (KEY, "      - jwks_url: https://h/#x\n", "issuers[0].keys[0].jwks_url"),
        (KEY, "      - jwks_url: file:///keys.json\n", "issuers[0].keys[0].jwks_url"),
        (KEY, "      - jwks_file: ''\n", "issuers[0].keys[0].jwks_file"),
        (KEY, "      - jwks: 'text'\n", "issuers[0].keys[0].jwks"),
        (KEY, "      - jwks: {keys: []}\n", "issuers[0].keys[0].jwks"),
        ("require: {issuer: accounts}", "require: {issuer: acounts}", "rules[0].require.issuer"),
        ("require: {issuer: accounts}", "require: {any_of: []}", "rules[0].require.any_of"),
        ("require: {issuer: accounts}", "require: {any_of: [{}]}", "rules[0].require.any_of[0]"),
        ("require: {issuer: accounts}", "require: {any_of: [{issuer: x}]}", "rules[0].require.any_of[0].issuer"),
        ("require: {issuer: accounts}", "require: {}", "rules[0].require"),
        ("require: {issuer: accounts}", "match: {path: /}", "rules[0]"),
        ("require: {issuer: accounts}", "allow: everyone", "rules[0].allow"),
        ("require: {issuer: accounts}", "allow: anyone\n    require: {issuer: accounts}", "rules[0]"),
        ("name: rest", "match: {path: x}\n    name: rest", "rules[0].match.path"),
        ("name: rest", "match: {path: /a?b}\n    name: rest", "rules[0].match.path"),
        ("name: rest", "match: {path: /a/../b}\n    name: rest", "rules[0].match.path"),
        ("name: rest", "match: {path_prefix: /a//}\n    name: rest", "rules[0].match.path_prefix"),
        ("name: rest", "match: {path_prefix: /%61}\n    name: rest", "rules[0].match.path_prefix"),
        ("name: rest", "match: {path: /admin/*}\n    name: rest", "rules[0].match.path"),
        ("name: rest", "match: {path: /a, path_prefix: /b}\n    name: rest", "rules[0].match"),
        ("name: rest", "match: {methods: [get]}\n    name: rest", "rules[0].match.methods[0]"),
        ("name: rest", "match: {methods: []}\n    name: rest", "rules[0].match.methods"),
        ("name: rest", "match: {methods: }\n    name: rest", "rules[0].match.methods"),
        ("name: rest", "match: {hosts: ['a:80']}\n    name: rest", "rules[0].match.hosts[0]"),
        ("name: rest", "match: {hosts: ['*']}\n    name: rest", "rules[0].match.hosts[0]"),
        ("name: rest", "match: {hosts: ['a.*']}\n    name: rest", "rules[0].match.hosts[0]"),
        ("name: rest", "revocation: never\n    name: rest", "rules[0].revocation"),
        ("require: {issuer: accounts}", "allow: anyone\n    revocation: ignore", "rules[0].revocation"),
        ("  - name: rest", "  - {name: rest, allow: anyone}\n  - name: rest", "rules[1].name"),
        ("  - name: rest", "  - 7\n  - name: rest", "rules[0]"),
        ("issuers:", "issuer:", "issuer"),
    ];
    for (line, replacement, expected) in table {
        let text = with(line, replacement);
        let mut found = places(&text);
        let mut expected: Vec<&str> = expected.split_whitespace().collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{replacement}: {:?}", mistakes(&text));
    }
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let found = mistakes(&with("audiences:", "audience:"));
    // The key that was meant is not reported as missing on top.
    assert_eq!(found.len(), 1, "{found:?}");
    let all = found.join("\n");
    assert!(all.contains("issuers[0].audience: unknown key, did you mean \"audiences\"?"), "{all}");
    let all = mistakes(&with("", "zzzzzzzz: 1")).join("\n");
    assert!(all.contains("zzzzzzzz: unknown key, expected one of profile, listen"), "{all}");
    let all = mistakes(&with("", "answers: {reason: true}")).join("\n");
    assert!(all.contains("answers.reason: unknown key, expected one of reason_header"), "{all}");
}

#[test]
fn what_is_no_yaml_is_told_with_its_line_and_column() {
    for (text, place) in [
        ("profile: production\nprofile: development\n", "line 2, column "),
        ("issuers: [\n", "line 1, column 10: not valid YAML: unclosed bracket"),
        ("a: b: c\n", "line 1, column 5: not valid YAML: mapping values"),
        ("profile: production\n---\nprofile: development\n", "line 3, column 1: a second YAML"),
    ] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].starts_with(place), "{text}: {found:?}");
    }
    for text in ["", "7", "[]", "null"] {
        let found = mistakes(text);
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        assert!(found[0].contains("expected a mapping"), "{text:?}: {found:?}");
    }
    let long = format!("#{}\n{MINIMAL}", "x".repeat(1024 * 1024));
    assert_eq!(mistakes(&long).len(), 1);
}

#[test]
fn a_flood_of_mistakes_ends() {
    let keys: Vec<String> = (0..1000).map(|index| format!("key{index}: 1\n")).collect();
    let found = mistakes(&keys.concat());
    assert!((100..=110).contains(&found.len()), "{}", found.len());
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(mistakes(&format!("issuers: {deep}")).len(), 1);
}
