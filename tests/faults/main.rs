//! Proof by fault: a provider that fails in every way that we know of, against the real service in this process.
//! Prints a table (`cargo test --test faults`), and fails where a row is not as it should be.
//!
//! Of every fault it holds: tokens of keys that were fetched before stay good while it lasts and after it; one fetch is
//! made and counted under the right name; `/status` says what happened; memory stays flat; and the next good document
//! is taken. Time is injected: each fetch is asked for, none is waited for.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers may fail the test, as its functions may"
)]

mod cases;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/kept.rs"]
mod kept;
#[allow(dead_code, reason = "shared by all tests; each uses a part of it")]
#[path = "../support/logs.rs"]
mod logs;
mod memory;
mod table;

#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/faulty.rs"]
mod faulty;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/provider.rs"]
mod provider;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/rig.rs"]
mod rig;
#[allow(dead_code, reason = "shared with the integration tests, which use more of it")]
#[path = "../support/service.rs"]
mod service;

use std::collections::BTreeMap;
use std::time::Duration;

use claimgate::issuer::SigningKey;
use serde_json::{Value, json};

use crate::cases::{Expected, with};
use crate::faulty::{Fault, KeyServer, document};
use crate::memory::Memory;
use crate::rig::{Rig, key};
use crate::service::{Answer, eventually};
use crate::table::{Row, Table};

// One test: what is measured is the memory of the whole process.
#[tokio::test]
async fn no_fault_of_a_provider_changes_an_answer_and_each_is_told() {
    let canary = KeyServer::start(&[&key("canary")]).await;
    let mut bench = Bench::start().await;
    let before = Memory::now();
    for (name, fault, expected) in cases::all(&bench.key, &canary) {
        bench.fault(name, fault, &expected).await;
    }
    bench.retry_after().await;
    bench.flapping().await;
    bench.one_bad_key_among_good_ones().await;
    bench.reuse_under_the_same_kid().await;
    bench.rollback().await;
    bench.withdrawal().await;
    let growth = Memory::now().since(before);
    assert_eq!(bench.rig.server.requests(), bench.fetches, "fetches beside those that were meant");
    assert_eq!(canary.connections(), 0, "a redirect was followed to another host");
    assert_eq!(bench.rig.server.strays(), 0, "a redirect was followed");
    bench.table.foot = format!("after all of them: {growth}\n");
    assert!(growth.is_flat(), "{growth} after all of them");
    bench.rig.service.stop().await.unwrap();
}

/// The service under test, its provider, and what has been found so far.
struct Bench {
    rig: Rig,
    /// Published from the start to the end, with whatever else is.
    key: SigningKey,
    good: String,
    table: Table,
    /// Every fetch that was meant.
    fetches: u64,
}

/// What a row is measured from.
struct Before {
    refreshes: BTreeMap<String, u64>,
    requests: u64,
    memory: Memory,
}

impl Bench {
    async fn start() -> Self {
        let key = key("kept");
        let rig = Rig::start(&[&key], json!({"timeout": "1500ms"})).await;
        let good = rig.token(&key);
        // Once over: what the first fetch allocates for good is not the fault's doing.
        rig.refresh().await;
        assert!(rig.allows(&good).await);
        Self { rig, key, good, table: Table::default(), fetches: 2 }
    }

    async fn before(&self) -> Before {
        let (refreshes, requests) = (self.refreshes().await, self.rig.server.requests());
        Before { refreshes, requests, memory: Memory::reset_peak() }
    }

