//! `POST /v1/jobs/{id}/cancel`, `/retry`, `/follow-up` and `/reviews/{review}`; `/v1/schedules`; `/v1/webhooks`;
//! `/v1/links`.

mod links;
mod schedules;
mod webhooks;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use convoke_api::job::Accepted;
use convoke_api::review::ReviewView;
use convoke_app::platform::Platform;
use convoke_app::reviews::{Decider, decision_of};
use convoke_runtime::http::{HttpError, JsonBody, OfJob, OptionalJsonBody, Repeat, accepted, service};

/// The function's routes.
pub fn router(platform: Platform) -> Router {
    let routes = Router::new().route("/v1/jobs/{id}/cancel", post(cancel)).route("/v1/jobs/{id}/retry", post(retry));
    let routes =
        routes.route("/v1/jobs/{id}/follow-up", post(follow_up)).route("/v1/jobs/{id}/reviews/{review}", post(decide));
    let routes = routes.merge(schedules::routes()).merge(webhooks::routes()).merge(links::routes());
    service(routes, platform)
}

async fn cancel(State(platform): State<Platform>, job: OfJob) -> Result<(StatusCode, Json<Accepted>), HttpError> {
    Ok((StatusCode::ACCEPTED, Json(platform.cancel(&job.key).await?)))
}

async fn decide(
    State(platform): State<Platform>,
    job: OfJob,
    JsonBody(body): JsonBody,
) -> Result<Json<ReviewView>, HttpError> {
    let decision = decision_of(&body)?;
    let by = Decider::of_key(&job.key_name);
    Ok(Json(platform.decide_review(&job.key, &job.rest, &decision, &by).await?))
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
