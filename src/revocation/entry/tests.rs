//! Entries and their lines: what is accepted, what is refused and how that is told.

use super::*;

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_secs(seconds).unwrap()
}

const LINES: [&str; 5] = [
    r#"{"v":1,"kind":"token","iss":"https://id.example","jti":"9f1c","expires_at":1764000030}"#,
    r#"{"v":1,"kind":"subject","iss":"https://id.example","sub":"alice","not_before":1763990000,"expires_at":1764076400}"#,
    r#"{"v":1,"kind":"session","iss":"https://id.example","sid":"s-17","expires_at":1764076400}"#,
    r#"{"v":1,"kind":"key","iss":"https://id.example","kid":"2026-10","expires_at":1766592000}"#,
    r#"{"v":1,"kind":"issuer","iss":"https://id.example","not_before":1763990000,"expires_at":1764076400}"#,
];

fn parse(line: &str) -> Result<RevocationEntry, EntryError> {
    RevocationEntry::parse(line.as_bytes())
}

#[test]
fn every_kind_is_read_and_written_as_the_same_line() {
    for (line, kind) in LINES.into_iter().zip(EntryKind::ALL) {
        let entry = parse(line).unwrap();
        assert_eq!((entry.kind(), entry.iss()), (kind, "https://id.example"));
        assert_eq!(entry.to_json(), line);
        assert_eq!(entry.revoked().kind(), kind);
        assert_eq!(entry.revoked().id().is_some(), kind.member().is_some());
        assert_eq!(entry.revoked().not_before().is_some(), kind.has_not_before());
    }
}

#[test]
fn how_a_line_is_spaced_and_escaped_does_not_matter_and_is_not_kept() {
    let odd = "{ \"expires_at\" : 1764000030, \"jti\" : \"\\u0039f1c\" ,\"iss\":\"https:\\/\\/id.example\",\
               \"kind\":\"token\",\"v\":1 }";
    assert_eq!(parse(odd).unwrap().to_json(), LINES[0]);
}

#[test]
fn texts_are_literal_and_survive_the_line() {
    for text in ["*", "a:b|c,d", "\"\\/\n\r\t\0\u{7f}", "ä\u{1F600}\u{2028}", "{\"v\":1}", " a "] {
        let revoked = Revoked::Token { jti: text.into() };
        let entry = RevocationEntry::new("https://a.example/?b=c#d e", revoked, at(1)).unwrap();
        let line = entry.to_json();
        assert!(line.is_ascii() && !line.contains(['\n', '\r']), "{line}");
        assert_eq!(parse(&line).unwrap(), entry, "{line}");
    }
    let (composed, decomposed) = ("\u{e9}", "e\u{301}");
    let of =
        |sid: &str| RevocationEntry::new("i", Revoked::Session { sid: sid.into() }, at(1)).unwrap();
    assert_ne!(of(composed), of(decomposed));
    assert_ne!(of("a"), of("A"));
}

#[test]
fn the_longest_texts_fit_into_the_longest_line() {
    let long = "\u{1}".repeat(MAX_TEXT_BYTES);
    let revoked = Revoked::Subject { sub: long.as_str().into(), not_before: at(MAX_SECONDS) };
    let entry = RevocationEntry::new(&long, revoked, at(MAX_SECONDS)).unwrap();
    let line = entry.to_json();
    assert!(line.len() <= MAX_LINE_BYTES, "{}", line.len());
    assert_eq!(parse(&line).unwrap(), entry);
}