    /// One fault: one fetch of it, and then one of a good document with a new key.
    async fn fault(&mut self, name: &str, fault: Fault, expected: &Expected) {
        let held = matches!(fault, Fault::Hang | Fault::Drip);
        let kids = self.rig.service.source_status().await["kids"].clone();
        self.rig.server.fail(fault).await;
        let before = self.before().await;
        let count = self.rig.refreshes().await + 1.0;
        self.rig.begin_refresh().await;
        if held {
            eventually("asked", async || self.rig.server.requests() > before.requests).await;
        }
        let during = self.rig.allows(&self.good).await;
        self.rig.until_refreshed(count).await;
        let row = self.row(name, before, Some(during)).await;
        self.table.push(&row);
        let status = self.rig.service.source_status().await;
        let error = status["last_error"].as_str().unwrap_or_default();
        assert!(during && row.good, "{name}: a good token was refused");
        assert_eq!(row.refreshes, [(expected.result.to_owned(), 1)], "{name}");
        assert_eq!(row.requests, expected.requests, "{name}: fetches");
        assert_eq!((&status["state"], &status["kids"]), (&json!("failing"), &kids), "{name}");
        assert!(error.contains(expected.error), "{name}: {error}");
        assert!(row.memory.is_flat(), "{name}: {}", row.memory);
        self.recovers(name).await;
    }

    /// The next good document is taken, in one fetch.
    async fn recovers(&mut self, name: &str) {
        let new = key(name);
        self.rig.server.publish(&[&self.key, &new]);
        self.rig.server.fail(Fault::None).await;
        let before = self.before().await;
        self.rig.refresh().await;
        let row = self.row(name, before, None).await;
        assert!(row.good, "{name}: a good token was refused after recovery");
        assert!(self.rig.allows(&self.rig.token(&new)).await, "{name}: a new key after recovery");
        assert_eq!(
            (row.refreshes, row.requests),
            (vec![("ok".to_owned(), 1)], 1),
            "{name}: recovery"
        );
        let status = self.rig.service.source_status().await;
        assert_eq!(
            (&status["state"], &status["last_error"]),
            (&json!("fresh"), &Value::Null),
            "{name}"
        );
    }

    /// A provider that asks to be left alone is, by whoever asks for a refresh.
    async fn retry_after(&mut self) {
        let name = "503, Retry-After: 1200";
        let fault = Fault::Status("503 Service Unavailable", "retry-after: 1200\r\n");
        self.rig.server.fail(fault).await;
        let before = self.before().await;
        self.rig.refresh().await;
        self.rig.clock.advance(Duration::from_secs(1199));
        let (status, _) = self.rig.service.post("/keys/refresh").await;
        assert_eq!(status, 429, "{name}: asked again too early");
        let row = self.row(name, before, None).await;
        self.table.push(&row);
        assert!(row.good && row.requests == 1, "{name}");
        assert_eq!(row.refreshes, [("http_error".to_owned(), 1)], "{name}");
        self.recovers(name).await;
    }

    /// Bad and good by turns: the answers are good all along.
    async fn flapping(&mut self) {
        let name = "flapping, six times";
        self.rig.server.fail(Fault::Flapping).await;
        let before = self.before().await;
        for state in ["failing", "fresh", "failing", "fresh", "failing", "fresh"] {
            self.rig.refresh().await;
            assert_eq!(self.rig.service.source_status().await["state"], state);
            assert!(self.rig.allows(&self.good).await);
        }
        let row = self.row(name, before, None).await;
        self.table.push(&row);
        assert_eq!(row.refreshes, [("http_error".to_owned(), 3), ("ok".to_owned(), 3)]);
        assert_eq!(row.requests, 6);
        self.recovers(name).await;
    }

    /// The bad one costs only itself.
    async fn one_bad_key_among_good_ones(&mut self) {
        let (name, new) = ("one bad key among good ones", key("beside-a-bad-one"));
        let bad = with(&new.public_jwk(), "x", "!");
        let keys =
            json!({"keys": [with(&bad, "kid", "bad"), self.key.public_jwk(), new.public_jwk()]});
        let row = self.takes(name, Fault::Body(keys.to_string())).await;
        assert!(row.good && self.rig.allows(&self.rig.token(&new)).await, "{name}");
        let skipped = self.rig.service.source_status().await["skipped"].clone();
        assert_eq!(skipped[0]["kid"], "bad", "{name}: {skipped}");
        self.recovers(name).await;
    }

