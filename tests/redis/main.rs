//! Revocation with a real Redis: every fault of it that the service has to live with, what it answers meanwhile and how it
//! recovers; the ways to reach it; what `claimgate revoke` writes, and what the documented schema has others write.
//!
//! They need the Redis that `tests/redis/install.sh` installs, and fail without.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test, as its functions may"
)]

#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/authority.rs"]
mod authority;
mod command;
mod document;
mod faults;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/kept.rs"]
mod kept;
mod latency;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/logs.rs"]
mod logs;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/provider.rs"]
mod provider;
#[allow(dead_code, reason = "shared with the unit tests, which use more of it")]
#[path = "../support/redis.rs"]
mod server;
mod servers;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/service.rs"]
mod service;
mod world;
