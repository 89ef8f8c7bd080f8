//! What comes in from Discord, whether over HTTP or the gateway: claimed once, asked of the desk, answered in time.
//!
//! Discord waits for 3 s and no longer. What is quick is answered at once. What isn't, and what has files, is put off by a
//! call of our own, and then answered by another, all before this returns: on Lambda nothing runs after that. Windows and
//! choices can't be put off. Before it is known what the answer is, nobody but whoever asked may see it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use convoke_app::failure::Failure;
use convoke_app::platform::Platform;
use convoke_app::ports::{Claimed, UpdateId};
use convoke_chat::button::{Action, Ask, Press};
use convoke_chat::command::{Command, FOLLOW_UP_MENU, FollowUp, Misread, Run, from_options};
use convoke_chat::discord::{MODAL_FIELD, offers};
use convoke_chat::reply::{Audience, Reply};
use convoke_chat::words;
use convoke_desk::{Caller, Front};
use convoke_domain::chat::{Bot, ChatId};
use serde_json::Value;

use crate::answer::{self, Answer, Said};
use crate::api::Answerable;
use crate::interaction::{Asks, Interaction, Origin, Place};
use crate::rest::Rest;
use crate::rest::failure::{RestError, code};

/// How long an answer may take before it is put off, from when the interaction was made. Until its answer is there, time
/// goes by, too.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// The same where what comes may be a window, which can't be put off.
const PATIENCE_FOR_WINDOWS: Duration = Duration::from_millis(2_200);
/// How long choices may take; nobody waits for them longer.
const PATIENCE_FOR_CHOICES: Duration = Duration::from_secs(2);

/// How long what can't be put off may take at least: late as it is, it may still be in time.
const PATIENCE_AT_LEAST: Duration = Duration::from_millis(400);
/// Oldest that an interaction may be by our clock: an older one couldn't be answered, so the clock is wrong.
const AGE_MAX: Duration = Duration::from_secs(10);
/// Longest pause that is waited for with an answer that was put off.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a guild may take to say what it is called.
const PATIENCE_FOR_TITLES: Duration = Duration::from_millis(500);

/// What became of an interaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Answered {
    /// This is the answer to it: to be given as the answer to the request, or by [`Inbound::give`].
    Now(Value),
    /// It was answered by calls.
    ByCalls,
    /// It was here before: whoever sends it again gets nothing.
    Before,
}

/// Whoever asks for windows can't be put off, because a window that comes late doesn't come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    MayBeWindow,
    NoWindow,
}

/// The handler of interactions. Cheap to clone.
#[derive(Clone)]
pub struct Inbound {
    platform: Platform,
    desk: Arc<dyn Front>,
    rest: Rest,
}

impl Inbound {
    /// A handler over these use cases and calls.
    pub fn new(platform: Platform, desk: Arc<dyn Front>, rest: Rest) -> Self {
        Self { platform, desk, rest }
    }

    /// The present, as the platform sees it (Unix milliseconds).
    pub fn now_ms(&self) -> u64 {
        self.platform.ports.env.now_ms()
    }

