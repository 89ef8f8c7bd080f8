//! What a bot is set up with: a webhook, a list of commands. Done by the command line, never at a start on Lambda.

use convoke_chat::command::telegram_commands;
use convoke_runtime::Secret;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use teloxide::payloads::{DeleteWebhook, GetMe, GetWebhookInfo};

use crate::api::{Api, CallError, Done};

/// The kinds of updates that are asked for.
pub const KINDS: [&str; 3] = ["message", "callback_query", "my_chat_member"];
/// How many updates Telegram sends at once: each is an invocation, and steps want some, too.
const CONNECTIONS_MAX: u8 = 10;

/// A webhook, as Telegram has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Webhook {
    /// Where updates go; empty where they are polled for.
    pub url: String,
    /// How many wait.
    #[serde(default)]
    pub pending_update_count: u64,
    /// When the last one couldn't be delivered (Unix seconds).
    pub last_error_date: Option<u64>,
    /// Why.
    pub last_error_message: Option<String>,
}

/// Who a bot is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Me {
    /// Its name for links, without `@`.
    pub username: String,
    /// Whether it gets all messages of groups; it needs none but commands and replies.
    #[serde(default)]
    pub can_read_all_group_messages: bool,
}

/// Who the bot is.
pub async fn me(api: &Api) -> Result<Me, CallError> {
    api.call(&GetMe {}).await
}

/// The webhook that stands.
pub async fn webhook(api: &Api) -> Result<Webhook, CallError> {
    api.call(&GetWebhookInfo {}).await
}

/// Has updates sent to a URL, where Telegram shows the secret. A repeat changes nothing.
pub async fn set_webhook(api: &Api, url: &str, secret: &Secret) -> Result<(), CallError> {
    let fields = json!({
        "url": url, "secret_token": secret.expose(), "max_connections": CONNECTIONS_MAX, "allowed_updates": KINDS
    });
    send(api, "setWebhook", &fields).await
}

/// Has updates kept until somebody polls for them. A repeat changes nothing.
pub async fn delete_webhook(api: &Api) -> Result<(), CallError> {
    let Done = api.call(&DeleteWebhook { drop_pending_updates: Some(false) }).await?;
    Ok(())
}

/// Has Telegram offer the commands. A repeat changes nothing.
pub async fn offer_commands(api: &Api) -> Result<(), CallError> {
    send(api, "setMyCommands", &telegram_commands()).await
}

async fn send(api: &Api, method: &str, fields: &Value) -> Result<(), CallError> {
    let fields: Map<String, Value> = fields.as_object().cloned().unwrap_or_default();
    let Done = api.send(method, &fields, None).await?;
    Ok(())
}
