//! How log lines are written: JSON for machines by default, text for people on request; to standard error.
//! `cli::process` sets it up once; nothing else in the process knows how its lines end up.

use std::io;
use std::panic;
use std::str::FromStr;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

use super::log_writer::LogWriter;

/// The shape of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For a person at a terminal.
    Text,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("json or text is accepted".to_owned()),
        }
    }
}

/// Logging is set up already.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("logging is set up already")]
pub struct AlreadySetUp;

/// Writes lines of `level` and above to standard error from now on, for the whole process. Nobody waits for standard
/// error; who ends the process waits for the last lines with [`LogWriter::flush`].
///
/// # Errors
/// When that was done before.
pub fn init(format: LogFormat, level: LevelFilter) -> Result<Option<LogWriter>, AlreadySetUp> {
    // Without a thread of their own, lines are written by who logs.
    let writer = LogWriter::start(io::stderr()).ok();
    let subscriber = match &writer {
        Some(writer) => subscriber(format, level, writer.clone()),
        None => subscriber(format, level, io::stderr),
    };
    tracing::subscriber::set_global_default(subscriber).map_err(|_| AlreadySetUp)?;
    // The standard hook prints the message of a panic, which may quote what was being worked on.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a panic: this is a bug in claimgate");
    }));
    Ok(writer)
}

/// What writes lines of `level` and above to `writer`.
pub fn subscriber<W>(
    format: LogFormat,
    level: LevelFilter,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    let lines = match format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
        LogFormat::Text => lines.boxed(),
    };
    // Libraries tell of the connections and bytes they handle, which is more than a log may hold.
    let ours = tracing_subscriber::filter::Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("claimgate", level);
    Box::new(Registry::default().with(lines.with_filter(ours)))
}
