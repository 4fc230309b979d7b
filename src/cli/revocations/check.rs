//! `claimgate revocations check`: whether a token is revoked, by the lookup that the service makes. Whether it is genuine
//! is not asked here: `claimgate explain` decides on a whole request.

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Failure, From};
use crate::cli::at;
use crate::cli::output::{Output, answer};
use crate::cli::token_text::TokenText;
use crate::revocation::{EntryKind, RevocationLookup, RevocationStore, TokenFacts};
use crate::token::numeric_date;
use crate::util::clock::{Clock as _, SystemClock, UnixTime};
use crate::util::json::{RawMembers, string_of};

/// Say whether a token is revoked.
///
/// Exit code: 0 when it is not, 1 when it is or a source cannot be read, 2 for a mistake in what was asked.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    from: From,
    /// The token, `-` to read it from standard input, or @FILE. Its signature is not checked.
    #[arg(value_name = "TOKEN|-|@FILE", required_unless_present = "iss", conflicts_with = "iss")]
    token: Option<TokenText>,
    /// In place of a token: its iss.
    #[arg(long, value_name = "ISS")]
    iss: Option<String>,
    /// Its jti.
    #[arg(long, value_name = "JTI", requires = "iss")]
    jti: Option<String>,
    /// Its sub.
    #[arg(long, value_name = "SUB", requires = "iss")]
    sub: Option<String>,
    /// Its sid.
    #[arg(long, value_name = "SID", requires = "iss")]
    sid: Option<String>,
    /// The kid of its key.
    #[arg(long, value_name = "KID", requires = "iss")]
    kid: Option<String>,
    /// Its iat: 2026-01-31T12:00:00Z, or seconds since 1970. Without one, it may have been issued at any time.
    #[arg(long, value_name = "TIME", requires = "iss", value_parser = at::time)]
    iat: Option<UnixTime>,
    /// How to print the outcome; json is one object on one line.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What there is to know of the token.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    iss: Option<String>,
    jti: Option<String>,
    sub: Option<String>,
    sid: Option<String>,
    kid: Option<String>,
    iat: Option<UnixTime>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let known = match known(args) {
        Ok(known) => known,
        Err(failure) => return failure.tell("revocations check"),
    };
    let entries = match args.from.read() {
        Ok(entries) => entries,
        Err(failure) => return failure.tell("revocations check"),
    };
    let entries: Vec<_> = entries.into_iter().map(|(entry, _)| entry).collect();
    let store = RevocationStore::fixed(&entries);
    let facts = TokenFacts {
        iss: known.iss.as_deref().unwrap_or_default(),
        jti: known.jti.as_deref(),
        sub: known.sub.as_deref(),
        sid: known.sid.as_deref(),
        kid: known.kid.as_deref(),
        iat: known.iat,
    };
    let revoked_by = match store.load().look_up(&facts, SystemClock.now()) {
        RevocationLookup::Revoked(kind) => Some(kind),
        RevocationLookup::NotRevoked | RevocationLookup::Unknown => None,
    };
    let text = match (args.output, revoked_by) {
        (Output::Text, Some(kind)) => format!("revoked, by an entry for its {}", kind.as_str()),
        (Output::Text, None) if facts.can_be_revoked() => "not revoked".to_owned(),
        (Output::Text, None) => {
            "not revoked; it has no jti, and is refused unless without_jti: accept".to_owned()
        }
        (Output::Json, _) => serde_json::json!({
            "revoked": revoked_by.is_some(),
            "by": revoked_by.map(EntryKind::as_str),
            "can_be_revoked": facts.can_be_revoked(),
            "entries": entries.len(),
        })
        .to_string(),
    };
    answer(&text);
    if revoked_by.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn known(args: &Args) -> Result<Known, Failure> {
    let Some(token) = &args.token else {
        let Args { iss, jti, sub, sid, kid, iat, .. } = args.clone();
        return Ok(Known { iss, jti, sub, sid, kid, iat });
    };
    let text = token.read().map_err(|error| Failure::Usage(error.to_string()))?;
    of_token(&text).ok_or_else(|| {
        Failure::Usage("that is no token: `claimgate inspect` says what is wrong".to_owned())
    })
}

/// `None` for what has not the form of a token.
fn of_token(token: &str) -> Option<Known> {
    let mut segments = token.split('.').map(|segment| URL_SAFE_NO_PAD.decode(segment).ok());
    let (header, payload) = (segments.next()??, segments.next()??);
    let (header, payload) = (RawMembers::parse(&header).ok()?, RawMembers::parse(&payload).ok()?);
    let text = |members: &RawMembers<'_>, name: &str| {
        members.get(name).and_then(|raw| string_of(raw).ok()).map(|text| text.into_owned())
    };
    Some(Known {
        iss: text(&payload, "iss"),
        jti: text(&payload, "jti"),
        sub: text(&payload, "sub"),
        sid: text(&payload, "sid"),
        kid: text(&header, "kid"),
        iat: payload.get("iat").and_then(|raw| numeric_date(raw.get())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_what_its_claims_and_its_header_say() {
        let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let header = encode(r#"{"alg":"RS256","kid":"k"}"#);
        let payload = encode(r#"{"iss":"i","jti":"j","sub":"s","sid":7,"iat":5}"#);
        let known = of_token(&format!("{header}.{payload}.x")).unwrap();
        let text = |text: &str| Some(text.to_owned());
        let expected = Known {
            iss: text("i"),
            jti: text("j"),
            sub: text("s"),
            sid: None,
            kid: text("k"),
            iat: UnixTime::from_secs(5),
        };
        assert_eq!(known, expected);
        for no_token in ["", "a", "a.b", "a.b.c", &payload] {
            assert_eq!(of_token(no_token), None, "{no_token}");
        }
    }
}
