//! Bodies: JSON, announced as JSON, of bounded size.

use std::error::Error;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::LengthLimitError;
use serde_json::Value;

use super::HttpError;

/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A body that has to be there.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonBody(pub Value);

/// A body that may be missing; then it is null.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionalJsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        if !is_json(request.headers()) {
            return Err(HttpError::MediaType);
        }
        parse(&read(request).await?).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for OptionalJsonBody {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &S) -> Result<Self, HttpError> {
        let is_json = is_json(request.headers());
        let bytes = read(request).await?;
        match (bytes.is_empty(), is_json) {
            (true, _) => Ok(Self(Value::Null)),
            (false, true) => parse(&bytes).map(Self),
            (false, false) => Err(HttpError::MediaType),
        }
    }
}

/// `application/json` or `application/...+json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/").unwrap_or_default();
    subtype == "json" || subtype.ends_with("+json")
}

async fn read(request: Request) -> Result<Bytes, HttpError> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
        return Err(HttpError::TooLarge);
    }
    to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|error| {
        let is_limit = error.source().is_some_and(<dyn Error>::is::<LengthLimitError>);
        if is_limit { HttpError::TooLarge } else { HttpError::Body }
    })
}

fn parse(bytes: &[u8]) -> Result<Value, HttpError> {
    serde_json::from_slice(bytes).map_err(|error| HttpError::NotJson { detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn json_is_recognised_by_its_media_type() {
        let is = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a header");
            is_json(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is(good), "{good}");
        }
        for bad in ["", "text/json", "application/x-www-form-urlencoded", "application/jsonp", "json"] {
            assert!(!is(bad), "{bad}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