    /// The published key is the key: what was signed with the one before is refused, until that one is back.
    async fn reuse_under_the_same_kid(&mut self) {
        let (name, other) = ("other key, same kid", key("kept"));
        self.takes(name, Fault::Body(document(&[&other]))).await;
        assert_eq!(
            self.rig.service.ask_with(&self.good).await,
            Answer::denied(401, "bad_signature")
        );
        assert!(self.rig.allows(&self.rig.token(&other)).await, "{name}");
        self.recovers(name).await;
        let answer = self.rig.service.ask_with(&self.rig.token(&other)).await;
        assert_eq!(answer, Answer::denied(401, "bad_signature"), "{name}: after recovery");
    }

    /// An older document is a document: what it does not have is withdrawn.
    async fn rollback(&mut self) {
        let (name, newer) = ("rollback to an older document", key("newer"));
        self.rig.server.publish(&[&self.key, &newer]);
        self.rig.refresh().await;
        self.fetches += 1;
        let token = self.rig.token(&newer);
        assert!(self.rig.allows(&token).await);
        let row = self.takes(name, Fault::Body(document(&[&self.key]))).await;
        assert!(row.good, "{name}");
        assert_eq!(self.rig.service.ask_with(&token).await, Answer::denied(401, "unknown_kid"));
        self.recovers(name).await;
    }

    /// The last key goes, another one comes.
    async fn withdrawal(&mut self) {
        let (name, other) = ("every key withdrawn for others", key("other"));
        self.takes(name, Fault::Body(document(&[&other]))).await;
        assert_eq!(self.rig.service.ask_with(&self.good).await, Answer::denied(401, "unknown_kid"));
        assert!(self.rig.allows(&self.rig.token(&other)).await, "{name}");
        self.recovers(name).await;
    }

    /// A document that is taken, in one fetch.
    async fn takes(&mut self, name: &str, document: Fault) -> Row {
        self.rig.server.fail(document).await;
        let before = self.before().await;
        self.rig.refresh().await;
        let row = self.row(name, before, None).await;
        self.table.push(&row);
        assert_eq!((&row.refreshes, row.requests), (&vec![("ok".to_owned(), 1)], 1), "{name}");
        row
    }

    /// What has happened since. `during` is whether a good token was good in the middle of it, if that was asked.
    async fn row(&mut self, name: &str, before: Before, during: Option<bool>) -> Row {
        let memory = Memory::peak().since(before.memory);
        let after = self.rig.service.ask_with(&self.good).await;
        let refreshes = self.refreshes().await.into_iter().filter_map(|(result, count)| {
            let grown = count - before.refreshes.get(&result).copied().unwrap_or(0);
            (grown > 0).then_some((result, grown))
        });
        let requests = self.rig.server.requests() - before.requests;
        self.fetches += requests;
        let status = self.rig.service.source_status().await;
        let told = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
        Row {
            fault: name.to_owned(),
            good: after.is_allowed() && during.unwrap_or(true),
            answer: after.reason().to_owned(),
            refreshes: refreshes.collect(),
            state: told("state"),
            error: told("last_error").replace(&format!("{}: ", self.rig.server.url()), ""),
            requests,
            memory,
        }
    }

    /// How often each `result` of `claimgate_jwks_refresh_total` was counted.
    async fn refreshes(&self) -> BTreeMap<String, u64> {
        let (_, text) = self.rig.service.admin("/metrics").await;
        let counted = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("claimgate_jwks_refresh_total")?;
            let (_, rest) = rest.split_once("result=\"")?;
            let (result, rest) = rest.split_once('"')?;
            let (_, count) = rest.rsplit_once(' ')?;
            Some((result.to_owned(), count.parse().unwrap()))
        });
        counted.collect()
    }
}
