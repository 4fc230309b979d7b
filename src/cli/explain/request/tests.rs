//! What is read of recorded requests, in either spelling, and what is refused.

use super::*;

fn read(text: &str) -> Result<Option<CheckRequest<'static>>, RequestError> {
    parse(text.as_bytes())
}

#[test]
fn both_spellings_of_a_recorded_request_are_read() {
    let camel = r#"{"attributes": {
        "source": {"address": {"socketAddress": {"portValue": 1}}},
        "request": {"time": "2026-01-01T00:00:00Z", "http": {
            "id": "1", "method": "POST", "host": "h", "path": "/p?q", "size": "-1",
            "headers": {"a": "1"},
            "headerMap": {"headers": [
                {"key": "b", "value": "2"}, {"key": "b", "rawValue": "M_9B"}, {"key": "c", "rawValue": "NA=="}
            ]}
        }},
        "contextExtensions": {"claimgate.rule": "r"}, "metadataContext": {}
    }}"#;
    let snake = camel
        .replace("headerMap", "header_map")
        .replace("rawValue", "raw_value")
        .replace("contextExtensions", "context_extensions");
    for text in [camel, &snake] {
        let request = read(text).unwrap().unwrap();
        assert_eq!((&*request.method, &*request.host, &*request.path), ("POST", "h", "/p?q"));
        let headers = [("a", "1"), ("b", "2"), ("b", "3!A"), ("c", "4")];
        let headers = headers.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(request.headers, headers);
        assert_eq!(request.context, [("claimgate.rule".into(), "r".into())]);
    }
}

#[test]
fn what_is_missing_or_null_is_empty_as_in_protobuf() {
    for text in ["{}", r#"{"attributes": null}"#, r#"{"attributes": {"request": {}}}"#] {
        assert!(read(text).unwrap().is_none(), "{text}");
    }
    let request = read(r#"{"attributes": {"request": {"http": {"headers": null}}}}"#);
    assert!(request.unwrap().unwrap().headers.is_empty());
}

#[test]
fn what_is_no_recorded_request_is_refused_and_not_quoted() {
    let http = |http: &str| format!(r#"{{"attributes": {{"request": {{"http": {http}}}}}}}"#);
    for (text, why) in [
        ("SECRET".to_owned(), "not strict JSON"),
        (r#"{"attributes": "SECRET"}"#.to_owned(), "attributes: expected an object"),
        (http(r#"{"method": 7}"#), "attributes.request.http.method: expected a string"),
        (http(r#"{"headers": {"a": ["SECRET"]}}"#), "headers: expected strings by name"),
        (http(r#"{"headers": {"a": "SECRET", "a": "SECRET"}}"#), "named twice"),
        (http(r#"{"headerMap": {}, "header_map": {}}"#), "one of its two spellings"),
        (http(r#"{"headerMap": {"headers": {}}}"#), "expected a list"),
        (http(r#"{"headerMap": {"headers": [{"rawValue": "SECRET!"}]}}"#), "headers[0].rawValue"),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
        assert!(!error.contains("SECRET"), "{error}");
    }
}

#[test]
fn parts_on_the_command_line_are_pairs() {
    let texts = ["a: b:c".to_owned(), "d:".to_owned()];
    let expected = [("a", "b:c"), ("d", "")].map(|(a, b)| (a.into(), b.into()));
    assert_eq!(pairs("--header", &texts, ':', "name: value").unwrap(), expected);
    let error = pairs("--header", &["SECRET".to_owned()], ':', "name: value").unwrap_err();
    assert_eq!(error.to_string(), "--header number 1: expected name: value");
}
