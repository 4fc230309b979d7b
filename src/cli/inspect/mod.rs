//! `claimgate inspect TOKEN`: decodes a token and says what is wrong with its form. It verifies nothing and trusts
//! nothing; whether a request passes with the token, `claimgate explain` says.

use std::io::{self, Write as _};
use std::process::ExitCode;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Serialize;
use serde_json::value::RawValue;

use super::output::{Output, complain};
use super::shown::{ascii, whole};
use super::token_text::TokenText;
use super::{USAGE, at};
use crate::token::fault::Fault;
use crate::token::{RawToken, numeric_date};
use crate::util::clock::{Clock as _, SystemClock, UnixTime};
use crate::util::json::{Document, Malformed, RawMembers, View, write_string};
use crate::util::rfc3339::rfc3339;

/// Arguments of `inspect`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The token, `-` to read it from standard input, or @FILE.
    #[arg(value_name = "TOKEN|-|@FILE")]
    token: TokenText,
    /// Tell times relative to this one: 2026-01-31T12:00:00Z, or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = at::time)]
    at: Option<UnixTime>,
    /// How to print the outcome; json is one object on one line.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

const WARNING: &str =
    "NOT VERIFIED: no signature was checked; anybody may have written what follows";

/// 0 for a token that has the right form, whoever made it; 1 for one that has not; 2 when there is none.
pub fn run(args: &Args) -> ExitCode {
    let token = match args.token.read() {
        Ok(token) => token,
        Err(error) => {
            complain("inspect", &error);
            return ExitCode::from(USAGE);
        }
    };
    let now = args.at.unwrap_or_else(|| SystemClock.now());
    let inspected = Inspected::of(&token);
    let text = match args.output {
        Output::Text => inspected.text(now),
        Output::Json => inspected.json(now),
    };
    // A reader that went away, or a full disk: the exit code still answers.
    let _gone = writeln!(io::stderr(), "{WARNING}")
        .and_then(|()| writeln!(io::stdout(), "{text}"))
        .is_err();
    if inspected.fault.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What can be seen of a token.
#[derive(Debug)]
struct Inspected {
    bytes: usize,
    segments: usize,
    header: Part,
    payload: Part,
    signature_bytes: Option<usize>,
    fault: Option<Fault>,
}

/// One of the two JSON parts.
#[derive(Debug)]
enum Part {
    /// Its members.
    Members(Document),
    /// The text of something else.
    Text(String, Malformed),
    /// Not even base64, with all leniency.
    Unreadable,
}

impl Inspected {
    fn of(token: &str) -> Self {
        let mut segments = token.split('.');
        let mut part = || segments.next().map_or(Part::Unreadable, Part::of);
        let (header, payload) = (part(), part());
        Self {
            bytes: token.len(),
            segments: token.split('.').count(),
            header,
            payload,
            signature_bytes: token.split('.').nth(2).and_then(decoded).map(|bytes| bytes.len()),
            fault: Fault::of(RawToken::new(token)),
        }
    }

    fn text(&self, now: UnixTime) -> String {
        let mut lines = Vec::new();
        for (name, part) in [("header", &self.header), ("payload", &self.payload)] {
            lines.push(format!("{name}:"));
            part.write(now, &mut lines);
        }
        lines.push(match self.signature_bytes {
            Some(bytes) => format!("signature: {bytes} bytes, not checked"),
            None => "signature: cannot be read".to_owned(),
        });
        if let Some(fault) = self.fault {
            lines.push(format!("malformed: {fault}"));
        }
        lines.extend(self.hint().map(str::to_owned));
        lines.join("\n")
    }

    /// What it may be instead.
    fn hint(&self) -> Option<&'static str> {
        match self.segments {
            3 => None,
            5 => Some("five segments: an encrypted token (JWE), which claimgate does not read"),
            1 => Some("no dots: an opaque token, or only a part of one"),
            _ => Some("three segments are expected"),
        }
    }

    fn json(&self, now: UnixTime) -> String {
        let times = TIMES.iter().filter_map(|name| {
            let (time, name) = (self.payload.date(name)?, (*name).to_owned());
            let relative = (time.as_millis() - now.as_millis()).div_euclid(1000);
            Some((name, serde_json::json!({"time": rfc3339(time), "seconds_from_now": relative})))
        });
        let report = Report {
            verified: false,
            warning: WARNING,
            bytes: self.bytes,
            header: self.header.raw(),
            header_text: self.header.as_text(),
            payload: self.payload.raw(),
            payload_text: self.payload.as_text(),
            times: times.collect(),
            signature_bytes: self.signature_bytes,
            malformed: self.fault.map(|fault| fault.to_string()),
            hint: self.hint(),
        };
        // Nothing in it cannot be written.
        ascii(&serde_json::to_string(&report).unwrap_or_default())
    }
}

