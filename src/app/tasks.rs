//! The one place that spawns what the service is made of; what it serves, a task a connection, is
//! [`crate::server::connections`]' own. Every task has a name, and none ends unnoticed: a background task that is gone
//! while the process lives on (keys that are not refreshed, a port that does not answer) is worse than an end.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time;

/// A task that ended before it was told to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task `{task}` {how}")]
pub struct TaskEnded {
    /// Its name.
    pub task: String,
    /// "ended early", "panicked", or what went wrong.
    pub how: String,
}

/// Tasks that run side by side. Dropping it aborts them all.
#[derive(Debug, Default)]
pub struct Tasks {
    running: JoinSet<Result<(), String>>,
    names: HashMap<Id, String>,
}

impl Tasks {
    /// Runs `task` under `name`.
    pub fn spawn<E: Display>(
        &mut self,
        name: impl Into<String>,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let name = name.into();
        let task = async move { task.await.map_err(|error| error.to_string()) };
        #[cfg(test)]
        let task = testing::breakable(name.clone(), task);
        let handle = self.running.spawn(task);
        self.names.insert(handle.id(), name);
    }

    /// Waits for the first task that ends; for ever when there is none.
    pub async fn first_to_end(&mut self) -> TaskEnded {
        match self.running.join_next_with_id().await {
            Some(ended) => self.ended(ended),
            None => std::future::pending().await,
        }
    }

    /// Waits for all of them, which were told to end, and aborts those that do not within `deadline`.
    ///
    /// # Errors
    /// The first that failed, or was aborted.
    pub async fn finish(&mut self, deadline: Duration) -> Result<(), TaskEnded> {
        let mut outcome = Ok(());
        let all = async {
            while let Some(ended) = self.running.join_next_with_id().await {
                let is_good = matches!(ended, Ok((_, Ok(()))));
                let ended = name_of(&mut self.names, ended);
                if !is_good && outcome.is_ok() {
                    outcome = Err(ended);
                }
            }
        };
        if time::timeout(deadline, all).await.is_err() {
            self.running.shutdown().await;
            let mut names: Vec<_> = self.names.drain().map(|(_, name)| name).collect();
            names.sort();
            let how = format!("did not end within {} s", deadline.as_secs_f64());
            return Err(TaskEnded { task: names.join("`, `"), how });
        }
        outcome
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), String>), JoinError>) -> TaskEnded {
        name_of(&mut self.names, ended)
    }
}

fn name_of(
    names: &mut HashMap<Id, String>,
    ended: Result<(Id, Result<(), String>), JoinError>,
) -> TaskEnded {
    let (id, how) = match ended {
        Ok((id, Ok(()))) => (id, "ended early".to_owned()),
        Ok((id, Err(error))) => (id, format!("failed: {error}")),
        // Not the message of the panic: it may quote what was being worked on.
        Err(error) if error.is_panic() => (error.id(), "panicked".to_owned()),
        Err(error) => (error.id(), "was aborted".to_owned()),
    };
    TaskEnded { task: names.remove(&id).unwrap_or_default(), how }
}

/// Tasks that a test can have panic.
#[cfg(test)]
pub(crate) mod testing {
    use std::cell::RefCell;
    use std::sync::{Arc, Weak};

    use tokio::sync::Notify;

    thread_local! {
        // A test and the tasks of its runtime have one thread.
        static RUNNING: RefCell<Vec<(String, Weak<Notify>)>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) async fn breakable<T>(name: String, task: impl Future<Output = T>) -> T {
        let broken = Arc::new(Notify::new());
        RUNNING.with_borrow_mut(|running| running.push((name, Arc::downgrade(&broken))));
        tokio::select! {
            ended = task => ended,
            () = broken.notified() => panic!("by a test"),
        }
    }

    /// The names of the tasks that run in this test.
    pub(crate) fn names() -> Vec<String> {
        RUNNING.with_borrow(|running| {
            let alive = running.iter().filter(|(_, broken)| broken.strong_count() > 0);
            alive.map(|(name, _)| name.clone()).collect()
        })
    }

    /// Has the task of this name panic.
    pub(crate) fn break_task(name: &str) {
        RUNNING.with_borrow(|running| {
            let of_name = running.iter().filter(|(known, _)| known == name);
            let mut alive = of_name.filter_map(|(_, broken)| broken.upgrade());
            alive.next().expect("a task of this name").notify_one();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("idle", std::future::pending::<Result<(), Infallible>>());
        tasks.spawn("broken", async {
            if tokio::task::try_id().is_some() {
                panic!("a secret");
            }
            Ok::<(), Infallible>(())
        });
        assert_eq!(tasks.first_to_end().await.to_string(), "the task `broken` panicked");
    }

    #[tokio::test]
    async fn a_task_that_ends_early_or_fails_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("short", async { Ok::<(), Infallible>(()) });
        assert_eq!(tasks.first_to_end().await.to_string(), "the task `short` ended early");
        tasks.spawn("unlucky", async { Err("no disk") });
        assert_eq!(tasks.first_to_end().await.to_string(), "the task `unlucky` failed: no disk");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_finish_in_time_is_aborted_and_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("endless", std::future::pending::<Result<(), Infallible>>());
        let late = tasks.finish(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(late.task, "endless");
        assert!(tasks.finish(Duration::from_secs(1)).await.is_ok());
    }
}
