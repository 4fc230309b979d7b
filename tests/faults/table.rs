//! The table of the faults, as text.

use std::io::{self, Write as _};

use crate::memory::Growth;

/// What one fault led to.
pub(crate) struct Row {
    pub(crate) fault: String,
    /// Whether the token of a key fetched before was good, each time.
    pub(crate) good: bool,
    /// Why not, in the word of the last answer: only where the provider has withdrawn its key.
    pub(crate) answer: String,
    /// How often which `result` of `claimgate_jwks_refresh_total` was counted.
    pub(crate) refreshes: Vec<(String, u64)>,
    /// On `/status`.
    pub(crate) state: String,
    pub(crate) error: String,
    /// Fetches that reached the provider.
    pub(crate) requests: u64,
    /// At the peak, above what was held before.
    pub(crate) memory: Growth,
}

/// Printed when it is dropped: also when the row that was added last is not as it should be.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 6]>,
    pub(crate) foot: String,
}

const HEAD: [&str; 6] =
    ["fault", "good token meanwhile", "jwks_refresh_total", "/status", "fetches", "memory"];

impl Table {
    pub(crate) fn push(&mut self, row: &Row) {
        let token = match row.good {
            true => "allowed".to_owned(),
            false => format!("{}: its key is gone", row.answer),
        };
        let refreshes = row.refreshes.iter().map(|(result, count)| format!("{result} +{count}"));
        let refreshes: Vec<_> = refreshes.collect();
        let told = match row.error.is_empty() {
            true => row.state.clone(),
            false => format!("{}: {}", row.state, row.error),
        };
        let (fault, requests) = (row.fault.clone(), row.requests.to_string());
        let cells = [fault, token, refreshes.join(", "), told, requests, row.memory.to_string()];
        self.rows.push(cells);
    }
}

impl Drop for Table {
    /// Past the test harness, which shows what a test prints only when it fails.
    fn drop(&mut self) {
        let head = HEAD.map(str::to_owned);
        let lines = || std::iter::once(&head).chain(&self.rows);
        let width = |column: usize| lines().map(|line| line[column].chars().count()).max();
        let widths: Vec<_> = (0..HEAD.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::from("\n");
        for line in lines() {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text += &format!("{}\n", cells.collect::<Vec<_>>().join(" | ").trim_end());
        }
        let _gone = writeln!(io::stdout().lock(), "{text}{}", self.foot).is_err();
    }
}
