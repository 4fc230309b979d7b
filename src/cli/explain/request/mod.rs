//! The request that is explained: from the command line, or from a `CheckRequest` that somebody recorded, as protobuf
//! writes it in JSON. Names are accepted as `headerMap` and as `header_map`; what decides nothing is passed over.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Args;
use crate::check::locations::{HeaderLocation, TokenLocation, TokenLocations};
use crate::check::rules::Selection;
use crate::check::{CheckRequest, Pairs};
use crate::config::Config;
use crate::server::checks::header_text;
use crate::util::json::{Document, Malformed, RawMembers, View};

/// What is asked about.
#[derive(Debug)]
pub(super) struct Asked {
    /// `None`: what was recorded holds no HTTP request.
    pub(super) request: Option<CheckRequest<'static>>,
    /// Where `--token` was put.
    pub(super) token_place: Option<String>,
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the request cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("the request is longer than 16 MiB")]
    TooLong,
    #[error("the request is not strict JSON: {0}")]
    Json(#[from] Malformed),
    #[error("the request: {place}: expected {expected}")]
    Shape { place: String, expected: &'static str },
    /// Without the text: it may hold a token.
    #[error("{option} number {place}: expected {expected}")]
    Pair { option: &'static str, place: usize, expected: &'static str },
}

/// What Envoy can be answered at all.
const MAX_BYTES: u64 = 16 << 20;

impl Asked {
    pub(super) fn of_parts(args: &Args) -> Result<Self, RequestError> {
        let request = CheckRequest {
            method: args.method.clone().into(),
            host: args.host.clone().into(),
            path: args.path.clone().into(),
            headers: pairs("--header", &args.header, ':', "name: value")?,
            context: pairs("--context", &args.context, '=', "key=value")?,
        };
        Ok(Self { request: Some(request), token_place: None })
    }

    /// Reads a recorded one.
    pub(super) fn recorded(file: &Path) -> Result<Self, RequestError> {
        let mut text = Vec::new();
        let read = |source: &mut dyn Read, text: &mut Vec<u8>| {
            source.take(MAX_BYTES + 1).read_to_end(text)
        };
        if file.as_os_str() == "-" {
            read(&mut io::stdin().lock(), &mut text)?;
        } else {
            read(&mut File::open(file)?, &mut text)?;
        }
        if u64::try_from(text.len()).is_ok_and(|length| length > MAX_BYTES) {
            return Err(RequestError::TooLong);
        }
        Ok(Self { request: parse(&text)?, token_place: None })
    }
}

fn parse(text: &[u8]) -> Result<Option<CheckRequest<'static>>, RequestError> {
    let document = Document::parse(&RawMembers::parse(text)?)?;
    let root = Message { value: Some(View::Object(document.members())), place: String::new() };
    let attributes = root.member("attributes", "attributes")?;
    let context = attributes.member("contextExtensions", "context_extensions")?.texts()?;
    let http = attributes.member("request", "request")?.member("http", "http")?;
    if http.value.is_none() {
        return Ok(None);
    }
    let mut headers = http.member("headers", "headers")?.texts()?;
    let map = http.member("headerMap", "header_map")?.member("headers", "headers")?;
    for entry in map.elements()? {
        let raw = entry.member("rawValue", "raw_value")?;
        let bytes = BASE64.decode(raw.text()?.replace('-', "+").replace('_', "/"));
        let bytes = bytes.map_err(|_| raw.expected("base64"))?;
        let value = if bytes.is_empty() {
            entry.member("value", "value")?.text()?
        } else {
            header_text(&bytes).into_owned()
        };
        headers.push((entry.member("key", "key")?.text()?.into(), value.into()));
    }
    let text = |name: &'static str| http.member(name, name)?.text();
    let (method, host, path) = (text("method")?.into(), text("host")?.into(), text("path")?.into());
    Ok(Some(CheckRequest { method, host, path, headers, context }))
}

