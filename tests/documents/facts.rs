//! What the task pages say that the code says as well: every reason of a denial, the defaults that decide how long an
//! outage is not noticed, the figures that sizing goes by, the tests that show what becomes of an attack, the Envoys that
//! claimgate is tested with.

use std::time::Duration;

use claimgate::check::DenialReason;
use claimgate::check::answer::{AnswerSettings, DeniedAnswer};
use claimgate::config::duration;
use claimgate::keys::demand::limiter::{MAX_GAP, MIN_GAP};
use claimgate::keys::demand::unknown_kids::REMEMBERED;
use claimgate::keys::schedule::MAX_RETRY_AFTER;
use claimgate::keys::source::RefreshSettings;

use crate::{comparison, counted, read};

/// The rows of all tables that begin with something in backticks: that, and the other cells.
fn rows(text: &str) -> Vec<(String, Vec<String>)> {
    let lines = text.lines().filter(|line| line.starts_with("| `"));
    let rows = lines.map(|line| {
        let mut cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        (cells.next().unwrap().trim_matches('`').to_owned(), cells.collect())
    });
    rows.collect()
}

#[test]
fn why_refused_has_a_row_for_every_reason_and_no_other() {
    let rows = rows(&read("deploy/docs/why-refused.md"));
    let documented: Vec<(&str, &str)> =
        rows.iter().map(|(reason, cells)| (reason.as_str(), cells[0].as_str())).collect();
    let answered = DenialReason::ALL.map(|reason| {
        let answer = DeniedAnswer::new(reason, AnswerSettings::default(), false);
        (reason.as_str(), answer.status.to_string())
    });
    let answered: Vec<(&str, &str)> =
        answered.iter().map(|(reason, status)| (*reason, status.as_str())).collect();
    assert_eq!(documented, answered);
    for (reason, cells) in &rows {
        assert!(cells.len() == 5 && cells.iter().all(|cell| !cell.is_empty()), "{reason}");
    }
}

#[test]
fn the_outage_goes_by_the_defaults_of_the_code() {
    let refresh = RefreshSettings::default();
    let defaults = [
        ("refresh.interval", refresh.interval),
        ("refresh.min", refresh.min),
        ("refresh.max", refresh.max),
        ("refresh.max_stale", refresh.max_stale.unwrap()),
        ("refresh.timeout", refresh.timeout),
        ("refresh.unknown_kid_wait", refresh.unknown_kid_wait),
        ("Retry-After", MAX_RETRY_AFTER),
        ("unknown kid, again at the earliest", MIN_GAP),
        ("unknown kid, again at the latest", MAX_GAP),
        ("unknown kid, not looked for again", REMEMBERED),
    ];
    let page = read("deploy/docs/provider-outage.md");
    let (_, section) = page.split_once("\n## The defaults\n").expect("the defaults");
    let rows = rows(section.split("\n## ").next().unwrap());
    let documented: Vec<(&str, Duration)> =
        rows.iter().map(|(name, cells)| (name.as_str(), duration(&cells[0]).unwrap())).collect();
    assert_eq!(documented, defaults);
}

#[test]
fn sizing_names_rows_of_the_results_that_there_are() {
    let (page, results) = (read("deploy/docs/sizing.md"), read("benches/RESULTS.md"));
    // Blocks, where quotes mean something else, are in lines of their own.
    let prose = page.lines().filter(|line| !line.starts_with("```") && !line.starts_with("  "));
    let names = prose.flat_map(|line| line.split('"').skip(1).step_by(2));
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        assert!(results.contains(name), "benches/RESULTS.md has no {name}");
    }
}

/// The table itself is tests/compatibility.sh's.
#[test]
fn compatibility_has_a_row_for_every_envoy_that_can_be_installed_and_explains_what_failed() {
    let script = read("deploy/install-envoy.sh");
    // VERSION PLATFORM HASH, newest first.
    let pinned = script.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.len() == 3 && words[2].len() == 64).then(|| words[0])
    });
    let mut pinned: Vec<&str> = pinned.collect();
    pinned.dedup();
    let page = read("deploy/docs/compatibility.md");
    let table = page.lines().skip_while(|line| !line.starts_with("| Envoy | passed |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<&str>> =
        rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect();
    let tested: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(tested, pinned);
    let (_, differences) = page.split_once("\n## What differs\n").expect("what differs");
    let number = |cell: &str| cell.parse::<usize>().unwrap();
    let all = number(rows[0][1]);
    for row in &rows {
        // The same tests with each.
        assert_eq!(number(row[1]) + number(row[2]), all, "{row:?}");
        let failed: Vec<&str> = row[3].split('`').skip(1).step_by(2).collect();
        assert_eq!(number(row[2]), failed.len(), "{row:?}");
        for test in failed {
            assert!(differences.contains(test), "{}: nothing says why {test} failed", row[0]);
        }
    }
    assert_eq!(rows[0][2], "0", "with the newest nothing fails");
    let minor = |version: &str| version.rsplit_once('.').unwrap().0.to_owned();
    let (oldest, newest) = (minor(tested.last().unwrap()), minor(tested[0]));
    for (document, text) in [
        ("README.md", "Tested with Envoy [OLDEST to NEWEST](deploy/docs/compatibility.md)"),
        ("deploy/docs/attach.md", "with Envoy [OLDEST to NEWEST](compatibility.md)"),
    ] {
        let text = text.replace("OLDEST", &oldest).replace("NEWEST", &newest);
        assert!(read(document).contains(&text), "{document} does not say: {text}");
    }
}

#[test]
fn every_threat_names_a_test_that_shows_what_becomes_of_it() {
    let text = read("deploy/docs/security-model.md");
    let (_, table) = text.split_once("| attack | what happens | shown by |\n").expect("the table");
    let table = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let tests = comparison::test_functions();
    let (mut rows, mut named) = (0, 0);
    for line in table {
        rows += 1;
        let (_, shown_by) = line.trim_end_matches(" |").rsplit_once(" | ").unwrap();
        // `NAME` (`FILE`): in backticks stand names and files, in turn.
        let parts: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!parts.is_empty() && parts.len().is_multiple_of(2), "{line}");
        for pair in parts.chunks(2) {
            let [name, file] = pair else { unreachable!() };
            let code = read(file);
            // Or a row of the table of attacks, or of that of the faults.
            let is_there = tests.contains(*name) && code.contains(&format!("fn {name}("))
                || code.contains(&format!("\"{name}\""));
            assert!(is_there, "{file} has no {name}: {line}");
            named += 1;
        }
    }
    assert!(rows > 20, "{rows} rows");
    counted(rows, &format!("threats: shown by {named} tests and rows of tests"));
}
