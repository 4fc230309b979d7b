//! The faults that are one answer, or none, and an error: what the provider does and what has to come of it.

use claimgate::issuer::SigningKey;
use serde_json::{Value, json};

use crate::faulty::{Fault, KeyServer, document};

/// What a fault leads to.
pub(crate) struct Expected {
    /// The label `result` of `claimgate_jwks_refresh_total`.
    pub(crate) result: &'static str,
    /// Part of `last_error` on `/status`.
    pub(crate) error: &'static str,
    /// Requests that reach the provider.
    pub(crate) requests: u64,
}

/// The faults that are one answer, and an error.
pub(crate) fn all(key: &SigningKey, canary: &KeyServer) -> Vec<(&'static str, Fault, Expected)> {
    const MEGABYTES: usize = 10_000_000;
    let good = document(&[key]);
    let of = |result, error| Expected { result, error, requests: 1 };
    let status = |line| Fault::Status(line, "");
    let redirect = |to: &str| Fault::Redirect(to.to_owned());
    let body = |text: &str| Fault::Body(text.to_owned());
    let (truncated, _) = good.split_at(good.len() - 9);
    let jwk = key.public_jwk();
    let many: Vec<Value> = (0..300).map(|nth| with(&jwk, "kid", &format!("key-{nth}"))).collect();
    let many = json!({"keys": many}).to_string();
    let twice = format!("{{\"keys\":[],{}", good.split_at(1).1);
    let kid_twice = good.replacen("\"kid\"", "\"kid\":\"other\",\"kid\"", 1);
    vec![
        (
            "refuses connections",
            Fault::Refuse,
            Expected { requests: 0, ..of("unreachable", "refused") },
        ),
        ("resets in the body", Fault::ResetMidBody, of("unreachable", "")),
        ("hangs before the headers", Fault::Hang, of("timeout", "no whole answer within")),
        ("one byte at a time, for ever", Fault::Drip, of("timeout", "no whole answer within")),
        ("500", status("500 Internal Server Error"), of("http_error", "answered 500")),
        ("redirect, same host", redirect("/elsewhere"), of("http_error", "a redirect")),
        ("redirect, other host", redirect(&canary.url()), of("http_error", "a redirect")),
        ("redirect, file:", redirect("file:///etc/passwd"), of("http_error", "a redirect")),
        (
            "HTML with a 200",
            body("<!doctype html><title>Sign in</title>"),
            of("bad_document", "not a JSON object"),
        ),
        ("empty body", body(""), of("bad_document", "not a JSON object")),
        ("no keys", body("{\"keys\":[]}"), of("bad_document", "no usable key (it is empty)")),
        ("truncated JSON", body(truncated), of("bad_document", "not a JSON object")),
        ("300 keys", body(&many), of("bad_document", "300 keys, more than the limit of 256")),
        (
            "10 MB, and says so",
            Fault::Long { bytes: MEGABYTES, says_length: true },
            of("too_large", "limit"),
        ),
        (
            "10 MB, length unsaid",
            Fault::Long { bytes: MEGABYTES, says_length: false },
            of("too_large", "limit"),
        ),
        ("gzip bomb, 1 MB to 1 GB", Fault::GzipBomb, of("too_large", "limit")),
        ("Content-Length too long", Fault::WrongLength(100), of("unreachable", "")),
        (
            "Content-Length too short",
            Fault::WrongLength(-10),
            of("bad_document", "not a JSON object"),
        ),
        ("member keys twice", body(&twice), of("bad_document", "not a JSON object")),
        ("kid twice in the only key", body(&kid_twice), of("bad_document", "1 malformed")),
    ]
}

/// `jwk` with another value for one member.
pub(crate) fn with(jwk: &Value, name: &str, value: &str) -> Value {
    let mut jwk = jwk.clone();
    jwk[name] = json!(value);
    jwk
}
