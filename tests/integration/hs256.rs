//! An issuer moves from HS256 to RS256 in stages, nobody is locked out on the way, and afterwards nothing is left of
//! HS256. In the production profile, with the files that an operator would have.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use claimgate::util::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kept;
use crate::kept::mint;
use crate::logs;
use crate::service::{Answer, TestService, eventually};

const ISSUER: &str = "https://accounts.example.com";
const SECRET: &str = "the secret that every service has";
const NEXT_SECRET: &str = "the one that comes after, as long";

/// What the operator has: files in a directory of their own.
struct Operator {
    directory: TempDir,
    key: SigningKey,
}

impl Operator {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Rs256).unwrap().with_kid("2026");
        let operator = Self { directory: tempfile::tempdir().unwrap(), key };
        let jwks = json!({"keys": [operator.key.public_jwk()]}).to_string();
        fs::write(operator.path("keys.json"), jwks).unwrap();
        operator.write_secret(SECRET, 0o600);
        operator
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts another file in its place, as a secrets manager does.
    fn write_secret(&self, content: &str, mode: u32) {
        kept::secret(content.trim());
        let next = self.path("next");
        fs::write(&next, content).unwrap();
        fs::set_permissions(&next, Permissions::from_mode(mode)).unwrap();
        fs::rename(next, self.path("secret.txt")).unwrap();
    }

    /// Both algorithms, RS256 alone, or HS256 alone.
    fn config(&self, algorithms: &[&str]) -> Value {
        let mut issuer = json!({
            "name": "accounts", "issuer": ISSUER, "audiences": ["orders"],
            "algorithms": algorithms, "keys": [],
        });
        let keys = issuer["keys"].as_array_mut().unwrap();
        if algorithms.contains(&"RS256") {
            keys.push(json!({"jwks_file": self.path("keys.json")}));
        }
        if algorithms.contains(&"HS256") {
            keys.push(json!({"hmac_file": self.path("secret.txt"), "kid": "shared"}));
            issuer["danger_accept_hs256"] = true.into();
        }
        json!({
            "issuers": [issuer],
            "forward": {"headers": [{"claim": "sub", "header": "x-jwt-sub"}]},
            "rules": [{"name": "rest", "require": {"issuer": "accounts"}}],
        })
    }

    fn rs256(&self) -> String {
        mint(&self.key, &claims()).unwrap()
    }

    /// Exit code, stdout and stderr of `claimgate check`.
    fn check(&self, config: &Value, arguments: &[&str]) -> (i32, String, String) {
        let file = self.path("claimgate.yaml");
        fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
        let output = command.arg("check").args(arguments).arg(&file).output().unwrap();
        kept::printed(&output);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

fn claims() -> Value {
    let now = SystemClock.now().as_millis() / 1000;
    json!({"iss": ISSUER, "aud": "orders", "sub": "alice", "iat": now, "exp": now + 600})
}

fn hs256(secret: &str, kid: Option<&str>) -> String {
    let mut header = json!({"alg": "HS256", "typ": "JWT"});
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let input = format!("{}.{}", encode(&header), encode(&claims()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, input.as_bytes());
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag));
    kept::token(&token);
    token
}

/// How many tokens were counted under each algorithm.
async fn verified(service: &TestService) -> Vec<(String, u64)> {
    let (_, text) = service.admin("/metrics").await;
    let prefix = r#"claimgate_verified_tokens_total{issuer="accounts",algorithm=""#;
    let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
    let mut counts: Vec<(String, u64)> = lines
        .map(|line| line.split_once("\"} ").unwrap())
        .map(|(algorithm, count)| (algorithm.to_owned(), count.parse().unwrap()))
        .collect();
    counts.sort();
    counts
}

