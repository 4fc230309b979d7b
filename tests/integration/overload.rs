//! More checks than there is time for: those whose turn comes too late are told so at once, and when the flood is over
//! the next one is decided as if there had been none.

use std::collections::BTreeMap;

use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use serde_json::json;
use tokio::task::JoinSet;

use crate::answers::{claims, key};
use crate::bounds::say;
use crate::kept::mint;
use crate::provider::inline;
use crate::service::{Answer, TestService, check, connect, eventually, request};

const CONNECTIONS: usize = 10;
const CALLS_ON_EACH: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_answered_overloaded_and_the_next_good_token_passes() {
    let key = key();
    let mut config = inline(&key);
    // Shorter than what is asked takes, wherever this runs.
    config["limits"] = json!({"queue_time": "1ms"});
    let service = TestService::start(config).await;
    let good = mint(&key, &claims(&json!({}))).unwrap();

    let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("one");
    let mut flood = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let channel = connect(service.grpc);
        for n in 0..CALLS_ON_EACH {
            let forged = mint(&stranger, &claims(&json!({"n": n}))).unwrap();
            let bearer = format!("Bearer {forged}");
            let asked = request("GET", "/orders", &[("authorization", &bearer)]);
            flood.spawn(check(channel.clone(), asked));
        }
    }
    let mut answers = BTreeMap::new();
    while let Some(answer) = flood.join_next().await {
        let answer = Answer::of(answer.unwrap());
        assert!(!answer.is_allowed());
        *answers.entry(answer.reason().to_owned()).or_insert(0_usize) += 1;
    }
    say(&format!("{} forged tokens at once: {answers:?}", CONNECTIONS * CALLS_ON_EACH));
    assert!(answers.get("overloaded").is_some_and(|count| *count > 0), "{answers:?}");
    assert!(answers.keys().all(|reason| ["overloaded", "bad_signature"].contains(&&**reason)));

    eventually("decided again", async || service.ask_with(&good).await.is_allowed()).await;
    assert_eq!(service.metric(&["claimgate_inflight_checks "]).await, 0.0);
    service.stop().await.unwrap();
}
