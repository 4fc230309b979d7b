//! The steps of verifying a token in words: form, issuer, key, signature, times.

use super::{Around, Line};
use crate::check::DenialReason;
use crate::cli::at;
use crate::cli::shown::{counted, duration, error_text, shown};
use crate::keys::status::SourceStatus;
use crate::token::observe::{KeyFact, Times, TokenFact};
use crate::util::clock::UnixTime;
use crate::util::label::Label;
use crate::util::rfc3339::rfc3339;

/// What was looked at, in words.
pub(super) fn line(fact: &TokenFact, reason: Option<DenialReason>, around: &Around<'_>) -> Line {
    match fact {
        TokenFact::Form { bytes, header, fault } => {
            let text = match (header, fault) {
                (_, Some(fault)) => fault.to_string(),
                (Some(header), None) => format!(
                    "{bytes} bytes, alg {}, kid {}, typ {}",
                    shown(&header.alg),
                    optional(header.kid.as_deref()),
                    optional(header.typ.as_deref()),
                ),
                (None, None) => format!("{bytes} bytes"),
            };
            Line::new("form", text, reason)
        }
        TokenFact::Issuer { fault: Some(fault), .. } => {
            Line::new("issuer", fault.to_string(), reason)
        }
        TokenFact::Issuer { iss, issuer, fault: None } => {
            let iss = optional(iss.as_deref());
            let text = match issuer {
                Some(issuer) => format!("iss {iss} is {issuer}"),
                None => format!("iss {iss} is none of the configured issuers"),
            };
            Line::new("issuer", text, reason)
        }
        TokenFact::Algorithm { accepted } => {
            Line::new("algorithm", format!("accepted: {}", accepted.join(", ")), reason)
        }
        TokenFact::Key { issuer, kid, found } => {
            key(issuer, kid.as_deref(), *found, around).with_reason(reason)
        }
        TokenFact::Signature => {
            let text = if reason.is_some() { "not made with that key" } else { "good" };
            Line::new("signature", text, reason)
        }
        TokenFact::Claims { fault } => {
            let text = fault.map_or_else(|| "well-formed".to_owned(), |fault| fault.to_string());
            Line::new("claims", text, reason)
        }
        TokenFact::Times(facts) => times(facts).with_reason(reason),
        TokenFact::Tenant { claim, named, expected } => {
            let (named, expected) = (optional(named.as_deref()), optional(expected.as_deref()));
            let text = format!("claim {} is {named}, iss names {expected}", shown(claim));
            Line::new("tenant", text, reason)
        }
        TokenFact::Present { wanted, missing } => {
            let text = if missing.is_empty() {
                format!("{} are there", shown(&wanted.join(", ")))
            } else {
                format!("{} missing, null or empty", shown(&missing.join(", ")))
            };
            Line::new("required claims", text, reason)
        }
    }
}

fn key(issuer: &Label, kid: Option<&str>, found: KeyFact, around: &Around<'_>) -> Line {
    let of_issuer = || around.sources.iter().filter(|source| source.id.issuer == *issuer);
    let known: usize = of_issuer().map(|source| source.kids.len()).sum();
    let named = match kid {
        Some(kid) => format!("kid {}", shown(kid)),
        None => "no kid".to_owned(),
    };
    let found = match found {
        KeyFact::Found => "found",
        KeyFact::OtherAlgorithm => "is for another algorithm",
        KeyFact::Unknown if kid.is_none() => "and not exactly one key that may be meant",
        KeyFact::Unknown => "is not published, or by several different keys",
        KeyFact::Unavailable => "cannot be looked for: not every source has been read",
    };
    let below = of_issuer().map(|source| source_line(source, kid, around.now)).collect();
    let known = counted(known, "key");
    Line::new("key", format!("{named} {found}; {known} of {issuer} known"), None).with(below)
}

fn source_line(source: &SourceStatus, kid: Option<&str>, now: UnixTime) -> Line {
    let place = format!("source {}: {}", source.id.source, shown(&source.location));
    let state = match (source.last_success, &source.last_error) {
        (_, Some((_, error))) => format!("failed: {}", error_text(error)),
        (None, None) => "not read (--online reads it)".to_owned(),
        (Some(read), None) => {
            let has = kid.is_some_and(|kid| source.kids.iter().any(|known| known == kid));
            let has = if has { ", this kid among them" } else { "" };
            let (count, origin) = (counted(source.kids.len(), "key"), source.origin.as_str());
            let age = now.since(read).as_secs();
            let age = if age > 0 { format!(", read {} ago", duration(age)) } else { String::new() };
            let is_old = source.usable_until.is_some_and(|until| now > until);
            let old = if is_old { ", too old to be used" } else { "" };
            format!("{count} from {origin}{has}{age}{old}")
        }
    };
    Line::note(format!("{place}: {state}"))
}

fn times(times: &Times) -> Line {
    let date = |time: Option<UnixTime>| {
        time.map_or_else(|| "not there".to_owned(), |time| at::told(time, times.now))
    };
    let mut below = vec![
        Line::note(format!("exp {}", date(times.expires_at))),
        Line::note(format!("nbf {}", date(times.not_before))),
        Line::note(format!("iat {}", date(times.issued_at))),
    ];
    for (name, limit) in [("max_age", times.max_age), ("max_lifetime", times.max_lifetime)] {
        let note = |limit: std::time::Duration| format!("{name} {}", duration(limit.as_secs()));
        below.extend(limit.map(|limit| Line::note(note(limit))));
    }
    if !times.needs_exp {
        below.push(Line::note("exp may be missing"));
    }
    let skew = duration(times.clock_skew.as_secs());
    let text = format!("judged at {}, clock_skew {skew}", rfc3339(times.now));
    Line::new("times", text, None).with(below)
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "(none)".to_owned(), shown)
}
