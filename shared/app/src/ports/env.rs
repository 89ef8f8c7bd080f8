//! Clock and randomness.

/// The clock and the randomness of the process. Tests have one that they wind by hand.
pub trait Env: Send + Sync {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;

    /// A fresh random text of 13 characters `[a-z0-9]` (64 bits or more).
    fn nonce(&self) -> String;

    /// A fresh ULID in upper case, of this moment.
    fn ulid(&self) -> String;

    /// 32 fresh random bytes, fit for a secret.
    fn secret(&self) -> [u8; 32];
}
