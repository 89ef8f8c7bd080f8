//! Looking for deliveries that nobody sees to (law 8).

use convoke_domain::ids::{JobKey, TargetId};

use crate::platform::Platform;
use crate::ports::{PortError, Saved};

/// Shards of the due index.
const SHARDS: u8 = 4;
/// Deliveries of a shard that one tick looks at.
const PER_SHARD: u32 = 100;
/// Later than any delivery is ever due (Unix milliseconds), and a number that tables hold exactly.
const DUE_EVER_MS: u64 = 1 << 53;

impl Platform {
    /// Rings for every delivery that is due; answers how many. One that can't be looked at doesn't keep the others waiting.
    pub(crate) async fn ring_due_deliveries(&self, now_ms: u64) -> Result<u32, PortError> {
        let mut looked = 0;
        for shard in 0..SHARDS {
            for (key, target) in self.ports.sweeps.due_deliveries(shard, now_ms, PER_SHARD).await? {
                looked += 1;
                if let Err(error) = self.ring_due(&key, &target, now_ms).await {
                    tracing::error!(job = %key, %target, error = &error as &dyn std::error::Error, "a delivery waits");
                }
            }
        }
        Ok(looked)
    }

    /// `due` moves before the bell is rung: one that ends its process doesn't ring every minute.
    async fn ring_due(&self, key: &JobKey, target: &TargetId, now_ms: u64) -> Result<(), PortError> {
        let Some(delivery) = self.ports.deliveries.delivery(key, target).await? else { return Ok(()) };
        // What the index shows may be gone by.
        if delivery.due_ms.is_none_or(|due_ms| due_ms > now_ms) {
            return Ok(());
        }
        let next = delivery.looked_at(self.ports.env.nonce(), now_ms);
        match self.ports.deliveries.save_delivery(key, &next).await? {
            Saved::Done => self.ring_delivery(key, target, 0).await,
            // Somebody sees to it just now.
            Saved::Conflict(_) | Saved::Missing => Ok(()),
        }
    }

    /// Takes up the deliveries that a process left behind that is dead for certain: whoever was at one isn't any more, and
    /// its bells are gone. Idempotent.
    pub(crate) async fn take_up_deliveries(&self) -> Result<(), PortError> {
        for shard in 0..SHARDS {
            for (key, target) in self.ports.sweeps.due_deliveries(shard, DUE_EVER_MS, u32::MAX).await? {
                if let Err(error) = self.take_up(&key, &target).await {
                    tracing::error!(job = %key, %target, error = &error as &dyn std::error::Error, "a delivery waits");
                }
            }
        }
        Ok(())
    }

    async fn take_up(&self, key: &JobKey, target: &TargetId) -> Result<(), PortError> {
        let Some(delivery) = self.ports.deliveries.delivery(key, target).await? else { return Ok(()) };
        let now_ms = self.ports.env.now_ms();
        if delivery.lease.is_some() {
            let lapsed = delivery.lapsed(self.ports.env.nonce(), now_ms);
            if self.ports.deliveries.save_delivery(key, &lapsed).await? != Saved::Done {
                return Ok(());
            }
        }
        let pause_ms = delivery.not_before_ms.saturating_sub(now_ms);
        if super::fits_queue(pause_ms) { self.ring_delivery(key, target, pause_ms).await } else { Ok(()) }
    }
}
