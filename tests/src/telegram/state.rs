//! What this Telegram knows: messages, files, admins, a webhook, updates that wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::bot_api::{BOT, BOT_NAME};

/// An error of the Bot API: status and sentence.
pub(super) type Said = (u16, &'static str);

/// What it knows.
#[derive(Default)]
pub(super) struct State {
    /// Messages of the bot by chat and number: their text and buttons.
    pub messages: BTreeMap<(i64, i32), Value>,
    last_message: i32,
    /// What people have sent, by file id.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Who is an admin of which group.
    pub admins: BTreeSet<(i64, u64)>,
    /// The webhook that stands, as it was set.
    pub webhook: Option<Value>,
    /// Updates for whoever polls.
    pub updates: VecDeque<Value>,
}

impl State {
    /// Does what a call asks for.
    pub fn act(&mut self, method: &str, parameters: &Map<String, Value>) -> Result<Value, Said> {
        let get = |name: &str| parameters.get(name).unwrap_or(&Value::Null);
        match method {
            "getMe" => Ok(json!({"id": BOT, "is_bot": true, "first_name": "Crew", "username": BOT_NAME})),
            "sendMessage" | "sendDocument" => Ok(self.send(parameters)),
            "editMessageText" | "editMessageReplyMarkup" => self.edit(parameters),
            "deleteMessage" => self
                .messages
                .remove(&place(parameters))
                .map(|_| json!(true))
                .ok_or((400, "Bad Request: message to delete not found")),
            "getChatMember" => Ok(self.member(get("chat_id").as_i64(), get("user_id").as_u64())),
            "getFile" => {
                let id = get("file_id").as_str().unwrap_or_default();
                let bytes = self
                    .files
                    .get(id)
                    .ok_or((400, "Bad Request: wrong file_id or the file is temporarily unavailable"))?;
                Ok(
                    json!({"file_id": id, "file_unique_id": id, "file_size": bytes.len(), "file_path": format!("documents/{id}")}),
                )
            }
            "setWebhook" => {
                self.webhook = Some(Value::Object(parameters.clone()));
                Ok(json!(true))
            }
            "deleteWebhook" => {
                self.webhook = None;
                Ok(json!(true))
            }
            "getWebhookInfo" => {
                let url = self.webhook.as_ref().map_or(&Value::Null, |hook| &hook["url"]).as_str().unwrap_or_default();
                Ok(json!({"url": url, "has_custom_certificate": false, "pending_update_count": self.updates.len()}))
            }
            "getUpdates" if self.webhook.is_some() => Err((
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            )),
            "getUpdates" => Ok(self.updates_from(get("offset").as_i64().unwrap_or(0))),
            _ => Ok(json!(true)),
        }
    }

    fn send(&mut self, parameters: &Map<String, Value>) -> Value {
        self.last_message += 1;
        let chat = number(&parameters["chat_id"]);
        self.messages.insert((chat, self.last_message), shown(parameters));
        let kind = if chat < 0 { "supergroup" } else { "private" };
        json!({"message_id": self.last_message, "date": 1, "chat": {"id": chat, "type": kind, "title": "Tea", "first_name": "Ann"}})
    }

    fn edit(&mut self, parameters: &Map<String, Value>) -> Result<Value, Said> {
        let message =
            self.messages.get_mut(&place(parameters)).ok_or((400, "Bad Request: message to edit not found"))?;
        let new = match parameters.get("text") {
            Some(_) => shown(parameters),
            None => json!({"text": message["text"], "markup": parameters.get("reply_markup")}),
        };
        if *message == new {
            return Err((
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the same",
            ));
        }
        *message = new;
        Ok(
            json!({"message_id": place(parameters).1, "date": 1, "chat": {"id": place(parameters).0, "type": "private"}}),
        )
    }

    fn member(&self, chat: Option<i64>, user: Option<u64>) -> Value {
        let is_admin = chat.zip(user).is_some_and(|place| self.admins.contains(&place));
        let user = json!({"id": user, "is_bot": false, "first_name": "Somebody"});
        if is_admin {
            json!({"status": "creator", "user": user, "is_anonymous": false})
        } else {
            json!({"status": "member", "user": user})
        }
    }

    /// What came with a lower number was had, says whoever asks from there on.
    fn updates_from(&mut self, offset: i64) -> Value {
        self.updates.retain(|update| number(&update["update_id"]) >= offset);
        Value::Array(self.updates.iter().cloned().collect())
    }
}

/// Numbers that go with a file go as text.
fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

fn place(parameters: &Map<String, Value>) -> (i64, i32) {
    let message = number(parameters.get("message_id").unwrap_or(&Value::Null));
    (number(parameters.get("chat_id").unwrap_or(&Value::Null)), i32::try_from(message).unwrap_or_default())
}

fn shown(parameters: &Map<String, Value>) -> Value {
    json!({"text": parameters.get("text").or_else(|| parameters.get("caption")), "markup": parameters.get("reply_markup")})
}
