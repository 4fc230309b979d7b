//! What is counted of checks whose key was missing.

use metrics::{Counter, Key, Label as Pair, Recorder as _};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::METADATA;
use super::names::UNKNOWN_KIDS;
use crate::util::label::Label;

/// What came of asking for a key that a token names and nobody has published yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKidOutcome {
    /// It is there now.
    Found,
    /// Every source was read, and none has it.
    NotFound,
    /// It was looked for within the last minute.
    KnownUnknown,
    /// The sources were read too recently.
    Limited,
    /// The read took longer than a request may wait. It goes on.
    TimedOut,
}

impl UnknownKidOutcome {
    /// In the order of declaration, which is the order of the counters.
    pub(super) const ALL: [Self; 5] =
        [Self::Found, Self::NotFound, Self::KnownUnknown, Self::Limited, Self::TimedOut];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::NotFound => "not_found",
            Self::KnownUnknown => "known_unknown",
            Self::Limited => "limited",
            Self::TimedOut => "timed_out",
        }
    }
}

/// By issuer, then by outcome.
pub(super) struct UnknownKids(Vec<[Counter; UnknownKidOutcome::ALL.len()]>);

impl UnknownKids {
    pub(super) fn new(recorder: &PrometheusRecorder, issuers: &[Label]) -> Self {
        let of = |issuer: &Label| {
            UnknownKidOutcome::ALL.map(|outcome| {
                let pairs = vec![
                    Pair::new("issuer", issuer.name().to_owned()),
                    Pair::new("outcome", outcome.as_str()),
                ];
                recorder.register_counter(&Key::from_parts(UNKNOWN_KIDS, pairs), &METADATA)
            })
        };
        Self(issuers.iter().map(of).collect())
    }

    pub(super) fn count(&self, issuer: &Label, outcome: UnknownKidOutcome) {
        let counters = self.0.get(issuer.index());
        if let Some(counter) = counters.and_then(|counters| counters.get(outcome as usize)) {
            counter.increment(1);
        }
    }
}
