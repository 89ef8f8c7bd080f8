//! `Bells` and `DeliveryBells` over SQS.

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use convoke_app::ports::{Bells, DeliveryBells, DeliveryRing, PortError, Ring, RunBell};
use convoke_domain::ids::TenantId;
use serde::Serialize;

use crate::error::{port_error, refused, unavailable};
use crate::jitter::Jitter;

const RING: &str = "the queue (ringing)";
const DEPTH: &str = "the queue (reading its depth)";

/// Most messages of a batch.
const BATCH: usize = 10;

/// How often entries are sent at most that the service didn't take.
const TRIES: u32 = 5;

/// Longest delay that a queue knows.
const DELAY_S_MAX: u32 = 900;

/// Two standard queues: one whose messages are worked in batches, and one for steps that may kill their process.
///
/// A message's group is its tenant: where many messages of one wait, SQS lets those of others pass (fair queues).
#[derive(Debug)]
pub struct SqsBells {
    sender: Sender,
    queue_url: String,
    solo_url: String,
}

/// The standard queue of deliveries.
#[derive(Debug)]
pub struct SqsDeliveryBells {
    sender: Sender,
    queue_url: String,
}

/// Sends batches.
#[derive(Debug)]
struct Sender {
    client: Client,
    jitter: Jitter,
}

/// Entries that the service didn't take.
#[derive(Debug, thiserror::Error)]
#[error("{count} of a batch were not taken: {code}")]
struct NotTaken {
    count: usize,
    code: String,
}

/// A depth that is no number.
#[derive(Debug, thiserror::Error)]
#[error("the queue doesn't say how deep it is")]
struct NoDepth;

impl SqsBells {
    /// The step queue and the solo queue; `seed` draws the pauses between tries.
    pub fn new(client: Client, queue_url: impl Into<String>, solo_url: impl Into<String>, seed: u64) -> Self {
        let sender = Sender { client, jitter: Jitter::new(seed) };
        Self { sender, queue_url: queue_url.into(), solo_url: solo_url.into() }
    }
}

impl SqsDeliveryBells {
    /// The queue of deliveries; `seed` draws the pauses between tries.
    pub fn new(client: Client, queue_url: impl Into<String>, seed: u64) -> Self {
        Self { sender: Sender { client, jitter: Jitter::new(seed) }, queue_url: queue_url.into() }
    }
}

impl Sender {
    async fn send(&self, url: &str, mut left: Vec<SendMessageBatchRequestEntry>) -> Result<(), PortError> {
        for attempt in 0..TRIES {
            let send = self.client.send_message_batch().queue_url(url).set_entries(Some(left.clone()));
            let answer = send.send().await.map_err(|error| port_error(RING, error))?;
            let Some(first) = answer.failed().first() else { return Ok(()) };
            let not_taken = NotTaken { count: answer.failed().len(), code: first.code().to_owned() };
            if let Some(fault) = answer.failed().iter().find(|entry| entry.sender_fault()) {
                return Err(refused(RING, NotTaken { code: fault.code().to_owned(), ..not_taken }));
            }
            if attempt + 1 == TRIES {
                return Err(unavailable(RING, not_taken));
            }
            left.retain(|entry| answer.failed().iter().any(|failed| failed.id() == entry.id()));
            self.jitter.pause(attempt).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Bells for SqsBells {
    async fn ring(&self, rings: &[Ring]) -> Result<(), PortError> {
        for (url, solo) in [(&self.queue_url, false), (&self.solo_url, true)] {
            let of_queue: Vec<&Ring> = rings.iter().filter(|ring| ring.solo == solo).collect();
            for batch in of_queue.chunks(BATCH) {
                let messages = batch.iter().map(|ring| (&ring.bell, &ring.bell.key.tenant, ring.delay_s));
                self.sender.send(url, entries(messages)?).await?;
            }
        }
        Ok(())
    }

    async fn depth(&self) -> Result<u64, PortError> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let ask = self.sender.client.get_queue_attributes().queue_url(&self.queue_url).attribute_names(name.clone());
        let answer = ask.send().await.map_err(|error| port_error(DEPTH, error))?;
        let depth = answer.attributes().and_then(|all| all.get(&name)).and_then(|depth| depth.parse().ok());
        depth.ok_or_else(|| refused(DEPTH, NoDepth))
    }
}

#[async_trait]
impl DeliveryBells for SqsDeliveryBells {
    async fn ring_deliveries(&self, rings: &[DeliveryRing]) -> Result<(), PortError> {
        for batch in rings.chunks(BATCH) {
            let messages = batch.iter().map(|ring| (&ring.bell, &ring.bell.key.tenant, ring.delay_s));
            self.sender.send(&self.queue_url, entries(messages)?).await?;
        }
        Ok(())
    }

    async fn ring_runs(&self, bells: &[RunBell]) -> Result<(), PortError> {
        for batch in bells.chunks(BATCH) {
            let messages = batch.iter().map(|bell| (bell, &bell.tenant, 0));
            self.sender.send(&self.queue_url, entries(messages)?).await?;
        }
        Ok(())
    }
}

/// A batch of messages, each with its tenant and its delay in seconds.
fn entries<'a, B: Serialize + 'a>(
    messages: impl Iterator<Item = (&'a B, &'a TenantId, u32)>,
) -> Result<Vec<SendMessageBatchRequestEntry>, PortError> {
    let entry = |(place, (bell, tenant, delay_s)): (usize, (&B, &TenantId, u32))| {
        let body = serde_json::to_string(bell).map_err(|error| refused(RING, error))?;
        let delay_s = i32::try_from(delay_s.min(DELAY_S_MAX)).unwrap_or(i32::MAX);
        let entry = SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(body);
        let entry = entry.message_group_id(tenant.as_str());
        entry.delay_seconds(delay_s).build().map_err(|error| refused(RING, error))
    };
    messages.enumerate().map(entry).collect()
}
