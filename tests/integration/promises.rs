//! Promises that need a provider with faults: 2, nothing waits for it; 3, an outage changes no answer; 4, a rotated key
//! is accepted on its first use and no stream of made-up key IDs is fetched for; 5, a withdrawn key is refused; 7, no
//! secret of a key source is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use claimgate::issuer::forgery;
use serde_json::json;
use tokio::task::JoinSet;

use crate::faulty::{Fault, KeyServer};
use crate::kept::{mint, mint_with_header};
use crate::logs;
use crate::rig::{Rig, key};
use crate::service::{Answer, check, connect, eventually, request};

#[tokio::test]
async fn promise_2_nothing_on_the_request_path_waits_for_a_provider_that_hangs() {
    let (old, new) = (key("old"), key("new"));
    let mut rig = Rig::start(&[&old], json!({"timeout": "30s"})).await;
    let (known, unknown) = (rig.token(&old), rig.token(&new));
    rig.server.publish(&[&old, &new]);
    rig.server.fail(Fault::Hang).await;

    // The gate stays closed: whoever waited for the provider would never be answered.
    assert!(rig.allows(&known).await);
    rig.begin_refresh().await;
    eventually("asked", async || rig.server.requests() == 2).await;
    assert!(rig.allows(&known).await);
    assert_eq!(rig.service.ask_with(&unknown).await, Answer::denied(401, "unknown_kid"));
    assert!(rig.allows(&known).await);
    assert_eq!(rig.refreshes().await, 1.0, "the refresh is still under way");

    rig.server.fail(Fault::None).await;
    rig.until_refreshed(2.0).await;
    assert!(rig.allows(&unknown).await);
    assert_eq!(rig.server.requests(), 2);
    rig.service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_2_a_provider_that_hangs_from_the_start_costs_an_answer_and_no_waiting() {
    let key = key("one");
    let mut server = KeyServer::start(&[&key]).await;
    server.fail(Fault::Hang).await;
    let mut rig = Rig::start_with(server, json!({"timeout": "30s"}), None).await;
    eventually("asked", async || rig.server.requests() == 1).await;
    let token = rig.token(&key);
    let unavailable = Answer::denied(503, "keys_unavailable");
    assert_eq!(rig.service.ask_with(&token).await, unavailable);
    assert_eq!(rig.service.admin("/readyz").await.0, 503);
    rig.server.fail(Fault::None).await;
    rig.service.until_ready().await;
    assert!(rig.allows(&token).await);
    assert_eq!(rig.server.requests(), 1);
    rig.service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_3_a_restart_in_an_outage_changes_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let key = key("one");
    let mut server = KeyServer::start(&[&key]).await;
    let mut token = None;
    // The second restart starts from what the first one started from.
    for start in 0..3 {
        let rig = Rig::start_with(server, json!({}), Some(directory.path())).await;
        rig.service.until_ready().await;
        rig.until_refreshed(1.0).await;
        let token = token.get_or_insert_with(|| rig.token(&key));
        assert!(rig.allows(token).await, "start {start}");
        assert_eq!(rig.server.requests(), 1, "start {start}");
        rig.service.stop().await.unwrap();
        server = rig.server;
        server.fail(Fault::Refuse).await;
    }
    server.fail(Fault::None).await;
    let rig = Rig::start_with(server, json!({}), Some(directory.path())).await;
    eventually("read again", async || rig.server.requests() == 2).await;
    rig.until_refreshed(1.0).await;
    assert_eq!(rig.service.source_status().await["state"], "fresh");
    rig.service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_4_a_rotated_key_is_accepted_on_its_first_use() {
    let (old, new) = (key("old"), key("new"));
    let rig = Rig::start(&[&old], json!({"unknown_kid_wait": "5s"})).await;
    rig.clock.advance(Duration::from_secs(60));
    rig.server.publish(&[&new, &old]);
    for token in [rig.token(&new), rig.token(&new), rig.token(&old)] {
        assert!(rig.allows(&token).await);
    }
    assert_eq!(rig.server.requests(), 2, "the start, and one for the new key");
    rig.service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_4_a_flood_of_made_up_kids_makes_at_most_four_fetches() {
    let key = key("old");
    let rig = Rig::start(&[&key], json!({})).await;
    flood(&rig, &rig.token(&key), 20_000).await;
    rig.service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_4_a_flood_of_made_up_kids_in_an_outage_makes_no_more_fetches() {
    let key = key("old");
    let mut rig = Rig::start(&[&key], json!({})).await;
    rig.server.fail(Fault::Status("500 Internal Server Error", "")).await;
    flood(&rig, &rig.token(&key), 2_000).await;
    rig.service.stop().await.unwrap();
}

/// So many tokens of key IDs that nobody publishes, in 20 s of the service's time, and a good one now and then.
async fn flood(rig: &Rig, good: &str, count: u32) {
    let (stranger, claims) = (key("stranger"), rig.claims());
    for nth in 0..count {
        let header = json!({"kid": format!("made-up-{nth}")});
        let token = mint_with_header(&stranger, &header, &claims).unwrap();
        let answer = rig.service.ask_with(&token).await;
        assert_eq!(answer, Answer::denied(401, "unknown_kid"), "the {nth}th");
        if nth % 20 == 0 {
            assert!(rig.allows(good).await, "after the {nth}th");
        }
        rig.clock.advance(Duration::from_secs(20) / count);
    }
    let fetches = rig.server.requests() - 1;
    assert!((1..=4).contains(&fetches), "{fetches} fetches");
}

#[tokio::test]
async fn promise_4_a_thousand_checks_at_once_with_one_new_kid_make_one_fetch() {
    let (old, new) = (key("old"), key("new"));
    let mut rig = Rig::start(&[&old], json!({"unknown_kid_wait": "5s"})).await;
    rig.clock.advance(Duration::from_secs(60));
    rig.server.publish(&[&new, &old]);
    rig.server.fail(Fault::Hang).await;
    let bearer = format!("Bearer {}", rig.token(&new));
    let request = request("GET", "/orders", &[("authorization", &bearer)]);
    let mut herd = JoinSet::new();
    // A connection carries only so many calls at a time.
    for _ in 0..10 {
        let channel = connect(rig.service.grpc);
        for _ in 0..100 {
            herd.spawn(check(channel.clone(), request.clone()));
        }
    }
    let under_way = || rig.service.metric(&["claimgate_inflight_checks "]);
    eventually("all waiting", async || under_way().await >= 1000.0).await;
    rig.server.fail(Fault::None).await;
    while let Some(answer) = herd.join_next().await {
        assert!(Answer::of(answer.unwrap()).is_allowed());
    }
    assert_eq!(rig.server.requests(), 2);
    rig.service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_4_no_token_that_a_new_key_could_not_save_makes_a_fetch() {
    let (old, stranger) = (key("old"), key("stranger"));
    let rig = Rig::start(&[&old], json!({})).await;
    rig.clock.advance(Duration::from_secs(3600));
    let forged = forgery::with_wrong_signature(&rig.token(&old));
    for _ in 0..1000 {
        assert_eq!(rig.service.ask_with(&forged).await, Answer::denied(401, "bad_signature"));
    }
    assert_eq!(rig.server.requests(), 1, "a bad signature under a known key asked for keys");
    let with = |name: &str, value| {
        let mut claims = rig.claims();
        claims[name] = value;
        mint(&stranger, &claims).unwrap()
    };
    let other_algorithm = json!({"alg": "RS256"});
    for (token, reason) in [
        (with("exp", json!(1)), "expired"),
        (with("iss", json!("https://other.example")), "unknown_issuer"),
        (mint_with_header(&stranger, &other_algorithm, &rig.claims()).unwrap(), "alg_not_allowed"),
    ] {
        let answer = rig.service.ask_with(&token).await;
        assert!(!answer.is_allowed(), "{reason}");
        assert_eq!(rig.server.requests(), 1, "{reason} asked for keys");
    }
    rig.service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_5_a_withdrawn_key_is_refused_from_the_next_success_on() {
    let (kept, withdrawn) = (key("kept"), key("withdrawn"));
    let mut rig = Rig::start(&[&kept, &withdrawn], json!({})).await;
    let (good, dead) = (rig.token(&kept), rig.token(&withdrawn));
    assert!(rig.allows(&dead).await);
    rig.server.publish(&[&kept]);
    rig.server.fail(Fault::Status("500 Internal Server Error", "")).await;
    rig.refresh().await;
    assert!(rig.allows(&dead).await, "an outage withdraws nothing");
    rig.server.fail(Fault::None).await;
    rig.refresh().await;
    for _ in 0..3 {
        assert_eq!(rig.service.ask_with(&dead).await, Answer::denied(401, "unknown_kid"));
        assert!(rig.allows(&good).await);
    }
    rig.service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_7_no_secret_of_a_key_source_in_logs_metrics_and_status() {
    /// An Ed25519 private key as a JWK and in PEM (RFC 8037 §A.1, RFC 8410 §10.3).
    const PRIVATE_JWK: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const PRIVATE_PEM: &str = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
    const IN_URL: &str = "the-api-key-of-the-provider";
    const BEARER: &str = "the-token-that-fetches-keys";
    const HMAC: &str = "an-hmac-secret-of-quite-enough-bytes-for-hs256";
    logs::collect();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: String| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    };
    let bearer = file("bearer", format!("{BEARER}\n"));
    let good = key("seven");
    let server = KeyServer::start(&[&good]).await;
    let url = json!({"jwks_url": format!("{}?api_key={IN_URL}", server.url())});
    let mut config = Rig::config(&url, &json!({"bearer_token_file": bearer}));
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{PRIVATE_PEM}\n-----END PRIVATE KEY-----\n");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "private", "d": PRIVATE_JWK,
        "x": good.public_jwk()["x"]});
    let keys = json!({"keys": [jwk, good.public_jwk()]}).to_string();
    config["issuers"][0]["algorithms"] = json!(["EdDSA", "HS256"]);
    config["issuers"][0]["keys"] = json!([
        url,
        {"pem_file": file("private.pem", pem)},
        {"jwks_file": file("private.json", keys)},
        {"hmac_file": file("hmac", HMAC.to_owned()), "kid": "hmac"},
    ]);

    let mut rig = Rig::start_as(server, config).await;
    eventually("read", async || rig.refreshes().await >= 4.0).await;
    // Whatever a provider makes of what it was told, and says of it again.
    let heard = rig.server.last_request();
    assert!(heard.contains(IN_URL) && heard.contains(BEARER), "{heard}");
    for echo in [Fault::Body(heard), Fault::Redirect(format!("/?{IN_URL}&{BEARER}")), Fault::Refuse]
    {
        rig.server.fail(echo).await;
        rig.refresh().await;
    }
    assert!(rig.allows(&rig.token(&good)).await);
    let (_, metrics) = rig.service.admin("/metrics").await;
    let (_, status) = rig.service.admin("/status").await;
    let (_, ready) = rig.service.admin("/readyz").await;
    rig.service.stop().await.unwrap();
    let logged = logs::lines();
    assert!(logged.contains("private.pem") && status.contains("private_key"), "{status}");
    for (place, text) in
        [("logs", &logged), ("metrics", &metrics), ("status", &status), ("readyz", &ready)]
    {
        for secret in [PRIVATE_JWK, PRIVATE_PEM, IN_URL, BEARER, HMAC] {
            let parts =
                secret.as_bytes().windows(12).map(|part| std::str::from_utf8(part).unwrap());
            let found = parts.into_iter().find(|part| text.contains(part));
            assert_eq!(found, None, "part of a secret in the {place}");
        }
    }
}
