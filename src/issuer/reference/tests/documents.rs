//! What everybody may read: keys and metadata, how long for, and that none of it is private.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::issuer::reference::testing::{ISSUER, Rig, segment};
use crate::keys::jwks::Jwks;
use crate::keys::key::AlgorithmSet;

#[tokio::test]
async fn the_keys_are_published_with_a_strong_validator_and_for_less_than_a_rotation_waits() {
    let rig = Rig::new();
    let answer = rig.get("/.well-known/jwks.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/jwk-set+json"));
    let etag = answer.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() == 45, "{etag}");
    // The directory says an hour.
    assert_eq!(answer.header("cache-control"), "public, max-age=3598");
    for (tags, status) in [
        (etag.clone(), 304),
        (format!("W/{etag}"), 304),
        (format!("\"x\", {etag}"), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
        (etag.trim_matches('"').to_owned(), 200),
    ] {
        let request = Request::get("/.well-known/jwks.json").header("if-none-match", &tags);
        let answer = rig.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status, "{tags}");
        assert_eq!(answer.header("etag"), etag, "also of a 304 (RFC 9110 §15.4.5)");
        assert_eq!(answer.header("cache-control"), "public, max-age=3598");
    }
}

#[tokio::test]
async fn every_step_of_a_rotation_is_published_and_old_and_new_tokens_verify() {
    let rig = Rig::new();
    let mut etags = vec![];
    let mut old = rig.token("worker").await.text("access_token");
    for kids in [&["k1"][..], &["k1", "k2"], &["k2", "k1"], &["k2"]] {
        let answer = rig.get("/.well-known/jwks.json").await;
        let body = answer.body.to_string();
        let keys = Jwks::parse(body.as_bytes(), AlgorithmSet::ALL, 8).unwrap().keys;
        assert_eq!(keys.len(), kids.len(), "{body}");
        assert_eq!(keys[0].kid() == Some("k1"), kids[0] == "k1", "the one that signs comes first");
        assert!(!body.contains("\"d\""), "nothing private");
        etags.push(answer.header("etag").to_owned());
        let new = rig.token("worker").await.text("access_token");
        for token in [&old, &new] {
            let kid = segment(token, 0)["kid"].clone();
            let key = keys.iter().find(|key| json!(key.kid()) == kid);
            let (input, signature) = token.rsplit_once('.').unwrap();
            let signature = base64::Engine::decode(
                &base64::engine::general_purpose::URL_SAFE_NO_PAD,
                signature,
            );
            let algorithm = crate::keys::key::Algorithm::EdDsa;
            assert!(key.expect("published").verify(
                algorithm,
                input.as_bytes(),
                &signature.unwrap()
            ));
        }
        old = new;
        rig.rotate();
    }
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 4, "each has a validator of its own");
}

#[tokio::test]
async fn the_metadata_is_where_both_standards_have_it_and_says_what_is_there() {
    let rig = Rig::new();
    let answer = rig.get("/.well-known/openid-configuration").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert_eq!(rig.get("/.well-known/oauth-authorization-server").await.body, answer.body);
    let expected = json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{ISSUER}/.well-known/jwks.json"),
        "token_endpoint": format!("{ISSUER}/token"),
        "revocation_endpoint": format!("{ISSUER}/revoke"),
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": ["orders:read", "orders:write", "stock:read"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    });
    assert_eq!(answer.body, expected);
    let request = Request::get("/.well-known/openid-configuration");
    let request = request.header("if-none-match", answer.header("etag"));
    assert_eq!(rig.send(request.body(Body::empty()).unwrap()).await.status, 304);
}

#[tokio::test]
async fn an_issuer_with_a_path_has_everything_below_it() {
    let rig = Rig::with(|settings| {
        settings.issuer = format!("{ISSUER}/tenants/one");
        settings.path = "/tenants/one".to_owned();
    });
    let path = "/tenants/one/.well-known/openid-configuration";
    let metadata = rig.get(path).await;
    assert_eq!(metadata.body["token_endpoint"], format!("{ISSUER}/tenants/one/token"));
    // RFC 8414 §3 has it before the path.
    let of_oauth = rig.get("/.well-known/oauth-authorization-server/tenants/one").await;
    assert_eq!(of_oauth.body, metadata.body);
    assert_eq!(rig.get("/.well-known/openid-configuration").await.status, 404);
    assert_eq!(rig.get("/tenants/one/.well-known/jwks.json").await.status, 200);
    let token = rig.post("/tenants/one/token", "worker", "grant_type=client_credentials").await;
    assert_eq!(segment(&token.text("access_token"), 1)["iss"], format!("{ISSUER}/tenants/one"));
}
