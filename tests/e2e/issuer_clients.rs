//! The reference issuer, judged by libraries that we did not write: openid-client and jose for Node, PyJWT for Python. They
//! read its discovery document, get tokens, refresh and revoke them, and verify them with its keys, before and after a
//! rotation.
//!
//! Needs what `tests/e2e/issuer_clients/install.sh` installs, and fails without it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::ROOT;
use crate::issuer_process::{IssuerProcess, SECRET, config};

const FOLDER: &str = "tests/e2e/issuer_clients";

#[tokio::test(flavor = "multi_thread")]
async fn libraries_that_we_did_not_write_read_the_issuers_metadata_and_verify_its_tokens() {
    let key = ["--type", "rsa-2048", "--kid", "first"];
    let issuer = IssuerProcess::start_with(52, &key, config()).await;
    of_each_library(&issuer, "first");
    // Published, and then active.
    issuer.rotate().await;
    issuer.rotate().await;
    let kid = header(&issuer.tokens("agent").await.access)["kid"].as_str().unwrap().to_owned();
    assert_ne!(kid, "first");
    of_each_library(&issuer, &kid);
}

fn of_each_library(issuer: &IssuerProcess, kid: &str) {
    let of_node = json!({
        "kid": kid, "sub": "agent", "scope": "orders:read", "roles": ["reader", "writer"],
        "same_session": true, "other_token": true, "after_revocation": "invalid_grant",
    });
    let mut node = Command::new("node");
    node.arg("verify.mjs").arg(installed("issuer-clients"));
    assert_eq!(told(node, issuer), json!({"oidc": of_node, "oauth2": of_node}));
    let mut python = Command::new("python3");
    python.arg("verify.py").env("PYTHONPATH", installed("pyjwt-"));
    let expected = json!({
        "kid": kid, "typ": "at+jwt", "sub": "agent", "client_id": "agent",
        "roles": ["reader", "writer"], "refused_elsewhere": true,
    });
    assert_eq!(told(python, issuer), expected);
}

fn told(mut command: Command, issuer: &IssuerProcess) -> Value {
    command.args([&issuer.url(), "agent", SECRET]).current_dir(Path::new(ROOT).join(FOLDER));
    let output = command.output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The folder of `.tools` whose name begins so.
fn installed(name: &str) -> PathBuf {
    let tools = std::fs::read_dir(Path::new(ROOT).join(".tools")).into_iter().flatten();
    let mut folders = tools.flatten().filter(|entry| {
        let found = entry.file_name().into_string().unwrap_or_default();
        // Not one that is still being filled.
        found.starts_with(name) && (name.ends_with('-') || found == name)
    });
    let found = folders.find_map(|entry| {
        let path = entry.path();
        (path.join("node_modules/jose").exists() || path.join("jwt").exists()).then_some(path)
    });
    found.unwrap_or_else(|| panic!(".tools has no {name}: run {FOLDER}/install.sh"))
}

fn header(token: &str) -> Value {
    use base64::Engine as _;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice(&header).unwrap()
}
