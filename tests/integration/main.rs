//! The whole service in this process, asked through its ports: each test starts its own, on ports of its own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test, as its functions may"
)]

mod answers;
mod bounds;
mod explain;
mod explained;
mod forward_auth;
mod hs256;
mod issuer;
mod jwks_fetch;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/kept.rs"]
mod kept;
mod key_life;
mod keys;
mod lifecycle;
mod listeners;
mod overload;
mod probe;
mod process;
mod promises;
mod reload;
mod revocation;
mod sources;
mod tls;
mod traces;
mod trouble;

#[path = "../support/authority.rs"]
mod authority;
#[allow(dead_code, reason = "shared with the end-to-end tests, which use more of it")]
#[path = "../support/collector.rs"]
mod collector;
#[allow(dead_code, reason = "shared with the table of the faults, which uses more of it")]
#[path = "../support/faulty.rs"]
mod faulty;
#[allow(dead_code, reason = "shared with the end-to-end tests, which use more of it")]
#[path = "../support/issuer.rs"]
mod issuer_process;
#[path = "../support/logs.rs"]
mod logs;
#[path = "../support/provider.rs"]
mod provider;
#[path = "../support/rig.rs"]
mod rig;
#[path = "../runbook/output.rs"]
mod runbook_output;
#[path = "../support/running.rs"]
mod running;
#[allow(dead_code, reason = "shared with the table of the faults, which uses more of it")]
#[path = "../support/service.rs"]
mod service;
