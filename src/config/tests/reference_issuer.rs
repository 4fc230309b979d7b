//! What the configuration of `claimgate issuer` may say, and what it is told otherwise.

use std::path::Path;
use std::time::Duration;

use crate::config::{IssuerConfig, Profile, issuer_json_schema};
use crate::issuer::reference::settings::RevocationSettings;

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$ISO7kkvFzh19GM8qB7patN3C3Y9HHsjlVTfEZ9T600Y";

const MINIMAL: &str = "\
issuer: https://issuer.example.com
key_dir: keys
clients:
  - id: worker
    secret_hashes: [HASH]
    audiences: [orders]
revocation: {file: revoked.jsonl}
";

fn read(text: &str) -> Result<IssuerConfig, Vec<String>> {
    let read = IssuerConfig::from_yaml(
        &text.replace("HASH", &format!("'{HASH}'")),
        Path::new("/etc/claimgate"),
    );
    read.map_err(|errors| errors.errors().iter().map(ToString::to_string).collect())
}

fn mistakes(text: &str) -> Vec<String> {
    read(text).err().unwrap_or_default()
}

/// The minimal configuration with a part replaced.
fn with(part: &str, replacement: &str) -> String {
    assert!(MINIMAL.contains(part), "{part}");
    MINIMAL.replacen(part, replacement, 1)
}

#[test]
fn seven_lines_are_a_configuration() {
    let config = read(MINIMAL).unwrap();
    assert_eq!(config.profile, Profile::Production);
    assert_eq!(config.listen.http[0].to_string(), "127.0.0.1:9194");
    assert_eq!(config.listen.admin[0].to_string(), "127.0.0.1:9195");
    let settings = config.settings;
    assert_eq!(settings.key_dir, Path::new("/etc/claimgate/keys"));
    let file = RevocationSettings::File("/etc/claimgate/revoked.jsonl".into());
    assert_eq!((settings.revocation, settings.path.as_str()), (file, ""));
    let client = &settings.clients[0];
    assert_eq!((client.id(), client.subject.as_str()), ("worker", "worker"));
    assert_eq!((client.lifetime, client.refresh_tokens), (Duration::from_secs(300), false));
    assert!(
        client.scopes.is_empty() && client.default_scopes.is_empty() && client.roles.is_empty()
    );
}

#[test]
fn the_example_has_every_key_and_compiles() {
    let example = include_str!("../../../deploy/issuer.example.yaml");
    let raw = include_str!("../raw/reference_issuer.rs");
    let fields = raw.lines().filter_map(|line| line.trim().strip_prefix("pub(in crate::config) "));
    let keys: Vec<&str> =
        fields.filter_map(|field| field.split_once(": Option<")).map(|(key, _)| key).collect();
    assert!(keys.len() > 25, "{keys:?}");
    for key in keys {
        let written = [format!(" {key}:"), format!("{{{key}:"), format!("\n{key}:")];
        assert!(written.iter().any(|written| example.contains(written)), "{key} is missing");
    }
    let config = read(example).unwrap_or_else(|errors| panic!("{errors:?}"));
    let client = &config.settings.clients[0];
    assert_eq!((client.scopes.len(), client.default_scopes.len()), (2, 1));
}

