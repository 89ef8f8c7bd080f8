//! Time as the embedded stack sees it. Visibility time-outs, delays, retention, sweeps and schedules all read this clock,
//! so a test steps it instead of waiting.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use tokio::sync::watch;

/// A wall clock that can be waited on.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;

    /// Completes once [`Clock::now_ms`] is at least `at_ms`; at once if it already is.
    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()>;
}

/// The longest single sleep. The wall clock is looked at again after it, so a machine that was suspended, or whose clock
/// was set, is at most this much late.
const NAP_MAX: Duration = Duration::from_secs(30);

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        system_now_ms()
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            loop {
                let left_ms = at_ms.saturating_sub(system_now_ms());
                if left_ms == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left_ms).min(NAP_MAX)).await;
            }
        })
    }
}

fn system_now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A clock that stands still until it is stepped. Clones share one time.
#[derive(Clone, Debug)]
pub struct SteppedClock {
    now_ms: watch::Sender<u64>,
}

impl SteppedClock {
    /// A clock that stands at `start_ms` (milliseconds since the Unix epoch).
    pub fn new(start_ms: u64) -> Self {
        Self { now_ms: watch::Sender::new(start_ms) }
    }

    /// Moves the time forward and wakes whoever slept until a time that has now come.
    pub fn step(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.now_ms.send_modify(|now_ms| *now_ms = now_ms.saturating_add(by_ms));
    }
}

impl Clock for SteppedClock {
    fn now_ms(&self) -> u64 {
        *self.now_ms.borrow()
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        let mut now = self.now_ms.subscribe();
        Box::pin(async move {
            if now.wait_for(|now_ms| *now_ms >= at_ms).await.is_err() {
                // The clock is gone, so this time never comes.
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = SteppedClock::new(1_000);
        let mut sleep = clock.sleep_until(3_000);
        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.step(Duration::from_millis(1_999));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.step(Duration::from_millis(1));
        sleep.await;
        assert_eq!(clock.now_ms(), 3_000);
    }

    #[tokio::test]
    async fn what_has_passed_needs_no_waiting() {
        SystemClock.sleep_until(SystemClock.now_ms()).await;
    }
}
