//! What can go wrong with a call of Discord, and what each status and code means.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

/// Longest text of Discord's that an error keeps, in characters.
const DETAIL_CHARS_MAX: usize = 300;
/// Pause where Discord asks for one and doesn't say how long.
const PAUSE: Duration = Duration::from_secs(5);
/// The same of a message that was edited too often.
const EDITS_PAUSE: Duration = Duration::from_mins(1);

/// Codes of Discord's errors that mean something to us.
/// <https://discord.com/developers/docs/topics/opcodes-and-status-codes>
pub mod code {
    /// There is no such channel, or it isn't ours to see.
    pub const UNKNOWN_CHANNEL: u64 = 10_003;
    /// There is no such message any more.
    pub const UNKNOWN_MESSAGE: u64 = 10_008;
    /// The message is older than an hour and was edited too often lately.
    pub const TOO_MANY_EDITS: u64 = 30_046;
    /// The interaction's token is too old, or was never given out.
    pub const UNKNOWN_INTERACTION: u64 = 10_062;
    /// The interaction was answered already.
    pub const ALREADY_ACKNOWLEDGED: u64 = 40_060;
    /// The thread is archived: nothing in it can be edited.
    pub const THREAD_ARCHIVED: u64 = 50_083;
    /// The message has a thread already, which has the message's id.
    pub const HAS_THREAD: u64 = 160_004;
    /// The thread is locked: only who manages threads writes in it.
    pub const THREAD_LOCKED: u64 = 160_005;
}

/// Why a call didn't do what it was asked. Holds no token.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// Discord wants to be left alone: nothing happened. Try again after the pause.
    #[error("Discord asks for a pause of {after:?}")]
    Throttled {
        /// How long.
        after: Duration,
        /// Whether that goes for all calls of this bot, not for those like this one alone.
        global: bool,
    },
    /// The message isn't to be edited before that; others are: nothing happened.
    #[error("Discord wants no edit of the message for {0:?}")]
    EditedTooOften(Duration),
    /// Discord refuses: nothing happened. Final for this call.
    #[error("Discord answers {status}, {code}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// Discord's own code; 0 where it says none, as the network in front of it does.
        code: u64,
        /// Discord's own words.
        message: String,
    },
    /// Discord is in trouble: may have happened. Try again where a repeat does no harm.
    #[error("Discord answers {0}")]
    Unavailable(u16),
    /// No answer in time, or the connection broke: may have happened.
    #[error("Discord doesn't answer")]
    Lost(#[source] reqwest::Error),
    /// Nobody could be reached: nothing happened. Try again.
    #[error("Discord can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// It happened, but what Discord said to it can't be read.
    #[error("Discord's answer can't be read: {0}")]
    Unreadable(String),
    /// No token is set, or there is no HTTP client: an operator has to change something.
    #[error("{0}")]
    NotSetUp(String),
}

impl RestError {
    /// The error of a request that had no answer. The URL, which may have a token in it, is taken off.
    pub(super) fn of_request(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() { Self::Unreachable(error) } else { Self::Lost(error) }
    }

    /// Discord's code, where it refuses with one.
    pub const fn code(&self) -> Option<u64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The error that an answer tells.
    pub(super) fn of_answer(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Told {
            code: u64,
            message: String,
            retry_after: Option<f64>,
            global: bool,
            errors: serde_json::Value,
        }
        let told: Told = serde_json::from_slice(body).unwrap_or_default();
        let after = told.retry_after.or_else(|| seconds(headers)).and_then(pause);
        match status {
            _ if told.code == code::TOO_MANY_EDITS => Self::EditedTooOften(after.unwrap_or(EDITS_PAUSE)),
            429 => {
                let after = after.unwrap_or(PAUSE);
                let scope = headers.get("x-ratelimit-scope").and_then(|scope| scope.to_str().ok());
                Self::Throttled { after, global: told.global || scope == Some("global") }
            }
            500.. => Self::Unavailable(status),
            _ => {
                let detail = if told.errors.is_null() { String::new() } else { format!(" {}", told.errors) };
                let message = format!("{}{detail}", told.message).chars().take(DETAIL_CHARS_MAX).collect();
                Self::Refused { status, code: told.code, message }
            }
        }
    }
}

fn seconds(headers: &HeaderMap) -> Option<f64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// A pause of so many seconds; none of less than nothing, or of nonsense.
fn pause(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> RestError {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().expect("a header's name"), value.parse().expect("a header's value")));
        RestError::of_answer(status, &headers.collect(), body.as_bytes())
    }

    #[test]
    fn a_pause_is_read_from_the_body_first() {
        let error =
            told(429, &[("retry-after", "65")], r#"{"message": "slow", "retry_after": 64.57, "global": false}"#);
        let RestError::Throttled { after, global: false } = error else { panic!("{error}") };
        assert_eq!(after, Duration::from_millis(64_570));
    }

    #[test]
    fn a_pause_is_read_from_the_header_where_the_body_is_none() {
        let headers = [("retry-after", "3600"), ("x-ratelimit-scope", "global")];
        let error = told(429, &headers, "<html>error 1015</html>");
        let RestError::Throttled { after, global: true } = error else { panic!("{error}") };
        assert_eq!(after, Duration::from_hours(1));
        for nonsense in ["-1", "never", "1e400", ""] {
            let body = format!(r#"{{"retry_after": {}}}"#, if nonsense == "-1" { "-1" } else { "null" });
            let error = told(429, &[], &body);
            assert!(matches!(error, RestError::Throttled { after, .. } if after == PAUSE), "{nonsense}: {error}");
        }
    }

    #[test]
    fn a_message_that_was_edited_too_often_silences_nothing_else() {
        let body = r#"{"code": 30046, "message": "Maximum number of edits reached", "retry_after": 12.5}"#;
        let error = told(429, &[], body);
        assert!(matches!(error, RestError::EditedTooOften(after) if after == Duration::from_millis(12_500)), "{error}");
        let error = told(400, &[], r#"{"code": 30046}"#);
        assert!(matches!(error, RestError::EditedTooOften(EDITS_PAUSE)), "{error}");
    }

    #[test]
    fn a_refusal_keeps_its_code_and_what_was_wrong_with_the_body() {
        let body = r#"{"code": 50035, "message": "Invalid Form Body", "errors": {"content": {"_errors": []}}}"#;
        let error = told(400, &[], body);
        assert_eq!(error.code(), Some(50_035));
        assert!(error.to_string().contains(r#"{"content":{"_errors":[]}}"#), "{error}");
        let error = told(403, &[], "<html>Cloudflare</html>");
        assert_eq!(error.code(), Some(0));
        assert!(matches!(told(502, &[], ""), RestError::Unavailable(502)));
    }
}
