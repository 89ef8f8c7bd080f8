//! The HTTP API as its callers meet it: the functions' routers over the fakes, the engine behind them.

#[path = "http_api/api.rs"]
mod api;
#[path = "http_api/artifacts.rs"]
mod artifacts;
#[path = "http_api/control.rs"]
mod control;
#[path = "http_api/events.rs"]
mod events;
#[path = "http_api/links.rs"]
mod links;
#[path = "http_api/problems.rs"]
mod problems;
#[path = "http_api/reviews.rs"]
mod reviews;
#[path = "http_api/schedules.rs"]
mod schedules;
#[path = "http_api/status.rs"]
mod status;
#[path = "http_api/submit.rs"]
mod submit;
#[path = "http_api/tenants.rs"]
mod tenants;
#[path = "http_api/webhooks.rs"]
mod webhooks;
