//! Whether the queues and the bucket of an installation are there for whoever asks, and what failed in them.

use std::error::Error;

use aws_sdk_sqs::types::QueueAttributeName;
use serde::Deserialize;

use super::Installation;

/// Why a part can't be looked at. Reads only, so that any may be tried again.
#[derive(Debug, thiserror::Error)]
#[error("{part} can't be looked at")]
pub struct PartError {
    part: &'static str,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

/// What failed again and again in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// The name of the queue of dead letters.
    pub queue: String,
    /// How many are in it, about.
    pub count: u32,
}

/// `RedrivePolicy` of a queue.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redrive {
    dead_letter_target_arn: String,
}

/// A queue that has nowhere to send what fails.
#[derive(Debug, thiserror::Error)]
#[error("the queue {0} names no queue of dead letters")]
struct NoRedrive(String);

impl Installation {
    /// That the bucket is there. Takes `s3:ListBucket`.
    pub async fn bucket_is_there(&self) -> Result<(), PartError> {
        let found = self.clients.s3.head_bucket().bucket(&self.stores.bucket).send().await;
        found.map(drop).map_err(|error| failed("the bucket", error.into_service_error()))
    }

    /// The queues of dead letters, and how many are in each. Takes `sqs:GetQueueAttributes` and `sqs:GetQueueUrl`.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetters>, PartError> {
        let mut found = Vec::new();
        for url in [&self.stores.queue_url, &self.stores.solo_queue_url, &self.stores.delivery_queue_url] {
            let policy = self.attribute(url, QueueAttributeName::RedrivePolicy).await?;
            let redrive: Option<Redrive> = policy.and_then(|policy| serde_json::from_str(&policy).ok());
            let arn = redrive.ok_or_else(|| failed("a queue", NoRedrive(url.clone())))?.dead_letter_target_arn;
            let queue = arn.rsplit(':').next().unwrap_or_default().to_owned();
            let there = self.clients.sqs.get_queue_url().queue_name(&queue).send().await;
            let there = there.map_err(|error| failed("a queue of dead letters", error.into_service_error()))?;
            let count = self.attribute(there.queue_url().unwrap_or_default(), COUNT).await?;
            found.push(DeadLetters { queue, count: count.and_then(|count| count.parse().ok()).unwrap_or_default() });
        }
        Ok(found)
    }

    async fn attribute(&self, url: &str, name: QueueAttributeName) -> Result<Option<String>, PartError> {
        let found = self.clients.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
        let found = found.map_err(|error| failed("a queue", error.into_service_error()))?;
        Ok(found.attributes.and_then(|mut found| found.remove(&name)))
    }
}

const COUNT: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessages;

fn failed(part: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> PartError {
    PartError { part, source: source.into() }
}
