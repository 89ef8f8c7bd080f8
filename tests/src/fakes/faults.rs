//! Faults, drawn from a seed: the same seed and the same calls give the same faults.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use convoke_app::ports::PortError;

/// What happens to a call of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It is throttled: not applied, and the caller is told that it may not have been.
    Throttled,
    /// It is applied, and its answer is lost.
    AnswerLost,
}

/// What happens to a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageFault {
    /// Nothing.
    #[default]
    None,
    /// It is lost.
    Lost,
    /// It comes twice.
    Doubled,
}

/// How often, in thousandths, each fault happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Calls that are throttled.
    pub throttled: u64,
    /// Calls whose answer is lost.
    pub answer_lost: u64,
    /// Messages that are lost.
    pub message_lost: u64,
    /// Messages that come twice.
    pub message_doubled: u64,
}

type Hook = Arc<dyn Fn(&'static str) -> Fault + Send + Sync>;

/// Decides what happens to each call. Clones share their state.
#[derive(Clone)]
pub struct Faults {
    hook: Hook,
    message: Arc<dyn Fn() -> MessageFault + Send + Sync>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::by(|_| Fault::None)
    }
}

impl Faults {
    /// As the hook says for a call of that name (`"apply"`, `"put_result"`, ...); messages arrive.
    pub fn by(hook: impl Fn(&'static str) -> Fault + Send + Sync + 'static) -> Self {
        Self { hook: Arc::new(hook), message: Arc::new(|| MessageFault::None) }
    }

    /// At random, by `rates`.
    pub fn seeded(seed: u64, rates: Rates) -> Self {
        let dice = Arc::new(Dice::new(seed));
        let of_messages = Arc::clone(&dice);
        let hook = move |_: &'static str| match dice.per_mille() {
            roll if roll < rates.throttled => Fault::Throttled,
            roll if roll < rates.throttled + rates.answer_lost => Fault::AnswerLost,
            _ => Fault::None,
        };
        let message = move || match of_messages.per_mille() {
            roll if roll < rates.message_lost => MessageFault::Lost,
            roll if roll < rates.message_lost + rates.message_doubled => MessageFault::Doubled,
            _ => MessageFault::None,
        };
        Self { hook: Arc::new(hook), message: Arc::new(message) }
    }

    /// Makes a call that may go wrong.
    pub fn call<T>(&self, what: &'static str, call: impl FnOnce() -> Result<T, PortError>) -> Result<T, PortError> {
        match (self.hook)(what) {
            Fault::None => call(),
            Fault::Throttled => Err(unavailable(what, "throttled")),
            Fault::AnswerLost => call().and_then(|_| Err(unavailable(what, "the answer was lost"))),
        }
    }

    /// What happens to the next message.
    pub fn message(&self) -> MessageFault {
        (self.message)()
    }
}

/// An error that may be tried again.
fn unavailable(what: &'static str, why: &'static str) -> PortError {
    PortError::Unavailable { what, source: why.into() }
}

/// Splitmix64 behind a lock.
#[derive(Debug)]
pub(crate) struct Dice {
    state: Mutex<u64>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed) }
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn per_mille(&self) -> u64 {
        self.next() % 1_000
    }
}
