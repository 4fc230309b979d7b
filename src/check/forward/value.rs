//! How a claim is written into a header field, so that a string never reads like an array or an object and
//! no character that matters to HTTP gets through. Scalars are their text: `5` and `"5"` read alike.
//!
//! | claim | header value |
//! | --- | --- |
//! | string of visible ASCII and inner spaces | as it is |
//! | string that could be read as an array or object | RFC 8187 ext-value: `UTF-8''a%2Cb` |
//! | string with other characters, but no control characters | RFC 8187 ext-value: `UTF-8''Jos%C3%A9` |
//! | string with a control character | the request is denied, `malformed` |
//! | number, boolean | the exact JSON text |
//! | array of scalars | joined by a separator that no element holds, or JSON in ASCII |
//! | object | JSON in ASCII |
//! | null, empty string, empty joined array, missing | no header |
//!
//! Under base64 and base64url (RFC 4648 §4, §5 without padding) it is the octets of a string, or of the JSON of
//! anything else, whatever is in them.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::util::json::{Parts, View};

/// How a claim is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimFormat {
    /// As text; an array of scalars with this between its elements.
    Join(String),
    /// As text; an array as JSON.
    Json,
    /// In base64, padded.
    Base64,
    /// In base64url, not padded.
    Base64Url,
}

/// A claim that cannot be written without changing what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unwritable;

/// The header value of `claim`, `None` when there is nothing to say.
///
/// # Errors
/// A control character, or an array that the separator cannot keep apart.
pub(super) fn header_value(
    claim: View<'_>,
    format: &ClaimFormat,
) -> Result<Option<String>, Unwritable> {
    let text = match (claim, format) {
        (View::Null, _) => return Ok(None),
        (View::String(text), _) => Cow::Borrowed(text),
        (View::Array(elements), ClaimFormat::Join(separator)) => join(elements, separator)?.into(),
        (View::Bool(_) | View::Number(_) | View::Array(_) | View::Object(_), _) => {
            let mut json = String::new();
            claim.write_json(&mut json);
            json.into()
        }
    };
    if text.is_empty() {
        return Ok(None);
    }
    let separator = match format {
        ClaimFormat::Join(separator) => separator.as_str(),
        ClaimFormat::Json => "",
        ClaimFormat::Base64 => return Ok(Some(STANDARD.encode(&*text))),
        ClaimFormat::Base64Url => return Ok(Some(URL_SAFE_NO_PAD.encode(&*text))),
    };
    if text.chars().any(is_control) {
        return Err(Unwritable);
    }
    if !is_ascii_text(&text) || (claim.as_str().is_some() && could_be_structured(&text, separator))
    {
        let is_list = matches!(claim, View::Array(_));
        return Ok(Some(extended(&text, separator, is_list)));
    }
    Ok(Some(text.into_owned()))
}

fn join(elements: Parts<'_>, separator: &str) -> Result<String, Unwritable> {
    let mut joined = String::new();
    for (place, element) in elements.elements().enumerate() {
        if place > 0 {
            joined.push_str(separator);
        }
        let start = joined.len();
        match element {
            View::String(text) => joined.push_str(text),
            View::Bool(_) | View::Number(_) => element.write_json(&mut joined),
            View::Null | View::Array(_) | View::Object(_) => return Err(Unwritable),
        }
        // Whoever splits at the first separator must get this element back: with `::` between, `a:` would
        // come back as `a`.
        let length = joined.len() - start;
        joined.push_str(separator);
        let first = joined.get(start..).and_then(|tail| tail.find(separator));
        // Readers of a list trim its elements (RFC 9110 §5.6.1): " admin" would come back as "admin".
        let is_trimmed =
            joined.get(start..start + length).is_some_and(|text| text.trim().len() < text.len());
        if length == 0 || first != Some(length) || is_trimmed {
            return Err(Unwritable);
        }
        joined.truncate(start + length);
    }
    Ok(joined)
}

/// C0, DEL and C1, and the two separators that some readers take for line ends.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

const EXTENDED: &str = "UTF-8''";

/// Spaces at the ends would be trimmed by the next hop, and what looks like an ext-value must be one.
fn is_ascii_text(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' '..='~'))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.get(..EXTENDED.len()).is_some_and(|start| start.eq_ignore_ascii_case(EXTENDED))
}

/// Whoever splits at the separator or reads JSON must not find in a string what only an array or an object
/// may say.
fn could_be_structured(text: &str, separator: &str) -> bool {
    text.starts_with(['[', '{']) || (!separator.is_empty() && text.contains(separator))
}

