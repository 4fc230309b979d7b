//! The whole explanation: the steps, the verdict, and the answer that Envoy would get. As text for people, as JSON for
//! programs. Pure: it neither decides nor prints.

use serde_json::{Value, json};

use super::request::Asked;
use super::steps::{Around, Line, line};
use crate::check::answer::DeniedAnswer;
use crate::check::forward::HeaderMutations;
use crate::check::steps::Step;
use crate::check::{CheckRequest, Decision, Denial, DenialReason};
use crate::cli::shown::{ascii, shown};
use crate::server::ext_authz::metadata_keys;
use crate::server::generation::Generation;
use crate::util::clock::UnixTime;
use crate::util::label::Label;
use crate::util::rfc3339::rfc3339;

/// What was decided, and why.
#[derive(Debug)]
pub(super) struct Report {
    request: String,
    at: UnixTime,
    token_place: Option<String>,
    lines: Vec<Line>,
    decision: Decision,
    denied: Option<DeniedAnswer>,
    metadata: Vec<String>,
    hint: Option<String>,
    /// Holds a part of the token.
    payload_header: Option<String>,
}

impl Report {
    pub(super) fn new(
        generation: &Generation,
        asked: Asked,
        decision: Decision,
        steps: &[Step],
        at: UnixTime,
        is_online: bool,
        payload_header: Option<String>,
    ) -> Self {
        let sources = generation.board.entries();
        let rules = generation.authorizer.rules();
        let around = Around { rules, sources: &sources, now: at };
        let is_grpc = asked.request.as_ref().is_some_and(CheckRequest::is_grpc);
        let denied = match &decision {
            Decision::Deny(denial) => {
                Some(DeniedAnswer::new(denial.reason, generation.answers, is_grpc))
            }
            Decision::Allow(_) => None,
        };
        Self {
            request: asked.request.as_ref().map_or_else(|| "no HTTP request".to_owned(), told),
            at,
            token_place: asked.token_place,
            lines: steps.iter().map(|step| line(step, &around)).collect(),
            denied,
            metadata: metadata_keys(&decision),
            hint: hint(&decision, is_online),
            decision,
            payload_header,
        }
    }

    pub(super) fn is_allowed(&self) -> bool {
        matches!(self.decision, Decision::Allow(_))
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = vec![format!("{}, at {}", self.request, rfc3339(self.at))];
        text.extend(self.token_place.iter().map(|place| format!("--token is in {}", shown(place))));
        self.lines.iter().for_each(|line| write(line, 0, &mut text));
        let label = |label: Option<&Label>| label.map_or("(none)", Label::name).to_owned();
        match &self.decision {
            Decision::Allow(allowance) => {
                text.push(format!("allow: rule {}", label(allowance.rule.as_ref())));
                if let Some(denial) = &allowance.would_deny {
                    let rule = label(denial.rule.as_ref());
                    text.push(format!(
                        "would deny: {}, rule {rule}, shadow",
                        denial.reason.as_str()
                    ));
                }
                let mutations = &allowance.mutations;
                let HeaderMutations { remove, remove_query, .. } = mutations;
                let line = |(name, value): (&str, &str)| {
                    format!("  set {name}: {}", self.header_value(name, value))
                };
                text.extend(mutations.set().map(line));
                text.extend(
                    (!remove.is_empty())
                        .then(|| format!("  remove {}", names(remove.iter().map(|name| &**name)))),
                );
                let query = || {
                    format!(
                        "  remove from the query: {}",
                        names(remove_query.iter().map(String::as_str))
                    )
                };
                text.extend((!remove_query.is_empty()).then(query));
                let answer = |(name, value): (&str, &str)| {
                    format!("  set in the answer {name}: {}", shown(value))
                };
                text.extend(mutations.response().map(answer));
            }
            Decision::Deny(Denial { rule, issuer, reason, .. }) => {
                let (rule, issuer) = (label(rule.as_ref()), label(issuer.as_ref()));
                text.push(format!("deny: {}, rule {rule}, issuer {issuer}", reason.as_str()));
            }
        }
        if let Some(answer) = &self.denied {
            text.push(format!("  answer {}", answer.status));
            let headers = answer.headers.iter();
            text.extend(headers.map(|(name, value)| format!("  {name}: {value}")));
        }
        if !self.metadata.is_empty() {
            text.push(format!("  metadata {}", self.metadata.join(", ")));
        }
        text.extend(self.hint.clone());
        text.join("\n")
    }

