//! The routes of the HTTP API, as `template.yaml` has them: which function answers what.

use crate::host::{Route, RouteError};

/// `METHOD /path` and the function that answers it.
pub const ROUTES: [(&str, &str); 39] = [
    ("POST /v1/jobs", "submit"),
    ("POST /v1/uploads", "artifacts"),
    ("GET /v1/jobs", "status"),
    ("GET /v1/jobs/{id}", "status"),
    ("GET /v1/jobs/{id}/steps", "status"),
    ("GET /v1/jobs/{id}/steps/{step}", "status"),
    ("GET /v1/jobs/{id}/events", "events"),
    ("GET /v1/jobs/{id}/reviews", "status"),
    ("GET /v1/jobs/{id}/reviews/{review}", "status"),
    ("GET /v1/jobs/{id}/result", "status"),
    ("GET /health", "status"),
    ("GET /openapi.json", "status"),
    ("GET /v1/jobs/{id}/artifacts", "artifacts"),
    ("GET /v1/jobs/{id}/artifacts/{path+}", "artifacts"),
    ("GET /v1/jobs/{id}/archive", "artifacts"),
    ("POST /v1/jobs/{id}/cancel", "control"),
    ("POST /v1/jobs/{id}/retry", "control"),
    ("POST /v1/jobs/{id}/follow-up", "control"),
    ("POST /v1/jobs/{id}/reviews/{review}", "control"),
    ("GET /v1/schedules", "control"),
    ("POST /v1/schedules", "control"),
    ("GET /v1/schedules/{id}", "control"),
    ("DELETE /v1/schedules/{id}", "control"),
    ("POST /v1/schedules/{id}/pause", "control"),
    ("POST /v1/schedules/{id}/resume", "control"),
    ("POST /v1/schedules/{id}/run", "control"),
    ("GET /v1/schedules/{id}/runs", "control"),
    ("GET /v1/webhooks", "control"),
    ("POST /v1/webhooks", "control"),
    ("GET /v1/webhooks/{webhook}", "control"),
    ("DELETE /v1/webhooks/{webhook}", "control"),
    ("POST /v1/webhooks/{webhook}/rotate", "control"),
    ("POST /v1/webhooks/{webhook}/test", "control"),
    ("GET /v1/webhooks/{webhook}/deliveries", "control"),
    ("POST /v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", "control"),
    ("GET /v1/links", "control"),
    ("POST /v1/links", "control"),
    ("DELETE /v1/links/{realm}", "control"),
    ("$default", "status"),
];

/// The routes, parsed.
pub fn routes() -> Result<Vec<Route>, RouteError> {
    ROUTES.iter().map(|(key, function)| Route::new(key, function)).collect()
}
