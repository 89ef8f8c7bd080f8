//! A queue's attributes: which there are, their defaults and limits (SQS API Reference, `SetQueueAttributes`).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::error::Refusal;

/// The largest message, with its attributes, and the largest batch.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_048_576;

/// A message can be hidden for at most 12 hours.
pub(super) const VISIBILITY_S: RangeInclusive<u64> = 0..=43_200;

/// A message can be delayed for at most 15 minutes.
pub(super) const DELAY_S: RangeInclusive<u64> = 0..=900;

/// A receive waits for at most 20 seconds.
pub(super) const WAIT_S: RangeInclusive<u64> = 0..=20;

/// Where a message goes that was received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redrive {
    /// Name of the dead-letter queue.
    pub target: String,
    /// Receives that a message survives.
    pub receives_max: u32,
}

/// What can be set on a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub visibility_s: u64,
    pub delay_s: u64,
    pub retention_s: u64,
    pub wait_s: u64,
    pub message_bytes_max: usize,
    pub redrive: Option<Redrive>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            visibility_s: 30,
            delay_s: 0,
            retention_s: 345_600,
            wait_s: 0,
            message_bytes_max: MESSAGE_BYTES_MAX,
            redrive: None,
        }
    }
}

/// The redrive policy as SQS writes it. The count may be a number or its text.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: serde_json::Value,
}

impl Settings {
    /// These settings with some changed.
    pub(super) fn with(mut self, changes: &BTreeMap<String, String>) -> Result<Self, Refusal> {
        for (name, value) in changes {
            match name.as_str() {
                "VisibilityTimeout" => self.visibility_s = number(name, value, VISIBILITY_S)?,
                "DelaySeconds" => self.delay_s = number(name, value, DELAY_S)?,
                "MessageRetentionPeriod" => self.retention_s = number(name, value, 60..=1_209_600)?,
                "ReceiveMessageWaitTimeSeconds" => self.wait_s = number(name, value, WAIT_S)?,
                "MaximumMessageSize" => {
                    let bytes = number(name, value, 1_024..=MESSAGE_BYTES_MAX as u64)?;
                    self.message_bytes_max = usize::try_from(bytes).unwrap_or(MESSAGE_BYTES_MAX);
                }
                "RedrivePolicy" => self.redrive = redrive(value)?,
                _ => return Err(Refusal::new("InvalidAttributeName", format!("Unknown Attribute {name}."))),
            }
        }
        Ok(self)
    }

    /// The settings by SQS's names.
    pub(super) fn named(&self) -> Vec<(&'static str, String)> {
        let mut named = vec![
            ("VisibilityTimeout", self.visibility_s.to_string()),
            ("DelaySeconds", self.delay_s.to_string()),
            ("MessageRetentionPeriod", self.retention_s.to_string()),
            ("ReceiveMessageWaitTimeSeconds", self.wait_s.to_string()),
            ("MaximumMessageSize", self.message_bytes_max.to_string()),
        ];
        if let Some(redrive) = &self.redrive {
            let policy = serde_json::json!({
                "deadLetterTargetArn": super::arn(&redrive.target),
                "maxReceiveCount": redrive.receives_max,
            });
            named.push(("RedrivePolicy", policy.to_string()));
        }
        named
    }
}

fn number(name: &str, value: &str, limits: RangeInclusive<u64>) -> Result<u64, Refusal> {
    match value.parse() {
        Ok(number) if limits.contains(&number) => Ok(number),
        _ => Err(bad_value(name)),
    }
}

fn redrive(value: &str) -> Result<Option<Redrive>, Refusal> {
    if value.is_empty() {
        return Ok(None);
    }
    let policy: RedrivePolicy = serde_json::from_str(value).map_err(|_| bad_value("RedrivePolicy"))?;
    let count = policy.max_receive_count;
    let count = count.as_u64().or_else(|| count.as_str().and_then(|text| text.parse().ok()));
    let receives_max = count.and_then(|count| u32::try_from(count).ok()).filter(|count| (1..=1_000).contains(count));
    let target = policy.dead_letter_target_arn.rsplit(':').next().filter(|name| !name.is_empty());
    match (target, receives_max) {
        (Some(target), Some(receives_max)) => Ok(Some(Redrive { target: target.to_owned(), receives_max })),
        _ => Err(bad_value("RedrivePolicy")),
    }
}

fn bad_value(name: &str) -> Refusal {
    Refusal::new("InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}
