//! A place outside, that answers as told and notes what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use convoke_app::ports::{Outbound, OutboundError, Outgoing, Posted, UrlRefused};
use serde_json::Value;

/// What is answered next; 200 where nothing is said.
type Answers = VecDeque<Result<Posted, OutboundError>>;

/// All places outside. Clones are the same places.
#[derive(Clone, Debug, Default)]
pub struct FakeOutbound {
    state: Arc<Mutex<(Vec<Outgoing>, Answers)>>,
}

impl FakeOutbound {
    /// Answers the next requests with these statuses.
    pub fn answer(&self, statuses: &[u16]) {
        let answers = statuses.iter().map(|&status| Ok(Posted { status, retry_after: None }));
        self.lock().1.extend(answers);
    }

    /// Answers the next request so, and wants to be left alone.
    pub fn answer_later(&self, status: u16, retry_after: Duration) {
        self.lock().1.push_back(Ok(Posted { status, retry_after: Some(retry_after) }));
    }

    /// Gets the next request, and its answer is lost.
    pub fn lose_answer(&self) {
        self.lock().1.push_back(Err(OutboundError::TimedOut(Duration::from_secs(10))));
    }

    /// All that was sent, in order.
    pub fn sent(&self) -> Vec<Outgoing> {
        self.lock().0.clone()
    }

    /// The bodies of what was sent.
    pub fn bodies(&self) -> Vec<Value> {
        let body = |request: &Outgoing| serde_json::from_slice(&request.body).expect("JSON");
        self.lock().0.iter().map(body).collect()
    }

    /// A header of all that was sent.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let header = |request: &Outgoing| {
            let found = request.headers.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        self.lock().0.iter().map(header).collect()
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<Outgoing>, Answers)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbound for FakeOutbound {
    async fn post(&self, request: Outgoing) -> Result<Posted, OutboundError> {
        let mut state = self.lock();
        state.0.push(request);
        state.1.pop_front().unwrap_or(Ok(Posted { status: 200, retry_after: None }))
    }

    fn check_url(&self, url: &str) -> Result<(), UrlRefused> {
        if url.starts_with("https://") {
            return Ok(());
        }
        Err(UrlRefused { message: "isn't an https URL".into(), hint: "https://host/path" })
    }
}
