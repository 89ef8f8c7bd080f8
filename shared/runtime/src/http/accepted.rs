//! The answer to what was accepted and is done later.

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use convoke_app::submit::Answered;

/// Says that the answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// 202 with the new job and its URL; marked where it is the answer to an earlier request with the same key.
pub fn accepted(answered: Answered) -> Response {
    let location = HeaderValue::from_str(&answered.job.links.this);
    let mut response = (StatusCode::ACCEPTED, Json(answered.job)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    if answered.is_replay {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
