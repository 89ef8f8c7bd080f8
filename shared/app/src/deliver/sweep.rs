//! Looking for deliveries that nobody sees to (law 8).

use convoke_domain::ids::{JobKey, TargetId};
use futures_util::future::join_all;

use crate::platform::Platform;
use crate::ports::{PortError, Saved};

/// Shards of the due index.
const SHARDS: u8 = 4;
/// Deliveries of a shard that are read at once.
const PAGE: u32 = 100;
/// Pages of a shard that one tick looks at; what is left is the next one's.
const PAGES_MAX: u32 = 20;
/// Later than any delivery is ever due (Unix milliseconds), and a number that tables hold exactly.
const DUE_EVER_MS: u64 = 1 << 53;

impl Platform {
    /// Rings for every delivery that is due, all shards side by side; answers how many. What can't be looked at, be it a
    /// delivery or a shard, doesn't keep the others waiting.
    pub(crate) async fn ring_due_deliveries(&self, now_ms: u64) -> Result<u32, PortError> {
        let shards = join_all((0..SHARDS).map(|shard| self.ring_due_of(shard, now_ms))).await;
        for error in shards.iter().filter_map(|looked| looked.as_ref().err()) {
            tracing::error!(error = error as &dyn std::error::Error, "a shard of deliveries waits");
        }
        shards.into_iter().sum()
    }

    async fn ring_due_of(&self, shard: u8, now_ms: u64) -> Result<u32, PortError> {
        let mut looked = 0;
        for _ in 0..PAGES_MAX {
            let mut page = 0;
            for (key, target) in self.ports.sweeps.due_deliveries(shard, now_ms, PAGE).await? {
                page += 1;
                if let Err(error) = self.ring_due(&key, &target, now_ms).await {
                    tracing::error!(job = %key, %target, error = &error as &dyn std::error::Error, "a delivery waits");
                }
            }
            looked += page;
            // Those that were rung for aren't due any more: behind a full page there may be others.
            if page < PAGE {
                break;
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
