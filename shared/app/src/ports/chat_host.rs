//! The way out to chats: what is told, and the two hosts that know how their platform is spoken to.
//!
//! Hosts know neither jobs nor limits: when what is sent where is decided by [`crate::deliver`]. They make one call per
//! message, never wait, never try again, and never follow what a platform's answer says but for its typed errors.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use convoke_api::artifact::ArtifactView;
use convoke_api::job::JobView;
use convoke_api::review::ReviewView;
use convoke_api::schedule::RunView;
use convoke_domain::chat::{Bot, ChatId, MessageRef};
use convoke_domain::ids::JobId;
use serde_json::Value;

use super::Requester;

/// Something to tell in a chat.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A job's card, as it is now; also the last one, once the job has ended.
    Card(CardNotice),
    /// A person is asked; also how it stands later, once somebody has decided or nobody can any more.
    Review(ReviewNotice),
    /// A person was asked a while ago, and is still waited for.
    Reminder(ReviewNotice),
    /// A job has ended: the one new message that says so.
    End(EndNotice),
    /// Several jobs have ended, oldest first: one message names each of them once. At least two, at most
    /// [`DIGEST_MAX`].
    Digest(Vec<JobView>),
    /// All jobs of a batch have ended, or a follow-up that waited couldn't be started.
    Run(RunNotice),
}

/// Most jobs of a digest.
pub const DIGEST_MAX: usize = 20;

/// A job as its card shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct CardNotice {
    /// The job.
    pub job: JobView,
    /// Token for the card's buttons.
    pub token: String,
    /// Who asked for it, where that was in a chat.
    pub requester: Option<Requester>,
    /// Unix milliseconds, to say how long it has taken so far where nothing else can.
    pub now_ms: u64,
}

/// A review as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewNotice {
    /// Its job.
    pub job: JobView,
    /// The review.
    pub review: ReviewView,
    /// Token for its buttons.
    pub token: String,
    /// Who asked for the job, where that was in a chat.
    pub requester: Option<Requester>,
}

/// A job that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndNotice {
    /// The job, in a terminal state.
    pub job: JobView,
    /// Token for the buttons.
    pub token: String,
    /// Who asked for it, where that was in a chat.
    pub requester: Option<Requester>,
    /// What came of it, in the model's own words, shortened to about 1,000 characters; text to escape.
    pub summary: Option<String>,
    /// Its first files, by path, at most 100.
    pub artifacts: Vec<ArtifactView>,
    /// How many there are in all.
    pub artifacts_total: u32,
    /// Those that go with the message; within [`ChatHost::files_max`].
    pub files: Vec<Attachment>,
}

/// What a schedule started has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunNotice {
    /// What the schedule is called; empty where it is gone.
    pub name: String,
    /// Of a follow-up that couldn't be started: the job that it waited for.
    pub after: Option<JobId>,
    /// How it came out.
    pub run: RunView,
}

/// A file that goes with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, without folders.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its content.
    pub bytes: Bytes,
}

/// How many files go with one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilesMax {
    /// Most files.
    pub count: usize,
    /// Most bytes of all together.
    pub bytes: u64,
}

/// How a notice is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is meant to look.
    Rich,
    /// Plain text without markup, buttons as far as they are safe: for what the platform didn't accept.
    Plain,
}

/// A message as its platform takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The body of the call, without what says where it goes.
    pub body: Value,
    /// Files that go with it.
    pub files: Vec<Attachment>,
}

/// A message that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedMessage {
    /// Where it stands, to be edited.
    pub message: MessageRef,
    /// Where the talk about this job goes on, where the host has opened a place of its own for it (a thread under the
    /// card): what follows of this job is posted there.
    pub talk: Option<ChatId>,
}

/// Why a message isn't there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// Too much (429): surely not taken. Nothing is to be sent before `after_ms` from now.
    #[error("the platform wants {after_ms} ms of silence")]
    Throttled {
        /// For how long.
        after_ms: u64,
        /// From the whole bot, rather than in this chat.
        is_global: bool,
    },
    /// The bot may not, or can't any more, write there (403, unknown channel, chat not found, deactivated person). Final
    /// until somebody uses the bot there again.
    #[error("the chat takes nothing: {detail}")]
    Dead {
        /// What the platform said; no secrets.
        detail: String,
    },
    /// The message that was to be edited doesn't exist any more, or can't be edited any more.
    #[error("the message is gone")]
    Gone,
    /// The chat has another id now. A topic that is gone or closed moves to its own chat, without the topic.
    #[error("the chat is {to} now")]
    Moved {
        /// Which.
        to: ChatId,
    },
    /// The platform doesn't accept the message (400): a mistake of ours.
    #[error("the message isn't accepted: {detail}")]
    Rejected {
        /// What the platform said; no secrets.
        detail: String,
    },
    /// The message can't be edited for a while, surely not now; any other can.
    #[error("the message wants {after_ms} ms of silence")]
    Paused {
        /// For how long.
        after_ms: u64,
    },
    /// The platform doesn't serve the bot: surely not taken. An operator has to see to its token; every further try counts
    /// against whoever makes it.
    #[error("the bot isn't served: {detail}")]
    Refused {
        /// What the platform said; no secrets.
        detail: String,
    },
    /// Surely not taken: no connection, or the platform says that it couldn't. Try again later.
    #[error("not sent: {detail}")]
    Unsent {
        /// What happened; no secrets.
        detail: String,
    },
    /// Nobody knows whether it was taken: a time-out, a lost connection, a 5xx.
    #[error("no answer: {detail}")]
    Unknown {
        /// What happened; no secrets.
        detail: String,
    },
}

/// A platform for chats.
#[async_trait]
pub trait ChatHost: Send + Sync {
    /// What may go with one message.
    fn files_max(&self) -> FilesMax;

    /// Whether a repeated [`Self::post`] with the same nonce within minutes is recognised by the platform, so that it
    /// shows one message and answers with that.
    fn knows_nonces(&self) -> bool;

    /// Writes a notice. Pure: the same notice comes out the same.
    fn render(&self, notice: &Notice, form: Form) -> Rendered;

    /// How many calls it takes to post this there, as far as that is known.
    fn calls(&self, _chat: &ChatId, _rendered: &Rendered) -> u32 {
        1
    }

    /// Posts a message: one try, at most 10 s. `nonce` has at most 25 characters `[a-z0-9]`, and is the same for a repeat
    /// of the same message.
    async fn post(&self, chat: &ChatId, rendered: &Rendered, nonce: &str) -> Result<PostedMessage, ChatError>;

    /// Replaces a message: one try, at most 10 s. That it is so already is success; a repeat changes nothing.
    async fn edit(&self, message: &MessageRef, rendered: &Rendered) -> Result<(), ChatError>;
}

/// The hosts that this process has; where there is none, that platform's chats are told nothing for now.
#[derive(Clone, Default)]
pub struct ChatHosts {
    /// Discord.
    pub discord: Option<Arc<dyn ChatHost>>,
    /// Telegram.
    pub telegram: Option<Arc<dyn ChatHost>>,
}

impl ChatHosts {
    /// The host of a bot.
    pub fn of(&self, bot: Bot) -> Option<&Arc<dyn ChatHost>> {
        match bot {
            Bot::Discord => self.discord.as_ref(),
            Bot::Telegram => self.telegram.as_ref(),
        }
    }
}
