//! The edge of functions behind a queue: what a message asks for is read strictly, and what fails is reported by message,
//! so that the others of its batch aren't delivered again.

use std::convert::Infallible;
use std::error::Error;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use convoke_app::work::Until;
use lambda_runtime::{LambdaEvent, Service, service_fn};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::Instrument;

/// The version of messages that this code reads.
const VERSION: u64 = 1;

/// Why it can't be read what a message asks for. Final: the message goes to the dead-letter queue in the end.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableError {
    /// It isn't what the queue is for.
    #[error("the message is no bell")]
    Malformed(#[source] serde_json::Error),
    /// It was sent by another version of the code.
    #[error("the message is a bell of version {0}, this code reads {VERSION}")]
    Version(u64),
}

/// A handler of batches as `lambda_runtime` runs it; it has until the invocation's deadline.
pub fn service<H, F>(
    handle: H,
) -> impl Service<LambdaEvent<SqsEvent>, Response = SqsBatchResponse, Error = Infallible, Future: Send> + Clone
where
    H: Fn(SqsEvent, Until) -> F + Clone + Send,
    F: Future<Output = SqsBatchResponse> + Send,
{
    service_fn(move |event: LambdaEvent<SqsEvent>| {
        let until = Until { deadline_ms: event.context.deadline };
        let span = tracing::info_span!("batch", request_id = event.context.request_id);
        let handled = handle(event.payload, until).instrument(span);
        async move { Ok(handled.await) }
    })
}

/// Reads what a message asks for.
pub fn read<T: DeserializeOwned>(body: &str) -> Result<T, UnreadableError> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u64,
    }
    let Versioned { v } = serde_json::from_str(body).map_err(UnreadableError::Malformed)?;
    if v != VERSION {
        return Err(UnreadableError::Version(v));
    }
    serde_json::from_str(body).map_err(UnreadableError::Malformed)
}

/// Logs why a message comes again: what passes by itself is no error.
pub fn note_failure(error: &(dyn Error + 'static), is_expected: bool) {
    if is_expected {
        tracing::warn!(error, "a message comes again");
    } else {
        tracing::error!(error, "a message failed");
    }
}
