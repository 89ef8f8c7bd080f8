//! Deliveries: a job's events on their way to a target, the bells that ask for them, and what came of each try.

use async_trait::async_trait;
use convoke_domain::delivery::Delivery;
use convoke_domain::ids::{JobId, JobKey, TargetId, TenantId, WebhookId};
use serde::{Deserialize, Serialize};

use super::RunBell;
use super::{PortError, Saved};

/// A try to tell a webhook something, and what came of it. No secret, no body, no text of the place's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Version of the shape: 1.
    pub v: u8,
    /// A ULID: later tries have later ids.
    pub id: String,
    /// The message's id, the same for all tries at one event.
    pub message: String,
    /// Whose event it was; `None` for a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The event's number; 0 for a test.
    #[serde(default)]
    pub seq: u64,
    /// The event's type.
    pub event_type: String,
    /// Which try at it, from 1.
    pub attempt: u32,
    /// The HTTP status, where an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong, in words; `None` where it was acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether no further try follows by itself.
    #[serde(default)]
    pub gave_up: bool,
    /// How long it took.
    pub took_ms: u64,
    /// When it was made (Unix milliseconds).
    pub at_ms: u64,
    /// Unix seconds after which it is forgotten.
    pub expires_s: u64,
}

/// The state of deliveries, and the log of tries. A delivery is made by its job's submission.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// A delivery, strongly read.
    async fn delivery(&self, key: &JobKey, target: &TargetId) -> Result<Option<Delivery>, PortError>;

    /// Replaces a delivery by its next version in one conditional write. Idempotent by its mark. Never makes one.
    async fn save_delivery(&self, key: &JobKey, delivery: &Delivery) -> Result<Saved<Delivery>, PortError>;

    /// Notes a try; a repeat replaces it by the same.
    async fn log_attempt(&self, tenant: &TenantId, webhook: &WebhookId, attempt: &Attempt) -> Result<(), PortError>;

    /// Tries at a webhook, newest first, those before `before`; at most `limit`. What has expired may still be there.
    async fn attempts(
        &self,
        tenant: &TenantId,
        webhook: &WebhookId,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Attempt>, PortError>;

    /// A try by its id.
    async fn attempt(&self, tenant: &TenantId, webhook: &WebhookId, id: &str) -> Result<Option<Attempt>, PortError>;
}

/// "Look at this delivery." On the wire `{"v":1,"tenant":..,"job":..,"target":..}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeliveryBell {
    /// Version of the shape: 1.
    pub v: u8,
    /// Whose events.
    #[serde(flatten)]
    pub key: JobKey,
    /// Whom to tell.
    pub target: TargetId,
}

/// A delivery's bell and when to ring it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRing {
    /// What is rung.
    pub bell: DeliveryBell,
    /// Not before so many seconds, at most 900.
    pub delay_s: u32,
}

/// Rings for deliveries, on a queue of their own: a place that hangs holds up no step.
#[async_trait]
pub trait DeliveryBells: Send + Sync {
    /// Sends all, as [`Bells::ring`](super::Bells::ring) does.
    async fn ring_deliveries(&self, rings: &[DeliveryRing]) -> Result<(), PortError>;

    /// Rings at once for webhooks that are to be told of runs, on the same queue.
    async fn ring_runs(&self, bells: &[RunBell]) -> Result<(), PortError>;
}
