//! The request around the token: paths that are read in two ways, hosts, methods, headers that a client may send as
//! somebody in front of Envoy does, cookies and queries where nobody looks for tokens, and what only looks like a
//! preflight (RFC 3986 §5.2 and §6, RFC 9110 §7 and §9, RFC 6265, Fetch standard).

use claimgate::proto::envoy::service::auth::v3::CheckRequest;

use crate::service::request;
use crate::table::{Attack, Expected};
use crate::world::World;

/// An attack, the standard or vulnerability, and targets of requests.
type Targets = (&'static str, &'static str, &'static [&'static str]);

/// Each is an upstream's way to somewhere else than `/healthz`, which anybody may ask for.
const WAYS_AROUND: [Targets; 11] = [
    (
        "dot segments",
        "CVE-2019-9901",
        &["/healthz/../orders", "/healthz/..", "/./healthz", "/healthz/."],
    ),
    (
        "escaped dot segments",
        "RFC 3986 §6.2.2",
        &["/healthz/%2e%2e/orders", "/healthz/.%2e/orders"],
    ),
    ("dots that are escaped twice", "RFC 3986 §2.4", &["/healthz/%252e%252e/orders"]),
    ("escaped slashes", "CVE-2021-29492", &["/healthz%2f..%2forders", "/healthz/..%2Forders"]),
    ("backslashes", "CVE-2021-29492", &["/healthz\\..\\orders", "/healthz/..%5corders"]),
    ("empty segments", "CVE-2019-9901", &["//healthz", "/healthz//", "//healthz/../orders"]),
    (
        "parameters of segments",
        "CVE-2026-26205",
        &["/healthz;x=1", "/healthz/..;/orders", "/;/healthz"],
    ),
    ("an authority in the path", "RFC 3986 §4.2", &["//orders/healthz", "/\\orders/healthz"]),
    ("a fragment", "CVE-2021-32779", &["/healthz#/../orders", "/healthz#"]),
    (
        "another spelling of the open path",
        "RFC 3986 §6.2",
        &["/Healthz", "/healthz/", "/%68ealthz", "/healthz%20"],
    ),
    (
        "full-width dots and slashes",
        "UTR #36",
        &["/healthz/\u{ff0e}\u{ff0e}/orders", "/healthz\u{ff0f}x"],
    ),
];

/// No rule is about these: nobody reads them alike, or not as a path.
const UNREADABLE: [Targets; 4] = [
    ("a relative path", "RFC 9112 §3.2", &["healthz", "*"]),
    ("an escape that is none", "RFC 3986 §2.1", &["/healthz/%zz", "/healthz%", "/healthz%2"]),
    (
        "control characters and bytes that are no text",
        "RFC 3629 §3",
        &["/healthz%00", "/healthz%0a", "/healthz/%c0%ae"],
    ),
    ("an absolute target, for another host", "RFC 9112 §3.2.2", &["http://orders/healthz"]),
];

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let get = |targets: &[&str]| -> Vec<CheckRequest> {
        targets.iter().map(|target| request("GET", target, &[])).collect()
    };
    let mut rows = Vec::new();
    for (name, reference, targets) in WAYS_AROUND {
        rows.push(Attack::denied(name, reference, "missing_token", get(targets)));
    }
    for (name, reference, targets) in UNREADABLE {
        rows.push(Attack::new(name, reference, Expected::Denied(403, "no_rule"), get(targets)));
    }
    rows.push(Attack::allowed(
        "control: the open path, whatever its query",
        "RFC 3986 §3.4",
        get(&["/healthz", "/healthz?x=/../%2f;#"]),
    ));
    rows.extend(hosts());
    rows.extend(methods());
    rows.extend(forwarded());
    rows.extend(places(world));
    rows
}

