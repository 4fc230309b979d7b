//! What each kind of key source may say, what it is told otherwise, and what is never repeated.

use std::ffi::OsString;

use super::*;

const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\\n\
    MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n-----END PUBLIC KEY-----\\n";

/// The variables of these tests.
fn environment(name: &str) -> Option<OsString> {
    let value = match name {
        "EMPTY" => String::new(),
        "HTML" => "<html>hidden".to_owned(),
        "KEYSET" => format!("{{\"active_kid\":\"a\",\"keys\":{{\"a\":\"{PUBLIC}\"}}}}"),
        "LONG" => "hidden".repeat(100_000),
        "PRIVATE" => {
            "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"\",\"d\":\"hidden\"}]}"
                .to_owned()
        }
        _ => return None,
    };
    Some(value.into())
}

fn read_in(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_yaml_in(text, Path::new("/etc/claimgate"), &environment)
}

/// A configuration of one source, in EdDSA.
fn of(source: &str) -> String {
    let text = with(AUDIENCES, "    audiences: [a]\n    algorithms: [EdDSA]\n");
    text.replacen(KEY, &format!("      - {source}\n"), 1)
}

#[test]
fn every_kind_says_where_it_is_and_nothing_more() {
    for (source, location, origin) in [
        ("jwks_url: https://h/keys?token=hidden", "https://h/keys", "network"),
        (
            "discovery: true",
            "https://accounts.example.com/.well-known/openid-configuration",
            "network",
        ),
        ("discovery: https://h/metadata?token=hidden", "https://h/metadata", "network"),
        ("jwks_file: keys.json", "/etc/claimgate/keys.json", "file"),
        ("{pem_file: /run/key.pem, kid: hidden}", "/run/key.pem", "file"),
        ("command: [kms-client, --token, hidden]", "command kms-client", "command"),
        ("command: [/opt/kms, hidden]", "command /opt/kms", "command"),
        ("{command: [kms, ''], command_env: [EMPTY]}", "command kms", "command"),
        ("jwks_env: KEYSET", "environment variable KEYSET", "environment"),
    ] {
        let config = read_in(&of(source)).unwrap_or_else(|errors| panic!("{source}: {errors}"));
        let kind = &config.sources[0].kind;
        assert_eq!((kind.location().as_str(), kind.origin().as_str()), (location, origin));
        assert_eq!(format!("{kind:?}"), location);
        assert_eq!(kind.can_be_read(), origin != "environment", "{source}");
    }
    let config = read_in(&of("jwks_env: KEYSET")).unwrap();
    assert_eq!(config.sources[0].kind.configured().unwrap().keys[0].kid(), Some("a"));
}

#[test]
fn every_mistake_is_told_at_its_path_without_what_may_be_secret() {
    let long_kid = format!("{{pem_file: f, kid: {}}}", "k".repeat(257));
    #[rustfmt::skip]
    let table = [
        ("{jwks_url: https://h/, jwks_file: f}", "", "found jwks_url and jwks_file, expected exactly one"),
        ("{pem_file: f, command: [x], jwks_env: KEYSET}", "", "found pem_file and command and jwks_env"),
        ("{}", "", "missing, expected one of jwks_url, discovery, jwks_file, pem_file, command, jwks_env, jwks"),
        ("discovery: false", ".discovery", "found false, expected true, or the URL of"),
        ("discovery: 7", ".discovery", "found 7, expected true, or the URL of"),
        ("discovery: accounts", ".discovery", "found \"accounts\", expected an https URL"),
        ("discovery: http://h/", ".discovery", "expected an https URL"),
        ("discovery: https://u:hidden@h/", ".discovery", "found a URL with credentials (not shown)"),
        ("pem_file: ''", ".pem_file", "found an empty string, expected the path of a PEM file"),
        ("{pem_file: f, kid: ''}", ".kid", "found an empty string, expected 1 to 256 bytes"),
        (&long_kid, ".kid", "found 257 bytes, expected 1 to 256 bytes"),
        ("{jwks_file: f, kid: a}", ".kid", "expected a kid only beside pem_file"),
        ("command: []", ".command", "found an empty list, expected a program and its arguments"),
        ("command: kms hidden", ".command", "found a string, expected a list of strings"),
        ("command: ['']", ".command[0]", "found \"\", expected an absolute path, or a name"),
        ("command: [bin/kms, hidden]", ".command[0]", "found \"bin/kms\", expected an absolute path"),
        ("command: [./kms]", ".command[0]", "found \"./kms\", expected an absolute path"),
        ("command: [kms, 7]", ".command[1]", "found a scalar, expected"),
        ("{command: [kms], command_env: [EMPTY, MISSING]}", ".command_env[1]", "found \"MISSING\", expected"),
        ("{command: [kms], command_env: ['']}", ".command_env[0]", "found an empty string"),
        ("{command: [kms], command_env: [EMPTY, EMPTY]}", ".command_env[1]", "each string once"),
        ("{jwks_file: f, command_env: [EMPTY]}", ".command_env", "expected it only beside command"),
        ("jwks_env: MISSING", ".jwks_env", "found \"MISSING\", not set or empty, expected the name of"),
        ("jwks_env: EMPTY", ".jwks_env", "found \"EMPTY\", not set or empty"),
        ("jwks_env: ''", ".jwks_env", "not set or empty"),
        ("jwks_env: '{\"keys\": \"hidden\"}'", ".jwks_env", "found a text (not shown)"),
        ("jwks_env: HTML", ".jwks_env", "found not a JSON object: line 1 column 1 in the value of HTML"),
        ("jwks_env: LONG", ".jwks_env", "found 600000 bytes in the value of LONG, expected at most 524288"),
        ("jwks_env: PRIVATE", ".jwks_env", "found no usable key (1 private_key) in the value of PRIVATE"),
        ("hmac: hidden", ".hmac", "unknown key"),
    ];
    for (source, place, message) in table {
        let errors = read_in(&of(source)).unwrap_err();
        let found: Vec<String> = errors.errors().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        let start = format!("issuers[0].keys[0]{place}: ");
        let told = found[0].strip_prefix(&start);
        assert!(told.is_some_and(|told| told.contains(message)), "{source}: {found:?}");
        assert!(!found[0].contains("hidden"), "{source}: {found:?}");
    }
}