#[test]
fn what_is_no_entry_is_refused_and_named() {
    let [token, subject, ..] = LINES;
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    #[rustfmt::skip]
    let table: &[(String, &str)] = &[
        (String::new(), "not one JSON object"),
        ("[]".to_owned(), "not one JSON object"),
        (format!("{token}{token}"), "not one JSON object"),
        (format!("{token}\0"), "not one JSON object"),
        (token.replace("}", ",\"jti\":\"b\"}"), "not one JSON object: a member is named twice"),
        (token.replace("}", ",\"\\u006ati\":\"b\"}"), "not one JSON object: a member is named twice"),
        (token.replace("\"v\":1,", ""), "`v` is missing"),
        (token.replace("\"v\":1", "\"v\":2"), "`v` is not 1"),
        (token.replace("\"v\":1", "\"v\":\"1\""), "`v` is not 1"),
        (token.replace("\"v\":1", "\"v\":1.0"), "`v` is not 1"),
        (token.replace("\"kind\":\"token\",", ""), "`kind` is missing"),
        (token.replace("\"token\"", "\"Token\""), "`kind` is none of token, subject, session, key, issuer"),
        (token.replace("\"token\"", "7"), "`kind` is not a string"),
        (token.replace("\"token\"", "\"session\""), "a session has no member `jti`"),
        (token.replace("\"jti\":\"9f1c\"", "\"sub\":\"9f1c\""), "a token has no member `sub`"),
        (token.replace("\"jti\":\"9f1c\",", ""), "`jti` is missing"),
        (token.replace("\"9f1c\"", "\"\""), "`jti` is empty"),
        (token.replace("\"9f1c\"", "17"), "`jti` is not a string"),
        (token.replace("\"9f1c\"", "null"), "`jti` is not a string"),
        (token.replace("\"9f1c\"", "\"\\ud800\""), "`jti` is not a string"),
        (token.replace("9f1c", &long), "`jti` is longer than 1024 bytes"),
        (token.replace("https://id.example", ""), "`iss` is empty"),
        (token.replace("https://id.example", &long), "`iss` is longer than 1024 bytes"),
        (token.replace("1764000030", "\"1764000030\""), "`expires_at` is not a whole number of seconds"),
        (token.replace("1764000030", "1764000030.5"), "`expires_at` is not a whole number of seconds"),
        (token.replace("1764000030", "1e9"), "`expires_at` is not a whole number of seconds"),
        (token.replace("1764000030", "-1"), "`expires_at` is not a whole number of seconds"),
        (token.replace("1764000030", "1764000030000"), "`expires_at` is not a whole number of seconds"),
        (token.replace("1764000030", "4294967295"), "`expires_at` is not a whole number of seconds"),
        (token.replace("\"expires_at\"", "\"expires\\n\""), "a token has no member `expires\\n`"),
        (subject.replace("\"not_before\":1763990000,", ""), "`not_before` is missing"),
        (subject.replace("not_before", "not_befor"), "a subject has no member `not_befor`"),
        (token.replace("}", ",\"not_before\":1}"), "a token has no member `not_before`"),
        (" ".repeat(MAX_LINE_BYTES) + token, "longer than 16384 bytes"),
    ];
    for (line, expected) in table {
        let error = parse(line).expect_err(line).to_string();
        assert!(error.starts_with(expected), "{line}: {error}");
        assert!(!error.contains("9f1c") && !error.contains("id.example"), "{error}");
    }
    assert_eq!(
        RevocationEntry::parse(b"{\"v\":1,\"\xff\"").unwrap_err().to_string(),
        "not one JSON object: not UTF-8"
    );
}

#[test]
fn fractions_of_a_second_are_rounded_to_revoke_more() {
    let revoked = Revoked::Issuer { not_before: UnixTime::from_millis(1_001) };
    let entry = RevocationEntry::new("i", revoked, UnixTime::from_millis(2_999)).unwrap();
    assert_eq!(entry.revoked().not_before(), Some(at(2)));
    assert_eq!(entry.expires_at(), at(3));
    let exact = Revoked::Issuer { not_before: at(1) };
    assert_eq!(RevocationEntry::new("i", exact, at(2)).unwrap().expires_at(), at(2));
}

#[test]
fn debug_names_nobody() {
    let entry = parse(LINES[1]).unwrap();
    assert!(!format!("{:?}", entry.revoked()).contains("alice"));
}
