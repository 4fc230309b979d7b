//! Traces: a span for each check, joined to the trace that the proxy began, exported over OTLP.
//!
//! [`context`] reads which trace a check belongs to, and whether it is sampled. A sampled check becomes a [`CheckSpan`],
//! which [`Tracer`] queues without waiting; `export` is the one task that takes them from there to the collector
//! (`client`). What does not fit in the queue is dropped and counted: a collector that hangs costs spans and no request.
//!
//! `server::checks` records, `app` runs the exporter, `config` makes the settings.

mod client;
pub mod context;
mod export;
mod message;
pub mod settings;
mod span;
#[cfg(test)]
mod testing;

pub use self::export::Exporter;
pub use self::span::{CheckSpan, Place, SpanIds, Tracer, queue};
