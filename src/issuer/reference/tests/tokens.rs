//! What a client gets for its credentials, and what it does not.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::issuer::reference::settings::{RateLimits, RefreshSettings};
use crate::issuer::reference::testing::{ISSUER, Rig, segment};

const NOW: i64 = 1_800_000_000;

#[tokio::test]
async fn a_token_is_what_rfc_9068_says_with_the_kid_in_the_header_and_nowhere_else() {
    let rig = Rig::new();
    let mut answer = rig.token("worker").await;
    let token = answer.text("access_token");
    assert_eq!(segment(&token, 0), json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"}));
    let mut claims = segment(&token, 1);
    let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 22, "128 bits");
    let expected = json!({
        "iss": ISSUER, "sub": "service:worker", "aud": "orders", "client_id": "worker",
        "scope": "orders:read", "roles": ["reader"], "iat": NOW, "exp": NOW + 300,
    });
    assert_eq!(claims, expected);
    answer.body.as_object_mut().unwrap().remove("access_token");
    assert_eq!(
        answer.body,
        json!({"token_type": "Bearer", "expires_in": 300, "scope": "orders:read"})
    );
}

#[tokio::test]
async fn no_two_tokens_have_the_same_id() {
    let rig = Rig::new();
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        let token = rig.token("worker").await.text("access_token");
        ids.insert(segment(&token, 1)["jti"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn a_client_gets_what_it_asks_for_in_the_order_of_the_configuration() {
    let rig = Rig::new();
    for (asked, scope, audience) in [
        ("", json!("orders:read"), json!("orders")),
        ("&scope=", json!("orders:read"), json!("orders")),
        ("&scope=stock:read+orders:write", json!("orders:write stock:read"), json!("orders")),
        ("&scope=orders:read+orders:read", json!("orders:read"), json!("orders")),
        (
            "&resource=https://stock.example.com/",
            json!("orders:read"),
            json!("https://stock.example.com/"),
        ),
        ("&audience=orders", json!("orders:read"), json!("orders")),
        (
            "&resource=https%3A%2F%2Fstock.example.com%2F&audience=orders",
            json!("orders:read"),
            json!(["orders", "https://stock.example.com/"]),
        ),
        // What nobody here knows is ignored (RFC 6749 §3.2).
        ("&roles=admin&sub=root&lifetime=1d", json!("orders:read"), json!("orders")),
    ] {
        let body = format!("grant_type=client_credentials{asked}");
        let answer = rig.post("/token", "worker", &body).await;
        assert_eq!(answer.status, 200, "{asked}: {answer:?}");
        let claims = segment(&answer.text("access_token"), 1);
        assert_eq!((&claims["scope"], &claims["aud"]), (&scope, &audience), "{asked}");
        assert_eq!(answer.body["scope"], scope, "{asked}");
        assert_eq!(
            (&claims["roles"], &claims["sub"]),
            (&json!(["reader"]), &json!("service:worker"))
        );
    }
}

#[tokio::test]
async fn what_the_configuration_does_not_give_a_client_it_does_not_get() {
    let rig = Rig::new();
    for (body, error) in [
        ("grant_type=client_credentials&scope=admin", "invalid_scope"),
        ("grant_type=client_credentials&scope=orders:read+admin", "invalid_scope"),
        ("grant_type=client_credentials&scope=Orders:read", "invalid_scope"),
        ("grant_type=client_credentials&scope=+orders:read", "invalid_scope"),
        ("grant_type=client_credentials&scope=orders:read++orders:write", "invalid_scope"),
        ("grant_type=client_credentials&scope=orders:read,orders:write", "invalid_scope"),
        ("grant_type=client_credentials&audience=billing", "invalid_target"),
        ("grant_type=client_credentials&audience=orders&audience=billing", "invalid_target"),
        ("grant_type=client_credentials&audience=orders+billing", "invalid_target"),
        ("grant_type=client_credentials&resource=https://stock.example.com", "invalid_target"),
        ("grant_type=client_credentials&resource=https://stock.example.com/%23f", "invalid_target"),
        ("grant_type=password&username=a&password=b", "unsupported_grant_type"),
        ("grant_type=authorization_code&code=a", "unsupported_grant_type"),
        ("grant_type=urn:ietf:params:oauth:grant-type:token-exchange", "unsupported_grant_type"),
        ("grant_type=Client_Credentials", "unsupported_grant_type"),
        ("grant_type=", "invalid_request"),
        ("", "invalid_request"),
        ("grant_type=refresh_token", "unauthorized_client"),
        ("grant_type=refresh_token&refresh_token=a", "unauthorized_client"),
    ] {
        let answer = rig.post("/token", "worker", body).await;
        assert_eq!(answer.refused(), (400, error), "{body}");
        assert!(answer.body.get("access_token").is_none());
    }
    let missing = rig.post("/token", "agent", "grant_type=refresh_token").await;
    assert_eq!(missing.refused(), (400, "invalid_request"));
}

#[tokio::test]
async fn no_answer_of_a_client_is_to_be_stored_and_who_is_nobody_is_told_how_to_be_somebody() {
    let rig = Rig::new();
    let good = rig.token("worker").await;
    let bad = rig.post("/token", "worker", "grant_type=x").await;
    let nobody = rig.post("/token", "nobody", "grant_type=client_credentials").await;
    let revoked = rig.post("/revoke", "worker", "token=x").await;
    for answer in [&good, &bad, &nobody, &revoked] {
        assert_eq!(
            (answer.header("cache-control"), answer.header("pragma")),
            ("no-store", "no-cache")
        );
    }
    assert_eq!(nobody.refused(), (401, "invalid_client"));
    assert_eq!(nobody.header("www-authenticate"), r#"Basic realm="token", charset="UTF-8""#);
    assert_eq!(bad.header("www-authenticate"), "");
    assert_eq!(good.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_token_is_never_good_for_longer_than_its_key_is_published() {
    let rig = Rig::with(|settings| settings.lifetime = Duration::from_secs(300));
    let options = crate::keys::lifecycle::steps::Options {
        token_lifetime: Some(Duration::from_secs(120)),
        ..Default::default()
    };
    crate::keys::lifecycle::steps::rotate(
        &rig.key_dir(),
        &options,
        crate::issuer::reference::testing::NOW,
    )
    .unwrap();
    rig.reload();
    let answer = rig.token("worker").await;
    let claims = segment(&answer.text("access_token"), 1);
    assert_eq!((&answer.body["expires_in"], &claims["exp"]), (&json!(120), &json!(NOW + 120)));
}

#[tokio::test]
async fn nothing_is_signed_with_a_key_that_was_withdrawn() {
    let rig = Rig::new();
    let before = rig.token("worker").await;
    let options = crate::keys::lifecycle::steps::Options { force: true, ..Default::default() };
    let now = crate::issuer::reference::testing::NOW;
    crate::keys::lifecycle::steps::retire(&rig.key_dir(), "k1", &options, now).unwrap();
    rig.reload();
    let answer = rig.post("/token", "worker", "grant_type=client_credentials").await;
    assert_eq!(answer.refused(), (503, "temporarily_unavailable"));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(rig.get("/.well-known/jwks.json").await.status, 503, "an empty set is no answer");
    // Nor are its tokens known any more: they are good nowhere.
    let token = before.text("access_token");
    assert_eq!(rig.post("/revoke", "worker", &format!("token={token}")).await.status, 200);
    assert!(rig.revoked().is_empty());
    rig.rotate();
    assert_eq!(rig.token("worker").await.status, 200);
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let rig = Rig::with(|settings| {
        settings.limits = RateLimits { client_requests: 2, ..settings.limits };
    });
    rig.token("worker").await;
    rig.token("worker").await;
    let answer = rig.post("/token", "worker", "grant_type=client_credentials").await;
    assert_eq!(answer.refused(), (429, "temporarily_unavailable"));
    assert_eq!(answer.header("retry-after"), "1");
    rig.token("agent").await;
    rig.clock.advance(Duration::from_secs(1));
    rig.token("worker").await;
}

#[tokio::test]
async fn who_guesses_secrets_is_stopped_and_the_client_goes_on() {
    let rig = Rig::with(|settings| {
        settings.limits = RateLimits { client_attempts: 2, ..settings.limits };
    });
    rig.token("worker").await;
    let guess = async |secret: &str| {
        let body = format!("grant_type=client_credentials&client_id=worker&client_secret={secret}");
        rig.send(crate::issuer::reference::testing::form("/token", &[], &body)).await
    };
    assert_eq!(guess("a-wrong-secret").await.refused(), (401, "invalid_client"));
    let answer = guess("another-wrong-secret").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "30");
    rig.token("worker").await;
}

#[tokio::test]
async fn a_client_without_room_for_another_session_gets_its_token_all_the_same() {
    let rig = Rig::with(|settings| {
        settings.refresh = RefreshSettings { per_client: 1, ..settings.refresh };
    });
    assert!(rig.token("agent").await.body.get("refresh_token").is_some());
    assert!(rig.token("agent").await.body.get("refresh_token").is_none());
}
