//! Updates as Telegram sends them, down to the few things that a bot of ours looks at.
//!
//! Whatever else comes (channels, reactions, kinds that are newer than this code) is [`What::Nothing`]: it's answered and
//! forgotten, since Telegram sends again what isn't answered.

use teloxide::types::{CallbackQuery, ChatMemberUpdated, InlineKeyboardButtonKind, Message, Update, UpdateKind, User};

/// Telegram's own user in whose name admins speak that don't want to be seen.
const ANONYMOUS_ADMIN: u64 = 1_087_968_824;

/// What an update is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The update's number.
    pub update: u32,
    /// What has happened.
    pub what: What,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody said something to the bot.
    Said(Box<Said>),
    /// Somebody pressed a button.
    Pressed(Pressed),
    /// The bot was let into a chat, or put out of it.
    Member {
        /// The chat.
        chat: i64,
        /// Whether it is in there now.
        is_there: bool,
    },
    /// A group became a supergroup.
    Moved {
        /// What it was.
        from: i64,
        /// What it is.
        to: i64,
    },
    /// Nothing that matters here.
    Nothing,
}

/// A place to talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chat.
    pub chat: i64,
    /// The topic in it.
    pub thread: Option<i32>,
    /// Whether it is one person's own.
    pub is_private: bool,
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Their id.
    pub id: u64,
    /// What they call themselves.
    pub name: String,
    /// Whether it is one of the group's admins, who doesn't say which.
    pub is_anonymous_admin: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Where.
    pub place: Place,
    /// What the group is called; empty where it is none.
    pub title: String,
    /// By whom.
    pub by: Speaker,
    /// Its number in the chat.
    pub message: i32,
    /// Its text, or its file's caption; may be empty.
    pub text: String,
    /// A file that came with it.
    pub document: Option<Document>,
    /// The message that it answers.
    pub answers: Option<Answered>,
}

/// A file that somebody sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What Telegram calls it.
    pub id: String,
    /// What its sender calls it.
    pub name: String,
    /// Its media type as its sender has it.
    pub media_type: Option<String>,
    /// How big it is.
    pub bytes: u64,
}

/// A message that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its number in the chat.
    pub message: i32,
    /// Who wrote it.
    pub by: Option<u64>,
    /// Its text.
    pub text: String,
    /// What its buttons say when they're pressed.
    pub buttons: Vec<String>,
}

/// A press of a button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// What the press is answered by.
    pub query: String,
    /// By whom.
    pub by: Speaker,
    /// Where, and under which message; not known of messages that are too old.
    pub under: Option<(Place, i32)>,
    /// What the button says.
    pub data: String,
}

impl Incoming {
    /// Reads an update's JSON. What isn't even an update is an error, final.
    pub fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self::of(serde_json::from_slice(json)?))
    }

    /// What an update is about.
    pub fn of(update: Update) -> Self {
        let what = match update.kind {
            UpdateKind::Message(message) => of_message(&message),
            UpdateKind::CallbackQuery(query) => of_press(query),
            UpdateKind::MyChatMember(change) => of_membership(&change),
            _ => What::Nothing,
        };
        Self { update: update.id.0, what }
    }
}

fn of_message(message: &Message) -> What {
    if let Some(to) = message.migrate_to_chat_id() {
        return What::Moved { from: message.chat.id.0, to: to.0 };
    }
    // Channels have no people in them, and bots aren't to talk to each other.
    let is_somebodys = message.chat.is_private() || message.chat.is_group() || message.chat.is_supergroup();
    let Some(by) = message.from.as_ref().filter(|by| is_somebodys && (!by.is_bot || by.id.0 == ANONYMOUS_ADMIN)) else {
        return What::Nothing;
    };
    let document = file(message);
    let text = message.text().or_else(|| message.caption()).unwrap_or_default().to_owned();
    if text.is_empty() && document.is_none() {
        return What::Nothing;
    }
    let answers = message.reply_to_message().and_then(answered);
    What::Said(Box::new(Said {
        place: place(message),
        title: message.chat.title().unwrap_or_default().to_owned(),
        by: speaker(by),
        message: message.id.0,
        text,
        document,
        answers,
    }))
}

