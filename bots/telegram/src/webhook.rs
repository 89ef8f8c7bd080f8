//! Updates over HTTP: what Telegram calls a webhook.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::post;
use convoke_app::platform::Platform;
use convoke_runtime::Secret;
use convoke_runtime::http::{BODY_BYTES_MAX, service};
use sha2::{Digest, Sha256};

use crate::inbound::Inbound;
use crate::update::Incoming;

/// Where updates come in.
pub const PATH: &str = "/telegram/updates";
/// The header by which Telegram shows that it is Telegram.
pub const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";

/// What Telegram was told to show.
#[derive(Clone, Debug)]
struct Shown(Secret);

impl Shown {
    /// Whether this is it, in a time that says nothing about where it differs: hashes are compared, and all of them.
    fn is(&self, given: &[u8]) -> bool {
        let (own, given) = (Sha256::digest(self.0.expose()), Sha256::digest(given));
        own.iter().zip(given).fold(0, |different, (own, given)| different | (own ^ given)) == 0
    }
}

/// The function's routes; `secret` is what Telegram was told to show.
pub fn router(inbound: Inbound, secret: Secret, platform: Platform) -> Router {
    let routes = Router::new()
        .route(PATH, post(update))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(inbound))
        .layer(Extension(Shown(secret)));
    service(routes, platform)
}

/// | answer | when |
/// |---|---|
/// | 200 | it is done, or nothing is to be done about it, ever |
/// | 401 | it isn't Telegram's |
/// | 503 | it isn't done: Telegram sends it again |
async fn update(
    Extension(inbound): Extension<Inbound>,
    Extension(secret): Extension<Shown>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let given = headers.get(SECRET_HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    if !secret.is(given) {
        return StatusCode::UNAUTHORIZED;
    }
    let incoming = match Incoming::read(&body) {
        Ok(incoming) => incoming,
        Err(error) => {
            // It would come again for ever, and never be anything else.
            tracing::error!(error = &error as &dyn std::error::Error, "an update can't be read");
            return StatusCode::OK;
        }
    };
    match inbound.hear(incoming).await {
        Ok(()) => StatusCode::OK,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "an update comes again");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_secret_counts() {
        let shown = Shown(Secret::new("a-secret-of-mine"));
        assert!(shown.is(b"a-secret-of-mine"));
        for wrong in ["", "a-secret-of-min", "a-secret-of-mine ", "A-secret-of-mine", "b-secret-of-mine"] {
            assert!(!shown.is(wrong.as_bytes()), "{wrong}");
        }
    }
}
