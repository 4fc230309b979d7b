//! Holds what is written for people against the code: every YAML block is a configuration that is accepted, and what the
//! comparison with `jwt_authn` claims names a test that shows it. Reads the documents as they are; decides nothing about
//! what should be in them. The runbooks are run by tests/runbook, the list of metrics is held by the unit tests.
//!
//! Prints how much it read (`cargo test --test documents -- --nocapture`).

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers may fail the test, as its functions may"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use claimgate::config::Config;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What stands in each of these is tried.
const DOCUMENTS: [&str; 2] = ["README.md", "deploy/rules.md"];

/// What a block without issuers means by their names.
const ISSUERS: &str = "\
issuers:
  - {name: accounts, issuer: https://accounts.example.com, audiences: [orders], keys: [{discovery: true}]}
  - {name: partner, issuer: https://partner.example.com, audiences: [orders], keys: [{discovery: true}]}
";

/// What a block without rules is completed with; `NAME` is its first issuer.
const RULES: &str = "rules: [{name: rest, require: {issuer: NAME}}]\n";

#[test]
fn every_yaml_block_is_a_configuration_or_a_part_of_one() {
    for document in DOCUMENTS {
        let text = read(document);
        let blocks = yaml_blocks(&text);
        let (whole, parts) = (count(&blocks, Kind::Whole), count(&blocks, Kind::Part));
        let foreign = count(&blocks, Kind::Envoys);
        for block in &blocks {
            let place = format!("{document}:{}", block.line);
            match kind(&block.text) {
                Kind::Envoys => {
                    let parsed: Result<serde_json::Value, _> = serde_saphyr::from_str(&block.text);
                    assert!(parsed.is_ok(), "{place}: {parsed:?}");
                }
                Kind::Whole | Kind::Part => {
                    let complete = completed(&block.text);
                    if let Err(errors) = Config::from_yaml(&complete, Path::new("/etc/claimgate")) {
                        panic!("{place}:\n{errors}\nin\n{complete}");
                    }
                }
            }
        }
        assert!(whole > 0, "{document} shows no configuration");
        report(&format!(
            "{document}: {whole} configurations and {parts} parts of one compile; {foreign} blocks for Envoy"
        ));
    }
}

#[test]
fn every_row_of_the_comparison_names_a_test_that_shows_it() {
    let tests = test_functions();
    let rows = comparison();
    let mut mistakes = Vec::new();
    for row in &rows {
        let word = row.claimgate.split([',', ':', ';', ' ', '.']).next().unwrap_or_default();
        if !["yes", "no", "better"].contains(&word) {
            mistakes.push(format!("{}: neither yes nor no nor better", row.feature));
        }
        if row.shown_by.is_empty() && word != "no" {
            mistakes.push(format!("{}: no test shows it", row.feature));
        }
        for name in row.shown_by.iter().filter(|name| !tests.contains(*name)) {
            mistakes.push(format!("{}: there is no test {name}", row.feature));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    let with = |word: &str| rows.iter().filter(|row| row.claimgate.starts_with(word)).count();
    let named: BTreeSet<&String> = rows.iter().flat_map(|row| &row.shown_by).collect();
    report(&format!(
        "comparison with jwt_authn: {} rows ({} yes, {} better, {} no), shown by {} tests",
        rows.len(),
        with("yes"),
        with("better"),
        with("no"),
        named.len()
    ));
}

#[test]
fn every_link_between_documents_leads_to_something() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = Path::new(document).parent().unwrap();
        for target in links(&text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let place = if file.is_empty() { PathBuf::from(document) } else { folder.join(file) };
            let there = Path::new(ROOT).join(&place);
            assert!(there.exists(), "{document}: {target} is not there");
            if !anchor.is_empty() {
                let titles = headings(&read(place.to_str().unwrap()));
                assert!(titles.contains(anchor), "{document}: {target} has no such section");
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// With issuers and rules.
    Whole,
    /// To be completed.
    Part,
    /// Not for claimgate: its first line says so.
    Envoys,
}

struct Block {
    line: usize,
    text: String,
}

fn kind(block: &str) -> Kind {
    if block.starts_with("# Envoy") || block.starts_with("- name: envoy.") {
        return Kind::Envoys;
    }
    if has_key(block, "issuers") && has_key(block, "rules") { Kind::Whole } else { Kind::Part }
}

fn count(blocks: &[Block], wanted: Kind) -> usize {
    blocks.iter().filter(|block| kind(&block.text) == wanted).count()
}

fn has_key(block: &str, key: &str) -> bool {
    block.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
}

/// The block with what it leaves unsaid.
fn completed(block: &str) -> String {
    let mut text = block.to_owned();
    if !has_key(block, "issuers") {
        text.push_str(ISSUERS);
    }
    if !has_key(block, "rules") {
        let (_, issuers) = text.split_once("issuers:").unwrap();
        let (_, name) = issuers.split_once("name: ").expect("an issuer has a name");
        let name = name.split(['\n', ',']).next().unwrap().to_owned();
        text.push_str(&RULES.replace("NAME", &name));
    }
    text
}

fn yaml_blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(document.lines());
    while let Some((line, fence)) = lines.next() {
        if let Some(language) = fence.trim_start().strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let text: String = inside.map(|line| format!("{line}\n")).collect();
            if language == "yaml" {
                blocks.push(Block { line: line + 1, text });
            }
        }
    }
    blocks
}

struct Row {
    feature: String,
    claimgate: String,
    shown_by: Vec<String>,
}

/// The rows of README.md's tables under `## Next to jwt_authn`, without their heads.
fn comparison() -> Vec<Row> {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Next to jwt_authn\n").expect("the comparison");
    let section = section.split("\n## ").next().unwrap();
    let table = section.lines().filter(|line| line.starts_with('|'));
    let rows = table.filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
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

/// The names of all functions that are tests.
fn test_functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in ["src", "tests"].into_iter().flat_map(|folder| files(&Path::new(ROOT).join(folder)))
    {
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

/// Every Rust file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Where links lead that stay in the repository.
fn links(document: &str) -> Vec<&str> {
    let ends = document.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    ends.filter(|target| !target.contains("://")).collect()
}

/// The anchors of the headings: in lower case, without punctuation, spaces as hyphens.
fn headings(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let titles = headings.filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let anchor = |title: &str| {
        let kept = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        title.to_lowercase().chars().filter(|c| kept(*c)).collect::<String>().replace(' ', "-")
    };
    titles.map(anchor).collect()
}

fn read(document: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(document)).expect(document)
}

/// Past the test harness, which shows what a test prints only when it fails.
fn report(line: &str) {
    io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}
