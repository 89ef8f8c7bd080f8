//! What functions log, counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what is logged. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Log {
    lines: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Log {
    /// From now on this process logs as functions do, into a counter. Only the first one of a process counts.
    pub fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        convoke_runtime::telemetry::start_to("info", move || writer.clone());
        log
    }

    /// Lines and bytes since this was asked last.
    pub fn take(&self) -> (u64, u64) {
        (self.lines.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }
}

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let lines = text.split(|byte| *byte == b'\n').count() - 1;
        self.lines.fetch_add(lines as u64, Ordering::Relaxed);
        self.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
