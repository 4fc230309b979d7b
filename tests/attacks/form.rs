//! The form of a token: segments, base64url, length (RFC 7515 §2, §7.1; RFC 4648 §3).

use serde_json::json;

use crate::table::Attack;
use crate::world::{World, encode, parts, sign};

const COMPACT: &str = "RFC 7515 §7.1";
const BASE64URL: &str = "RFC 7515 §2, RFC 4648 §3";

pub(crate) fn rows(world: &World) -> Vec<Attack> {
    let good = world.good(&world.ed);
    let [header, payload, signature] = parts(&good);
    let malformed = |name, reference, vectors: Vec<String>| {
        Attack::denied(name, reference, "malformed", vectors)
    };
    let mut rows = vec![
        Attack::allowed("control: a good token of every key", COMPACT, {
            let keys = [&world.rsa, &world.any, &world.p256, &world.p384, &world.p521, &world.ed];
            keys.map(|key| world.good(key))
        }),
        malformed("one or two segments", COMPACT, {
            vec![header.to_owned(), format!("{header}.{payload}"), "x".to_owned()]
        }),
        malformed("an empty segment", COMPACT, {
            vec![
                "..".to_owned(),
                format!(".{payload}.{signature}"),
                format!("{header}.{payload}."),
                "...".to_owned(),
            ]
        }),
        malformed("detached payload", "RFC 7515 app. F", vec![format!("{header}..{signature}")]),
        malformed("a fourth segment", COMPACT, {
            vec![format!("{good}.{signature}"), format!("{good}."), format!(".{good}")]
        }),
        malformed("dots without end", "CVE-2025-27144, CVE-2025-30204", {
            [10, 1000, 16_000].map(|dots| ".".repeat(dots)).into()
        }),
        Attack::denied("more dots than a token may be long", "CVE-2025-30204", "too_large", {
            [100_000, 1_000_000].map(|dots| ".".repeat(dots))
        }),
        malformed("JWE", "RFC 7516 §3.1", {
            let jwe = |algorithm: &str| {
                let header = json!({"alg": algorithm, "enc": "A256GCM", "kid": "rsa"}).to_string();
                format!("{}.{signature}.{payload}.{payload}.{signature}", encode(header))
            };
            vec![jwe("RSA-OAEP"), jwe("dir"), jwe("RSA1_5"), jwe("ECDH-ES")]
        }),
        malformed("a plain token inside a JWE", "CVE-2026-29000", {
            let header = json!({"alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT"}).to_string();
            vec![format!("{}..{payload}.{}.{payload}", encode(header), encode(&good))]
        }),
        // Refused for their commas alone, as several credentials.
        Attack::denied("JSON serialization", "RFC 7515 §7.2", "multiple_tokens", {
            let one = json!({"protected": header, "signature": signature});
            [
                json!({"protected": header, "payload": payload, "signature": signature}),
                json!({"payload": payload, "signatures": [one]}),
            ]
            .map(|serialized| serialized.to_string())
        }),
        malformed("polyglot of JSON and compact", "CVE-2022-39227", {
            let forged = encode(world.claims_with(&json!({"sub": "mallory"})).to_string());
            vec![
                format!("{{\"  {header}.{forged}.{signature}\":\"{payload}\"}}"),
                format!("{header}.{forged}.{signature}{{\"payload\":\"{payload}\"}}"),
            ]
        }),
        malformed("white space around the token", "RFC 6750 §2.1", {
            [" ", "\t", "\n", "\r\n"].map(|space| format!("{good}{space}")).into()
        }),
        malformed("garbage behind the token", "envoyproxy/envoy#27877", {
            ["#x", " x", ";a=b", "/..", "%20", "\u{0}", " Bearer x"]
                .map(|more| format!("{good}{more}"))
                .into()
        }),
        Attack::denied("a second credential behind a comma", "RFC 9110 §5.3", "multiple_tokens", {
            [format!("{good},{good}"), format!("{good}, x"), format!("x,{good}")]
        }),
        malformed("the scheme twice, or quotes", "RFC 6750 §2.1", {
            vec![format!("Bearer {good}"), format!("\"{good}\""), format!("token={good}")]
        }),
        malformed("a token of another kind", "RFC 9901, PASETO", {
            vec![
                format!("{good}~"),
                format!("{good}~disclosure~"),
                "v4.public.eyJzdWIiOiJhIn0".to_owned(),
                "v2.local.AAAA".to_owned(),
                "2YotnFZFEjr1zCsicMWpAA".to_owned(),
            ]
        }),
        Attack::denied("a token of 64 KiB and more", "CWE-770", "too_large", {
            let padded = |bytes| world.with_claims(&json!({"pad": "x".repeat(bytes)}));
            [padded(20_000), padded(64 << 10), padded(3 << 20), "a".repeat(1 << 20)]
        }),
        malformed("unused bits of the signature set", "RFC 4648 §3.5", {
            vec![with_unused_bits(&good)]
        }),
    ];
    // These are signed over the text that is sent, so that only the decoding can refuse them.
    let changed = |name, change: &dyn Fn(&str) -> String| {
        let vectors = vec![
            sign(&world.ed, &change(header), payload),
            sign(&world.ed, header, &change(payload)),
            format!("{header}.{payload}.{}", change(signature)),
        ];
        malformed(name, BASE64URL, vectors)
    };
    let in_the_middle = |part: &str, more: &str| {
        let (start, end) = part.split_at(part.len() / 2);
        format!("{start}{more}{end}")
    };
    rows.extend([
        changed("padding", &|part| format!("{part}=")),
        changed("more padding", &|part| format!("{part}==")),
        changed("the standard alphabet", &|part| in_the_middle(part, "+/+/")),
        changed("white space in a segment", &|part| in_the_middle(part, " ")),
        changed("a line break in a segment", &|part| in_the_middle(part, "\r\n")),
        changed("NUL in a segment", &|part| in_the_middle(part, "\u{0}")),
        changed("percent-encoding in a segment", &|part| in_the_middle(part, "%41")),
        changed("letters beyond ASCII", &|part| in_the_middle(part, "\u{ff21}\u{212a}")),
        changed("an invisible character", &|part| in_the_middle(part, "\u{200b}")),
        changed("a length that no octets have", &|part| {
            // One more than a multiple of four.
            let spare = (4 - part.len() % 4) % 4 + 1;
            format!("{part}{}", "A".repeat(spare))
        }),
    ]);
    rows
}

fn with_unused_bits(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 64 octets are 86 characters, of which the last carries two bits.
    let (start, last) = token.split_at(token.len() - 1);
    let place = ALPHABET.find(last).unwrap();
    format!("{start}{}", &ALPHABET[place + 1..place + 2])
}
