//! `/revoke` and `/logout`: what is written, and for whom.

use std::time::Duration;

use serde_json::json;

use crate::issuer::forgery;
use crate::issuer::reference::settings::RevocationSettings;
use crate::issuer::reference::testing::{NOW, Rig, segment};
use crate::keys::signing::{KeyType, SigningKey};
use crate::revocation::redis::Writer;
use crate::revocation::redis::tests::server::RedisServer;
use crate::revocation::redis::tests::settings as in_redis;
use crate::revocation::{EntryKind, Revoked};

#[tokio::test]
async fn an_access_token_is_revoked_by_its_id_until_nobody_accepts_it_any_more() {
    let rig = Rig::new();
    let token = rig.token("worker").await.text("access_token");
    for hint in [
        "",
        "&token_type_hint=access_token",
        "&token_type_hint=refresh_token",
        "&token_type_hint=x",
    ] {
        let answer = rig.post("/revoke", "worker", &format!("token={token}{hint}")).await;
        assert_eq!((answer.status, answer.body), (200, json!(null)), "{hint}");
    }
    let id = segment(&token, 1)["jti"].as_str().unwrap().to_owned();
    let revoked = rig.revoked();
    assert_eq!(*revoked[0].revoked(), Revoked::Token { jti: id.as_str().into() });
    assert_eq!(revoked[0].iss(), "https://id.example.com");
    let ten_minutes_after = NOW.saturating_add(Duration::from_secs(300 + 600));
    assert_eq!(revoked[0].expires_at(), ten_minutes_after);
}

#[tokio::test]
async fn a_refresh_token_is_revoked_with_everything_that_came_of_it() {
    let rig = Rig::new();
    let first = rig.token("agent").await;
    let used = first.text("refresh_token");
    let current = rig.refresh("agent", &used).await.text("refresh_token");
    for token in [&current, &used] {
        assert_eq!(rig.post("/revoke", "agent", &format!("token={token}")).await.status, 200);
    }
    assert_eq!(rig.refresh("agent", &current).await.refused(), (400, "invalid_grant"));
    let session = segment(&first.text("access_token"), 1)["sid"].as_str().unwrap().to_owned();
    let revoked = rig.revoked();
    assert_eq!(revoked.len(), 1, "the second time there was nothing left");
    assert_eq!(*revoked[0].revoked(), Revoked::Session { sid: session.as_str().into() });
}

#[tokio::test]
async fn nobody_revokes_the_token_of_another() {
    let rig = Rig::new();
    let token = rig.token("agent").await;
    for token in [token.text("access_token"), token.text("refresh_token")] {
        for path in ["/revoke", "/logout"] {
            let answer = rig.post(path, "spy", &format!("token={token}")).await;
            assert_eq!(answer.refused(), (400, "invalid_grant"), "{path}");
        }
    }
    assert!(rig.revoked().is_empty());
    assert_eq!(rig.refresh("agent", &token.text("refresh_token")).await.status, 200);
}

#[tokio::test]
async fn what_is_not_ours_or_not_good_any_more_is_as_good_as_revoked_and_nothing_is_written() {
    let rig = Rig::new();
    let token = rig.token("worker").await.text("access_token");
    let claims = segment(&token, 1);
    let stranger = SigningKey::generate_type(KeyType::Ed25519).unwrap().with_kid("k1");
    let public = rig.get("/.well-known/jwks.json").await.body["keys"][0].to_string();
    let [header, payload, _] = *token.split('.').collect::<Vec<_>>() else { panic!("{token}") };
    let forged = [
        crate::issuer::mint::mint(&stranger, &claims).unwrap(),
        forgery::unsigned("k1", &claims).unwrap(),
        forgery::keyed_with_public(public.as_bytes(), "k1", &claims).unwrap(),
        forgery::with_wrong_signature(&token),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{token}="),
        "not.a.token".to_owned(),
        "x".repeat(20_000),
    ];
    for token in &forged {
        for path in ["/revoke", "/logout"] {
            let answer = rig.post(path, "worker", &format!("token={token}")).await;
            assert_eq!(answer.status, 200, "{path} {token}");
        }
    }
    // Expired, by every clock that may be late.
    rig.clock.advance(Duration::from_secs(300 + 600));
    assert_eq!(rig.post("/revoke", "worker", &format!("token={token}")).await.status, 200);
    assert!(rig.revoked().is_empty(), "{:?}", rig.revoked());
}

#[tokio::test]
async fn a_token_that_has_expired_here_and_not_for_a_service_whose_clock_is_late_is_revoked() {
    let rig = Rig::new();
    let (token, of_session) = (rig.token("worker").await, rig.token("agent").await);
    rig.clock.advance(Duration::from_secs(300 + 599));
    for (path, client, token) in [("/revoke", "worker", &token), ("/logout", "agent", &of_session)]
    {
        let body = format!("token={}", token.text("access_token"));
        assert_eq!(rig.post(path, client, &body).await.status, 200, "{path}");
    }
    let kinds: Vec<EntryKind> = rig.revoked().iter().map(|entry| entry.kind()).collect();
    assert_eq!(kinds, [EntryKind::Token, EntryKind::Session]);
}

