//! The JSON inside: repeated members, what is no JSON, encodings, depth and size (RFC 7515 §4, RFC 7519 §4 and §7.2,
//! RFC 8259, RFC 3629).

use serde_json::json;

use crate::table::Attack;
use crate::world::World;

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let good = world.claims().to_string();
    let before = |member: &str| good.replacen('{', &format!("{{{member},"), 1);
    let behind = |member: &str| format!("{},{member}}}", &good[..good.len() - 1]);
    let signed = |payloads: Vec<Vec<u8>>| -> Vec<String> {
        payloads.into_iter().map(|payload| world.with_payload(payload)).collect()
    };
    let texts = |payloads: Vec<String>| signed(payloads.into_iter().map(Into::into).collect());
    let malformed = |name, reference, vectors: Vec<String>| {
        Attack::denied(name, reference, "malformed", vectors)
    };
    let units = |text: &str, bytes: fn(u32) -> Vec<u8>| -> Vec<u8> {
        text.chars().flat_map(|character| bytes(u32::from(character))).collect()
    };
    let in_sub = |octets: &[u8]| {
        [
            br#"{"iss":"https://accounts.example.com","aud":"orders","exp":4000000000,"sub":""#,
            octets,
            b"\"}",
        ]
        .concat()
    };
    vec![
        malformed("a claim twice, the first one bad", "RFC 7519 §4", {
            texts(vec![
                before(r#""sub":"mallory""#),
                before(r#""exp":1"#),
                before(r#""aud":"others""#),
                before(r#""iss":"https://evil.example""#),
            ])
        }),
        malformed("a claim twice, the last one bad", "RFC 7519 §4", {
            texts(vec![behind(r#""sub":"mallory""#), behind(r#""exp":1"#), behind(r#""aud":"x""#)])
        }),
        malformed("a claim twice, behind escapes", "RFC 8259 §7", {
            texts(vec![
                before(r#""\u0073ub":"mallory""#),
                behind(r#""\u0065\u0078\u0070":4000000000"#),
                behind(r#""su\u0062":"mallory""#),
            ])
        }),
        malformed("a member twice, deep inside", "RFC 8259 §4", {
            texts(vec![
                before(r#""realm":{"roles":["a"],"roles":["admin"]}"#),
                before(r#""a":[[{"b":1,"\u0062":2}]]"#),
            ])
        }),
        malformed("claims that are no object", "RFC 7519 §7.2", {
            texts(
                ["[]", "null", "true", "1", "\"x\"", "", " "]
                    .into_iter()
                    .filter(|payload| !payload.is_empty())
                    .map(str::to_owned)
                    .chain([format!("[{good}]"), format!("\"{}\"", good.replace('"', "\\\""))])
                    .collect(),
            )
        }),
        malformed("something behind the claims", "RFC 8259 §2", {
            texts(vec![
                format!("{good}{{}}"),
                format!("{good}{good}"),
                format!("{good} x"),
                format!("{good},"),
                format!("{good}\u{0}"),
            ])
        }),
        malformed("JSON as some parsers like it", "RFC 8259 §2 to §6", {
            texts(
                [
                    r#""x":NaN"#,
                    r#""x":Infinity"#,
                    r#""x":-Infinity"#,
                    r#""x":01"#,
                    r#""x":+1"#,
                    r#""x":.5"#,
                    r#""x":1."#,
                    r#""x":0x10"#,
                    r#""x":/* */1"#,
                    r"'x':1",
                    r"x:1",
                    r#""x":1,"#,
                    r#""x":"\x41""#,
                    r#""x":True"#,
                    r#""x":undefined"#,
                ]
                .map(before)
                .into(),
            )
        }),
        malformed("control characters in a string", "RFC 8259 §7", {
            texts(vec![
                before("\"x\":\"\n\""),
                before("\"x\":\"\t\""),
                before("\"x\":\"\u{0}\""),
                before("\"\u{1}\":1"),
            ])
        }),
        malformed("a byte order mark", "RFC 8259 §8.1", texts(vec![format!("\u{feff}{good}")])),
        malformed("invalid UTF-8", "RFC 3629 §3 and §10", {
            let octets: [&[u8]; 8] = [
                b"\xff",
                b"\x80",
                b"\xc3",
                b"\xc0\xaf",
                b"\xe0\x80\xaf",
                b"\xf0\x80\x80\xaf",
                b"\xed\xa0\xbd\xed\xb8\x80",
                b"\xf4\x90\x80\x80",
            ];
            signed(octets.map(in_sub).into())
        }),
        malformed("UTF-16 and UTF-32", "RFC 8259 §8.1", {
            signed(vec![
                units(&good, |unit| (unit as u16).to_le_bytes().into()),
                units(&good, |unit| (unit as u16).to_be_bytes().into()),
                units(&good, |unit| unit.to_le_bytes().into()),
                units(&good, |unit| unit.to_be_bytes().into()),
            ])
        }),
        malformed("a lone surrogate", "RFC 8259 §8.2", {
            texts(vec![
                before(r#""x":"\ud800""#),
                before(r#""x":"\udc00\ud800""#),
                before(r#""\ud800":1"#),
            ])
        }),
        malformed("NUL by an escape, in a claim that is forwarded", "CVE-2023-27493", {
            signed(vec![in_sub(br"a\u0000b")])
        }),
        malformed("nested without end", "CVE-2025-53864", {
            let nested = |open: &str, close: &str, levels: usize| {
                before(&format!("\"x\":{}1{}", open.repeat(levels), close.repeat(levels)))
            };
            texts(vec![
                nested("[", "]", 33),
                nested("[", "]", 1000),
                nested("{\"a\":", "}", 1000),
                before(&format!("\"x\":{}", "[".repeat(10_000))),
            ])
        }),
        Attack::denied("nested beyond the limit of a token", "CVE-2025-53864", "too_large", {
            texts(vec![before(&format!("\"x\":{}{}", "[".repeat(60_000), "]".repeat(60_000)))])
        }),
        Attack::denied("names of other case", "RFC 7519 §4", "unknown_issuer", {
            texts(vec![good.replace("\"iss\"", "\"ISS\""), good.replace("\"iss\"", "\"Iss\"")])
        }),
        Attack::denied("exp of other case", "RFC 7519 §4", "missing_claim", {
            texts(vec![good.replace("\"exp\"", "\"EXP\""), good.replace("\"exp\"", "\"exp \"")])
        }),
        Attack::allowed("control: much, but not too much", "RFC 8259 §9", {
            let many: Vec<String> = (0..1000).map(|nth| format!("\"{nth}\":0")).collect();
            texts(vec![
                before(&many.join(",")),
                before(&format!("\"x\":{}", "9".repeat(5000))),
                before(r#""x":1e400,"y":-1E+999"#),
                before(&format!("\"x\":{}{}", "[".repeat(32), "]".repeat(32))),
                format!(" \t\r\n{good} \n"),
                good.replace("\"sub\"", "\"\\u0073\\u0075b\""),
            ])
        }),
        Attack::allowed("control: claims of every type that mean nothing here", "RFC 7519 §4.3", {
            [json!({"a": null, "b": [1, "2", {}], "c": {"d": false}, "e": -0.0, "": ""})]
                .map(|claims| world.with_claims(&claims))
        }),
    ]
}
