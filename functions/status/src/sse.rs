//! Events as a stream (server-sent events): open until the job's last event where the host can, in pieces where it can't.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use convoke_api::event::{EventList, EventView};
use convoke_api::job::JobView;
use convoke_app::failure::Failure;
use convoke_app::platform::Platform;
use convoke_app::read::{EVENTS_MAX, EventsAsked, Sleeper, WAIT_MAX};
use convoke_domain::ids::JobKey;
use convoke_runtime::http::HttpError;
use futures_util::stream::unfold;

/// How long an open stream is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When to come again for the next piece, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// Which stream is asked for.
pub struct Asked {
    /// Of which job.
    pub key: JobKey,
    /// Only events with a higher number.
    pub after: u64,
    /// Whether it begins with the job as it stands.
    pub with_snapshot: bool,
}

/// What there is now, or the first that comes within 20 s; the client comes again by itself. 204 tells it that nothing
/// more will come.
pub async fn piece(platform: &Platform, asked: Asked, sleeper: &dyn Sleeper) -> Result<Response, HttpError> {
    let mut text = format!("retry: {RETRY_MS}\n\n");
    let wait = if asked.with_snapshot { Duration::ZERO } else { WAIT_MAX };
    if asked.with_snapshot {
        text.push_str(&snapshot(&platform.job_view(&asked.key).await?));
    }
    let page = EventsAsked { after: asked.after, limit: Some(EVENTS_MAX), wait };
    let list = platform.events(&asked.key, page, sleeper).await?;
    if list.events.is_empty() && list.ended && !asked.with_snapshot {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    text.extend(list.events.iter().map(message));
    Ok(stream(Body::from(text)))
}

/// A stream that stays open until the job's last event. 204 tells a client that has had that one not to come again.
pub async fn open(platform: Platform, asked: Asked, sleeper: Arc<dyn Sleeper>) -> Result<Response, HttpError> {
    let mut first = VecDeque::new();
    let view = platform.job_view(&asked.key).await?;
    let now = EventsAsked { after: asked.after, limit: Some(1), wait: Duration::ZERO };
    let next = platform.events(&asked.key, now, &*sleeper).await?;
    if next.events.is_empty() && next.ended && !asked.with_snapshot {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if asked.with_snapshot {
        first.push_back(snapshot(&view));
    }
    let state = Open { platform, key: asked.key, after: asked.after, sleeper, ready: first, has_ended: false };
    let pieces = unfold(state, async |mut state| {
        let text = state.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), state))
    });
    Ok(stream(Body::from_stream(pieces)))
}

struct Open {
    platform: Platform,
    key: JobKey,
    after: u64,
    sleeper: Arc<dyn Sleeper>,
    ready: VecDeque<String>,
    has_ended: bool,
}

impl Open {
    /// The next piece of text; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        if let Some(text) = self.ready.pop_front() {
            return Some(text);
        }
        if self.has_ended {
            return None;
        }
        match self.look().await {
            Ok(list) => {
                self.after = list.next_after;
                self.has_ended = list.ended;
                let text: String = list.events.iter().map(message).collect();
                if text.is_empty() && list.ended { None } else { Some(or_heartbeat(text)) }
            }
            Err(error) => {
                // The client comes again with the number of the last event that it got.
                tracing::warn!(error = &error as &dyn std::error::Error, "an event stream breaks off");
                None
            }
        }
    }

    async fn look(&self) -> Result<EventList, Failure> {
        let asked = EventsAsked { after: self.after, limit: Some(EVENTS_MAX), wait: HEARTBEAT };
        self.platform.events(&self.key, asked, &*self.sleeper).await
    }
}

fn or_heartbeat(text: String) -> String {
    if text.is_empty() { ": still here\n\n".to_owned() } else { text }
}

fn stream(body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}

/// One message. JSON has no line breaks in it, so the data is one line.
fn message(event: &EventView) -> String {
    let mut text = format!("id: {}\nevent: {}\n", event.seq, event.what.name());
    // Plain data always has a JSON form; writing to a text never fails.
    let _ = write!(text, "data: {}\n\n", serde_json::to_string(event).unwrap_or_default());
    text
}

/// A message without a number: it isn't repeated when the client comes again.
fn snapshot(view: &JobView) -> String {
    format!("event: snapshot\ndata: {}\n\n", serde_json::to_string(view).unwrap_or_default())
}
