//! The function `deliver`: tells targets of what has happened, as the queue of deliveries asks for it.
//!
//! All messages of a batch are worked side by side, for a turn: a place that is slow holds up nobody else's for longer.
//! What fails is reported by message; that a place doesn't acknowledge is no failure of the message, but the delivery's
//! own matter (see [`Platform::deliver`]).

use std::convert::Infallible;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use convoke_app::deliver::DeliverError;
use convoke_app::platform::Platform;
use convoke_app::ports::{DeliveryBell, RunBell};
use convoke_app::work::Until;
use convoke_runtime::queue::{self, UnreadableError};
use futures_util::future::join_all;
use lambda_runtime::{LambdaEvent, Service};
use serde::Deserialize;
use tracing::Instrument;
use tracing::field::Empty;

/// How long a batch's turn is, in milliseconds: no delivery begins a request in the last 15 s of it, so that all are done
/// with theirs by then. What is left has its next turn after others' bells.
const TURN_MS: u64 = 35_000;

/// The handler as `lambda_runtime` runs it.
pub fn service(
    platform: Platform,
) -> impl Service<LambdaEvent<SqsEvent>, Response = SqsBatchResponse, Error = Infallible, Future: Send> + Clone {
    queue::service(move |event, until| {
        let platform = platform.clone();
        async move { handle(&platform, event, until).await }
    })
}

/// Answers the bells of a batch; the answer names the messages that are to come again.
///
/// Idempotent: a bell for what is told, taken or left alone for a while is answered at once.
pub async fn handle(platform: &Platform, event: SqsEvent, until: Until) -> SqsBatchResponse {
    let until = Until { deadline_ms: until.deadline_ms.min(platform.ports.env.now_ms() + TURN_MS) };
    let received = event.records.into_iter().map(|message| {
        let id = message.message_id.as_deref();
        let span = tracing::info_span!("message", message_id = id, tenant = Empty, job = Empty, target = Empty);
        receive(platform, message, until).instrument(span)
    });
    let mut response = SqsBatchResponse::default();
    response.set_failures(join_all(received).await.into_iter().flatten());
    response
}

/// Why a message isn't done.
#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error(transparent)]
    Unreadable(UnreadableError),
    #[error("the delivery can't be made")]
    Deliver(#[source] DeliverError),
}

impl MessageError {
    const fn is_expected(&self) -> bool {
        match self {
            Self::Deliver(error) => error.is_retryable(),
            Self::Unreadable(_) => false,
        }
    }
}

/// Answers the id of a message that is to come again.
async fn receive(platform: &Platform, message: SqsMessage, until: Until) -> Option<String> {
    let answered = match queue::read(&message.body.unwrap_or_default()) {
        Ok(asked) => answer(platform, &asked, until).await,
        Err(error) => Err(MessageError::Unreadable(error)),
    };
    let error = answered.err()?;
    queue::note_failure(&error, error.is_expected());
    Some(message.message_id.unwrap_or_default())
}

/// What a message asks for.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Asked {
    Job(DeliveryBell),
    Run(RunBell),
}

async fn answer(platform: &Platform, asked: &Asked, until: Until) -> Result<(), MessageError> {
    let span = tracing::Span::current();
    let done = match asked {
        Asked::Job(bell) => {
            span.record("tenant", bell.key.tenant.as_str());
            span.record("job", bell.key.job.as_str());
            span.record("target", bell.target.to_string());
            platform.deliver(bell, until).await
        }
        Asked::Run(bell) => {
            span.record("tenant", bell.tenant.as_str());
            span.record("target", bell.target.to_string());
            platform.deliver_run(bell).await
        }
    };
    done.map_err(MessageError::Deliver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bells_are_read_strictly() {
        let good =
            r#"{"v":1,"tenant":"acme","job":"01KAJ0X5T3ZQ4V8N2M6R7W9YBC","target":"wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC"}"#;
        let bell = queue::read::<Asked>;
        let Ok(Asked::Job(read)) = bell(good) else { panic!("a job's bell") };
        assert_eq!(read.target.to_string(), "wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC");
        assert_eq!(serde_json::to_string(&read).expect("json"), good);
        let run = r#"{"v":1,"tenant":"acme","schedule":"s","tick_ms":5,"webhook":"wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC"}"#;
        assert!(matches!(bell(run), Ok(Asked::Run(run)) if run.tick_ms == 5));
        let newer = good.replace("\"v\":1", "\"v\":2");
        assert!(matches!(bell(&newer), Err(UnreadableError::Version(2))));
        for bad in ["", "{}", "[1]", r#"{"v":1}"#, &good.replace("acme", "A/B"), &good.replace("wh_", "xx_")] {
            assert!(matches!(bell(bad), Err(UnreadableError::Malformed(_))), "{bad}");
        }
    }
}
