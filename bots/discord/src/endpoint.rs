//! Interactions over HTTP: what Discord calls the interactions endpoint.

use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Router, extract::DefaultBodyLimit};
use convoke_app::platform::Platform;
use convoke_runtime::http::{BODY_BYTES_MAX, service};

use crate::inbound::{Answered, Inbound};
use crate::interaction::Interaction;
use crate::verify::Requests;

/// Where interactions come in.
pub const PATH: &str = "/discord/interactions";

/// The function's routes. `requests` knows whom to believe.
pub fn router(inbound: Inbound, requests: Requests, platform: Platform) -> Router {
    let routes = Router::new()
        .route(PATH, post(interact))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(inbound))
        .layer(Extension(requests));
    service(routes, platform)
}

/// | answer | when |
/// |---|---|
/// | 200 | the answer stands in it |
/// | 202 | it was answered by calls of ours |
/// | 400 | Discord signed what is no interaction |
/// | 401 | it isn't Discord's, or not of now |
/// | 409 | it was here before |
/// | 503 | the table can't be reached: nothing was done |
async fn interact(
    Extension(inbound): Extension<Inbound>,
    Extension(requests): Extension<Requests>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = (of("x-signature-ed25519"), of("x-signature-timestamp"));
    if let Err(error) = requests.check(signed, &body, inbound.now_ms()) {
        return (StatusCode::UNAUTHORIZED, error.to_string()).into_response();
    }
    let interaction = match Interaction::parse(&body) {
        Ok(interaction) => interaction,
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an interaction can't be read");
            return (StatusCode::BAD_REQUEST, error.to_string()).into_response();
        }
    };
    match inbound.answer(interaction).await {
        Ok(Answered::Now(answer)) => ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response(),
        Ok(Answered::ByCalls) => StatusCode::ACCEPTED.into_response(),
        Ok(Answered::Before) => (StatusCode::CONFLICT, "this interaction was here before").into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an interaction can't be claimed");
            (StatusCode::SERVICE_UNAVAILABLE, "the table can't be reached").into_response()
        }
    }
}
