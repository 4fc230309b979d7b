//! Any text as cookies and as a query in which tokens are looked for. What is found is taken away: nobody who looks
//! again, in what the upstream gets, finds a token.

#![no_main]

use claimgate::check::CheckRequest;
use claimgate::check::locations::{Extracted, TokenLocation, TokenLocations, TokenTraces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parts: (Vec<&str>, &str)| {
    let (cookies, query) = parts;
    let locations = TokenLocations::new(vec![
        TokenLocation::Cookie("jwt".to_owned()),
        TokenLocation::Query("access_token".to_owned()),
    ]);
    let headers = cookies.iter().map(|value| ("cookie".into(), (*value).into()));
    let sent = CheckRequest {
        path: format!("/x?{query}").into(),
        headers: headers.collect(),
        ..CheckRequest::default()
    };
    let traces = locations.traces(&sent);
    match locations.extract(&sent) {
        Extracted::Tokens { first, others } => {
            assert!(!first.is_empty() && others.iter().all(|other| !other.is_empty()));
            assert!(others.len() < 2);
            assert_ne!(traces, TokenTraces::default());
        }
        Extracted::Missing | Extracted::Several | Extracted::Malformed => {}
    }
    let passed_on = passed_on(sent, traces);
    let left = locations.extract(&passed_on);
    assert!(!matches!(left, Extracted::Tokens { .. }), "{left:?} of {cookies:?} {query:?}");
});

/// What Envoy makes of the request: the cookies replaced, the parameters of those very names gone.
fn passed_on(mut request: CheckRequest<'_>, traces: TokenTraces) -> CheckRequest<'_> {
    if let Some(rest) = traces.cookie {
        request.headers = vec![("cookie".into(), rest.into())];
    }
    let (path, query) = request.path.split_once('?').expect("has one");
    let is_kept = |pair: &&str| !traces.query.contains(pair.split('=').next().unwrap_or_default());
    let (query, fragment) = query.split_once('#').unwrap_or((query, ""));
    let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
    request.path = format!("{path}?{}#{fragment}", kept.join("&")).into();
    request
}