fn hosts() -> Vec<Attack> {
    let at = |host: &str| {
        let mut request = request("GET", "/healthz", &[]);
        let http = request.attributes.as_mut().and_then(|all| all.request.as_mut());
        http.and_then(|all| all.http.as_mut()).unwrap().host = host.to_owned();
        request
    };
    let odd =
        ["user@orders", "a,b", "a b", "orders:x", "orders..", ".orders", "%6frders", "[::1%25lo]"];
    let long = format!("{}.example", "a".repeat(300));
    vec![
        Attack::new(
            "a host that is no authority",
            "CVE-2021-39155",
            Expected::Denied(403, "no_rule"),
            odd.into_iter().chain([long.as_str()]).map(at),
        ),
        Attack::allowed(
            "control: case, port and the root's dot make no other host",
            "RFC 9110 §4.2.3",
            ["ORDERS.example.com", "orders.example.com:8443", "orders.example.com.", ""].map(at),
        ),
    ]
}

fn methods() -> Vec<Attack> {
    let ask = |method: &str, headers: &[(&str, &str)]| request(method, "/healthz", headers);
    let origin = ("origin", "https://app.example.com");
    let wanted = ("access-control-request-method", "PUT");
    vec![
        Attack::denied(
            "a method that is not the open one",
            "RFC 9110 §9.1",
            "missing_token",
            ["get", "Get", "HEAD", "TRACE", "CONNECT", "PRI", "GET ", ""]
                .map(|method| ask(method, &[])),
        ),
        Attack::denied(
            "a preflight where none is let through",
            "Fetch standard §4.8",
            "missing_token",
            [
                request("OPTIONS", "/orders", &[origin, wanted]),
                request("OPTIONS", "/orders", &[("x-http-method-override", "GET"), origin, wanted]),
            ],
        ),
        Attack::denied(
            "another method in a header",
            "CWE-650",
            "missing_token",
            ["x-http-method-override", "x-http-method", "x-method-override"]
                .map(|name| request("DELETE", "/healthz", &[(name, "GET")])),
        ),
    ]
}

fn forwarded() -> Vec<Attack> {
    let names = [
        "x-envoy-original-path",
        "x-original-url",
        "x-original-uri",
        "x-rewrite-url",
        "x-forwarded-uri",
        "x-forwarded-path",
        "x-forwarded-prefix",
        ":path",
    ];
    vec![
        Attack::denied(
            "another path in a header",
            "CVE-2023-27487",
            "missing_token",
            names.map(|name| request("GET", "/orders", &[(name, "/healthz")])),
        ),
        Attack::denied(
            "who says to be a probe, or from inside",
            "GHSA-5hvv-m4w4-gf6v",
            "missing_token",
            [
                ("user-agent", "kube-probe/1.30"),
                ("x-envoy-internal", "true"),
                ("x-forwarded-for", "127.0.0.1"),
                ("x-forwarded-client-cert", "URI=spiffe://cluster.local/ns/x/sa/y"),
                ("claimgate.rule", "health"),
            ]
            .map(|header| request("GET", "/orders", &[header])),
        ),
        Attack::denied(
            "a header of ours named in Connection",
            "RFC 9110 §7.6.1",
            "malformed",
            ["x-jwt-sub", "close, X-JWT-Sub", "x_jwt_sub", "upgrade,x-jwt-roles"]
                .map(|value| request("GET", "/healthz", &[("connection", value)])),
        ),
    ]
}

/// Where no token is looked for there is none.
fn places(world: &World) -> Vec<Attack> {
    let token = world.good(&world.ed);
    let (cookie, query) =
        (format!("access_token={token}"), format!("/orders?access_token={token}"));
    let bearer = format!("Bearer {token}");
    let mut elsewhere =
        vec![request("GET", &query, &[]), request("GET", "/orders", &[("cookie", &cookie)])];
    for name in
        ["proxy-authorization", "x-access-token", "sec-websocket-protocol", "authorization2"]
    {
        elsewhere.push(request("GET", "/orders", &[(name, &bearer)]));
    }
    vec![Attack::denied(
        "a good token in a place that is not configured",
        "RFC 6750 §2",
        "missing_token",
        elsewhere,
    )]
}
