//! Any bytes as the message that Envoy sends, through the gRPC service to the bytes of its answer.
//!
//! Whatever comes in, the call ends well and the answer is one or the other: a denial, or an allow that a genuine token
//! or the one open rule earned, and which leaves the upstream no claim header that is not from this answer.

#![no_main]

#[path = "../../../src/server/ext_authz/received/tests/parts.rs"]
mod parts;

use std::cell::RefCell;

use bytes::{BufMut as _, Bytes, BytesMut};
use claimgate::proto::envoy::service::auth::v3::check_response::HttpResponse;
use claimgate::proto::envoy::service::auth::v3::{CheckResponse, OkHttpResponse};
use claimgate::server::ext_authz::{CHECK_PATH, ExtAuthz};
use claimgate_fuzz::{CLAIM_HEADER, OPEN_PATH, good_token, service};
use http_body_util::{BodyExt as _, Full};
use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use tokio::runtime::{Builder, Runtime};

struct World {
    runtime: Runtime,
    service: ExtAuthz,
    good: String,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new({
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let service = service(&runtime);
        World { runtime, service, good: good_token() }
    });
}

fuzz_target!(|message: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        let answer = world.runtime.block_on(call(&world.service, message));
        let code = answer.status.as_ref().map_or(0, |status| status.code);
        match answer.http_response {
            Some(HttpResponse::DeniedResponse(denied)) => {
                assert_ne!(code, 0, "a denial that Envoy reads as an allow");
                let status = denied.status.map_or(0, |status| status.code);
                assert!([400, 401, 403, 503].contains(&status), "{status}");
            }
            Some(HttpResponse::OkResponse(ok)) if code == 0 => {
                // What decides nothing may be rubbish.
                let request = parts::Check::decode(message).expect("allowed, and it is no request");
                let request = request.attributes.and_then(|attributes| attributes.request);
                let http = request.and_then(|request| request.http).expect("allowed without HTTP");
                hold_allowed(&http, &ok, &world.good);
            }
            other => panic!("code {code} with {other:?}"),
        }
    });
});

async fn call(service: &ExtAuthz, message: &[u8]) -> CheckResponse {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("small"));
    frame.put_slice(message);
    let request = http::Request::post(CHECK_PATH)
        .header("content-type", "application/grpc")
        .body(Full::<Bytes>::from(frame.freeze()))
        .expect("a request");
    let answer = service.call(request).await.expect("infallible");
    let answer = answer.into_body().collect().await.expect("a body");
    let status = answer.trailers().and_then(|trailers| trailers.get("grpc-status"));
    assert_eq!(status.map(http::HeaderValue::as_bytes), Some(&b"0"[..]), "a gRPC error");
    CheckResponse::decode(answer.to_bytes().slice(5..)).expect("an answer")
}

fn hold_allowed(http: &parts::Http, ok: &OkHttpResponse, good: &str) {
    let received: Vec<(&str, &[u8])> = {
        let joined = http.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let raw = http.header_map.iter().flat_map(|map| &map.headers).map(|header| {
            let value = [&header.raw_value[..], header.value.as_bytes()];
            let [raw, text] = value;
            (header.key.as_str(), if raw.is_empty() { text } else { raw })
        });
        joined.chain(raw).collect()
    };
    let set: Vec<(&str, &str)> = ok
        .headers
        .iter()
        .filter_map(|option| option.header.as_ref())
        .map(|header| (header.key.as_str(), header.value.as_str()))
        .collect();
    let carries_it = received.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("authorization") && value.ends_with(good.as_bytes())
    });
    let path = http.path.split(['?', '#']).next().unwrap_or_default();
    let is_open = http.method == "GET" && path == OPEN_PATH;
    assert!(carries_it || is_open, "allowed without a token");
    if is_open {
        assert_eq!(set, [], "claims of nobody");
    } else {
        assert_eq!(set, [(CLAIM_HEADER, "alice")]);
    }
    for (name, _) in received {
        if fold(name).starts_with("x-jwt-") {
            let is_set = set.iter().any(|(set, _)| set.eq_ignore_ascii_case(name));
            let is_removed =
                ok.headers_to_remove.iter().any(|removed| removed.eq_ignore_ascii_case(name));
            assert!(is_set != is_removed, "{name:?}: set {is_set}, removed {is_removed}");
        }
    }
}

/// As an upstream might read a header's name.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}
