//! Clients of an Envoy that ask one request after the other, and what they were answered.

use std::cell::{Cell, RefCell};
use std::io::{self, Write as _};
use std::net::SocketAddr;

use claimgate::issuer::SigningKey;
use claimgate::keys::key::Algorithm;
use claimgate::util::clock::{Clock as _, SystemClock};
use futures_util::future::join_all;
use serde_json::json;

use crate::kept::mint;
use crate::service::eventually;

const ASKERS: usize = 8;

/// So many failed requests are remembered in words.
const TOLD: usize = 10;

/// What was asked so far.
#[derive(Default)]
pub(crate) struct Load {
    asked: Cell<u64>,
    failed: Cell<u64>,
    told: RefCell<Vec<String>>,
    done: Cell<bool>,
}

impl Load {
    /// Asks with a good token as long as `story` goes on.
    pub(crate) async fn during(
        ingress: SocketAddr,
        token: &str,
        story: impl AsyncFnOnce(&Self),
    ) -> Self {
        let load = Self::default();
        let askers = join_all((0..ASKERS).map(|_| load.ask(ingress, token)));
        let story = async {
            story(&load).await;
            load.done.set(true);
        };
        tokio::join!(askers, story);
        load
    }

    async fn ask(&self, ingress: SocketAddr, token: &str) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        while !self.done.get() {
            let request = client.get(format!("http://{ingress}/orders")).bearer_auth(token);
            match request.send().await {
                Ok(answer) if answer.status().as_u16() == 200 => {}
                Ok(answer) => self.fail(answer.status().to_string()),
                Err(error) => self.fail(error.to_string()),
            }
            self.asked.set(self.asked.get() + 1);
        }
    }

    fn fail(&self, how: String) {
        self.failed.set(self.failed.get() + 1);
        let mut told = self.told.borrow_mut();
        if told.len() < TOLD {
            told.push(how);
        }
    }

    /// Requests that were answered.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.get()
    }

    /// Requests that did not pass.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.get()
    }

    /// How the first of them failed.
    pub(crate) fn told(&self) -> String {
        self.told.borrow().join(", ")
    }

    /// Waits until so many more were answered.
    pub(crate) async fn goes_on(&self, requests: u64) {
        let until = self.asked() + requests;
        eventually("asked", async || self.asked() >= until).await;
    }
}

/// A key, and a token of it that is good for an hour with what `inline` makes of the key.
pub(crate) fn key_and_token() -> (SigningKey, String) {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let now = SystemClock.now().as_millis().div_euclid(1000);
    let claims = json!({
        "iss": "https://accounts.example.com", "aud": "orders", "sub": "alice", "exp": now + 3600,
    });
    let token = mint(&key, &claims).unwrap();
    (key, token)
}

/// Past the test harness, which shows what a test prints only when it fails.
pub(crate) fn report(line: &str) {
    io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}
