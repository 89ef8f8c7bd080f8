//! What comes in from Telegram, whether by webhook or by polling: claimed once, asked of the desk, answered by calls.
//!
//! Groups with privacy mode hand the bot commands and replies to its own messages, and nothing else; so nothing here needs
//! more. What isn't done (the table is away, Telegram wants silence) comes again, because whoever sent it is told so; what
//! an earlier try has done is found by the update's number.

use std::sync::Arc;

use convoke_app::failure::Failure;
use convoke_app::platform::Platform;
use convoke_app::ports::{Claimed, UpdateId};
use convoke_chat::button::{Action, Ask, Press};
use convoke_chat::command::{Attached, Command, Hearing, Misread, Run, Verb, parse};
use convoke_chat::page::{Page, Tone};
use convoke_chat::reply::Reply;
use convoke_chat::words;
use convoke_desk::{Caller, Front};
use convoke_domain::chat::{Bot, ChatId, PersonId, RealmId};
use serde::Deserialize;
use teloxide::payloads::{GetChatMember, GetMe};
use teloxide::types::{ChatId as TelegramChat, UserId};
use tokio::sync::OnceCell;
use tracing::Instrument;

use crate::answer::{Answering, To};
use crate::api::{Api, CallError};
use crate::update::{Incoming, Place, Pressed, Said, Speaker, What};

/// Longest wish for silence after which an answer is still worth giving.
const SILENCE_MS_MAX: u64 = 60_000;

/// Why an update isn't done: whoever sent it sends it again.
#[derive(Debug, thiserror::Error)]
pub enum NotYet {
    /// Somebody else is at it.
    #[error("somebody else is at this update")]
    Taken,
    /// The platform can't be asked.
    #[error("an update can't be claimed")]
    Platform(#[source] Failure),
    /// Telegram can't be asked, or takes no answer now.
    #[error("Telegram takes no answer now")]
    Telegram(#[source] CallError),
}

/// What somebody wants.
enum Wish {
    Command(Result<Command, Misread>),
    Press(Press),
    Typed(Ask, String),
}

/// The handler of updates. Cheap to clone.
#[derive(Clone)]
pub struct Inbound {
    platform: Platform,
    desk: Arc<dyn Front>,
    api: Api,
    name: Arc<OnceCell<String>>,
}

#[derive(Deserialize)]
struct Me {
    username: String,
}

#[derive(Deserialize)]
struct Member {
    status: String,
}

impl Inbound {
    /// A handler over these use cases and calls.
    pub fn new(platform: Platform, desk: Arc<dyn Front>, api: Api) -> Self {
        Self { platform, desk, api, name: Arc::default() }
    }

    /// Does what an update asks for, once, however often it comes.
    pub async fn hear(&self, incoming: Incoming) -> Result<(), NotYet> {
        if incoming.what == What::Nothing {
            return Ok(());
        }
        // Another bot's updates have numbers of their own.
        let update = UpdateId { bot: Bot::Telegram, id: format!("{}:{}", self.api.bot(), incoming.update) };
        let span = tracing::info_span!("update", id = update.id);
        async {
            match self.platform.claim_update(&update).await.map_err(NotYet::Platform)? {
                Claimed::Mine => {}
                Claimed::Taken => return Err(NotYet::Taken),
                Claimed::Done => return Ok(()),
            }
            self.act(&update, incoming.what).await?;
            self.platform.end_update(&update).await.map_err(NotYet::Platform)
        }
        .instrument(span)
        .await
    }

    async fn act(&self, update: &UpdateId, what: What) -> Result<(), NotYet> {
        match what {
            What::Said(said) => self.said(update, *said).await,
            What::Pressed(pressed) => self.pressed(update, pressed).await,
            What::Moved { from, to } => {
                let chat = |chat| ChatId::Telegram { chat, thread: None };
                self.platform.chat_moved(&chat(from), &chat(to)).await.map_err(NotYet::Platform)
            }
            What::Member { chat, is_there: false } => {
                let chat = ChatId::Telegram { chat, thread: None };
                self.platform.leave_chat(&chat, "the bot was put out").await.map_err(NotYet::Platform)
            }
            What::Member { is_there: true, .. } | What::Nothing => Ok(()),
        }
    }

    async fn said(&self, update: &UpdateId, said: Said) -> Result<(), NotYet> {
        let Some(wish) = self.wish(&said).await? else { return Ok(()) };
        let caller = self.caller(update, (said.place, &said.by), &wish).await?;
        let caller = Caller { title: said.title.clone(), ..caller };
        let reply = self.ask(&caller, wish).await;
        settled(self.answering(said.place, &said.by, To::Message(said.message)).give(reply).await)
    }

    async fn pressed(&self, update: &UpdateId, pressed: Pressed) -> Result<(), NotYet> {
        let Pressed { query, by, under, data } = pressed;
        // Messages that are too old to be known, and inline ones, which no bot of ours makes.
        let own = Place { chat: i64::try_from(by.id).unwrap_or_default(), thread: None, is_private: true };
        let (place, message) = under.map_or((own, None), |(place, message)| (place, Some(message)));
        let reply = match data.parse::<Press>() {
            Ok(press) => {
                let wish = Wish::Press(press);
                let caller = self.caller(update, (place, &by), &wish).await?;
                self.ask(&caller, wish).await
            }
            Err(_) => Reply::private(Page::new(Tone::Plain, words::NOT_MINE)),
        };
        settled(self.answering(place, &by, To::Press { query: &query, message }).give(reply).await)
    }

    const fn answering<'of>(&'of self, place: Place, by: &'of Speaker, to: To<'of>) -> Answering<'of> {
        Answering { api: &self.api, place, by, to }
    }

