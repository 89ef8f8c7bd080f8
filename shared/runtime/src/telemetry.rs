//! Logs: JSON lines on Lambda, for people on a terminal.
//!
//! Nothing below `info` holds prompts or answers, and nothing at all holds secrets.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// What logs look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, on standard output.
    Json,
    /// For people, on standard error.
    Human,
}

/// Starts logging, at the level of `level` (`RUST_LOG` syntax). A second call changes nothing.
pub fn start(format: Format, level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let started = match format {
        Format::Json => tracing_subscriber::fmt()
            .json()
            .with_env_filter(filter)
            .with_timer(SystemTime)
            .flatten_event(true)
            .with_current_span(true)
            .try_init(),
        Format::Human => {
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).try_init()
        }
    };
    // Somebody else has started it: a test, or the host that this function runs in.
    drop(started);
}
