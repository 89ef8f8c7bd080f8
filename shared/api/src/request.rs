//! What callers send. The server reads bodies field by field, so that it can name all mistakes at once; these types are
//! their documentation, and what clients write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::flow::FlowDoc;

/// A job to be done: the body of `POST /v1/jobs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// What to run.
    pub flow: FlowChoice,
    /// The flow's input; `software` takes `{prompt, max_tasks?, max_rounds?, review_plan?, files?}`. `prompt` has at most
    /// 64 KiB, `files` are ids of uploads.
    #[schema(value_type = Object, example = json!({"prompt": "Create a REST API for a todo application"}))]
    pub input: Map<String, Value>,
    /// `provider/name`; the installation's default where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "openai/gpt-4.1")]
    pub model: Option<String>,
    /// The hard cap; the installation's default where it, or a part of it, is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetRequest>,
    /// After so many seconds the job ends with what there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 3600)]
    pub deadline_s: Option<u64>,
    /// Whom to tell; at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10)]
    pub notify: Vec<NotifyTarget>,
    /// At most 10; names and values of at most 64 characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A flow by name, or one written in place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum FlowChoice {
    /// A built-in flow: `software`.
    Name(String),
    /// A definition.
    Inline(Box<FlowDoc>),
}

/// A cap; what is missing is the installation's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetRequest {
    /// US dollars, as text: `"1.50"`. More than zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^\d{1,7}(\.\d{1,6})?$", example = "1.50")]
    pub usd: Option<String>,
    /// Tokens, in and out. More than zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 200_000)]
    pub tokens: Option<u64>,
}

/// Where to send progress, reviews and the end: exactly one of the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotifyTarget {
    /// Id of a webhook.
    Webhook(String),
    /// A channel in Discord.
    Discord(DiscordTarget),
    /// A chat in Telegram.
    Telegram(TelegramTarget),
}

/// A channel in Discord.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscordTarget {
    /// The channel's id.
    pub channel: String,
}

/// A chat in Telegram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TelegramTarget {
    /// The chat's id.
    pub chat: i64,
    /// The thread within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i64>,
}

/// The body of `POST /v1/jobs/{id}/retry`; all of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryRequest {
    /// A new cap; the first job's where it, or a part of it, is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetRequest>,
}

/// The body of `POST /v1/jobs/{id}/follow-up`: flow, model, budget and labels are the earlier job's where they are missing,
/// the rest is as in a submission. One of `prompt` and `input` has to be there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowUpRequest {
    /// What is wanted next: `input.prompt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Add tests for the errors")]
    pub prompt: Option<String>,
    /// Fields that go over those of the earlier input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input: Option<Map<String, Value>>,
    /// `provider/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The hard cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetRequest>,
    /// After so many seconds the job ends with what there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 3600)]
    pub deadline_s: Option<u64>,
    /// Whom to tell; nobody where it is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10)]
    pub notify: Vec<NotifyTarget>,
    /// At most 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A file to be uploaded: the body of `POST /v1/uploads`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadRequest {
    /// Its name: a relative path without `..`, at most 200 bytes.
    #[schema(example = "notes.md")]
    pub name: String,
    /// Its size, at most 10 MiB; the upload has to have just this.
    #[schema(minimum = 1, maximum = 10_485_760)]
    pub bytes: u64,
    /// Its media type; guessed from the name where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "text/markdown")]
    pub media_type: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_full_request_survives_being_written() {
        let body = json!({
            "flow": "software",
            "input": {"prompt": "a todo api"},
            "model": "openai/gpt-4.1",
            "budget": {"usd": "1.50", "tokens": 200_000},
            "deadline_s": 3600,
            "notify": [{"webhook": "w1"}, {"discord": {"channel": "1"}}, {"telegram": {"chat": -5, "thread": 2}}],
            "labels": {"team": "blue"}
        });
        let request: JobRequest = serde_json::from_value(body.clone()).expect("a request");
        assert_eq!(serde_json::to_value(request).expect("json"), body);
    }
}
