//! `/v1/links`: what of chats is the caller's, and codes that link more.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use convoke_api::link::{LinkCodeView, LinkList};
use convoke_app::platform::Platform;
use convoke_runtime::http::{Authenticated, HttpError, OfTenant, OptionalJsonBody};

/// The routes.
pub(super) fn routes() -> Router<Platform> {
    Router::new().route("/v1/links", get(list).post(ask)).route("/v1/links/{realm}", delete(unlink))
}

async fn list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
) -> Result<Json<LinkList>, HttpError> {
    Ok(Json(platform.link_views(&caller.tenant).await?))
}

async fn ask(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    OptionalJsonBody(body): OptionalJsonBody,
) -> Result<(StatusCode, Json<LinkCodeView>), HttpError> {
    Ok((StatusCode::CREATED, Json(platform.ask_for_link(&caller.tenant, &body).await?)))
}

async fn unlink(State(platform): State<Platform>, of: OfTenant) -> Result<StatusCode, HttpError> {
    platform.delete_link(&of.tenant, &of.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