#[test]
fn discovery_by_the_issuer_needs_one_that_is_a_url() {
    let text = of("discovery: true");
    let text = |issuer: &str| text.replacen("https://accounts.example.com", issuer, 1);
    for issuer in ["accounts", "http://accounts.example.com", "https://h/?tenant=hidden"] {
        let errors = read_in(&text(issuer)).unwrap_err().to_string();
        assert!(errors.starts_with("issuers[0].keys[0].discovery: found true for"), "{errors}");
        assert!(!errors.contains("hidden"), "{errors}");
    }
    let development = format!("profile: development\n{}", text("http://accounts.example.com"));
    assert!(read_in(&development).is_ok());
}

#[test]
fn http_options_are_whole_and_a_token_is_never_for_the_clear() {
    let mistakes = |options: &str, source: &str| {
        let text =
            of(source).replacen("    keys:\n", &format!("    refresh: {options}\n    keys:\n"), 1);
        match read_in(&format!("profile: development\n{text}")) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.errors().iter().map(ToString::to_string).collect::<Vec<_>>(),
        }
    };
    for (options, source, place) in [
        ("{ca_file: ''}", "jwks_url: https://h/", "ca_file: found an empty string"),
        ("{client_cert_file: c}", "jwks_url: https://h/", "client_key_file: missing"),
        ("{client_key_file: k}", "jwks_url: https://h/", "client_cert_file: missing"),
        ("{proxy: 'https://p/'}", "jwks_url: https://h/", "proxy: found"),
        ("{proxy: 'p:3128'}", "jwks_url: https://h/", "proxy: found"),
        ("{proxy: 'http://u:hidden@p/'}", "jwks_url: https://h/", "proxy: found"),
        ("{proxy: 'http://p/path'}", "jwks_url: https://h/", "proxy: found"),
        (
            "{bearer_token_file: t}",
            "jwks_url: http://h/",
            "bearer_token_file: found one for an http",
        ),
        (
            "{bearer_token_file: t}",
            "discovery: http://h/",
            "bearer_token_file: found one for an http",
        ),
        (
            "{bearer_token_file: \"-----BEGIN\\nhidden\"}",
            "jwks_url: https://h/",
            "bearer_token_file: found a text",
        ),
        (
            "{bearer_token_file: t, proxy: 'http://p'}",
            "jwks_url: http://127.0.0.1/",
            "bearer_token_file: found one for an http",
        ),
    ] {
        let found = mistakes(options, source);
        assert_eq!(found.len(), 1, "{options}: {found:?}");
        assert!(found[0].starts_with(&format!("issuers[0].refresh.{place}")), "{found:?}");
        assert!(!found[0].contains("hidden"), "{found:?}");
    }
    for (options, source) in [
        ("{bearer_token_file: t}", "jwks_url: http://127.0.0.1/"),
        ("{bearer_token_file: t}", "jwks_url: http://[::1]:8080/"),
        ("{bearer_token_file: t, proxy: 'http://p:3128'}", "discovery: https://h/"),
        ("{client_cert_file: c, client_key_file: k}", "jwks_url: https://h/"),
    ] {
        assert_eq!(mistakes(options, source), Vec::<String>::new(), "{options}");
    }
}
