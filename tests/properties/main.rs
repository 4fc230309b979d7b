//! Properties of tokens and of what reads them, over generated input; each prints how many cases it was tried with
//! (`cargo test --test properties`). Single examples are in the unit tests, named attacks in tests/attacks.
//!
//! The binary counts its allocations, which is why these tests have one of their own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test's helpers may fail the test, as its functions may"
)]

mod allocation;
mod requests;
mod revocation;
mod scale;
mod tokens;
mod world;

use std::io::{self, Write as _};

/// Past the test harness, which shows what a test prints only when it fails. Nothing was proved by no case.
fn report(property: &str, cases: usize) {
    assert!(cases > 100, "{property}: {cases} cases");
    writeln!(io::stdout().lock(), "property {property}: {cases} cases").unwrap();
}
