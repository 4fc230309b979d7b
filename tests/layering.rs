//! Holds the imports in src/ against the layers: which module may know which, and which of them may know a library.
//!
//! The tables come first. The last tests plant violations and look whether they are found.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test's helpers may fail the test, as its functions may"
)]

#[path = "support/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules and their layers. A module imports from lower layers only, and not from beside itself.
const LAYERS: [(&str, u8); 13] = [
    ("main", 7),
    ("cli", 6),
    ("app", 5),
    ("config", 4),
    ("server", 4),
    ("issuer", 4),
    ("check", 3),
    ("token", 2),
    ("keys", 2),
    ("revocation", 2),
    ("telemetry", 1),
    ("util", 0),
    ("proto", 0),
];

/// What may be imported from beside: tokens are verified with keys, the configuration makes the listeners' settings.
const SIDEWAYS: [(&str, &[&str]); 2] = [
    ("token", &["keys::key", "keys::store"]),
    (
        "config",
        &[
            "issuer::reference::secret_hash",
            "issuer::reference::settings",
            "server::forward_auth::trusted",
            "server::listener::address",
            "server::tls",
        ],
    ),
];

/// What a module may import at most, where that is less than every layer below.
const ONLY: [(&str, &[&str]); 1] = [("main", &["cli"])];

/// Who may know a thing: paths, and the files or folders (without `.rs`) that may name them.
const KNOWN_BY: [(&str, &[&str]); 12] = [
    ("crate::proto", &["server/ext_authz", "check/forward/encoded"]),
    ("reqwest", &["keys/source/remote", "cli/demo"]),
    ("jsonwebtoken", &["token", "keys", "issuer"]),
    (
        "aws_lc_rs",
        &[
            "token",
            "keys",
            "issuer",
            "server/tls",
            "server/status_page/html",
            "revocation/redis/schema",
        ],
    ),
    ("redis", &["revocation/redis"]),
    ("rustls_platform_verifier", &["util/client_tls"]),
    ("notify", &["util/watch"]),
    ("tokio_rustls", &["server/tls", "util/client_tls", "revocation/redis/tls"]),
    ("x509_cert", &["keys/jwks/pem", "server/tls"]),
    ("argon2", &["issuer/reference/secret_hash"]),
    ("tokio::spawn", &["app/tasks"]),
    ("tokio::task::spawn", &["app/tasks"]),
];

