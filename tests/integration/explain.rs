//! `claimgate explain` and `claimgate inspect`, the binary: for every reason the word, the exit code and the last step,
//! and the same word from a service that runs with the same configuration; where keys come from; what is never shown.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use claimgate::check::DenialReason;
use claimgate::issuer::{SigningKey, forgery};
use claimgate::keys::key::Algorithm;
use claimgate::keys::source::remote::HttpClient;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::answers::{claims, key};
use crate::kept;
use crate::kept::{mint, mint_with_header};
use crate::provider::{Provider, inline};
use crate::service::{PATIENCE, TestService};

/// A configuration that can lead to every reason that a request or its keys can have.
fn everything(key: &SigningKey) -> Value {
    let mut config = inline(key);
    config["issuers"][0]["require"] = json!({"max_lifetime": "1h"});
    config["limits"] = json!({"header_bytes": "1KiB"});
    let gone = json!({"kind": "token", "iss": "https://accounts.example.com", "jti": "gone"});
    config["revocation"] = json!({"entries": [gone], "without_jti": "accept"});
    config["rules"] = json!([
        {"name": "health", "match": {"path": "/healthz"}, "allow": "anyone"},
        {"name": "scoped", "match": {"path_prefix": "/scoped"},
         "require": {"issuer": "accounts", "scopes": ["admin"]}},
        {"name": "staff", "match": {"path_prefix": "/staff"},
         "require": {"issuer": "accounts", "claims": [{"claim": "staff", "equals": true}]}},
        {"name": "rest", "match": {"path_prefix": "/orders"}, "require": {"issuer": "accounts"}},
    ]);
    config
}