/// Padded or not, as protobuf's JSON is read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A value and its place; what is missing or null has the value that protobuf gives it.
struct Message<'a> {
    value: Option<View<'a>>,
    place: String,
}

impl<'a> Message<'a> {
    fn member(&self, camel: &str, snake: &str) -> Result<Self, RequestError> {
        let members = match self.value {
            None => None,
            Some(View::Object(members)) => Some(members),
            Some(_) => return Err(self.expected("an object")),
        };
        let get = |name: &str| members.and_then(|members| members.get(name));
        let place =
            format!("{}{}{camel}", self.place, if self.place.is_empty() { "" } else { "." });
        let value = match (get(camel), get(snake)) {
            (Some(_), Some(_)) if camel != snake => {
                return Err(RequestError::Shape { place, expected: "one of its two spellings" });
            }
            (one, other) => one.or(other).filter(|value| !matches!(value, View::Null)),
        };
        Ok(Self { value, place })
    }

    fn elements(&self) -> Result<Vec<Self>, RequestError> {
        match self.value {
            None => Ok(Vec::new()),
            Some(View::Array(elements)) => {
                let element = |(place, value)| Self {
                    value: Some(value),
                    place: format!("{}[{place}]", self.place),
                };
                Ok(elements.elements().enumerate().map(element).collect())
            }
            Some(_) => Err(self.expected("a list")),
        }
    }

    fn text(&self) -> Result<String, RequestError> {
        match self.value {
            None => Ok(String::new()),
            Some(value) => {
                value.as_str().map(str::to_owned).ok_or_else(|| self.expected("a string"))
            }
        }
    }

    fn texts(&self) -> Result<Pairs<'static>, RequestError> {
        match self.value {
            None => Ok(Vec::new()),
            Some(View::Object(members)) => {
                let pair = |(name, value): (&str, View<'_>)| {
                    let value = value.as_str().ok_or_else(|| self.expected("strings by name"))?;
                    Ok((name.to_owned().into(), value.to_owned().into()))
                };
                members.members().map(pair).collect()
            }
            Some(_) => Err(self.expected("strings by name")),
        }
    }

    fn expected(&self, expected: &'static str) -> RequestError {
        let place = if self.place.is_empty() { "the root".to_owned() } else { self.place.clone() };
        RequestError::Shape { place, expected }
    }
}

/// Puts a token where the rule for `request` looks first. Returns where that is.
pub(super) fn put_token(request: &mut CheckRequest<'_>, token: &str, config: &Config) -> String {
    let locations: &TokenLocations = match config.rules.select(request) {
        Selection::Closed { first, .. } => &first.tokens,
        Selection::Open(rule) => &rule.tokens,
        Selection::None(_) => &config.tokens,
    };
    let bearer = TokenLocation::Header(HeaderLocation::bearer());
    let place = locations.iter().next().unwrap_or(&bearer);
    match place {
        TokenLocation::Header(HeaderLocation { header, prefix }) => {
            request.headers.push((header.to_string().into(), format!("{prefix}{token}").into()));
        }
        TokenLocation::Cookie(name) => {
            request.headers.push(("cookie".into(), format!("{name}={token}").into()));
        }
        TokenLocation::Query(name) => {
            let separator = if request.path.contains('?') { '&' } else { '?' };
            request.path = format!("{}{separator}{name}={token}", request.path).into();
        }
    }
    place.to_string()
}

fn pairs(
    option: &'static str,
    texts: &[String],
    separator: char,
    expected: &'static str,
) -> Result<Pairs<'static>, RequestError> {
    let pair = |(place, text): (usize, &String)| {
        let pair = text.split_once(separator).map(|(name, value)| (name.trim(), value.trim()));
        let pair = pair.filter(|(name, _)| !name.is_empty());
        let owned = pair.map(|(name, value)| (name.to_owned().into(), value.to_owned().into()));
        owned.ok_or(RequestError::Pair { option, place: place + 1, expected })
    };
    texts.iter().enumerate().map(pair).collect()
}

#[cfg(test)]
mod tests;
