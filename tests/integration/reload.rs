//! The configuration is read again while the service runs: whole or not at all, and nobody is answered wrongly.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use claimgate::app::{ConfigFile, Options};
use claimgate::config::Config;
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};

use crate::provider::{Provider, config, inline};
use crate::service::{Answer, TestService, eventually};

/// A service that follows its configuration's file.
struct Followed {
    service: TestService,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Followed {
    async fn start(config: &Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("claimgate.yaml");
        write(&file, &with_ports(config).to_string());
        let (fingerprint, read) = Config::read_file(&file);
        drop(read.unwrap());
        let follow = Some(ConfigFile { path: file.clone(), fingerprint });
        let options = Options { follow, ..Options::default() };
        let service = TestService::start_with(config.clone(), options).await;
        service.until_ready().await;
        Self { service, file, _directory: directory }
    }

    fn write(&self, config: &Value) {
        write(&self.file, &with_ports(config).to_string());
    }

    async fn configuration(&self) -> Value {
        let page: Value = serde_json::from_str(&self.service.admin("/status").await.1).unwrap();
        page["configuration"].clone()
    }

    async fn until_generation(&self, number: u64) {
        let what = format!("generation {number}");
        eventually(&what, async || self.configuration().await["generation"] == number).await;
    }
}

/// As [`TestService`] starts it: other addresses would ask for a restart.
fn with_ports(config: &Value) -> Value {
    let mut config = config.clone();
    config["listen"] = json!({"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"});
    config
}

/// Replaces the file in one step, as careful operators and Kubernetes do.
fn write(file: &Path, text: &str) {
    let unfinished = file.with_extension("new");
    fs::write(&unfinished, text).unwrap();
    fs::rename(unfinished, file).unwrap();
}

#[tokio::test]
async fn a_changed_rule_takes_effect_and_keys_of_an_unchanged_source_stay_without_a_fetch() {
    let provider = Provider::start().await;
    let mut config = provider.config();
    config["issuers"][0]["refresh"] = json!({"interval": "1h", "min": "1h"});
    let followed = Followed::start(&config).await;
    let token = provider.token(&json!({}));
    assert!(followed.service.ask_with(&token).await.is_allowed());
    assert_eq!(followed.service.ask("/open", &[]).await, Answer::denied(401, "missing_token"));

    // From here on nothing can be fetched.
    provider.issuer.set_down(true);
    let open = json!({"name": "open", "match": {"path": "/open"}, "allow": "anyone"});
    config["rules"].as_array_mut().unwrap().insert(0, open);
    followed.write(&config);
    followed.until_generation(2).await;
    assert!(followed.service.ask("/open", &[]).await.is_allowed());
    assert!(followed.service.ask_with(&token).await.is_allowed());
    let source = followed.service.source_status().await;
    assert_eq!((&source["state"], &source["origin"]), (&json!("fresh"), &json!("network")));
    assert_eq!(provider.issuer.withheld(), 0, "no fetch was needed");
    assert_eq!(followed.service.metric(&["config_reload_total", "\"ok\""]).await, 1.0);
    assert_eq!(followed.service.metric(&["config_generation"]).await, 2.0);
    followed.service.stop().await.unwrap();
}

#[tokio::test]
async fn a_configuration_with_mistakes_changes_nothing_and_is_told_of_until_it_is_right() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let config = inline(&key);
    let followed = Followed::start(&config).await;
    for (broken, telling) in
        [("rules: [", "claimgate.yaml"), ("issuers: []\nrules: []\n", "issuers"), ("", "issuers")]
    {
        write(&followed.file, broken);
        eventually(telling, async || {
            let error = followed.configuration().await["last_error"].clone();
            error.as_str().is_some_and(|error| !error.is_empty())
        })
        .await;
        assert_eq!(followed.configuration().await["generation"], 1);
        assert!(followed.service.ask("/healthz", &[]).await.is_allowed());
    }
    fs::remove_file(&followed.file).unwrap();
    eventually("told that it is gone", async || {
        let error = followed.configuration().await["last_error"].clone();
        error.as_str().is_some_and(|error| error.contains("cannot be read"))
    })
    .await;
    let mut right = config;
    right["rules"][0]["match"]["path"] = "/health".into();
    followed.write(&right);
    followed.until_generation(2).await;
    assert_eq!(followed.configuration().await["last_error"], Value::Null);
    assert!(followed.service.ask("/health", &[]).await.is_allowed());
    assert!(!followed.service.ask("/healthz", &[]).await.is_allowed());
    assert!(followed.service.metric(&["config_reload_total", "\"invalid\""]).await >= 1.0);
    followed.service.stop().await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_is_removed_is_unknown_at_once_and_one_that_is_added_has_its_keys() {
    let (one, two) = (Provider::start().await, Provider::start().await);
    let followed = Followed::start(&one.config()).await;
    let (old, new) = (one.token(&json!({})), two.token(&json!({})));
    assert!(followed.service.ask_with(&old).await.is_allowed());
    assert_eq!(followed.service.ask_with(&new).await, Answer::denied(401, "unknown_issuer"));
    let source = json!({"jwks_url": format!("http://{}/jwks.json", two.address)});
    followed.write(&config(&format!("http://{}", two.address), &source));
    followed.until_generation(2).await;
    assert!(followed.service.ask_with(&new).await.is_allowed(), "read before it was in force");
    assert_eq!(followed.service.ask_with(&old).await, Answer::denied(401, "unknown_issuer"));
    followed.service.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_metrics_say_of_a_source_ends_when_another_one_takes_its_place() {
    let provider = Provider::start().await;
    let followed = Followed::start(&provider.config()).await;
    let metric = async |part: &str| followed.service.metric(&[part]).await;
    let of_source = ["jwks_keys{", "jwks_last_success", "jwks_usable_until", "jwks_origin{"];
    for part in of_source {
        assert!(metric(part).await > 0.0, "{part}");
    }
    let max_stale = metric("jwks_usable_until").await - metric("jwks_last_success").await;
    assert!((max_stale - 86_400.0).abs() < 1.0, "{max_stale}");
    // The same issuer and the same number, and nobody there.
    let nobody = json!({"jwks_url": "http://127.0.0.1:1/jwks.json"});
    followed.write(&config(&format!("http://{}", provider.address), &nobody));
    followed.until_generation(2).await;
    for part in of_source {
        assert_eq!(metric(part).await, 0.0, "{part}");
    }
    assert_eq!(metric("claimgate_ready ").await, 1.0, "once ready it stays so, as /readyz does");
    assert_eq!(followed.service.admin("/readyz").await.0, 200);
    followed.service.stop().await.unwrap();
}

#[tokio::test]
async fn one_without_keys_says_that_it_is_not_ready_wherever_it_is_asked() {
    let nobody = json!({"jwks_url": "http://127.0.0.1:1/jwks.json"});
    let service = TestService::start(config("http://127.0.0.1:1", &nobody)).await;
    assert_eq!(service.metric(&["claimgate_ready "]).await, 0.0);
    assert_eq!(service.admin("/readyz").await.0, 503);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn what_takes_a_restart_is_said_and_the_rest_is_in_force() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let followed = Followed::start(&inline(&key)).await;
    let mut moved = inline(&key);
    moved["rules"][0]["match"]["path"] = "/health".into();
    moved["listen"] = json!({"grpc": "127.0.0.1:1", "admin": "127.0.0.1:0"});
    write(&followed.file, &moved.to_string());
    followed.until_generation(2).await;
    assert_eq!(followed.configuration().await["needs_restart"], json!(["listen.grpc"]));
    assert!(followed.service.ask("/health", &[]).await.is_allowed());
    followed.service.stop().await.unwrap();
}

/// A third of the configurations are broken; the others open one of two paths in turn. Whoever asks meanwhile never
/// sees both open, never both closed and never a token refused, since each answer is made of one configuration.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_under_load_answer_nothing_wrongly() {
    const RELOADS: u64 = 100;
    let provider = Provider::start().await;
    let mut config = provider.config();
    config["issuers"][0]["refresh"] = json!({"interval": "1h", "min": "1h"});
    let version = |nth: u64| {
        let (open, closed) = if nth.is_multiple_of(2) { ("/a", "/b") } else { ("/b", "/a") };
        let mut config = config.clone();
        config["rules"] = json!([
            {"name": format!("open{nth}"), "match": {"path": open}, "allow": "anyone"},
            {"name": format!("closed{nth}"), "match": {"path": closed}, "require": {"issuer": "accounts"}},
            {"name": "rest", "require": {"issuer": "accounts"}},
        ]);
        config
    };
    let followed = Arc::new(Followed::start(&version(0)).await);
    let token = provider.token(&json!({}));
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let askers = (0..4).map(|_| {
        let (followed, token) = (Arc::clone(&followed), token.clone());
        let (done, asked) = (Arc::clone(&done), Arc::clone(&asked));
        async move {
            while !done.load(Ordering::Relaxed) {
                for path in ["/a", "/b"] {
                    let answer = followed.service.ask(path, &[]).await;
                    let is_right =
                        answer.is_allowed() || answer == Answer::denied(401, "missing_token");
                    assert!(is_right, "{path}: {answer:?}");
                }
                assert!(followed.service.ask_with(&token).await.is_allowed());
                asked.fetch_add(3, Ordering::Relaxed);
            }
        }
    });
    let reloads = async {
        let (mut generation, mut least) = (1, u64::MAX);
        for nth in 1..=RELOADS {
            let before = asked.load(Ordering::Relaxed);
            if nth.is_multiple_of(3) {
                write(&followed.file, "rules: {{");
                eventually("refused", async || {
                    followed.configuration().await["last_error"].is_string()
                })
                .await;
            } else {
                followed.write(&version(nth));
                generation += 1;
                followed.until_generation(generation).await;
            }
            let answers = || asked.load(Ordering::Relaxed) - before;
            eventually("asked", async || answers() > 0).await;
            least = least.min(answers());
        }
        done.store(true, Ordering::Relaxed);
        (generation, least)
    };
    let ((generation, least), _) = tokio::join!(reloads, futures_util::future::join_all(askers));
    let asked = asked.load(Ordering::Relaxed);
    let broken = RELOADS / 3;
    let told = format!(
        "reloads of the configuration: {RELOADS}, {broken} of them of a broken one, answers meanwhile: {asked} (at \
         least {least} in each), wrong: 0\n"
    );
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    assert_eq!(generation, 1 + RELOADS - broken);
    assert!(asked > 0);
    let followed = Arc::into_inner(followed).expect("everybody has stopped asking");
    followed.service.stop().await.unwrap();
}
