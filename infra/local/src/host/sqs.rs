//! The queue event source: long polls, batches, partial failures.
//!
//! A message is deleted once its batch was handled and it isn't among the reported failures. Whatever fails, also by a
//! throttle, a time-out or a panic of the whole batch, becomes visible again when its time-out ends; the queue counts and
//! redrives. There is one open poll while nothing comes, so idling costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::invoke::{INVOKE_BYTES_MAX, Runner};

/// Messages in a batch, at most: one receive.
const BATCH_MAX: usize = 10;

/// How long a poll waits.
const POLL_S: i32 = 20;

/// Pause after a poll that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What a record needs besides its message.
const RECORD_ROOM_BYTES: usize = 2_048;

/// A queue whose messages go to a function.
#[derive(Clone, Debug)]
pub struct QueueSource {
    /// The queue.
    pub queue_url: String,
    /// The function.
    pub function: String,
    /// Messages in a batch, 1 to 10.
    pub batch_size: usize,
    /// How long an unfilled batch waits for more messages; whole seconds, as on AWS.
    pub batching_window: Duration,
    /// Batches handled at the same time.
    pub concurrency_max: usize,
}

impl QueueSource {
    /// Batches of up to 10 that don't wait for more, 5 at a time.
    pub fn new(queue_url: &str, function: &str) -> Self {
        Self {
            queue_url: queue_url.to_owned(),
            function: function.to_owned(),
            batch_size: BATCH_MAX,
            batching_window: Duration::ZERO,
            concurrency_max: 5,
        }
    }
}

/// What a handler reports of its batch.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchAnswer {
    #[serde(default)]
    batch_item_failures: Option<Vec<ItemFailure>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    #[serde(default)]
    item_identifier: Option<String>,
}

/// A poller of one queue.
#[derive(Clone, Debug)]
pub(super) struct Poller {
    pub source: QueueSource,
    pub client: aws_sdk_sqs::Client,
    pub runner: Arc<Runner>,
    pub stop: CancellationToken,
    /// Batches under way.
    pub batches: TaskTracker,
}

impl Poller {
    /// Polls until the host stops.
    pub(super) async fn run(self) {
        let slots = Arc::new(Semaphore::new(self.source.concurrency_max.max(1)));
        loop {
            let slot = tokio::select! {
                slot = Arc::clone(&slots).acquire_owned() => slot,
                () = self.stop.cancelled() => return,
            };
            let Ok(slot) = slot else { return };
            let messages = self.gather().await;
            if messages.is_empty() {
                if self.stop.is_cancelled() {
                    return;
                }
                continue;
            }
            let poller = self.clone();
            self.batches.spawn(async move {
                let _slot = slot;
                for batch in within_limit(messages) {
                    poller.handle(batch).await;
                }
            });
        }
    }

    /// One receive, and more of them while the batching window is open and the batch isn't full.
    async fn gather(&self) -> Vec<Message> {
        let full = self.source.batch_size.clamp(1, BATCH_MAX);
        let mut messages = self.receive(full, POLL_S).await;
        let window_ms = u64::try_from(self.source.batching_window.as_millis()).unwrap_or(u64::MAX);
        let closes_ms = self.runner.clock.now_ms().saturating_add(window_ms);
        while !messages.is_empty() && messages.len() < full && !self.stop.is_cancelled() {
            let left_ms = closes_ms.saturating_sub(self.runner.clock.now_ms());
            if left_ms == 0 {
                break;
            }
            let wait_s = i32::try_from(left_ms.div_ceil(1_000)).unwrap_or(POLL_S).min(POLL_S);
            messages.extend(self.receive(full - messages.len(), wait_s).await);
        }
        messages
    }

    async fn receive(&self, most: usize, wait_s: i32) -> Vec<Message> {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.source.queue_url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .wait_time_seconds(wait_s);
        let received = tokio::select! {
            received = receive.send() => received,
            () = self.stop.cancelled() => return Vec::new(),
        };
        match received {
            Ok(received) => received.messages.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, queue = self.source.queue_url, "a poll failed");
                tokio::time::sleep(RETRY_PAUSE).await;
                Vec::new()
            }
        }
    }

    async fn handle(&self, messages: Vec<Message>) {
        let name = self.source.queue_url.rsplit('/').next().unwrap_or_default();
        let records: Vec<Value> = messages.iter().map(|message| record(name, message)).collect();
        let event = json!({"Records": records}).to_string();
        match self.runner.invoke(&self.source.function, event.into()).await {
            Ok(answer) => {
                let Some(failed) = failed_ids(&answer, &messages) else {
                    tracing::error!(queue = name, "a batch's answer is none, or names a message that isn't in it");
                    return;
                };
                self.delete(&messages, &failed).await;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, queue = name, "a batch failed and is redelivered");
            }
        }
    }

    async fn delete(&self, messages: &[Message], failed: &BTreeSet<String>) {
        let done = messages.iter().filter(|message| !failed.contains(message.message_id().unwrap_or_default()));
        let entries: Vec<_> = done
            .enumerate()
            .filter_map(|(number, message)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string());
                entry.receipt_handle(message.receipt_handle()?).build().ok()
            })
            .collect();
        if entries.is_empty() {
            return;
        }
        let delete = self.client.delete_message_batch().queue_url(&self.source.queue_url).set_entries(Some(entries));
        if let Err(error) = delete.send().await {
            // They come again, and their handler finds them done.
            tracing::warn!(error = &error as &dyn Error, "handled messages could not be deleted");
        }
    }
}

/// Cuts a batch so that no event exceeds what a function takes: ten messages may have 10 MiB.
fn within_limit(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let (mut batches, mut bytes): (Vec<Vec<Message>>, usize) = (Vec::new(), 0);
    for message in messages {
        // A character may take six bytes when it is escaped.
        let size = message.body().map_or(0, json_bytes) + RECORD_ROOM_BYTES;
        match batches.last_mut() {
            Some(batch) if bytes + size <= INVOKE_BYTES_MAX => {
                batch.push(message);
                bytes += size;
            }
            _ => {
                batches.push(vec![message]);
                bytes = size;
            }
        }
    }
    batches
}

fn json_bytes(text: &str) -> usize {
    serde_json::to_string(text).map_or(usize::MAX, |text| text.len())
}

/// The ids that the answer reports as failed; `None` if it reports one that isn't in the batch, which fails all.
fn failed_ids(answer: &[u8], messages: &[Message]) -> Option<BTreeSet<String>> {
    let answer: Option<BatchAnswer> = serde_json::from_slice(answer).ok()?;
    let failures = answer.and_then(|answer| answer.batch_item_failures).unwrap_or_default();
    let known: BTreeSet<&str> = messages.iter().filter_map(Message::message_id).collect();
    failures.into_iter().map(|failure| failure.item_identifier.filter(|id| known.contains(id.as_str()))).collect()
}

fn record(queue: &str, message: &Message) -> Value {
    let system = message.attributes().map(|attributes| {
        attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<BTreeMap<_, _>>()
    });
    let attributes: Map<String, Value> = message
        .message_attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let mut attribute = json!({"dataType": value.data_type(), "stringListValues": [], "binaryListValues": []});
            if let Some(text) = value.string_value() {
                attribute["stringValue"] = text.into();
            }
            if let Some(binary) = value.binary_value() {
                attribute["binaryValue"] = STANDARD.encode(binary).into();
            }
            (name.clone(), attribute)
        })
        .collect();
    json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": system.unwrap_or_default(),
        "messageAttributes": attributes,
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
        "awsRegion": "us-east-1",
    })
}
