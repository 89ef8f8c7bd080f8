//! A clock that is wound by hand, and randomness from a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use convoke_app::ports::Env;

use super::faults::Dice;

/// The clock and the randomness of a test. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct FakeEnv {
    now_ms: Arc<AtomicU64>,
    dice: Arc<Dice>,
    ahead_ms: u64,
}

impl FakeEnv {
    /// A clock that stands at `now_ms`.
    pub fn new(now_ms: u64, seed: u64) -> Self {
        Self { now_ms: Arc::new(AtomicU64::new(now_ms)), dice: Arc::new(Dice::new(seed)), ahead_ms: 0 }
    }

    /// The same clock as a machine reads it that is ahead of the others.
    #[must_use]
    pub fn ahead(&self, ms: u64) -> Self {
        Self { ahead_ms: ms, ..self.clone() }
    }

    /// Winds the clock forward.
    pub fn wind(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// So many characters of an alphabet of 32.
    fn draw(&self, alphabet: &[u8; 32], count: usize) -> String {
        (0..count).map(|_| char::from(alphabet[(self.dice.next() % 32) as usize])).collect()
    }
}

const LOWER: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Env for FakeEnv {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst) + self.ahead_ms
    }

    fn nonce(&self) -> String {
        self.draw(LOWER, 13)
    }

    fn ulid(&self) -> String {
        let now_ms = self.now_ms();
        let digit = |place: u32| char::from(CROCKFORD[(now_ms >> (5 * place) & 31) as usize]);
        let time: String = (0..10).rev().map(digit).collect();
        format!("{time}{}", self.draw(CROCKFORD, 16))
    }

    fn secret(&self) -> [u8; 32] {
        std::array::from_fn(|_| self.dice.next().to_le_bytes()[0])
    }
}
