//! `POST /v1/jobs`.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use convoke_app::platform::Platform;
use convoke_runtime::http::{Authenticated, HttpError, JsonBody, Repeat, accepted, service};

/// The function's routes.
pub fn router(platform: Platform) -> Router {
    service(Router::new().route("/v1/jobs", post(submit)), platform)
}

async fn submit(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    Repeat(repeat): Repeat,
    JsonBody(body): JsonBody,
) -> Result<Response, HttpError> {
    Ok(accepted(platform.submit(&caller.tenant, &body, repeat.as_ref()).await?))
}
