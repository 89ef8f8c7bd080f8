//! A platform for chats: it keeps messages, holds its limits, and fails as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use convoke_app::ports::{ChatError, ChatHost, Env, FilesMax, Form, Notice, PostedMessage, Rendered};
use convoke_domain::chat::{Bot, ChatId, MessageRef};
use serde_json::{Value, json};

use super::env::FakeEnv;

/// What a call asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A new message.
    Post,
    /// Another content for one that is there.
    Edit,
}

/// A call that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When (Unix milliseconds).
    pub at_ms: u64,
    /// What for.
    pub kind: CallKind,
    /// Where.
    pub chat: ChatId,
    /// The message's content.
    pub body: Value,
    /// Names of the files that came along.
    pub files: Vec<String>,
    /// Of a new message: its nonce.
    pub nonce: String,
    /// What was answered where that was an error.
    pub error: Option<ChatError>,
}

/// What happens to a call that the limits allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It isn't taken.
    Refused(ChatError),
    /// It is taken, and the answer is lost.
    Lost,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    messages: BTreeMap<MessageRef, Value>,
    nonces: BTreeMap<(ChatId, String), MessageRef>,
    answers: VecDeque<Answer>,
    /// Until then nothing is answered (Unix milliseconds).
    down_until_ms: u64,
    threads: bool,
    broken: Vec<String>,
}

/// A platform. Clones are the same one.
#[derive(Clone, Debug)]
pub struct FakeChats {
    bot: Bot,
    env: FakeEnv,
    state: Arc<Mutex<State>>,
}

impl FakeChats {
    /// A platform that keeps its documented limits by that clock.
    pub fn new(bot: Bot, env: FakeEnv) -> Self {
        Self { bot, env, state: Arc::default() }
    }

    /// What the next calls come to that the limits allow.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.lock().answers.extend(answers);
    }

    /// Nothing is answered for a while.
    pub fn go_down(&self, for_ms: u64) {
        self.lock().down_until_ms = self.env.now_ms() + for_ms;
    }

    /// A thread is opened under each card.
    pub fn open_threads(&self) {
        self.lock().threads = true;
    }

    /// Somebody deletes a message.
    pub fn delete(&self, message: &MessageRef) {
        self.lock().messages.remove(message);
    }

    /// All calls, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The messages that stand, in the order in which they were posted.
    pub fn messages(&self) -> Vec<(MessageRef, Value)> {
        self.lock().messages.iter().map(|(message, body)| (message.clone(), body.clone())).collect()
    }

    /// Limits that were broken.
    pub fn broken(&self) -> Vec<String> {
        self.lock().broken.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a call; what stands then is `apply`'s.
    async fn call<T>(
        &self,
        mut call: Call,
        apply: impl FnOnce(&mut State) -> Result<T, ChatError>,
    ) -> Result<T, ChatError> {
        // Others are at work meanwhile.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let mut state = self.lock();
        call.at_ms = self.env.now_ms();
        let verdict = state.verdict(self.bot, &call);
        let done = match verdict {
            Some(Answer::Refused(error)) => Err(error),
            Some(Answer::Lost) => apply(&mut state).and(Err(ChatError::Unknown { detail: "no answer".into() })),
            None => apply(&mut state),
        };
        call.error = done.as_ref().err().cloned();
        state.calls.push(call);
        done
    }
}

/// A window of the documented limits: milliseconds, and calls within them.
type Window = (u64, usize);

const fn of_room(chat: &ChatId) -> &'static [Window] {
    match chat {
        ChatId::Discord(_) => &[(5_000, 5)],
        ChatId::Telegram { chat: 0.., .. } => &[(1_000, 1)],
        ChatId::Telegram { .. } => &[(1_000, 1), (60_000, 20)],
    }
}

impl State {
    fn verdict(&mut self, bot: Bot, call: &Call) -> Option<Answer> {
        let since = |ms: u64| self.calls.iter().rev().take_while(move |other| other.at_ms + ms > call.at_ms);
        let in_room = |ms| since(ms).filter(|other| other.chat.room() == call.chat.room()).count();
        let crowded = of_room(&call.chat).iter().find(|(ms, most)| in_room(*ms) >= *most);
        if let Some((ms, most)) = crowded {
            self.broken.push(format!("{} at {}: over {most} calls in {ms} ms", call.chat, call.at_ms));
            return Some(Answer::Refused(ChatError::Throttled { after_ms: *ms, is_global: false }));
        }
        let most = if bot == Bot::Discord { 50 } else { 30 };
        let in_second = since(1_000).filter(|other| other.at_ms / 1_000 == call.at_ms / 1_000);
        let made: u32 = in_second.map(|other| self.weight(&other.body)).sum();
        if made + self.weight(&call.body) > most {
            self.broken.push(format!("{bot} at {}: over {most} calls in a second", call.at_ms));
            return Some(Answer::Refused(ChatError::Throttled { after_ms: 1_000, is_global: true }));
        }
        if self.down_until_ms > call.at_ms {
            // Half of the calls don't even get there.
            let detail = "the platform is down".to_owned();
            let is_sent = self.calls.len().is_multiple_of(2);
            return Some(Answer::Refused(if is_sent {
                ChatError::Unknown { detail }
            } else {
                ChatError::Unsent { detail }
            }));
        }
        self.answers.pop_front()
    }

