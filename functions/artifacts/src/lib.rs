//! Files: `GET /v1/jobs/{id}/artifacts`, `/artifacts/{path}`, `/archive`, and `POST /v1/uploads`.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use convoke_api::artifact::{ArtifactList, DownloadView, UploadView};
use convoke_app::artifacts::ARCHIVE;
use convoke_app::failure::Refused;
use convoke_app::platform::Platform;
use convoke_runtime::http::{Authenticated, HttpError, JsonBody, OfJob, Params, service};
use serde::Deserialize;

/// The function's routes.
pub fn router(platform: Platform) -> Router {
    let routes = Router::new()
        .route("/v1/jobs/{id}/artifacts", get(list))
        .route("/v1/jobs/{id}/artifacts/{*path}", get(download))
        .route("/v1/jobs/{id}/archive", get(archive))
        .route("/v1/uploads", post(upload));
    service(routes, platform)
}

#[derive(Deserialize)]
struct Page {
    cursor: Option<String>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct Redirect {
    redirect: Option<bool>,
}

async fn list(
    State(platform): State<Platform>,
    job: OfJob,
    Params(page): Params<Page>,
) -> Result<Json<ArtifactList>, HttpError> {
    Ok(Json(platform.artifacts(&job.key, page.cursor.as_deref(), page.limit).await?))
}

async fn download(
    State(platform): State<Platform>,
    job: OfJob,
    Params(asked): Params<Redirect>,
) -> Result<Response, HttpError> {
    handed_out(platform.download(&job.key, &job.rest).await?, &asked)
}

async fn archive(
    State(platform): State<Platform>,
    job: OfJob,
    Params(asked): Params<Redirect>,
) -> Result<Response, HttpError> {
    handed_out(platform.download(&job.key, ARCHIVE).await?, &asked)
}

async fn upload(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<UploadView>), HttpError> {
    Ok((StatusCode::CREATED, Json(platform.create_upload(&caller.tenant, &body).await?)))
}

/// The URL is good for a while and for one caller: nobody may keep it.
fn handed_out(download: DownloadView, asked: &Redirect) -> Result<Response, HttpError> {
    let mut response = if asked.redirect == Some(false) {
        Json(download).into_response()
    } else {
        let location = HeaderValue::from_str(&download.url)
            .map_err(|_| Refused::ArtifactNotFound { path: download.path.clone() })?;
        (StatusCode::FOUND, [(LOCATION, location)]).into_response()
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
