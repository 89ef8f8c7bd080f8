//! The function `step`: works on the slots whose bells SQS delivers.
//!
//! All messages of a batch are worked side by side, each in a task of its own: a step that panics ends nobody else's.
//! What fails is reported by message, so that the others of its batch aren't delivered again; a failed message comes
//! again after its visibility time, and goes to the dead-letter queue when it has come often enough. Nothing is decided
//! here: a bell is answered by the state that [`Platform::answer`] finds.

use std::convert::Infallible;
use std::error::Error;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use convoke_app::platform::Platform;
use convoke_app::ports::Bell;
use convoke_app::work::{Opened, Until, WorkError};
use convoke_runtime::queue::{self, UnreadableError};
use futures_util::future::join_all;
use lambda_runtime::{LambdaEvent, Service};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;
use tracing::field::Empty;

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
/// Idempotent: a bell for what is done or taken is answered at once. Work that is still running when this future is
/// dropped is aborted; its claims run out, and the clock rings them again.
pub async fn handle(platform: &Platform, event: SqsEvent, until: Until) -> SqsBatchResponse {
    let messages: Vec<Message> = event.records.into_iter().map(Message::of).collect();
    let opened = open(platform, &messages).await;
    let received = messages.into_iter().zip(opened).map(|(message, opened)| {
        let span = tracing::info_span!("message", message_id = message.id, tenant = Empty, job = Empty);
        receive(platform, message, opened, until).instrument(span)
    });
    let mut response = SqsBatchResponse::default();
    response.set_failures(join_all(received).await.into_iter().flatten());
    response
}

/// A message as it was read.
struct Message {
    id: String,
    bell: Result<Bell, UnreadableError>,
}

impl Message {
    fn of(message: SqsMessage) -> Self {
        let bell = queue::read(&message.body.unwrap_or_default());
        Self { id: message.message_id.unwrap_or_default(), bell }
    }
}

/// Loads what the bells of a batch are about, together. Where that fails each bell loads for itself, so that what can't
/// be read fails its own message alone.
async fn open(platform: &Platform, messages: &[Message]) -> Vec<Option<Opened>> {
    let bells: Vec<Bell> = messages.iter().filter_map(|message| message.bell.as_ref().ok().cloned()).collect();
    let opened = match platform.open(&bells).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(error = &error as &dyn Error, "a batch can't be loaded as a whole");
            Vec::new()
        }
    };
    let mut opened = opened.into_iter();
    messages.iter().map(|message| message.bell.as_ref().ok().and_then(|_| opened.next())).collect()
}

/// Why a message isn't done.
#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error(transparent)]
    Unreadable(UnreadableError),
    #[error("the step can't be worked on")]
    Work(#[source] WorkError),
    #[error("the step's task ended before it was done")]
    Ended(#[source] JoinError),
}

impl MessageError {
    fn is_expected(&self) -> bool {
        match self {
            Self::Work(error) => error.is_retryable(),
            Self::Ended(ended) => ended.is_cancelled(),
            Self::Unreadable(_) => false,
        }
    }
}

/// Answers the id of a message that is to come again.
async fn receive(platform: &Platform, message: Message, opened: Option<Opened>, until: Until) -> Option<String> {
    let answered = match message.bell {
        Ok(bell) => answer(platform, bell, opened, until).await,
        Err(error) => Err(MessageError::Unreadable(error)),
    };
    let error = answered.err()?;
    queue::note_failure(&error, error.is_expected());
    Some(message.id)
}

async fn answer(platform: &Platform, bell: Bell, opened: Option<Opened>, until: Until) -> Result<(), MessageError> {
    let span = tracing::Span::current();
    span.record("tenant", bell.key.tenant.as_str());
    span.record("job", bell.key.job.as_str());
    let own = platform.clone();
    let work = async move {
        match opened {
            Some(opened) => own.answer_opened(&bell, opened, until).await,
            None => own.answer(&bell, until).await,
        }
    };
    // The engine counts a panic as a failed attempt of its step; what panics nevertheless ends this message's task alone.
    let answered = AbortOnDropHandle::new(tokio::spawn(work.in_current_span())).await;
    answered.map_err(MessageError::Ended)?.map_err(MessageError::Work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bells_are_read_strictly() {
        let good = r#"{"v":1,"tenant":"acme","job":"01KAJ0X5T3ZQ4V8N2M6R7W9YBC","group":"J","slot":3}"#;
        let bell = queue::read::<Bell>;
        assert_eq!(bell(good).expect("a bell").slot.map(|slot| slot.0), Some(3));
        let newer = good.replace("\"v\":1", "\"v\":2");
        assert!(matches!(bell(&newer), Err(UnreadableError::Version(2))));
        for bad in ["", "{}", "[1]", r#"{"v":1}"#, &good.replace("acme", "A/B"), &good.replace("\"J\"", "\"X\"")] {
            assert!(matches!(bell(bad), Err(UnreadableError::Malformed(_))), "{bad}");
        }
    }
}
