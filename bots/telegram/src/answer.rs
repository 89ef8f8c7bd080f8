//! Replies as calls: a message, an edit, a question, a note over the button.

use convoke_app::ports::Attachment;
use convoke_chat::answer;
use convoke_chat::page::Page;
use convoke_chat::reply::{Audience, File, Question, Reply};
use convoke_chat::telegram::{self, Message, alert, fits_alert};
use convoke_chat::text::units;
use serde_json::{Map, Value, json};

use crate::api::{Api, CallError, Done, Sent};
use crate::send::{CAPTION_UNITS_MAX, captioned, upload};
use crate::setup;
use crate::update::{Place, Speaker};

/// What is answered.
#[derive(Clone, Copy)]
pub(crate) enum To<'of> {
    /// A message, by its number.
    Message(i32),
    /// A press of a button.
    Press {
        /// What it is answered by.
        query: &'of str,
        /// Under which message, where that is still known.
        message: Option<i32>,
    },
}

/// Whoever answers.
#[derive(Clone, Copy)]
pub(crate) struct Answering<'of> {
    pub api: &'of Api,
    pub place: Place,
    pub by: &'of Speaker,
    pub to: To<'of>,
}

impl Answering<'_> {
    /// Gives an answer. A press is answered last, so that one whose answer isn't there yet is pressed again in vain rather
    /// than forgotten.
    pub async fn give(&self, reply: Reply) -> Result<(), CallError> {
        let note = match reply {
            Reply::Quiet => None,
            Reply::Say { page, audience: Audience::Asker, files } if self.is_note(&page, &files) => Some(alert(&page)),
            Reply::Say { page, audience: Audience::AskerAlone, files } if !self.place.is_private => {
                self.say_alone(&page, files).await?
            }
            Reply::Say { page, files, .. } => {
                self.say(&page, files).await?;
                None
            }
            Reply::Update { page } => {
                self.update(&page).await?;
                None
            }
            Reply::Ask(question) => {
                self.question(&question).await?;
                None
            }
        };
        self.acknowledge(note).await
    }

    fn is_note(&self, page: &Page, files: &[File]) -> bool {
        matches!(self.to, To::Press { .. }) && files.is_empty() && fits_alert(page)
    }

    /// Stops the button's waiting; a note is shown to whoever pressed, and to nobody else.
    async fn acknowledge(&self, note: Option<String>) -> Result<(), CallError> {
        let To::Press { query, .. } = self.to else { return Ok(()) };
        let mut fields = Map::from_iter([("callback_query_id".to_owned(), query.into())]);
        if let Some(note) = note {
            fields.insert("text".to_owned(), note.into());
            fields.insert("show_alert".to_owned(), true.into());
        }
        match self.api.send::<Done>("answerCallbackQuery", &fields, None).await {
            Ok(Done) | Err(CallError::Stale) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn say(&self, page: &Page, files: Vec<File>) -> Result<(), CallError> {
        let message = telegram::message(page);
        let mut files: Vec<Attachment> = files.into_iter().map(attachment).collect();
        let with_caption = (files.len() == 1 && units(&message.text) <= CAPTION_UNITS_MAX).then(|| files.remove(0));
        let sent = match &with_caption {
            Some(file) => {
                let fields = captioned(self.fields(&message));
                self.api.send::<Sent>("sendDocument", &fields, Some(upload(file))).await
            }
            None => self.api.send::<Sent>("sendMessage", &self.fields(&message), None).await,
        };
        match sent {
            // A mistake of ours in what it looks like isn't to keep from anybody what it says.
            Err(CallError::Rejected { detail }) => {
                tracing::error!(detail, "Telegram doesn't take an answer; it goes as plain text");
                self.api.send::<Sent>("sendMessage", &self.fields(&telegram::plain(page)), None).await?;
            }
            sent => drop(sent?),
        }
        for file in &files {
            let _: Sent = self.api.send("sendDocument", &self.fields_of_file(), Some(upload(file))).await?;
        }
        Ok(())
    }

    /// What is only for whoever asked goes to their own talk with the bot; the chat hears that it did, or why it can't. The
    /// note for a press, where it was one.
    async fn say_alone(&self, page: &Page, files: Vec<File>) -> Result<Option<String>, CallError> {
        let chat = i64::try_from(self.by.id).unwrap_or_default();
        let own = Answering { place: Place { chat, thread: None, is_private: true }, ..*self };
        let said = match own.say(page, files).await {
            Ok(()) => answer::said_alone(),
            Err(CallError::Dead { .. }) => answer::cant_say_alone(&setup::me(self.api).await?.username),
            Err(error) => return Err(error),
        };
        if self.is_note(&said, &[]) {
            return Ok(Some(alert(&said)));
        }
        self.say(&said, Vec::new()).await?;
        Ok(None)
    }

    /// The message whose button was pressed becomes this; where it is gone, this is said anew.
    async fn update(&self, page: &Page) -> Result<(), CallError> {
        let To::Press { message: Some(number), .. } = self.to else { return self.say(page, Vec::new()).await };
        let mut fields = body(&telegram::message(page));
        fields.insert("chat_id".to_owned(), self.place.chat.into());
        fields.insert("message_id".to_owned(), number.into());
        match self.api.send::<Done>("editMessageText", &fields, None).await {
            Ok(Done) | Err(CallError::Unmodified) => Ok(()),
            Err(CallError::Gone { .. }) => self.say(page, Vec::new()).await,
            Err(error) => Err(error),
        }
    }

    /// In a group the question is for whoever is named in it, or wrote what it replies to.
    async fn question(&self, question: &Question) -> Result<(), CallError> {
        let mut message = telegram::question(question);
        if matches!(self.to, To::Press { .. }) && !self.place.is_private {
            message.text = format!("{}\n{}", mention(self.by), message.text);
        }
        let _: Sent = self.api.send("sendMessage", &self.fields(&message), None).await?;
        Ok(())
    }

    fn fields(&self, message: &Message) -> Map<String, Value> {
        let mut fields = body(message);
        fields.extend(self.fields_of_file());
        fields
    }

    /// Where it goes, and what it replies to.
    fn fields_of_file(&self) -> Map<String, Value> {
        let mut fields = Map::from_iter([("chat_id".to_owned(), self.place.chat.into())]);
        if let Some(thread) = self.place.thread {
            fields.insert("message_thread_id".to_owned(), thread.into());
        }
        if let (To::Message(number), false) = (self.to, self.place.is_private) {
            let reply = json!({"message_id": number, "allow_sending_without_reply": true});
            fields.insert("reply_parameters".to_owned(), reply);
        }
        fields
    }
}

/// A name that calls its owner.
fn mention(by: &Speaker) -> String {
    let name = convoke_chat::text::clip(&convoke_chat::text::flat(&by.name), 60);
    let name = teloxide::utils::html::escape(if name.is_empty() { "…" } else { &name });
    format!("<a href=\"tg://user?id={}\">{name}</a>", by.id)
}

fn body(message: &Message) -> Map<String, Value> {
    // A message is plain data, which always has a JSON form.
    serde_json::to_value(message).ok().and_then(|value| value.as_object().cloned()).unwrap_or_default()
}

fn attachment(file: File) -> Attachment {
    Attachment { name: file.name, media_type: file.media_type, bytes: file.bytes.into() }
}
