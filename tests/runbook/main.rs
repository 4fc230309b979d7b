//! Does what deploy/runbooks/keys.md says, command by command, and compares what is printed. Each section has a world
//! of its own; its comments, which that file explains, say what happens between the commands.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test, as its functions may"
)]

mod document;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/kept.rs"]
mod kept;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/logs.rs"]
mod logs;
mod output;
#[path = "../support/service.rs"]
#[expect(dead_code, reason = "it offers what integration tests need too")]
mod service;
mod world;

use std::io::{self, Write as _};

use document::{RUNBOOK, sections};
use world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_as_the_runbook_says() {
    follow("Rotate a key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compromised_key_is_replaced_as_the_runbook_says() {
    follow("A key is compromised").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_goes_as_the_runbook_says() {
    follow("The identity provider is down, minute by minute").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hs256_is_replaced_as_the_runbook_says() {
    follow("From HS256 to RS256").await;
}

#[test]
fn every_section_and_every_command_is_run_by_one_of_these() {
    let sections = sections();
    let titles: Vec<&str> = sections.iter().map(|section| section.title.as_str()).collect();
    let tested = include_str!("main.rs");
    for title in &titles {
        assert!(tested.contains(&format!("follow(\"{title}\")")), "{title}");
    }
    assert_eq!(titles.len(), 4);
    let commands: usize = sections.iter().map(document::Section::commands).sum();
    let written = RUNBOOK.lines().filter(|line| line.starts_with("$ ")).count();
    assert_eq!(commands, written);
}

async fn follow(title: &str) {
    let section = sections().into_iter().find(|section| section.title == title).expect(title);
    let mut world = World::new().await;
    for (line, step) in &section.steps {
        world.take(step, &format!("deploy/runbooks/keys.md:{line}")).await;
    }
    world.end().await;
    // For tests/run.sh; past the test harness, which shows what a test prints only when it fails.
    let told = format!(
        "counted: {} commands of the runbooks print what stands there\n",
        section.commands()
    );
    io::stdout().lock().write_all(told.as_bytes()).unwrap();
}
