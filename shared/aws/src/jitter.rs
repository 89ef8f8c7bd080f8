//! Pauses between tries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest first pause; each further one may be twice as long.
const FIRST_MS: u64 = 25;

/// Longest pause.
const LONGEST_MS: u64 = 1_000;

/// Draws pauses at random, so that those who met once don't meet again. The seed comes from outside: randomness lives in
/// the runtime.
#[derive(Debug)]
pub(crate) struct Jitter {
    state: AtomicU64,
}

impl Jitter {
    /// Two processes should differ in their seeds; nothing breaks where they don't.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// Waits before try number `attempt + 2`: anything up to 25 ms, 50 ms, 100 ms, ... 1 s.
    pub(crate) async fn pause(&self, attempt: u32) {
        tokio::time::sleep(self.draw(attempt)).await;
    }

    fn draw(&self, attempt: u32) -> Duration {
        let bound_ms = FIRST_MS.saturating_mul(1 << attempt.min(16)).min(LONGEST_MS);
        Duration::from_millis(self.next() % (bound_ms + 1))
    }

    /// Splitmix64: one addition and a finaliser, safe to share.
    fn next(&self) -> u64 {
        let state = self.state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_stay_bounded_and_differ() {
        let jitter = Jitter::new(7);
        let drawn: Vec<_> = (0..200).map(|n| jitter.draw(n)).collect();
        assert!(drawn.iter().all(|pause| *pause <= Duration::from_secs(1)));
        assert!((0..50).all(|_| jitter.draw(0) <= Duration::from_millis(25)));
        let long = drawn.iter().filter(|pause| **pause > Duration::from_millis(500)).count();
        assert!((50..150).contains(&long), "{long} of 200");
    }
}
