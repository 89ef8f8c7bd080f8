//! Logs: JSON lines on Lambda, for people on a terminal.
//!
//! A line carries the fields of all spans that it stands in (tenant, job, step, attempt, request id), so that whoever
//! looks for a job finds every line of it. Nothing at `info` or above holds prompts or answers, and nothing at all holds
//! secrets. Traces, where they are on, are told of in [`otlp`].

mod flushed;
mod json;
pub mod otlp;

use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

pub use flushed::{Flushed, flushed};
use json::JsonLines;
use otlp::{Exporter, Spans, is_traced};

use crate::config::ProcessEnv;

/// Where traces go, once telemetry has started; `None` where they are off.
static EXPORTER: OnceLock<Option<Exporter>> = OnceLock::new();

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
            let lines = fmt::layer().with_writer(std::io::stderr).with_target(false).with_filter(filter);
            let started = registry().with(traces()).with(lines).try_init();
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
    let lines = fmt::layer().fmt_fields(JsonFields::new()).event_format(JsonLines).with_writer(writer);
    if registry().with(traces()).with(lines.with_filter(filter)).try_init().is_ok() {
        std::panic::set_hook(Box::new(log_panic));
        warn(unread);
    }
}

/// Sends the spans that wait to the collector, if traces are on: within 1.5 s, or not at all.
pub async fn flush() {
    if let Some(exporter) = EXPORTER.get().and_then(Option::as_ref) {
        exporter.flush().await;
    }
}

/// Flushes every second, for a process that doesn't end with an answer; returns at once where traces are off.
pub async fn flush_regularly() {
    while EXPORTER.get().is_some_and(Option::is_some) {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        flush().await;
    }
}

/// What makes traces of spans, where the environment asks for them; whatever is logged, spans are seen.
fn traces<S: tracing::Subscriber + for<'a> LookupSpan<'a>>() -> Option<impl Layer<S>> {
    let exporter = EXPORTER.get_or_init(|| Exporter::read(&ProcessEnv)).as_ref()?;
    Some(Spans(exporter).with_filter(filter_fn(is_traced)))
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
