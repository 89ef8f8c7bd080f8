//! What the functions that speak HTTP share: one way to authenticate, one way to fail, one request id.
//!
//! Routes and use cases aren't here.

mod accepted;
mod body;
mod caller;
mod edge;
mod error;

use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::middleware::from_fn_with_state;
use convoke_app::platform::Platform;
use convoke_app::read::Sleeper;

pub use accepted::accepted;
pub use body::{BODY_BYTES_MAX, JsonBody, OptionalJsonBody};
pub use caller::{Authenticated, OfJob, OfTenant, OfWebhook, Params, Repeat};
pub use edge::REQUEST_ID;
pub use error::HttpError;

/// Marks requests of a host that passes a response on while it is made: an extension of the request, put there by the
/// host. Without it a server-sent stream is answered in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamingHost;

/// Waits by the machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockSleeper;

#[async_trait]
impl Sleeper for ClockSleeper {
    async fn sleep(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

/// A function's routes with what all have in common: problem details for unknown routes and methods, a request id on
/// every answer and log line, one line per request.
pub fn service(routes: Router<Platform>, platform: Platform) -> Router {
    routes
        .fallback(async || HttpError::NoRoute)
        .method_not_allowed_fallback(async || HttpError::Method)
        .layer(from_fn_with_state(platform.clone(), edge::edge))
        .with_state(platform)
}
