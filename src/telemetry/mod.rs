//! Layer 1: what operators see. Metrics are all in one file, logs in another; nothing here decides anything.

pub mod decision_log;
pub mod logging;
pub mod metrics;
