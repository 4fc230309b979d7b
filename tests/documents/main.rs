//! Holds what is written for people against the code: every YAML block is a configuration that is accepted, every request
//! in a table beneath one gets the answer that stands there, every command of the task pages prints what stands beneath it,
//! and what the comparisons and the security model claim names a test that shows it. Reads the documents as
//! they are. The runbooks are run by tests/runbook, the list of metrics is held by the unit tests.
//!
//! Prints how much that was, as tests/run.sh adds it up.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test, as its functions may"
)]

mod blocks;
mod comparison;
mod examples;
mod facts;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/kept.rs"]
mod kept;
mod links;
mod logs;
#[path = "../runbook/output.rs"]
mod output;
mod pages;
mod shell;
mod steps;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use claimgate::config::{Config, IssuerConfig};

use crate::blocks::{Kind, blocks};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What stands in each of these is tried, and in the task pages.
const DOCUMENTS: [&str; 4] =
    ["README.md", "deploy/rules.md", "deploy/forward-auth.md", "deploy/revocation.md"];

fn tried() -> Vec<String> {
    DOCUMENTS.into_iter().map(str::to_owned).chain(pages::pages()).collect()
}

#[test]
fn every_yaml_block_is_a_configuration_or_a_part_of_one() {
    let (mut configurations, mut envoys) = (0, 0);
    let documents = tried();
    for document in &documents {
        let text = read(document);
        let blocks = blocks(&text);
        for block in &blocks {
            let place = format!("{document}:{}", block.line);
            match block.kind() {
                Kind::Envoys => {
                    let parsed: Result<serde_json::Value, _> = serde_saphyr::from_str(&block.text);
                    assert!(parsed.is_ok(), "{place}: {parsed:?}");
                }
                Kind::Issuers => {
                    let parsed = IssuerConfig::from_yaml(&block.text, Path::new("/etc/claimgate"));
                    assert!(parsed.is_ok(), "{place}: {parsed:?}");
                }
                Kind::Whole | Kind::Part => {
                    compile(&block.completed(), &place);
                }
            }
        }
        let for_envoy = blocks.iter().filter(|block| block.kind() == Kind::Envoys).count();
        let ours = blocks.len() - for_envoy;
        let may_have_none = document.starts_with(pages::FOLDER);
        assert!(ours > 0 || may_have_none, "{document} shows no configuration");
        configurations += ours;
        envoys += for_envoy;
    }
    counted(documents.len(), "pages of documentation");
    counted(configurations, "configurations on them read");
    counted(envoys, "blocks for Envoy on them read");
}

#[test]
fn every_request_in_a_table_beneath_a_configuration_is_answered_as_it_says() {
    let mut rows = 0;
    for document in &tried() {
        let text = read(document);
        let mut tables = text.lines().filter(|line| *line == examples::HEAD).count();
        for block in blocks(&text) {
            let examples = examples::of(&block, document);
            if examples.is_empty() {
                continue;
            }
            let place = format!("{document}:{}", block.line);
            let service = examples::Service::of(compile(&block.completed(), &place));
            for example in &examples {
                service.answers(example);
            }
            rows += examples.len();
            tables -= 1;
        }
        assert_eq!(tables, 0, "{document}: a table of requests stands beneath no configuration");
    }
    assert!(rows > 40, "{rows} requests");
    counted(rows, "requests on them answered as it stands there");
}

#[test]
fn every_row_of_the_comparison_names_a_test_that_shows_it() {
    let tests = comparison::test_functions();
    let rows = comparison::rows(&read("deploy/docs/jwt-authn.md"));
    let mut mistakes = Vec::new();
    for row in &rows {
        if !["yes", "no", "better"].contains(&row.word()) {
            mistakes.push(format!("{}: neither yes nor no nor better", row.feature));
        }
        if row.shown_by.is_empty() && row.word() != "no" {
            mistakes.push(format!("{}: no test shows it", row.feature));
        }
        for name in row.shown_by.iter().filter(|name| !tests.contains(*name)) {
            mistakes.push(format!("{}: there is no test {name}", row.feature));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    let with = |word: &str| rows.iter().filter(|row| row.word() == word).count();
    let named: BTreeSet<&String> = rows.iter().flat_map(|row| &row.shown_by).collect();
    let words = ["yes", "better", "no"].map(|word| format!("{} {word}", with(word)));
    let what = "rows of the comparison with jwt_authn";
    counted(rows.len(), &format!("{what}: {}, shown by {} tests", words.join(", "), named.len()));
}

#[test]
fn what_the_comparison_with_all_says_of_claimgate_is_shown_by_a_test_where_it_says() {
    let tests = comparison::test_functions();
    let rows = comparison::rows_of_all(&read("README.md"));
    assert!(rows.len() > 15, "{} rows", rows.len());
    for comparison::RowOfAll { feature, programs, shown_by } in &rows {
        let is_whole = programs.len() == 7 && programs.iter().all(|cell| !cell.is_empty());
        assert!(is_whole, "{feature}: {programs:?}");
        let has_nothing_to_show = programs.first().is_some_and(|ours| ours == "no");
        assert!(has_nothing_to_show || !shown_by.is_empty(), "{feature}: no test shows it");
        for (name, file) in shown_by {
            assert!(tests.contains(name), "{feature}: there is no test {name}");
            let is_there = read(file).contains(&format!("fn {name}("));
            assert!(is_there, "{feature}: {name} is not in {file}");
        }
    }
    counted(rows.len(), "rows of the comparison with six others");
}

#[test]
fn every_link_between_documents_leads_to_something() {
    let documents = links::documents();
    assert!(documents.len() >= DOCUMENTS.len(), "{documents:?}");
    let mut followed = 0;
    for document in &documents {
        let text = read(document);
        let folder = Path::new(document).parent().unwrap();
        for target in links::links(&text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let place = if file.is_empty() { PathBuf::from(document) } else { folder.join(file) };
            let there = Path::new(ROOT).join(&place);
            assert!(there.exists(), "{document}: {target} is not there");
            if !anchor.is_empty() {
                let anchors = links::anchors(&read(place.to_str().unwrap()));
                assert!(anchors.contains(anchor), "{document}: {target} has no such section");
            }
            followed += 1;
        }
    }
    counted(followed, "links between documents followed");
}

fn compile(yaml: &str, place: &str) -> Config {
    Config::from_yaml(yaml, Path::new("/etc/claimgate"))
        .unwrap_or_else(|errors| panic!("{place}:\n{errors}\nin\n{yaml}"))
}

fn read(document: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(document)).expect(document)
}

/// For tests/run.sh. Past the test harness, which shows what a test prints only when it fails.
fn counted(number: usize, what: &str) {
    io::stdout().lock().write_all(format!("counted: {number} {what}\n").as_bytes()).unwrap();
}
