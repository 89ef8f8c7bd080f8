//! Running a function: within its limits, in a task of its own.
//!
//! What holds as on Lambda: an event and an answer are JSON and bounded; an invocation ends at its deadline wherever it
//! is; a panic is that invocation's alone; more than the concurrency is throttled; a caller that goes away doesn't end
//! the invocation. When the handler returns, is ended, or panics, all that it holds is dropped, `JoinSet`s with their
//! tasks included. What can't be caught in one process: a task detached by `tokio::spawn` goes on (Lambda would freeze
//! it), and a handler that blocks its thread isn't ended before it yields.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::function::{Context, Function, Handler, HandlerError};
use crate::ids;
use crate::stack::clock::Clock;

/// The largest event and answer of an invocation that is waited for.
pub const INVOKE_BYTES_MAX: usize = 6 * 1_024 * 1_024;

/// The largest event of an invocation that nobody waits for.
pub const EVENT_BYTES_MAX: usize = 256 * 1_024;

/// Pieces of a stream that wait for the client.
const PIECES_AHEAD: usize = 16;

/// Why an invocation gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// No function has this name. Final.
    #[error("there is no function {0}")]
    Unknown(String),
    /// As many invocations run as may; try again later.
    #[error("{0} is throttled")]
    Throttled(Arc<str>),
    /// The event is larger than Lambda takes. Final.
    #[error("the event has {bytes} bytes, {bytes_max} are the most")]
    EventTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The answer is larger than Lambda takes; the handler's effects stand.
    #[error("the answer of {function} has {bytes} bytes, {INVOKE_BYTES_MAX} are the most")]
    AnswerTooLarge {
        /// The function.
        function: Arc<str>,
        /// The answer's size.
        bytes: usize,
    },
    /// The deadline came first; what the handler did until then stands.
    #[error("{function} was ended after {timeout_ms} ms")]
    TimedOut {
        /// The function.
        function: Arc<str>,
        /// Its time-out.
        timeout_ms: u128,
    },
    /// The handler panicked; what it did until then stands.
    #[error("{function} panicked: {message}")]
    Panicked {
        /// The function.
        function: Arc<str>,
        /// What it said.
        message: String,
    },
    /// The handler returned an error.
    #[error("{function} failed")]
    Failed {
        /// The function.
        function: Arc<str>,
        /// Its error.
        #[source]
        source: HandlerError,
    },
    /// The event or answer isn't JSON of the expected shape. Final.
    #[error("not the expected JSON")]
    Json(#[source] serde_json::Error),
    /// The function answers in another way than asked for (whole or streaming). Final.
    #[error("{0} answers in another way")]
    Kind(Arc<str>),
    /// The host is shutting down.
    #[error("the host is shutting down")]
    Stopping,
}

/// All functions of a host, and what they run in.
#[derive(Debug)]
pub(super) struct Runner {
    pub functions: BTreeMap<Arc<str>, Function>,
    pub clock: Arc<dyn Clock>,
    pub invocations: TaskTracker,
    /// No stream goes on after this.
    pub stop: CancellationToken,
    /// Nothing goes on after this.
    pub abort: CancellationToken,
}

/// A streamed answer: its head now, its body as it comes.
pub(super) type Streamed = http::Response<mpsc::Receiver<Result<Bytes, HandlerError>>>;

impl Runner {
    pub(super) fn function(&self, name: &str) -> Result<&Function, InvokeError> {
        self.functions.get(name).ok_or_else(|| InvokeError::Unknown(name.to_owned()))
    }

    /// Runs a function that answers whole.
    pub(super) async fn invoke(&self, name: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        let function = self.function(name)?;
        let Handler::Whole(handler) = &function.handler else {
            return Err(InvokeError::Kind(Arc::clone(&function.name)));
        };
        check_event(&event, INVOKE_BYTES_MAX)?;
        let (permit, context) = self.admit(function)?;
        let handler = Arc::clone(handler);
        let answer = self.bounded(function, permit, async move { handler(event, context).await }).await?;
        if answer.len() > INVOKE_BYTES_MAX {
            return Err(InvokeError::AnswerTooLarge { function: Arc::clone(&function.name), bytes: answer.len() });
        }
        Ok(answer)
    }

