//! `/v1/schedules`.

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use convoke_api::schedule::{RunList, RunView, ScheduleList, ScheduleView};
use convoke_app::platform::Platform;
use convoke_runtime::http::{Authenticated, HttpError, JsonBody, OfTenant, Params};
use serde::Deserialize;

/// The routes of schedules.
pub(crate) fn routes() -> Router<Platform> {
    Router::new()
        .route("/v1/schedules", get(list).post(create))
        .route("/v1/schedules/{id}", get(show).delete(delete))
        .route("/v1/schedules/{id}/pause", post(pause))
        .route("/v1/schedules/{id}/resume", post(resume))
        .route("/v1/schedules/{id}/run", post(run))
        .route("/v1/schedules/{id}/runs", get(runs))
}

#[derive(Deserialize)]
struct Page {
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    JsonBody(body): JsonBody,
) -> Result<Response, HttpError> {
    let schedule = platform.create_schedule(&caller.tenant, &body).await?;
    let location = HeaderValue::from_str(&schedule.href);
    let mut response = (StatusCode::CREATED, Json(schedule)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

async fn list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
) -> Result<Json<ScheduleList>, HttpError> {
    Ok(Json(platform.schedules(&caller.tenant).await?))
}

async fn show(State(platform): State<Platform>, of: OfTenant) -> Result<Json<ScheduleView>, HttpError> {
    Ok(Json(platform.schedule(&of.tenant, &of.id).await?))
}

async fn delete(State(platform): State<Platform>, of: OfTenant) -> Result<StatusCode, HttpError> {
    platform.delete_schedule(&of.tenant, &of.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn pause(State(platform): State<Platform>, of: OfTenant) -> Result<Json<ScheduleView>, HttpError> {
    Ok(Json(platform.pause_schedule(&of.tenant, &of.id).await?))
}

async fn resume(State(platform): State<Platform>, of: OfTenant) -> Result<Json<ScheduleView>, HttpError> {
    Ok(Json(platform.resume_schedule(&of.tenant, &of.id).await?))
}

async fn run(State(platform): State<Platform>, of: OfTenant) -> Result<(StatusCode, Json<RunView>), HttpError> {
    Ok((StatusCode::ACCEPTED, Json(platform.run_schedule(&of.tenant, &of.id).await?)))
}

async fn runs(
    State(platform): State<Platform>,
    of: OfTenant,
    Params(page): Params<Page>,
) -> Result<Json<RunList>, HttpError> {
    Ok(Json(platform.runs(&of.tenant, &of.id, page.cursor.as_deref(), page.limit).await?))
}
