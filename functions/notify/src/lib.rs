//! The function `notify`: turns what the table's stream shows into events.
//!
//! Per record of a job's mutable items both images tell what has happened; that is appended to the job's events, once,
//! however often the stream delivers the record. Then the targets that want to be told of it are rung for. No chat or
//! webhook is spoken to here: that is the function `deliver`, behind a queue of its own.
//!
//! The first record of a job that fails is reported: the stream delivers from the lowest reported record on again, in
//! smaller batches, until a bad one is alone and put aside. No record of a job is appended while one before it isn't:
//! what is older than the last version appended counts as appended.

mod changes;
mod kinds;

use std::convert::Infallible;
use std::error::Error;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use convoke_app::platform::Platform;
use convoke_app::ports::PortError;
use convoke_app::work::WorkError;
use convoke_domain::ids::JobKey;
use futures_util::{StreamExt, stream};
use lambda_runtime::{LambdaEvent, Service, service_fn};
use tracing::Instrument;

use changes::{Batch, Changed, JobChanges, Unreadable};

/// Jobs of a batch that are worked at once.
const JOBS_AT_ONCE: usize = 16;

/// The handler as `lambda_runtime` runs it.
pub fn service(
    platform: Platform,
) -> impl Service<LambdaEvent<Event>, Response = DynamoDbEventResponse, Error = Infallible, Future: Send> + Clone {
    service_fn(move |event| {
        let platform = platform.clone();
        async move { Ok(handle(&platform, event).await) }
    })
}

/// Appends what the records of a batch amount to; the answer names the first record of each job that isn't done, and the
/// first that can't be read, after which nothing is done.
///
/// Idempotent by (group, version).
pub async fn handle(platform: &Platform, event: LambdaEvent<Event>) -> DynamoDbEventResponse {
    let request_id = event.context.request_id;
    let Batch { jobs, unreadable } = Batch::of(event.payload.records);
    let told = jobs.into_iter().map(|job| {
        let span = tracing::info_span!("events", request_id, tenant = %job.key.tenant, job = %job.key.job);
        tell(platform, job).instrument(span)
    });
    let mut failed: Vec<_> = stream::iter(told).buffer_unordered(JOBS_AT_ONCE).collect().await;
    if let Some(Unreadable { sequence_number, error }) = unreadable {
        tracing::error!(request_id, sequence_number, error = &error as &dyn Error, "a record can't be read");
        failed.push(Some(sequence_number));
    }
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures = failed.into_iter().flatten().map(failure).collect();
    response
}

fn failure(sequence_number: Option<String>) -> DynamoDbBatchItemFailure {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = sequence_number;
    failure
}

/// Why a job's records aren't done.
#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error("the job's flow can't be loaded")]
    Flow(#[source] WorkError),
    #[error("the events can't be appended")]
    Append(#[source] PortError),
    #[error("the job's targets can't be rung for")]
    Ring(#[source] PortError),
}

/// Appends a job's events; answers the record from which on the stream is to deliver again, if any.
async fn tell(platform: &Platform, job: JobChanges) -> Option<Option<String>> {
    let error = append(platform, &job.key, &job.changed).await.err()?;
    tracing::error!(error = &error as &dyn Error, "a job's records come again");
    Some(job.sequence_number)
}

async fn append(platform: &Platform, key: &JobKey, changed: &[Changed]) -> Result<(), TellError> {
    let Some(flow) = platform.job_outline(key).await.map_err(TellError::Flow)? else {
        // The job is gone, so nobody can ask for its events.
        tracing::warn!("records of a job that doesn't exist");
        return Ok(());
    };
    let events = changed.iter().filter_map(|changed| {
        let kinds = kinds::of(&flow.graph, changed.old.as_ref(), &changed.new);
        (!kinds.is_empty()).then_some((changed.new.id, changed.new.ver, changed.new.at_ms, kinds))
    });
    let events: Vec<_> = events.collect();
    if events.is_empty() {
        return Ok(());
    }
    platform.ports.events.append(key, &events).await.map_err(TellError::Append)?;
    // Also for what was appended by an earlier try, which may not have rung.
    platform.announce(&flow, events.iter().flat_map(|(.., kinds)| kinds)).await.map_err(TellError::Ring)
}