#[test]
fn what_the_example_calls_a_default_is_one() {
    let config = read(include_str!("../../../deploy/issuer.example.yaml")).unwrap();
    let default = read(MINIMAL).unwrap();
    assert_eq!(config.settings.lifetime, default.settings.lifetime);
    assert_eq!(config.settings.refresh, default.settings.refresh);
    assert_eq!(config.settings.limits, default.settings.limits);
    assert_eq!(config.listen.max_connection_age, default.listen.max_connection_age);
    assert_eq!(config.listen.admin, default.listen.admin);
}

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_what_is_accepted() {
    let text = "\
issuer: http://issuer.example.com/
lifetime: 2d
clients:
  - {id: a b, secret_hashes: [], audiences: []}
  - {id: worker, secrets: [x], secret_hashes: [HASH], audiences: [orders], lifetime: 2h}
limits: {requests: 0}
";
    let places: Vec<String> = mistakes(text)
        .into_iter()
        .map(|mistake| mistake.split_once(": ").unwrap().0.to_owned())
        .collect();
    let expected = [
        "issuer",
        "lifetime",
        "clients[0].id",
        "clients[0].secret_hashes",
        "clients[0].audiences",
        "clients[1].secrets",
        "limits.requests",
        "key_dir",
        "revocation",
    ];
    assert_eq!(places, expected);
    let nothing = mistakes("{}");
    assert_eq!(nothing.len(), 4, "{nothing:?}");
    let key = mistakes(&with("key_dir", "keydir"));
    assert!(key[0].contains("did you mean \"key_dir\"?"), "{key:?}");
}

#[test]
fn what_may_be_a_secret_is_never_repeated() {
    for (part, replacement) in [
        ("[HASH]", "[hunter2-hunter2-hunter2]"),
        ("[HASH]", "hunter2-hunter2-hunter2"),
        ("[HASH]", "{hunter2-hunter2-hunter2: hunter2}"),
        ("[HASH]", "[[hunter2]]"),
        ("secret_hashes: [HASH]", "secret: hunter2"),
        ("secret_hashes: [HASH]", "secret_hashes: [HASH]\n    client_secret: hunter2"),
        ("https://issuer.example.com", "https://user:hunter2@issuer.example.com"),
    ] {
        let told = mistakes(&with(part, replacement)).join("\n");
        assert!(!told.is_empty() && !told.contains("hunter2\""), "{replacement}: {told}");
        assert!(!told.contains("hunter2-"), "{replacement}: {told}");
    }
}

#[test]
fn values_that_are_refused() {
    let day_and_more = "issuer: https://issuer.example.com\nlifetime: 25h";
    for (part, replacement, place) in [
        ("https://issuer.example.com", "issuer.example.com", "issuer"),
        ("https://issuer.example.com", "http://issuer.example.com", "issuer"),
        ("https://issuer.example.com", "https://issuer.example.com/", "issuer"),
        ("https://issuer.example.com", "https://issuer.example.com/a/", "issuer"),
        ("https://issuer.example.com", "https://issuer.example.com/a//b", "issuer"),
        ("https://issuer.example.com", "https://issuer.example.com/{a}", "issuer"),
        ("https://issuer.example.com", "https://issuer.example.com?a=b", "issuer"),
        ("https://issuer.example.com", "https://issuer.example.com#a", "issuer"),
        ("https://issuer.example.com", "https://Issuer.example.com", "issuer"),
        ("https://issuer.example.com", "https://issuer.example.com:443", "issuer"),
        ("https://issuer.example.com", "https://a@issuer.example.com", "issuer"),
        ("issuer: https://issuer.example.com", day_and_more, "lifetime"),
        (
            "issuer: https://issuer.example.com",
            "issuer: https://a.example\nlifetime: 30s",
            "lifetime",
        ),
        ("id: worker", "id: none", "clients[0].id"),
        ("id: worker", "id: ''", "clients[0].id"),
        ("id: worker", "id: 'a:b'", "clients[0].id"),
        ("[HASH]", "[HASH, HASH, HASH]", "clients[0].secret_hashes"),
        ("[HASH]", "['$2b$12$aaaaaaaaaaaaaaaaaaaaaa']", "clients[0].secret_hashes[0]"),
        ("audiences: [orders]", "audiences: [orders, orders]", "clients[0].audiences[1]"),
        ("audiences: [orders]", "audiences: ['']", "clients[0].audiences[0]"),
        ("audiences: [orders]", "audiences: [orders]\n    scopes: [a b]", "clients[0].scopes[0]"),
        ("audiences: [orders]", "audiences: [orders]\n    scopes: [a, a]", "clients[0].scopes[1]"),
        (
            "audiences: [orders]",
            "audiences: [orders]\n    default_scopes: [a]",
            "clients[0].default_scopes",
        ),
        ("audiences: [orders]", "audiences: [orders]\n    lifetime: 6m", "clients[0].lifetime"),
        ("audiences: [orders]", "audiences: [orders]\n    subject: ''", "clients[0].subject"),
        ("revocation: {file: revoked.jsonl}", "", "revocation"),
        (
            "revocation: {file: revoked.jsonl}",
            "revocation: {file: a, redis: {url: 'redis://redis'}}",
            "revocation",
        ),
        ("revocation: {file: revoked.jsonl}", "revocation: {redis: {}}", "revocation.redis"),
        ("revocation: {file: revoked.jsonl}", "revocation: {file: ''}", "revocation.file"),
        ("key_dir: keys", "key_dir: keys\nlisten: {http: '0.0.0.0:9194'}", "listen.http"),
        ("key_dir: keys", "key_dir: keys\nlisten: {http: '127.0.0.1:9195'}", "listen.admin"),
        (
            "key_dir: keys",
            "key_dir: keys\nrefresh_tokens: {max_lifetime: 1h, max_idle: 2h}",
            "refresh_tokens.max_idle",
        ),
        // Less than access tokens are good for.
        (
            "key_dir: keys",
            "key_dir: keys\nlifetime: 1h\nrefresh_tokens: {max_idle: 30m}",
            "refresh_tokens.max_idle",
        ),
        ("key_dir: keys", "key_dir: keys\nlimits: {attempts: 0}", "limits.attempts"),
    ] {
        let told = mistakes(&with(part, replacement));
        assert!(
            told.iter().any(|one| one.starts_with(&format!("{place}: "))),
            "{replacement}: {told:?}"
        );
        assert_eq!(told.len(), 1, "{replacement}: {told:?}");
    }
}