/// A document, or a picture in its largest size; a picture has no name of its own.
fn file(message: &Message) -> Option<Document> {
    let document = message.document().map(|document| Document {
        id: document.file.id.0.clone(),
        name: document.file_name.clone().unwrap_or_else(|| "file".to_owned()),
        media_type: document.mime_type.as_ref().map(ToString::to_string),
        bytes: document.file.size.into(),
    });
    document.or_else(|| {
        let largest = message.photo()?.last()?;
        Some(Document {
            id: largest.file.id.0.clone(),
            name: "photo.jpg".to_owned(),
            media_type: Some("image/jpeg".to_owned()),
            bytes: largest.file.size.into(),
        })
    })
}

/// In a topic each message "answers" the one that opened it, unless it answers another; that one has no text.
fn answered(message: &Message) -> Option<Answered> {
    let text = message.text().or_else(|| message.caption())?.to_owned();
    let pressed = message.reply_markup().into_iter().flat_map(|markup| markup.inline_keyboard.iter().flatten());
    let buttons = pressed.filter_map(|button| match &button.kind {
        InlineKeyboardButtonKind::CallbackData(data) => Some(data.clone()),
        _ => None,
    });
    Some(Answered {
        message: message.id.0,
        by: message.from.as_ref().map(|by| by.id.0),
        text,
        buttons: buttons.collect(),
    })
}

fn of_press(query: CallbackQuery) -> What {
    let under = query.message.as_ref().map(|message| {
        let here = message.regular_message().map(place);
        let chat = message.chat();
        (here.unwrap_or(Place { chat: chat.id.0, thread: None, is_private: chat.is_private() }), message.id().0)
    });
    let Some(data) = query.data else { return What::Nothing };
    What::Pressed(Pressed { query: query.id.0, by: speaker(&query.from), under, data })
}

fn of_membership(change: &ChatMemberUpdated) -> What {
    What::Member { chat: change.chat.id.0, is_there: change.new_chat_member.is_present() }
}

/// Replies have a thread outside of topics as well, to which nothing can be sent.
fn place(message: &Message) -> Place {
    let thread = message.thread_id.filter(|_| message.is_topic_message).map(|thread| thread.0.0);
    Place { chat: message.chat.id.0, thread, is_private: message.chat.is_private() }
}

