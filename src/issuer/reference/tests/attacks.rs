//! What somebody sends who wants more than a client gets: a table of requests, and the one answer to each. Whatever it is,
//! no token comes of it and nothing is revoked.

use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::issuer::reference::testing::{Rig, SECRET, form};

/// What it is, where it goes, its headers, its body.
type Case<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, String);

/// What it is, its headers, its body, and the answer.
type Attempt<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str, (u16, &'a str));

const GRANT: &str = "grant_type=client_credentials";

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[tokio::test]
async fn nothing_comes_of_credentials_that_are_wrong_doubled_or_in_the_wrong_place() {
    let rig = Rig::new();
    let right = basic(&format!("worker:{SECRET}"));
    let (wrong, of_nobody) =
        (basic("worker:wrong-wrong-wrong"), basic(&format!("nobody:{SECRET}")));
    let swapped = basic(&format!("{SECRET}:worker"));
    let in_body = format!("{GRANT}&client_id=worker&client_secret={SECRET}");
    let twice = format!("{GRANT}&client_id=agent");
    let assertion = format!(
        "{GRANT}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=e30.e30."
    );
    let cases: Vec<Attempt<'_>> = vec![
        ("none", vec![], GRANT, (401, "invalid_client")),
        ("wrong secret", vec![("authorization", &wrong)], GRANT, (401, "invalid_client")),
        ("no such client", vec![("authorization", &of_nobody)], GRANT, (401, "invalid_client")),
        (
            "id and secret swapped",
            vec![("authorization", &swapped)],
            GRANT,
            (401, "invalid_client"),
        ),
        ("a bearer token", vec![("authorization", "Bearer abc")], GRANT, (401, "invalid_client")),
        (
            "only an id",
            vec![],
            "grant_type=client_credentials&client_id=worker",
            (401, "invalid_client"),
        ),
        ("an unsigned assertion", vec![], &assertion, (401, "invalid_client")),
        (
            "twice in headers",
            vec![("authorization", &right), ("authorization", &wrong)],
            GRANT,
            (400, "invalid_request"),
        ),
        ("in header and body", vec![("authorization", &right)], &in_body, (400, "invalid_request")),
        ("as one, for another", vec![("authorization", &right)], &twice, (400, "invalid_request")),
        ("proxy's header", vec![("proxy-authorization", &right)], GRANT, (401, "invalid_client")),
    ];
    for (what, headers, body, expected) in cases {
        let answer = rig.send(form("/token", &headers, body)).await;
        assert_eq!(answer.refused(), expected, "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn nothing_comes_of_a_request_that_can_be_read_in_two_ways() {
    let rig = Rig::new();
    let right = basic(&format!("worker:{SECRET}"));
    let authorized = ("authorization", right.as_str());
    let in_body = format!("{GRANT}&client_id=worker&client_secret={SECRET}&client_secret=x");
    let huge = format!("{GRANT}&pad={}", "a".repeat(40_000));
    let many: String = (0..64).map(|i| format!("&p{i}=1")).collect();
    let cases: Vec<Case<'_>> = vec![
        (
            "a scope twice",
            "/token",
            vec![authorized],
            format!("{GRANT}&scope=orders:read&scope=orders:write"),
        ),
        ("a grant twice", "/token", vec![authorized], format!("{GRANT}&grant_type=refresh_token")),
        (
            "a grant twice, spelt otherwise",
            "/token",
            vec![authorized],
            format!("{GRANT}&grant%5Ftype=x"),
        ),
        ("a secret twice", "/token", vec![], in_body),
        ("in the query", "/token?grant_type=client_credentials", vec![authorized], String::new()),
        ("a query beside the body", "/token?scope=admin", vec![authorized], GRANT.to_owned()),
        ("an empty query", "/token?", vec![authorized], GRANT.to_owned()),
        (
            "JSON",
            "/token",
            vec![authorized, ("content-type", "application/json")],
            "{\"grant_type\":\"client_credentials\"}".to_owned(),
        ),
        (
            "a form that says it is JSON",
            "/token",
            vec![authorized, ("content-type", "application/json")],
            GRANT.to_owned(),
        ),
        (
            "multipart",
            "/token",
            vec![authorized, ("content-type", "multipart/form-data; boundary=a")],
            "--a\r\n".to_owned(),
        ),
        (
            "another charset",
            "/token",
            vec![authorized, ("content-type", "application/x-www-form-urlencoded; charset=utf-7")],
            GRANT.to_owned(),
        ),
        ("no UTF-8", "/token", vec![authorized], format!("{GRANT}&scope=%ff")),
        ("a NUL", "/token", vec![authorized], format!("{GRANT}&scope=orders:read%00")),
        (
            "a line break",
            "/token",
            vec![authorized],
            format!("{GRANT}&scope=orders:read%0d%0aX: y"),
        ),
        ("half an escape", "/token", vec![authorized], format!("{GRANT}&scope=%4")),
        ("a huge body", "/token", vec![authorized], huge),
        ("very many parameters", "/token", vec![authorized], format!("{GRANT}{many}")),
        ("two tokens to revoke", "/revoke", vec![authorized], "token=a&token=b".to_owned()),
        ("a token to revoke in the query", "/revoke?token=a", vec![authorized], String::new()),
        ("no token to revoke", "/revoke", vec![authorized], String::new()),
    ];
    for (what, path, headers, body) in cases {
        let answer = rig.send(form(path, &headers, &body)).await;
        assert_eq!(answer.refused(), (400, "invalid_request"), "{what}: {answer:?}");
        let told = answer.text("error_description");
        assert!(told.len() < 80 && !body.contains(&told), "{what}: {told}");
    }
    assert!(rig.revoked().is_empty());
}

#[tokio::test]
async fn a_body_longer_than_any_form_is_not_read_whoever_sends_it() {
    let rig = Rig::new();
    let endless = "a=b&".repeat(1 << 20);
    let answer = rig.send(form("/token", &[], &endless)).await;
    assert_eq!(answer.refused(), (400, "invalid_request"));
    assert_eq!(answer.text("error_description"), "the body is too long");
}

#[tokio::test]
async fn only_what_there_is_can_be_asked_for_and_only_in_the_way_it_is_there() {
    let rig = Rig::new();
    for (method, path, status) in [
        (Method::GET, "/token", 405),
        (Method::PUT, "/token", 405),
        (Method::GET, "/revoke", 405),
        (Method::GET, "/logout", 405),
        (Method::POST, "/.well-known/jwks.json", 405),
        (Method::GET, "/", 404),
        (Method::GET, "/jwks.json", 404),
        (Method::POST, "/rotate", 404),
        (Method::POST, "/token/", 404),
        (Method::POST, "//token", 404),
        (Method::GET, "/.well-known/../token", 404),
        (Method::GET, "/keys/k1.pem", 404),
        (Method::GET, "/metrics", 404),
        (Method::GET, "/authorize", 404),
    ] {
        let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
        assert_eq!(rig.send(request).await.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_counted_says_who_and_why_and_strangers_are_nobody() {
    let rig = Rig::new();
    rig.token("worker").await;
    for name in ["a", "b", "c"] {
        let answer = rig.post("/token", name, GRANT).await;
        assert_eq!(answer.status, 401);
    }
    let text = rig.metrics.render();
    let counted = r#"claimgate_issuer_requests_total{endpoint="token",client="none",result="invalid_client"} 3"#;
    assert!(text.contains(counted), "{text}");
    assert!(text.contains(r#"claimgate_issuer_tokens_total{client="worker",grant="client_credentials",with_refresh_token="no"} 1"#), "{text}");
}
