//! The comparisons with `jwt_authn`, row by row, and with others in README.md, and the tests that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::ROOT;

pub(crate) struct Row {
    pub(crate) feature: String,
    claimgate: String,
    /// Names of tests.
    pub(crate) shown_by: Vec<String>,
}

impl Row {
    /// What claimgate's column begins with.
    pub(crate) fn word(&self) -> &str {
        self.claimgate.split([',', ':', ';', ' ', '.']).next().unwrap_or_default()
    }
}

/// The rows of the tables of a page, without their heads.
pub(crate) fn rows(page: &str) -> Vec<Row> {
    let lines = page.lines().filter(|line| line.starts_with('|'));
    let rows = lines.filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [feature, theirs, claimgate, shown_by] = *cells else {
            panic!("not four cells: {line}")
        };
        let is_head = feature.starts_with("---") || theirs.starts_with("jwt_authn");
        // In backticks stand names, every other piece is between them.
        let shown_by = shown_by.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let row = Row { feature: feature.to_owned(), claimgate: claimgate.to_owned(), shown_by };
        (!is_head).then_some(row)
    });
    let rows: Vec<Row> = rows.collect();
    assert!(rows.len() > 40, "{} rows", rows.len());
    rows
}

/// A row of the table that has others beside `jwt_authn`.
pub(crate) struct RowOfAll {
    pub(crate) feature: String,
    /// What each program does, ours first.
    pub(crate) programs: Vec<String>,
    /// Names of tests, and where they are.
    pub(crate) shown_by: Vec<(String, String)>,
}

/// The rows of the table under `## Next to others` of README.md.
pub(crate) fn rows_of_all(readme: &str) -> Vec<RowOfAll> {
    let (_, section) = readme.split_once("\n## Next to others\n").expect("the comparison");
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let rows = lines.map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let feature = cells.next().unwrap();
        let mut programs: Vec<String> = cells.collect();
        let links = programs.pop().unwrap();
        let links = links.split("[`").skip(1).map(|link| {
            let (name, rest) = link.split_once("`](").expect("a link");
            (name.to_owned(), rest.split(')').next().unwrap().to_owned())
        });
        RowOfAll { feature, programs, shown_by: links.collect() }
    });
    rows.collect()
}

/// The names of all functions that are tests.
pub(crate) fn test_functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let folders = ["src", "tests"].into_iter();
    for file in folders.flat_map(|folder| rust_files(&Path::new(ROOT).join(folder))) {
        let text = fs::read_to_string(&file).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some((_, rest)) = line.split_once("fn ")
                && std::mem::take(&mut is_test)
            {
                names.extend(rest.split_once('(').map(|(name, _)| name.to_owned()));
            }
        }
    }
    names
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
