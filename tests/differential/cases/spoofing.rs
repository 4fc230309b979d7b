//! Headers that only a filter may set, sent by the client: in every spelling, with and without a token.

use serde_json::json;

use super::{Cases, Draft};
use crate::tokens::Tokens;

/// What an attacker writes into every header of ours; [`crate::table`] looks for it behind claimgate.
pub(crate) const SPOOFED: &str = "mallory";

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    let good = tokens.token("accounts", &json!({}));
    for name in ["x-jwt-sub", "X-JWT-Sub", "X-Jwt-Payload", "x-jwt-deepest", "x-jwt-tenant"] {
        for bare in [false, true] {
            let case = |what: &str, target: &str| {
                let front = if bare { "bare" } else { "shipped" };
                let case = cases.get(format!("spoofed {name}, {front}, {what}"), target);
                front_of(case, bare).header(name, SPOOFED)
            };
            case("a good token", "/i/accounts").bearer(&good).passes();
            case("nothing needed", "/open").passes();
            case("twice, a good token", "/i/accounts").header(name, SPOOFED).bearer(&good).passes();
            case("twice, nothing needed", "/open").header(name, SPOOFED).passes();
            case("empty too, nothing needed", "/open").header(name, "").passes();
        }
    }
    spellings(cases, &good);
    reserved(cases, &good);
    hop_by_hop(cases, &good);
}

fn front_of(case: Draft<'_>, bare: bool) -> Draft<'_> {
    if bare { case.bare() } else { case }
}

/// Names that CGI, WSGI or PHP read as the same name.
fn spellings(cases: &Cases, good: &str) {
    for name in ["x_jwt_sub", "X_JWT_SUB", "x-jwt_sub", "x_jwt-sub"] {
        for (what, target, token) in
            [("a good token", "/i/accounts", Some(good)), ("nothing needed", "/open", None)]
        {
            let case = |front: &str| {
                let mut case = cases.get(format!("spoofed {name}, {front}, {what}"), target);
                if let Some(token) = token {
                    case = case.bearer(token);
                }
                case.header(name, SPOOFED)
            };
            case("shipped").passes();
            let lower = name.to_ascii_lowercase();
            case("bare").bare().upstream("spelling", &[(&lower, &[SPOOFED], &[])]);
        }
    }
    for name in ["x.jwt.sub", "x-jwt.sub", "x.jwt-sub"] {
        for bare in [false, true] {
            let case = cases.get(format!("spoofed {name}, bare: {bare}"), "/open");
            front_of(case, bare)
                .header(name, SPOOFED)
                .upstream("spelling", &[(name, &[SPOOFED], &[])]);
        }
    }
    for name in ["x!jwt!sub", "x~jwt~sub", "x+jwt+sub", "x*jwt*sub", "x|jwt|sub", "x'jwt'sub"] {
        cases
            .get(format!("spoofed {name}"), "/open")
            .header(name, SPOOFED)
            .upstream("spelling", &[(name, &[SPOOFED], &[])]);
    }
    // A line that begins with a space goes on with the one before, which is `Connection` here.
    cases.get("spoofed, as a folded line", "/open").header(" x-jwt-sub", SPOOFED).passes();
    for name in ["x jwt sub", "x-jwt-sub "] {
        cases
            .get(format!("spoofed {name:?}, no header name"), "/open")
            .header(name, SPOOFED)
            .refused();
    }
    for name in ["xjwtsub", "x-jw-sub", "y-x-jwt-sub", "sub"] {
        cases.get(format!("{name}, which is nobody's"), "/open").header(name, "theirs").passes();
    }
}

/// Names that are reserved and that no claim is mapped onto: one that was, or will be.
fn reserved(cases: &Cases, good: &str) {
    for name in ["x-jwt-role", "x-jwt-admin", "x-jwt-"] {
        for bare in [false, true] {
            let case = cases.get(format!("spoofed {name}, bare: {bare}"), "/i/accounts");
            front_of(case, bare)
                .bearer(good)
                .header(name, SPOOFED)
                .upstream("reserved", &[(name, &[SPOOFED], &[])]);
        }
    }
}

/// `Connection` names headers that the next hop is to drop. Envoy drops `Connection` itself before it asks anybody.
fn hop_by_hop(cases: &Cases, good: &str) {
    for value in ["x-jwt-sub", "keep-alive, X-JWT-Sub", "x-jwt-payload"] {
        cases
            .get(format!("Connection: {value}"), "/i/accounts")
            .bearer(good)
            .header("Connection", value)
            .passes();
    }
}
