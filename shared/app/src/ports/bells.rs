//! The queue: messages are doorbells and carry ids only.

use async_trait::async_trait;
use convoke_domain::ids::{GroupId, JobKey, SlotId};
use serde::{Deserialize, Serialize};

use super::PortError;

/// "Look at this slot." On the wire `{"v":1,"tenant":..,"job":..,"group":..,"slot":..}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bell {
    /// Version of the shape: 1.
    pub v: u8,
    /// Which job.
    #[serde(flatten)]
    pub key: JobKey,
    /// Which group.
    pub group: GroupId,
    /// Which slot; `None` asks for a look at the whole job (a sweep).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotId>,
}

/// A bell and how to ring it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// What is rung.
    pub bell: Bell,
    /// Not before so many seconds, at most 900.
    pub delay_s: u32,
    /// On the queue whose batches have one message: for a step that may kill its process.
    pub solo: bool,
}

/// Rings bells.
#[async_trait]
pub trait Bells: Send + Sync {
    /// Sends all, in batches of up to ten; repeats what the service refused, a few times. On an error some may have been
    /// rung: ring all again, a bell that rings twice is harmless.
    async fn ring(&self, rings: &[Ring]) -> Result<(), PortError>;

    /// Messages that wait in the step queue, approximately: the sweep rings nothing while it is deep.
    async fn depth(&self) -> Result<u64, PortError>;
}
