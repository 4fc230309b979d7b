//! The slow twin of [`Document`](super::Document): a tree of values, each name and each text an allocation of its
//! own. What the one reads or refuses, so does the other, and they write the same.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::util::json::{
    MAX_DEPTH, Malformed, RawMembers, parse_string, raw_elements, write_string,
};

/// A JSON value whose numbers are still the text that was signed.
#[derive(Debug)]
pub(super) enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The number as written: `1`, `1.0` and `1e0` are three different texts.
    Number(Box<str>),
    /// A string with its escapes resolved.
    String(Box<str>),
    /// An array.
    Array(Vec<Self>),
    /// An object: its members in the order they were written, no name twice.
    Object(Vec<(Box<str>, Self)>),
}

impl Value {
    pub(super) fn parse(raw: &RawValue) -> Result<Self, Malformed> {
        Self::parse_nested(raw, MAX_DEPTH)
    }

    pub(super) fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(text, out),
            Self::Array(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    element.write_json(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    write_string(name, out);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }

    fn parse_nested(raw: &RawValue, depth: usize) -> Result<Self, Malformed> {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'{') => {
                let depth = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
                let members = RawMembers::parse(text.as_bytes())?;
                let parsed = members
                    .0
                    .into_iter()
                    .map(|(name, value)| Ok((name.into(), Self::parse_nested(value, depth)?)));
                parsed.collect::<Result<_, Malformed>>().map(Self::Object)
            }
            Some(b'[') => {
                let depth = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
                let elements = raw_elements(text)?;
                let parsed = elements.into_iter().map(|element| Self::parse_nested(element, depth));
                parsed.collect::<Result<_, Malformed>>().map(Self::Array)
            }
            Some(b'"') => {
                let text: Cow<'_, str> = parse_string(text)?;
                Ok(Self::String(text.into()))
            }
            Some(b't') => Ok(Self::Bool(true)),
            Some(b'f') => Ok(Self::Bool(false)),
            Some(b'n') => Ok(Self::Null),
            // The only thing left that the parser lets through is a number.
            Some(_) | None => Ok(Self::Number(text.into())),
        }
    }
}
