//! Tokens in query parameters and cookies, and in several places at once.

use serde_json::json;

use super::Cases;
use crate::case::Verdict;
use crate::tokens::Tokens;

pub(super) fn add(cases: &Cases, tokens: &Tokens) {
    let good = tokens.token("accounts", &json!({}));
    let bob = tokens.token("accounts", &json!({"sub": "bob"}));
    let expired = tokens.token("accounts", &json!({"exp": 1}));
    query(cases, &good, &bob, &expired);
    cookie(cases, &good, &bob, &expired);
    several_places(cases, &good, &bob, &expired);
}

fn query(cases: &Cases, good: &str, bob: &str, expired: &str) {
    let get =
        |query: String| cases.get(format!("query: {}", short(&query)), format!("/query/x?{query}"));
    for query in [
        format!("access_token={good}"),
        format!("x=1&access_token={good}&y=2"),
        format!("z&access_token={good}&b=d+e&a"),
        format!("access%5Ftoken={good}"),
        format!("%61ccess_token={good}&x"),
        format!("access_token={}", good.replace('.', "%2E")),
        format!("access_token={good}&access_token="),
    ] {
        get(query).passes();
    }
    for (rest, jwt_authn) in [
        ("a=1%26admin%3Dtrue", "a=1&admin=true"),
        ("a=%2B", "a=+"),
        ("a=%25", "a=%"),
        ("a=%23b", "a="),
        ("%61=1", "a=1"),
        ("a=%41", "a=A"),
    ] {
        get(format!("{rest}&access_token={good}")).upstream(
            "query-rewritten",
            &[(":path", &[&format!("/query/x?{jwt_authn}")], &[&format!("/query/x?{rest}")])],
        );
    }
    let space = || get(format!("access_token={good}&a=%20b"));
    space().http1().verdicts("query-space", Verdict::Refused(400), Verdict::Passes);
    space().http2().verdicts("query-space", Verdict::Refused(502), Verdict::Passes);
    for query in [
        String::new(),
        "access_token".to_owned(),
        "access_token=".to_owned(),
        "access_token=x".to_owned(),
        format!("ACCESS_TOKEN={good}"),
        format!("token={good}"),
        format!("access_token[]={good}"),
        format!("x=access_token={good}"),
        format!("access_token=Bearer+{good}"),
        format!("access_token={good}.x"),
    ] {
        let case = get(query.clone());
        if query.len() > 40 { case.repeated("challenge") } else { case.refused() }
    }
    get(format!("access_token={expired}")).repeated("challenge");
    for query in [
        format!("access_token={good}&access_token={good}"),
        format!("access_token={good}&access_token={bob}"),
        format!("access_token={good}&access%5Ftoken={bob}"),
    ] {
        get(query).claimgate_refuses("several-tokens");
    }
    cases.get("query: a header instead", "/query").bearer(good).refused();
    cases.get("query: a fragment", format!("/query#access_token={good}")).refused();
}

/// Without what is too long to read.
fn short(query: &str) -> String {
    query.split('.').next().unwrap_or_default().chars().take(60).collect()
}

fn cookie(cases: &Cases, good: &str, bob: &str, expired: &str) {
    let at = |name: &str| cases.get(format!("cookie: {name}"), "/cookie/x");
    let session = format!("session={good}");
    let quoted = format!("session=\"{good}\"");
    for (name, cookie, rest) in [
        ("alone", session.clone(), None),
        ("among others", format!("a=b; {session}; c=d"), Some("a=b; c=d")),
        ("without spaces", format!("a=b;{session};c=d"), Some("a=b; c=d")),
        ("in quotes", quoted, None),
        ("a longer name beside", format!("xsession=1; {session}"), Some("xsession=1")),
    ] {
        let rest: Vec<&str> = rest.into_iter().collect();
        at(name)
            .header("Cookie", &cookie)
            .upstream("cookie-removed", &[("cookie", &[&cookie], &rest)]);
    }
    for (name, cookie) in [
        ("empty", "session=".to_owned()),
        ("no value", "session".to_owned()),
        ("in other case", format!("Session={good}")),
        ("another name", format!("sessions={good}")),
        ("a prefix", format!("__Host-session={good}")),
        ("expired", format!("session={expired}")),
        ("with a scheme", format!("session=Bearer {good}")),
        ("escaped", format!("session={}", good.replace('.', "%2E"))),
        ("a word", "session=x".to_owned()),
    ] {
        at(name).header("Cookie", cookie).refused();
    }
    at("of two people")
        .header("Cookie", format!("{session}; session={bob}"))
        .claimgate_refuses("several-tokens");
    at("of two people, two headers")
        .header("Cookie", &session)
        .header("Cookie", format!("session={bob}"))
        .claimgate_refuses("several-tokens");
    at("a header instead").bearer(good).refused();
}

/// In a header, a parameter or a cookie.
fn several_places(cases: &Cases, good: &str, bob: &str, expired: &str) {
    let cookie = format!("session={good}");
    cases.get("places: header", "/places").bearer(good).passes();
    cases.get("places: query", format!("/places?access_token={good}")).passes();
    cases
        .get("places: cookie", "/places")
        .header("Cookie", &cookie)
        .upstream("cookie-removed", &[("cookie", &[&cookie], &[])]);
    cases.get("places: none", "/places").refused();
    cases
        .get("places: header and cookie", "/places")
        .bearer(good)
        .header("Cookie", &cookie)
        .claimgate_refuses("several-tokens");
    cases
        .get("places: header and query, of two people", format!("/places?access_token={bob}"))
        .bearer(good)
        .claimgate_refuses("several-tokens");
    cases
        .get("places: header and another cookie", "/places")
        .bearer(good)
        .header("Cookie", "other=1")
        .passes();
    cases
        .get("places: a good header, an expired cookie", "/places")
        .bearer(good)
        .header("Cookie", format!("session={expired}"))
        .refused();
    cases
        .get("places: Basic, and a cookie", "/places")
        .header("Authorization", "Basic dXNlcjpwYXNz")
        .header("Cookie", &cookie)
        .upstream("cookie-removed", &[("cookie", &[&cookie], &[])]);
}