/// The ext-value of RFC 8187 §3.2: everything but `attr-char` is percent-encoded, and so is the separator,
/// except where it stands between the elements of a list.
fn extended(text: &str, separator: &str, is_list: bool) -> String {
    let mut out = String::with_capacity(EXTENDED.len() + text.len() * 3);
    out.push_str(EXTENDED);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if is_list
            && !separator.is_empty()
            && let Some(after) = rest.strip_prefix(separator)
        {
            out.push_str(separator);
            rest = after;
            continue;
        }
        let (head, tail) = rest.split_at(character.len_utf8());
        rest = tail;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$&+-.^_`|~".contains(c);
        if is_plain(character) && (is_list || !separator.contains(character)) {
            out.push(character);
            continue;
        }
        for byte in head.bytes() {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::json::{Document, RawMembers};

    fn written(json: &str, format: &ClaimFormat) -> Result<Option<String>, Unwritable> {
        let document = format!("{{\"claim\":{json}}}");
        let members = RawMembers::parse(document.as_bytes()).unwrap();
        let document = Document::parse(&members).unwrap();
        header_value(document.members().get("claim").unwrap(), format)
    }

    fn joined(json: &str) -> Result<Option<String>, Unwritable> {
        written(json, &ClaimFormat::Join(",".to_owned()))
    }

    #[test]
    fn scalars_are_their_exact_text() {
        for (json, value) in [
            ("\"alice\"", "alice"),
            ("9007199254740993", "9007199254740993"),
            ("1.0", "1.0"),
            ("-7", "-7"),
            ("1e400", "1e400"),
            ("true", "true"),
            ("false", "false"),
        ] {
            assert_eq!(joined(json), Ok(Some(value.to_owned())), "{json}");
        }
    }

    #[test]
    fn nothing_to_say_is_no_header() {
        for json in ["null", "\"\"", "[]"] {
            assert_eq!(joined(json), Ok(None), "{json}");
        }
    }

    #[test]
    fn control_characters_are_refused_and_never_decoded_into_being() {
        for json in [
            r#""a\r\nx-admin: 1""#,
            r#""a\nb""#,
            r#""a\u0000b""#,
            r#""a\u007fb""#,
            r#""a\u0085b""#,
            r#""a\u2028b""#,
            r#""\t""#,
            r#"["a\nb"]"#,
        ] {
            assert_eq!(joined(json), Err(Unwritable), "{json}");
        }
        assert_eq!(joined(r#""a%0d%0ab""#), Ok(Some("a%0d%0ab".to_owned())));
    }

    #[test]
    fn text_beyond_ascii_is_an_ext_value_that_cannot_be_faked() {
        assert_eq!(joined(r#""José""#), Ok(Some("UTF-8''Jos%C3%A9".to_owned())));
        assert_eq!(joined(r#""\u010d""#), Ok(Some("UTF-8''%C4%8D".to_owned())));
        assert_eq!(joined(r#"" a""#), Ok(Some("UTF-8''%20a".to_owned())));
        assert_eq!(joined(r#""UTF-8''x""#), Ok(Some("UTF-8''UTF-8%27%27x".to_owned())));
        assert_eq!(joined(r#""utf-8''x""#), Ok(Some("UTF-8''utf-8%27%27x".to_owned())));
    }

    #[test]
    fn a_string_never_reads_like_an_array_or_an_object() {
        assert_eq!(joined(r#""a,admin""#), Ok(Some("UTF-8''a%2Cadmin".to_owned())));
        assert_eq!(joined(r#""[1]""#), Ok(Some("UTF-8''%5B1%5D".to_owned())));
        let json = |claim| written(claim, &ClaimFormat::Json);
        assert_eq!(json(r#""[\"admin\"]""#), Ok(Some("UTF-8''%5B%22admin%22%5D".to_owned())));
        assert_eq!(json(r#""{}""#), Ok(Some("UTF-8''%7B%7D".to_owned())));
        assert_eq!(json(r#""a,b""#), Ok(Some("a,b".to_owned())));
        let bars = |claim| written(claim, &ClaimFormat::Join("|".to_owned()));
        assert_eq!(bars(r#""a|b""#), Ok(Some("UTF-8''a%7Cb".to_owned())));
        assert_eq!(bars(r#""é|b""#), Ok(Some("UTF-8''%C3%A9%7Cb".to_owned())));
        assert_eq!(bars(r#"["é","b"]"#), Ok(Some("UTF-8''%C3%A9|b".to_owned())));
    }

    #[test]
    fn arrays_are_joined_only_where_they_can_be_taken_apart_again() {
        assert_eq!(joined(r#"["admin","user"]"#), Ok(Some("admin,user".to_owned())));
        assert_eq!(joined(r#"[1,true,"a"]"#), Ok(Some("1,true,a".to_owned())));
        let colons = ClaimFormat::Join("::".to_owned());
        assert_eq!(written(r#"["a:","b"]"#, &colons), Err(Unwritable));
        assert_eq!(written(r#"["a","b:c"]"#, &colons), Ok(Some("a::b:c".to_owned())));
        for json in [r#"["a"," b"]"#, r#"["a ","b"]"#, r#"[" a"]"#] {
            assert_eq!(joined(json), Err(Unwritable), "{json}");
        }
        for json in [r#"["a,b"]"#, r#"["a",""]"#, r#"[""]"#, "[null]", "[[1]]", "[{}]"] {
            assert_eq!(joined(json), Err(Unwritable), "{json}");
        }
        assert_eq!(
            written(r#"["a,b",null,{"c":1.0}]"#, &ClaimFormat::Json),
            Ok(Some(r#"["a,b",null,{"c":1.0}]"#.to_owned()))
        );
        assert_eq!(written("[]", &ClaimFormat::Json), Ok(Some("[]".to_owned())));
    }

    #[test]
    fn base64_carries_whatever_is_in_a_claim() {
        for (json, padded, url) in [
            (r#""a\u0000\n""#, "YQAK", "YQAK"),
            (r#"["a"]"#, "WyJhIl0=", "WyJhIl0"),
            (r#""ÿÿ>""#, "w7/Dvz4=", "w7_Dvz4"),
            ("7", "Nw==", "Nw"),
        ] {
            assert_eq!(written(json, &ClaimFormat::Base64), Ok(Some(padded.to_owned())), "{json}");
            assert_eq!(written(json, &ClaimFormat::Base64Url), Ok(Some(url.to_owned())), "{json}");
        }
        assert_eq!(written("null", &ClaimFormat::Base64), Ok(None));
    }

    #[test]
    fn objects_are_json_in_ascii() {
        assert_eq!(
            joined(r#"{"n":"José","x":"\n"}"#),
            Ok(Some(r#"{"n":"Jos\u00e9","x":"\u000a"}"#.to_owned()))
        );
    }
}
