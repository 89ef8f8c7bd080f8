//! Requests to places that callers name: the one way out of an installation to where anybody wants.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// A request to a place that a caller named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where.
    pub url: String,
    /// Headers by lower-case name, beside `content-type: application/json`.
    pub headers: Vec<(&'static str, String)>,
    /// The body: JSON.
    pub body: Bytes,
}

/// What a place answered. Its body isn't kept: nobody is to read by us what they can't read themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The status.
    pub status: u16,
    /// How long it wants to be left alone (`Retry-After`).
    pub retry_after: Option<Duration>,
}

/// A URL that nothing is sent to, and why: the caller's to mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UrlRefused {
    /// What is wrong with it.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

/// Why no answer came. Never names a part of the URL, which may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The place isn't one to send anything to: its name leads to an address that isn't public.
    #[error("{0}")]
    Refused(String),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It can't be reached, or the connection broke.
    #[error("{0}")]
    Failed(String),
}

/// The one guarded way out.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Posts once: no redirect is followed, no private address reached, no more than 10 s taken, no more than 4 KiB of the
    /// answer read. Whether to try again is the caller's to decide; the place may have got the request where no answer
    /// came.
    async fn post(&self, request: Outgoing) -> Result<Posted, OutboundError>;

    /// What a URL itself shows: whether anything is ever sent there. Where its name leads is looked at when it is used.
    fn check_url(&self, url: &str) -> Result<(), UrlRefused>;
}
