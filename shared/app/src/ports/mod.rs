//! What the use cases need of the outside: narrow traits, implemented by `convoke-aws` and by the fakes of the tests.
//!
//! No method takes an id without a tenant (keys, the sweep and inbound claims are the documented exceptions).

mod bells;
mod blobs;
mod chat_host;
mod chats;
mod deliveries;
mod env;
mod outbound;
mod records;
mod reviews;
mod schedules;
mod store;
mod webhooks;

pub use bells::{Bell, Bells, Ring};
pub use blobs::{BlobKey, Blobs, PresignedUrl};
pub use chat_host::{
    Attachment, CardNotice, ChatError, ChatHost, ChatHosts, DIGEST_MAX, EndNotice, FilesMax, Form, Notice,
    PostedMessage, Rendered, ReviewNotice, RunNotice,
};
pub use chats::{
    Button, Claimed, Inbox, Link, LinkCode, Linked, Links, Requester, Rooms, Standing, UpdateId, WhoMay, Wish,
};
pub use deliveries::{Attempt, Deliveries, DeliveryBell, DeliveryBells, DeliveryRing};
pub use env::Env;
pub use outbound::{Outbound, OutboundError, Outgoing, Posted, UrlRefused};
pub use records::{
    Definition, Event, EventKind, FileRef, JobHead, JobRow, Judged, KeyRecord, MADE_BY, Manifest, Payload, Progress,
    StepRecord, TurnRecord,
};
pub use reviews::{DecidedBy, DecisionRecord, ReviewRecord, Reviewed, Reviews, Shown};
pub use schedules::{
    Awaited, Batch, DueSchedule, RunBell, RunJob, RunRecord, RunTarget, ScheduleRecord, Schedules, Tick, Timing,
};
pub use store::{
    Applied, EventPage, Events, Fetched, Groups, Idempotency, JobFilter, JobPage, Jobs, Keys, Reads, Steps, Submission,
    Submitted, Sweeps,
};
pub use webhooks::{
    ALL_EVENTS, Disabled, EarlierSecret, RUN_ENDED, Saved, SigningSecret, Target, Wanted, Webhook, Webhooks,
};

/// Why a port didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Throttled, time-out, connection lost, 5xx: may or may not have been applied. Try again; every call of the ports
    /// says how a repeat is recognised.
    #[error("{what} is unavailable")]
    Unavailable {
        /// Which call.
        what: &'static str,
        /// What the service said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Access denied, a missing table, a malformed request: final until an operator mends it.
    #[error("{what} is refused")]
    Refused {
        /// Which call.
        what: &'static str,
        /// What the service said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is stored can't be read by this code. Final.
    #[error("{what} is stored in a form that can't be read: {detail}")]
    Corrupt {
        /// Which item.
        what: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl PortError {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Refused { .. } | Self::Corrupt { .. } => false,
        }
    }
}
