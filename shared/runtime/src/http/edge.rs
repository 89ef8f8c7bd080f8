//! The outermost layer: gives a request its id, logs it once, writes problems down.

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use convoke_api::problem::{PROBLEM_MEDIA_TYPE, Problem};
use convoke_app::failure::Refused;
use convoke_app::platform::Platform;
use convoke_domain::path::PathError;
use lambda_http::RequestExt;
use tracing::Instrument;
use tracing::field::Empty;

use super::HttpError;

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a request.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Around every request.
pub(super) async fn edge(State(platform): State<Platform>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers()).unwrap_or_else(|| platform.ports.env.nonce());
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "http", request_id = %id, method = %request.method(), route, tenant = Empty, job = Empty
    );
    let began_ms = platform.ports.env.now_ms();
    let answer = async {
        let response = if has_dots(request.raw_http_path()) {
            HttpError::from(Refused::Path(PathError::Traversal)).into_response()
        } else {
            next.run(request).await
        };
        let took_ms = platform.ports.env.now_ms().saturating_sub(began_ms);
        tracing::info!(status = response.status().as_u16(), took_ms, "request");
        response
    };
    let response = answer.instrument(span).await;
    with_id(written(response, &id), &id)
}

/// Whether a name in the path is `.` or `..`, encoded or not. What makes a request of the event resolves those, so that the
/// path that routes see isn't the one that was asked for.
fn has_dots(path: &str) -> bool {
    let is_dots = |name: &str| matches!(name.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    path.split(['/', '\\']).any(is_dots)
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let fits = (1..=REQUEST_ID_BYTES_MAX).contains(&id.len());
    (fits && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b))).then(|| id.to_owned())
}

fn with_id(mut response: Response, id: &str) -> Response {
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The response with its problem as body, where it carries one.
fn written(mut response: Response, id: &str) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let problem = Problem { request_id: id.to_owned(), ..problem };
    // A problem is plain data, which always has a JSON form.
    let json = serde_json::to_vec(&problem).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = Body::from(json);
    response
}

#[cfg(test)]
mod tests {
    use super::has_dots;

    #[test]
    fn dots_are_seen_however_they_are_written() {
        for path in ["/a/../b", "/..", "/a/%2e%2E/b", "/a/.%2e", "/./a", "/a/%2E", "/a\\..\\b"] {
            assert!(has_dots(path), "{path}");
        }
        for path in ["", "/", "/a/b.c", "/.gitignore", "/a..b", "/...", "/a/%252e%252e/b", "/..%2fa"] {
            assert!(!has_dots(path), "{path}");
        }
    }
}
