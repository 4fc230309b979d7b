//! The body of a request to the issuer: `application/x-www-form-urlencoded`, read strictly. Pure.
//!
//! Two readers that disagree about a body are a way past one of them, so whatever can be read in two ways is refused: a
//! parameter that is there twice (RFC 6749 §3.2), an escape that is none, text that is no UTF-8.

use std::fmt;

use zeroize::Zeroize as _;

/// The parameters of a request. `Debug` shows their names: values may be secrets, and are wiped when it is dropped.
pub struct Form(Vec<(String, String)>);

/// No request needs more.
const MAX_PARAMETERS: usize = 32;

/// May be there several times (RFC 8707 §2; `audience` alike).
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// Why a body is not read. The text is told to the caller: it repeats nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Another type, or none.
    #[error("the body has to be application/x-www-form-urlencoded")]
    ContentType,
    /// `%` without two hexadecimal digits, bytes that are not UTF-8, or control characters.
    #[error("the body is not properly encoded")]
    Encoding,
    /// RFC 6749 §3.2.
    #[error("a parameter is there more than once")]
    Repeated,
    /// More than any request needs.
    #[error("there are too many parameters")]
    TooMany,
}

impl Form {
    /// Reads a body. `content_type` is the header, if there is one.
    ///
    /// # Errors
    /// Whatever could be read in two ways.
    pub fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Self, FormError> {
        if !content_type.is_some_and(is_form) {
            return Err(FormError::ContentType);
        }
        let mut form = Self(Vec::new());
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decode(halves.next().unwrap_or_default());
            let (name, value) = (half()?, half()?);
            if form.0.len() >= MAX_PARAMETERS {
                return Err(FormError::TooMany);
            }
            let is_repeated = form.0.iter().any(|(known, _)| *known == name);
            if is_repeated && !REPEATABLE.contains(&name.as_str()) {
                return Err(FormError::Repeated);
            }
            form.0.push((name, value));
        }
        Ok(form)
    }

    /// The value of a parameter. One without a value counts as not there (RFC 6749 §3.2).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a parameter that may be there several times.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        let named = self.0.iter().filter(move |(known, value)| known == name && !value.is_empty());
        named.map(|(_, value)| value.as_str())
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| value.zeroize());
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Parameters of the type are ignored, but for a charset that is not UTF-8 (RFC 6749, appendix B).
fn is_form(content_type: &str) -> bool {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let charset = parameters.split(';').find_map(|one| {
        let (name, value) = one.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"))
}

/// Undoes the form encoding of one name or value. Also for the two halves of HTTP Basic (RFC 6749 §2.3.1).
///
/// # Errors
/// [`FormError::Encoding`].
pub fn decode(text: &[u8]) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(*digit).to_digit(16));
                let (high, low) = (digit(), digit());
                let value = high.zip(low).map(|(high, low)| high * 16 + low);
                value.and_then(|value| u8::try_from(value).ok()).ok_or(FormError::Encoding)?
            }
            other => *other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| FormError::Encoding)?;
    // Nothing that is asked here has one, and logs and stores need not meet them.
    if text.chars().any(char::is_control) { Err(FormError::Encoding) } else { Ok(text) }
}

/// A list as OAuth writes it: separated by single spaces (RFC 6749 §3.3). `None` where it is not.
#[must_use]
pub fn words(text: &str) -> Option<Vec<&str>> {
    let words: Vec<_> = text.split(' ').collect();
    words.iter().all(|word| !word.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

    fn parse(body: &str) -> Result<Form, FormError> {
        Form::parse(FORM, body.as_bytes())
    }

    #[test]
    fn what_is_encoded_is_decoded_once() {
        let form = parse("a=1+2%2B3&b=%C3%A4&c=%2525&d&e==&&").unwrap();
        let values = ["a", "b", "c", "d", "e"].map(|name| form.get(name));
        assert_eq!(values, [Some("1 2+3"), Some("ä"), Some("%25"), None, Some("=")]);
    }

    #[test]
    fn what_is_there_twice_is_refused_however_it_is_spelt() {
        for body in ["scope=a&scope=a", "scope=a&%73cope=b", "scope=&scope=a", "scope&scope"] {
            assert_eq!(parse(body).unwrap_err(), FormError::Repeated, "{body}");
        }
        let form = parse("resource=a&resource=b&audience=c&audience=d").unwrap();
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["a", "b"]);
        // Names are case-sensitive: another one, which nobody asks for.
        assert_eq!(parse("scope=a&Scope=b").unwrap().get("scope"), Some("a"));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for body in [
            "a=%",
            "a=%4",
            "a=%zz",
            "a=%+1",
            "%=1",
            "a=%ff",
            "a=%c0%af",
            "a=%00",
            "a=b%0d%0ac",
            "a=\u{1}",
        ] {
            assert_eq!(parse(body).unwrap_err(), FormError::Encoding, "{body}");
        }
        assert_eq!(Form::parse(FORM, b"a=\xff").unwrap_err(), FormError::Encoding);
    }

    #[test]
    fn another_type_is_refused_and_parameters_of_the_type_are_not() {
        for good in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
        ] {
            assert!(Form::parse(Some(good), b"a=1").is_ok(), "{good}");
        }
        for bad in [
            None,
            Some(""),
            Some("application/json"),
            Some("multipart/form-data; boundary=x"),
            Some("application/x-www-form-urlencoded; charset=utf-16"),
            Some("text/plain, application/x-www-form-urlencoded"),
        ] {
            assert_eq!(Form::parse(bad, b"a=1").unwrap_err(), FormError::ContentType, "{bad:?}");
        }
    }

    #[test]
    fn more_parameters_than_any_request_needs_are_refused() {
        let body = |count: usize| (0..count).map(|i| format!("p{i}=1&")).collect::<String>();
        assert!(parse(&body(MAX_PARAMETERS)).is_ok());
        assert_eq!(parse(&body(MAX_PARAMETERS + 1)).unwrap_err(), FormError::TooMany);
        assert_eq!(
            parse(&"resource=a&".repeat(MAX_PARAMETERS + 1)).unwrap_err(),
            FormError::TooMany
        );
    }

    #[test]
    fn lists_are_separated_by_single_spaces() {
        assert_eq!(words("a b").map(|words| words.len()), Some(2));
        for text in ["", " ", "a ", " a", "a  b"] {
            assert!(words(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", parse("client_secret=hush").unwrap()), "[\"client_secret\"]");
    }
}