    async fn ask(&self, caller: &Caller, wish: Wish) -> Reply {
        match wish {
            Wish::Command(command) => self.desk.command(caller, command).await,
            Wish::Press(press) => self.desk.press(caller, press).await,
            Wish::Typed(ask, text) => self.desk.typed(caller, ask, text).await,
        }
    }

    async fn wish(&self, said: &Said) -> Result<Option<Wish>, NotYet> {
        let text = said.text.trim();
        if text.starts_with('/') {
            let name = self.name_where_needed(text).await?;
            let here = Hearing { bot: &name, is_private: said.place.is_private, flows: &convoke_app::flow::BUILT_IN };
            return Ok(parse(text, files(said), &here).map(Wish::Command));
        }
        let answered = said.answers.as_ref().filter(|answered| answered.by == Some(self.api.bot()));
        if let Some(answered) = answered {
            if let Some(ask) = Ask::asked_in(&answered.text) {
                return Ok(Some(typed(ask, said)));
            }
            if let Some(press) = answered.buttons.iter().find_map(|data| data.parse::<Press>().ok()) {
                let follow = Press { action: Action::FollowUp, ..press };
                return Ok(Some(typed(Ask::Press(follow), said)));
            }
        }
        Ok(said.place.is_private.then(|| Wish::Command(unasked(said))))
    }

    /// The bot's name, asked for once, and only where a command says whose it is.
    async fn name_where_needed(&self, text: &str) -> Result<String, NotYet> {
        if !text.split_whitespace().next().unwrap_or_default().contains('@') {
            return Ok(String::new());
        }
        let named = self.name.get_or_try_init(async || {
            let Me { username } = self.api.call(&GetMe {}).await?;
            Ok(username)
        });
        named.await.cloned().map_err(NotYet::Telegram)
    }

    async fn caller(&self, update: &UpdateId, (place, by): (Place, &Speaker), wish: &Wish) -> Result<Caller, NotYet> {
        let chat = ChatId::Telegram { chat: place.chat, thread: place.thread };
        let person = PersonId::Telegram(by.id);
        let realm = chat.own_realm().unwrap_or(RealmId::Person(person));
        let is_admin =
            place.is_private || by.is_anonymous_admin || (wish.changes() && self.is_admin(place, by).await?);
        let (name, title, update) = (by.name.clone(), String::new(), update.id.clone());
        Ok(Caller { person, name, chat, realm, title, is_admin, update })
    }

