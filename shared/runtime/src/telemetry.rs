//! Logs: JSON lines on Lambda, for people on a terminal.
//!
//! A line carries the fields of all spans that it stands in (tenant, job, step, attempt, request id), so that whoever
//! looks for a job finds every line of it. Nothing at `info` or above holds prompts or answers, and nothing at all holds
//! secrets.

mod json;

use std::panic::PanicHookInfo;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::{EnvFilter, fmt};

use json::JsonLines;

/// What is logged where nobody says otherwise.
const LEVEL: &str = "info";

/// What logs look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, on standard output; panics, too.
    Json,
    /// For people, on standard error.
    Human,
}

/// Starts logging, at the level of `level` (`RUST_LOG` syntax; what can't be read counts as `info`, and is said). A
/// second call changes nothing.
pub fn start(format: Format, level: &str) {
    match format {
        Format::Json => start_to(level, std::io::stdout),
        Format::Human => {
            let (filter, unread) = filter(level);
            let started = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).try_init();
            // Otherwise somebody else has started it: a test, or the host that this function runs in.
            if started.is_ok() {
                warn(unread);
            }
        }
    }
}

/// Starts logging as on Lambda, to a writer of the caller's: for whoever measures it. A second call changes nothing.
pub fn start_to<W>(level: &str, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, unread) = filter(level);
    let lines = fmt().fmt_fields(JsonFields::new()).event_format(JsonLines).with_env_filter(filter);
    if lines.with_writer(writer).try_init().is_ok() {
        std::panic::set_hook(Box::new(log_panic));
        warn(unread);
    }
}

fn filter(level: &str) -> (EnvFilter, Option<ParseError>) {
    match EnvFilter::try_new(level) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(LEVEL), Some(error)),
    }
}

fn warn(unread: Option<ParseError>) {
    if let Some(error) = unread {
        tracing::warn!(error = &error as &dyn std::error::Error, "RUST_LOG can't be read; logging at {LEVEL}");
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("without a message");
    tracing::error!(place, panic = message, "a panic");
}