#[derive(Serialize)]
struct Report<'a> {
    verified: bool,
    warning: &'static str,
    bytes: usize,
    /// With each number as it was written.
    header: Option<Box<RawValue>>,
    header_text: Option<&'a str>,
    payload: Option<Box<RawValue>>,
    payload_text: Option<&'a str>,
    times: serde_json::Map<String, serde_json::Value>,
    signature_bytes: Option<usize>,
    malformed: Option<String>,
    hint: Option<&'static str>,
}

/// Claims that are times.
const TIMES: [&str; 5] = ["exp", "nbf", "iat", "auth_time", "updated_at"];

impl Part {
    fn of(segment: &str) -> Self {
        let Some(bytes) = decoded(segment) else { return Self::Unreadable };
        match RawMembers::parse(&bytes).and_then(|members| Document::parse(&members)) {
            Ok(document) => Self::Members(document),
            Err(why) => Self::Text(String::from_utf8_lossy(&bytes).into_owned(), why),
        }
    }

    fn date(&self, name: &str) -> Option<UnixTime> {
        let Self::Members(document) = self else { return None };
        match document.members().get(name) {
            Some(View::Number(text)) => numeric_date(text),
            Some(_) | None => None,
        }
    }

    fn write(&self, now: UnixTime, lines: &mut Vec<String>) {
        match self {
            Self::Members(document) => {
                for (name, value) in document.members().members() {
                    let date = self.date(name).filter(|_| TIMES.contains(&name));
                    let date = date
                        .map_or_else(String::new, |date| format!("  ({})", at::told(date, now)));
                    lines.push(format!("  {}: {}{date}", whole(name), pretty(value, 2)));
                }
            }
            Self::Text(text, why) => {
                lines.push(format!("  not a strict JSON object ({why}): {}", whole(text)));
            }
            Self::Unreadable => lines.push("  cannot be read".to_owned()),
        }
    }

    fn raw(&self) -> Option<Box<RawValue>> {
        let Self::Members(document) = self else { return None };
        let mut text = String::new();
        View::Object(document.members()).write_json(&mut text);
        RawValue::from_string(text).ok()
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text, _) => Some(text),
            Self::Members(_) | Self::Unreadable => None,
        }
    }
}

/// With more leniency than a verifier may have: padded or not, of either alphabet, with any bits at the end.
fn decoded(segment: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let segment = segment.trim_end_matches('=').replace('+', "-").replace('/', "_");
    GeneralPurpose::new(&alphabet::URL_SAFE, config).decode(segment).ok()
}

/// JSON in ASCII, objects and lists of them on lines of their own.
fn pretty(value: View<'_>, indent: usize) -> String {
    let nested = |parts: Vec<String>, [open, close]: [char; 2]| {
        let inner = " ".repeat(indent + 2);
        let parts = parts.iter().map(|part| format!("{inner}{part}")).collect::<Vec<_>>();
        format!("{open}\n{}\n{}{close}", parts.join(",\n"), " ".repeat(indent))
    };
    let is_nested = |value: View<'_>| matches!(value, View::Object(_) | View::Array(_));
    let mut text = String::new();
    match value {
        View::Object(members) if members.count() > 0 => {
            let member = |(name, value)| {
                let mut member = String::new();
                write_string(name, &mut member);
                format!("{member}: {}", pretty(value, indent + 2))
            };
            text = nested(members.members().map(member).collect(), ['{', '}']);
        }
        View::Array(elements) if elements.elements().any(is_nested) => {
            let elements = elements.elements().map(|element| pretty(element, indent + 2));
            text = nested(elements.collect(), ['[', ']']);
        }
        View::Array(_)
        | View::Bool(_)
        | View::Null
        | View::Number(_)
        | View::Object(_)
        | View::String(_) => value.write_json(&mut text),
    }
    text
}

#[cfg(test)]
mod tests;
