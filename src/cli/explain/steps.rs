//! The steps of a decision in words: one line each, with lines below it. Whatever a client or a provider wrote is escaped
//! and cut here. Pure: `verdict` puts the lines together, `mod` prints them.

use crate::check::DenialReason;
use crate::check::locations::Found;
use crate::check::requirement::{Node, Part};
use crate::check::rules::{CONTEXT_RULE, NoRule, PathMatch, RuleMatch, RuleMode, RuleSet};
use crate::check::trace::{Fact, RulesFact, Step};
use crate::cli::at;
use crate::cli::shown::{duration, shown};
use crate::keys::status::SourceStatus;
use crate::token::observe::{KeyFact, Times, TokenFact};
use crate::util::clock::UnixTime;
use crate::util::label::Label;
use crate::util::rfc3339::rfc3339;

/// One line, and those below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What was looked at, in a word; empty below another line.
    pub(super) name: &'static str,
    /// What there is.
    pub(super) text: String,
    /// Whether it was fit; `None` where nothing was judged.
    pub(super) is_fit: Option<bool>,
    /// What speaks against the request.
    pub(super) reason: Option<DenialReason>,
    /// Details.
    pub(super) below: Vec<Self>,
}

/// What is needed to name things.
pub(super) struct Around<'a> {
    pub(super) rules: &'a RuleSet,
    pub(super) sources: &'a [SourceStatus],
    pub(super) now: UnixTime,
}

/// So many readings of a path are shown.
const MAX_READINGS: usize = 8;

impl Line {
    fn new(name: &'static str, text: impl Into<String>, reason: Option<DenialReason>) -> Self {
        let is_fit = Some(reason.is_none());
        Self { name, text: text.into(), is_fit, reason, below: Vec::new() }
    }

    fn note(text: impl Into<String>) -> Self {
        Self { name: "", text: text.into(), is_fit: None, reason: None, below: Vec::new() }
    }

    fn with(self, below: Vec<Self>) -> Self {
        Self { below, ..self }
    }
}

/// A step in words.
pub(super) fn line(step: &Step, around: &Around<'_>) -> Line {
    let reason = step.reason;
    match &step.looked_at {
        Fact::Preflight => {
            Line::new("preflight", "a CORS preflight, which passes before any rule", reason)
        }
        Fact::Rules(fact) => rules(fact, reason, around.rules),
        Fact::Rule { label, mode, is_open } => rule(label, *mode, *is_open),
        Fact::Locations(found) => {
            let below = found
                .iter()
                .map(|(place, found)| Line::note(format!("{}: {}", shown(place), stands(*found))));
            Line::new("token", tokens(found), reason).with(below.collect())
        }
        Fact::Token(fact) => token(fact, reason, around),
        Fact::Requirement(node) => {
            let below = node.parts.iter().map(part).collect();
            Line::new("requirement", group(&node.what), reason).with(below)
        }
        Fact::SameSubject => Line::new("same subject", "all tokens have to name one", reason),
        Fact::SameToken => {
            Line::new("same token", "all readings of the path need the same one", reason)
        }
        Fact::Forward(None) => Line::new("headers", "can be passed on", reason),
        Fact::Forward(Some(failed)) => {
            let text = format!("header {} cannot be passed on safely", shown(&failed.header));
            Line::new("headers", text, reason)
        }
    }
}

fn rules(fact: &RulesFact, reason: Option<DenialReason>, rules: &RuleSet) -> Line {
    let names: Vec<&str> = fact.selected.iter().map(Label::name).collect();
    let text = match (fact.none, &fact.named, fact.selected.first()) {
        (Some(none), ..) => no_rule(none, fact),
        (None, Some(_), _) => format!("{}, named by Envoy's {CONTEXT_RULE}", names.join(", ")),
        (None, None, Some(first)) if names.len() == 1 => {
            let before = match first.index() {
                0 => String::new(),
                count => format!(", {count} before it passed over"),
            };
            let matches = rules.rules().get(first.index()).map(|rule| conditions(&rule.matches));
            let matches = matches.unwrap_or_default();
            format!("{first}, the first that matches ({matches}){before}")
        }
        (None, None, _) => format!("{}: one for each reading of the path", names.join(", ")),
    };
    let mut below = Vec::new();
    if fact.readings.len() > 1 {
        let how = if fact.is_ambiguous {
            "the path can be read in several ways, and has to satisfy the rules of all"
        } else {
            "the path can be read with and without its escapes"
        };
        below.push(Line::note(how));
        let readings = fact.readings.iter().take(MAX_READINGS).map(|one| Line::note(shown(one)));
        below.extend(readings);
        let more = fact.readings.len().saturating_sub(MAX_READINGS);
        below.extend((more > 0).then(|| Line::note(format!("and {more} more"))));
    }
    Line::new("rule", text, reason).with(below)
}

