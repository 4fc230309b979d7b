//! Any text as the target of a request, before rules of every kind of path. An opening rule is only reached by a path that
//! every naive reader takes for one below it, and no closing rule is walked around: what a reader makes of the path is
//! closed by the rules that were chosen.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use claimgate::check::CheckRequest;
use claimgate::check::rules::{RuleSet, Selection};
use claimgate::config::Config;
use claimgate_fuzz::policy;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

static RULES: LazyLock<RuleSet> = LazyLock::new(|| {
    let issuer = json!({"issuer": "accounts"});
    let rules = json!([
        {"name": "public", "match": {"path_prefix": "/public"}, "allow": "anyone"},
        {"name": "one", "match": {"path": "/one"}, "allow": "anyone"},
        {"name": "admin", "match": {"path_prefix": "/admin"}, "require": issuer},
        {"name": "order", "match": {"path_template": "/orders/{id}"}, "require": issuer},
        {"name": "file", "match": {"path_regex": "/f/[a-z]+"}, "require": issuer},
        {"name": "rest", "require": issuer},
    ]);
    let config = Config::from_yaml(&policy(&rules).to_string(), Path::new("/nowhere"));
    config.expect("a good configuration").rules
});

fuzz_target!(|target: &str| {
    let request =
        CheckRequest { method: "GET".into(), path: target.into(), ..CheckRequest::default() };
    let readings = readings(target);
    match RULES.select(&request) {
        Selection::None(_) => {}
        Selection::Open(rule) => {
            let below = match rule.label.name() {
                "public" => |path: &str| path == "/public" || path.starts_with("/public/"),
                _ => |path: &str| path == "/one",
            };
            for reading in readings {
                assert!(below(&reading), "{target:?} is read as {reading:?}");
            }
        }
        Selection::Closed { first, others, .. } => {
            let is_chosen = |name: &str| {
                first.label.name() == name || others.iter().any(|rule| rule.label.name() == name)
            };
            for reading in readings {
                if reading == "/admin" || reading.starts_with("/admin/") {
                    assert!(is_chosen("admin"), "{target:?} is read as {reading:?}");
                }
            }
        }
    }
});

/// What readers of different strictness make of a target, each in one pass.
fn readings(target: &str) -> Vec<String> {
    let path = target.split('?').next().unwrap_or_default();
    let resolved = |path: &str| resolve(&path.replace('\\', "/"));
    let decoded = decode(path);
    let twice = decode(&decoded);
    [path, &decoded, &twice].into_iter().flat_map(|path| [resolve(path), resolved(path)]).collect()
}

fn decode(path: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        let digit = |place: usize| Some(char::from(*tail.get(place)?).to_digit(16)? as u8);
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push(high * 16 + low);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Empty and dot segments taken away.
fn resolve(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}
