//! Logs: JSON lines on Lambda, for people on a terminal.
//!
//! A line carries the fields of all spans that it stands in (tenant, job, step, attempt, request id), so that whoever
//! looks for a job finds every line of it. Nothing at `info` or above holds prompts or answers, and nothing at all holds
//! secrets.

mod json;

use std::panic::PanicHookInfo;

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
    let (filter, unread) = match EnvFilter::try_new(level) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(LEVEL), Some(error)),
    };
    let started = match format {
        Format::Json => fmt().fmt_fields(JsonFields::new()).event_format(JsonLines).with_env_filter(filter).try_init(),
        Format::Human => fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).try_init(),
    };
    if started.is_err() {
        // Somebody else has started it: a test, or the host that this function runs in.
        return;
    }
    if format == Format::Json {
        std::panic::set_hook(Box::new(log_panic));
    }
    if let Some(error) = unread {
        tracing::warn!(error = &error as &dyn std::error::Error, "RUST_LOG can't be read; logging at {LEVEL}");
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("without a message");
    tracing::error!(place, panic = message, "a panic");
}
