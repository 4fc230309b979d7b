//! What stands around the token in Envoy's message: headers in two forms, claim headers of the client's own, messages
//! that are no request, credentials where nobody looks for them (RFC 6750, RFC 9110 §5).

use claimgate::proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use claimgate::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use claimgate::proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};

use crate::service::request;
use crate::table::Attack;
use crate::world::World;

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let mut rows = messages(world);
    rows.extend(credentials(world));
    rows.extend(spoofed(world));
    rows
}

const PROTOCOL: &str = "envoy.service.auth.v3";

fn messages(world: &World) -> Vec<Attack> {
    let bearer = format!("Bearer {}", world.good(&world.ed));
    let empty = AttributeContext::default();
    let no_http = AttributeContext { request: Some(Request::default()), ..empty.clone() };
    let large = "a".repeat(1 << 20);
    let many: Vec<(String, String)> =
        (0..10_000).map(|nth| (format!("x-{nth}"), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    vec![
        Attack::denied(
            "a message without a request",
            PROTOCOL,
            "malformed",
            [
                CheckRequest::default(),
                CheckRequest { attributes: Some(empty) },
                CheckRequest { attributes: Some(no_http) },
            ],
        ),
        Attack::denied(
            "a request without anything in it",
            PROTOCOL,
            "missing_token",
            [with_http(HttpRequest::default()), request("CONNECT", "", &[]), request("", "", &[])],
        ),
        Attack::denied(
            "a megabyte of header, ten thousand headers",
            "CWE-770",
            "missing_token",
            [request("GET", "/orders", &[("x-large", &large)]), request("GET", "/orders", &many)],
        ),
        Attack::denied("bytes that are no text in the token", PROTOCOL, "malformed", {
            [&b"Bearer \xff\xff.a.b"[..], b"Bearer \x00", b"Bearer a.b.\xc3"]
                .map(|value| raw(&[("authorization", value)]))
        }),
        Attack::denied(
            "two tokens among raw headers",
            "RFC 9110 §5.3",
            "multiple_tokens",
            [
                raw(&[("authorization", bearer.as_bytes()), ("authorization", bearer.as_bytes())]),
                raw(&[("authorization", bearer.as_bytes()), ("Authorization", b"Bearer x")]),
                raw(&[("authorization", b"Bearer x"), ("authorization", bearer.as_bytes())]),
            ],
        ),
        Attack::denied(
            "two tokens, one in each form of the headers",
            PROTOCOL,
            "multiple_tokens",
            {
                let mut both = raw(&[("authorization", bearer.as_bytes())]);
                let other = [("authorization".to_owned(), "Bearer x".to_owned())];
                http_of(&mut both).headers = other.into();
                [both]
            },
        ),
        Attack::allowed(
            "control: one token, in either form, in any case of the name",
            PROTOCOL,
            [
                raw(&[("authorization", bearer.as_bytes())]),
                raw(&[("AUTHORIZATION", bearer.as_bytes())]),
                request("GET", "/orders", &[("Authorization", &bearer)]),
            ],
        ),
    ]
}

fn credentials(world: &World) -> Vec<Attack> {
    let good = world.good(&world.ed);
    let bearer = format!("Bearer {good}");
    let with = |name: &str, value: &str| request("GET", "/orders", &[(name, value)]);
    vec![
        Attack::denied(
            "a token where nobody is told to look",
            "RFC 6750 §2",
            "missing_token",
            [
                with("cookie", &format!("access_token={good}")),
                with("x-access-token", &good),
                with("proxy-authorization", &bearer),
                with("sec-websocket-protocol", &good),
                with("x-forwarded-authorization", &bearer),
                with("authorization_", &bearer),
                request("GET", &format!("/orders?access_token={good}"), &[]),
            ],
        ),
        Attack::denied("a scheme that is another", "RFC 9110 §11.1", "missing_token", {
            ["Basic", "Digest", "Negotiate", "BearerX", "\u{ff22}earer", "Bear\u{200b}er"]
                .map(|scheme| with("authorization", &format!("{scheme} {good}")))
        }),
        Attack::denied("a scheme without a token", "RFC 6750 §2.1", "malformed", {
            ["Bearer", "Bearer ", "Bearer    "].map(|value| with("authorization", value))
        }),
        Attack::denied("no space behind the scheme", "RFC 9110 §11.4", "malformed", {
            ["\t", "\u{a0}", "\u{2003}"]
                .map(|space| with("authorization", &format!("Bearer{space}{good}")))
        }),
        Attack::allowed("control: the scheme in any case, with more spaces", "RFC 9110 §11.1", {
            ["bearer ", "BEARER ", "bEaReR   "]
                .map(|scheme| with("authorization", &format!("{scheme}{good}")))
        }),
    ]
}

fn spoofed(world: &World) -> Vec<Attack> {
    let bearer = format!("Bearer {}", world.good(&world.ed));
    let names = [
        "x-jwt-sub",
        "X-JWT-Sub",
        "x_jwt_sub",
        "x.jwt.sub",
        "x-jwt_sub",
        "X_Jwt-Sub",
        "x-jwt-roles",
        "x_jwt_roles",
        "x-jwt-",
        "x-jwt-anything",
        "x-jwt-sub-",
    ];
    let forged: Vec<(&str, &str)> = names.iter().map(|name| (*name, "mallory")).collect();
    let with_token: Vec<(&str, &str)> =
        forged.iter().copied().chain([("authorization", bearer.as_str())]).collect();
    let octets: Vec<(&str, &[u8])> =
        with_token.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let twice: Vec<(&str, &[u8])> = octets.iter().copied().chain(octets[..3].to_vec()).collect();
    // That nothing of them is left is held for every answer that allows.
    vec![
        Attack::allowed(
            "claim headers of the client's own, on a closed route",
            "CVE-2025-64484",
            [request("GET", "/orders", &with_token), raw(&octets), raw(&twice)],
        ),
        Attack::allowed(
            "claim headers of the client's own, on an open route",
            "GHSA-7r4p-vjf4-gxv4",
            [request("GET", "/healthz", &forged), request("GET", "/healthz", &with_token)],
        ),
    ]
}

/// The same request with its headers as Envoy sends them under `encode_raw_headers`.
fn raw(headers: &[(&str, &[u8])]) -> CheckRequest {
    let headers = headers.iter().map(|(name, value)| HeaderValue {
        key: (*name).to_owned(),
        raw_value: value.to_vec(),
        ..HeaderValue::default()
    });
    let mut sent = request("GET", "/orders", &[]);
    http_of(&mut sent).header_map = Some(HeaderMap { headers: headers.collect() });
    sent
}

fn with_http(http: HttpRequest) -> CheckRequest {
    let mut sent = request("GET", "/", &[]);
    *http_of(&mut sent) = http;
    sent
}

fn http_of(request: &mut CheckRequest) -> &mut HttpRequest {
    let attributes = request.attributes.as_mut().unwrap();
    attributes.request.as_mut().unwrap().http.as_mut().unwrap()
}
