//! What the descriptions of the keys say of defaults and bounds ([`super::super::fields`]), held against what is compiled.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::fields::{Default, Field, Mapping, mappings};
use crate::config::schema::{issuer_json_schema, json_schema};
use crate::config::{Config, IssuerConfig};

/// Compiles a document to what it means, or to its mistakes.
type Compile = fn(&Value) -> Result<String, String>;

/// What has to be there for a key at this path.
type Base = fn(&str) -> Value;

fn service(document: &Value) -> Result<String, String> {
    let config = Config::from_yaml(&document.to_string(), Path::new("/etc/claimgate"));
    config.map(|config| format!("{config:?}")).map_err(|errors| errors.to_string())
}

fn issuer(document: &Value) -> Result<String, String> {
    let config = IssuerConfig::from_yaml(&document.to_string(), Path::new("/etc/claimgate"));
    config.map(|config| format!("{config:?}")).map_err(|errors| errors.to_string())
}

/// One element of every list, and what else there has to be for a key to mean something.
fn base_of_service(path: &str) -> Value {
    let header =
        json!({"claim": "sub", "header": "x-jwt-sub", "max_bytes": 64, "too_long": "drop"});
    let tls = json!({"cert_file": "tls.crt", "key_file": "tls.key"});
    let mut base = json!({
        "listen": {"unix": {}, "tls": tls},
        "issuers": [{
            "name": "accounts", "issuer": "https://accounts.example.com/{tenant}", "audiences": ["orders"],
            "tenants": ["one"], "keys": [{"jwks_url": "https://accounts.example.com/jwks.json"}],
        }],
        "tokens": [{"header": "x-token"}],
        "forward": {"headers": [header], "payload_header": "x-jwt-payload"},
        "rules": [{"name": "rest", "require": {"issuer": "accounts"}}],
        "revocation": {"redis": {"url": "redis://127.0.0.1:6379"}},
    });
    if path.starts_with("revocation.redis.sentinel") {
        let sentinel = json!({"master": "revocations", "urls": ["redis://127.0.0.1:26379"]});
        base["revocation"]["redis"] = json!({"sentinel": sentinel});
    }
    if path.starts_with("traces") {
        base["traces"] = json!({"endpoint": "https://collector:4317"});
    }
    base
}

fn base_of_issuer(_path: &str) -> Value {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$ISO7kkvFzh19GM8qB7patN3C3Y9HHsjlVTfEZ9T600Y";
    json!({
        "issuer": "https://issuer.example.com",
        "key_dir": "keys",
        "clients": [{"id": "worker", "secret_hashes": [hash], "audiences": ["orders"]}],
        "revocation": {"redis": {"url": "redis://127.0.0.1:6379"}},
    })
}

/// Every key of both configurations, with how to compile one that has it.
fn for_every_key(mut look: impl FnMut(&Mapping, &Field, &Value, Compile)) {
    let parts: [(Value, Base, Compile); 2] =
        [(json_schema(), base_of_service, service), (issuer_json_schema(), base_of_issuer, issuer)];
    // What the issuer has in common with the service is looked at there.
    let mut known = Vec::new();
    for (schema, base, compile) in parts {
        for (_, mapping) in mappings(&schema, &mut known) {
            for field in &mapping.fields {
                look(&mapping, field, &base(&mapping.path), compile);
            }
        }
    }
}

/// The mapping at `path` in `document`, of a list the first; made where there is none.
fn at<'a>(mut document: &'a mut Value, path: &str) -> &'a mut Value {
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let name = step.trim_end_matches("[]");
        let below = &mut document[name];
        if below.is_null() {
            *below = if name == step { json!({}) } else { json!([{}]) };
        }
        document = if name == step { below } else { &mut below[0] };
    }
    document
}

fn with(base: &Value, mapping: &Mapping, field: &Field, value: &Value) -> Value {
    let mut document = base.clone();
    at(&mut document, &mapping.path)[&field.key] = value.clone();
    document
}

fn without(base: &Value, mapping: &Mapping, field: &Field) -> Value {
    let mut document = base.clone();
    at(&mut document, &mapping.path).as_object_mut().unwrap().remove(&field.key);
    document
}

