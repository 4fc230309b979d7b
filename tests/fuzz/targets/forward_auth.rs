//! Any request to `listen.http`, as lines: method and target, then a header each; with `!` in front it is from somebody
//! who is not trusted. What is no HTTP request at all is hyper's to refuse and not asked.
//!
//! Whatever comes in, the answer is one or the other: a denial, or an allow that a genuine token or the one open rule
//! earned for the request that this door is about, told by who may tell it, and without a claim header that nobody proved.

#![no_main]

use std::cell::RefCell;
use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use claimgate::server::listener::Peer;
use claimgate_fuzz::{CLAIM_HEADER, OPEN_PATH, TRUSTED, forward_auth, good_token};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

struct World {
    runtime: Runtime,
    service: Router,
    good: String,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new({
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let service = forward_auth(&runtime).into_router();
        World { runtime, service, good: good_token() }
    });
}

fuzz_target!(|input: &[u8]| {
    let (is_trusted, input) = input.strip_prefix(b"!").map_or((true, input), |rest| (false, rest));
    let Some(request) = request(input, is_trusted) else { return };
    WORLD.with_borrow_mut(|world| {
        let (asked, _) = request.into_parts();
        let request = Request::from_parts(asked.clone(), Body::empty());
        let answer = world.runtime.block_on(world.service.clone().oneshot(request));
        let answer = answer.expect("infallible");
        match answer.status().as_u16() {
            200 => {
                let path = asked.uri.path_and_query().expect("allowed at no path").as_str();
                let (method, path) = match path.split('?').next().unwrap_or_default() {
                    "/auth/nginx" => said(&asked.headers, "x-original-", is_trusted),
                    "/auth/caddy" | "/auth/traefik" => {
                        said(&asked.headers, "x-forwarded-", is_trusted)
                    }
                    _ => (asked.method.as_str(), path.strip_prefix("/auth/envoy").expect("a door")),
                };
                let path = path.split(['?', '#']).next().unwrap_or_default();
                let is_open = method == "GET" && path == OPEN_PATH;
                hold_allowed(&asked.headers, asked.uri.path(), is_open, &answer, &world.good);
            }
            status => assert!([401, 403, 404, 503].contains(&status), "{status}"),
        }
    });
});

fn request(input: &[u8], is_trusted: bool) -> Option<Request<()>> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let (method, target) = first.split_at(space);
    let mut request = Request::builder().method(method).uri(target.get(1..)?);
    for line in lines.filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        request = request.header(name, value.get(1..)?.trim_ascii());
    }
    let [a, b, c, d] = TRUSTED;
    let address = if is_trusted { [a, b, c, d] } else { [a, b, c, d ^ 1] };
    request.extension(Peer::Ip(IpAddr::from(address))).body(()).ok()
}

/// Method and path, as headers that must be there once each.
fn said<'a>(headers: &'a HeaderMap, prefix: &str, is_trusted: bool) -> (&'a str, &'a str) {
    assert!(is_trusted, "believed of a stranger");
    let [method, uri, _host] = ["method", "uri", "host"].map(|name| {
        let mut values = headers.get_all(format!("{prefix}{name}")).iter();
        let value = values.next().expect("allowed without it");
        assert!(values.next().is_none() && !value.is_empty(), "allowed with two");
        // The query may hold anything; what else is no text is not what is looked for below.
        let end = |byte: &u8| matches!(byte, b'?' | b'#');
        let path = value.as_bytes().split(end).next().unwrap_or_default();
        std::str::from_utf8(path).unwrap_or_default()
    });
    (method, uri)
}

fn hold_allowed(asked: &HeaderMap, door: &str, is_open: bool, answer: &Response<Body>, good: &str) {
    let carries_it = asked
        .get_all("authorization")
        .iter()
        .any(|value| value.as_bytes().ends_with(good.as_bytes()));
    assert!(carries_it || is_open, "allowed without a token");
    let claims: Vec<_> = answer.headers().get_all(CLAIM_HEADER).iter().collect();
    match (is_open, door) {
        (false, _) => assert_eq!(claims, ["alice"]),
        (true, "/auth/caddy") => assert_eq!(claims, [""]),
        (true, _) => assert!(claims.is_empty(), "claims of nobody"),
    }
    let header = |name: &str| answer.headers().get(name).map(|value| value.as_bytes());
    if !is_open {
        assert!(matches!(header("authorization"), None | Some(b"")), "the token is kept");
    }
    let to_remove = header("x-envoy-auth-headers-to-remove").unwrap_or_default().to_vec();
    let to_remove = String::from_utf8(to_remove).expect("names");
    for name in asked.keys().filter(|name| fold(name.as_str()).starts_with("x-jwt-")) {
        let is_set = header(name.as_str()).is_some();
        if door == "/auth/caddy" {
            assert!(is_set, "{name}");
        } else if door.starts_with("/auth/envoy/") {
            let is_removed = to_remove.split(',').any(|removed| name == removed);
            assert!(is_set != is_removed, "{name}: set {is_set}, removed {is_removed}");
        }
    }
}

/// As an upstream might read a header's name.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}
