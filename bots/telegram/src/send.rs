//! What chats are told by themselves: cards, reviews, ends, as calls of the Bot API.

use async_trait::async_trait;
use convoke_app::ports::{Attachment, ChatError, ChatHost, EndNotice, FilesMax, Form, Notice, PostedMessage, Rendered};
use convoke_chat::telegram::{Message, message, plain};
use convoke_chat::text::units;
use convoke_desk::notice::page;
use convoke_domain::chat::{ChatId, MessageRef};
use serde_json::{Map, Value};

use crate::api::{Api, CallError, Done, Sent, Upload};

/// Longest caption of a file.
pub(crate) const CAPTION_UNITS_MAX: usize = 1_024;
/// One document has a caption and buttons; several have neither.
const FILES_MAX: FilesMax = FilesMax { count: 1, bytes: 10 << 20 };

/// Telegram, as the platform speaks to it.
#[derive(Clone, Debug)]
pub struct Telegram {
    api: Api,
}

impl Telegram {
    /// By this bot.
    pub const fn new(api: Api) -> Self {
        Self { api }
    }
}

#[async_trait]
impl ChatHost for Telegram {
    fn files_max(&self) -> FilesMax {
        FILES_MAX
    }

    fn knows_nonces(&self) -> bool {
        false
    }

    fn render(&self, notice: &Notice, form: Form) -> Rendered {
        let written = |notice: &Notice| match form {
            Form::Rich => message(&page(notice)),
            Form::Plain => plain(&page(notice)),
        };
        let Notice::End(end) = notice else { return rendered(&written(notice), Vec::new()) };
        let text = written(notice);
        if end.files.is_empty() || units(&text.text) <= CAPTION_UNITS_MAX {
            return rendered(&text, end.files.clone());
        }
        // What doesn't fit beside a file is said without it: it can be had by a button.
        let alone = Notice::End(EndNotice { files: Vec::new(), ..end.clone() });
        rendered(&written(&alone), Vec::new())
    }

    async fn post(&self, chat: &ChatId, rendered: &Rendered, _nonce: &str) -> Result<PostedMessage, ChatError> {
        let (id, thread) = telegrams(chat)?;
        let mut fields = fields(&rendered.body);
        fields.insert("chat_id".to_owned(), id.into());
        if let Some(thread) = thread {
            fields.insert("message_thread_id".to_owned(), thread.into());
        }
        let sent = match rendered.files.iter().find(|file| !file.bytes.is_empty()) {
            Some(file) => self.api.send::<Sent>("sendDocument", &captioned(fields), Some(upload(file))).await,
            None => self.api.send::<Sent>("sendMessage", &fields, None).await,
        };
        let Sent { message_id } = sent.map_err(|error| of_post(error, id, thread))?;
        Ok(PostedMessage { message: MessageRef { chat: *chat, message: message_id.to_string() }, talk: None })
    }

    async fn edit(&self, message: &MessageRef, rendered: &Rendered) -> Result<(), ChatError> {
        let (id, _) = telegrams(&message.chat)?;
        // A number that is none names no message.
        let number: i32 = message.message.parse().map_err(|_| ChatError::Gone)?;
        let mut fields = fields(&rendered.body);
        fields.insert("chat_id".to_owned(), id.into());
        fields.insert("message_id".to_owned(), number.into());
        match self.api.send::<Done>("editMessageText", &fields, None).await {
            Ok(Done) | Err(CallError::Unmodified) => Ok(()),
            Err(CallError::NoTopic { .. }) => Err(ChatError::Gone),
            Err(error) => Err(of_post(error, id, None)),
        }
    }
}

fn rendered(message: &Message, files: Vec<Attachment>) -> Rendered {
    // A message is plain data, which always has a JSON form.
    Rendered { body: serde_json::to_value(message).unwrap_or_default(), files }
}

fn fields(body: &Value) -> Map<String, Value> {
    body.as_object().cloned().unwrap_or_default()
}

/// A message's fields as those of a document: its text is the caption, and there is no preview to turn off.
pub(crate) fn captioned(mut fields: Map<String, Value>) -> Map<String, Value> {
    fields.remove("link_preview_options");
    if let Some(text) = fields.remove("text") {
        fields.insert("caption".to_owned(), text);
    }
    fields
}

/// A file as the document of a call.
pub(crate) fn upload(file: &Attachment) -> Upload {
    let Attachment { name, media_type, bytes } = file.clone();
    Upload { field: "document", name, media_type, bytes }
}

fn telegrams(chat: &ChatId) -> Result<(i64, Option<i32>), ChatError> {
    match *chat {
        ChatId::Telegram { chat, thread } => Ok((chat, thread)),
        ChatId::Discord(_) => Err(ChatError::Rejected { detail: "a channel of Discord".to_owned() }),
    }
}

fn of_post(error: CallError, chat: i64, thread: Option<i32>) -> ChatError {
    match error {
        // Telegram doesn't say whether it means the chat or the bot; the bot's own limit is kept by the platform.
        CallError::Throttled { after_ms } => ChatError::Throttled { after_ms, is_global: false },
        CallError::NoTopic { .. } if thread.is_some() => {
            ChatError::Moved { to: ChatId::Telegram { chat, thread: None } }
        }
        CallError::Dead { detail } | CallError::NoTopic { detail } => ChatError::Dead { detail },
        CallError::Moved { to } => ChatError::Moved { to: ChatId::Telegram { chat: to, thread: None } },
        CallError::Gone { .. } => ChatError::Gone,
        CallError::Rejected { detail } => ChatError::Rejected { detail },
        error @ CallError::Refused { .. } => ChatError::Refused { detail: error.to_string() },
        error @ CallError::Unsent(_) => ChatError::Unsent { detail: error.to_string() },
        error @ (CallError::Lost(_) | CallError::Unknown { .. } | CallError::Unmodified | CallError::Stale) => {
            ChatError::Unknown { detail: error.to_string() }
        }
    }
}
