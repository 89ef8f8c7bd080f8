//! What a script may say.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::ChatRequest;

/// What is said to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A text.
    Text(String),
    /// JSON in the form that the request wants: arguments of the forced tool, else text.
    Answer(Value),
    /// Tools to be called, by name and arguments.
    Calls(Vec<(String, Value)>),
    /// Any status, headers and body.
    Raw {
        /// The status.
        status: u16,
        /// Headers beside those that HTTP needs.
        headers: Vec<(String, String)>,
        /// The body, as it is.
        body: String,
    },
    /// The reply, with this as its `usage`; null for none.
    Metered {
        /// What `usage` says.
        usage: Value,
        /// The reply.
        then: Box<Reply>,
    },
    /// The reply after a while.
    Slow {
        /// How long it takes.
        delay: Duration,
        /// The reply.
        then: Box<Reply>,
    },
    /// The reply as soon as the gate is opened.
    Held {
        /// What holds it.
        gate: Gate,
        /// The reply.
        then: Box<Reply>,
    },
    /// A reply that breaks off in the middle, and the connection with it.
    Cut(Box<Reply>),
    /// Text without end.
    Endless,
    /// A text of so many bytes.
    Huge {
        /// Its length.
        bytes: usize,
    },
}

impl Reply {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A call of one tool.
    pub fn call(name: &str, arguments: Value) -> Self {
        Self::Calls(vec![(name.to_owned(), arguments)])
    }

    /// An error as `OpenAI` words it.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::raw(
            status,
            json!({"error": {"message": message, "type": "error", "param": null, "code": code}}).to_string(),
        )
    }

    /// A JSON body with a status.
    pub fn raw(status: u16, body: impl Into<String>) -> Self {
        Self::Raw { status, headers: vec![("content-type".into(), "application/json".into())], body: body.into() }
    }

    /// Server-sent events, each with one of these as its data.
    pub fn events(data: &[&str]) -> Self {
        let body = data.iter().map(|data| format!("data: {data}\n\n")).collect::<Vec<_>>().concat();
        Self::Raw { status: 200, headers: vec![("content-type".into(), "text/event-stream".into())], body }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Raw { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The same with this as its `usage`; null for none.
    #[must_use]
    pub fn metered(self, usage: Value) -> Self {
        Self::Metered { usage, then: Box::new(self) }
    }

    /// The same, breaking off in the middle.
    #[must_use]
    pub fn cut(self) -> Self {
        Self::Cut(Box::new(self))
    }

    /// The same, as soon as the gate is opened.
    #[must_use]
    pub fn held(self, gate: &Gate) -> Self {
        Self::Held { gate: gate.clone(), then: Box::new(self) }
    }

    /// The same after a while.
    #[must_use]
    pub fn slow(self, delay: Duration) -> Self {
        Self::Slow { delay, then: Box::new(self) }
    }

    /// The text and the calls that this comes down to for a request.
    pub(super) fn content(&self, request: &ChatRequest) -> (String, Vec<(String, Value)>) {
        match self {
            Self::Text(text) => (text.clone(), Vec::new()),
            Self::Answer(value) => match request.answer_tool() {
                Some(tool) => (String::new(), vec![(tool.to_owned(), value.clone())]),
                None => (value.to_string(), Vec::new()),
            },
            Self::Calls(calls) => (String::new(), calls.clone()),
            Self::Huge { bytes } => ("x".repeat(*bytes), Vec::new()),
            Self::Metered { then, .. } | Self::Slow { then, .. } | Self::Held { then, .. } | Self::Cut(then) => {
                then.content(request)
            }
            Self::Raw { .. } | Self::Endless => (String::new(), Vec::new()),
        }
    }

    /// The `usage` that it comes with, where it isn't the server's own count.
    pub(super) fn usage(&self) -> Option<&Value> {
        match self {
            Self::Metered { usage, .. } => Some(usage),
            Self::Slow { then, .. } | Self::Held { then, .. } | Self::Cut(then) => then.usage(),
            _ => None,
        }
    }

    /// Whether it is an error status, which nobody bills.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Raw { status, .. } => *status >= 300,
            Self::Metered { then, .. } | Self::Slow { then, .. } | Self::Held { then, .. } | Self::Cut(then) => {
                then.is_refusal()
            }
            _ => false,
        }
    }
}

/// Tokens of so many bytes, by this server's count.
pub(super) fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

/// Holds replies back until it is opened; then it stays open.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everything through.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        let mut state = self.0.subscribe();
        // The sender lives in `self`, so that waiting can't fail.
        let _ = state.wait_for(|is_open| *is_open).await;
    }
}
