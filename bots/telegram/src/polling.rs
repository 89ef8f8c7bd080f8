//! Updates by long polling: on one machine, which Telegram can't call.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::api::{Api, CallError};
use crate::inbound::Inbound;
use crate::setup::{self, KINDS};
use crate::update::Incoming;

/// How long Telegram holds a question to which there is no answer yet.
const HOLD_S: u64 = 25;
/// Pauses before something is tried again: doubled from the first to the last.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// How often an update is tried before it is let go: the pauses add up to more than a claim's lease.
const TRIES: u32 = 8;

/// Why nobody polls.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// A webhook stands: whoever polls would take the updates away from it.
    #[error("updates of this bot go to {url}: another installation may live there")]
    WebhookStands {
        /// Where to.
        url: String,
    },
    /// Telegram can't be asked, or refuses.
    #[error("Telegram can't be asked for updates")]
    Call(#[source] CallError),
}

/// What to do about a webhook that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Leave it, and don't poll.
    Respect,
    /// Delete it.
    TakeOver,
}

#[derive(Deserialize)]
struct Numbered {
    update_id: i64,
}

/// Makes sure that updates may be polled for, and has the commands offered.
pub async fn prepare(api: &Api, standing: Standing) -> Result<(), PollError> {
    let webhook = setup::webhook(api).await.map_err(PollError::Call)?;
    if !webhook.url.is_empty() {
        match standing {
            Standing::Respect => return Err(PollError::WebhookStands { url: webhook.url }),
            Standing::TakeOver => setup::delete_webhook(api).await.map_err(PollError::Call)?,
        }
    }
    setup::offer_commands(api).await.map_err(PollError::Call)
}

/// Polls for updates and has them heard, for ever. Updates of one chat are heard one after the other, those of several
/// side by side; the next are asked for when all are done, which is what says that they were had.
pub async fn poll(api: &Api, inbound: &Inbound) -> std::convert::Infallible {
    let (mut offset, mut pause) = (0, PAUSE);
    loop {
        match updates(api, offset).await {
            Ok(updates) => {
                pause = PAUSE;
                offset = updates.iter().filter_map(number).max().map_or(offset, |last| last + 1);
                join_all(by_chat(updates).into_values().map(|updates| hear(inbound, updates))).await;
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Telegram can't be asked for updates");
                let wait = match error {
                    CallError::Throttled { after_ms } => Duration::from_millis(after_ms),
                    _ => pause,
                };
                tokio::time::sleep(wait).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

async fn updates(api: &Api, offset: i64) -> Result<Vec<Value>, CallError> {
    let fields = json!({"offset": offset, "timeout": HOLD_S, "allowed_updates": KINDS});
    let fields: Map<String, Value> = fields.as_object().cloned().unwrap_or_default();
    api.ask_for("getUpdates", &fields, Duration::from_secs(HOLD_S)).await
}

fn number(update: &Value) -> Option<i64> {
    Numbered::deserialize(update).ok().map(|numbered| numbered.update_id)
}

fn by_chat(updates: Vec<Value>) -> BTreeMap<String, Vec<Value>> {
    let mut chats: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for update in updates {
        let place = ["/message/chat/id", "/callback_query/message/chat/id", "/my_chat_member/chat/id"];
        let chat = place.iter().find_map(|place| update.pointer(place)).map(ToString::to_string);
        chats.entry(chat.unwrap_or_default()).or_default().push(update);
    }
    chats
}

async fn hear(inbound: &Inbound, updates: Vec<Value>) {
    for update in updates {
        let Ok(incoming) = Incoming::read(update.to_string().as_bytes()) else { continue };
        let mut pause = PAUSE;
        for _ in 0..TRIES {
            let Err(error) = inbound.hear(incoming.clone()).await else { break };
            tracing::warn!(error = &error as &dyn std::error::Error, "an update is tried again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}
