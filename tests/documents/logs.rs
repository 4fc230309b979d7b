//! `logs.md` lists every line that claimgate can write, and none that it cannot.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{ROOT, counted, read};

#[test]
fn the_log_reference_lists_every_line_with_its_level() {
    let mut written = BTreeSet::new();
    collect(&Path::new(ROOT).join("src"), &mut written);
    assert!(written.len() > 50, "{written:?}");
    let page = read("deploy/docs/logs.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let listed: BTreeSet<_> = rows
        .filter_map(|row| {
            let mut cells = row.split(" | ");
            let (level, message) = (cells.next()?, cells.next()?);
            let message = message.strip_prefix('`')?.strip_suffix('`')?;
            LEVELS.contains(&level).then(|| (level.to_owned(), message.to_owned()))
        })
        .collect();
    // The lines of decisions have a section of their own.
    written.retain(|(_, message)| message != "{message}" && message != "allowed");
    let missing: Vec<_> = written.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&written).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "not listed: {missing:#?}, only listed: {stale:#?}"
    );
    counted(listed.len(), "lines of the log listed");
}

const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

fn collect(folder: &Path, written: &mut BTreeSet<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, written);
        } else if !path.ends_with("tests.rs") && !path.ends_with("testing.rs") {
            let text = fs::read_to_string(&path).unwrap();
            for level in LEVELS {
                for call in text.split(&format!("tracing::{level}!(")).skip(1) {
                    written.insert((level.to_owned(), message(call)));
                }
            }
        }
    }
}

/// The last text in what stands before the parenthesis that closes the call. What is in braces changes from line to line.
fn message(call: &str) -> String {
    let (mut depth, mut last) = (1, String::new());
    let mut rest = call.chars();
    while let Some(c) = rest.next() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '"' => {
                let text: String = rest.by_ref().take_while(|c| *c != '"').collect();
                if depth == 1 {
                    last = text;
                }
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    match last.split_once('{') {
        Some((before, rest)) if !before.is_empty() => {
            let after = rest.split_once('}').map_or("", |(_, after)| after);
            format!("{before}{{}}{after}")
        }
        _ => last,
    }
}
