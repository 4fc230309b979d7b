//! What operators see: promise 7, no token and no claim in it, promise 8, every denial explained by one word
//! everywhere, and a number of series that no client can raise.

use std::collections::BTreeSet;

use claimgate::app::Options;
use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use serde_json::{Value, json};

use crate::answers::{claims, key};
use crate::kept::{mint, mint_bytes, mint_with_header};
use crate::logs;
use crate::provider::inline;
use crate::service::{Answer, TestService, request};

const CLAIM: &str = "carol-the-one-and-only";

#[tokio::test]
async fn promise_7_no_token_and_no_claim_in_logs_metrics_and_status() {
    logs::collect();
    let key = key();
    let options = Options { log_sample: 1, ..Options::default() };
    let service = TestService::start_with(inline(&key), options).await;
    let good = mint(&key, &claims(&json!({"sub": CLAIM}))).unwrap();
    let expired = mint(&key, &claims(&json!({"sub": CLAIM, "exp": 1}))).unwrap();
    // As some providers write JSON: its base64 has no `eyJ`.
    let spaced = json!({"sub": CLAIM}).to_string();
    let spaced =
        mint_bytes(&key, b"{ \"alg\": \"EdDSA\" }", format!("\n{spaced}").as_bytes()).unwrap();
    assert!(service.ask_with(&good).await.is_allowed());
    for token in [&good, &expired, &spaced] {
        let path = format!("/seven?access_token={token}");
        let in_path = format!("/seven/{token}");
        let authorization = format!("Bearer {expired}");
        service.ask(&path, &[("authorization", &authorization)]).await;
        service.ask(&in_path, &[("x-request-id", token)]).await;
        service.check(request(token, "/seven", &[("cookie", token)])).await;
    }
    let (_, metrics) = service.admin("/metrics").await;
    let (_, status) = service.admin("/status").await;
    let (_, ready) = service.admin("/readyz").await;
    service.stop().await.unwrap();
    let logged = logs::lines();
    assert!(logged.contains("/seven") && logged.contains("expired"), "nothing was logged");
    for (place, text) in
        [("logs", &logged), ("metrics", &metrics), ("status", &status), ("readyz", &ready)]
    {
        assert!(!text.contains(CLAIM), "a claim in the {place}");
        for token in [&good, &expired, &spaced] {
            // The header is no secret and the same for all; what follows identifies the token.
            let secret = token.split_once('.').unwrap().1.as_bytes();
            let slices = secret.windows(16).map(|slice| std::str::from_utf8(slice).unwrap());
            let found = slices.into_iter().find(|slice| text.contains(slice));
            assert_eq!(found, None, "part of a token in the {place}");
        }
    }
}

#[tokio::test]
async fn promise_8_a_denial_has_the_same_word_in_answer_log_and_metric() {
    logs::collect();
    let key = key();
    let service = TestService::start(inline(&key)).await;
    let expired = format!("Bearer {}", mint(&key, &claims(&json!({"exp": 1}))).unwrap());
    let answer = service.ask("/explained", &[("authorization", &expired)]).await;
    let (_, metrics) = service.admin("/metrics").await;
    service.stop().await.unwrap();
    assert_eq!(answer, Answer::denied(401, "expired"));
    let series = r#"claimgate_checks_total{rule="rest",issuer="accounts",decision="deny",reason="expired"} 1"#;
    assert!(metrics.contains(series), "{metrics}");
    let lines = logs::lines();
    let line = lines.lines().find(|line| line.contains("/explained")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    for (field, value) in [
        ("decision", "deny"),
        ("reason", "expired"),
        ("rule", "rest"),
        ("issuer", "accounts"),
        ("method", "GET"),
        ("path", "/explained"),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
}

#[tokio::test]
async fn ten_thousand_odd_tokens_leave_the_number_of_series_unchanged() {
    let key = key();
    let service = TestService::start(inline(&key)).await;
    // One of each kind first, whatever its series is.
    let mut reasons = BTreeSet::new();
    for odd in 0..KINDS {
        reasons.insert(odd_check(&service, &key, odd).await);
    }
    assert!(reasons.len() > 6, "too few kinds: {reasons:?}");
    let before = series(&service).await;
    for odd in KINDS..10_000 {
        odd_check(&service, &key, odd).await;
    }
    let after = series(&service).await;
    assert_eq!(before, after);
    service.stop().await.unwrap();
}

const KINDS: usize = 9;

/// Sends the `odd`-th odd request, of a kind by turns; returns the reason.
async fn odd_check(service: &TestService, key: &SigningKey, odd: usize) -> String {
    let path = format!("/path-{odd}");
    let claims = |over: Value| claims(&over);
    let token = match odd % KINDS {
        0 => format!("garbage-{odd}"),
        1 => mint_with_header(key, &json!({"kid": format!("kid-{odd}")}), &claims(json!({})))
            .unwrap(),
        2 => {
            mint_with_header(key, &json!({"alg": format!("ALG{odd}")}), &claims(json!({}))).unwrap()
        }
        3 => mint(key, &claims(json!({"iss": format!("https://{odd}.example")}))).unwrap(),
        4 => mint(key, &claims(json!({"aud": format!("aud-{odd}")}))).unwrap(),
        5 => mint(key, &claims(json!({"sub": format!("sub-{odd}")}))).unwrap(),
        6 => mint(key, &claims(json!({"exp": odd}))).unwrap(),
        7 => format!("{odd}.{odd}.{odd}"),
        _ => String::new(),
    };
    let bearer = format!("Bearer {token}");
    let request = request(&format!("METHOD{odd}"), &path, &[("authorization", &bearer)]);
    Answer::of(service.check(request).await).reason().to_owned()
}

/// Names and labels of all series.
async fn series(service: &TestService) -> BTreeSet<String> {
    let (_, text) = service.admin("/metrics").await;
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

#[tokio::test]
async fn the_status_page_tells_of_each_source() {
    let service = TestService::start(inline(&key())).await;
    let (code, text) = service.admin("/status").await;
    let page: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 200);
    assert_eq!(page["profile"], "development");
    assert_eq!(page["ready"], true);
    let issuer = &page["issuers"][0];
    assert_eq!(issuer["name"], "accounts");
    assert_eq!(issuer["sources"][0]["origin"], "inline");
    assert_eq!(issuer["sources"][0]["kids"], json!(["one"]));
    assert_eq!(issuer["sources"][0]["state"], "fresh");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_passed_over_is_named_on_the_status_page() {
    let key = key();
    let mut config = inline(&key);
    let other = SigningKey::generate(Algorithm::Es256).unwrap().with_kid("two");
    config["issuers"][0]["keys"][0]["jwks"]["keys"] = json!([key.public_jwk(), other.public_jwk()]);
    let service = TestService::start(config).await;
    let page: Value = serde_json::from_str(&service.admin("/status").await.1).unwrap();
    let skipped = &page["issuers"][0]["sources"][0]["skipped"];
    assert_eq!(*skipped, json!([{"kid": "two", "reason": "algorithm_not_accepted"}]));
    service.stop().await.unwrap();
}
