//! Faults, drawn from a seed: the same seed and the same calls give the same faults.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

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
    /// Jobs that an index doesn't show yet, or still shows.
    pub index_lags: u64,
}

type Hook = Arc<dyn Fn(&'static str) -> Fault + Send + Sync>;

/// Decides what happens to each call. Clones share their state.
#[derive(Clone)]
pub struct Faults {
    hook: Hook,
    message: Arc<dyn Fn() -> MessageFault + Send + Sync>,
    lags: Arc<dyn Fn() -> bool + Send + Sync>,
    ceased: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    begun: Arc<AtomicU64>,
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
        Self {
            hook: Arc::new(hook),
            message: Arc::new(|| MessageFault::None),
            lags: Arc::new(|| false),
            ceased: Arc::default(),
            count: Arc::default(),
            begun: Arc::default(),
        }
    }

    /// From now on nothing goes wrong any more.
    pub fn cease(&self) {
        self.ceased.store(true, Ordering::SeqCst);
    }

    /// How many calls were begun, applied or not.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// How many calls went wrong.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// At random, by `rates`.
    pub fn seeded(seed: u64, rates: Rates) -> Self {
        let dice = Arc::new(Dice::new(seed));
        let (of_messages, of_index) = (Arc::clone(&dice), Arc::clone(&dice));
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
        let lags = move || of_index.per_mille() < rates.index_lags;
        Self { message: Arc::new(message), lags: Arc::new(lags), ..Self::by(hook) }
    }

    /// Makes a call that may go wrong. Others get their turn before and after it: who is dropped at the first of the two
    /// has done nothing, who is dropped at the second has done it and doesn't know.
    pub async fn call<T>(
        &self,
        what: &'static str,
        call: impl FnOnce() -> Result<T, PortError> + Send,
    ) -> Result<T, PortError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Turn::default().await;
        let answer = match self.next(what) {
            Fault::None => call(),
            Fault::Throttled => Err(unavailable(what, "throttled")),
            Fault::AnswerLost => call().and_then(|_| Err(unavailable(what, "the answer was lost"))),
        };
        Turn::default().await;
        answer
    }

    fn next(&self, what: &'static str) -> Fault {
        if self.ceased.load(Ordering::SeqCst) {
            return Fault::None;
        }
        let fault = (self.hook)(what);
        self.count.fetch_add(u64::from(fault != Fault::None), Ordering::SeqCst);
        fault
    }

    /// What happens to the next message.
    pub fn message(&self) -> MessageFault {
        if self.ceased.load(Ordering::SeqCst) { MessageFault::None } else { (self.message)() }
    }

    /// Whether an index shows a job as it was, not as it is.
    pub fn lags(&self) -> bool {
        !self.ceased.load(Ordering::SeqCst) && (self.lags)()
    }
}

/// Lets others have their turn once.
#[derive(Default)]
struct Turn {
    taken: bool,
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.taken {
            return Poll::Ready(());
        }
        self.taken = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// An error that may be tried again.
fn unavailable(what: &'static str, why: &'static str) -> PortError {
    PortError::Unavailable { what, source: why.into() }
}

/// Splitmix64 behind a lock.
#[derive(Debug)]
pub struct Dice {
    state: Mutex<u64>,
}

impl Dice {
    /// Dice that fall as the seed says.
    pub const fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed) }
    }

    /// 64 random bits.
    pub fn next(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which isn't 0.
    pub fn below(&self, end: u64) -> u64 {
        self.next() % end
    }

    fn per_mille(&self) -> u64 {
        self.below(1_000)
    }
}
