//! How paths are read, and every way around a prefix.

use super::*;

fn has_reading(target: &str, reading: &str) -> bool {
    match RequestPath::parse(target) {
        RequestPath::Plain(path) => path == reading,
        RequestPath::Escaped { raw, decoded } => raw == reading || decoded == reading,
        RequestPath::Ambiguous(readings) => readings.iter().any(|one| one == reading),
        RequestPath::Unreadable => false,
    }
}

#[test]
fn ordinary_paths_are_plain_whatever_their_query() {
    for target in ["/", "/a", "/a/b.c/", "/a?x=//../%2f;", "/.well-known/x", "/a..b", "/~u/@v"] {
        assert!(matches!(RequestPath::parse(target), RequestPath::Plain(_)), "{target}");
    }
}

#[test]
fn whatever_can_be_read_in_two_ways_is_not_plain() {
    for target in [
        "",
        "*",
        "a",
        "//",
        "/a//b",
        "/./a",
        "/a/.",
        "/a/..",
        "/../a",
        "/a;b",
        "/a\\b",
        "/a%2fb",
        "/a%5cb",
        "/%2e%2e/a",
        "/a%00",
        "/a%",
        "/a%zz",
        "/a%2",
        "/a#b",
        "/a b",
        "/a\tb",
        "/ä",
        "http://h/a",
        "/%61",
        "/a%252fb",
    ] {
        assert!(!matches!(RequestPath::parse(target), RequestPath::Plain(_)), "{target:?}");
    }
}

#[test]
fn every_way_around_a_prefix_has_it_among_its_readings() {
    for target in [
        "/public/../admin",
        "/public/..;/admin",
        "/public/%2e%2e/admin",
        "/public/.%2e/admin",
        "/public/..%2fadmin",
        "/public/..%252fadmin",
        "/public/%252e%252e/admin",
        "//admin",
        "/public//..//admin",
        "/public\\..\\admin",
        "/public/..%5cadmin",
        "/./admin",
        "/;x/admin",
        "/public/../admin;x=1",
        "/admin;x",
        "/%61dmin",
        "/%2561dmin",
        "admin",
        "/admin#/public",
        "/admin%23x",
        "/admin%3fx",
    ] {
        assert!(has_reading(target, "/admin"), "{target}: {:?}", RequestPath::parse(target));
    }
}

#[test]
fn characters_that_some_readers_take_for_separators_and_dots_are_not_harmless() {
    for target in [
        "/public/%EF%BC%8E%EF%BC%8E/admin",
        "/public/..%EF%BC%8Fadmin",
        "/public%EF%BC%8F%E2%80%A5%EF%BC%BCadmin",
        "/public/%E2%80%A4%E2%80%A4/admin",
        "/public/%EF%B9%92%EF%B9%92%EF%BC%8Fadmin",
        "/public/..%E2%88%95admin",
        "/public/..%E2%81%84admin",
        "/public/..%20/admin",
        "/public/%20../admin",
        "/public/..%C2%A0/admin",
        "/admin%20",
        "/admin%E3%80%80",
    ] {
        let path = RequestPath::parse(target);
        assert!(matches!(path, RequestPath::Ambiguous(_)), "{target}: {path:?}");
        assert!(has_reading(target, "/admin"), "{target}: {path:?}");
    }
    // Such characters within a name are part of it.
    for target in ["/No%EF%BC%8E1", "/%20a", "/what%EF%BC%9F", "/%E2%80%A6"] {
        let path = RequestPath::parse(target);
        assert!(matches!(path, RequestPath::Escaped { .. }), "{target}: {path:?}");
    }
}

/// Each of these is what a reader that works in its own order makes of the target.
#[test]
fn every_order_of_decoding_cutting_and_resolving_is_among_the_readings() {
    for target in [
        // Decoded, then resolved, and never cut.
        "/public%3f/%2e%2e/admin",
        "/public%23/%2e%2e/admin",
        "/public#/../admin",
        // Parameters gone, then decoded, then resolved.
        "/public/..;a%2fb/%61dmin",
        // Resolved, then decoded.
        "/x%2fy/../%61dmin",
        // A backslash for an ordinary character.
        "/a\\b/../admin",
        // Decoded twice by somebody who leaves alone what is no escape.
        "/%25/..%252fadmin",
        // Taken for a host and its path.
        "//host/admin",
        "/\\host/admin",
    ] {
        assert!(has_reading(target, "/admin"), "{target}: {:?}", RequestPath::parse(target));
    }
    // With an empty segment for one (RFC 3986 §5.2.4), and without.
    assert!(has_reading("/x//../admin", "/x/admin"));
    assert!(has_reading("/x//../admin", "/admin"));
}

#[test]
fn an_absolute_target_names_a_host_that_no_rule_saw_and_matches_nothing() {
    assert_eq!(RequestPath::parse("http://admin/x"), RequestPath::Unreadable);
}

#[test]
fn a_path_with_too_many_readings_matches_nothing_and_costs_no_more() {
    let nested = format!("/a%25{}2e", "25".repeat(5000));
    assert_eq!(RequestPath::parse(&nested), RequestPath::Unreadable);
    let wide = format!("/{}", "a;b%2f..\\//./#".repeat(4000));
    assert!(!matches!(RequestPath::parse(&wide), RequestPath::Plain(_)));
}

#[test]
fn octets_that_nobody_can_read_match_nothing() {
    for target in ["/a%00b", "/a%0ab", "/a%zz", "/a%", "/%c0%ae%c0%ae/admin", "/a\u{0}", "/%250a"] {
        assert_eq!(RequestPath::parse(target), RequestPath::Unreadable, "{target:?}");
    }
    for end in ["", "%20b"] {
        let long = format!("/{}{end}", "a".repeat(MAX_BYTES));
        assert!(RequestPath::parse(&long) == RequestPath::Unreadable, "{end:?}");
    }
}

#[test]
fn escapes_of_ordinary_characters_leave_two_readings() {
    for (target, decoded) in
        [("/a%20b?x", "/a b"), ("/%61dmin", "/admin"), ("/caf%C3%A9", "/café"), ("/%2a", "/*")]
    {
        let raw = target.split('?').next().unwrap();
        let expected = RequestPath::Escaped { raw, decoded: decoded.to_owned() };
        assert_eq!(RequestPath::parse(target), expected);
    }
    for target in [
        "/a%2fb",
        "/a%2Fb",
        "/a%5c",
        "/%2e%2e/a",
        "/a%3bb",
        "/a%3f",
        "/a%23",
        "/a%25",
        "/a%20//b",
        "/a%20/../b",
        "/a%20;b",
        "/a%00",
        "/a%c2%85",
        "/%ff",
        "a%20",
        "/a%20b\\",
    ] {
        let path = RequestPath::parse(target);
        assert!(!matches!(path, RequestPath::Escaped { .. }), "{target}: {path:?}");
    }
}

#[test]
fn a_percent_sign_that_was_meant_stays_readable() {
    assert!(has_reading("/100%25", "/100%"));
}
