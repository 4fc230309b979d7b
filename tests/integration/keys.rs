//! Keys that come and go: a start without them, a rotation, and promise 3, an outage that nobody notices.

use std::sync::Arc;
use std::time::Duration;

use claimgate::util::clock::{Clock as _, ManualClock, SystemClock};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::provider::{Provider, config};
use crate::rig::{Rig, key};
use crate::service::{Answer, TestService, eventually};

#[tokio::test]
async fn a_key_url_that_answers_html_leaves_the_service_up_unready_and_saying_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    let _detached = tokio::spawn(serve_html(listener));
    let issuer = Provider::start().await;
    let source = json!({"jwks_url": format!("http://{address}/jwks.json")});
    let iss = format!("http://{}", issuer.address);
    let service = TestService::start(config(&iss, &source)).await;
    eventually("saying why", async || {
        let (status, text) = service.admin("/readyz").await;
        status == 503 && text.contains("issuer accounts") && text.contains("JSON")
    })
    .await;
    assert_eq!(service.admin("/livez").await.0, 200);
    let answer = service.ask_with(&issuer.token(&json!({}))).await;
    assert_eq!(answer, Answer::denied(503, "keys_unavailable"));
    assert!(service.ask("/healthz", &[]).await.is_allowed());
    let status: Value = serde_json::from_str(&service.admin("/status").await.1).unwrap();
    let source = &status["issuers"][0]["sources"][0];
    assert_eq!(status["ready"], false);
    assert_eq!(source["state"], "waiting");
    assert!(source["last_error"].as_str().unwrap().contains("JSON"), "{source}");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_rotated_key_is_accepted_after_a_refresh_and_a_withdrawn_one_is_not() {
    let provider = Provider::start().await;
    let service = TestService::start(provider.config()).await;
    service.until_ready().await;
    let old = provider.token(&json!({}));
    assert!(service.ask_with(&old).await.is_allowed());
    provider.issuer.rotate(true).unwrap();
    let new = provider.token(&json!({}));
    eventually("accepted", async || service.ask_with(&new).await.is_allowed()).await;
    assert_eq!(service.ask_with(&old).await, Answer::denied(401, "unknown_kid"));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_3_an_outage_changes_no_answer_until_the_keys_are_too_old() {
    let provider = Provider::start().await;
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let service = TestService::start_at(provider.config(), Arc::clone(&clock) as _).await;
    service.until_ready().await;
    let now = clock.now().as_millis() / 1000;
    let token = provider.token(&json!({"exp": now + 3 * 24 * 3600}));
    assert!(service.ask_with(&token).await.is_allowed());

    provider.issuer.set_down(true);
    let passes = || clock.advance(Duration::from_secs(2));
    eventually("refused", async || {
        passes();
        provider.issuer.withheld() > 0
    })
    .await;
    clock.advance(Duration::from_secs(23 * 3600));
    assert!(service.ask_with(&token).await.is_allowed());
    assert_eq!(service.admin("/readyz").await.0, 200);

    clock.advance(Duration::from_secs(2 * 3600));
    let answer = service.ask_with(&token).await;
    assert_eq!(answer, Answer::denied(503, "keys_unavailable"));

    provider.issuer.set_down(false);
    eventually("recovered", async || {
        passes();
        service.ask_with(&token).await.is_allowed()
    })
    .await;
    service.stop().await.unwrap();
}

async fn serve_html(listener: TcpListener) {
    const PAGE: &str = "<!doctype html><title>Sign in</title>";
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = [0; 4096];
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", PAGE.len());
        let answer = format!("{head}content-type: text/html\r\nconnection: close\r\n\r\n{PAGE}");
        if stream.read(&mut request).await.is_ok() {
            let _gone = stream.write_all(answer.as_bytes()).await.is_err();
        }
    }
}

#[tokio::test]
async fn asked_again_too_soon_a_refresh_is_refused_with_the_whole_seconds_to_wait() {
    let rig = Rig::start(&[&key("one")], json!({})).await;
    rig.refresh().await;
    rig.clock.advance(Duration::from_millis(500));
    // While the read before has not quite ended, whoever asks joins it.
    eventually("refused", async || rig.service.post("/keys/refresh").await.0 == 429).await;
    let (status, body) = rig.service.post("/keys/refresh").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let expected = json!({"sources": [
        {"issuer": "accounts", "source": "0", "refresh": "limited", "retry_after_seconds": 10},
    ]});
    assert_eq!((status, body), (429, expected));
    assert_eq!(rig.server.requests(), 2, "the start and the first time");
    rig.service.stop().await.unwrap();
}