    async fn is_admin(&self, place: Place, by: &Speaker) -> Result<bool, NotYet> {
        let asked = GetChatMember::new(TelegramChat(place.chat), UserId(by.id));
        match self.api.call(&asked).await {
            Ok(Member { status }) => Ok(matches!(status.as_str(), "creator" | "administrator")),
            // Whoever isn't there any more is no admin, nor is anybody where the bot isn't.
            Err(CallError::Rejected { .. } | CallError::Dead { .. }) => Ok(false),
            Err(error) => Err(NotYet::Telegram(error)),
        }
    }
}

impl Wish {
    /// Whether it matters who asks: what is only looked at needs no rank.
    fn changes(&self) -> bool {
        match self {
            Self::Typed(..) => true,
            Self::Press(press) => !matches!(press.action, Action::Details | Action::Zip),
            Self::Command(Err(_)) => false,
            Self::Command(Ok(command)) => match command {
                Command::Run(_)
                | Command::Cancel { .. }
                | Command::Retry { .. }
                | Command::FollowUp(_)
                | Command::Schedule(_)
                | Command::Link { .. }
                | Command::Unlink
                | Command::Start { payload: Some(_) } => true,
                Command::Status { .. }
                | Command::List { .. }
                | Command::Artifacts { .. }
                | Command::Cost { .. }
                | Command::Help
                | Command::Start { payload: None } => false,
            },
        }
    }
}

/// An answer to a question, or to a card. A file that comes with what a job is to do goes along; what else is asked for
/// takes none, and it is said so rather than lost.
fn typed(ask: Ask, said: &Said) -> Wish {
    if said.document.is_some() && !matches!(ask, Ask::Run { .. }) {
        return Wish::Command(Err(Misread { what: words::NO_FILE_HERE.to_owned(), verb: Some(Verb::Run) }));
    }
    let prompt = || Some(said.text.trim().to_owned()).filter(|text| !text.is_empty());
    match ask {
        Ask::Run { flow, budget } if said.document.is_some() => Wish::Command(Ok(Command::Run(Run {
            flow,
            prompt: prompt(),
            budget,
            files: files(said),
            ..Run::default()
        }))),
        ask => Wish::Typed(ask, said.text.clone()),
    }
}

/// What somebody says to the bot in private, unasked: with a file it is work, without one it needs help.
fn unasked(said: &Said) -> Result<Command, Misread> {
    match (&said.document, said.text.trim()) {
        (None, _) => Ok(Command::Help),
        (Some(_), "") => Err(Misread { what: words::FILE_WITHOUT_WORDS.to_owned(), verb: Some(Verb::Run) }),
        (Some(_), text) => {
            Ok(Command::Run(Run { prompt: Some(text.to_owned()), files: files(said), ..Run::default() }))
        }
    }
}

fn files(said: &Said) -> Vec<Attached> {
    let attached = said.document.iter().map(|document| Attached {
        name: document.name.clone(),
        media_type: document.media_type.clone(),
        bytes: document.bytes,
        source: document.id.clone(),
    });
    attached.collect()
}

/// Whether an answer is given, or as good as given. What was asked for is done in any case.
fn settled(given: Result<(), CallError>) -> Result<(), NotYet> {
    match given {
        Ok(()) => Ok(()),
        Err(CallError::Throttled { after_ms }) if after_ms > SILENCE_MS_MAX => {
            tracing::warn!(after_ms, "an answer isn't given: Telegram wants silence for too long");
            Ok(())
        }
        Err(error) if error.is_undone() => Err(NotYet::Telegram(error)),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "an answer isn't given");
            Ok(())
        }
    }
}
