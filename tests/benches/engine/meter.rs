//! CPU, memory, percentiles.

use std::time::Duration;

/// Clock ticks of `/proc` per second: fixed by the kernel's interface.
const TICKS_PER_S: u64 = 100;

/// User and system time of this process.
pub struct Cpu(Duration);

impl Cpu {
    pub fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
        // The second field is the program's name in parentheses, and may hold spaces.
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a stat").split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u64>().expect("ticks");
        Self(Duration::from_millis((ticks(11) + ticks(12)) * 1_000 / TICKS_PER_S))
    }

    pub fn since(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// Memory that this process has resident.
pub fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).expect("a number") / 1_024.0
}

/// The value that so many in a hundred don't pass.
pub fn percentile(values: &[Duration], share: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * share / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
