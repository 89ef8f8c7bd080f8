//! A standard queue: at least once, in any order; what isn't deleted comes again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use convoke_app::ports::{Bell, Bells, DeliveryBell, DeliveryBells, DeliveryRing, Env, PortError, Ring, RunBell};

use super::env::FakeEnv;
use super::faults::{Faults, MessageFault};

/// Which of the two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Worked in batches.
    Steps,
    /// One message at a time.
    Solo,
}

/// A message that somebody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To delete it by.
    pub id: u64,
    /// What it says.
    pub bell: Bell,
    /// How often it was received, with this time.
    pub receives: u32,
}

#[derive(Clone, Debug)]
struct Message {
    id: u64,
    lane: Lane,
    bell: Bell,
    visible_at_ms: u64,
    receives: u32,
}

/// A bell of a delivery, and when it is heard.
type Waiting = Vec<(u64, DeliveryBell)>;

/// The queues of an installation, in memory. Clones are the same queues.
#[derive(Clone, Debug)]
pub struct FakeQueue {
    messages: Arc<Mutex<(u64, Vec<Message>)>>,
    deliveries: Arc<Mutex<Waiting>>,
    runs: Arc<Mutex<Vec<RunBell>>>,
    env: FakeEnv,
    faults: Faults,
}

impl FakeQueue {
    /// Empty queues, by that clock.
    pub fn new(env: FakeEnv, faults: Faults) -> Self {
        Self { messages: Arc::default(), deliveries: Arc::default(), runs: Arc::default(), env, faults }
    }

    /// Takes up to `max` messages that are visible, and hides them for `visibility_ms`.
    pub fn receive(&self, lane: Lane, max: usize, visibility_ms: u64) -> Vec<Delivery> {
        let now_ms = self.env.now_ms();
        let mut messages = self.lock();
        let visible = messages.1.iter_mut().filter(|m| m.lane == lane && m.visible_at_ms <= now_ms);
        let take = |message: &mut Message| {
            message.receives += 1;
            message.visible_at_ms = now_ms + visibility_ms;
            Delivery { id: message.id, bell: message.bell.clone(), receives: message.receives }
        };
        visible.take(max).map(take).collect()
    }

    /// Takes all bells of deliveries that are heard by now; who fails to answer one rings it again.
    pub fn take_deliveries(&self) -> Vec<DeliveryBell> {
        let now_ms = self.env.now_ms();
        let mut waiting = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = waiting.extract_if(.., |(at_ms, _)| *at_ms <= now_ms);
        heard.map(|(_, bell)| bell).collect()
    }

    /// Takes all bells of runs.
    pub fn take_runs(&self) -> Vec<RunBell> {
        std::mem::take(&mut *self.runs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When the next bell of a delivery is heard (Unix milliseconds).
    pub fn next_delivery_ms(&self) -> Option<u64> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(at_ms, _)| *at_ms).min()
    }

    /// Acknowledges a message; one that is gone already is no error.
    pub fn delete(&self, id: u64) {
        self.lock().1.retain(|message| message.id != id);
    }

    /// Loses all messages, as a process does that kept them in memory.
    pub fn lose_all(&self) {
        self.lock().1.clear();
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.take_runs();
    }

    /// The clock that delays go by.
    pub const fn env(&self) -> &FakeEnv {
        &self.env
    }

    /// All messages, also those that are hidden or delayed.
    pub fn len(&self) -> usize {
        self.lock().1.len()
    }

    /// Whether there is no message at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the next message becomes visible (Unix milliseconds).
    pub fn next_visible_ms(&self) -> Option<u64> {
        self.lock().1.iter().map(|message| message.visible_at_ms).min()
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Message>)> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, ring: &Ring) {
        let copies = match self.faults.message() {
            MessageFault::None => 1,
            MessageFault::Lost => 0,
            MessageFault::Doubled => 2,
        };
        let lane = if ring.solo { Lane::Solo } else { Lane::Steps };
        let visible_at_ms = self.env.now_ms() + u64::from(ring.delay_s.min(900)) * 1_000;
        let mut messages = self.lock();
        for _ in 0..copies {
            messages.0 += 1;
            let message = Message { id: messages.0, lane, bell: ring.bell.clone(), visible_at_ms, receives: 0 };
            messages.1.push(message);
        }
    }
}

#[async_trait]
impl Bells for FakeQueue {
    async fn ring(&self, rings: &[Ring]) -> Result<(), PortError> {
        // A batch may fail after others were sent.
        for batch in rings.chunks(10) {
            self.faults
                .call("ring", || {
                    for ring in batch {
                        self.send(ring);
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }

    async fn depth(&self) -> Result<u64, PortError> {
        let now_ms = self.env.now_ms();
        self.faults
            .call("depth", || {
                let waits = |message: &&Message| message.lane == Lane::Steps && message.visible_at_ms <= now_ms;
                Ok(self.lock().1.iter().filter(waits).count() as u64)
            })
            .await
    }
}

#[async_trait]
impl DeliveryBells for FakeQueue {
    async fn ring_deliveries(&self, rings: &[DeliveryRing]) -> Result<(), PortError> {
        self.faults
            .call("ring_deliveries", || {
                let now_ms = self.env.now_ms();
                let waiting = rings.iter().map(|ring| (now_ms + u64::from(ring.delay_s) * 1_000, ring.bell.clone()));
                self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).extend(waiting);
                Ok(())
            })
            .await
    }

    async fn ring_runs(&self, bells: &[RunBell]) -> Result<(), PortError> {
        self.faults
            .call("ring_runs", || {
                self.runs.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bells);
                Ok(())
            })
            .await
    }
}
