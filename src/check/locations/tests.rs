//! Which requests hold a token, and where.

use super::*;

fn request<'a>(headers: &[(&'a str, &'a str)]) -> CheckRequest<'a> {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    CheckRequest { headers: headers.collect(), ..CheckRequest::default() }
}

fn outcome(headers: &[(&str, &str)]) -> &'static str {
    let sources = TokenLocations::new(vec![
        TokenLocation::Header(HeaderLocation::bearer()),
        TokenLocation::Header(HeaderLocation { header: "x-token".into(), prefix: String::new() }),
    ]);
    outcome_of(&sources, &request(headers))
}

fn outcome_of(sources: &TokenLocations, request: &CheckRequest<'_>) -> &'static str {
    match sources.extract(request) {
        Extracted::Tokens { others, .. } if !others.is_empty() => "several",
        Extracted::Tokens { .. } => "token",
        Extracted::Missing => "missing",
        Extracted::Several => "several",
        Extracted::Malformed => "malformed",
    }
}

#[test]
fn the_scheme_is_compared_without_case_and_needs_a_space() {
    for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c"] {
        assert_eq!(outcome(&[("authorization", value)]), "token", "{value:?}");
    }
    for value in ["Bearer", "Bearer ", "Bearer\ta.b.c", "Bearer\u{a0}a.b.c"] {
        assert_eq!(outcome(&[("authorization", value)]), "malformed", "{value:?}");
    }
    for value in ["Basic abc", "BearerX a", "\"Bearer\" a", "", "Bearer:a", "Digest"] {
        assert_eq!(outcome(&[("authorization", value)]), "missing", "{value:?}");
    }
}

#[test]
fn two_tokens_are_none_wherever_they_stand() {
    assert_eq!(outcome(&[("authorization", "Bearer a,Bearer b")]), "several");
    assert_eq!(outcome(&[("authorization", "Bearer a"), ("Authorization", "Bearer a")]), "several");
    assert_eq!(outcome(&[("authorization", "Bearer a"), ("x-token", "b")]), "several");
    assert_eq!(outcome(&[("x-token", "a"), ("x-token", "b")]), "several");
    assert_eq!(outcome(&[("authorization", "Bearer a"), ("authorization", "Bearer")]), "several");
    assert_eq!(outcome(&[("authorization", "Basic x"), ("x-token", "b")]), "token");
}

#[test]
fn headers_that_are_not_configured_are_not_looked_at() {
    for name in ["proxy-authorization", "x-access-token", "cookie", "sec-websocket-protocol"] {
        assert_eq!(outcome(&[(name, "Bearer a.b.c")]), "missing", "{name}");
    }
}

#[test]
fn headers_with_a_token_are_named_and_others_are_not() {
    let sources = TokenLocations::default();
    let with = |value: &str| {
        let request = request(&[("Authorization", value)]);
        sources.traces(&request).headers.len()
    };
    assert_eq!(with("Bearer a.b.c"), 1);
    assert_eq!(with("Basic x, Bearer a.b.c"), 1);
    assert_eq!(with("Bearer"), 1);
    assert_eq!(with("Basic dXNlcjpwYXNz"), 0);
}

#[test]
fn a_cookie_is_found_whichever_way_the_pairs_are_joined() {
    let cookies = TokenLocations::new(vec![TokenLocation::Cookie("jwt".to_owned())]);
    for (headers, expected) in [
        (vec!["jwt=a.b.c"], "token"),
        (vec!["x=1; jwt=a.b.c; y=2"], "token"),
        (vec!["x=1,jwt=a.b.c,y=2"], "token"),
        (vec!["x=1", " jwt=\"a.b.c\" "], "token"),
        (vec!["jwt=a; jwt=a"], "several"),
        (vec!["jwt=a,jwt=b"], "several"),
        (vec!["jwt=a", "jwt=b"], "several"),
        (vec!["x=1,jwt=a; jwt=b"], "several"),
        (vec!["jwt="], "missing"),
        (vec!["jwt"], "missing"),
        (vec!["JWT=a; xjwt=a; jwt2=a; x=jwt"], "missing"),
        (vec![], "missing"),
    ] {
        let headers: Vec<(&str, &str)> = headers.into_iter().map(|one| ("Cookie", one)).collect();
        assert_eq!(outcome_of(&cookies, &request(&headers)), expected, "{headers:?}");
    }
}

#[test]
fn a_cookie_with_a_token_is_taken_out_and_the_others_stay() {
    let cookies = TokenLocations::new(vec![TokenLocation::Cookie("jwt".to_owned())]);
    for (header, rest) in [
        ("jwt=a.b.c", Some("")),
        ("x=1; jwt=a.b.c; y=2,3", Some("x=1; y=2,3")),
        ("x=1,jwt=a.b.c,y=2", Some("x=1,y=2")),
        ("jwt=\"a\"; jwt=b; x=\"1\"", Some("x=\"1\"")),
        ("jwt=", Some("")),
        ("x=1; y=2", None),
    ] {
        let traces = cookies.traces(&request(&[("cookie", header)]));
        assert_eq!(traces.cookie.as_deref(), rest, "{header}");
    }
}