    /// How many calls a message is: opening a card's thread, and letting somebody in, are two more.
    fn weight(&self, body: &Value) -> u32 {
        if self.threads && body["kind"] == "card" && body["status"] != "completed" { 3 } else { 1 }
    }

    fn post(&mut self, bot: Bot, call: &Call) -> PostedMessage {
        let next = MessageRef { chat: call.chat, message: format!("{:06}", self.calls.len()) };
        let known = self.nonces.entry((call.chat, call.nonce.clone())).or_insert_with(|| next.clone()).clone();
        let message = if bot == Bot::Discord { known } else { next };
        self.messages.entry(message.clone()).or_insert_with(|| call.body.clone());
        let id = message.message.parse().unwrap_or(0);
        let talk = (self.threads && call.body["kind"] == "card").then_some(ChatId::Discord(1_000_000 + id));
        PostedMessage { message, talk }
    }
}

#[async_trait]
impl ChatHost for FakeChats {
    fn files_max(&self) -> FilesMax {
        FilesMax { count: 10, bytes: 1_000_000 }
    }

    fn knows_nonces(&self) -> bool {
        self.bot == Bot::Discord
    }

    fn render(&self, notice: &Notice, form: Form) -> Rendered {
        let mut files = Vec::new();
        let mut body = match notice {
            Notice::Card(card) => {
                let elapsed_s = (card.now_ms - card.job.created_at.0) / 1_000;
                let elapsed = (self.bot == Bot::Telegram).then_some(elapsed_s);
                let done = card.job.progress.nodes_done;
                json!({"kind": "card", "job": card.job.id, "status": card.job.status, "done": done, "elapsed_s": elapsed,
                       "token": card.token})
            }
            Notice::Review(asked) => {
                json!({"kind": "review", "job": asked.job.id, "review": asked.review.id, "state": asked.review.state,
                       "token": asked.token})
            }
            Notice::Reminder(asked) => json!({"kind": "reminder", "job": asked.job.id, "review": asked.review.id}),
            Notice::End(end) => {
                files.clone_from(&end.files);
                json!({"kind": "end", "job": end.job.id, "status": end.job.status, "summary": end.summary,
                       "artifacts": end.artifacts_total, "token": end.token})
            }
            Notice::Digest(jobs) => {
                json!({"kind": "digest", "jobs": jobs.iter().map(|job| &job.id).collect::<Vec<_>>()})
            }
            Notice::Run(ran) => {
                json!({"kind": "run", "name": ran.name, "after": ran.after, "refusal": ran.run.refusal,
                       "completed": ran.run.completed, "total": ran.run.total})
            }
        };
        if form == Form::Plain {
            body["plain"] = json!(true);
        }
        Rendered { body, files }
    }

    fn calls(&self, _: &ChatId, rendered: &Rendered) -> u32 {
        self.lock().weight(&rendered.body)
    }

    async fn post(&self, chat: &ChatId, rendered: &Rendered, nonce: &str) -> Result<PostedMessage, ChatError> {
        let call = Call {
            at_ms: 0,
            kind: CallKind::Post,
            chat: *chat,
            body: rendered.body.clone(),
            files: rendered.files.iter().map(|file| file.name.clone()).collect(),
            nonce: nonce.to_owned(),
            error: None,
        };
        let (bot, posted) = (self.bot, call.clone());
        self.call(call, |state| Ok(state.post(bot, &posted))).await
    }

    async fn edit(&self, message: &MessageRef, rendered: &Rendered) -> Result<(), ChatError> {
        let call = Call {
            at_ms: 0,
            kind: CallKind::Edit,
            chat: message.chat,
            body: rendered.body.clone(),
            files: Vec::new(),
            nonce: String::new(),
            error: None,
        };
        self.call(call, |state| match state.messages.get_mut(message) {
            Some(body) => {
                body.clone_from(&rendered.body);
                Ok(())
            }
            None => Err(ChatError::Gone),
        })
        .await
    }
}