    /// Does what an interaction asks for, once, however often it comes. An error is the storage's: nothing was done, and
    /// the same interaction may be sent again.
    pub async fn answer(&self, interaction: Interaction) -> Result<Answered, Failure> {
        match &interaction.asks {
            Asks::Ping => return Ok(Answered::Now(answer::pong())),
            Asks::Complete { path, option, typed } => {
                let choices = self.choices(&interaction, (path, option, typed)).await;
                return Ok(Answered::Now(choices));
            }
            _ => {}
        }
        let update = UpdateId { bot: Bot::Discord, id: interaction.id.to_string() };
        match self.platform.claim_update(&update).await? {
            Claimed::Mine => {}
            Claimed::Taken | Claimed::Done => return Ok(Answered::Before),
        }
        let answered = self.in_time(&interaction).await;
        // Discord sends nothing twice by itself: where this is lost, the claim's lease keeps a repeat away for longer than
        // its timestamp is believed.
        if let Err(error) = self.platform.end_update(&update).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "an interaction isn't noted as done");
        }
        Ok(answered)
    }

    /// Gives the answer by a call, where the interaction came without a request to answer.
    pub async fn give(&self, to: &Answerable, answer: &Value) -> Result<(), RestError> {
        self.rest.answer(to, answer, &[]).await
    }

    async fn in_time(&self, interaction: &Interaction) -> Answered {
        let patience = match outcome(&interaction.asks) {
            Outcome::MayBeWindow => self.left_of(PATIENCE_FOR_WINDOWS, interaction).max(PATIENCE_AT_LEAST),
            Outcome::NoWindow => self.left_of(PATIENCE, interaction),
        };
        let mut work = std::pin::pin!(self.work(interaction));
        match tokio::time::timeout(patience, &mut work).await {
            // The answer to a request can't carry files, and they take their time to get there.
            Ok(answer) if answer.has_files() => self.put_off(interaction, std::future::ready(answer)).await,
            Ok(answer) => Answered::Now(answer::now(&answer, interaction.origin)),
            Err(_) => self.put_off(interaction, work).await,
        }
    }

    /// What is left of the time that an answer may take: Discord counts from when it made the interaction, which its id
    /// says. An age that can't be is that of a clock which is wrong, and isn't counted.
    fn left_of(&self, patience: Duration, interaction: &Interaction) -> Duration {
        let age = self.now_ms().checked_sub(interaction.created_ms()).map(Duration::from_millis);
        patience.saturating_sub(age.filter(|age| *age <= AGE_MAX).unwrap_or_default())
    }

    /// Says that it takes a while, waits, and answers.
    async fn put_off(&self, interaction: &Interaction, work: impl Future<Output = Answer>) -> Answered {
        let to = answerable(interaction);
        let put_off = self.rest.answer(&to, &answer::later(interaction.origin), &[]).await;
        let answer = work.await;
        match put_off {
            Ok(()) => {}
            Err(error) if error.code() == Some(code::ALREADY_ACKNOWLEDGED) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an answer can't be put off");
                // Perhaps it is still in time.
                let answer = if answer.has_files() { Answer::Say(Said::line(words::FILES_NOT_SENT)) } else { answer };
                return Answered::Now(answer::now(&answer, interaction.origin));
            }
        }
        if let Err(error) = self.afterwards(&to, interaction, answer).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "an answer isn't taken");
        }
        Answered::ByCalls
    }

    async fn afterwards(&self, to: &Answerable, interaction: &Interaction, answer: Answer) -> Result<(), RestError> {
        let origin = interaction.origin;
        let said = match answer {
            Answer::Update(message) => return self.give_later(to, origin, &Answer::Update(message)).await,
            Answer::Heard if origin == Origin::Message => return Ok(()),
            Answer::Heard => Said::line(words::ON_IT),
            Answer::Ask(_) => Said::line(words::TOO_SLOW),
            Answer::Say(said) => said,
        };
        let tried = self.give_later(to, origin, &Answer::Say(said.clone())).await;
        match tried {
            // The interaction's token is too old. What everybody may read can be said without it.
            Err(RestError::Refused { status: 401 | 404, .. }) => match (said.audience, interaction.place.chat()) {
                (Audience::Everybody, Some(ChatId::Discord(channel))) => {
                    self.rest.post_message(channel, &said.body(), &said.files).await.map(drop)
                }
                _ => tried,
            },
            Err(error) if !said.files.is_empty() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "files can't be given");
                self.give_later(to, origin, &Answer::Say(Said::line(words::FILES_NOT_SENT))).await
            }
            // A mistake of ours in what it looks like isn't to keep from anybody what it says.
            Err(RestError::Refused { status: 400, .. }) => {
                let plain = Said { message: said.plain.clone(), ..said };
                self.give_later(to, origin, &Answer::Say(plain)).await
            }
            tried => tried,
        }
    }

    /// Gives an answer that was put off; where Discord asks for a short pause, after that.
    async fn give_later(&self, to: &Answerable, origin: Origin, answer: &Answer) -> Result<(), RestError> {
        match self.give_once(to, origin, answer).await {
            Err(RestError::Throttled { after, .. }) if after <= PAUSE_MAX => {
                tokio::time::sleep(after).await;
                self.give_once(to, origin, answer).await
            }
            given => given,
        }
    }

    async fn give_once(&self, to: &Answerable, origin: Origin, answer: &Answer) -> Result<(), RestError> {
        match (answer, origin) {
            (Answer::Say(said), Origin::Message) => self.rest.follow(to, &said.body(), &said.files).await,
            (Answer::Say(said), Origin::Command) => self.say_later(to, said).await,
            (Answer::Update(message), _) => self.rest.complete(to, &answer::edit(message, &[]), &[]).await,
            (Answer::Ask(_) | Answer::Heard, _) => Ok(()),
        }
    }

    /// Says it in the place of the word that it takes a while, which whoever asked sees alone. What is for everybody comes
    /// behind that: a message's audience can't be changed, and the first one after it would have the same.
    async fn say_later(&self, to: &Answerable, said: &Said) -> Result<(), RestError> {
        match said.audience {
            Audience::Asker | Audience::AskerAlone => {
                self.rest.complete(to, &answer::edit(&said.message, &said.files), &said.files).await
            }
            Audience::Everybody => {
                let short = Said::line(words::TOLD_TO_ALL);
                self.rest.complete(to, &answer::edit(&short.message, &[]), &[]).await?;
                self.rest.follow(to, &said.body(), &said.files).await
            }
        }
    }

    async fn choices(&self, interaction: &Interaction, (path, option, typed): (&[String], &str, &str)) -> Value {
        let caller = caller(interaction, ChatId::Discord(interaction.place.channel()));
        let path: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
        let asked = self.desk.complete(&caller, &path, option, typed);
        let choices =
            tokio::time::timeout(self.left_of(PATIENCE_FOR_CHOICES, interaction).max(PATIENCE_AT_LEAST), asked)
                .await
                .unwrap_or_default();
        answer::choices(&offers(&choices))
    }

    /// What the desk says to it.
    async fn work(&self, interaction: &Interaction) -> Answer {
        let chat = match self.chat(interaction).await {
            Ok(chat) => chat,
            Err(error) => {
                tracing::info!(error = &error as &dyn std::error::Error, "no direct messages");
                return Answer::Say(Said::line(words::NOWHERE_TO_TELL));
            }
        };
        let title = self.title(interaction).await;
        let caller = Caller { title, ..caller(interaction, chat) };
        match self.ask(&caller, &interaction.asks).await {
            Some(reply) => Answer::of(reply),
            None => Answer::Say(Said::line(words::NOT_MINE)),
        }
    }

    /// Where things are told: there, or in direct messages where the bot can't post there.
    async fn chat(&self, interaction: &Interaction) -> Result<ChatId, RestError> {
        match interaction.place.chat() {
            Some(chat) => Ok(chat),
            None => self.rest.open_direct(interaction.from.user).await.map(ChatId::Discord),
        }
    }

    /// What is about to be linked, as its admins know it; nothing where Discord doesn't say so soon.
    async fn title(&self, interaction: &Interaction) -> String {
        if !matches!(command(&interaction.asks), Some(Ok(Command::Link { code: Some(_) }))) {
            return String::new();
        }
        let Place::Guild { guild, .. } = interaction.place else { return interaction.from.name.clone() };
        match tokio::time::timeout(PATIENCE_FOR_TITLES, self.rest.guild_name(guild)).await {
            Ok(Ok(name)) => name,
            Ok(Err(error)) => {
                tracing::info!(error = &error as &dyn std::error::Error, "a guild without a name");
                String::new()
            }
            Err(_) => String::new(),
        }
    }

    async fn ask(&self, caller: &Caller, asks: &Asks) -> Option<Reply> {
        match asks {
            Asks::Command { .. } => Some(self.desk.command(caller, command(asks)?).await),
            Asks::OnMessage { name, buttons } => {
                let ours = buttons.iter().find_map(|button| button.parse::<Press>().ok());
                let press = Press { action: Action::FollowUp, ..ours.filter(|_| name == FOLLOW_UP_MENU)? };
                Some(self.desk.press(caller, press).await)
            }
            Asks::Press { custom_id } => Some(self.desk.press(caller, custom_id.parse().ok()?).await),
            Asks::Typed { custom_id, values } => {
                let ask: Ask = custom_id.parse().ok()?;
                let text = values.iter().find(|(field, _)| field == MODAL_FIELD)?.1.clone();
                Some(self.desk.typed(caller, ask, text).await)
            }
            Asks::Ping | Asks::Complete { .. } | Asks::Unknown(_) => None,
        }
    }
}

