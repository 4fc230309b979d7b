//! The table of the faults, as text.

use std::io::{self, Write as _};

/// What one fault led to.
pub(crate) struct Row {
    pub(crate) fault: String,
    /// Whether the token of a key fetched before was good, each time.
    pub(crate) good: bool,
    /// Why not, in the word of the last answer.
    pub(crate) answer: String,
    /// How often which `result` of `claimgate_jwks_refresh_total` was counted.
    pub(crate) refreshes: Vec<(String, u64)>,
    /// On `/status`.
    pub(crate) state: String,
    pub(crate) error: String,
    /// Fetches that reached the provider.
    pub(crate) requests: u64,
    /// Bytes at the peak, above what was held before.
    pub(crate) memory: usize,
}

#[derive(Default)]
pub(crate) struct Table(Vec<[String; 6]>);

const HEAD: [&str; 6] =
    ["fault", "good token meanwhile", "jwks_refresh_total", "/status", "fetches", "memory"];

impl Table {
    pub(crate) fn push(&mut self, row: Row) {
        let token = if row.good { "allowed".to_owned() } else { format!("denied: {}", row.answer) };
        let refreshes = row.refreshes.iter().map(|(result, count)| format!("{result} +{count}"));
        let refreshes: Vec<_> = refreshes.collect();
        let told =
            if row.error.is_empty() { row.state } else { format!("{}: {}", row.state, row.error) };
        let (requests, memory) = (row.requests.to_string(), mebibytes(row.memory));
        self.0.push([row.fault, token, refreshes.join(", "), told, requests, memory]);
    }

    /// Past the test harness, which shows what a test prints only when it fails.
    pub(crate) fn print(&self, foot: &str) {
        let head = HEAD.map(str::to_owned);
        let lines = || std::iter::once(&head).chain(&self.0);
        let width = |column: usize| lines().map(|line| line[column].chars().count()).max();
        let widths: Vec<_> = (0..HEAD.len()).map(|column| width(column).unwrap()).collect();
        let mut text = String::from("\n");
        for line in lines() {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text += &format!("{}\n", cells.collect::<Vec<_>>().join(" | ").trim_end());
        }
        write!(io::stdout().lock(), "{text}{foot}\n\n").unwrap();
    }
}

pub(crate) fn mebibytes(bytes: usize) -> String {
    format!("+{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
