//! This process's own figures, where the system tells them in files.

/// What the process has and took.
pub(super) struct Own {
    pub memory_bytes: f64,
    pub cpu_s: f64,
}

/// Ticks a second in `/proc`; the kernel has told them in this unit since there are processors of other speeds.
const TICKS_PER_S: f64 = 100.0;

/// The figures as they are now; `None` on systems without `/proc`.
pub(super) fn now() -> Option<Own> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    Some(Own { memory_bytes: memory_bytes(&status)?, cpu_s: cpu_s(&stat)? })
}

fn memory_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024.0)
}

fn cpu_s(stat: &str) -> Option<f64> {
    // The program's name stands in brackets and may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_whitespace().skip(11).map_while(|field| field.parse::<f64>().ok());
    Some((times.next()? + times.next()?) / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_whatever_the_program_is_called() {
        assert_eq!(memory_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(cpu_s(stat), Some(2.0));
        assert!(cpu_s("7 (a").is_none() && memory_bytes("").is_none());
    }
}