#[test]
fn a_query_parameter_is_found_and_named_in_every_spelling() {
    let query = TokenLocations::new(vec![TokenLocation::Query("access_token".to_owned())]);
    for (path, expected, spelled) in [
        ("/a?access_token=a.b.c", "token", vec!["access_token"]),
        ("/a?x=1&access%5Ftoken=a%2Eb.c&y", "token", vec!["access%5Ftoken"]),
        ("/a?access_token=a&access%5ftoken=a", "several", vec!["access%5ftoken", "access_token"]),
        ("/a?access_token=a&access_token=a", "several", vec!["access_token"]),
        ("/a?access_token=", "missing", vec!["access_token"]),
        ("/a?access_token=%ff", "malformed", vec!["access_token"]),
        ("/a?x=1;access_token=a", "malformed", vec![]),
        ("/a?Access_Token=a&xaccess_token=a", "missing", vec![]),
        ("/access_token=a", "missing", vec![]),
        ("/a?x=1#&access_token=a", "missing", vec![]),
    ] {
        let request = CheckRequest { path: path.into(), ..CheckRequest::default() };
        assert_eq!(outcome_of(&query, &request), expected, "{path}");
        let spelled: BTreeSet<String> = spelled.into_iter().map(str::to_owned).collect();
        assert_eq!(query.traces(&request).query, spelled, "{path}");
    }
    let escaped = CheckRequest { path: "/?access_token=a%2Eb+c".into(), ..CheckRequest::default() };
    let Extracted::Tokens { first, .. } = query.extract(&escaped) else { panic!() };
    assert_eq!(first, "a.b c");
}

#[test]
fn tokens_in_several_places_are_found_in_the_order_of_the_places() {
    let all = TokenLocations::new(vec![
        TokenLocation::Query("t".to_owned()),
        TokenLocation::Cookie("t".to_owned()),
        TokenLocation::Header(HeaderLocation::bearer()),
    ]);
    let headers = [("authorization", "Bearer h"), ("cookie", "t=c")];
    let sent = CheckRequest { path: "/?t=q".into(), ..request(&headers) };
    let Extracted::Tokens { first, others } = all.extract(&sent) else { panic!() };
    assert_eq!((first.as_ref(), others), ("q", vec!["c".into(), "h".into()]));
    // One that is none among them: nobody knows which of them counts.
    let bad = CheckRequest { path: "/?t=q".into(), ..request(&[("authorization", "Bearer")]) };
    assert_eq!(outcome_of(&all, &bad), "several");
}

#[test]
fn a_scheme_behind_a_space_is_none_that_every_reader_sees() {
    for value in [" Bearer a.b.c", "\tBearer a.b.c", "\u{a0}Bearer a.b.c"] {
        assert_eq!(outcome(&[("authorization", value)]), "malformed", "{value:?}");
    }
    assert_eq!(outcome(&[("authorization", " Basic a")]), "missing");
}

#[test]
fn a_parameter_behind_a_semicolon_is_found_wherever_that_stands() {
    let query = TokenLocations::new(vec![TokenLocation::Query("access_token".to_owned())]);
    for (path, expected) in [
        ("/a?x;access_token=a.b.c", "malformed"),
        ("/a?;access_token=a.b.c", "malformed"),
        ("/a?y&x=1;z;access%5Ftoken=a.b.c", "malformed"),
        ("/a?access_token=a.b.c&x;access_token=d", "several"),
        ("/a?x;xaccess_token=a", "missing"),
        ("/a?x=;y", "missing"),
    ] {
        let request = CheckRequest { path: path.into(), ..CheckRequest::default() };
        assert_eq!(outcome_of(&query, &request), expected, "{path}");
    }
}

/// Browsers keep `__Host-` cookies from being set by another host, but not names that a lenient server trims to one,
/// nor text in the value of another cookie.
#[test]
fn a_cookie_whose_name_only_some_readers_see_is_no_token() {
    let names = ["jwt", "__Host-jwt", "__secure-jwt"];
    let cookies = |name: &str| TokenLocations::new(vec![TokenLocation::Cookie(name.to_owned())]);
    for name in names {
        for pair in [format!("\u{a0}{name}=a.b.c"), format!("x=1; {name}\u{2003}=a.b.c")] {
            let request = request(&[("cookie", &pair)]);
            assert_eq!(outcome_of(&cookies(name), &request), "malformed", "{pair:?}");
            assert!(!cookies(name).traces(&request).cookie.unwrap().contains("a.b.c"), "{pair:?}");
        }
        let ordinary = format!("x=1;\t{name} = a.b.c");
        assert_eq!(outcome_of(&cookies(name), &request(&[("cookie", &ordinary)])), "token");
    }
    for (name, joined) in names.into_iter().zip(["token", "malformed", "malformed"]) {
        let injected = format!("lang=en,{name}=a.b.c");
        assert_eq!(
            outcome_of(&cookies(name), &request(&[("cookie", &injected)])),
            joined,
            "{name}"
        );
        let first = format!("{name}=a.b.c,lang=en; x=1");
        assert_eq!(outcome_of(&cookies(name), &request(&[("cookie", &first)])), "token", "{name}");
    }
}
