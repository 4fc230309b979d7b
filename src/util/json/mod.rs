//! Strict JSON: objects with a repeated member are refused at every level, and numbers keep their
//! exact text. serde_json does the parsing; what is added here is what RFC 7515 §4 and RFC 7519 §4 ask
//! for and a plain `Value` does not give. JOSE headers, claims and JWK Sets are read through it.

mod document;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde_json::value::RawValue;

pub use self::document::{Document, Parts, View, check};

/// How deep values may nest. Identity providers nest three or four levels; the rest is an attack on the stack.
pub const MAX_DEPTH: usize = 32;

/// The members of one JSON object, in the order they were written, their values not yet looked into.
#[derive(Debug)]
pub struct RawMembers<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> RawMembers<'a> {
    /// Reads `text` as exactly one JSON object without repeated members.
    ///
    /// # Errors
    /// Anything else: another type, trailing text, invalid UTF-8, a member named twice (also when one
    /// of the spellings is hidden behind `\u` escapes).
    pub fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        // A byte order mark and stray controls are refused by the parser itself.
        let text = std::str::from_utf8(text).map_err(|_| Malformed::NotUtf8)?;
        let mut parser = serde_json::Deserializer::from_str(text);
        let members = parser.deserialize_map(RawMembersVisitor).map_err(Malformed::from_serde)?;
        parser.end().map_err(Malformed::from_serde)?;
        Ok(members)
    }

    /// The raw value of the member called `name`.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    /// All members in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

/// What an allocation of so many bytes takes, more or less, of any allocator.
pub fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) }
}

/// Reads a raw value as a string.
///
/// # Errors
/// When it is not a string, or one that holds a lone surrogate.
pub fn string_of(raw: &RawValue) -> Result<Cow<'_, str>, Malformed> {
    parse_string(raw.get())
}

/// Reads the elements of a JSON array without looking into them.
///
/// # Errors
/// When `text` is not exactly one JSON array.
pub fn raw_elements(text: &str) -> Result<Vec<&RawValue>, Malformed> {
    serde_json::from_str(text).map_err(Malformed::from_serde)
}

/// Appends a string as JSON in ASCII, quoted: everything beyond is written as `\u` escapes.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(character),
            _ => {
                let mut units = [0_u16; 2];
                for unit in character.encode_utf16(&mut units) {
                    // Writing to a String cannot fail.
                    let _infallible = fmt::Write::write_fmt(out, format_args!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

/// Why a text is not the strict JSON that was expected. Never quotes the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Syntax or type.
    #[error("line {line} column {column}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The bytes are not UTF-8 (RFC 8259 §8.1).
    #[error("not UTF-8")]
    NotUtf8,
    /// An object names a member twice.
    #[error("a member is named twice")]
    Duplicate,
    /// More than [`MAX_DEPTH`] levels.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Far beyond the limit of any token.
    #[error("half a gigabyte or more")]
    TooLong,
}

impl Malformed {
    #[expect(clippy::needless_pass_by_value, reason = "so that it fits map_err")]
    fn from_serde(error: serde_json::Error) -> Self {
        if error.is_data() && error.to_string().starts_with(DUPLICATE) {
            return Self::Duplicate;
        }
        Self::Syntax { line: error.line(), column: error.column() }
    }
}

const DUPLICATE: &str = "duplicate member";

/// Up to this many members a linear search is cheaper than hashing.
const FEW: usize = 24;

struct RawMembersVisitor;

impl<'de> Visitor<'de> for RawMembersVisitor {
    type Value = RawMembers<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(12);
        let mut seen: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(name) = map.next_key_seed(CowSeed)? {
            let repeated = if members.len() < FEW {
                members.iter().any(|(member, _)| *member == name)
            } else {
                if seen.is_empty() {
                    seen.extend(members.iter().map(|(member, _)| member.clone()));
                }
                !seen.insert(name.clone())
            };
            if repeated {
                return Err(de::Error::custom(DUPLICATE));
            }
            members.push((name, map.next_value()?));
        }
        Ok(RawMembers(members))
    }
}

/// Borrows a string where it has no escapes; serde's own `Cow` always copies.
struct CowSeed;

impl<'de> DeserializeSeed<'de> for CowSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: de::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for CowSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

fn parse_string(text: &str) -> Result<Cow<'_, str>, Malformed> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let string = CowSeed.deserialize(&mut parser).map_err(Malformed::from_serde)?;
    parser.end().map_err(Malformed::from_serde)?;
    Ok(string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document, Malformed> {
        Document::parse(&RawMembers::parse(text.as_bytes())?)
    }

    fn json(document: &Document) -> String {
        let mut out = String::new();
        View::Object(document.members()).write_json(&mut out);
        out
    }

    #[test]
    fn refuses_a_repeated_member_at_every_level_and_behind_escapes() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"o":{"a":1,"a":1}}"#,
            r#"{"o":[{"b":1},{"a":1,"\u0061":1}]}"#,
        ] {
            assert_eq!(parse(text).err(), Some(Malformed::Duplicate), "{text}");
        }
    }

    #[test]
    fn refuses_a_repeated_member_among_many() {
        let mut members: Vec<String> = (0..5000).map(|i| format!("\"m{i}\":{i}")).collect();
        let good = format!("{{{}}}", members.join(","));
        assert!(parse(&good).is_ok());
        members.push("\"m17\":0".to_owned());
        let bad = format!("{{{}}}", members.join(","));
        assert_eq!(parse(&bad).err(), Some(Malformed::Duplicate));
    }

    #[test]
    fn refuses_whatever_is_not_exactly_one_rfc_8259_object() {
        for text in [
            "",
            "null",
            "[]",
            "\"a\"",
            "1",
            "{",
            "{}{}",
            "{} x",
            "{\"a\":1,}",
            "{'a':1}",
            "{a:1}",
            "\u{feff}{}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":01}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":1.}",
            "{\"a\":\"\n\"}",
            "{\"a\":/*c*/1}",
            "{\"a\":tru}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\" 1}",
            "{\"a\":0x10}",
            "{\"a\":-}",
            "{\"a\":1e}",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(RawMembers::parse(b"{\"a\":\"\xff\"}").err(), Some(Malformed::NotUtf8));
    }

    #[test]
    fn numbers_keep_their_exact_text() {
        let text =
            r#"{"a":9007199254740993,"b":1.0,"c":1e400,"d":-0,"e":123456789012345678901234567890}"#;
        assert_eq!(json(&parse(text).unwrap()), text);
    }

    #[test]
    fn depth_is_limited_without_using_the_stack() {
        let nested =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(parse(&nested(MAX_DEPTH + 1)).err(), Some(Malformed::TooDeep));
        assert!(parse(&nested(60_000)).is_err());
    }

    #[test]
    fn json_is_written_in_ascii() {
        let value = parse(r#"{"n":"Zo\u00eb \u2028 \ud83d\ude00 \"\\ \u0000"}"#).unwrap();
        assert_eq!(json(&value), r#"{"n":"Zo\u00eb \u2028 \ud83d\ude00 \"\\ \u0000"}"#);
    }
}
