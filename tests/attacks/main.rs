//! The table of the attacks: every one that is known by a name, tried on the running service as Envoy would ask it.
//! Prints `attack | reference | vectors | answer` and how many rows there are (`cargo test --test attacks`).
//!
//! Each vector is as genuine as its attack allows, made here with the keys that the service trusts, so that the one thing
//! wrong with it is what it is refused for; the reason is held as well. Rows that are allowed are the other side: what
//! must go on to work. For every answer it is held besides that it is an answer Envoy reads in one way only, that it
//! repeats no part of the token, and that headers overwrite (`world`).
//!
//! A file of rows is a module with `rows(&World) -> Vec<Attack>`, and a line in [`all`]. Faults of a key server are in
//! tests/faults, arithmetic beyond these few in tests/wycheproof.rs, and what holds for all input in tests/properties.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test's helpers may fail the test, as its functions may"
)]

mod algorithm;
mod arithmetic;
mod claims;
mod envoy;
mod form;
mod json_text;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/kept.rs"]
mod kept;
mod key;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/logs.rs"]
mod logs;
mod request;
mod revocation;
mod rsa_padding;
mod signature;
mod table;
mod world;

#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/service.rs"]
mod service;

use crate::table::{Attack, Table};
use crate::world::World;

/// Every row, by what is attacked.
fn all(world: &World) -> Vec<(&'static str, Vec<Attack>)> {
    vec![
        ("form", form::rows(world)),
        ("algorithm and header", algorithm::rows(world)),
        ("choice of the key", key::rows(world)),
        ("signature", signature::rows(world)),
        ("RSA padding", rsa_padding::rows(world)),
        ("JSON and text", json_text::rows(world)),
        ("claims", claims::rows(world)),
        ("revocation", revocation::rows(world)),
        ("Envoy's messages", envoy::rows(world)),
        ("the request", request::rows(world)),
    ]
}

#[tokio::test]
async fn every_attack_is_answered_as_it_must_be() {
    let world = World::start().await;
    let mut table = Table::default();
    for (part, attacks) in all(&world) {
        for attack in attacks {
            assert!(!attack.vectors.is_empty(), "{part}: {}: no vector", attack.name);
            for vector in &attack.vectors {
                table.tried(part, &attack, &world.ask(vector).await);
            }
        }
    }
    world.hold_skipped_keys().await;
    world.hold_canary().await;
    world.stop().await;
    assert!(table.attacks() > 150, "{} rows", table.attacks());
    let failures = table.failures();
    assert!(failures.is_empty(), "{} vectors:\n{}", failures.len(), failures.join("\n"));
}
