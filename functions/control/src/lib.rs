//! `POST /v1/jobs/{id}/cancel`, `/retry` and `/follow-up`; `/v1/schedules`; `/v1/webhooks`.

mod schedules;
mod webhooks;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use convoke_api::job::Accepted;
use convoke_app::platform::Platform;
use convoke_runtime::http::{HttpError, JsonBody, OfJob, OptionalJsonBody, Repeat, accepted, service};

/// The function's routes.
pub fn router(platform: Platform) -> Router {
    let routes = Router::new().route("/v1/jobs/{id}/cancel", post(cancel)).route("/v1/jobs/{id}/retry", post(retry));
    let routes = routes.route("/v1/jobs/{id}/follow-up", post(follow_up));
    let routes = routes.merge(schedules::routes()).merge(webhooks::routes());
    service(routes, platform)
}

async fn cancel(State(platform): State<Platform>, job: OfJob) -> Result<(StatusCode, Json<Accepted>), HttpError> {
    Ok((StatusCode::ACCEPTED, Json(platform.cancel(&job.key).await?)))
}

async fn retry(
    State(platform): State<Platform>,
    job: OfJob,
    Repeat(repeat): Repeat,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<Response, HttpError> {
    Ok(accepted(platform.retry(&job.key, &body, repeat.as_ref()).await?))
}

async fn follow_up(
    State(platform): State<Platform>,
    job: OfJob,
    Repeat(repeat): Repeat,
    JsonBody(body): JsonBody,
) -> Result<Response, HttpError> {
    Ok(accepted(platform.follow_up(&job.key, &body, repeat.as_ref()).await?))
}
