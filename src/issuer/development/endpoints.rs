//! The HTTP face of the development identity provider. [`DevelopmentIssuer::run`] serves it.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /.well-known/openid-configuration` | OpenID Connect discovery |
//! | `GET /jwks.json`, `GET /.well-known/jwks.json` | the published keys, with `Cache-Control` and `ETag` |
//! | `POST /token` | mints; the body is a JSON object of claims laid over the defaults, `null` removes one |
//! | `POST /token?kid=K` | the same, with that published key |
//! | `POST /rotate` | a new active key; the old ones stay published |
//! | `POST /rotate?drop_old=true` | a new active key, and only that |
//! | `POST /down`, `POST /up` | while down, discovery and JWKS answer 503; tokens are minted all the same |

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{DevelopmentIssuer, TokenError};
use crate::keys::signing::SigningError;

/// A set of claims is small; a bigger body is a mistake.
const MAX_BODY: usize = 64 * 1024;

/// The routes of the table above.
pub(super) fn router(issuer: &DevelopmentIssuer) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/jwks.json", get(jwks))
        .route("/token", post(token))
        .route("/rotate", post(rotate))
        .route("/down", post(down))
        .route("/up", post(up))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(issuer.clone())
}

async fn discovery(State(issuer): State<DevelopmentIssuer>) -> Response {
    if issuer.is_down() {
        return unavailable();
    }
    let base = &issuer.settings().issuer;
    Json(json!({
        "issuer": base,
        "jwks_uri": format!("{base}/jwks.json"),
        "token_endpoint": format!("{base}/token"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [issuer.settings().algorithm.name()],
    }))
    .into_response()
}

async fn jwks(State(issuer): State<DevelopmentIssuer>, request: HeaderMap) -> Response {
    if issuer.withhold() {
        return unavailable();
    }
    let keys: Vec<Value> = issuer.keys().iter().map(|key| key.public_jwk()).collect();
    let body = json!({"keys": keys}).to_string();
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, body.as_bytes())));
    let cache = format!("max-age={}", issuer.settings().max_age.as_secs());
    let known = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == etag);
    let validators = [(header::ETAG, etag), (header::CACHE_CONTROL, cache)];
    if known {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    (validators, [(header::CONTENT_TYPE, "application/jwk-set+json")], body).into_response()
}

async fn token(
    State(issuer): State<DevelopmentIssuer>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let over = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&body) };
    let Some(over) = over.ok().filter(Value::is_object) else {
        return refused("the body is a JSON object of claims, or empty");
    };
    match issuer.token(&over, parameter(query.as_deref(), "kid").as_deref()) {
        Ok(token) => Json(json!({"access_token": token, "token_type": "Bearer"})).into_response(),
        Err(error @ TokenError::UnknownKid) => refused(&error.to_string()),
        Err(TokenError::Signing(error)) => failed(&error),
    }
}

async fn rotate(State(issuer): State<DevelopmentIssuer>, RawQuery(query): RawQuery) -> Response {
    let drop_old = match parameter(query.as_deref(), "drop_old").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return refused("drop_old is true or false"),
    };
    let rotating = issuer.clone();
    // Making an RSA key keeps a thread busy for a while.
    match tokio::task::spawn_blocking(move || rotating.rotate(drop_old)).await {
        Ok(Ok(())) => {
            let kids: Vec<String> = issuer.keys().iter().map(|key| key.kid().to_owned()).collect();
            Json(json!({"active": kids.first(), "published": kids})).into_response()
        }
        Ok(Err(error)) => failed(&error),
        Err(_) => failed(&SigningError::Generate(issuer.settings().algorithm.name())),
    }
}

async fn down(State(issuer): State<DevelopmentIssuer>) -> Response {
    issuer.set_down(true);
    Json(json!({"down": true})).into_response()
}

async fn up(State(issuer): State<DevelopmentIssuer>) -> Response {
    issuer.set_down(false);
    Json(json!({"down": false})).into_response()
}

fn unavailable() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "down, as asked for with POST /down\n").into_response()
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": why}))).into_response()
}

fn failed(error: &SigningError) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": error.to_string()}))).into_response()
}

fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::issuer::development::Settings;
    use crate::keys::key::Algorithm;

    fn issuer() -> DevelopmentIssuer {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9000));
        let settings = Settings { algorithm: Algorithm::EdDsa, ..Settings::at(address, "orders") };
        DevelopmentIssuer::new(settings).unwrap()
    }

    async fn send(issuer: &DevelopmentIssuer, request: Request<Body>) -> (StatusCode, Value) {
        let answer = router(issuer).oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn request(method: &str, path: &str, body: &str) -> Request<Body> {
        Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap()
    }

    fn segment(token: &Value, index: usize) -> Value {
        let text = token["access_token"].as_str().unwrap().split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_token_has_the_defaults_with_the_request_laid_over_them() {
        let issuer = issuer();
        let body = r#"{"sub": "bob", "roles": ["admin"], "jti": null}"#;
        let (status, token) = send(&issuer, request("POST", "/token", body)).await;
        let claims = segment(&token, 1);
        assert_eq!(status, StatusCode::OK);
        assert_eq!(claims["iss"], "http://127.0.0.1:9000");
        assert_eq!(claims["aud"], "orders");
        assert_eq!(claims["sub"], "bob");
        assert_eq!(claims["roles"], json!(["admin"]));
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
        assert!(claims.get("jti").is_none());
    }

    #[tokio::test]
    async fn a_token_request_that_is_no_json_object_is_refused() {
        for body in ["[]", "sub=alice", "{"] {
            let (status, _) = send(&issuer(), request("POST", "/token", body)).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        let body = format!(r#"{{"sub": "{}"}}"#, "a".repeat(MAX_BODY));
        let (status, _) = send(&issuer(), request("POST", "/token", &body)).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn after_a_rotation_tokens_use_the_new_key_and_the_old_one_stays_published() {
        let issuer = issuer();
        let old = issuer.keys()[0].kid().to_owned();
        let (_, rotated) = send(&issuer, request("POST", "/rotate", "")).await;
        let (_, token) = send(&issuer, request("POST", "/token", "")).await;
        let (_, by_old) = send(&issuer, request("POST", &format!("/token?kid={old}"), "")).await;
        let (_, jwks) = send(&issuer, request("GET", "/jwks.json", "")).await;
        assert_eq!(segment(&token, 0)["kid"], rotated["active"]);
        assert_eq!(segment(&by_old, 0)["kid"], json!(old));
        assert_eq!(rotated["published"], json!([rotated["active"], old]));
        assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_rotation_can_drop_the_old_keys() {
        let issuer = issuer();
        let old = issuer.keys()[0].kid().to_owned();
        let (_, rotated) = send(&issuer, request("POST", "/rotate?drop_old=true", "")).await;
        assert_eq!(rotated["published"], json!([rotated["active"]]));
        let (status, _) = send(&issuer, request("POST", &format!("/token?kid={old}"), "")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn while_down_keys_are_withheld_and_tokens_are_not() {
        let issuer = issuer();
        send(&issuer, request("POST", "/down", "")).await;
        for path in ["/jwks.json", "/.well-known/jwks.json", "/.well-known/openid-configuration"] {
            let (status, _) = send(&issuer, request("GET", path, "")).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        }
        assert_eq!(issuer.withheld(), 2);
        let (status, _) = send(&issuer, request("POST", "/token", "")).await;
        assert_eq!(status, StatusCode::OK);
        send(&issuer, request("POST", "/up", "")).await;
        let (status, _) = send(&issuer, request("GET", "/jwks.json", "")).await;
        assert_eq!(status, StatusCode::OK);
    }

    #[tokio::test]
    async fn an_unchanged_key_set_answers_304_to_its_own_etag_only() {
        let issuer = issuer();
        let first = router(&issuer).oneshot(request("GET", "/jwks.json", "")).await.unwrap();
        assert_eq!(first.headers()[header::CACHE_CONTROL], "max-age=3");
        let etag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        let conditional = |tags: String| {
            let mut request = request("GET", "/jwks.json", "");
            request.headers_mut().insert(header::IF_NONE_MATCH, tags.parse().unwrap());
            request
        };
        let (status, _) = send(&issuer, conditional(format!("\"other\", {etag}"))).await;
        assert_eq!(status, StatusCode::NOT_MODIFIED);
        issuer.rotate(false).unwrap();
        let (status, _) = send(&issuer, conditional(etag)).await;
        assert_eq!(status, StatusCode::OK);
    }
}
