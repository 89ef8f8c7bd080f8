//! Webhooks, and what came of telling them.

use convoke_domain::ids::{JobId, WebhookId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema::{job_id, webhook_id};
use crate::time::Time;

/// A place to be told at: the body of `POST /v1/webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// Where: an https URL of a public host, at most 2048 bytes, without user name and password.
    #[schema(example = "https://example.com/convoke")]
    pub url: String,
    /// The types of events that are wanted, or `*` for all; `job.ended` where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["job.ended"]))]
    pub events: Option<Vec<String>>,
    /// What to call it, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookView {
    /// Its id, for `notify` of a submission.
    #[schema(schema_with = webhook_id)]
    pub id: WebhookId,
    /// Where.
    pub url: String,
    /// The types of events that are wanted; `*` for all.
    pub events: Vec<String>,
    /// What it is called.
    pub description: String,
    /// When it was made.
    pub created_at: Time,
    /// Since when it is told nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Time>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_because: Option<String>,
    /// Until when an earlier secret signs beside the one that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier_secret_until: Option<Time>,
    /// Its URL.
    pub href: String,
}

/// A webhook with its secret, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookWithSecret {
    /// What messages are signed with: `whsec_` and base64 of 32 bytes (Standard Webhooks).
    #[schema(pattern = "^whsec_[A-Za-z0-9+/]{43}=$")]
    pub secret: String,
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookView,
}

impl std::fmt::Debug for WebhookWithSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookWithSecret").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

/// The tenant's webhooks, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookList {
    /// The webhooks; a tenant has 20 at most.
    pub webhooks: Vec<WebhookView>,
}

/// A try to tell a webhook something, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: String,
    /// The message's id, as in the header `webhook-id`: the same for all tries at one event.
    pub message_id: String,
    /// The job; missing for a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = job_id)]
    pub job: Option<JobId>,
    /// The event's number within the job; missing for a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Which try at it, from 1.
    pub attempt: u32,
    /// Whether it was acknowledged, by a status from 200 to 299.
    pub delivered: bool,
    /// The status, where an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether nothing more of this job is sent by itself.
    pub gave_up: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// When.
    pub at: Time,
}

/// A page of tries at a webhook, newest first. They are kept for 30 days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryList {
    /// The tries.
    pub deliveries: Vec<DeliveryView>,
    /// For `?cursor=`; missing at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// That an event will be sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedeliveryView {
    /// The job.
    #[schema(schema_with = job_id)]
    pub job: JobId,
    /// The event's number within the job.
    pub seq: u64,
    /// The message's id: the same as before.
    pub message_id: String,
}