#[test]
fn two_clients_share_neither_id_nor_subject() {
    let second = |id: &str, more: &str| {
        let client = format!(
            "  - {{id: {id}, secret_hashes: [HASH], audiences: [orders]{more}}}\nrevocation"
        );
        with("revocation", &client)
    };
    assert_eq!(mistakes(&second("other", "")), Vec::<String>::new());
    assert!(mistakes(&second("worker", ""))[0].starts_with("clients[1].id: "));
    assert!(mistakes(&second("other", ", subject: worker"))[0].starts_with("clients[1].subject: "));
}

#[test]
fn production_speaks_no_plain_http_to_others_and_development_may() {
    let open = with("key_dir: keys", "key_dir: keys\nlisten: {http: '0.0.0.0:0'}");
    assert_eq!(mistakes(&open).len(), 1);
    let tls = "key_dir: keys\nlisten: {http: '0.0.0.0:0', tls: {cert_file: a, key_file: b}}";
    assert_eq!(mistakes(&with("key_dir: keys", tls)), Vec::<String>::new());
    let socket = "key_dir: keys\nlisten: {http: 'unix:///run/issuer.sock'}";
    assert_eq!(mistakes(&with("key_dir: keys", socket)), Vec::<String>::new());
    let development = format!("profile: development\nlifetime: 1s\n{open}");
    let development =
        development.replace("https://", "http://").replace("revocation: {file: revoked.jsonl}", "");
    let config = read(&development).unwrap();
    assert_eq!(config.settings.revocation, RevocationSettings::Memory);
}

#[test]
fn no_mapping_of_the_schema_takes_a_key_that_nobody_reads() {
    let schema = issuer_json_schema();
    let definitions = schema["$defs"].as_object().unwrap();
    assert!(definitions.len() >= 6);
    for (name, mapping) in
        definitions.iter().map(|(k, v)| (k.as_str(), v)).chain([("root", &schema)])
    {
        assert_eq!(mapping["additionalProperties"], false, "{name}");
    }
    assert!(!schema.to_string().contains("null"));
}
