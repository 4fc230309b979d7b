//! The steps of a decision in words: one line each, with lines below it. Whatever a client or a provider wrote is escaped
//! and cut here. Pure: `verdict` puts the lines together, `mod` prints them.

mod token;

use crate::check::DenialReason;
use crate::check::locations::Found;
use crate::check::requirement::{Node, Part};
use crate::check::rules::{CONTEXT_RULE, NoRule, PathMatch, RuleMatch, RuleMode, RuleSet};
use crate::check::steps::{Fact, RulesFact, Step};
use crate::cli::shown::{counted, shown};
use crate::keys::status::SourceStatus;
use crate::revocation::Verdict;
use crate::util::clock::UnixTime;
use crate::util::label::Label;

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

    fn with_reason(self, reason: Option<DenialReason>) -> Self {
        Self { is_fit: Some(reason.is_none()), reason, ..self }
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
        Fact::Token(fact) => token::line(fact, reason, around),
        Fact::Revocation(verdict) => Line::new("revocation", revocation(*verdict), reason),
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
        NoRule::UnknownKey => {
            format!(
                "Envoy's context_extensions hold a key claimgate.…, and it is not {CONTEXT_RULE}"
            )
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
        PathMatch::Prefix(prefix) if prefix.is_empty() => all.push("path / and below".to_owned()),
        PathMatch::Prefix(prefix) => all.push(format!("path {prefix} and below")),
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
        all.push(counted(matches.hosts.len(), "host"));
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
        Found::Token { bytes } => counted(bytes, "byte"),
        Found::Nothing => "nothing".to_owned(),
        Found::Several => "more than one".to_owned(),
        Found::Malformed => "announced, and not there or ambiguous".to_owned(),
    }
}

fn revocation(verdict: Option<Verdict>) -> String {
    match verdict {
        None => "sid is no string".to_owned(),
        Some(Verdict::Good) => "not revoked".to_owned(),
        Some(Verdict::Unchecked) => {
            "cannot be told, since its source was not heard; that does not refuse it".to_owned()
        }
        Some(Verdict::Revoked(kind)) => format!("revoked, by an entry for its {}", kind.as_str()),
        Some(Verdict::Stale) => "cannot be told, since its source was not heard".to_owned(),
        Some(Verdict::NoJti) => "it has no jti, or one that is too long to be revoked".to_owned(),
    }
}

fn part(node: &Node) -> Line {
    let text = match &node.what {
        Part::Condition { wanted, found } if found.is_empty() => shown(wanted),
        Part::Condition { wanted, found } => format!("{} (is {})", shown(wanted), shown(found)),
        Part::AnyOf | Part::AllOf | Part::Token(_) => group(&node.what),
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
