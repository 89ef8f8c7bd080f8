//! The resources that `template.yaml` makes on AWS, made on the embedded stack: table, queues, bucket.

use aws_sdk_dynamodb::operation::update_time_to_live::UpdateTimeToLiveError;
use aws_sdk_dynamodb::types::TimeToLiveSpecification;
use aws_sdk_sqs::types::QueueAttributeName;
use convoke_aws::{TTL_ATTRIBUTE, table_definition};
use convoke_runtime::config::Stores;

use crate::stack::Clients;

/// Name of the table.
pub const TABLE: &str = "convoke";
/// Name of the bucket.
pub const BUCKET: &str = "convoke";
/// Name of the step queue.
pub const STEPS: &str = "convoke-steps";
/// Name of the queue whose batches have one message.
pub const SOLO: &str = "convoke-solo";
/// Name of the queue of deliveries.
pub const DELIVERIES: &str = "convoke-deliveries";

/// How long a message that is worked on stays hidden, in seconds: six times the time-out of the function behind it.
const STEP_VISIBILITY_S: u32 = 5_400;
const DELIVERY_VISIBILITY_S: u32 = 360;
/// Deliveries before a message goes to the dead-letter queue.
const RECEIVES_MAX: u32 = 5;

/// Why a resource can't be made.
#[derive(Debug, thiserror::Error)]
#[error("{what} can't be made")]
pub struct ResourceError {
    what: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn failed<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> ResourceError {
    move |source| ResourceError { what, source: Box::new(source) }
}

/// Makes what isn't there yet; a repeat changes nothing.
pub async fn ensure(clients: &Clients) -> Result<Stores, ResourceError> {
    table(&clients.dynamodb).await?;
    bucket(&clients.s3).await?;
    Ok(Stores {
        table: TABLE.to_owned(),
        queue_url: queue(&clients.sqs, STEPS, STEP_VISIBILITY_S).await?,
        solo_queue_url: queue(&clients.sqs, SOLO, STEP_VISIBILITY_S).await?,
        delivery_queue_url: queue(&clients.sqs, DELIVERIES, DELIVERY_VISIBILITY_S).await?,
        bucket: BUCKET.to_owned(),
    })
}

async fn table(client: &aws_sdk_dynamodb::Client) -> Result<(), ResourceError> {
    if client.describe_table().table_name(TABLE).send().await.is_ok() {
        return Ok(());
    }
    table_definition(TABLE).send_with(client).await.map_err(failed("the table"))?;
    let ttl = TimeToLiveSpecification::builder().attribute_name(TTL_ATTRIBUTE).enabled(true).build();
    let ttl = ttl.map_err(failed::<aws_sdk_dynamodb::error::BuildError>("the table"))?;
    let made = client.update_time_to_live().table_name(TABLE).time_to_live_specification(ttl).send().await;
    made.map(drop).map_err(failed::<aws_sdk_dynamodb::error::SdkError<UpdateTimeToLiveError>>("the table"))
}

async fn bucket(client: &aws_sdk_s3::Client) -> Result<(), ResourceError> {
    if client.head_bucket().bucket(BUCKET).send().await.is_ok() {
        return Ok(());
    }
    client.create_bucket().bucket(BUCKET).send().await.map(drop).map_err(failed("the bucket"))
}

/// A queue with its dead-letter queue.
async fn queue(client: &aws_sdk_sqs::Client, name: &str, visibility_s: u32) -> Result<String, ResourceError> {
    let dead = client.create_queue().queue_name(format!("{name}-dead")).send().await.map_err(failed("a queue"))?;
    let arn = client
        .get_queue_attributes()
        .queue_url(dead.queue_url().unwrap_or_default())
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .map_err(failed("a queue"))?;
    let arn = arn.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn)).cloned().unwrap_or_default();
    let redrive = serde_json::json!({ "deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES_MAX.to_string() });
    let made = client
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::VisibilityTimeout, visibility_s.to_string())
        .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string())
        .send()
        .await
        .map_err(failed("a queue"))?;
    Ok(made.queue_url().unwrap_or_default().to_owned())
}