fn speaker(user: &User) -> Speaker {
    Speaker { id: user.id.0, name: user.full_name(), is_anonymous_admin: user.id.0 == ANONYMOUS_ADMIN }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(update: &Value) -> What {
        let incoming = Incoming::read(update.to_string().as_bytes()).expect("an update");
        assert_eq!(incoming.update, 7);
        incoming.what
    }

    fn ann() -> Value {
        json!({"id": 5, "is_bot": false, "first_name": "Ann", "last_name": "Lee"})
    }

    fn group() -> Value {
        json!({"id": -1_001, "type": "supergroup", "title": "Tea", "is_forum": true})
    }

    fn message(more: &Value) -> Value {
        let mut message = json!({"message_id": 3, "date": 1, "chat": group(), "from": ann()});
        for (name, value) in more.as_object().expect("fields") {
            message[name] = value.clone();
        }
        json!({"update_id": 7, "message": message})
    }

    fn said(more: &Value) -> Said {
        match read(&message(more)) {
            What::Said(said) => *said,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_is_read_with_its_topic_and_the_message_that_it_answers() {
        let said = said(&json!({
            "text": "/status", "message_thread_id": 9, "is_topic_message": true,
            "reply_to_message": {
                "message_id": 2, "date": 1, "chat": group(), "from": {"id": 42, "is_bot": true, "first_name": "Crew"},
                "text": "Working", "entities": [{"type": "bold", "offset": 0, "length": 7}],
                "reply_markup": {"inline_keyboard": [[{"text": "Stop", "callback_data": "sTOKEN"}]]}
            }
        }));
        assert_eq!(said.place, Place { chat: -1_001, thread: Some(9), is_private: false });
        assert_eq!((said.by.id, said.by.name.as_str(), said.message), (5, "Ann Lee", 3));
        let answers = said.answers.expect("it answers");
        assert_eq!((answers.message, answers.by, answers.text.as_str()), (2, Some(42), "Working"));
        assert_eq!(answers.buttons, ["sTOKEN"]);
    }

    #[test]
    fn a_thread_of_replies_is_no_topic_and_the_opening_of_a_topic_is_not_answered() {
        let opening = json!({
            "message_id": 1, "date": 1, "chat": group(), "from": {"id": 42, "is_bot": true, "first_name": "Crew"},
            "forum_topic_created": {"name": "Tea", "icon_color": 7_322_096}
        });
        let said = said(&json!({"text": "hello", "message_thread_id": 9, "reply_to_message": opening}));
        assert_eq!((said.place.thread, said.answers), (None, None));
    }

    #[test]
    fn a_file_comes_with_its_caption() {
        let document = json!({"file_id": "F1", "file_unique_id": "U1", "file_name": "a b.csv", "mime_type": "text/csv",
            "file_size": 12});
        let said = said(&json!({"caption": "/run sum it up", "document": document}));
        assert_eq!(said.text, "/run sum it up");
        let expected =
            Document { id: "F1".into(), name: "a b.csv".into(), media_type: Some("text/csv".into()), bytes: 12 };
        assert_eq!(said.document, Some(expected));
    }

    #[test]
    fn a_picture_comes_as_a_file() {
        let photo = |id: &str, size: u32| {
            json!({"file_id": id, "file_unique_id": id, "width": 1, "height": 1,
            "file_size": size})
        };
        let said = said(&json!({"caption": "like this", "photo": [photo("S", 10), photo("L", 90)]}));
        let expected =
            Document { id: "L".into(), name: "photo.jpg".into(), media_type: Some("image/jpeg".into()), bytes: 90 };
        assert_eq!((said.text.as_str(), said.document), ("like this", Some(expected)));
    }

    #[test]
    fn an_admin_who_does_not_want_to_be_seen_is_one_and_other_bots_are_nobody() {
        let hidden =
            json!({"id": ANONYMOUS_ADMIN, "is_bot": true, "first_name": "Group", "username": "GroupAnonymousBot"});
        assert!(said(&json!({"text": "/unlink", "from": hidden})).by.is_anonymous_admin);
        let bot = json!({"id": 6, "is_bot": true, "first_name": "Other"});
        assert_eq!(read(&message(&json!({"text": "/run x", "from": bot}))), What::Nothing);
    }

    #[test]
    fn presses_are_read_under_messages_old_and_new() {
        let press = |message: Value| {
            let query = json!({"id": "q1", "from": ann(), "chat_instance": "1", "data": "aTOKEN", "message": message});
            match read(&json!({"update_id": 7, "callback_query": query})) {
                What::Pressed(pressed) => (pressed.data, pressed.under),
                other => panic!("{other:?}"),
            }
        };
        let place = |thread| Place { chat: -1_001, thread, is_private: false };
        let new = json!({"message_id": 8, "date": 1, "chat": group(), "text": "?", "message_thread_id": 9,
            "is_topic_message": true});
        assert_eq!(press(new), ("aTOKEN".to_owned(), Some((place(Some(9)), 8))));
        let old = json!({"message_id": 8, "date": 0, "chat": group()});
        assert_eq!(press(old), ("aTOKEN".to_owned(), Some((place(None), 8))));
    }

    #[test]
    fn being_put_out_and_moving_house_are_heard() {
        let member = |status: &str| {
            json!({"user": {"id": 42, "is_bot": true, "first_name": "Crew"}, "status": status,
            "until_date": 0})
        };
        let change = json!({"chat": group(), "from": ann(), "date": 1, "old_chat_member": member("member"),
            "new_chat_member": member("kicked")});
        let update = json!({"update_id": 7, "my_chat_member": change});
        assert_eq!(read(&update), What::Member { chat: -1_001, is_there: false });
        let small = json!({"id": -5, "type": "group", "title": "Tea"});
        let update = message(&json!({"chat": small, "migrate_to_chat_id": -1_001}));
        assert_eq!(read(&update), What::Moved { from: -5, to: -1_001 });
    }

    #[test]
    fn what_is_not_for_the_bot_or_not_known_is_nothing() {
        for update in [
            json!({"update_id": 7}),
            json!({"update_id": 7, "a_kind_of_tomorrow": {"id": 1}}),
            json!({"update_id": 7, "message": {"this": "is no message"}}),
            json!({"update_id": 7, "edited_message": message(&json!({"text": "/run x"}))["message"]}),
            json!({"update_id": 7, "channel_post": {"message_id": 1, "date": 1, "text": "/run x",
                "chat": {"id": -1_002, "type": "channel", "title": "News"}}}),
            message(&json!({"new_chat_title": "Coffee"})),
            message(&json!({"a_content_of_tomorrow": {}})),
        ] {
            assert_eq!(read(&update), What::Nothing, "{update}");
        }
        assert!(Incoming::read(b"{}").is_err());
        assert!(Incoming::read(b"not JSON").is_err());
    }
}