/// What a request runs through is pure, and so are the rules of a key's life: no waiting, no clock, no files, no logs, no
/// metrics.
const PURE: [&str; 19] = [
    "check",
    "issuer/reference/form",
    "issuer/reference/limiter",
    "issuer/reference/settings",
    "token",
    "keys/hmac",
    "keys/key",
    "keys/jwks",
    "keys/lifecycle/document",
    "keys/lifecycle/manifest",
    "keys/lifecycle/rules",
    "keys/store",
    "keys/thumbprint",
    "revocation/digest",
    "revocation/entry",
    "revocation/policy",
    "revocation/snapshot",
    "revocation/store",
    "revocation/table",
];
const IMPURE: [&str; 9] = [
    "tokio",
    "tracing",
    "metrics",
    "crate::telemetry",
    "std::fs",
    "std::env",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

#[test]
fn every_import_runs_downwards_and_every_library_is_known_where_it_should_be() {
    let found = violations(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

/// What breaks the tables under `src`, one line each: where, what, and the rule.
fn violations(src: &Path) -> Vec<String> {
    let mut found = vec![];
    for file in rust_files(src) {
        let text = fs::read_to_string(&file).expect("source is UTF-8");
        let name = file.strip_prefix(src).expect("under src").with_extension("");
        let name = name.to_str().expect("file names are UTF-8").replace('\\', "/");
        if !text.starts_with("//!") {
            found.push(format!("{name}.rs:1: does not open with `//!`"));
        }
        // A file of tests may know what its test needs, like `#[cfg(test)] mod tests`; what helps them as well.
        if name.ends_with("/tests") || name.contains("/tests/") || name.ends_with("/testing") {
            continue;
        }
        for named in source::paths(&module_of(&name), &text) {
            let problems = [layer_problem(&name, &named.path), library_problem(&name, &named.path)];
            for problem in problems.into_iter().flatten() {
                found.push(format!("{name}.rs:{}: {}: {problem}", named.line, named.path));
            }
        }
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    let entries =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    for path in entries {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// "keys/source/mod" is the module `keys::source`.
fn module_of(name: &str) -> String {
    match name {
        "lib" | "main" => String::new(),
        _ => name.strip_suffix("/mod").unwrap_or(name).replace('/', "::"),
    }
}

fn layer_problem(name: &str, path: &str) -> Option<String> {
    let (from, _) = name.split_once('/').unwrap_or((name, ""));
    let inside = path.strip_prefix("crate::").or_else(|| path.strip_prefix("claimgate::"))?;
    let (to, _) = inside.split_once("::").unwrap_or((inside, ""));
    // lib.rs lists the modules; a module is free within itself.
    if from == "lib" || from == to {
        return None;
    }
    if to == "*" {
        return Some("name what is imported, a glob of the crate hides it".to_owned());
    }
    let Some(from_layer) = layer(from) else {
        return Some(format!("`{from}` has no layer: add it to the table in tests/layering.rs"));
    };
    // Not a module: a macro or something else at the root.
    let to_layer = layer(to)?;
    let sideways = SIDEWAYS.iter().filter(|(module, _)| *module == from);
    if sideways.flat_map(|(_, allowed)| *allowed).any(|allowed| begins_with(inside, allowed)) {
        return None;
    }
    if from_layer <= to_layer {
        return Some(format!("`{from}` may import from below layer {from_layer}, not `{to}`"));
    }
    let only = ONLY.iter().find(|(module, _)| *module == from);
    let (_, allowed) = only.filter(|(_, allowed)| !allowed.contains(&to))?;
    Some(format!("`{from}` may import {allowed:?} only"))
}

fn library_problem(name: &str, path: &str) -> Option<String> {
    let within = |places: &[&str]| {
        places.iter().any(|place| name == *place || name.starts_with(&format!("{place}/")))
    };
    let known = KNOWN_BY.iter().find(|(thing, by)| begins_with(path, thing) && !within(by));
    // A module is free within itself.
    if let Some((thing, by)) = known.filter(|(thing, _)| *thing != format!("crate::{name}")) {
        return Some(format!("only {by:?} may know `{thing}`"));
    }
    let impure = IMPURE.iter().find(|thing| begins_with(path, thing))?;
    within(&PURE).then(|| format!("{PURE:?} are pure and do not know `{impure}`"))
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn begins_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What is found in a tree that holds this one file.
fn planted(name: &str, code: &str) -> Vec<String> {
    let src = tempfile::tempdir().expect("a folder");
    let file = src.path().join(name);
    fs::create_dir_all(file.parent().expect("a parent")).expect("made");
    fs::write(&file, format!("//! What it is for.\n\n{code}\n")).expect("written");
    violations(src.path())
}

#[test]
fn planted_violations_are_found() {
    let cases = [
        ("check/rules.rs", "use crate::config::Config;"),
        ("check/rules.rs", "use crate::{token::Claims, config};"),
        ("check/rules.rs", "fn f() { crate::server::ext_authz::ExtAuthz; }"),
        ("check/rules.rs", "use super::super::server::ext_authz;"),
        ("check/rules.rs", "mod inner { use super::super::super::config::Config; }"),
        ("check/rules.rs", "const A: char = '\"'; use crate::config::Config; // \""),
        ("check/rules.rs", "#[cfg(test)] use std::fmt::{self, Debug}; use crate::config::Config;"),
        ("check/rules.rs", "use tokio::time;"),
        ("check/rules.rs", "fn f() { std::time::Instant::now(); }"),
        ("config/compile.rs", "use crate::issuer::mint;"),
        ("config/compile.rs", "use jsonwebtoken as jwt;"),
        ("keys/store.rs", "use crate::token::Claims;"),
        ("keys/source/reader.rs", "use ::reqwest::Client;"),
        ("keys/refresher.rs", "fn f() { tokio::spawn(async {}); }"),
        ("keys/refresher.rs", "fn f() { tokio::task::spawn::<F>(async {}); }"),
        ("main.rs", "use claimgate::app::App;"),
        ("server/admin.rs", "use crate::proto::envoy;"),
        ("token/verifier.rs", "use crate::keys::refresher::KeyRefresher;"),
        ("util/clock.rs", "use crate::*;"),
        ("newcomer/mod.rs", "use crate::util::clock;"),
    ];
    for (name, code) in cases {
        let found = planted(name, code);
        assert_eq!(found.len(), 1, "{name}: {code}: {found:?}");
    }
}

#[test]
fn what_the_tables_allow_is_not_found() {
    let cases = [
        ("main.rs", "use claimgate::cli;"),
        ("cli/serve.rs", "use crate::{app::App, config::{self, Config}}; use crate::cli::exit;"),
        ("keys/source/remote.rs", "use reqwest::Client; use super::super::jwks::Jwks;"),
        ("keys/jwks.rs", "use jsonwebtoken::jwk; use aws_lc_rs::signature;"),
        ("server/ext_authz.rs", "use crate::proto::envoy; use crate::check::Authorizer;"),
        ("app/tasks.rs", "fn f() { tokio::spawn(async {}); }"),
        ("token/verifier.rs", "use crate::keys::{key::VerificationKey, store::KeyStore};"),
        ("check/rules.rs", "// use crate::config::Config;\n/* crate::config::X /* */ tokio::x */"),
        (
            "check/rules.rs",
            "const A: &str = \"crate::config::\\\"X\"; const B: &str = r#\"tokio::\"x\"#;",
        ),
        ("check/rules.rs", "#[cfg(test)]\nmod tests { use crate::config::Config; fn f() { {} } }"),
        ("check/rules.rs", "#[cfg(test)]\nuse crate::config::{Config, raw};"),
        ("check/rules.rs", "fn f<'a>(config: &'a str) { config::parse(config) }"),
    ];
    for (name, code) in cases {
        assert_eq!(planted(name, code), Vec::<String>::new(), "{name}: {code}");
    }
}

#[test]
fn a_file_without_a_header_is_found() {
    let src = tempfile::tempdir().expect("a folder");
    fs::write(src.path().join("lib.rs"), "pub mod util;\n").expect("written");
    assert_eq!(violations(src.path()), ["lib.rs:1: does not open with `//!`"]);
}

#[test]
fn a_violation_says_where_it_is() {
    let found = planted("check/rules.rs", "use std::fmt;\nuse crate::config::Config;");
    let expected = "check/rules.rs:4: crate::config::Config: `check` may import from below layer 3, not `config`";
    assert_eq!(found, [expected]);
}
