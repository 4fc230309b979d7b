//! Refresh tokens: used once, for the same or less, by their client; and what becomes of one that comes a second time.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::issuer::reference::testing::{Answered, Rig, segment};
use crate::revocation::{EntryKind, Revoked};

async fn first(rig: &Rig) -> (String, String) {
    let answer = rig.token("agent").await;
    let session = segment(&answer.text("access_token"), 1)["sid"].as_str().unwrap().to_owned();
    (answer.text("refresh_token"), session)
}

fn claims(answer: &Answered) -> serde_json::Value {
    segment(&answer.text("access_token"), 1)
}

#[tokio::test]
async fn each_use_brings_another_token_of_the_same_session() {
    let rig = Rig::new();
    let (mut token, session) = first(&rig).await;
    for _ in 0..3 {
        rig.clock.advance(Duration::from_secs(60));
        let answer = rig.refresh("agent", &token).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let next = answer.text("refresh_token");
        assert_ne!(next, token);
        let claims = claims(&answer);
        assert_eq!((&claims["sid"], &claims["scope"]), (&json!(session), &json!("orders:read")));
        token = next;
    }
    assert!(rig.revoked().is_empty());
}

#[tokio::test]
async fn a_token_can_be_used_for_less_and_not_for_more() {
    let rig = Rig::new();
    let asked = "grant_type=client_credentials&scope=orders:read+orders:write&audience=orders";
    let token = rig.post("/token", "agent", asked).await.text("refresh_token");
    let with =
        |token: &str, more: &str| format!("grant_type=refresh_token&refresh_token={token}&{more}");
    for (more, error) in [
        ("scope=stock:read", "invalid_scope"),
        ("scope=orders:read+stock:read", "invalid_scope"),
        ("resource=https://stock.example.com/", "invalid_target"),
    ] {
        let answer = rig.post("/token", "agent", &with(&token, more)).await;
        assert_eq!(answer.refused(), (400, error), "{more}");
    }
    // None of these has used it up.
    let less = rig.post("/token", "agent", &with(&token, "scope=orders:write")).await;
    assert_eq!(claims(&less)["scope"], json!("orders:write"));
    // What follows may have everything again (RFC 6749 §6).
    let all = rig.refresh("agent", &less.text("refresh_token")).await;
    assert_eq!(claims(&all)["scope"], json!("orders:read orders:write"));
}

#[tokio::test]
async fn a_token_that_comes_a_second_time_ends_its_family_and_revokes_what_came_of_it() {
    let rig = Rig::new();
    let (stolen, session) = first(&rig).await;
    let (other, _) = first(&rig).await;
    let second = rig.refresh("agent", &stolen).await.text("refresh_token");
    assert_eq!(rig.refresh("agent", &stolen).await.refused(), (400, "invalid_grant"));
    assert_eq!(rig.refresh("agent", &second).await.refused(), (400, "invalid_grant"), "for both");
    let revoked = rig.revoked();
    assert_eq!(revoked.len(), 1);
    assert_eq!(*revoked[0].revoked(), Revoked::Session { sid: session.as_str().into() });
    let after_the_last_token = rig.clock_seconds() + 300;
    assert!(revoked[0].expires_at().as_millis() / 1000 >= after_the_last_token);
    assert_eq!(rig.refresh("agent", &other).await.status, 200, "another session goes on");
    assert_eq!(rig.token("agent").await.status, 200, "and so does the client");
    assert!(
        rig.metrics.render().contains(r#"claimgate_issuer_refresh_reuse_total{client="agent"} 1"#)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_use_a_token_at_once_one_gets_another_and_then_all_of_it_ends() {
    let rig = Rig::new();
    for _ in 0..5 {
        let (token, session) = first(&rig).await;
        let answers = join_all((0..16).map(|_| rig.refresh("agent", &token))).await;
        let good: Vec<&Answered> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert!(good.len() <= 1, "{} answers", good.len());
        for bad in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!(bad.refused(), (400, "invalid_grant"));
        }
        for answer in good {
            let next = answer.text("refresh_token");
            assert_eq!(rig.refresh("agent", &next).await.refused(), (400, "invalid_grant"));
        }
        let revoked = rig.revoked();
        let is_of_it = |id: Option<&str>| id == Some(session.as_str());
        assert!(revoked.iter().any(|entry| is_of_it(entry.revoked().id())), "{revoked:?}");
    }
}

#[tokio::test]
async fn a_token_is_its_clients_and_nobody_elses() {
    let rig = Rig::new();
    let (token, _) = first(&rig).await;
    assert_eq!(rig.refresh("spy", &token).await.refused(), (400, "invalid_grant"));
    assert_eq!(rig.refresh("worker", &token).await.refused(), (400, "unauthorized_client"));
    assert_eq!(rig.refresh("agent", &token).await.status, 200, "and it still is");
    assert!(rig.revoked().is_empty());
}

#[tokio::test]
async fn what_is_no_token_or_has_expired_is_refused_and_ends_nothing() {
    let rig = Rig::new();
    let (token, _) = first(&rig).await;
    let access = rig.token("agent").await.text("access_token");
    let altered =
        format!("{}{}", token.get(..42).unwrap(), if token.ends_with('A') { "E" } else { "A" });
    for wrong in
        ["a", &altered, &format!("{token}a"), token.get(1..).unwrap(), &access, &"A".repeat(43)]
    {
        assert_eq!(rig.refresh("agent", wrong).await.refused(), (400, "invalid_grant"), "{wrong}");
    }
    let next = rig.refresh("agent", &token).await.text("refresh_token");
    rig.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(rig.refresh("agent", &next).await.refused(), (400, "invalid_grant"));
    assert_eq!(rig.refresh("agent", &token).await.refused(), (400, "invalid_grant"));
    assert!(rig.revoked().is_empty(), "expired, used or not");
}

#[tokio::test]
async fn a_token_is_not_lost_to_a_key_that_is_missing() {
    let rig = Rig::new();
    let (token, _) = first(&rig).await;
    let options = crate::keys::lifecycle::steps::Options { force: true, ..Default::default() };
    let now = crate::issuer::reference::testing::NOW;
    crate::keys::lifecycle::steps::retire(&rig.key_dir(), "k1", &options, now).unwrap();
    rig.reload();
    assert_eq!(rig.refresh("agent", &token).await.status, 503);
    rig.rotate();
    assert_eq!(rig.refresh("agent", &token).await.status, 200);
}

#[tokio::test]
async fn a_family_ends_even_if_that_cannot_be_written_yet() {
    let rig = Rig::new();
    let (token, _) = first(&rig).await;
    let file = rig.folder.path().join("revocations");
    std::fs::write(&file, "half a li").unwrap();
    let second = rig.refresh("agent", &token).await.text("refresh_token");
    assert_eq!(rig.refresh("agent", &token).await.refused(), (400, "invalid_grant"));
    assert_eq!(rig.refresh("agent", &second).await.refused(), (400, "invalid_grant"));
    assert_eq!(rig.issuer.unwritten_revocations(), 1);
    std::fs::remove_file(&file).unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    stop.cancel();
    let Ok(()) = rig.issuer.clone().run(stop).await;
    assert_eq!(rig.issuer.unwritten_revocations(), 0);
    assert_eq!(rig.revoked()[0].kind(), EntryKind::Session);
}
