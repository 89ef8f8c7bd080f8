//! `/v1/webhooks`: the caller's webhooks, and what came of telling them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use convoke_api::webhook::{DeliveryList, DeliveryView, RedeliveryView, WebhookList, WebhookView, WebhookWithSecret};
use convoke_app::platform::Platform;
use convoke_runtime::http::{Authenticated, HttpError, JsonBody, OfWebhook, Params};
use serde::Deserialize;

/// The routes.
pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/v1/webhooks", get(list).post(create))
        .route("/v1/webhooks/{webhook}", get(show).delete(delete))
        .route("/v1/webhooks/{webhook}/rotate", post(rotate))
        .route("/v1/webhooks/{webhook}/test", post(test))
        .route("/v1/webhooks/{webhook}/deliveries", get(deliveries))
        .route("/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", post(redeliver))
}

async fn list(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
) -> Result<Json<WebhookList>, HttpError> {
    Ok(Json(platform.webhooks(&caller.tenant).await?))
}

async fn create(
    State(platform): State<Platform>,
    Authenticated(caller): Authenticated,
    JsonBody(body): JsonBody,
) -> Result<Response, HttpError> {
    let made = platform.create_webhook(&caller.tenant, &body).await?;
    let location = [(LOCATION, made.webhook.href.clone())];
    Ok((StatusCode::CREATED, location, Json(made)).into_response())
}

async fn show(State(platform): State<Platform>, of: OfWebhook) -> Result<Json<WebhookView>, HttpError> {
    Ok(Json(platform.webhook(&of.tenant, &of.webhook).await?))
}

async fn delete(State(platform): State<Platform>, of: OfWebhook) -> Result<StatusCode, HttpError> {
    platform.delete_webhook(&of.tenant, &of.webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rotate(State(platform): State<Platform>, of: OfWebhook) -> Result<Json<WebhookWithSecret>, HttpError> {
    Ok(Json(platform.rotate_webhook(&of.tenant, &of.webhook).await?))
}

async fn test(State(platform): State<Platform>, of: OfWebhook) -> Result<Json<DeliveryView>, HttpError> {
    Ok(Json(platform.test_webhook(&of.tenant, &of.webhook).await?))
}

#[derive(Deserialize)]
struct Page {
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn deliveries(
    State(platform): State<Platform>,
    of: OfWebhook,
    Params(page): Params<Page>,
) -> Result<Json<DeliveryList>, HttpError> {
    let asked = (page.cursor.as_deref(), page.limit);
    Ok(Json(platform.webhook_deliveries(&of.tenant, &of.webhook, asked).await?))
}

async fn redeliver(
    State(platform): State<Platform>,
    of: OfWebhook,
) -> Result<(StatusCode, Json<RedeliveryView>), HttpError> {
    Ok((StatusCode::ACCEPTED, Json(platform.redeliver(&of.tenant, &of.webhook, &of.delivery).await?)))
}
