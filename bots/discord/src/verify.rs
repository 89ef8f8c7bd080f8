//! Whether a request that says it comes from Discord does.
//!
//! Discord signs the timestamp and the body with a key of the application. That says who wrote them, not when they were
//! sent: whoever has seen a request can send it again. So a timestamp has to be of now, and the interaction's id is
//! claimed before it has an effect (see [`crate::inbound`]).

use serenity::interactions_endpoint::{InvalidKey, Verifier};

use crate::settings::PublicKey;

/// How far a timestamp may be from now, either way.
pub const TOLERANCE_S: u64 = 300;

/// The application's public key is none. Final until somebody sets another one.
#[derive(Debug, thiserror::Error)]
#[error("DISCORD_PUBLIC_KEY is no key of the kind that Discord has: copy it anew from your application's page")]
pub struct KeyError(#[source] InvalidKey);

/// Why a request isn't believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelieved {
    /// No signature, or one that isn't of this body and time: somebody else, or Discord trying whether we look.
    #[error("the signature is none of this request")]
    Signature,
    /// Signed, but not now: somebody plays an old one again.
    #[error("the request is more than {TOLERANCE_S} s from now")]
    Time,
}

/// Checks requests of one application.
#[derive(Clone)]
pub struct Requests {
    verifier: Verifier,
}

impl Requests {
    /// Requests that are signed for this key.
    pub fn new(key: PublicKey) -> Result<Self, KeyError> {
        Verifier::try_new(key).map(|verifier| Self { verifier }).map_err(KeyError)
    }

    /// Whether `body` was signed with `timestamp` (Unix seconds, as text), and just now. The signature is looked at first:
    /// who isn't Discord learns nothing else.
    pub fn check(&self, (signature, timestamp): (&str, &str), body: &[u8], now_ms: u64) -> Result<(), Unbelieved> {
        self.verifier.verify(signature, timestamp, body).map_err(|()| Unbelieved::Signature)?;
        let sent_s: u64 = timestamp.parse().map_err(|_| Unbelieved::Time)?;
        if sent_s.abs_diff(now_ms / 1_000) > TOLERANCE_S { Err(Unbelieved::Time) } else { Ok(()) }
    }
}