fn no_rule(none: NoRule, fact: &RulesFact) -> String {
    match none {
        NoRule::NoMatch => "none matches".to_owned(),
        NoRule::NoMatchForReading(place) => {
            let reading = fact.readings.get(place).map(|one| shown(one)).unwrap_or_default();
            format!("no rule that asks for a token matches the path read as {reading}")
        }
        NoRule::NamedTwice => format!("Envoy's {CONTEXT_RULE} is there twice"),
        NoRule::OpenForSeveral => {
            "the named rule lets anyone pass, and the path can be read in several ways".to_owned()
        }
        NoRule::UnknownName => {
            let name = fact.named.as_deref().map(shown).unwrap_or_default();
            format!("Envoy's {CONTEXT_RULE} names {name}, which is none")
        }
        NoRule::UnreadableHost => format!("the host is none: {}", shown(&fact.host)),
        NoRule::UnreadablePath => "the path cannot be read".to_owned(),
    }
}

fn conditions(matches: &RuleMatch) -> String {
    let mut all = Vec::new();
    match &matches.path {
        PathMatch::Any => {}
        PathMatch::Exact(path) => all.push(format!("path {path}")),
        PathMatch::Prefix(prefix) => all.push(format!("path {prefix}/ and below")),
        PathMatch::Template(template) => {
            let segments = template.segments.iter().map(|one| one.as_deref().unwrap_or("{}"));
            let tail = if template.below { "/**" } else { "" };
            all.push(format!("path /{}{tail}", segments.collect::<Vec<_>>().join("/")));
        }
        PathMatch::Regex(pattern) => all.push(format!("path {pattern:?}")),
    }
    if !matches.methods.is_empty() {
        all.push(matches.methods.join(" or "));
    }
    if !matches.hosts.is_empty() {
        all.push(format!("{} hosts", matches.hosts.len()));
    }
    all.extend(matches.headers.iter().map(|header| format!("header {}", header.name)));
    if all.is_empty() { "everything".to_owned() } else { shown(&all.join(", ")) }
}

fn rule(label: &Label, mode: RuleMode, is_open: bool) -> Line {
    let text = match (is_open, mode) {
        (true, _) => format!("{label} lets anyone pass, and looks at no token"),
        (false, RuleMode::Enforce) => format!("{label} asks for a token"),
        (false, RuleMode::Shadow) => {
            format!("{label} is in shadow mode: what it refuses passes, and is counted")
        }
    };
    Line { is_fit: None, ..Line::new("", text, None) }
}

fn tokens(found: &[(String, Found)]) -> &'static str {
    let is_there = |found: &&(String, Found)| found.1 != Found::Nothing;
    match found.iter().filter(is_there).count() {
        0 => "none",
        1 => "in one place",
        _ => "in several places",
    }
}

fn stands(found: Found) -> String {
    match found {
        Found::Token { bytes } => format!("{bytes} bytes"),
        Found::Nothing => "nothing".to_owned(),
        Found::Several => "more than one".to_owned(),
        Found::Malformed => "announced, and not there or ambiguous".to_owned(),
    }
}

fn token(fact: &TokenFact, reason: Option<DenialReason>, around: &Around<'_>) -> Line {
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

impl Line {
    fn with_reason(self, reason: Option<DenialReason>) -> Self {
        Self { is_fit: Some(reason.is_none()), reason, ..self }
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
    let known = match known {
        1 => "1 key".to_owned(),
        several => format!("{several} keys"),
    };
    Line::new("key", format!("{named} {found}; {known} of {issuer} known"), None).with(below)
}

fn source_line(source: &SourceStatus, kid: Option<&str>, now: UnixTime) -> Line {
    let place = format!("source {}: {}", source.id.source, shown(&source.location));
    let state = match (source.last_success, &source.last_error) {
        (_, Some((_, error))) => format!("failed: {}", shown(error)),
        (None, None) => "not read (--online reads it)".to_owned(),
        (Some(read), None) => {
            let has = kid.is_some_and(|kid| source.kids.iter().any(|known| known == kid));
            let has = if has { ", this kid among them" } else { "" };
            let (count, origin) = (source.kids.len(), source.origin.as_str());
            let age = now.since(read).as_secs();
            let age = if age > 0 { format!(", read {} ago", duration(age)) } else { String::new() };
            let is_old = source.usable_until.is_some_and(|until| now > until);
            let old = if is_old { ", too old to be used" } else { "" };
            format!("{count} keys from {origin}{has}{age}{old}")
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

fn part(node: &Node) -> Line {
    let text = match &node.what {
        Part::Condition { wanted, found } if found.is_empty() => shown(wanted),
        Part::Condition { wanted, found } => format!("{} (is {})", shown(wanted), shown(found)),
        what => group(what),
    };
    Line::new("", text, node.reason).with(node.parts.iter().map(part).collect())
}

fn group(part: &Part) -> String {
    match part {
        Part::AnyOf => "any of".to_owned(),
        Part::AllOf => "all of".to_owned(),
        Part::Token(place) => format!("by token {}", place + 1),
        Part::Condition { wanted, .. } => shown(wanted),
    }
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "(none)".to_owned(), shown)
}
