//! Layer 1: what operators see. Metrics are all in one place, logs in another; nothing here decides anything.

pub mod decision_log;
pub mod log_writer;
pub mod logging;
pub mod metrics;
pub mod traces;
