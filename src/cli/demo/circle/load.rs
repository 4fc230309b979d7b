//! Other clients, who ask both services all the time while the story is told, and count what they get: most of them with
//! good tokens, some with one that was taken back, and then they go on trying.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use crate::cli::demo::wait::{TimedOut, pause, wait_until};
use crate::cli::demo::world::DemoError;

/// How many they are.
pub(super) const ASKERS: usize = 8;
/// From one answer to the next question: together they ask some hundred times a second, and leave time for the rest.
const PAUSE: Duration = Duration::from_millis(5);
/// An answer takes a few milliseconds; a loaded machine gets more.
const DEADLINE: Duration = Duration::from_secs(30);

/// What they have, and what they got. The story and they take turns in one task.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// One for each of them.
    tokens: RefCell<Vec<Held>>,
    asked: Cell<u64>,
    passed: Cell<u64>,
    /// What was not expected.
    wrong: RefCell<Vec<String>>,
    done: Cell<bool>,
}

/// A token, and the status that it has to get.
#[derive(Clone, Debug)]
struct Held {
    token: String,
    expected: u16,
}

impl Load {
    /// Gives the `nth` of them another token, which is good or not.
    pub(super) fn give(&self, nth: usize, token: String, is_good: bool) {
        let held = Held { token, expected: if is_good { 200 } else { 401 } };
        let mut tokens = self.tokens.borrow_mut();
        match tokens.get_mut(nth) {
            Some(before) => *before = held,
            None => tokens.push(held),
        }
    }

    /// Asks with the `nth` token until [`Self::end`].
    pub(super) async fn ask(&self, nth: usize, ingress: SocketAddr) -> Result<(), DemoError> {
        let client = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build();
        let client = client.map_err(DemoError::Client)?;
        for path in ["/orders", "/stock"].into_iter().cycle() {
            let Some(Held { token, expected }) = self.tokens.borrow().get(nth).cloned() else {
                break;
            };
            let request = client.get(format!("http://{ingress}{path}")).bearer_auth(token);
            let wrong = match request.send().await.map(|answer| answer.status().as_u16()) {
                Ok(status) => {
                    self.passed.set(self.passed.get() + u64::from(status == 200));
                    (status != expected).then(|| format!("{path}: {status} instead of {expected}"))
                }
                Err(error) => Some(format!("{path}: {error}")),
            };
            self.asked.set(self.asked.get() + 1);
            self.wrong.borrow_mut().extend(wrong);
            if self.done.get() {
                break;
            }
            pause(PAUSE).await;
        }
        Ok(())
    }

    /// Waits until so many more were answered.
    pub(super) async fn goes_on(&self, requests: u64) -> Result<(), TimedOut> {
        let until = self.asked.get() + requests;
        wait_until("the other clients' answers", DEADLINE, async || self.asked.get() >= until).await
    }

    /// Each of them asks once more at most.
    pub(super) fn end(&self) {
        self.done.set(true);
    }

    /// How many answers came.
    pub(super) fn asked(&self) -> u64 {
        self.asked.get()
    }

    /// How many of them were 200.
    pub(super) fn passed(&self) -> u64 {
        self.passed.get()
    }

    /// How many were wrong, with an example.
    pub(super) fn wrong(&self) -> String {
        let wrong = self.wrong.borrow();
        wrong.first().map_or_else(|| "0".to_owned(), |first| format!("{}, as {first}", wrong.len()))
    }
}
