//! A function as Lambda knows it: a name, a handler from JSON to JSON, a time-out, a concurrency.

use std::error::Error;
use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use lambda_http::{Adapter, LambdaEvent, StreamAdapter};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::{Service, ServiceExt};

/// What a handler may fail with.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// The pieces of a streamed body.
pub(super) type Pieces = BoxStream<'static, Result<Bytes, HandlerError>>;

/// Lambda's own default is 3 s, too little for anything that calls a model.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Lambda's default for an account.
const CONCURRENCY: usize = 1_000;

/// What a handler gets besides its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Unique per invocation.
    pub request_id: String,
    /// When the invocation will be ended, in Unix milliseconds.
    pub deadline_ms: u64,
    /// The function's name.
    pub function: Arc<str>,
}

impl Context {
    /// The same as `lambda_runtime` hands it to a handler.
    pub fn to_lambda(&self) -> lambda_runtime::Context {
        let mut context = lambda_runtime::Context::default();
        context.request_id.clone_from(&self.request_id);
        context.deadline = self.deadline_ms;
        context.invoked_function_arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{}", self.function);
        let name = (*self.function).to_owned();
        context.env_config = Arc::new(lambda_runtime::Config { function_name: name, ..Default::default() });
        context
    }
}

type Whole = dyn Fn(Bytes, Context) -> BoxFuture<'static, Result<Bytes, HandlerError>> + Send + Sync;
type Streaming =
    dyn Fn(Bytes, Context) -> BoxFuture<'static, Result<http::Response<Pieces>, HandlerError>> + Send + Sync;

/// How a function answers.
#[derive(Clone)]
pub(super) enum Handler {
    /// With one JSON value.
    Whole(Arc<Whole>),
    /// With a head and a body that comes in pieces, as behind a function URL in streaming mode.
    Streaming(Arc<Streaming>),
}

/// A function that a host can run.
#[derive(Clone)]
pub struct Function {
    pub(super) name: Arc<str>,
    pub(super) handler: Handler,
    pub(super) timeout: Duration,
    pub(super) permits: Arc<Semaphore>,
}

impl Debug for Function {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Function")
            .field("name", &self.name)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Function {
    /// A function over JSON values.
    pub fn new<H, F, E>(name: &str, handler: H) -> Self
    where
        H: Fn(Value, Context) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Value, E>> + Send + 'static,
        E: Into<HandlerError>,
    {
        Self::of(name, move |event, context| {
            let answer = serde_json::from_slice(&event).map(|event| handler(event, context));
            Box::pin(async move { to_json(&answer?.await.map_err(Into::into)?) })
        })
    }

    /// What `lambda_runtime::run` takes: a service over an event's type. The event is read from its JSON, the answer
    /// written as JSON, as between Lambda and the runtime.
    pub fn lambda<S, Q>(name: &str, service: S) -> Self
    where
        S: Service<LambdaEvent<Q>, Response: Serialize + Send, Error: Into<HandlerError>, Future: Send>,
        S: Clone + Send + Sync + 'static,
        Q: DeserializeOwned + Send + 'static,
    {
        Self::of(name, move |event, context| {
            let service = service.clone();
            Box::pin(async move {
                let event = LambdaEvent::new(serde_json::from_slice(&event)?, context.to_lambda());
                to_json(&service.oneshot(event).await.map_err(Into::into)?)
            })
        })
    }

    /// An axum router behind API Gateway: `lambda_http` turns the event into a request and the response into the answer,
    /// the same code as on Lambda.
    pub fn http(name: &str, router: axum::Router) -> Self {
        Self::of(name, move |event, context| {
            // A router is always ready, so it can be called on the spot.
            let answer = serde_json::from_slice(&event)
                .map(|request| Adapter::from(router.clone()).call(LambdaEvent::new(request, context.to_lambda())));
            Box::pin(async move { to_json(&answer?.await?) })
        })
    }

    /// An axum router behind a function URL that streams, by `lambda_http` as well.
    pub fn http_streaming(name: &str, router: axum::Router) -> Self {
        let handler = move |event: Bytes, context: Context| {
            let answer = serde_json::from_slice(&event).map(|request| {
                StreamAdapter::from(router.clone()).call(LambdaEvent::new(request, context.to_lambda()))
            });
            let answer: BoxFuture<'static, _> = Box::pin(async move {
                let answer = answer?.await?;
                let pieces = answer.stream.map(|piece| piece.map_err(HandlerError::from)).boxed();
                let mut response = http::Response::new(pieces);
                *response.status_mut() = answer.metadata_prelude.status_code;
                *response.headers_mut() = answer.metadata_prelude.headers;
                for cookie in answer.metadata_prelude.cookies {
                    response.headers_mut().append(http::header::SET_COOKIE, cookie.parse()?);
                }
                Ok(response)
            });
            answer
        };
        Self::with(name, Handler::Streaming(Arc::new(handler)))
    }

    /// Ends an invocation that takes longer. Default 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets at most so many invocations run at once; more are throttled. Default 1,000.
    #[must_use]
    pub fn concurrency(mut self, most: usize) -> Self {
        self.permits = Arc::new(Semaphore::new(most));
        self
    }

    fn of<H>(name: &str, handler: H) -> Self
    where
        H: Fn(Bytes, Context) -> BoxFuture<'static, Result<Bytes, HandlerError>> + Send + Sync + 'static,
    {
        Self::with(name, Handler::Whole(Arc::new(handler)))
    }

    fn with(name: &str, handler: Handler) -> Self {
        Self { name: name.into(), handler, timeout: TIMEOUT, permits: Arc::new(Semaphore::new(CONCURRENCY)) }
    }
}

fn to_json(answer: &impl Serialize) -> Result<Bytes, HandlerError> {
    Ok(serde_json::to_vec(answer)?.into())
}
