//! The HTTP event source: requests on 127.0.0.1 become API Gateway events, answers become responses.
//!
//! | refused with | when |
//! |---|---|
//! | 404 | no route matches |
//! | 413 | the event would exceed 6 MB |
//! | 431 | the request's head exceeds 10 KB |
//! | 500 | the function failed, panicked, timed out, or its answer is none |
//! | 503 | the function is throttled, or the host is shutting down |

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};

use super::function::Handler;
use super::gateway::{self, Matched};
use super::invoke::{INVOKE_BYTES_MAX, InvokeError, Runner};
use super::route::{Route, Routes};
use crate::loopback::Body;

/// The largest head (request line and headers) that an HTTP API takes.
const HEAD_BYTES_MAX: usize = 10_240;

/// How much of a body that is too large is read and thrown away, so that its sender gets to read the refusal.
const DRAIN_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// What is served over HTTP.
#[derive(Clone, Debug, Default)]
pub struct HttpOptions {
    /// Port of 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// Which function answers what.
    pub routes: Vec<Route>,
}

/// Answers one request.
pub(super) async fn answer(runner: Arc<Runner>, routes: Arc<Routes>, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Some((route, parameters)) = routes.find(&parts.method, parts.uri.path()) else {
        return refusal(StatusCode::NOT_FOUND, "Not Found");
    };
    if head_bytes(&parts) > HEAD_BYTES_MAX {
        return refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large");
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(response) => return response,
    };
    let matched = Matched { key: &route.key, parameters, now_ms: runner.clock.now_ms() };
    let event = gateway::event(&parts, &body, &matched).to_string().into();
    respond(&runner, &route.function, event).await.unwrap_or_else(|error| failure(&error))
}

async fn respond(runner: &Runner, function: &str, event: Bytes) -> Result<Response<Body>, InvokeError> {
    match runner.function(function)?.handler {
        Handler::Whole(_) => {
            let answer = runner.invoke(function, event).await?;
            let response = gateway::response(&answer).unwrap_or_else(|| {
                tracing::error!(function, "the answer is none that API Gateway could turn into a response");
                let mut response = Response::new(message("Internal Server Error"));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            });
            Ok(response.map(whole))
        }
        Handler::Streaming(_) => {
            let streamed = runner.stream(function, event).await?;
            Ok(streamed.map(|mut pieces| {
                let frames = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
                let frames = futures_util::StreamExt::map(frames, |piece| piece.map(Frame::data));
                StreamBody::new(frames).boxed_unsync()
            }))
        }
    }
}

fn head_bytes(parts: &Parts) -> usize {
    let line = parts.method.as_str().len() + parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    line + parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

async fn read(mut body: Incoming) -> Result<Bytes, Response<Body>> {
    let too_large = || refusal(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced <= INVOKE_BYTES_MAX {
        match Limited::new(&mut body, INVOKE_BYTES_MAX).collect().await {
            Ok(whole) => return Ok(whole.to_bytes()),
            Err(error) if !error.is::<LengthLimitError>() => {
                return Err(refusal(StatusCode::BAD_REQUEST, "Bad Request"));
            }
            Err(_) => {}
        }
    }
    if announced <= DRAIN_BYTES_MAX {
        let mut left = DRAIN_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await
            && left > 0
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        }
    }
    Err(too_large())
}

fn failure(error: &InvokeError) -> Response<Body> {
    match error {
        InvokeError::EventTooLarge { .. } => refusal(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
        InvokeError::Throttled(_) | InvokeError::Stopping => {
            refusal(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        _ => {
            tracing::error!(error = error as &dyn Error, "a request could not be answered");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

fn refusal(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(whole(message(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn message(text: &str) -> Bytes {
    serde_json::json!({"message": text}).to_string().into()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