    /// For programs: one line, in ASCII.
    pub(super) fn json(&self) -> String {
        let name = |label: Option<&Label>| label.map(|label| label.name().to_owned());
        let denial = self.decision.denial();
        let reason = denial.map(|denial| denial.reason.as_str());
        let is_denied = self.denied.is_some();
        let (rule, issuer, mutations) = match &self.decision {
            Decision::Allow(allowance) => (
                name(allowance.rule.as_ref()),
                name(allowance.token.as_ref().map(|token| token.issuer())),
                Some(self.mutations(&allowance.mutations)),
            ),
            Decision::Deny(denial) => {
                (name(denial.rule.as_ref()), name(denial.issuer.as_ref()), None)
            }
        };
        let answer = self.denied.as_ref().map(|answer| {
            let headers = answer.headers.iter().map(|(name, value)| json!([name, value]));
            json!({"status": answer.status, "headers": headers.collect::<Vec<_>>()})
        });
        let report = json!({
            "decision": if is_denied { "deny" } else { "allow" },
            "reason": reason.filter(|_| is_denied),
            "would_deny": reason.filter(|_| !is_denied),
            "rule": rule,
            "issuer": issuer,
            "request": self.request,
            "at": rfc3339(self.at),
            "token_place": self.token_place,
            "steps": self.lines.iter().map(as_json).collect::<Vec<_>>(),
            "answer": answer,
            "mutations": mutations,
            "metadata": self.metadata,
            "hint": self.hint,
        });
        ascii(&report.to_string())
    }

    fn mutations(&self, mutations: &HeaderMutations) -> Value {
        let set = mutations.set();
        let set = set.map(|(name, value)| json!([name, self.header_value(name, value)]));
        let response = mutations.response().map(|(name, value)| json!([name, shown(value)]));
        json!({
            "set": set.collect::<Vec<_>>(),
            "remove": mutations.remove.iter().map(|name| &**name).collect::<Vec<_>>(),
            "remove_query": mutations.remove_query,
            "response": response.collect::<Vec<_>>(),
        })
    }

    /// Neither a part of the token nor anybody's cookies.
    fn header_value(&self, name: &str, value: &str) -> String {
        if self.payload_header.as_deref() == Some(name) || name == "cookie" {
            return format!("({} bytes, not shown)", value.len());
        }
        shown(value)
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(shown).collect::<Vec<_>>().join(", ")
}

/// Without the query, in which a token may stand.
fn told(request: &CheckRequest<'_>) -> String {
    let path = request.path.split(['?', '#']).next().unwrap_or_default();
    let parts = [&*request.method, &*request.host, path];
    let parts = parts.iter().filter(|part| !part.is_empty()).map(|part| shown(part));
    parts.collect::<Vec<_>>().join(" ")
}

fn write(line: &Line, depth: usize, text: &mut Vec<String>) {
    let mark = match line.is_fit {
        Some(true) => "✓ ",
        Some(false) => "✗ ",
        None => "  ",
    };
    let name = if line.name.is_empty() { String::new() } else { format!("{}: ", line.name) };
    let reason = line.reason.map_or_else(String::new, |reason| format!(" [{}]", reason.as_str()));
    text.push(format!("{}{mark}{name}{}{reason}", "  ".repeat(depth), line.text));
    line.below.iter().for_each(|below| write(below, depth + 1, text));
}

fn as_json(line: &Line) -> Value {
    json!({
        "step": line.name,
        "ok": line.is_fit,
        "reason": line.reason.map(DenialReason::as_str),
        "text": line.text,
        "parts": line.below.iter().map(as_json).collect::<Vec<_>>(),
    })
}

/// What the reader can do about keys that were not there.
fn hint(decision: &Decision, is_online: bool) -> Option<String> {
    let denial = decision.denial()?;
    if denial.reason == DenialReason::KeysUnavailable && !is_online {
        let ways = "give them with --jwks FILE, or read the sources with --online";
        return Some(format!("nobody was asked for keys: {ways}"));
    }
    if denial.reason == DenialReason::UnknownKid && denial.missing_kid.is_some() {
        let now = if is_online { "" } else { "; --online looks at what is published now" };
        return Some(format!(
            "the service would read the keys once more before it denies this{now}"
        ));
    }
    None
}
