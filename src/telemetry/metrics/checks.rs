//! What is counted of checks: how they ended, how long they took, how many are under way; and of those that a token
//! passed, what it was signed with. Counters are registered on their first use: most combinations never happen.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Counter, Key, Label as Pair, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::histogram::DurationHistogram;
use super::names::{CHECK_DURATION, CHECK_DURATION_HELP, CHECKS, VERIFIED};
use super::{METADATA, MetricsSettings, NONE};
use crate::util::label::Label;

/// How one check ended.
#[derive(Clone, Copy, Debug)]
pub struct CheckOutcome<'a> {
    /// The rule that applied.
    pub rule: Option<&'a Label>,
    /// The issuer of the token, if it is one of ours.
    pub issuer: Option<&'a Label>,
    /// What was decided.
    pub verdict: CheckVerdict,
}

/// What was decided. Reasons are places in [`MetricsSettings::reasons`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckVerdict {
    /// The request passes.
    Allow,
    /// It does not.
    Deny(usize),
    /// It passes although a shadow rule refused it.
    WouldDeny(usize),
}

impl CheckVerdict {
    /// The word in the label `decision`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(_) => "deny",
            Self::WouldDeny(_) => "would_deny",
        }
    }

    const fn reason(self) -> Option<usize> {
        match self {
            Self::Allow => None,
            Self::Deny(reason) | Self::WouldDeny(reason) => Some(reason),
        }
    }

    /// Its place among all: first "allow", then a denial for each of so many reasons, then what a shadow rule would have
    /// denied for each.
    pub(super) const fn place(self, reasons: usize) -> usize {
        match self {
            Self::Allow => 0,
            Self::Deny(reason) => 1 + reason,
            Self::WouldDeny(reason) => 1 + reasons + reason,
        }
    }
}

/// Checks of one configuration.
pub(super) struct CheckCounters {
    /// By rule, then by issuer, both with one more at the end for "none"; then by verdict.
    by_rule: Cells<Cells<Cells<Counter>>>,
}

/// Filled as needed.
type Cells<T> = Box<[OnceLock<T>]>;

impl CheckCounters {
    pub(super) fn new(settings: &MetricsSettings) -> Self {
        Self { by_rule: empty(settings.rules.len() + 1) }
    }

    pub(super) fn count(
        &self,
        recorder: &PrometheusRecorder,
        settings: &MetricsSettings,
        outcome: CheckOutcome<'_>,
    ) {
        let (rules, issuers) = (settings.rules.len(), settings.issuers.len());
        let place =
            |label: Option<&Label>, none: usize| label.map_or(none, |l| l.index().min(none));
        let (rule, issuer) = (place(outcome.rule, rules), place(outcome.issuer, issuers));
        let reasons = settings.reasons.len();
        let cell = outcome.verdict.place(reasons);
        // A rule takes memory from its first check on, so that thousands of rules and issuers cost what is used.
        let of_rule =
            self.by_rule.get(rule).map(|of_rule| of_rule.get_or_init(|| empty(issuers + 1)));
        let row = of_rule
            .and_then(|of_rule| of_rule.get(issuer))
            .map(|row| row.get_or_init(|| empty(1 + 2 * reasons)));
        let register = || register(recorder, settings, rule, issuer, outcome);
        match row.and_then(|row| row.get(cell)) {
            Some(cell) => {
                cell.get_or_init(register).increment(1);
            }
            None => register().increment(1),
        }
    }
}

fn register(
    recorder: &PrometheusRecorder,
    settings: &MetricsSettings,
    rule: usize,
    issuer: usize,
    outcome: CheckOutcome<'_>,
) -> Counter {
    let name = |labels: &[Label], place: usize| {
        labels.get(place).map_or_else(|| NONE.to_owned(), |label| label.name().to_owned())
    };
    let reason = outcome.verdict.reason().and_then(|reason| settings.reasons.get(reason));
    let pairs = vec![
        Pair::new("rule", name(&settings.rules, rule)),
        Pair::new("issuer", name(&settings.issuers, issuer)),
        Pair::new("decision", outcome.verdict.as_str()),
        Pair::new("reason", reason.copied().unwrap_or(NONE)),
    ];
    recorder.register_counter(&Key::from_parts(CHECKS, pairs), &METADATA)
}

/// Requests of one configuration that were allowed with a verified token.
pub(super) struct VerifiedCounters {
    /// Row by issuer, column by algorithm.
    cells: Cells<Counter>,
}

impl VerifiedCounters {
    pub(super) fn new(settings: &MetricsSettings) -> Self {
        Self { cells: empty(settings.issuers.len() * settings.algorithms.len()) }
    }

    /// `None` for what nobody has named.
    pub(super) fn of(
        &self,
        recorder: &PrometheusRecorder,
        settings: &MetricsSettings,
        issuer: &Label,
        algorithm: usize,
    ) -> Option<&Counter> {
        let algorithms = &settings.algorithms;
        let name = *algorithms.get(algorithm)?;
        let issuer = settings.issuers.get(issuer.index())?;
        let cell = self.cells.get(issuer.index() * algorithms.len() + algorithm)?;
        Some(cell.get_or_init(|| {
            let issuer = Pair::new("issuer", issuer.name().to_owned());
            let pairs = vec![issuer, Pair::new("algorithm", name)];
            recorder.register_counter(&Key::from_parts(VERIFIED, pairs), &METADATA)
        }))
    }
}

fn empty<T>(cells: usize) -> Cells<T> {
    (0..cells).map(|_| OnceLock::new()).collect()
}

/// How long checks took, by what was decided: the same words as the counter has.
#[derive(Debug, Default)]
pub(super) struct CheckDurations {
    allowed: DurationHistogram,
    denied: DurationHistogram,
    shadowed: DurationHistogram,
}

impl CheckDurations {
    pub(super) fn record(&self, verdict: CheckVerdict, took: Duration) {
        let durations = match verdict {
            CheckVerdict::Allow => &self.allowed,
            CheckVerdict::Deny(_) => &self.denied,
            CheckVerdict::WouldDeny(_) => &self.shadowed,
        };
        durations.record(took);
    }

    /// As the exporter writes a histogram.
    pub(super) fn write_to(&self, text: &mut String) {
        let _infallible = writeln!(
            text,
            "# HELP {CHECK_DURATION} {CHECK_DURATION_HELP}\n# TYPE {CHECK_DURATION} histogram"
        );
        let of = [
            (&self.allowed, CheckVerdict::Allow),
            (&self.denied, CheckVerdict::Deny(0)),
            (&self.shadowed, CheckVerdict::WouldDeny(0)),
        ];
        for (durations, verdict) in of {
            let labels = format!("decision=\"{}\"", verdict.as_str());
            durations.write_to(text, CHECK_DURATION, &labels);
        }
    }
}

/// How many checks are under way, in every generation of the metrics.
#[derive(Debug, Default)]
pub struct UnderWay(AtomicUsize);

impl UnderWay {
    /// One began. Returns how many there were before it.
    pub fn one_more(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// One ended.
    pub fn one_less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
