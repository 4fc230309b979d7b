//! What a configuration may say and what it is told otherwise: tables of documents, and the exact paths of
//! their mistakes.

mod hs256;
mod listen;
mod mistakes;
mod profiles;
mod redis;
mod reference_issuer;
mod rules;
mod said;
mod sources;
mod strict;
mod traces;

use std::path::Path;
use std::time::Duration;

use super::{Config, ConfigErrors, Profile};
use crate::check::host::HostPattern;
use crate::check::requirement::Requirement;
use crate::check::rules::{PathMatch, RuleAction};
use crate::keys::key::{Algorithm, AlgorithmSet};
use crate::keys::source::SourceKind;
use crate::token::Audiences;

const MINIMAL: &str = "\
issuers:
  - name: accounts
    issuer: https://accounts.example.com
    audiences: [orders]
    keys:
      - jwks_url: https://accounts.example.com/jwks.json
forward:
  headers:
    - {claim: sub, header: x-jwt-sub}
rules:
  - name: rest
    require: {issuer: accounts}
";

fn read(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_yaml(text, Path::new("/etc/claimgate"))
}

fn mistakes(text: &str) -> Vec<String> {
    match read(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.errors().iter().map(ToString::to_string).collect(),
    }
}

fn places(text: &str) -> Vec<String> {
    match read(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.errors().iter().map(|error| error.place.clone()).collect(),
    }
}

/// The minimal configuration with one line replaced, or one added at the end.
fn with(line: &str, replacement: &str) -> String {
    if line.is_empty() {
        return format!("{MINIMAL}{replacement}\n");
    }
    assert!(MINIMAL.contains(line), "{line}");
    MINIMAL.replacen(line, replacement, 1)
}

/// The minimal configuration, and this below `revocation`.
fn with_revocation(text: &str) -> String {
    format!("{MINIMAL}revocation:\n{text}")
}

const AUDIENCES: &str = "    audiences: [orders]\n";
const KEY: &str = "      - jwks_url: https://accounts.example.com/jwks.json\n";
const HEADER: &str = "    - {claim: sub, header: x-jwt-sub}\n";
const RULES: &str = "rules:\n  - name: rest\n    require: {issuer: accounts}\n";

#[test]
fn twelve_lines_are_a_configuration() {
    assert_eq!(MINIMAL.lines().count(), 12);
    let config = read(MINIMAL).unwrap();
    assert_eq!(config.profile, Profile::Production);
    assert_eq!(config.listen.grpc[0].to_string(), "127.0.0.1:9191");
    assert_eq!(config.listen.admin[0].to_string(), "127.0.0.1:9193");
    assert_eq!((config.listen.grpc.len(), config.listen.admin.len()), (1, 1));
    let issuer = &config.issuers[0];
    assert_eq!(issuer.audiences, Audiences::AnyOf(vec!["orders".to_owned()]));
    assert_eq!(issuer.algorithms, AlgorithmSet::from_iter([Algorithm::Rs256]));
    assert_eq!(issuer.clock_skew, Duration::from_secs(30));
    assert!(issuer.require.exp);
    assert_eq!(config.sources.len(), 1);
    assert_eq!(config.sources[0].id.source.name(), "0");
    assert_eq!(config.limits.token_bytes, 16_384);
    assert!(config.answers.reason_header);
}

#[test]
fn the_example_has_every_key() {
    let example = include_str!("../../../deploy/claimgate.example.yaml");
    let raw = [
        include_str!("../raw/mod.rs"),
        include_str!("../raw/forward.rs"),
        include_str!("../raw/redis.rs"),
        include_str!("../raw/revocation.rs"),
        include_str!("../raw/rules.rs"),
    ];
    let lines = raw.into_iter().flat_map(str::lines);
    let fields = lines.filter_map(|line| line.trim().strip_prefix("pub(in crate::config) "));
    let keys = fields.filter_map(|field| field.split_once(": Option<"));
    let keys: Vec<&str> =
        keys.map(|(key, _)| if key == "matches" { "match" } else { key }).collect();
    assert!(keys.len() > 90, "{keys:?}");
    for key in keys {
        let written = [format!(" {key}:"), format!("{{{key}:"), format!("\n{key}:")];
        assert!(written.iter().any(|written| example.contains(written)), "{key} is missing");
    }
}

