//! What a decision looked at, step by step: [`super::Authorizer::explain`] gives it back beside the very decision that
//! [`super::Authorizer::check`] makes, by the same way through the code. `claimgate explain` prints it. Texts from the
//! request and from tokens are as received: whoever shows them escapes and cuts them. No token is in it.

use super::forward::Unforwardable;
use super::locations::Found;
use super::path::RequestPath;
use super::reason::DenialReason;
use super::request::CheckRequest;
use super::requirement::{Node, Weighing};
use super::rules::{CONTEXT_RULE, NoRule, Rule, RuleMode, Selection};
use crate::revocation::Verdict;
use crate::token::observe::{Observe, TokenFact, TokenStep, Unobserved};
use crate::util::label::Label;

/// A step of a decision. Of a denial, the last one with a reason is why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was looked at.
    pub looked_at: Fact,
    /// What speaks against the request; `None`: nothing.
    pub reason: Option<DenialReason>,
}

/// What of a request was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A CORS preflight, which passes before any rule.
    Preflight,
    /// Which rule applies.
    Rules(RulesFact),
    /// What follows is about this rule.
    Rule {
        /// Which.
        label: Label,
        /// Whether a refusal denies.
        mode: RuleMode,
        /// Whether it lets anyone pass.
        is_open: bool,
    },
    /// Where tokens stand: the places, and what is there.
    Locations(Vec<(String, Found)>),
    /// A token.
    Token(TokenFact),
    /// Whether it was revoked: what is made of it, `None` where its `sid` is no string.
    Revocation(Option<Verdict>),
    /// What the tokens have to prove.
    Requirement(Node),
    /// Whether several tokens name the same subject.
    SameSubject,
    /// Whether all rules of a path that can be read in several ways are satisfied by the same token.
    SameToken,
    /// Whether the request can be passed on; what is in the way.
    Forward(Option<Unforwardable>),
}

/// Which rule applies, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesFact {
    /// The host, as received.
    pub host: String,
    /// How the path may be read; none when it cannot be.
    pub readings: Vec<String>,
    /// Whether two readers may see different things in it.
    pub is_ambiguous: bool,
    /// The rule that the route names.
    pub named: Option<String>,
    /// All that apply, in the order of the configuration.
    pub selected: Vec<Label>,
    /// Why there is none.
    pub none: Option<NoRule>,
}

impl Step {
    /// Which rule applies to `request`.
    pub(super) fn selection(request: &CheckRequest<'_>, selection: &Selection<'_>) -> Self {
        let (readings, is_ambiguous) = match RequestPath::parse(&request.path) {
            RequestPath::Plain(path) => (vec![path.to_owned()], false),
            RequestPath::Escaped { raw, decoded } => (vec![raw.to_owned(), decoded], false),
            RequestPath::Ambiguous(readings) => (readings, true),
            RequestPath::Unreadable => (Vec::new(), false),
        };
        let (selected, none) = match selection {
            Selection::None(why) => (Vec::new(), Some(*why)),
            Selection::Open(rule) => (vec![rule.label.clone()], None),
            Selection::Closed { first, others, .. } => {
                let all = std::iter::once(first).chain(others);
                (all.map(|rule| rule.label.clone()).collect(), None)
            }
        };
        let named = request.context_value(CONTEXT_RULE).ok().flatten().map(str::to_owned);
        let host = request.host.to_string();
        let fact = RulesFact { host, readings, is_ambiguous, named, selected, none };
        Self { looked_at: Fact::Rules(fact), reason: none.map(|_| DenialReason::NoRule) }
    }

    pub(super) fn rule(rule: &Rule) -> Self {
        let (label, mode, is_open) = (rule.label.clone(), rule.mode, rule.is_open());
        Self { looked_at: Fact::Rule { label, mode, is_open }, reason: None }
    }
}

/// Somebody who watches a whole decision.
pub(super) trait Watch: Observe<Step> + Observe<TokenStep> + Observe<Weighing> {}

impl Watch for Unobserved {}
impl Watch for Recorder {}

/// Keeps every step.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) steps: Vec<Step>,
    /// Parts of a requirement that are being weighed, outermost first.
    open: Vec<Node>,
}

impl Observe<Step> for Recorder {
    const WHOLE: bool = true;

    fn note(&mut self, event: impl FnOnce() -> Step) {
        self.steps.push(event());
    }
}

impl Observe<TokenStep> for Recorder {
    const WHOLE: bool = true;

    fn note(&mut self, event: impl FnOnce() -> TokenStep) {
        let TokenStep { looked_at, refusal } = event();
        let reason = refusal.map(DenialReason::from);
        self.steps.push(Step { looked_at: Fact::Token(looked_at), reason });
    }
}

impl Observe<Weighing> for Recorder {
    const WHOLE: bool = true;

    fn note(&mut self, event: impl FnOnce() -> Weighing) {
        let node = match event() {
            Weighing::Begins(what) => {
                self.open.push(Node { what, reason: None, parts: Vec::new() });
                return;
            }
            Weighing::Ends(reason) => self.open.pop().map(|node| Node { reason, ..node }),
            Weighing::Condition { condition, reason } => {
                Some(Node { what: condition, reason, parts: Vec::new() })
            }
        };
        let Some(node) = node else { return };
        match self.open.last_mut() {
            Some(around) => around.parts.push(node),
            None => {
                let reason = node.reason;
                self.steps.push(Step { looked_at: Fact::Requirement(node), reason });
            }
        }
    }
}
