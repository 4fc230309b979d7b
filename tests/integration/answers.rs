//! What Envoy gets to hear: promise 1, fail closed, and promise 6, no claim header but ours.

use std::collections::BTreeMap;
use std::convert::Infallible;

use claimgate::issuer::{SigningKey, forgery};
use claimgate::keys::key::Algorithm;
use claimgate::proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use claimgate::util::clock::{Clock as _, SystemClock};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use prost::Message as _;
use prost::bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::{Value, json};
use tonic::client::GrpcService;
use tonic::transport::Channel;

use crate::kept::mint;
use crate::provider::inline;
use crate::service::{Answer, TestService, request};

pub(crate) fn key() -> SigningKey {
    SigningKey::generate(Algorithm::EdDsa).unwrap().with_kid("one")
}

pub(crate) fn claims(over: &Value) -> Value {
    let now = SystemClock.now().as_millis().div_euclid(1000);
    let mut claims = json!({
        "iss": "https://accounts.example.com", "aud": "orders", "sub": "alice", "exp": now + 300,
    });
    for (name, value) in over.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn a_good_token_passes_with_its_claims_as_headers() {
    let key = key();
    let service = TestService::start(inline(&key)).await;
    let token = mint(&key, &claims(&json!({"roles": ["admin", "clerk"]}))).unwrap();
    let Answer::Allowed { set, remove } = service.ask_with(&token).await else { panic!("denied") };
    let set: BTreeMap<_, _> = set.into_iter().collect();
    assert_eq!(set["x-jwt-sub"], "alice");
    assert_eq!(set["x-jwt-roles"], "admin,clerk");
    assert!(remove.contains(&"authorization".to_owned()));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_1_no_token_that_is_not_genuine_and_fit_passes() {
    let key = key();
    let service = TestService::start(inline(&key)).await;
    let good = mint(&key, &claims(&json!({}))).unwrap();
    assert!(service.ask_with(&good).await.is_allowed());
    let with = |over: Value| mint(&key, &claims(&over)).unwrap();
    let stranger = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let public = key.public_pem().unwrap();
    let unsigned = forgery::unsigned("one", &claims(&json!({}))).unwrap();
    let keyed = forgery::keyed_with_public(public.as_bytes(), "one", &claims(&json!({}))).unwrap();
    let foreign = mint(&stranger, &claims(&json!({}))).unwrap();
    let posing = mint(&stranger.with_kid("one"), &claims(&json!({}))).unwrap();
    for (token, status, reason) in [
        (String::new(), 401, "malformed"),
        ("a.b.c".to_owned(), 401, "malformed"),
        (format!("{good},{good}"), 401, "multiple_tokens"),
        ("a".repeat(20_000), 401, "too_large"),
        (unsigned, 401, "alg_not_allowed"),
        (keyed, 401, "alg_not_allowed"),
        (with(json!({"iss": "https://evil.example"})), 401, "unknown_issuer"),
        (foreign, 401, "unknown_kid"),
        (posing, 401, "bad_signature"),
        (forgery::with_wrong_signature(&good), 401, "bad_signature"),
        (with(json!({"exp": 1})), 401, "expired"),
        (with(json!({"nbf": 99_999_999_999_i64})), 401, "not_yet_valid"),
        (with(json!({"aud": "others"})), 401, "audience_mismatch"),
        (with(json!({"exp": null})), 401, "malformed"),
        (with(json!({"sub": "a\r\nx-evil: b"})), 401, "malformed"),
        (with(json!({"sub": "a".repeat(10_000)})), 403, "header_too_large"),
    ] {
        assert_eq!(service.ask_with(&token).await, Answer::denied(status, reason));
    }
    assert_eq!(service.ask("/orders", &[]).await, Answer::denied(401, "missing_token"));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_1_bytes_that_are_no_request_are_denied_and_not_failed() {
    let service = TestService::start(inline(&key())).await;
    for bytes in [&b""[..], b"\x0a\x7f\x22", b"\xff\xff\xff\xff", &[0x0b; 10_000]] {
        let answer = Answer::of(raw_check(&service, bytes).await);
        assert_eq!(answer, Answer::denied(401, "malformed"));
    }
    assert_eq!(
        Answer::of(service.check(CheckRequest::default()).await),
        Answer::denied(401, "malformed")
    );
    let large = "a".repeat(1_000_000);
    let answer = service.ask("/orders", &[("x-large", &large)]).await;
    assert_eq!(answer, Answer::denied(401, "missing_token"));
    let connect = Answer::of(service.check(request("CONNECT", "", &[])).await);
    assert_eq!(connect, Answer::denied(401, "missing_token"));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn promise_6_no_spelling_of_a_claim_header_gets_through() {
    let key = key();
    let service = TestService::start(inline(&key)).await;
    let bearer = format!("Bearer {}", mint(&key, &claims(&json!({}))).unwrap());
    let spoofed = [
        ("x-jwt-sub", "mallory"),
        ("x_jwt_sub", "mallory"),
        ("x.jwt.sub", "mallory"),
        ("X-Jwt_Sub", "mallory"),
        ("x-jwt-roles", "admin"),
        ("x-jwt-anything", "at all"),
    ];
    let mut with_token = spoofed.to_vec();
    with_token.push(("authorization", &bearer));
    for (path, headers) in [("/orders", &with_token[..]), ("/healthz", &spoofed[..])] {
        let Answer::Allowed { set, remove } = service.ask(path, headers).await else {
            panic!("{path} is denied")
        };
        for (name, _) in spoofed {
            let name = name.to_ascii_lowercase();
            let is_set = set.iter().any(|(set, value)| *set == name && value == "alice");
            assert!(is_set || remove.contains(&name), "{path} lets {name} through");
            assert!(!(is_set && remove.contains(&name)), "{path} removes {name} again");
        }
    }
    service.stop().await.unwrap();
}

/// One call with this payload, whatever it is.
async fn raw_check(service: &TestService, payload: &[u8]) -> CheckResponse {
    raw_call(service.channel.clone(), Full::from(frame(payload))).await
}

/// A payload as gRPC frames it.
pub(crate) fn frame(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(payload.len()).unwrap());
    frame.put_slice(payload);
    frame.freeze()
}

/// One call with this body, whatever it is and however long it takes.
pub(crate) async fn raw_call<B>(mut channel: Channel, body: B) -> CheckResponse
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let request = http::Request::post("/envoy.service.auth.v3.Authorization/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(body))
        .unwrap();
    std::future::poll_fn(|context| GrpcService::poll_ready(&mut channel, context)).await.unwrap();
    let answer = GrpcService::call(&mut channel, request).await.unwrap().into_body();
    let answer = answer.collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
    CheckResponse::decode(answer.to_bytes().slice(5..)).unwrap()
}
