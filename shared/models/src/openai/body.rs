//! A response's body, bounded.

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;

use super::answer::ReadError;
use super::failure::DETAIL_BYTES_MAX;
use crate::text::chain;

/// Bytes of an answer; what is longer is cut off and fails.
pub(super) const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// What is left of a body, and how much of it has come.
pub(super) struct Body {
    response: Response,
    bytes_read: usize,
}

impl Body {
    pub(super) const fn of(response: Response) -> Self {
        Self { response, bytes_read: 0 }
    }

    /// Whether events come. Servers that were asked for a stream may answer whole, and say so by their content type.
    pub(super) fn is_event_stream(&self, was_asked: bool) -> bool {
        let kind = self.response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        kind.starts_with("text/event-stream") || (was_asked && !kind.contains("json"))
    }

    /// The next bytes, `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let chunk = self.response.chunk().await;
        let chunk = chunk.map_err(|error| ReadError::Unreadable(chain(&error.without_url(), DETAIL_BYTES_MAX)))?;
        self.bytes_read += chunk.as_ref().map_or(0, Bytes::len);
        if self.bytes_read > BODY_BYTES_MAX {
            return Err(ReadError::Unreadable(format!("the answer is longer than {BODY_BYTES_MAX} bytes")));
        }
        Ok(chunk)
    }

    /// All of it.
    pub(super) async fn whole(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }
}
