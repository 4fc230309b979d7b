//! The document against its slow twin, a tree of values.

mod tree;

use proptest::prelude::*;

use self::tree::Value;
use super::*;

fn twins(text: &str) -> (Result<Value, Malformed>, Result<Document, Malformed>) {
    let members = RawMembers::parse(text.as_bytes()).unwrap();
    let tree = members.iter().map(|(name, raw)| Ok((name.into(), Value::parse(raw)?)));
    (tree.collect::<Result<_, Malformed>>().map(Value::Object), Document::parse(&members))
}

fn json(document: &Document) -> String {
    let mut text = String::new();
    View::Object(document.members()).write_json(&mut text);
    text
}

fn same(text: &str) {
    for (_, raw) in RawMembers::parse(text.as_bytes()).unwrap().iter() {
        assert_eq!(check(raw).err(), Value::parse(raw).err(), "{text}");
    }
    match twins(text) {
        (Ok(tree), Ok(document)) => {
            let mut written = String::new();
            tree.write_json(&mut written);
            assert_eq!(json(&document), written, "{text}");
        }
        (tree, document) => assert_eq!(document.err(), tree.err(), "{text}"),
    }
}

#[test]
fn parts_are_found_where_they_are() {
    let text = r#"{"a":{"b":[1,[],{"c":"é\n"}],"":true},"d":null,"e":false,"a2":"b"}"#;
    let (_, document) = twins(text);
    let document = document.unwrap();
    let Some(View::Object(a)) = document.members().get("a") else { panic!() };
    assert_eq!(a.count(), 2);
    assert!(matches!(a.get(""), Some(View::Bool(true))));
    let Some(View::Array(b)) = a.get("b") else { panic!() };
    let [View::Number("1"), View::Array(empty), last] = b.elements().collect::<Vec<_>>()[..] else {
        panic!()
    };
    assert_eq!(empty.count(), 0);
    assert_eq!(last.member("c").and_then(View::as_str), Some("é\n"));
    assert!(last.member("d").is_none() && document.members().get("b").is_none());
    assert!(matches!(document.members().get("d"), Some(View::Null)));
    assert!(matches!(document.members().get("e"), Some(View::Bool(false))));
    assert_eq!(document.members().get("a2").and_then(View::as_str), Some("b"));
    assert_eq!(document.members().count(), 4);
}

#[test]
fn it_reads_what_a_tree_of_values_reads_and_refuses_the_same() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    for text in [
        "{}",
        r#"{"":""}"#,
        r#"{"o":{"a":1,"\u0061":1}}"#,
        r#"{"o":[{"b":1},{"a":"\ud800"}]}"#,
        r#"{"a":9007199254740993,"b":1.0,"c":1e400,"d":-0}"#,
        &nested(MAX_DEPTH),
        &nested(MAX_DEPTH + 1),
    ] {
        same(text);
    }
}

#[test]
fn what_does_not_fit_in_sixteen_bits_is_kept_as_well() {
    for text in [
        format!(r#"{{"a":"{}","b":[1]}}"#, "x".repeat(65_535)),
        format!(r#"{{"a":"{}","b":[1]}}"#, "x".repeat(65_536)),
        format!(r#"{{"{}":1}}"#, "x".repeat(8_191)),
        format!(r#"{{"{}":1}}"#, "x".repeat(8_192)),
        format!(r#"{{"a":[{}1]}}"#, "null,".repeat(65_535)),
    ] {
        same(&text);
    }
}

#[test]
fn what_is_small_and_nested_is_counted_with_what_it_takes() {
    for (text, least) in [
        (format!("{{\"a\":{}1{}}}", "[".repeat(32), "]".repeat(32)), 34 * size_of::<Node<u16>>()),
        (format!("{{\"a\":[{}1]}}", "1,".repeat(999)), 1000 * (size_of::<Node<u16>>() + 1)),
    ] {
        let bytes = twins(&text).1.unwrap().bytes();
        assert!(bytes > least, "{bytes} for {text}");
    }
    assert_eq!([size_of::<Node<u16>>(), size_of::<Node<u32>>()], [6, 12]);
}

#[test]
fn debug_keeps_the_content_to_itself() {
    let (_, document) = twins(r#"{"email":"secret@example.com"}"#);
    let document = document.unwrap();
    let email = document.members().get("email");
    assert!(!format!("{document:?} {email:?} {:?}", document.members()).contains("secret"));
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,9}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((".{0,5}", inner), 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn it_says_what_its_slow_twin_says(members in prop::collection::vec((".{0,5}", values()), 0..6)) {
        let object: serde_json::Value = members.into_iter().collect();
        same(&object.to_string());
    }
}