#[tokio::test]
async fn every_reason_is_explained_with_the_word_that_the_service_answers() {
    let key = key();
    let config = everything(&key);
    let (service, files) = (TestService::start(config.clone()).await, Files::new(&config));
    let with = |over: Value| mint(&key, &claims(&over)).unwrap();
    let good = with(json!({}));
    let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let unsigned = forgery::unsigned("one", &claims(&json!({}))).unwrap();
    let mut left: BTreeSet<&str> = DenialReason::ALL.map(DenialReason::as_str).into();
    // What a service is, and no request.
    for ours in ["overloaded", "internal", "keys_unavailable", "revocation_stale"] {
        left.remove(ours);
    }
    let mut without_exp = claims(&json!({}));
    without_exp.as_object_mut().unwrap().remove("exp");
    for (path, token, reason) in [
        ("/orders", None, "missing_token"),
        ("/orders", Some(format!("{good},{good}")), "multiple_tokens"),
        ("/orders", Some("a.b.c".to_owned()), "malformed"),
        ("/orders", Some(with(json!({"sub": "a\r\nb"}))), "malformed"),
        ("/orders", Some("a".repeat(20_000)), "too_large"),
        ("/orders", Some(unsigned), "alg_not_allowed"),
        ("/orders", Some(with(json!({"iss": "https://evil.example"}))), "unknown_issuer"),
        ("/orders", Some(mint(&stranger, &claims(&json!({}))).unwrap()), "unknown_kid"),
        ("/orders", Some(forgery::with_wrong_signature(&good)), "bad_signature"),
        ("/orders", Some(with(json!({"exp": 1}))), "expired"),
        ("/orders", Some(with(json!({"nbf": 99_999_999_999_i64}))), "not_yet_valid"),
        ("/orders", Some(with(json!({"exp": 99_999_999_999_i64}))), "too_old"),
        ("/orders", Some(with(json!({"aud": "others"}))), "audience_mismatch"),
        ("/orders", Some(mint(&key, &without_exp).unwrap()), "missing_claim"),
        ("/orders", Some(with(json!({"jti": "gone"}))), "revoked"),
        ("/staff", Some(with(json!({"staff": "true"}))), "claim_mismatch"),
        ("/scoped/x", Some(with(json!({"scope": "reader"}))), "insufficient_scope"),
        ("/other", Some(good.clone()), "no_rule"),
        ("/orders", Some(with(json!({"sub": "a".repeat(2000)}))), "header_too_large"),
    ] {
        let bearer = token.as_ref().map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|value| ("authorization", &**value)).collect();
        assert_eq!(service.ask(path, &headers).await.reason(), reason, "{path}");
        let header = bearer.as_ref().map(|value| format!("authorization: {value}"));
        let header = header.as_deref().map_or_else(Vec::new, |header| vec!["--header", header]);
        let told = files.explain(&[&["--path", path], &header[..]].concat()).await;
        assert_eq!(told.code, 1, "{reason}: {}", told.errors);
        let verdict = format!("\ndeny: {reason}, ");
        assert!(told.output.contains(&verdict), "{reason}: {}", told.output);
        let steps = told.output.split(&verdict).next().unwrap();
        let marked = steps.lines().rfind(|line| line.starts_with('✗')).unwrap();
        assert!(marked.ends_with(&format!("[{reason}]")), "{reason}: {}", told.output);
        assert!(told.output.contains(&format!("x-ext-auth-reason: {reason}")), "{}", told.output);
        if let Some(token) = token.filter(|token| token.len() > 20 && token.contains('.')) {
            told.holds_no_part_of(&token);
        }
        left.remove(reason);
    }
    assert_eq!(left, BTreeSet::new());
    let told = files.explain(&["--path", "/orders", "--token", &good]).await;
    assert_eq!(told.code, 0, "{}", told.output);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn keys_that_nobody_was_asked_for_are_not_there_and_the_ways_to_have_them_are_told() {
    let provider = Provider::start().await;
    let files = Files::new(&provider.config());
    let token = provider.token(&json!({}));
    let told = files.explain(&["--token", &token]).await;
    assert_eq!(told.code, 1, "{}", told.errors);
    assert!(told.output.contains("\ndeny: keys_unavailable, rule rest"), "{}", told.output);
    assert!(told.output.contains("--jwks FILE, or read the sources with --online"));
    assert_eq!(files.explain(&["--token", &token, "--online"]).await.code, 0);
    let jwks = files.write("jwks.json", &jwks_of(&provider).await);
    let offline = files.explain(&["--token", &token, "--jwks", &jwks]).await;
    assert_eq!(offline.code, 0, "{}", offline.output);
    let named = ["--token", &token, "--jwks", &jwks, "--issuer", "accounts"];
    assert_eq!(files.explain(&named).await.code, 0);
    provider.issuer.set_down(true);
    let down = files.explain(&["--token", &token, "--online"]).await;
    assert_eq!(down.code, 1);
    assert!(down.output.contains("failed: "), "{}", down.output);
}

#[tokio::test]
async fn what_a_service_kept_on_disk_is_used_and_left_as_it_is() {
    let provider = Provider::start().await;
    let state = tempfile::tempdir().unwrap();
    let mut config = provider.config();
    config["state_dir"] = json!(state.path());
    let service = TestService::start(config.clone()).await;
    service.until_ready().await;
    service.stop().await.unwrap();
    let before = contents(state.path());
    assert!(!before.is_empty());
    let files = Files::new(&config);
    for arguments in [&[][..], &["--online"]] {
        let token = provider.token(&json!({}));
        let told = files.explain(&[&["--token", &token], arguments].concat()).await;
        assert_eq!(told.code, 0, "{}", told.output);
        let from = if arguments.is_empty() { "from disk" } else { "from network" };
        assert!(told.output.contains(from), "{}", told.output);
    }
    assert_eq!(contents(state.path()), before);
}

