//! Updates as Telegram sends them.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::bot_api::{BOT, BOT_NAME};

/// A chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chat {
    /// A person's own.
    Private(Person),
    /// A group.
    Group(i64),
    /// A topic of a group.
    Topic(i64, i32),
}

/// Somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person(pub u64, pub &'static str);

impl Person {
    fn json(self) -> Value {
        json!({"id": self.0, "is_bot": false, "first_name": self.1})
    }
}

impl Chat {
    /// Its id.
    pub fn id(self) -> i64 {
        match self {
            Self::Private(person) => i64::try_from(person.0).expect("an id"),
            Self::Group(id) | Self::Topic(id, _) => id,
        }
    }

    fn json(self) -> Value {
        match self {
            Self::Private(person) => json!({"id": person.0, "type": "private", "first_name": person.1}),
            Self::Group(id) => json!({"id": id, "type": "supergroup", "title": "Tea"}),
            Self::Topic(id, _) => json!({"id": id, "type": "supergroup", "title": "Tea", "is_forum": true}),
        }
    }
}

/// Makes updates, each with the next number.
#[derive(Debug)]
pub struct Updates {
    next: AtomicU32,
}

impl Default for Updates {
    fn default() -> Self {
        Self { next: AtomicU32::new(1_000) }
    }
}

impl Updates {
    fn update(&self, kind: &str, what: Value) -> Value {
        let mut update = json!({"update_id": self.next.fetch_add(1, Ordering::Relaxed)});
        update[kind] = what;
        update
    }

    fn message(&self, chat: Chat, by: Person, more: Value) -> Value {
        let number = self.next.load(Ordering::Relaxed) * 10;
        let mut message = json!({"message_id": number, "date": 1, "chat": chat.json(), "from": by.json()});
        if let Chat::Topic(_, thread) = chat {
            message["message_thread_id"] = thread.into();
            message["is_topic_message"] = true.into();
        }
        let Value::Object(more) = more else { panic!("fields") };
        message.as_object_mut().expect("an object").extend(more);
        self.update("message", message)
    }

    /// Somebody writes something.
    pub fn says(&self, chat: Chat, by: Person, text: &str) -> Value {
        self.message(chat, by, json!({"text": text}))
    }

    /// Somebody answers a message of the bot, which says this and has these buttons.
    pub fn replies(&self, chat: Chat, by: Person, to: (i32, &Value), text: &str) -> Value {
        self.message(chat, by, json!({"text": text, "reply_to_message": quoted(chat, to)}))
    }

    /// Somebody sends a file with a caption.
    pub fn sends(&self, chat: Chat, by: Person, (id, name, bytes): (&str, &str, u64), caption: &str) -> Value {
        let document = json!({"file_id": id, "file_unique_id": id, "file_name": name, "mime_type": "text/csv", "file_size": bytes});
        self.message(chat, by, json!({"caption": caption, "document": document}))
    }

    /// Somebody presses a button under a message of the bot.
    pub fn presses(&self, chat: Chat, by: Person, (message, shown): (i32, &Value), data: &str) -> Value {
        let number = self.next.load(Ordering::Relaxed);
        let query = json!({
            "id": format!("query-{number}"), "from": by.json(), "chat_instance": "1", "data": data,
            "message": quoted(chat, (message, shown))
        });
        self.update("callback_query", query)
    }

    /// The bot is put out of a chat, or let in.
    pub fn member(&self, chat: Chat, by: Person, status: &str) -> Value {
        let bot = json!({"id": BOT, "is_bot": true, "first_name": "Crew", "username": BOT_NAME});
        let member = |status: &str| json!({"user": bot, "status": status, "until_date": 0});
        let change = json!({"chat": chat.json(), "from": by.json(), "date": 1,
            "old_chat_member": member("member"), "new_chat_member": member(status)});
        self.update("my_chat_member", change)
    }

    /// A group becomes a supergroup.
    pub fn moves(&self, from: i64, to: i64) -> Value {
        let chat = json!({"id": from, "type": "group", "title": "Tea"});
        let admin = Person(1, "Admin").json();
        self.update(
            "message",
            json!({"message_id": 1, "date": 1, "chat": chat, "from": admin, "migrate_to_chat_id": to}),
        )
    }

    /// Something that nobody has heard of yet.
    pub fn of_tomorrow(&self) -> Value {
        self.update("kind_of_tomorrow", json!({"id": 1}))
    }
}

/// A message of the bot as Telegram repeats it, without the markup of its text.
fn quoted(chat: Chat, (number, shown): (i32, &Value)) -> Value {
    let text = plain(shown["text"].as_str().unwrap_or_default());
    let bot = json!({"id": BOT, "is_bot": true, "first_name": "Crew", "username": BOT_NAME});
    let mut message = json!({"message_id": number, "date": 1, "chat": chat.json(), "from": bot, "text": text});
    if shown["markup"].get("inline_keyboard").is_some() {
        message["reply_markup"] = shown["markup"].clone();
    }
    if let Chat::Topic(_, thread) = chat {
        message["message_thread_id"] = thread.into();
        message["is_topic_message"] = true.into();
    }
    message
}

fn plain(html: &str) -> String {
    let mut plain = String::new();
    let mut is_tag = false;
    for c in html.chars() {
        match c {
            '<' => is_tag = true,
            '>' => is_tag = false,
            c if !is_tag => plain.push(c),
            _ => {}
        }
    }
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")]
        .iter()
        .fold(plain, |text, (entity, c)| text.replace(entity, c))
}