/// The command that was given; `None` where it is none of ours.
fn command(asks: &Asks) -> Option<Result<Command, Misread>> {
    let Asks::Command { path, options } = asks else { return None };
    let (_, path) = path.split_first()?;
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    Some(from_options(&path, options.clone()))
}

fn caller(interaction: &Interaction, chat: ChatId) -> Caller {
    Caller {
        person: interaction.from.person(),
        name: interaction.from.name.clone(),
        chat,
        realm: interaction.place.realm(&interaction.from),
        title: String::new(),
        is_admin: interaction.from.is_admin,
        update: interaction.id.to_string(),
    }
}

/// What answers are sent with.
pub fn answerable(interaction: &Interaction) -> Answerable {
    Answerable { id: interaction.id, application: interaction.application, token: interaction.token.clone() }
}

fn outcome(asks: &Asks) -> Outcome {
    let is_asked_back = match asks {
        Asks::OnMessage { .. } => true,
        Asks::Press { custom_id } => {
            custom_id.parse::<Press>().is_ok_and(|press| matches!(press.action, Action::FollowUp | Action::Changes))
        }
        Asks::Command { .. } => matches!(
            command(asks),
            Some(Ok(Command::Run(Run { prompt: None, .. }) | Command::FollowUp(FollowUp { prompt: None, .. })))
        ),
        Asks::Ping | Asks::Complete { .. } | Asks::Typed { .. } | Asks::Unknown(_) => false,
    };
    if is_asked_back { Outcome::MayBeWindow } else { Outcome::NoWindow }
}
