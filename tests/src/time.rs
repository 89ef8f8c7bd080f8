//! The time of an installation that a test may move: it runs as the machine's does, and jumps when it is told to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use convoke::stack::clock::Clock;
use convoke_app::ports::Env;
use convoke_runtime::SystemEnv;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The time of the stack and of the platform. Clones are the same time.
#[derive(Clone, Debug)]
pub struct Time {
    ahead_ms: watch::Sender<i64>,
}

impl Default for Time {
    fn default() -> Self {
        Self { ahead_ms: watch::Sender::new(0) }
    }
}

impl Time {
    /// Jumps forward.
    pub fn forward(&self, by: Duration) {
        self.ahead_ms.send_modify(|ahead_ms| *ahead_ms += ms(by));
    }

    /// Jumps back.
    pub fn back(&self, by: Duration) {
        self.ahead_ms.send_modify(|ahead_ms| *ahead_ms -= ms(by));
    }

    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(ms(since) + *self.ahead_ms.borrow()).unwrap_or_default()
    }
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("a time of this age")
}

impl Clock for Time {
    fn now_ms(&self) -> u64 {
        self.now()
    }

    fn sleep_until(&self, at_ms: u64) -> BoxFuture<'static, ()> {
        let (time, mut jumps) = (self.clone(), self.ahead_ms.subscribe());
        Box::pin(async move {
            loop {
                jumps.mark_unchanged();
                let left_ms = at_ms.saturating_sub(time.now());
                if left_ms == 0 {
                    return;
                }
                // Whether it jumps or not, the time is looked at again.
                drop(tokio::time::timeout(Duration::from_millis(left_ms), jumps.changed()).await);
            }
        })
    }
}

impl Env for Time {
    fn now_ms(&self) -> u64 {
        self.now()
    }

    fn nonce(&self) -> String {
        SystemEnv.nonce()
    }

    fn ulid(&self) -> String {
        let now_ms = self.now();
        let digit = |place: u32| char::from(CROCKFORD[(now_ms >> (5 * place) & 31) as usize]);
        let time: String = (0..10).rev().map(digit).collect();
        format!("{time}{}", &SystemEnv.ulid()[10..])
    }

    fn secret(&self) -> [u8; 32] {
        SystemEnv.secret()
    }
}