fn counts(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(algorithm, count)| ((*algorithm).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_platform_moves_from_hs256_to_rs256_in_stages_without_locking_anybody_out() {
    let operator = Operator::new();
    let (old, nameless) = (hs256(SECRET, Some("shared")), hs256(SECRET, None));

    // Before: HS256 alone, and a build that asks is told what is missing.
    let before = operator.config(&["HS256"]);
    let (code, _, told) = operator.check(&before, &["--strict"]);
    assert_eq!((code, told.lines().count()), (2, 1), "{told}");
    assert!(told.starts_with("issuers[0].algorithms: only HS256 is accepted"), "{told}");

    // Stage: both are accepted, the issuer still signs HS256.
    let both = operator.config(&["RS256", "HS256"]);
    assert_eq!(operator.check(&both, &[]).0, 0);
    let (code, _, told) = operator.check(&both, &["--strict"]);
    assert_eq!((code, told.lines().count()), (2, 1), "{told}");
    assert!(told.starts_with("issuers[0].algorithms: HS256 is still accepted"), "{told}");
    let service = TestService::start(both.clone()).await;
    // From zero, so that the first token of each is an increase.
    assert_eq!(verified(&service).await, counts(&[("HS256", 0), ("RS256", 0)]));
    service.until_ready().await;
    eventually("the secret read", async || service.ask_with(&old).await.is_allowed()).await;
    eventually("keys read", async || service.ask_with(&operator.rs256()).await.is_allowed()).await;
    assert!(service.ask_with(&nameless).await.is_allowed());
    let staged = verified(&service).await;
    assert_eq!(staged, counts(&[("HS256", 2), ("RS256", 1)]));

    // Cut-over: the issuer signs RS256. The tokens that are out there still pass, and are seen to.
    for _ in 0..3 {
        assert!(service.ask_with(&operator.rs256()).await.is_allowed());
    }
    assert!(service.ask_with(&old).await.is_allowed());
    assert_eq!(verified(&service).await, counts(&[("HS256", 3), ("RS256", 4)]));
    // What is refused is not counted, whatever it says it was signed with.
    for forged in [hs256(NEXT_SECRET, Some("shared")), hs256(SECRET, Some("2026"))] {
        assert!(!service.ask_with(&forged).await.is_allowed());
    }
    assert_eq!(verified(&service).await, counts(&[("HS256", 3), ("RS256", 4)]));
    assert_eq!(operator.check(&both, &["--strict"]).0, 2);
    service.stop().await.unwrap();

    // Clean-up: HS256 is gone, and does not come back by accident.
    let after = operator.config(&["RS256"]);
    let (code, told, _) = operator.check(&after, &["--strict"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("valid: profile production"), "{told}");
    let service = TestService::start(after.clone()).await;
    service.until_ready().await;
    assert!(service.ask_with(&operator.rs256()).await.is_allowed());
    for token in [&old, &nameless] {
        assert_eq!(service.ask_with(token).await, Answer::denied(401, "alg_not_allowed"));
    }
    assert_eq!(verified(&service).await, counts(&[("RS256", 1)]));
    service.stop().await.unwrap();
    let mut accident = after;
    accident["issuers"][0]["algorithms"] = json!(["RS256", "HS256"]);
    let (code, _, told) = operator.check(&accident, &[]);
    assert_eq!(code, 2);
    assert!(told.contains("issuers[0].algorithms[1]: found \"HS256\""), "{told}");
}

#[test]
fn check_strict_tells_programs_what_is_weak_and_check_alone_does_not_mind() {
    let operator = Operator::new();
    let mut weak = operator.config(&["RS256", "HS256"]);
    weak["profile"] = "development".into();
    weak["issuers"][0].as_object_mut().unwrap().shift_remove("audiences");
    weak["issuers"][0]["require"] = json!({"exp": false});
    weak["issuers"][0]["refresh"] = json!({"max_stale": "unlimited"});
    weak["rules"].as_array_mut().unwrap().push(json!({"name": "all", "allow": "anyone"}));
    let (code, plain, _) = operator.check(&weak, &["--output", "json"]);
    let plain: Value = serde_json::from_str(&plain).unwrap();
    assert_eq!((code, &plain["valid"], plain.get("weaknesses")), (0, &json!(true), None));
    let (code, told, _) = operator.check(&weak, &["--strict", "--output", "json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["valid"]), (2, &json!(true)));
    let places: Vec<&str> = told["weaknesses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|weakness| weakness["place"].as_str().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "profile",
            "issuers[0].audiences",
            "issuers[0].algorithms",
            "issuers[0].require.exp",
            "issuers[0].refresh.max_stale",
            "rules[1]",
        ]
    );
    let (code, _, lines) = operator.check(&weak, &["--strict"]);
    assert_eq!((code, lines.lines().count()), (2, 6), "{lines}");
    // Mistakes come first: what does not compile cannot be weak.
    weak["rules"][0]["require"]["issuer"] = "nobody".into();
    let (code, _, lines) = operator.check(&weak, &["--strict"]);
    assert_eq!((code, lines.lines().count()), (2, 1), "{lines}");
    assert!(lines.starts_with("rules[0].require.issuer: "), "{lines}");
}

#[tokio::test]
async fn a_secret_file_is_followed_and_a_bad_one_leaves_the_last_good_in_use() {
    let operator = Operator::new();
    let service = TestService::start(operator.config(&["RS256", "HS256"])).await;
    let (old, new) = (hs256(SECRET, Some("shared")), hs256(NEXT_SECRET, Some("shared")));
    service.until_ready().await;
    eventually("the secret read", async || service.ask_with(&old).await.is_allowed()).await;
    service.until_ready().await;
    service.until_ready().await;
    let pem = operator.key.public_pem().unwrap();
    let secret = operator.path("secret.txt");
    let bad: [(&str, &dyn Fn()); 5] = [
        ("0644", &|| operator.write_secret(NEXT_SECRET, 0o644)),
        ("shorter than", &|| operator.write_secret("hunter2", 0o600)),
        ("public key", &|| operator.write_secret(&pem, 0o600)),
        ("directory", &|| make_directory(&secret)),
        ("No such file", &|| fs::remove_dir(&secret).unwrap()),
    ];
    for (telling, spoil) in bad {
        spoil();
        let what = format!("told of {telling}");
        eventually(&what, async || last_error(&service).await.contains(telling)).await;
        assert!(service.ask_with(&old).await.is_allowed(), "{telling}");
        assert!(!service.ask_with(&new).await.is_allowed(), "{telling}");
        assert_eq!(service.admin("/readyz").await.0, 200, "{telling}");
    }
    operator.write_secret(&format!("{NEXT_SECRET}\n"), 0o640);
    eventually("followed", async || service.ask_with(&new).await.is_allowed()).await;
    assert_eq!(service.ask_with(&old).await, Answer::denied(401, "bad_signature"));
    let (_, page) = service.admin("/status").await;
    let page: Value = serde_json::from_str(&page).unwrap();
    let source = &page["issuers"][0]["sources"][1];
    assert_eq!((&source["kids"], &source["state"]), (&json!(["shared"]), &json!("fresh")));
    assert_eq!(source["origin"], "file");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_at_the_start_stops_its_own_tokens_only() {
    logs::collect();
    let operator = Operator::new();
    operator.write_secret(SECRET, 0o644);
    let mut config = operator.config(&["RS256", "HS256"]);
    config["state_dir"] = json!(operator.path("state"));
    let service = TestService::start(config).await;
    service.until_ready().await;
    assert!(service.ask_with(&operator.rs256()).await.is_allowed());
    let refused = service.ask_with(&hs256(SECRET, None)).await;
    assert_eq!(refused, Answer::denied(503, "keys_unavailable"));
    // Neither that, nor a secret by another name, is a reason to look for keys anywhere.
    operator.write_secret(SECRET, 0o600);
    let old = hs256(SECRET, None);
    eventually("the secret read", async || service.ask_with(&old).await.is_allowed()).await;
    let other = service.ask_with(&hs256(SECRET, Some("other"))).await;
    assert_eq!(other, Answer::denied(401, "unknown_kid"));
    let (_, metrics) = service.admin("/metrics").await;
    let asked =
        |line: &&str| line.starts_with("claimgate_jwks_unknown_kid_total") && !line.ends_with(" 0");
    assert_eq!(metrics.lines().find(asked), None);
    let (_, status) = service.admin("/status").await;
    service.stop().await.unwrap();
    let shown = [metrics, status, logs::lines()];
    assert!(shown[2].contains("secret.txt"), "nothing was logged");
    assert!(!shown.concat().contains(SECRET), "the secret is shown");
    let kept = fs::read_dir(operator.path("state")).into_iter().flatten().count();
    assert_eq!(kept, 0, "a secret is not kept on disk for the next start");
}

fn make_directory(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
}

/// What the secret's source last failed with.
async fn last_error(service: &TestService) -> String {
    let (_, page) = service.admin("/status").await;
    let page: Value = serde_json::from_str(&page).unwrap();
    let error = &page["issuers"][0]["sources"][1]["last_error"];
    error.as_str().unwrap_or_default().to_owned()
}

/// What a pipeline asks before tokens are signed with RS256 only: every service's configuration at once.
#[test]
fn one_service_that_is_not_ready_for_rs256_holds_up_the_roll_out() {
    let operator = Operator::new();
    let file = |name: &str, config: &Value| {
        let file = operator.path(name);
        fs::write(&file, config.to_string()).unwrap();
        file
    };
    let ready = operator.config(&["RS256"]);
    let both = operator.config(&["RS256", "HS256"]);
    let (mut keyless, mut for_anybody) = (ready.clone(), ready.clone());
    keyless["issuers"][0]["keys"] = json!([]);
    for_anybody["issuers"][0].as_object_mut().unwrap().remove("audiences");
    let good = [file("one.yaml", &ready), file("two.yaml", &ready)];
    let asked = |others: &[&PathBuf]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claimgate"));
        let output = command.args(["check", "--strict"]).args(&good).args(others).output().unwrap();
        kept::printed(&output);
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), told)
    };
    assert_eq!(asked(&[]), (0, String::new()));
    for (name, config, what) in [
        ("hs256.yaml", &both, "HS256 is still accepted"),
        ("keyless.yaml", &keyless, "keys"),
        ("for-anybody.yaml", &for_anybody, "audiences"),
    ] {
        let (code, told) = asked(&[&file(name, config)]);
        assert_eq!(code, 2, "{name}: {told}");
        assert!(told.lines().all(|line| line.contains(name)) && told.contains(what), "{told}");
    }
}
