//! Telling targets of what has happened to their jobs.
//!
//! A bell asks for a look at one delivery. Whoever looks and finds something to tell claims the delivery by a conditional
//! write, tells events in order, one request each, and notes by a further write that one is acknowledged before the next
//! is sent. Bells may be lost, doubled, late: what is to be told follows from the delivery and the job's events. After a
//! release there is one more look, so that an event that was appended meanwhile isn't missed, although its bell found the
//! delivery taken.
//!
//! A delivery never changes anything about its job.

mod chat;
mod held;
mod message;
mod round;
mod sweep;

use convoke_domain::ids::{JobKey, TargetId};

use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::{DeliveryBell, DeliveryRing, EventKind, PortError};
use crate::work::{JobOutline, Until};

pub(crate) use chat::Told;
pub(crate) use message::{Message, SECRET_PREFIX, message_id};
pub(crate) use round::GONE;
use round::{Next, round};

/// Looks that one bell leads to at most.
const LOOKS_MAX: u32 = 16;
/// Longest delay that a queue knows; longer pauses are the clock's.
const DELAY_S_MAX: u64 = 900;
/// After which time a delivery goes on whose turn is over, in milliseconds: bells that wait are answered first.
const PASS_ON_MS: u64 = 5_000;

/// Why a delivery's bell wasn't answered.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// A port failed; the bell comes again where that helps.
    #[error("a delivery's storage failed")]
    Port(#[source] PortError),
    /// The job can't be looked at.
    #[error("the job of a delivery can't be looked at")]
    Job(#[source] Failure),
    /// What is stored doesn't fit together; an operator has to look.
    #[error("the delivery of {job} to {target} can't be made: {detail}")]
    Corrupt {
        /// Which job.
        job: String,
        /// To whom.
        target: String,
        /// What is wrong.
        detail: &'static str,
    },
}

impl DeliverError {
    /// Whether ringing again helps.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Port(error) => error.is_retryable(),
            Self::Job(Failure::Internal(error)) => error.is_retryable(),
            Self::Job(Failure::Refused(_)) | Self::Corrupt { .. } => false,
        }
    }
}

impl From<PortError> for DeliverError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl Platform {
    /// Tells a target what it hasn't been told of a job. Idempotent: what is acknowledged isn't sent again; where it isn't
    /// known whether something arrived, it is sent again with the same id.
    pub async fn deliver(&self, bell: &DeliveryBell, until: Until) -> Result<(), DeliverError> {
        for _ in 0..LOOKS_MAX {
            let next = match &bell.target {
                TargetId::Webhook(id) => round(self, bell, (id, until)).await?,
                TargetId::Chat(chat) => chat::round(self, bell, (chat, until)).await?,
            };
            match next {
                Next::Rest => return Ok(()),
                Next::Look => {}
            }
        }
        // So much happens that others are to have their turn.
        Ok(self.ring_delivery(&bell.key, &bell.target, 0).await?)
    }

    /// Rings for the targets of a job that want to be told of any of these events. Costs nothing where there is none.
    pub async fn announce<'k>(
        &self,
        flow: &JobOutline,
        kinds: impl Iterator<Item = &'k EventKind> + Clone,
    ) -> Result<(), PortError> {
        let targets = flow.definition.targets.iter();
        let wanting = targets.filter(|target| kinds.clone().any(|kind| target.events.wants(kind.type_name())));
        let rings: Vec<DeliveryRing> = wanting.map(|target| ring(&flow.key, &target.id, 0)).collect();
        if rings.is_empty() { Ok(()) } else { self.ports.delivery_bells.ring_deliveries(&rings).await }
    }

    /// Rings for a delivery, after a pause that a queue knows.
    pub(crate) async fn ring_delivery(&self, key: &JobKey, target: &TargetId, pause_ms: u64) -> Result<(), PortError> {
        self.ports.delivery_bells.ring_deliveries(&[ring(key, target, pause_ms)]).await
    }
}

fn ring(key: &JobKey, target: &TargetId, pause_ms: u64) -> DeliveryRing {
    let delay_s = pause_ms.div_ceil(1_000).min(DELAY_S_MAX);
    let bell = DeliveryBell { v: 1, key: key.clone(), target: target.clone() };
    DeliveryRing { bell, delay_s: u32::try_from(delay_s).unwrap_or(u32::MAX) }
}

/// Whether a queue can wait so long.
const fn fits_queue(pause_ms: u64) -> bool {
    pause_ms <= DELAY_S_MAX * 1_000
}
