//! What all parts ask with and configure: one issuer, its claims, its tokens, and a browser's request.

use std::time::{SystemTime, UNIX_EPOCH};

use claimgate::issuer::SigningKey;
use claimgate::issuer::mint::mint;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use envoy_types::pb::google::protobuf::Timestamp;
use serde_json::{Value, json};

use crate::BoxError;

pub(crate) const ISSUER: &str = "https://accounts.example.com";
pub(crate) const AUDIENCE: &str = "orders";
/// Which headers are made of which claims, by claimgate and by jwt_authn.
pub(crate) const FORWARDED: [(&str, &str); 3] =
    [("sub", "x-jwt-sub"), ("scope", "x-jwt-scope"), ("realm_access.roles", "x-jwt-roles")];
pub(crate) const PATH: &str = "/orders/4711?expand=items";

/// What an operator would write: one issuer, three claims as headers, two rules. JSON is YAML.
pub(crate) fn config(jwks: &[Value], algorithm: &str) -> Value {
    let headers = FORWARDED.map(|(claim, header)| json!({"claim": claim, "header": header}));
    json!({
        "listen": {"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "issuers": [{
            "name": "accounts",
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "algorithms": [algorithm],
            "keys": [{"jwks": {"keys": jwks}}],
        }],
        "forward": {"headers": headers, "strip": ["x-jwt-*"]},
        "rules": [
            {"name": "health", "match": {"path": "/healthz"}, "allow": "anyone"},
            {"name": "rest", "match": {"path_prefix": "/"}, "require": {"issuer": "accounts"}},
        ],
    })
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "tokens must be good at the time of the run")]
pub(crate) fn now() -> Result<u64, BoxError> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// The claims of a usual token. Only `jti` tells two of them apart, and it is always as long.
pub(crate) fn claims(issued: u64, expires: u64, number: usize) -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "248289761001",
        "iat": issued,
        "exp": expires,
        "jti": format!("6f1c2a52-6f0e-4a55-8d4f-{number:012x}"),
        "azp": "shop",
        "scope": "openid profile orders:read orders:write",
        "realm_access": {"roles": ["customer", "beta"]},
        "preferred_username": "ada",
        "email_verified": true,
    })
}

/// Signs what `claims` says of each number below `count`, on all processors.
pub(crate) fn mint_all(
    key: &SigningKey,
    count: usize,
    claims: impl Fn(usize) -> Value + Sync,
) -> Result<Vec<String>, BoxError> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(workers).max(1);
    let parts = std::thread::scope(|scope| -> Result<Vec<Vec<String>>, BoxError> {
        let part = |from: usize| {
            let claims = &claims;
            scope.spawn(move || -> Result<Vec<String>, BoxError> {
                (from..count.min(from + share)).map(|n| Ok(mint(key, &claims(n))?)).collect()
            })
        };
        let parts: Vec<_> = (0..count).step_by(share).map(part).collect();
        parts.into_iter().map(|part| part.join().map_err(|_| "signing panicked")?).collect()
    })?;
    Ok(parts.concat())
}

/// The headers of a browser's request, beside the pseudo headers and the token.
pub(crate) const HEADERS: [(&str, &str); 14] = [
    ("accept", "application/json, text/plain, */*"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    ("cache-control", "no-cache"),
    ("cookie", "theme=dark; consent=1; locale=en-GB"),
    ("origin", "https://shop.example.com"),
    ("referer", "https://shop.example.com/account/orders"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-site"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "b7c0e1de-91a4-4c52-8a3c-3a1e0d2f6b11"),
];

/// What Envoy sends for it.
pub(crate) fn check_request(token: Option<&str>, path: &str) -> CheckRequest {
    let pseudo = [
        (":authority", "orders.example.com"),
        (":method", "GET"),
        (":path", path),
        (":scheme", "https"),
    ];
    let headers = pseudo.into_iter().chain(HEADERS);
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let bearer = token.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
    let http = HttpRequest {
        id: "15078204513217461021".into(),
        method: "GET".into(),
        headers: headers.chain(bearer).collect(),
        path: path.into(),
        host: "orders.example.com".into(),
        scheme: "https".into(),
        protocol: "HTTP/2".into(),
        ..HttpRequest::default()
    };
    let time = Some(Timestamp { seconds: 1_790_000_000, nanos: 0 });
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer { principal: "spiffe://mesh/shop".into(), ..Peer::default() }),
            destination: Some(Peer { principal: "spiffe://mesh/orders".into(), ..Peer::default() }),
            request: Some(Request { time, http: Some(http) }),
            ..AttributeContext::default()
        }),
    }
}
