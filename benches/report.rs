//! What a part found, on the terminal and in benches/RESULTS.md.
//!
//! Each part keeps what it found in a file of its own below the target directory; RESULTS.md is put together from those
//! there are, so that a part can be measured again without the others. What --quick finds is shown and not written.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::BoxError;
use crate::machine::{self, Machine};

/// In the order of the results.
const PARTS: [&str; 6] = ["grpc", "envoy", "scale", "memory", "steps", "allocations"];

/// Where the benchmarks keep what they need again: signed tokens, results.
pub(crate) fn directory() -> Result<PathBuf, BoxError> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("benches");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// What one part found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Section {
    part: String,
    title: String,
    measured: String,
    text: String,
    targets: Vec<Target>,
}

/// What was asked for, and what came of it.
#[derive(Debug, Serialize, Deserialize)]
struct Target {
    what: String,
    wanted: String,
    measured: String,
    is_met: bool,
}

impl Section {
    pub(crate) fn new(part: &str, title: &str) -> Self {
        Self {
            part: part.to_owned(),
            title: title.to_owned(),
            measured: format!("{}, {}", machine::today(), machine::versions()),
            text: String::new(),
            targets: Vec::new(),
        }
    }

    /// A paragraph or a [`Table`].
    pub(crate) fn add(&mut self, text: impl fmt::Display) {
        self.text.push_str(&format!("{text}\n\n"));
    }

    /// At least as much as `wanted`.
    pub(crate) fn at_least(&mut self, what: &str, wanted: f64, measured: f64) {
        self.target(what, format!("≥ {wanted}"), format!("{measured:.2}"), measured >= wanted);
    }

    /// At most as much as `wanted`, in `unit`.
    pub(crate) fn at_most(&mut self, what: &str, wanted: f64, measured: f64, unit: &str) {
        let is_met = measured <= wanted;
        self.target(what, format!("≤ {wanted}{unit}"), format!("{measured:.2}{unit}"), is_met);
    }

    fn target(&mut self, what: &str, wanted: String, measured: String, is_met: bool) {
        self.targets.push(Target { what: what.to_owned(), wanted, measured, is_met });
    }

    /// For the terminal, and for RESULTS.md unless the rounds were `quick`.
    pub(crate) fn finish(self, machine: Machine, quick: bool) -> Result<(), BoxError> {
        println!("\n## {}\n\n{}{}", self.title, self.text, targets(&self.targets));
        if quick {
            return Ok(());
        }
        let directory = directory()?;
        let file = directory.join(format!("{}.json", self.part));
        fs::write(file, serde_json::to_vec_pretty(&self)?)?;
        let read = |part: &str| -> Option<Self> {
            let text = fs::read(directory.join(format!("{part}.json"))).ok()?;
            serde_json::from_slice(&text).ok()
        };
        let sections: Vec<Self> = PARTS.iter().filter_map(|part| read(part)).collect();
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md");
        Ok(fs::write(results, whole(&sections, machine))?)
    }
}

fn whole(sections: &[Section], machine: Machine) -> String {
    let all = sections.iter().flat_map(|section| &section.targets);
    let head = format!(
        "# Results\n\nWritten by benches/run.sh. {}.\n\nFigures are medians of rounds that take turns, so that a machine \
         whose speed varies bends what is compared alike; ratios are of one run.\n\n## Targets\n\n{}",
        machine.told(),
        targets(all)
    );
    let of_section = |section: &Section| {
        format!("\n## {}\n\nMeasured {}.\n\n{}", section.title, section.measured, section.text)
    };
    let text = sections.iter().map(of_section).fold(head, |text, section| text + &section);
    format!("{}\n", text.trim_end())
}

fn targets<'a>(targets: impl IntoIterator<Item = &'a Target>) -> String {
    let mut table = Table::new(["target", "wanted", "measured", "met"]);
    let mut is_empty = true;
    for target in targets {
        let met = if target.is_met { "yes" } else { "**no**" };
        let Target { what, wanted, measured, .. } = target;
        table.row([what.clone(), wanted.clone(), measured.clone(), met.to_owned()]);
        is_empty = false;
    }
    if is_empty { String::new() } else { format!("{table}\n") }
}

/// A table that reads well as it is, and is one of Markdown.
#[derive(Debug)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self(vec![head.map(str::to_owned).into()])
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.first().map_or(0, Vec::len);
        let cell = |row: &Vec<String>, column| row.get(column).cloned().unwrap_or_default();
        let width = |column: usize| {
            self.0.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (place, row) in self.0.iter().enumerate() {
            for (column, width) in widths.iter().copied().enumerate() {
                let text = cell(row, column);
                // What a row is about on the left, figures on the right.
                if column == 0 {
                    write!(f, "| {text:<width$} |")?;
                } else {
                    write!(f, " {text:>width$} |")?;
                }
            }
            writeln!(f)?;
            if place == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let line = "-".repeat(width.saturating_sub(1));
                    let (bar, line) = if column == 0 {
                        ("| ", format!(":{line}"))
                    } else {
                        (" ", format!("{line}:"))
                    };
                    write!(f, "{bar}{line} |")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
