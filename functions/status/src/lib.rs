//! What is known of jobs: `GET /v1/jobs`, one job, its steps, events and result; `/health` and `/openapi.json`.

mod sse;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on};
use axum::{Extension, Json, Router};
use convoke_api::artifact::Health;
use convoke_api::job::{JobList, JobView, ResultView};
use convoke_api::review::{ReviewList, ReviewView};
use convoke_api::step::{StepDetail, StepList};
use convoke_api::time::Time;
use convoke_app::failure::Refused;
use convoke_app::platform::Platform;
use convoke_app::read::{EventsAsked, JobsAsked, Sleeper};
use convoke_domain::status::JobStatus;
use convoke_runtime::http::{Authenticated, ClockSleeper, HttpError, OfJob, Params, StreamingHost, service};
use serde::Deserialize;

/// The function's routes. Requests that carry [`StreamingHost`] get event streams that stay open.
pub fn router(platform: Platform) -> Router {
    router_with(platform, Arc::new(ClockSleeper))
}

/// The function's routes, waiting for events by `sleeper`.
pub fn router_with(platform: Platform, sleeper: Arc<dyn Sleeper>) -> Router {
    let routes = Router::new()
        .route("/health", get(health))
        .route("/openapi.json", get(openapi))
        .route("/v1/jobs", get(jobs))
        .route("/v1/jobs/{id}", get(job))
        .route("/v1/jobs/{id}/steps", get(steps))
        .route("/v1/jobs/{id}/steps/{step}", get(step))
        .route("/v1/jobs/{id}/events", get(events))
        .route("/v1/jobs/{id}/reviews", get(reviews))
        .route("/v1/jobs/{id}/reviews/{review}", get(review).post(elsewhere))
        .route("/v1/jobs/{id}/result", get(result));
    let routes = ELSEWHERE.iter().fold(routes, |routes, (path, method)| routes.route(path, on(*method, elsewhere)));
    service(routes.layer(Extension(Waiter(sleeper))), platform)
}

/// Paths of other functions. With a method that those don't take a request comes here, as do all that no route takes.
const ELSEWHERE: [(&str, MethodFilter); 18] = [
    ("/v1/uploads", MethodFilter::POST),
    ("/v1/jobs/{id}/artifacts", MethodFilter::GET),
    ("/v1/jobs/{id}/artifacts/{*path}", MethodFilter::GET),
    ("/v1/jobs/{id}/archive", MethodFilter::GET),
    ("/v1/jobs/{id}/cancel", MethodFilter::POST),
    ("/v1/jobs/{id}/retry", MethodFilter::POST),
    ("/v1/schedules", MethodFilter::GET.or(MethodFilter::POST)),
    ("/v1/schedules/{id}", MethodFilter::GET.or(MethodFilter::DELETE)),
    ("/v1/schedules/{id}/pause", MethodFilter::POST),
    ("/v1/schedules/{id}/resume", MethodFilter::POST),
    ("/v1/schedules/{id}/run", MethodFilter::POST),
    ("/v1/schedules/{id}/runs", MethodFilter::GET),
    ("/v1/webhooks", MethodFilter::GET.or(MethodFilter::POST)),
    ("/v1/webhooks/{webhook}", MethodFilter::GET.or(MethodFilter::DELETE)),
    ("/v1/webhooks/{webhook}/rotate", MethodFilter::POST),
    ("/v1/webhooks/{webhook}/test", MethodFilter::POST),
    ("/v1/webhooks/{webhook}/deliveries", MethodFilter::GET),
    ("/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", MethodFilter::POST),
];

/// Only where the API's routes lead here what belongs elsewhere.
async fn elsewhere() -> HttpError {
    HttpError::NoRoute
}

/// How this host waits.
#[derive(Clone)]
struct Waiter(Arc<dyn Sleeper>);

async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], convoke_api::openapi::DOCUMENT)
}

#[derive(Deserialize)]
struct JobsQuery {
    status: Option<JobStatus>,
    flow: Option<String>,
    created_after: Option<Time>,
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn jobs(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    Params(query): Params<JobsQuery>,
) -> Result<Json<JobList>, HttpError> {
    let JobsQuery { status, flow, created_after, cursor, limit } = query;
    let asked = JobsAsked { status, flow, created_after, cursor, limit };
    Ok(Json(platform.jobs(&caller.tenant, &asked).await?))
}

async fn job(State(platform): State<Platform>, job: OfJob) -> Result<Json<JobView>, HttpError> {
    Ok(Json(platform.job_view(&job.key).await?))
}

#[derive(Deserialize)]
struct Page {
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn steps(
    State(platform): State<Platform>,
    job: OfJob,
    Params(page): Params<Page>,
) -> Result<Json<StepList>, HttpError> {
    Ok(Json(platform.steps(&job.key, page.cursor.as_deref(), page.limit).await?))
}

async fn step(State(platform): State<Platform>, job: OfJob) -> Result<Json<StepDetail>, HttpError> {
    Ok(Json(platform.step(&job.key, &job.rest).await?))
}

async fn reviews(State(platform): State<Platform>, job: OfJob) -> Result<Json<ReviewList>, HttpError> {
    Ok(Json(platform.reviews(&job.key).await?))
}

async fn review(State(platform): State<Platform>, job: OfJob) -> Result<Json<ReviewView>, HttpError> {
    Ok(Json(platform.review(&job.key, &job.rest).await?))
}

async fn result(State(platform): State<Platform>, job: OfJob) -> Result<Json<ResultView>, HttpError> {
    Ok(Json(platform.result(&job.key).await?))
}

#[derive(Deserialize)]
struct EventsQuery {
    after: Option<u64>,
    limit: Option<u32>,
    wait_s: Option<u64>,
    snapshot: Option<bool>,
}

async fn events(
    State(platform): State<Platform>,
    Extension(Waiter(sleeper)): Extension<Waiter>,
    job: OfJob,
    Params(query): Params<EventsQuery>,
    host: Option<Extension<StreamingHost>>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let wait = Duration::from_secs(query.wait_s.unwrap_or(0));
    let asked = EventsAsked { after: query.after.unwrap_or(0), limit: query.limit, wait };
    if !wants_stream(&headers) {
        return Ok(Json(platform.events(&job.key, asked, &*sleeper).await?).into_response());
    }
    let resumed = last_event_id(&headers)?;
    let stream = sse::Asked {
        key: job.key,
        after: resumed.unwrap_or(asked.after),
        with_snapshot: resumed.is_none() && query.snapshot == Some(true),
    };
    match host {
        Some(_) => sse::open(platform, stream, sleeper).await,
        None => sse::piece(&platform, stream, &*sleeper).await,
    }
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|value| value.split(',')).any(|range| range.trim().starts_with("text/event-stream"))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, HttpError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let malformed = || Refused::Malformed { detail: "last-event-id has to be the number of an event".to_owned() };
    Ok(Some(number.ok_or_else(malformed)?))
}