#[tokio::test]
async fn a_session_stays_revoked_for_as_long_as_the_token_that_ended_it_is_good() {
    // Tokens were for an hour until the issuer was started again, for five minutes.
    let hour = Duration::from_secs(3600);
    let rig = Rig::with(|settings| {
        settings.lifetime = hour;
        settings.clients.iter_mut().for_each(|client| client.lifetime = hour);
    });
    let token = rig.token("agent").await.text("access_token");
    let rig = rig.started_again();
    assert_eq!(rig.post("/logout", "agent", &format!("token={token}")).await.status, 200);
    let revoked = rig.revoked();
    assert_eq!(revoked[0].kind(), EntryKind::Session);
    assert!(revoked[0].expires_at() >= NOW.saturating_add(hour), "{:?}", revoked[0]);
}

#[tokio::test]
async fn a_logout_with_a_token_ends_its_session_and_no_other() {
    let rig = Rig::new();
    for kind in ["access_token", "refresh_token"] {
        let (token, other) = (rig.token("agent").await, rig.token("agent").await);
        let before = rig.revoked().len();
        let answer = rig.post("/logout", "agent", &format!("token={}", token.text(kind))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(rig.refresh("agent", &token.text("refresh_token")).await.status, 400);
        assert_eq!(rig.refresh("agent", &other.text("refresh_token")).await.status, 200);
        let revoked = rig.revoked();
        let session = segment(&token.text("access_token"), 1)["sid"].clone();
        assert_eq!((revoked.len(), json!(revoked[before].revoked().id())), (before + 1, session));
    }
}

#[tokio::test]
async fn a_logout_without_a_token_ends_everything_and_what_comes_after_the_answer_is_good() {
    let rig = Rig::new();
    rig.clock.advance(Duration::from_millis(300));
    let (one, two) = (rig.token("agent").await, rig.token("agent").await);
    let of_spy = rig.token("spy").await;
    let logout = rig.post("/logout", "agent", "");
    let clock = async {
        // The answer waits for the next second.
        for _ in 0..7 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            rig.clock.advance(Duration::from_millis(100));
        }
    };
    let (answer, ()) = tokio::join!(logout, clock);
    assert_eq!(answer.status, 200);
    let revoked = rig.revoked();
    let next_second = NOW.saturating_add(Duration::from_secs(1));
    let expected = Revoked::Subject { sub: "service:agent".into(), not_before: next_second };
    assert_eq!((revoked.len(), revoked[0].revoked()), (1, &expected));
    for token in [&one, &two] {
        assert_eq!(rig.refresh("agent", &token.text("refresh_token")).await.status, 400);
    }
    assert_eq!(rig.refresh("spy", &of_spy.text("refresh_token")).await.status, 200);
    let after = segment(&rig.token("agent").await.text("access_token"), 1)["iat"].as_i64().unwrap();
    assert!(after * 1000 >= next_second.as_millis(), "not one of those that are revoked");
}

#[tokio::test]
async fn a_logout_of_everything_is_of_all_that_was_issued_until_the_last_session_has_ended() {
    let server = RedisServer::start();
    let redis = in_redis(&server);
    let mut store = Writer::new(redis.clone());
    store.init("one").await.unwrap();
    let rig = Rig::with(|settings| settings.revocation = RevocationSettings::Redis(redis.into()));
    rig.token("agent").await;
    // The store takes its time, and whoever has a refresh token goes on meanwhile.
    server.pause();
    let mut logout = Box::pin(rig.post("/logout", "agent", ""));
    tokio::select! {
        _ = &mut logout => panic!("it waits for the store"),
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
    rig.clock.advance(Duration::from_millis(1500));
    let ended = NOW.saturating_add(Duration::from_millis(1500));
    server.resume();
    let time_goes_on = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            rig.clock.advance(Duration::from_millis(100));
        }
    };
    let answer = tokio::select! { answer = logout => answer, () = time_goes_on => unreachable!() };
    assert_eq!(answer.status, 200);
    let (entries, _) = store.list().await.unwrap();
    assert!(entries[0].revoked().not_before() > Some(ended), "{entries:?}");
}

#[tokio::test]
async fn what_cannot_be_written_is_not_answered_as_done_and_can_be_asked_for_again() {
    let rig = Rig::new();
    let file = rig.folder.path().join("revocations");
    std::fs::write(&file, "half a li").unwrap();
    let token = rig.token("agent").await;
    let body = format!("token={}", token.text("refresh_token"));
    for path in ["/revoke", "/logout"] {
        let answer = rig.post(path, "agent", &body).await;
        assert_eq!(answer.refused(), (503, "temporarily_unavailable"), "{path}");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(rig.post("/revoke", "agent", &body).await.status, 200);
    assert_eq!(rig.revoked()[0].kind(), EntryKind::Session);
}
