//! Scripts for common cases.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{ChatRequest, Reply, Script};

/// Replies in order, whatever is asked; the last one again and again.
pub struct Sequence {
    replies: Vec<Reply>,
    next: AtomicUsize,
}

impl Sequence {
    /// At least one reply.
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "a sequence needs a reply");
        Self { replies, next: AtomicUsize::new(0) }
    }
}

impl Script for Sequence {
    fn reply(&self, _: &ChatRequest) -> Reply {
        let next = self.next.fetch_add(1, Ordering::SeqCst);
        self.replies[next.min(self.replies.len() - 1)].clone()
    }
}

/// Replies by a text that stands in a system or user message. The first rule that fits counts; what fits none is
/// refused with status 400, which no caller tries again.
#[derive(Default)]
pub struct ByRole {
    rules: Vec<(String, Box<dyn Script>)>,
    otherwise: Option<Box<dyn Script>>,
}

impl ByRole {
    /// Without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where `text` is mentioned, `script` replies; its [`ChatRequest::index`] is the server's.
    #[must_use]
    pub fn on(mut self, text: &str, script: impl Script) -> Self {
        self.rules.push((text.to_owned(), Box::new(script)));
        self
    }

    /// Where `text` is mentioned, these are the replies in order, the last one again and again.
    #[must_use]
    pub fn say(self, text: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        self.on(text, Sequence::new(replies))
    }

    /// Where nothing fits.
    #[must_use]
    pub fn otherwise(mut self, script: impl Script) -> Self {
        self.otherwise = Some(Box::new(script));
        self
    }
}

impl Script for ByRole {
    fn reply(&self, request: &ChatRequest) -> Reply {
        let rule = self.rules.iter().find(|(text, _)| request.mentions(text)).map(|(_, script)| script);
        match rule.or(self.otherwise.as_ref()) {
            Some(script) => script.reply(request),
            None => Reply::error(400, "no_rule", &format!("no rule fits {:?}", request.last_user())),
        }
    }
}
