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

use tracing_subscriber::filter::{LevelFilter, ParseError, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, registry};

pub use flushed::{Flushed, flushed};
use json::JsonLines;
use otlp::{Exporter, Spans, is_traced};

use crate::config::ProcessEnv;

/// Where traces go, once telemetry has started; `None` where they are off.
static EXPORTER: OnceLock<Option<Exporter>> = OnceLock::new();

/// What is logged where nobody says otherwise.
const LEVEL: LevelFilter = LevelFilter::INFO;

/// What logs look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, on standard output; panics, too.
    Json,
    /// For people, on standard error.
    Human,
}

/// Starts logging, at the level of `level` (as `RUST_LOG` has it: `info`, or `info,convoke_app=debug`; what can't be read
/// counts as `info`, and is said). A second call changes nothing.
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

/// What is logged, and why not what was asked for.
fn filter(level: &str) -> (Targets, Option<String>) {
    match read(level) {
        Ok(filter) => (filter, None),
        Err(problem) => (Targets::new().with_default(LEVEL), Some(problem)),
    }
}

fn read(level: &str) -> Result<Targets, String> {
    if level.contains('[') {
        return Err("levels of spans can't be set: write `target=level`".to_owned());
    }
    // An empty part would count as `error`.
    let parts: Vec<&str> = level.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    // A word that is no level would count as a target that is told whole, and nothing else.
    if let Some(part) = parts.iter().find(|part| !part.contains('=') && part.parse::<LevelFilter>().is_err()) {
        return Err(format!("{part:?} is no level: write error, warn, info, debug, trace or off"));
    }
    let level = if parts.is_empty() { LEVEL.to_string() } else { parts.join(",") };
    level.parse().map_err(|error: ParseError| error.to_string())
}

fn warn(unread: Option<String>) {
    if let Some(error) = unread {
        tracing::warn!(error, "RUST_LOG can't be read; logging at {LEVEL}");
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("without a message");
    tracing::error!(place, panic = message, "a panic");
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_are_read_by_target() {
        for (text, of_ours, of_others) in [
            ("info", Level::INFO, Level::INFO),
            ("", Level::INFO, Level::INFO),
            (" warn, convoke_app=debug,", Level::DEBUG, Level::WARN),
            ("convoke_app=trace,error", Level::TRACE, Level::ERROR),
        ] {
            let filter = read(text).expect(text);
            for (target, most) in [("convoke_app::work", of_ours), ("hyper", of_others)] {
                let seen: Vec<Level> = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE]
                    .into_iter()
                    .filter(|level| filter.would_enable(target, level))
                    .collect();
                assert_eq!(seen.last(), Some(&most), "{text}: {target}");
            }
        }
    }

    #[test]
    fn what_cant_be_read_counts_as_info_and_is_said() {
        for text in ["inof", "info,convoke=loud", "info,convoke[step]=debug"] {
            let (filter, unread) = filter(text);
            assert!(unread.is_some() && filter.would_enable("x", &Level::INFO), "{text}");
            assert!(!filter.would_enable("x", &Level::DEBUG), "{text}");
        }
    }
}
