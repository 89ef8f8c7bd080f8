//! Updates by long polling: on one machine, which Telegram can't call.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::{Id, JoinSet};

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

/// Chats that are heard side by side.
const CHATS_MAX: usize = 32;
/// Longest time for which new updates aren't asked for because earlier ones are still heard.
const MOMENT: Duration = Duration::from_secs(1);

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
/// side by side: a chat whose answers have to wait holds up no other. Telegram is told that it may forget an update once
/// that and all before it are done, so a process that dies loses none.
pub async fn poll(api: &Api, inbound: &Inbound) -> std::convert::Infallible {
    let (mut hearing, mut last, mut pause) = (Hearing::default(), 0, PAUSE);
    loop {
        match updates(api, hearing.first().unwrap_or(last + 1)).await {
            Ok(updates) => {
                pause = PAUSE;
                // What is still being heard comes again and again.
                let new: Vec<(i64, Value)> =
                    updates.into_iter().filter_map(numbered).filter(|(n, _)| *n > last).collect();
                last = new.iter().map(|(number, _)| *number).max().unwrap_or(last);
                hearing.take(new);
                hearing.go_on(inbound).await;
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

/// Updates that aren't done: those of one chat in the hands of one task. Telegram hands out no more than 100 at once, from
/// the first that isn't done on, so these are the most that there are.
#[derive(Default)]
struct Hearing {
    waiting: BTreeMap<String, Vec<(i64, Value)>>,
    tasks: JoinSet<()>,
    /// What each task hears: the chat, and the number of its first update.
    heard: HashMap<Id, (String, i64)>,
}

impl Hearing {
    /// The first update that isn't done.
    fn first(&self) -> Option<i64> {
        let waiting = self.waiting.values().flatten().map(|(number, _)| *number);
        waiting.chain(self.heard.values().map(|(_, number)| *number)).min()
    }

    fn take(&mut self, updates: Vec<(i64, Value)>) {
        for (number, update) in updates {
            self.waiting.entry(chat(&update)).or_default().push((number, update));
        }
    }

    /// Has heard what waits, for as long as that takes, but no longer than a moment: then others may have something to say.
    async fn go_on(&mut self, inbound: &Inbound) {
        let mut moment = pin!(tokio::time::sleep(MOMENT));
        self.begin(inbound);
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.heard.remove(&id);
                    self.begin(inbound);
                }
                () = &mut moment => return,
            }
        }
    }

    fn begin(&mut self, inbound: &Inbound) {
        let is_heard = |chat: &String| self.heard.values().any(|(other, _)| other == chat);
        let room = CHATS_MAX.saturating_sub(self.heard.len());
        let next: Vec<String> = self.waiting.keys().filter(|chat| !is_heard(chat)).take(room).cloned().collect();
        for chat in next {
            let Some(updates) = self.waiting.remove(&chat) else { continue };
            let first = updates.iter().map(|(number, _)| *number).min().unwrap_or_default();
            let task = self.tasks.spawn(hear(inbound.clone(), updates));
            self.heard.insert(task.id(), (chat, first));
        }
    }
}

async fn updates(api: &Api, offset: i64) -> Result<Vec<Value>, CallError> {
    let fields = json!({"offset": offset, "timeout": HOLD_S, "allowed_updates": KINDS});
    let fields: Map<String, Value> = fields.as_object().cloned().unwrap_or_default();
    api.ask_for("getUpdates", &fields, Duration::from_secs(HOLD_S)).await
}

fn numbered(update: Value) -> Option<(i64, Value)> {
    let Numbered { update_id } = Numbered::deserialize(&update).ok()?;
    Some((update_id, update))
}

fn chat(update: &Value) -> String {
    let places = ["/message/chat/id", "/callback_query/message/chat/id", "/my_chat_member/chat/id"];
    places.iter().find_map(|place| update.pointer(place)).map(ToString::to_string).unwrap_or_default()
}

async fn hear(inbound: Inbound, updates: Vec<(i64, Value)>) {
    for (_, update) in updates {
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
