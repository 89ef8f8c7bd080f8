//! What comes of a call: its answer, or one of the few things that a caller can act upon.
//!
//! The Bot API tells errors by a code and a sentence; what the sentences mean is written down here once.

use serde::Deserialize;
use serde_json::Value;

use super::Token;

/// How long to wait where a 429 doesn't say.
const WAIT_S: u64 = 5;

/// Why a call didn't do what it was to. No variant holds the bot's token.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Too much was asked of the Bot API; nothing was done. To be tried again, not before that time.
    #[error("Telegram wants to be left alone for {after_ms} ms")]
    Throttled {
        /// How long, from the answer on.
        after_ms: u64,
    },
    /// The chat can't be written to any more: the bot was blocked, kicked or muted, or the chat is gone. Final.
    #[error("the chat is closed to the bot: {detail}")]
    Dead {
        /// Telegram's sentence.
        detail: String,
    },
    /// The topic is gone or closed; the chat isn't. Final for this topic.
    #[error("the topic is closed: {detail}")]
    NoTopic {
        /// Telegram's sentence.
        detail: String,
    },
    /// The group has become a supergroup; nothing was done. To be tried again there.
    #[error("the chat has become {to}")]
    Moved {
        /// The chat's new id.
        to: i64,
    },
    /// The message is gone, or can't be edited any more. Final for this message.
    #[error("the message can't be edited: {detail}")]
    Gone {
        /// Telegram's sentence.
        detail: String,
    },
    /// The message already says this. What was wanted is so.
    #[error("the message already says this")]
    Unmodified,
    /// The press is too old to be answered. Final.
    #[error("the press is too old to be answered")]
    Stale,
    /// The call is wrong: our mistake. Final.
    #[error("Telegram refuses the call: {detail}")]
    Rejected {
        /// Telegram's sentence.
        detail: String,
    },
    /// The token is nobody's, or a webhook stands where updates are asked for. Nothing was done; an operator has to act.
    #[error("Telegram doesn't serve this bot: {detail}")]
    Refused {
        /// The status.
        status: u16,
        /// Telegram's sentence.
        detail: String,
    },
    /// There was no connection; nothing was done. To be tried again.
    #[error("Telegram can't be reached")]
    Unsent(#[source] reqwest::Error),
    /// No answer came, or none that says what was done. It may have been done.
    #[error("Telegram's answer is lost")]
    Lost(#[source] reqwest::Error),
    /// The same, with an answer that says nothing.
    #[error("Telegram's answer says nothing: {detail}")]
    Unknown {
        /// The status, or what is wrong with the answer.
        detail: String,
    },
}

impl CallError {
    /// Whether the call surely had no effect and may be made again.
    pub const fn is_undone(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unsent(_) | Self::Refused { .. })
    }

    pub(super) fn of(token: &Token, error: reqwest::Error) -> Self {
        if error.is_connect() {
            return Self::Unsent(error.without_url());
        }
        if error.is_builder() {
            return Self::Rejected { detail: token.redact(&error.without_url().to_string()) };
        }
        Self::Lost(error.without_url())
    }

    pub(super) fn unreadable(error: &serde_json::Error) -> Self {
        Self::Unknown { detail: error.to_string() }
    }

    /// The same without the token, should Telegram or what stands before it repeat the URL.
    pub(super) fn redacted(self, token: &Token) -> Self {
        let clean = |detail: String| token.redact(&detail);
        match self {
            Self::Dead { detail } => Self::Dead { detail: clean(detail) },
            Self::NoTopic { detail } => Self::NoTopic { detail: clean(detail) },
            Self::Gone { detail } => Self::Gone { detail: clean(detail) },
            Self::Rejected { detail } => Self::Rejected { detail: clean(detail) },
            Self::Refused { status, detail } => Self::Refused { status, detail: clean(detail) },
            Self::Unknown { detail } => Self::Unknown { detail: clean(detail) },
            other => other,
        }
    }
}

