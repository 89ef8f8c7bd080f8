//! The machine's clock and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use convoke_app::ports::Env;

/// The clock and the randomness of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv;

const LOWER: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl SystemEnv {
    fn bytes<const N: usize>() -> [u8; N] {
        let mut bytes = [0; N];
        // Without randomness there are no fences and no secrets: better not to run at all.
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        bytes
    }

    fn letters<const N: usize>(alphabet: &[u8; 32]) -> String {
        Self::bytes::<N>().iter().map(|byte| char::from(alphabet[usize::from(byte % 32)])).collect()
    }
}

impl Env for SystemEnv {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn nonce(&self) -> String {
        Self::letters::<13>(LOWER)
    }

    fn ulid(&self) -> String {
        let now_ms = self.now_ms();
        let digit = |place: u32| char::from(CROCKFORD[(now_ms >> (5 * place) & 31) as usize]);
        let time: String = (0..10).rev().map(digit).collect();
        format!("{time}{}", Self::letters::<16>(CROCKFORD))
    }

    fn secret(&self) -> [u8; 32] {
        Self::bytes()
    }
}

#[cfg(test)]
mod tests {
    use convoke_domain::ids::JobId;

    use super::*;

    #[test]
    fn ids_are_ids_and_sort_by_time() {
        let (first, second) = (SystemEnv.ulid(), SystemEnv.ulid());
        assert!(first.parse::<JobId>().is_ok(), "{first}");
        assert!(first[..10] <= second[..10]);
        assert_ne!(first, second);
        assert_eq!(SystemEnv.nonce().len(), 13);
    }
}
