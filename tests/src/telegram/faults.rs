//! What goes wrong at Telegram.

use serde_json::{Value, json};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429: it wants to be left alone for so many seconds.
    Throttled(u64),
    /// An error with a sentence.
    Said(u16, &'static str),
    /// The group has become a supergroup.
    Moved(i64),
    /// 502 by something before the Bot API, which has done nothing.
    Broken,
    /// It is done, and the answer is lost.
    Lost,
}

impl Fault {
    /// What is answered, where anything is.
    pub(super) fn answer(&self) -> Option<(u16, Value)> {
        let error = |status: u16, said: &str, parameters: Value| {
            let mut answer = json!({"ok": false, "error_code": status, "description": said});
            if !parameters.is_null() {
                answer["parameters"] = parameters;
            }
            Some((status, answer))
        };
        match self {
            Self::Throttled(wait_s) => {
                let said = format!("Too Many Requests: retry after {wait_s}");
                error(429, &said, json!({"retry_after": wait_s}))
            }
            Self::Said(status, said) => error(*status, said, Value::Null),
            Self::Moved(to) => {
                let said = "Bad Request: group chat was upgraded to a supergroup chat";
                error(400, said, json!({"migrate_to_chat_id": to}))
            }
            Self::Broken | Self::Lost => None,
        }
    }
}