#[tokio::test]
async fn a_recorded_request_is_explained_to_programs_at_the_time_that_is_asked_for() {
    let key = key();
    let files = Files::new(&everything(&key));
    let claims = json!({
        "iss": "https://accounts.example.com", "aud": "orders", "sub": "alice",
        "exp": 1_800_000_300, "scope": "admin", "roles": ["a"],
    });
    let token = mint(&key, &claims).unwrap();
    let recorded = json!({"attributes": {"request": {"http": {
        "method": "GET", "host": "api.example.com", "path": "/scoped/%41?access_token=s3cret",
        "headers": {"authorization": format!("Bearer {token}"), "x_jwt_sub": "mallory"},
    }}}});
    let file = files.write("request.json", &recorded.to_string());
    let arguments = |at| ["--request", &file, "--output", "json", "--at", at];
    let told = files.explain(&arguments("2027-01-15T08:00:00Z")).await;
    assert_eq!(told.code, 0, "{}{}", told.output, told.errors);
    told.holds_no_part_of(&token);
    assert!(!told.output.contains("s3cret"), "{}", told.output);
    let report: Value = serde_json::from_str(&told.output).unwrap();
    assert_eq!(report["decision"], "allow");
    assert_eq!(report["rule"], "scoped");
    assert_eq!(report["mutations"]["set"], json!([["x-jwt-sub", "alice"], ["x-jwt-roles", "a"]]));
    assert_eq!(report["mutations"]["remove"], json!(["authorization", "x_jwt_sub"]));
    let late = files.explain(&arguments("1800000400")).await;
    let report: Value = serde_json::from_str(&late.output).unwrap();
    assert_eq!((late.code, &report["reason"]), (1, &json!("expired")));
    assert_eq!(report["answer"]["status"], 401);
    assert_eq!(report["metadata"], json!(["issuer", "reason", "rule"]));
    let last = report["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["step"], &last["reason"]), (&json!("times"), &json!("expired")));
    let nothing = files.write("nothing.json", r#"{"attributes": {}}"#);
    let told = files.explain(&["--request", &nothing]).await;
    assert_eq!(told.code, 1);
    assert!(told.output.contains("deny: malformed"), "{}", told.output);
}

#[tokio::test]
async fn a_token_goes_where_the_rule_looks_and_cookies_and_payloads_are_not_shown() {
    let key = key();
    let mut config = everything(&key);
    config["tokens"] = json!([{"cookie": "session"}]);
    config["forward"]["payload_header"] = json!("x-jwt-payload");
    let files = Files::new(&config);
    let token = mint(&key, &claims(&json!({}))).unwrap();
    let other = "cookie: a=s3cret";
    let config = files.config();
    let arguments = ["--path", "/orders", "--header", other, "--token", "-"];
    let told =
        files.run(&[&["explain", "--config", &config], &arguments[..]].concat(), &token).await;
    assert_eq!(told.code, 0, "{}{}", told.output, told.errors);
    assert!(told.output.contains("--token is in cookie session"), "{}", told.output);
    assert!(told.output.contains("set x-jwt-payload: ("), "{}", told.output);
    told.holds_no_part_of(&token);
    assert!(!told.output.contains("s3cret"), "{}", told.output);
}

#[tokio::test]
async fn what_cannot_be_explained_exits_2_without_a_word_of_the_token() {
    let files = Files::new(&everything(&key()));
    let token = mint(&key(), &claims(&json!({}))).unwrap();
    let missing = format!("@{token}");
    for arguments in [
        &["--header", &token][..],
        &["--context", &token],
        &["--token", &missing],
        &["--token", ""],
        &["--request", "/nowhere/request.json"],
        &["--request", "-", "--path", "/"],
        &["--at", "yesterday"],
        &["--jwks", "keys.json", "--issuer", "nobody"],
        &["--jwks", "keys.json", "--online"],
    ] {
        let told = files.explain(arguments).await;
        assert_eq!(told.code, 2, "{arguments:?}: {}", told.output);
        told.holds_no_part_of(&token);
    }
    let broken = files.write("broken.yaml", "rules: 7");
    let told = files.run(&["explain", "--config", &broken], "").await;
    assert_eq!(told.code, 2);
    assert!(told.errors.contains("mistakes in"), "{}", told.errors);
}

#[tokio::test]
async fn a_token_that_is_inspected_is_said_to_be_not_verified_before_anything_else() {
    let files = Files::new(&json!({}));
    let token =
        mint_with_header(&key(), &json!({"kid": "\u{1b}[31m"}), &json!({"exp": 1})).unwrap();
    let file = files.write("token", &format!(" Bearer {token}\n"));
    let at = format!("@{file}");
    for (arguments, input) in [(&["inspect", &at][..], ""), (&["inspect", "-"], &*token)] {
        let told = files.run(arguments, input).await;
        assert_eq!(told.code, 0, "{}", told.errors);
        assert!(told.errors.starts_with("NOT VERIFIED: "), "{}", told.errors);
        assert!(told.output.contains("exp: 1  (1970-01-01T00:00:01Z, "), "{}", told.output);
        assert!(!told.output.contains('\u{1b}'));
    }
    let told = files.run(&["inspect", "--output", "json", "--at", "0", &token], "").await;
    let report: Value = serde_json::from_str(&told.output).unwrap();
    assert_eq!(report["verified"], false);
    assert_eq!(report["times"]["exp"]["seconds_from_now"], 1);
    assert_eq!(files.run(&["inspect", "a.b"], "").await.code, 1);
    assert_eq!(files.run(&["inspect", "@/nowhere"], "").await.code, 2);
}

#[tokio::test]
async fn a_check_online_reads_each_source_and_says_what_it_gave() {
    let provider = Provider::start().await;
    let files = Files::new(&provider.config());
    let (config, arguments) = (files.config(), ["--online", "--output", "json"]);
    let good = files.run(&["check", "--online", &config], "").await;
    assert_eq!(good.code, 0, "{}", good.errors);
    assert!(good.output.contains("accounts source 0 (http://127.0.0.1:"), "{}", good.output);
    assert!(good.output.contains("/jwks.json): kept 1: "), "{}", good.output);
    let good = files.run(&[&["check", &config], &arguments[..]].concat(), "").await;
    let report: Value = serde_json::from_str(&good.output).unwrap();
    assert_eq!(report["sources"][0]["kids"].as_array().unwrap().len(), 1);
    provider.issuer.set_down(true);
    let down = files.run(&[&["check", &config], &arguments[..]].concat(), "").await;
    let report: Value = serde_json::from_str(&down.output).unwrap();
    assert_eq!((down.code, &report["valid"]), (1, &json!(true)));
    assert!(report["sources"][0]["error"].is_string(), "{report}");
    assert_eq!(files.run(&["check", &config], "").await.code, 0);
}

struct Told {
    code: i32,
    output: String,
    errors: String,
}

impl Told {
    fn holds_no_part_of(&self, token: &str) {
        for text in [&self.output, &self.errors] {
            for segment in token.split('.').filter(|segment| segment.len() > 16) {
                assert!(!text.contains(segment.get(..16).unwrap()), "{text}");
            }
        }
    }
}

/// A configuration, and files beside it, until the test ends.
struct Files(TempDir);

impl Files {
    fn new(config: &Value) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("claimgate.yaml", &config.to_string());
        files
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn config(&self) -> String {
        self.0.path().join("claimgate.yaml").to_str().unwrap().to_owned()
    }

    async fn explain(&self, arguments: &[&str]) -> Told {
        self.run(&[&["explain", "--config", &self.config()], arguments].concat(), "").await
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Told {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
        command.args(arguments).kill_on_drop(true).env_remove("CLAIMGATE_CONFIG");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Most do not read it.
        let _unread = stdin.write_all(input.as_bytes()).await.is_err();
        drop(stdin);
        let output = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        kept::sent(input);
        kept::printed(&output);
        Told {
            code: output.status.code().unwrap(),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Every file below, with its content.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
    found.sort();
    found
}

async fn jwks_of(provider: &Provider) -> String {
    let mut client = HttpClient::new();
    let url = format!("http://{}/jwks.json", provider.address).parse().unwrap();
    let fetched = client.fetch(&url, None, 1 << 20, PATIENCE).await.unwrap();
    String::from_utf8(fetched.document.unwrap()).unwrap()
}