#[test]
fn the_example_with_every_key_compiles() {
    let text = include_str!("../../../deploy/claimgate.example.yaml");
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((config.issuers.len(), config.sources.len()), (3, 9));
    let kinds: Vec<&SourceKind> = config.sources.iter().map(|source| &source.kind).collect();
    assert!(matches!(kinds[0], SourceKind::Url(_)));
    let home = |kind: &SourceKind| {
        assert!(matches!(kind, SourceKind::Discovery(_)));
        kind.location()
    };
    assert!(home(kinds[1]).ends_with("example.com/.well-known/openid-configuration"));
    assert!(home(kinds[2]).ends_with("example.com/metadata"));
    assert!(matches!(kinds[3], SourceKind::File(path) if path.ends_with("keys.json")));
    assert!(matches!(kinds[4], SourceKind::Pem { kid: Some(kid), .. } if kid == "accounts-1"));
    assert!(matches!(kinds[5], SourceKind::Command(command) if command.program() == "env"));
    assert!(matches!(kinds[6], SourceKind::Inline(jwks) if jwks.keys.len() == 1));
    let http = &config.sources[7].refresh.http;
    assert!(http.ca_file.is_some() && http.bearer_token_file.is_some() && http.proxy.is_some());
    assert!(http.client_certificate.as_ref().is_some_and(|shown| !shown.accepts_readable_key));
    assert!(text.contains("jwks_env: "), "which no test can set in the process' environment");
    let rules = config.rules.rules();
    assert_eq!(rules[1].matches.path, PathMatch::Prefix("/admin".to_owned()));
    assert_eq!(rules[1].matches.hosts[1], HostPattern::Below(".internal.example.com".to_owned()));
    let RuleAction::Require(admin) = &rules[1].action else { panic!() };
    let Requirement::Token(admin) = &admin.requirement else { panic!() };
    assert_eq!((admin.scopes.len(), admin.subjects.len(), admin.claims.len()), (1, 4, 8));
    let last = rules.last().unwrap();
    let RuleAction::Require(rest) = &last.action else { panic!() };
    assert!(matches!(&rest.requirement, Requirement::AnyOf(ways) if ways.len() == 2));
    assert_eq!(last.label.index(), rules.len() - 1);
}

#[test]
fn the_readme_s_configuration_compiles() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("```yaml\n").unwrap();
    let (text, _) = rest.split_once("```\n").unwrap();
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.profile, Profile::Production);
    assert_eq!((config.issuers.len(), config.sources.len()), (1, 1));
    assert_eq!(config.rules.rules().len(), 2);
}

#[test]
fn a_syntax_error_is_told_with_its_line_and_plain_quotes() {
    assert_eq!(
        mistakes("rules: []\nissuers: [}\n"),
        ["line 2, column 10: not valid YAML: mismatched bracket '[' closed by '}'"]
    );
}

#[test]
fn five_mistakes_are_five_lines_in_the_order_of_the_document() {
    let text = "\
profile: prod
issuers:
  - name: accounts
    issuer: https://accounts.example.com
    audiences: 3
    keys:
      - jwks_url: ftp://accounts.example.com/jwks.json
forward:
  headers:
    - {claim: sub, header: host}
rules:
  - name: rest
    requires: {issuer: accounts}
    allow: anyone
";
    let found = mistakes(text);
    assert_eq!(
        found,
        [
            "profile: found \"prod\", expected production or development",
            "issuers[0].audiences: found 3, expected a list of strings",
            "issuers[0].keys[0].jwks_url: found \"ftp://accounts.example.com/jwks.json\", \
             expected an https URL (http only in profile: development)",
            "forward.headers[0].header: found \"host\", \
             expected a header that carries no meaning for HTTP or Envoy, such as x-jwt-sub",
            "rules[0].requires: unknown key, did you mean \"require\"? \
             expected one of name, match, by_name_only, allow, require, tokens, \
             all_tokens, revocation, mode, keep_token",
        ]
    );
}

#[test]
fn refresh_defaults_give_way_to_what_is_given() {
    let refresh = |given: &str| {
        let text = with(AUDIENCES, &format!("    refresh: {given}\n"));
        let text = format!("profile: development\n{text}");
        read(&text).unwrap_or_else(|errors| panic!("{errors}")).sources[0].refresh.clone()
    };
    let settings = refresh("{max_stale: 3s, interval: 1s}");
    assert_eq!(settings.max, Duration::from_secs(3));
    assert_eq!(settings.min, Duration::from_secs(3));
    assert_eq!(refresh("{max: 10s}").min, Duration::from_secs(10));
    assert_eq!(refresh("{min: 2h}").max, Duration::from_secs(2 * 60 * 60));
    assert_eq!(refresh("{max_stale: unlimited}").max_stale, None);
}

#[test]
fn files_are_found_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let file = at("claimgate.yaml");
    std::fs::write(&file, with(KEY, "      - jwks_file: keys.json\n")).unwrap();
    let config = Config::from_file(&file).unwrap();
    let kind = &config.sources[0].kind;
    assert!(matches!(kind, SourceKind::File(path) if *path == at("keys.json")), "{kind:?}");
    let pem = with(KEY, "      - pem_file: keys.pem\n    refresh: {ca_file: ca.pem}\n");
    let config = Config::from_yaml(&pem, directory.path()).unwrap();
    assert_eq!(config.sources[0].kind.location(), at("keys.pem").display().to_string());
    assert_eq!(config.sources[0].refresh.http.ca_file, Some(at("ca.pem")));
    let missing = directory.path().join("other.yaml");
    let found = Config::from_file(&missing).unwrap_err().to_string();
    assert!(found.contains("other.yaml: cannot be read"), "{found}");
}