/// An answer of the Bot API.
#[derive(Deserialize)]
pub(super) struct Answer {
    ok: bool,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    description: String,
    error_code: Option<u16>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Answer {
    /// The result, or what is wrong. `wait_s` is the header `Retry-After`.
    pub(super) fn read(status: u16, wait_s: Option<u64>, body: &[u8]) -> Result<Value, CallError> {
        let answer: Self = match serde_json::from_slice(body) {
            Ok(answer) => answer,
            // Not the Bot API, but something before it.
            Err(_) if status == 429 => return Err(throttled(wait_s)),
            Err(_) => return Err(CallError::Unknown { detail: format!("status {status}") }),
        };
        if answer.ok {
            return Ok(answer.result);
        }
        let status = answer.error_code.unwrap_or(status);
        if let Some(to) = answer.parameters.migrate_to_chat_id {
            return Err(CallError::Moved { to });
        }
        if status == 429 {
            return Err(throttled(answer.parameters.retry_after.or(wait_s)));
        }
        Err(told(status, answer.description))
    }
}

fn throttled(wait_s: Option<u64>) -> CallError {
    CallError::Throttled { after_ms: wait_s.unwrap_or(WAIT_S).saturating_mul(1_000) }
}

/// Sentences of 400 after which a topic can't be written to.
const NO_TOPIC: [&str; 3] = ["message thread not found", "topic_deleted", "topic_closed"];
/// Sentences of 400 after which the chat can't be written to.
const DEAD: [&str; 9] = [
    "chat not found",
    "peer_id_invalid",
    "user not found",
    "not enough rights to send",
    "have no rights to send",
    "need administrator rights in the channel chat",
    "chat_write_forbidden",
    "chat_restricted",
    "group chat was deactivated",
];
/// Sentences of 400 after which a message can't be edited.
const GONE: [&str; 4] =
    ["message to edit not found", "message can't be edited", "message_id_invalid", "message to be edited not found"];
const UNMODIFIED: &str = "message is not modified";
const STALE: [&str; 2] = ["query is too old", "query_id_invalid"];

/// What a sentence means. Case isn't told apart, since the older ones are in capitals.
fn told(status: u16, detail: String) -> CallError {
    let said = detail.to_ascii_lowercase();
    let is_one_of = |sentences: &[&str]| sentences.iter().any(|sentence| said.contains(sentence));
    match status {
        // All sentences of this kind begin so, whatever the reason.
        403 => CallError::Dead { detail },
        _ if said.starts_with("forbidden:") => CallError::Dead { detail },
        400 if said.contains(UNMODIFIED) => CallError::Unmodified,
        400 if is_one_of(&STALE) => CallError::Stale,
        400 if is_one_of(&GONE) => CallError::Gone { detail },
        400 if is_one_of(&NO_TOPIC) => CallError::NoTopic { detail },
        400 if is_one_of(&DEAD) => CallError::Dead { detail },
        401 | 404 | 409 => CallError::Refused { status, detail },
        402..500 | 400 => CallError::Rejected { detail },
        _ => CallError::Unknown { detail: format!("status {status}: {detail}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, description: &str, parameters: &str) -> String {
        let body = format!(
            r#"{{"ok": false, "error_code": {status}, "description": "{description}", "parameters": {parameters}}}"#
        );
        let error = Answer::read(status, None, body.as_bytes()).expect_err("an error");
        let told = format!("{error:?}");
        told.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn sentences_mean_what_they_mean() {
        for (status, description, means) in [
            (403, "Forbidden: bot was blocked by the user", "Dead"),
            (403, "Forbidden: bot was kicked from the group chat", "Dead"),
            (403, "Forbidden: something that nobody has heard of yet", "Dead"),
            (400, "Forbidden: bot is not a member of the supergroup chat", "Dead"),
            (400, "Bad Request: chat not found", "Dead"),
            (400, "Bad Request: PEER_ID_INVALID", "Dead"),
            (400, "Bad Request: not enough rights to send text messages to the chat", "Dead"),
            (400, "Bad Request: message thread not found", "NoTopic"),
            (400, "Bad Request: TOPIC_CLOSED", "NoTopic"),
            (400, "Bad Request: message to edit not found", "Gone"),
            (400, "Bad Request: MESSAGE_ID_INVALID", "Gone"),
            (400, "Bad Request: message can't be edited", "Gone"),
            (400, "Bad Request: message is not modified: specified new message content is the same", "Unmodified"),
            (400, "Bad Request: query is too old and response timeout expired or query ID is invalid", "Stale"),
            (400, "Bad Request: can't parse entities: Unsupported start tag", "Rejected"),
            (413, "Request Entity Too Large", "Rejected"),
            (401, "Unauthorized", "Refused"),
            (404, "Not Found", "Refused"),
            (409, "Conflict: can't use getUpdates method while webhook is active", "Refused"),
            (500, "Internal Server Error", "Unknown"),
            (502, "Bad Gateway", "Unknown"),
        ] {
            assert_eq!(read(status, description, "{}"), means, "{status} {description}");
        }
    }

    #[test]
    fn parameters_say_how_long_and_where_to() {
        let wait = Answer::read(429, Some(7), br#"{"ok":false,"error_code":429,"parameters":{"retry_after":3600}}"#);
        assert!(matches!(wait, Err(CallError::Throttled { after_ms: 3_600_000 })), "{wait:?}");
        let wait = Answer::read(429, Some(7), b"<html>");
        assert!(matches!(wait, Err(CallError::Throttled { after_ms: 7_000 })), "{wait:?}");
        let wait = Answer::read(429, None, br#"{"ok":false,"error_code":429}"#);
        assert!(matches!(wait, Err(CallError::Throttled { after_ms: 5_000 })), "{wait:?}");
        let moved = "Bad Request: group chat was upgraded to a supergroup chat";
        assert_eq!(read(400, moved, r#"{"migrate_to_chat_id": -1001}"#), "Moved");
    }

    #[test]
    fn what_is_no_answer_of_the_bot_api_says_nothing_about_what_was_done() {
        for (status, body) in [(502, "<html>nginx</html>"), (200, ""), (200, "[]")] {
            let read = Answer::read(status, None, body.as_bytes());
            assert!(matches!(read, Err(CallError::Unknown { .. })), "{read:?}");
        }
        let done = Answer::read(200, None, br#"{"ok": true, "result": null}"#);
        assert!(matches!(done, Ok(Value::Null)), "{done:?}");
    }

    #[test]
    fn a_token_that_comes_back_is_taken_out() {
        let token: Token = "42:AAH-very_secret".parse().expect("a token");
        let error = told(400, "Bad Request: /bot42:AAH-very_secret/x".to_owned()).redacted(&token);
        assert!(!format!("{error:?} {error}").contains("very_secret"), "{error:?}");
    }
}
