//! Revoked tokens: refused at once, remembered or not, whoever they are revoked by; and what happens while nobody knows
//! which are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use claimgate::app::{ConfigFile, Options};
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::util::clock::{Clock, ManualClock, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::answers::{claims, key};
use crate::kept;
use crate::kept::{mint, mint_with_header};
use crate::provider::inline;
use crate::service::{Answer, TestService, eventually};

const ISS: &str = "https://accounts.example.com";

/// A file of revocations, and a service that follows it.
struct World {
    key: SigningKey,
    directory: TempDir,
    entries: Vec<Value>,
}

impl World {
    fn new() -> Self {
        let world =
            Self { key: key(), directory: tempfile::tempdir().unwrap(), entries: Vec::new() };
        world.write();
        world
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("revoked.jsonl")
    }

    fn write(&self) {
        let lines = self.entries.iter().map(|entry| format!("{entry}\n"));
        let text = lines.collect::<String>() + "{\"v\":1,\"kind\":\"end\"}\n";
        replace(&self.path(), &text);
    }

    fn revoke(&mut self, what: &Value) {
        self.entries.push(line(what));
        self.write();
    }

    fn config(&self) -> Value {
        let mut config = inline(&self.key);
        config["revocation"] = json!({"file": self.path()});
        config
    }

    fn token(&self, over: &Value) -> String {
        let mut all = json!({"jti": "one", "iat": now() - 10, "exp": now() + 100_000});
        for (name, value) in over.as_object().unwrap() {
            all[name] = value.clone();
        }
        mint(&self.key, &claims(&all)).unwrap()
    }
}

fn now() -> i64 {
    SystemClock.now().as_millis().div_euclid(1000)
}

/// An entry for an hour, with these members.
fn line(what: &Value) -> Value {
    let mut entry = json!({"v": 1, "iss": ISS, "expires_at": now() + 3600});
    for (name, value) in what.as_object().unwrap() {
        entry[name] = value.clone();
    }
    entry
}

fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

fn revoked() -> Answer {
    Answer::denied(401, "revoked")
}

async fn until_answered(service: &TestService, token: &str, expected: &Answer) {
    let what = format!("answered {expected:?}");
    eventually(&what, async || service.ask_with(token).await == *expected).await;
}

async fn status(service: &TestService) -> Value {
    let page: Value = serde_json::from_str(&service.admin("/status").await.1).unwrap();
    page["revocation"].clone()
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_remembered_or_not() {
    let mut world = World::new();
    let service = TestService::start(world.config()).await;
    service.until_ready().await;
    let (one, other) = (world.token(&json!({})), world.token(&json!({"jti": "other"})));
    // The second time from memory.
    for _ in 0..2 {
        assert!(service.ask_with(&one).await.is_allowed());
        assert!(service.ask_with(&other).await.is_allowed());
    }
    assert!(service.metric(&["token_cache_hits_total"]).await > 0.0);
    world.revoke(&json!({"kind": "token", "jti": "one"}));
    until_answered(&service, &one, &revoked()).await;
    assert!(service.ask_with(&other).await.is_allowed());
    // Another text of the same token: what was revoked is not a text.
    let twin = world.token(&json!({"nonce": "x"}));
    assert_eq!(service.ask_with(&twin).await, revoked());
    let (_, page) = service.admin("/metrics").await;
    for line in [
        "claimgate_revocation_entries{kind=\"token\"} 1",
        "claimgate_revocation_entries{kind=\"key\"} 0",
        "claimgate_revocation_stale 0",
        "claimgate_revocation_syncs_total{result=\"loaded\"} 2",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    let at = service.metric(&["revocation_last_sync_timestamp_seconds"]).await;
    assert!((at - now() as f64).abs() < 20.0, "{at}");
    let told = status(&service).await;
    assert_eq!((&told["state"], &told["entries"]["token"]), (&json!("fresh"), &json!(1)));
    assert_eq!(told["source"], json!(world.path()));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn every_kind_of_entry_refuses_its_tokens_and_no_others() {
    let mut world = World::new();
    let service = TestService::start(world.config()).await;
    service.until_ready().await;
    let good = world.token(&json!({"jti": "good", "sub": "bob", "sid": "b"}));
    let cases = [
        (json!({"kind": "token", "jti": "j"}), json!({"jti": "j", "sub": "bob"})),
        (
            json!({"kind": "subject", "sub": "alice", "not_before": now()}),
            json!({"sub": "alice", "iat": now() - 60}),
        ),
        (json!({"kind": "session", "sid": "s"}), json!({"sub": "bob", "sid": "s"})),
    ];
    for (entry, over) in &cases {
        let token = world.token(over);
        assert!(service.ask_with(&token).await.is_allowed(), "{entry}");
        world.revoke(entry);
        until_answered(&service, &token, &revoked()).await;
        assert!(service.ask_with(&good).await.is_allowed(), "{entry}");
    }
    let later = world.token(&json!({"sub": "alice", "iat": now() + 5}));
    assert!(service.ask_with(&later).await.is_allowed(), "she has logged in again");
    let undated = world.token(&json!({"sub": "alice"}));
    let mut claims_without: Value = claims(&json!({"jti": "u", "sub": "alice"}));
    claims_without.as_object_mut().unwrap().remove("iat");
    let undated_too = mint(&world.key, &claims_without).unwrap();
    for token in [undated, undated_too] {
        assert_eq!(service.ask_with(&token).await, revoked());
    }
    assert_eq!(
        service.ask_with(&world.token(&json!({"jti": "x", "sid": 7}))).await,
        Answer::denied(401, "malformed"),
        "a session that reads like another one dodges nothing"
    );
    // A key, and then everything.
    let issuer = json!({"kind": "issuer", "not_before": now() - 5});
    world.revoke(&issuer);
    until_answered(&service, &good, &revoked()).await;
    assert!(service.ask_with(&later).await.is_allowed());
    world.revoke(&json!({"kind": "key", "kid": "one"}));
    until_answered(&service, &later, &revoked()).await;
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_withdrawn_key_takes_its_tokens_with_it_also_those_that_do_not_name_it() {
    let mut world = World::new();
    let service = TestService::start(world.config()).await;
    service.until_ready().await;
    let claims = claims(&json!({"jti": "one"}));
    let named = mint(&world.key, &claims).unwrap();
    let unnamed = mint_with_header(&world.key, &json!({"kid": null}), &claims).unwrap();
    for token in [&named, &unnamed, &named, &unnamed] {
        assert!(service.ask_with(token).await.is_allowed());
    }
    world.revoke(&json!({"kind": "key", "kid": "one"}));
    until_answered(&service, &named, &revoked()).await;
    assert_eq!(service.ask_with(&unnamed).await, revoked());
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_without_jti_is_refused_unless_that_is_accepted_or_the_rule_does_not_care() {
    let world = World::new();
    let without = mint(&world.key, &claims(&json!({}))).unwrap();
    let with = world.token(&json!({}));
    let refused = Answer::denied(401, "missing_claim");
    for (setting, expected) in [(None, Some(&refused)), (Some("accept"), None)] {
        let mut config = world.config();
        config["revocation"]["entries"] = json!([{"kind": "token", "iss": ISS, "jti": "gone"}]);
        if let Some(setting) = setting {
            config["revocation"]["without_jti"] = json!(setting);
        }
        let ignoring = json!({
            "name": "feed", "match": {"path": "/feed"}, "require": {"issuer": "accounts"},
            "revocation": "ignore",
        });
        config["rules"].as_array_mut().unwrap().insert(0, ignoring);
        let service = TestService::start(config).await;
        service.until_ready().await;
        assert!(service.ask_with(&with).await.is_allowed());
        let answer = service.ask_with(&without).await;
        assert_eq!(expected.unwrap_or(&answer), &answer);
        assert_eq!(answer.is_allowed(), expected.is_none());
        let gone = world.token(&json!({"jti": "gone"}));
        assert_eq!(service.ask_with(&gone).await, revoked());
        for token in [&without, &gone] {
            let bearer = format!("Bearer {token}");
            let answer = service.ask("/feed", &[("authorization", &bearer)]).await;
            assert!(answer.is_allowed(), "the rule looks nothing up");
        }
        service.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_list_in_the_configuration_is_in_force_from_the_first_request() {
    let world = World::new();
    let mut config = inline(&world.key);
    config["revocation"] = json!({"entries": [
        {"kind": "token", "iss": ISS, "jti": "one", "expires_at": "2099-01-01T00:00:00Z"},
        {"kind": "subject", "iss": ISS, "sub": "carol", "not_before": "2099-01-01T00:00:00Z"},
    ]});
    let service = TestService::start(config).await;
    assert_eq!(service.ask_with(&world.token(&json!({}))).await, revoked());
    let carol = world.token(&json!({"jti": "two", "sub": "carol"}));
    assert_eq!(service.ask_with(&carol).await, revoked());
    assert!(service.ask_with(&world.token(&json!({"jti": "two"}))).await.is_allowed());
    assert_eq!(service.admin("/readyz").await.0, 200);
    let told = status(&service).await;
    assert_eq!((&told["state"], &told["source"]), (&json!("fixed"), &Value::Null));
    service.stop().await.unwrap();
}

/// By this clock everything but the file is good for a day.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(SystemClock.now()))
}

#[tokio::test]
async fn a_source_that_is_gone_leaves_the_last_snapshot_in_force_and_then_what_is_configured() {
    for when_stale in ["deny", "allow"] {
        let mut world = World::new();
        world.revoke(&json!({"kind": "token", "jti": "gone", "expires_at": now() + 100_000}));
        let mut config = world.config();
        config["revocation"]["when_stale"] = json!(when_stale);
        let clock = clock();
        let as_clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let service = TestService::start_at(config, as_clock).await;
        service.until_ready().await;
        let (good, gone) = (world.token(&json!({})), world.token(&json!({"jti": "gone"})));

        fs::write(world.path(), "nonsense").unwrap();
        eventually("the failure told", async || status(&service).await["failures"] != 0).await;
        assert_eq!(status(&service).await["state"], "failing");
        clock.advance(Duration::from_secs(299));
        assert!(service.ask_with(&good).await.is_allowed(), "{when_stale}");
        assert_eq!(service.ask_with(&gone).await, revoked(), "{when_stale}");

        clock.advance(Duration::from_secs(2));
        let answer = service.ask_with(&good).await;
        assert_eq!(service.ask_with(&gone).await, revoked(), "{when_stale}");
        let told = status(&service).await;
        assert_eq!(told["state"], "stale", "{when_stale}");
        assert!(told["last_error"].as_str().unwrap().starts_with("line 1: "), "{told}");
        eventually("stale", async || service.metric(&["claimgate_revocation_stale"]).await == 1.0)
            .await;
        let unchecked = service.metric(&["revocation_unchecked_total"]).await;
        let (code, ready) = service.admin("/readyz").await;
        assert_eq!(code, 200, "all others lost the same store");
        if when_stale == "deny" {
            assert_eq!(answer, Answer::denied(503, "revocation_stale"));
            assert_eq!(unchecked, 0.0);
            eventually("it named", async || {
                service.admin("/readyz").await.1.contains("revocations: older than max_stale")
            })
            .await;
        } else {
            assert!(answer.is_allowed());
            assert_eq!(unchecked, 1.0);
            assert!(!ready.contains("revocations"), "{ready}");
        }

        world.write();
        // It is asked again when the back-off says so, by this clock.
        eventually("good again", async || {
            clock.advance(Duration::from_secs(1));
            status(&service).await["state"] == "fresh"
        })
        .await;
        assert!(service.ask_with(&good).await.is_allowed());
        assert_eq!(service.ask_with(&gone).await, revoked());
        service.stop().await.unwrap();
    }
}

#[tokio::test]
async fn before_the_first_load_a_service_is_not_ready_unless_that_is_accepted() {
    for before_first_load in ["not_ready", "ready"] {
        let world = World::new();
        fs::remove_file(world.path()).unwrap();
        let mut config = world.config();
        config["revocation"]["before_first_load"] = json!(before_first_load);
        let service = TestService::start(config).await;
        let good = world.token(&json!({}));
        let stale = Answer::denied(503, "revocation_stale");
        assert_eq!(service.ask_with(&good).await, stale, "unknown is not empty");
        if before_first_load == "not_ready" {
            eventually("it told why", async || {
                let (code, page) = service.admin("/readyz").await;
                code == 503 && page.contains("revocations: not loaded yet: cannot be reached")
            })
            .await;
        } else {
            service.until_ready().await;
        }
        world.write();
        service.until_ready().await;
        eventually("loaded", async || service.ask_with(&good).await.is_allowed()).await;
        service.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_cut_off_or_empty_takes_nothing_back() {
    let mut world = World::new();
    world.revoke(&json!({"kind": "token", "jti": "one"}));
    let service = TestService::start(world.config()).await;
    service.until_ready().await;
    let one = world.token(&json!({}));
    let whole = fs::read_to_string(world.path()).unwrap();
    let cut = |bytes: usize| whole.get(..bytes).unwrap();
    for broken in ["", cut(40), cut(whole.len() - 10), "{\"v\":1}\n"] {
        replace(&world.path(), broken);
        eventually("the mistake told", async || status(&service).await["failures"] != 0).await;
        assert_eq!(service.ask_with(&one).await, revoked(), "{broken:?}");
        world.write();
        eventually("right again", async || status(&service).await["failures"] == 0).await;
    }
    world.entries.clear();
    world.write();
    eventually("taken out", async || service.ask_with(&one).await.is_allowed()).await;
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_configuration_goes_on_with_what_is_known_and_revokes_what_it_says_itself() {
    let mut world = World::new();
    world.revoke(&json!({"kind": "token", "jti": "gone"}));
    let mut config = world.config();
    config["listen"] = json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"});
    let file = world.directory.path().join("claimgate.yaml");
    replace(&file, &config.to_string());
    let (fingerprint, read) = Config::read_file(&file);
    drop(read.unwrap());
    let follow = Some(ConfigFile { path: file.clone(), fingerprint });
    let service =
        TestService::start_with(config.clone(), Options { follow, ..Options::default() }).await;
    service.until_ready().await;
    let (one, gone) = (world.token(&json!({})), world.token(&json!({"jti": "gone"})));
    assert!(service.ask_with(&one).await.is_allowed());

    // What was read once is all that can be known now.
    fs::remove_file(world.path()).unwrap();
    eventually("the failure told", async || status(&service).await["failures"] != 0).await;
    config["revocation"]["entries"] = json!([{"kind": "token", "iss": ISS, "jti": "one"}]);
    replace(&file, &config.to_string());
    until_answered(&service, &one, &revoked()).await;
    assert_eq!(service.ask_with(&gone).await, revoked(), "the snapshot is the same");
    let two = world.token(&json!({"jti": "two"}));
    assert!(service.ask_with(&two).await.is_allowed());

    // Another source is read before anybody is answered by it.
    let other = world.directory.path().join("other.jsonl");
    let entry = line(&json!({"kind": "token", "jti": "two"}));
    replace(&other, &format!("{entry}\n{{\"v\":1,\"kind\":\"end\"}}\n"));
    config["revocation"] = json!({"file": other});
    replace(&file, &config.to_string());
    until_answered(&service, &two, &revoked()).await;
    assert!(service.ask_with(&gone).await.is_allowed());

    config.as_object_mut().unwrap().remove("revocation");
    replace(&file, &config.to_string());
    eventually("nothing looked up", async || service.ask_with(&two).await.is_allowed()).await;
    assert_eq!(status(&service).await, Value::Null);
    assert_eq!(service.metric(&["revocation_entries"]).await, 0.0);
    service.stop().await.unwrap();
}

fn claimgate(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_claimgate")).args(arguments).output().unwrap();
    kept::printed(&output);
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn the_command_line_lists_what_is_revoked_and_looks_a_token_up() {
    let mut world = World::new();
    world.revoke(&json!({"kind": "token", "jti": "gone\u{1b}[31m"}));
    world.revoke(&json!({"kind": "session", "sid": "s"}));
    let mut config = world.config();
    config["revocation"]["entries"] = json!([{"kind": "key", "iss": ISS, "kid": "stolen"}]);
    let file = world.directory.path().join("claimgate.yaml");
    fs::write(&file, config.to_string()).unwrap();
    let (path, file) = (world.path(), file.display().to_string());
    let path = path.display().to_string();

    let (code, told, _) = claimgate(&["revocations", "list", "--config", &file]);
    assert_eq!(code, 0);
    assert!(told.contains(&format!("key of {ISS}, kid stolen, until 2106")), "{told}");
    assert!(told.contains("jti gone\\u{1b}[31m") && told.ends_with("3 entries\n"), "{told}");
    let (_, told, _) = claimgate(&[
        "revocations",
        "list",
        "--file",
        &path,
        "--kind",
        "session",
        "--output",
        "json",
    ]);
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["sid"], "s");

    let check = |arguments: &[&str]| {
        claimgate(&[&["revocations", "check", "--config", &file], arguments].concat())
    };
    assert_eq!(check(&[&world.token(&json!({}))]), (0, "not revoked\n".into(), String::new()));
    let (code, told, _) = check(&[&world.token(&json!({"sid": "s"}))]);
    assert_eq!((code, told.as_str()), (1, "revoked, by an entry for its session\n"));
    let (code, told, _) = check(&["--iss", ISS, "--kid", "stolen", "--output", "json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["by"], &told["can_be_revoked"]), (1, &json!("key"), &json!(false)));
    assert_eq!(check(&["--iss", ISS, "--jti", "other"]).0, 0);
    assert_eq!(check(&["no.token"]).0, 2);
    assert_eq!(check(&[]).0, 2);

    let (code, told, _) = claimgate(&["check", &file, "--online"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains(&format!("revocations ({path}): 3 entries")), "{told}");
    fs::write(world.path(), "").unwrap();
    let (code, told, _) = claimgate(&["check", &file, "--online"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains(&format!("revocations ({path}): failed: the last line")), "{told}");
    let (code, told, complaint) = claimgate(&["revocations", "list", "--file", &path]);
    assert_eq!((code, told.as_str()), (1, ""));
    assert!(complaint.contains("the last line"), "{complaint}");
}