    /// Runs a function that streams: returns once it has its head; the body comes until its end, the deadline or the
    /// host's shutdown, and no longer than somebody listens.
    pub(super) async fn stream(&self, name: &str, event: Bytes) -> Result<Streamed, InvokeError> {
        let function = self.function(name)?;
        let Handler::Streaming(handler) = &function.handler else {
            return Err(InvokeError::Kind(Arc::clone(&function.name)));
        };
        check_event(&event, INVOKE_BYTES_MAX)?;
        let (permit, context) = self.admit(function)?;
        let (handler, stop) = (Arc::clone(handler), self.stop.clone());
        let (give_head, head) = oneshot::channel();
        let (send, pieces) = mpsc::channel(PIECES_AHEAD);
        let pumping = self.bounded(function, permit, async move {
            let answer = tokio::select! {
                answer = handler(event, context) => answer?,
                () = stop.cancelled() => return Ok(()),
            };
            let (parts, mut body) = answer.into_parts();
            if give_head.send(parts).is_err() {
                return Ok(());
            }
            loop {
                let piece = tokio::select! {
                    piece = body.next() => piece,
                    () = stop.cancelled() => None,
                    () = send.closed() => None,
                };
                let Some(piece) = piece else { return Ok(()) };
                if send.send(piece).await.is_err() {
                    return Ok(());
                }
            }
        });
        let pumping = tokio::spawn(pumping);
        match head.await {
            Ok(parts) => Ok(http::Response::from_parts(parts, pieces)),
            Err(_) => {
                Err(pumping.await.map_err(|error| panicked(function, error))?.err().unwrap_or(InvokeError::Stopping))
            }
        }
    }

    fn admit(&self, function: &Function) -> Result<(OwnedSemaphorePermit, Context), InvokeError> {
        if self.stop.is_cancelled() {
            return Err(InvokeError::Stopping);
        }
        let permit = Arc::clone(&function.permits).try_acquire_owned();
        let permit = permit.map_err(|_| InvokeError::Throttled(Arc::clone(&function.name)))?;
        let timeout_ms = u64::try_from(function.timeout.as_millis()).unwrap_or(u64::MAX);
        let deadline_ms = self.clock.now_ms().saturating_add(timeout_ms);
        let context = Context { request_id: ids::uuid(), deadline_ms, function: Arc::clone(&function.name) };
        Ok((permit, context))
    }

    /// Starts `work` in a task of its own, and waits for it. Not waiting any longer doesn't end it.
    fn bounded<T: Send + 'static>(
        &self,
        function: &Function,
        permit: OwnedSemaphorePermit,
        work: impl Future<Output = Result<T, HandlerError>> + Send + 'static,
    ) -> impl Future<Output = Result<T, InvokeError>> + Send + 'static {
        let (function, abort) = (function.clone(), self.abort.clone());
        let (name, timeout) = (Arc::clone(&function.name), function.timeout);
        let task = self.invocations.spawn(async move {
            let _permit = permit;
            tokio::select! {
                done = tokio::time::timeout(timeout, work) => match done {
                    Ok(Ok(answer)) => Ok(answer),
                    Ok(Err(source)) => Err(InvokeError::Failed { function: name, source }),
                    Err(_) => Err(InvokeError::TimedOut { function: name, timeout_ms: timeout.as_millis() }),
                },
                () = abort.cancelled() => Err(InvokeError::Stopping),
            }
        });
        async move { task.await.map_err(|error| panicked(&function, error))? }
    }
}

pub(super) fn check_event(event: &Bytes, bytes_max: usize) -> Result<(), InvokeError> {
    match event.len() {
        bytes if bytes > bytes_max => Err(InvokeError::EventTooLarge { bytes, bytes_max }),
        _ => Ok(()),
    }
}

fn panicked(function: &Function, error: JoinError) -> InvokeError {
    let Ok(panic) = error.try_into_panic() else { return InvokeError::Stopping };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let message = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    InvokeError::Panicked { function: Arc::clone(&function.name), message }
}
