//! The way out: messages that nobody has just asked for, posted and edited with the bot's token.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use convoke_app::ports::{ChatError, ChatHost, FilesMax, Form, Notice, PostedMessage, Rendered};
use convoke_chat::discord::{message, plain};
use convoke_chat::text::{clip, flat};
use convoke_domain::chat::{ChatId, MessageRef, PersonId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rest::failure::{RestError, code};
use crate::rest::{File, Rest};

/// Discord takes 10 MiB with a message, everything in it counted; the rest is for the message itself.
const FILES_BYTES_MAX: u64 = 10 * 1_024 * 1_024 - 64 * 1_024;
/// Discord's own limit.
const FILES_MAX: usize = 10;
/// Longest name of a thread, in units of UTF-16.
const THREAD_NAME_UNITS_MAX: usize = 100;
/// Longest time that a thread may take to open; without one the talk goes on in the channel.
const THREAD_TIMEOUT: Duration = Duration::from_secs(3);
/// Channels that are remembered for having no threads.
const REMEMBERED_MAX: usize = 1_000;
/// Longest pause after which a thread is tried once more that couldn't be opened: its card's nonce is known for so long.
const THREAD_PAUSE_MAX: Duration = Duration::from_mins(1);

/// The bot, speaking.
#[derive(Debug)]
pub struct DiscordHost {
    rest: Rest,
    threadless: Mutex<BTreeSet<u64>>,
}

/// What a rendered notice holds.
#[derive(Serialize, Deserialize)]
struct Written {
    message: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thread: Option<Thread>,
}

/// The thread that is opened under a card.
#[derive(Serialize, Deserialize)]
struct Thread {
    name: String,
    /// Whom it is for: who is in a thread is told of what is new there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<u64>,
}

impl DiscordHost {
    /// One over these calls; they need the bot's token.
    pub const fn new(rest: Rest) -> Self {
        Self { rest, threadless: Mutex::new(BTreeSet::new()) }
    }

    /// Opens a thread under a card that was just posted; `None` where there can't be one, an error where there may be one
    /// soon. A message's thread has the message's id, so that a repeat finds the one that there is.
    async fn open(&self, (channel, message): (u64, u64), thread: &Thread) -> Result<Option<ChatId>, ChatError> {
        if self.lock().contains(&channel) {
            return Ok(None);
        }
        match self.rest.open_thread(channel, message, &thread.name).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(code::HAS_THREAD) => {}
            Err(RestError::Throttled { after, global: false }) if after <= THREAD_PAUSE_MAX => {
                return Err(ChatError::Paused { after_ms: millis(after) });
            }
            Err(error) => {
                self.note(channel, &error);
                return Ok(None);
            }
        }
        if let Some(user) = thread.member
            && let Err(error) = self.rest.add_to_thread(message, user).await
        {
            tracing::info!(error = &error as &dyn std::error::Error, "who asked isn't in the thread");
        }
        Ok(Some(ChatId::Discord(message)))
    }

    /// Direct messages, threads and channels where the bot may open none stay like that for a while.
    fn note(&self, channel: u64, error: &RestError) {
        tracing::info!(error = error as &dyn std::error::Error, channel, "no thread");
        if matches!(error, RestError::Refused { .. }) {
            let mut threadless = self.lock();
            if threadless.len() >= REMEMBERED_MAX {
                threadless.pop_first();
            }
            threadless.insert(channel);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.threadless.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ChatHost for DiscordHost {
    fn files_max(&self) -> FilesMax {
        FilesMax { count: FILES_MAX, bytes: FILES_BYTES_MAX }
    }

    fn knows_nonces(&self) -> bool {
        true
    }

    fn render(&self, notice: &Notice, form: Form) -> Rendered {
        let page = convoke_desk::notice::page(notice);
        let message = match form {
            Form::Rich => message(&page),
            Form::Plain => plain(&page),
        };
        let message = serde_json::to_value(message).unwrap_or_default();
        let files = match notice {
            Notice::End(end) => end.files.clone(),
            _ => Vec::new(),
        };
        let written = Written { message, thread: thread(notice) };
        // Plain data always has a JSON form.
        Rendered { body: serde_json::to_value(written).unwrap_or_default(), files }
    }

    /// Of a first card those that open its thread and let somebody in are counted, too.
    fn calls(&self, chat: &ChatId, rendered: &Rendered) -> u32 {
        let (Ok(channel), Ok(Written { thread: Some(thread), .. })) = (channel(chat), written(rendered)) else {
            return 1;
        };
        if self.lock().contains(&channel) { 1 } else { 2 + u32::from(thread.member.is_some()) }
    }

    async fn post(&self, chat: &ChatId, rendered: &Rendered, nonce: &str) -> Result<PostedMessage, ChatError> {
        let channel = channel(chat)?;
        let Written { message: mut body, thread } = written(rendered)?;
        body["nonce"] = nonce.into();
        body["enforce_nonce"] = true.into();
        let files: Vec<File> = rendered.files.iter().map(File::from).collect();
        if !files.is_empty() {
            body["attachments"] = attachments(&files);
        }
        let posted = self.rest.post_message(channel, &body, &files).await;
        let posted = posted.map_err(|error| meaning(&error, Doing::Posting))?;
        let id = posted.number().map_err(|error| meaning(&error, Doing::Posting))?;
        let talk = match &thread {
            Some(thread) => {
                let opening = tokio::time::timeout(THREAD_TIMEOUT, self.open((channel, id), thread)).await;
                // It may be open all the same: then it is there for whoever writes in it.
                opening.unwrap_or(Ok(None))?
            }
            None => None,
        };
        Ok(PostedMessage { message: MessageRef { chat: *chat, message: posted.id }, talk })
    }

    async fn edit(&self, message: &MessageRef, rendered: &Rendered) -> Result<(), ChatError> {
        let channel = channel(&message.chat)?;
        let id = message.message.parse().map_err(|_| ChatError::Gone)?;
        let Written { message: body, .. } = written(rendered)?;
        self.rest.edit_message(channel, id, &body).await.map_err(|error| meaning(&error, Doing::Editing))
    }
}

/// Files as a message announces them.
pub(crate) fn attachments(files: &[File]) -> Value {
    let named = files.iter().enumerate().map(|(id, file)| json!({ "id": id.to_string(), "filename": file.name }));
    Value::Array(named.collect())
}

fn thread(notice: &Notice) -> Option<Thread> {
    let Notice::Card(card) = notice else { return None };
    let name = clip(&flat(&card.job.title), THREAD_NAME_UNITS_MAX);
    let member = card.requester.as_ref().and_then(|requester| match requester.person {
        PersonId::Discord(user) => Some(user),
        PersonId::Telegram(_) => None,
    });
    let name = if name.is_empty() { card.job.id.to_string() } else { name };
    Some(Thread { name, member })
}

fn written(rendered: &Rendered) -> Result<Written, ChatError> {
    let not_ours = |error: serde_json::Error| ChatError::Rejected { detail: error.to_string() };
    serde_json::from_value(rendered.body.clone()).map_err(not_ours)
}

fn channel(chat: &ChatId) -> Result<u64, ChatError> {
    match chat {
        ChatId::Discord(channel) => Ok(*channel),
        ChatId::Telegram { .. } => Err(ChatError::Dead { detail: "a chat of another platform".to_owned() }),
    }
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Posting,
    Editing,
}

/// What an error of the API means for the message and its chat.
fn meaning(error: &RestError, doing: Doing) -> ChatError {
    let detail = told(error);
    match error {
        RestError::Throttled { after, global } => ChatError::Throttled { after_ms: millis(*after), is_global: *global },
        RestError::EditedTooOften(after) => ChatError::Paused { after_ms: millis(*after) },
        RestError::Refused { status, code, .. } => refused((*status, *code), detail, doing),
        RestError::Unreachable(_) => ChatError::Unsent { detail },
        RestError::NotSetUp(_) => ChatError::Refused { detail },
        RestError::Unavailable(_) | RestError::Lost(_) | RestError::Unreadable(_) => ChatError::Unknown { detail },
    }
}

fn refused((status, code): (u16, u64), detail: String, doing: Doing) -> ChatError {
    match (status, code) {
        (401, _) | (403, 0) => ChatError::Refused { detail },
        // A message in an archived thread can't be edited, but a new one mostly opens the thread again.
        (_, code::UNKNOWN_MESSAGE | code::THREAD_ARCHIVED | code::THREAD_LOCKED) if doing == Doing::Editing => {
            ChatError::Gone
        }
        // Where it doesn't, its channel takes what is new.
        (403 | 404, _) | (_, code::THREAD_ARCHIVED | code::THREAD_LOCKED) => ChatError::Dead { detail },
        _ => ChatError::Rejected { detail },
    }
}

fn millis(pause: Duration) -> u64 {
    u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)
}

/// The error and what caused it in the end.
fn told(error: &RestError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.last().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, code: u64, doing: Doing) -> ChatError {
        meaning(&RestError::Refused { status, code, message: "no".into() }, doing)
    }

    #[test]
    fn a_refusal_says_whether_the_chat_or_the_message_is_lost() {
        for (status, code) in [(403, 50_001), (403, 50_013), (403, 50_007), (404, code::UNKNOWN_CHANNEL)] {
            assert!(matches!(of(status, code, Doing::Posting), ChatError::Dead { .. }), "{code}");
            assert!(matches!(of(status, code, Doing::Editing), ChatError::Dead { .. }), "{code}");
        }
        assert_eq!(of(404, code::UNKNOWN_MESSAGE, Doing::Editing), ChatError::Gone);
        assert_eq!(of(400, code::THREAD_ARCHIVED, Doing::Editing), ChatError::Gone);
        assert!(matches!(of(400, 50_035, Doing::Posting), ChatError::Rejected { .. }));
        for code in [code::THREAD_ARCHIVED, code::THREAD_LOCKED] {
            assert!(matches!(of(400, code, Doing::Posting), ChatError::Dead { .. }), "its channel may take it: {code}");
            assert_eq!(of(400, code, Doing::Editing), ChatError::Gone);
        }
    }

    #[test]
    fn who_is_not_known_keeps_silent_instead_of_losing_chats() {
        for (status, code) in [(401, 0), (403, 0)] {
            assert!(matches!(of(status, code, Doing::Posting), ChatError::Refused { .. }));
        }
        let missing = RestError::NotSetUp("DISCORD_TOKEN is missing".into());
        assert!(matches!(meaning(&missing, Doing::Posting), ChatError::Refused { .. }));
    }

    #[test]
    fn a_pause_is_handed_on_and_trouble_is_not_taken_for_a_refusal() {
        let throttled = RestError::Throttled { after: Duration::from_millis(64_570), global: false };
        assert_eq!(meaning(&throttled, Doing::Editing), ChatError::Throttled { after_ms: 64_570, is_global: false });
        let often = RestError::EditedTooOften(Duration::from_secs(9));
        assert_eq!(meaning(&often, Doing::Editing), ChatError::Paused { after_ms: 9_000 }, "others can be edited");
        assert!(matches!(meaning(&RestError::Unavailable(502), Doing::Posting), ChatError::Unknown { .. }));
    }
}
