//! `claimgate jwks fetch`, the binary, against local servers and files: what it keeps, what it skips and why, what it
//! plans, and its exit code.

use std::path::Path;
use std::process::Stdio;

use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::kept;
use crate::provider::Provider;
use crate::service::PATIENCE;

#[tokio::test]
async fn a_provider_is_told_about_key_by_key_with_its_headers_and_the_planned_refresh() {
    let document = json!({"keys": [
        jwk(Algorithm::EdDsa, "one"),
        jwk(Algorithm::Es256, "two"),
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldA"},
        {"kty": "EC", "crv": "P-256", "kid": "\u{1b}[31m", "x": "AA", "y": "AA"},
        {"kty": "AKP", "alg": "ML-DSA-65", "pub": "AA"},
    ]});
    let headers = "ETag: \"v1\"\r\nCache-Control: public, max-age=360\r\n";
    let url = serve(answer(headers, &document.to_string())).await;
    let shown = url.replace("user:hunter2@", "").replace("?api_key=hunter2", "");
    let told = fetch(&[&url]).await;
    assert_eq!(told.code, 0, "{}", told.errors);
    assert!(told.errors.contains("production refuses"), "{}", told.errors);
    let lines: Vec<&str> = told.output.lines().collect();
    let expected = [
        &shown,
        "kept: 2",
        "  one: EdDSA (OKP Ed25519)",
        "  two: ES256 (EC P-256)",
        "skipped: 3",
        "  secret: symmetric_key: ",
        "  \\u{1b}[31m: invalid_key: ",
        "  (no kid): unsupported_type: ",
        "ETag: \"v1\"",
        "Last-Modified: (not sent)",
        "Cache-Control: public, max-age=360",
        "fresh for 6m, refresh after about 4m48s (259s to 316s)",
    ];
    assert_eq!(lines.len(), expected.len(), "{}", told.output);
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line} is not {expected}");
    }
    for secret in ["hunter2", "c2VjcmV0"] {
        assert!(!told.output.contains(secret) && !told.errors.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn programs_get_the_same_as_one_line_of_json() {
    let document = json!({"keys": [jwk(Algorithm::EdDsa, "ö"), {"kty": "EC", "kid": 7}]});
    let url =
        serve(answer("Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n", &document.to_string()))
            .await;
    let told = fetch(&[&url, "--output", "json"]).await;
    assert_eq!(told.code, 0, "{}", told.errors);
    assert_eq!(told.output.lines().count(), 1);
    let report: Value = serde_json::from_str(&told.output).unwrap();
    assert_eq!(report["usable"], true);
    assert_eq!(report["error"], Value::Null);
    let key = json!({
        "kid": "ö", "algorithms": ["EdDSA"], "kty": "OKP", "crv": "Ed25519", "bits": null,
    });
    assert_eq!(report["kept"], json!([key]));
    assert_eq!(report["skipped"][0]["kid"], Value::Null);
    assert_eq!(report["skipped"][0]["reason"], "malformed");
    let date = "Sat, 21 Nov 2026 10:00:00 GMT";
    let headers = json!({"etag": null, "last_modified": date, "cache_control": null});
    assert_eq!(report["headers"], headers);
    let refresh = json!({
        "fresh_seconds": 300, "after_seconds": 240, "earliest_seconds": 216, "latest_seconds": 264,
    });
    assert_eq!(report["refresh"], refresh);
}

#[tokio::test]
async fn a_running_provider_is_usable_and_only_for_the_algorithms_asked_for() {
    let provider = Provider::start().await;
    let url = format!("http://{}/jwks.json", provider.address);
    assert_eq!(fetch(&[&url]).await.code, 0);
    assert_eq!(fetch(&[&url, "--algorithms", "RS256,EdDSA"]).await.code, 0);
    let told = fetch(&[&url, "--algorithms", "RS256,ES256"]).await;
    assert_eq!(told.code, 1);
    assert!(told.output.contains("algorithm_not_accepted"), "{}", told.output);
    assert!(told.output.contains("no usable key (1 algorithm_not_accepted)"), "{}", told.output);
}

#[tokio::test]
async fn a_file_is_read_like_a_source_and_an_rsa_key_without_alg_is_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let mut rsa = jwk(Algorithm::Rs256, "r");
    rsa.as_object_mut().unwrap().remove("alg");
    let path = write(directory.path(), &json!({"keys": [rsa]}).to_string());
    let told = fetch(&[&path]).await;
    assert_eq!(told.code, 0, "{}", told.output);
    assert_eq!(told.errors, "");
    let key = "kept: 1\n  r: RS256, RS384, RS512, PS256, PS384, PS512 (RSA 2048 bits)\n";
    assert!(told.output.contains(key), "{}", told.output);
    assert!(told.output.ends_with("looked at every 1s\n"), "{}", told.output);
}

#[tokio::test]
async fn whatever_gives_no_key_exits_1_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let text = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let redirect = "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".to_owned();
    for (location, why) in [
        (text("html", "<html>"), "not a JSON object"),
        (text("metadata", r#"{"jwks_uri": "https://id.example/jwks"}"#), "no \"keys\" array"),
        (text("empty", r#"{"keys": []}"#), "no usable key (it is empty)"),
        (text("long", &" ".repeat(512 * 1024 + 1)), "longer than the limit of 524288 bytes"),
        (directory.path().to_str().unwrap().to_owned(), "a directory"),
        ("/nowhere/keys.json".to_owned(), "No such file"),
        (refused, "refused"),
        (serve(redirect).await, "redirects are not followed"),
        (serve("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n".to_owned()).await, "answered 503"),
    ] {
        for output in ["text", "json"] {
            let told = fetch(&[&location, "--output", output]).await;
            assert_eq!(told.code, 1, "{location}: {} {}", told.output, told.errors);
            let error = match output {
                "json" => {
                    let report: Value = serde_json::from_str(&told.output).unwrap();
                    assert_eq!(report["usable"], false);
                    report["error"].as_str().unwrap().to_owned()
                }
                _ => told.output,
            };
            assert!(error.contains(why), "{location}: {error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_never_answers_and_a_long_document_are_given_up_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/", listener.local_addr().unwrap());
    let told = fetch(&[&silent, "--timeout", "50ms"]).await;
    assert_eq!(told.code, 1);
    assert!(told.output.contains("no whole answer within 50ms"), "{}", told.output);
    let url = serve(answer("", &" ".repeat(101))).await;
    let told = fetch(&[&url, "--max-bytes", "100"]).await;
    assert_eq!(told.code, 1);
    assert!(told.output.contains("limit of 100 bytes"), "{}", told.output);
}

#[tokio::test]
async fn a_wrong_command_line_exits_2() {
    for arguments in [
        &[][..],
        &["ftp://id.example/jwks"],
        &["keys.json", "--algorithms", "HS999"],
        &["keys.json", "--timeout", "soon"],
        &["keys.json", "--max-bytes", "-1"],
        &["keys.json", "--output", "yaml"],
        &["one.json", "two.json"],
    ] {
        let told = fetch(arguments).await;
        assert_eq!(told.code, 2, "{arguments:?}: {}", told.output);
        assert!(!told.errors.is_empty());
    }
}

struct Told {
    code: i32,
    output: String,
    errors: String,
}

async fn fetch(arguments: &[&str]) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
    command.args(["jwks", "fetch"]).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    kept::printed(&output);
    Told {
        code: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

fn jwk(algorithm: Algorithm, kid: &str) -> Value {
    SigningKey::generate(algorithm).unwrap().with_kid(kid).public_jwk()
}

fn write(directory: &Path, content: &str) -> String {
    let path = directory.join("keys.json");
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

fn answer(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// The URL of a server that gives every connection this answer, until the test ends.
async fn serve(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    let _detached = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            // A client that has read enough may be gone.
            let _gone = stream.write_all(answer.as_bytes()).await.is_err();
        }
    });
    format!("http://user:hunter2@{address}/jwks.json?api_key=hunter2")
}