/// As YAML reads it.
fn written(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn a_default_is_what_holds_without_the_key_and_another_value_is_not() {
    let mut held = 0;
    for_every_key(|mapping, field, base, compile| {
        let Some(Default::Value(text)) = &field.default else { return };
        let place = format!("{} in {}", field.key, mapping.path);
        let left_out = compile(&without(base, mapping, field));
        assert!(left_out.is_ok(), "{place}: {left_out:?}");
        let default = written(text);
        assert_eq!(compile(&with(base, mapping, field, &default)), left_out, "{place}: {text}");
        let other = other_than(&default, field);
        let other = compile(&with(base, mapping, field, &other));
        assert_ne!(other, left_out, "{place}: nothing reads it");
        held += 1;
    });
    assert!(held > 50, "{held}");
}

/// Another value of the same kind.
fn other_than(value: &Value, field: &Field) -> Value {
    if let Some(word) =
        field.kind.split('`').skip(1).step_by(2).find(|word| written(word) != *value)
    {
        return if field.kind.contains("1.2") { json!("1.3") } else { written(word) };
    }
    match value {
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::Array(_) => json!(["ES256"]),
        Value::String(text) => match (field.kind.as_str(), text.as_str()) {
            ("permission bits", _) => json!("0600"),
            ("size", _) => json!("2MiB"),
            (kind, _) if kind.starts_with("duration") => json!("61s"),
            (kind, _) if kind.starts_with("address") => json!("127.0.0.1:1234"),
            (_, ",") => json!(";"),
            (_, text) => json!(format!("{text}2")),
        },
        Value::Null | Value::Bool(_) | Value::Object(_) => panic!("{value}"),
    }
}

#[test]
fn bounds_are_accepted_and_nothing_beyond_them_is() {
    let mut held = 0;
    for_every_key(|mapping, field, base, compile| {
        let Some(bounds) = &field.bounds else { return };
        let is_number =
            ["duration", "size", "number"].iter().any(|kind| field.kind.starts_with(kind));
        if !is_number {
            return;
        }
        let production = base.clone();
        let development = with_profile(base, "development");
        let in_development = bounds.split_once('(').and_then(|(_, rest)| rest.split_once(" in "));
        let least = bounds.strip_prefix("From ").or_else(|| bounds.strip_prefix("At least "));
        let most = bounds.strip_prefix("At most ").or_else(|| Some(bounds.split_once(" to ")?.1));
        let first_word = |text: &str| text.split([' ', ',']).next().unwrap().to_owned();
        let limits = [
            (&production, least.map(first_word), Step::Down),
            (&development, in_development.map(|(word, _)| word.to_owned()), Step::Down),
            (&production, most.map(first_word), Step::Up),
        ];
        for (base, word, step) in limits {
            // A word is another key's value.
            let Some((limit, beyond)) = word.and_then(|word| beyond(&word, step)) else { continue };
            let place = format!("{} in {}: {bounds}", field.key, mapping.path);
            let found = compile(&with(base, mapping, field, &limit));
            assert!(found.is_ok(), "{place}: {limit}: {found:?}");
            let found = compile(&with(base, mapping, field, &beyond)).expect_err(&place);
            assert!(found.contains(&field.key), "{place}: {beyond}: {found}");
            held += 1;
        }
    });
    assert!(held > 40, "{held}");
}

fn with_profile(base: &Value, profile: &str) -> Value {
    let mut document = base.clone();
    document["profile"] = json!(profile);
    document
}

#[derive(Clone, Copy)]
enum Step {
    Down,
    Up,
}

/// A limit, and the value next to it that is too little or too much.
fn beyond(word: &str, step: Step) -> Option<(Value, Value)> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let (number, unit) = match word.strip_prefix(digits).unwrap() {
        "" => (number, ""),
        "KiB" => (number << 10, ""),
        "MiB" => (number << 20, ""),
        "ms" => (number, "ms"),
        "s" => (number * 1000, "ms"),
        "m" => (number * 60_000, "ms"),
        "h" => (number * 3_600_000, "ms"),
        "d" => (number * 86_400_000, "ms"),
        other => panic!("{other}"),
    };
    let next = match step {
        Step::Down => number.checked_sub(1).unwrap(),
        Step::Up => number + 1,
    };
    let value = |number: u64| match unit {
        "" => json!(number),
        unit => json!(format!("{number}{unit}")),
    };
    Some((value(number), value(next)))
}

#[test]
fn a_description_says_what_a_key_is() {
    let (mut keys, mut mute) = (0, Vec::new());
    for_every_key(|mapping, field, _, _| {
        keys += 1;
        if field.meaning.len() < 5 {
            mute.push(format!("{} in {}", field.key, mapping.path));
        }
    });
    assert!(keys > 150 && mute.is_empty(), "{keys} keys; without a word: {mute:?}");
}
