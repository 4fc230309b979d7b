//! A row of the table, and the table as text.

use std::io::{self, Write as _};

use claimgate::proto::envoy::service::auth::v3::CheckRequest;

use crate::service::Answer;

/// One attack by its name, with everything that is tried under it.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// The standard that it breaks, or the vulnerability that it once was.
    pub(crate) reference: &'static str,
    pub(crate) expected: Expected,
    pub(crate) vectors: Vec<Vector>,
}

/// What is sent.
pub(crate) enum Vector {
    /// A bearer token on a path that needs one.
    Token(String),
    /// Any message.
    Request(Box<CheckRequest>),
}

/// What must be answered.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    Allowed,
    Denied(i32, &'static str),
}

impl Attack {
    /// Refused with 401 for this reason.
    pub(crate) fn denied<T: Into<Vector>>(
        name: &'static str,
        reference: &'static str,
        reason: &'static str,
        vectors: impl IntoIterator<Item = T>,
    ) -> Self {
        Self::new(name, reference, Expected::Denied(401, reason), vectors)
    }

    /// What must go on to work. Its name begins with `control:` where nothing is attacked.
    pub(crate) fn allowed<T: Into<Vector>>(
        name: &'static str,
        reference: &'static str,
        vectors: impl IntoIterator<Item = T>,
    ) -> Self {
        Self::new(name, reference, Expected::Allowed, vectors)
    }

    pub(crate) fn new<T: Into<Vector>>(
        name: &'static str,
        reference: &'static str,
        expected: Expected,
        vectors: impl IntoIterator<Item = T>,
    ) -> Self {
        let vectors = vectors.into_iter().map(Into::into).collect();
        Self { name, reference, expected, vectors }
    }
}

impl From<String> for Vector {
    fn from(token: String) -> Self {
        Self::Token(token)
    }
}

impl From<&str> for Vector {
    fn from(token: &str) -> Self {
        Self::Token(token.to_owned())
    }
}

impl From<CheckRequest> for Vector {
    fn from(request: CheckRequest) -> Self {
        Self::Request(Box::new(request))
    }
}

/// Printed when it is dropped.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    failures: Vec<String>,
}

struct Row {
    part: &'static str,
    name: &'static str,
    reference: &'static str,
    vectors: usize,
    /// Of the vector that was tried last, or of the one that was not answered as it must be.
    answer: String,
}

impl Table {
    /// One vector of `attack`.
    pub(crate) fn tried(&mut self, part: &'static str, attack: &Attack, answer: &Answer) {
        let (name, reference) = (attack.name, attack.reference);
        if self.rows.last().is_none_or(|row| (row.part, row.name) != (part, name)) {
            self.rows.push(Row { part, name, reference, vectors: 0, answer: String::new() });
        }
        let (is_right, shown) = match (answer, attack.expected) {
            (Answer::Allowed { .. }, expected) => {
                (matches!(expected, Expected::Allowed), "allowed".to_owned())
            }
            (Answer::Denied { status, reason }, Expected::Denied(right, because)) => {
                ((*status, reason.as_str()) == (right, because), format!("{status} {reason}"))
            }
            (Answer::Denied { status, reason }, Expected::Allowed) => {
                (false, format!("{status} {reason}"))
            }
        };
        let Some(row) = self.rows.last_mut() else { return };
        row.vectors += 1;
        if !row.answer.starts_with("WRONG") {
            row.answer.clone_from(&shown);
        }
        if !is_right {
            row.answer = format!("WRONG: {shown}");
            self.failures.push(format!("{part}: {name}, vector {}: {shown}", row.vectors));
        }
    }

    /// The rows that are no controls.
    pub(crate) fn attacks(&self) -> usize {
        self.rows.iter().filter(|row| !row.name.starts_with("control:")).count()
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }
}

impl Drop for Table {
    /// Past the test harness, which shows what a test prints only when it fails.
    fn drop(&mut self) {
        let head = ["", "attack", "reference", "vectors", "answer"].map(str::to_owned);
        let cells = self.rows.iter().map(|row| {
            [row.part, row.name, row.reference, &row.vectors.to_string(), &row.answer]
                .map(str::to_owned)
        });
        let lines: Vec<[String; 5]> = std::iter::once(head).chain(cells).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
        let widths: Vec<_> = (0..5).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::from("\n");
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text += &format!("{}\n", cells.collect::<Vec<_>>().join(" | ").trim_end());
        }
        let vectors: usize = self.rows.iter().map(|row| row.vectors).sum();
        let (attacks, rows) = (self.attacks(), self.rows.len());
        let controls = rows - attacks;
        let count = format!(
            "{attacks} attack rows covered, and {controls} controls, with {vectors} vectors\n"
        );
        let _gone = writeln!(io::stdout().lock(), "{text}{count}").is_err();
    }
}
