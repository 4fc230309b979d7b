//! What everybody may read: the JWK Set and the issuer's metadata, both with a strong validator (RFC 9110 §8.8.3) and as
//! fresh as the rotation of keys allows.

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::Refused;
use super::key_ring::KeyRing;
use super::service::ReferenceIssuer;
use super::settings::IssuerSettings;
use crate::telemetry::metrics::Document;

/// `/.well-known/jwks.json` (RFC 7517 §5).
pub(super) async fn jwks(State(issuer): State<ReferenceIssuer>, headers: HeaderMap) -> Response {
    let ring = issuer.0.ring.load();
    let answer = match ring.published() {
        Some(published) => {
            let (etag, cache) = (&published.etag, published.cache_control.clone());
            public(&headers, published.body.clone(), "application/jwk-set+json", etag, cache)
        }
        // An empty set would be taken for an answer.
        None => Refused::Unavailable("no key is published").into_response(),
    };
    issuer.0.metrics.document(Document::Jwks, answer.status().as_u16());
    answer
}

/// `/.well-known/openid-configuration` and RFC 8414's.
pub(super) async fn metadata(
    State(issuer): State<ReferenceIssuer>,
    headers: HeaderMap,
) -> Response {
    let ring = issuer.0.ring.load();
    let cache = ring.published().map(|published| published.cache_control.clone());
    let cache = cache.unwrap_or(HeaderValue::from_static("no-cache"));
    let body = content(&issuer.0.settings, &ring).to_string();
    let tag = URL_SAFE_NO_PAD.encode(digest(&SHA256, body.as_bytes()));
    let answer = match HeaderValue::try_from(format!("\"{tag}\"")) {
        Ok(etag) => public(&headers, body.into(), "application/json", &etag, cache),
        Err(_) => Refused::Internal.into_response(),
    };
    issuer.0.metrics.document(Document::Metadata, answer.status().as_u16());
    answer
}

/// RFC 8414 §2 and OpenID Connect Discovery 1.0 §3, as far as there is anything to say: nobody logs in here, so there is no
/// `authorization_endpoint` and no response type. The lists that both require are there, empty where that is the truth.
fn content(settings: &IssuerSettings, ring: &KeyRing) -> Value {
    let base = &settings.issuer;
    let mut scopes: Vec<&str> = Vec::new();
    for scope in settings.clients.iter().flat_map(|client| &client.scopes) {
        if !scopes.contains(&scope.as_str()) {
            scopes.push(scope.as_str());
        }
    }
    let algorithms: Vec<&str> = ring.algorithms().into_iter().map(|one| one.name()).collect();
    let methods = ["client_secret_basic", "client_secret_post"];
    json!({
        "issuer": base,
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "token_endpoint": format!("{base}/token"),
        "revocation_endpoint": format!("{base}/revoke"),
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "scopes_supported": scopes,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    })
}

fn public(
    headers: &HeaderMap,
    body: Bytes,
    content_type: &'static str,
    etag: &HeaderValue,
    cache: HeaderValue,
) -> Response {
    let validators = [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, cache)];
    if is_known(headers, etag) {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    let content_type = HeaderValue::from_static(content_type);
    (validators, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// `If-None-Match` (RFC 9110 §13.1.2): compared weakly, as that says.
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let fields =
        headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = fields.flat_map(|field| field.split(',')).map(str::trim);
    tags.any(|tag| {
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
    })
}
