//! A desk over the fakes, people who talk to it, and what they see.

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use convoke_app::platform::{Limits, Platform, Ports};
use convoke_app::ports::{Env, Requester, WhoMay};
use convoke_app::read::JobsAsked;
use convoke_app::work::Until;
use convoke_chat::button::{Action, Ask, Press};
use convoke_chat::command::{Attached, Hearing, parse};
use convoke_chat::page::Page;
use convoke_chat::reply::{Audience, Question, Reply};
use convoke_chat::{discord, telegram};
use convoke_desk::{Attachments, Caller, Desk, Front};
use convoke_domain::chat::{Bot, ChatId};
use convoke_domain::ids::{JobId, JobKey, TenantId};
use convoke_tests::fakes::{FakeBlobs, FakeEnv, FakeQueue, FakeTable, Faults, HostedBlobs, Lane, ports};
use convoke_tests::writer::Writer;
use serde_json::{Value, json};

/// 2026-11-21 15:00 UTC.
const NOW_MS: u64 = 1_795_273_200_000;
const VISIBILITY_MS: u64 = 60_000;

/// What comes with messages: their source is what is in them.
struct Echo;

#[async_trait]
impl Attachments for Echo {
    async fn fetch(&self, file: &Attached) -> Result<Bytes, String> {
        if file.bytes > 10 { Err("it is larger than 10 MiB".to_owned()) } else { Ok(file.source.clone().into()) }
    }
}

/// A file that comes with a message.
pub fn attached(name: &str, content: &str) -> Attached {
    Attached { name: name.to_owned(), media_type: Some("text/plain".to_owned()), bytes: 5, source: content.to_owned() }
}

/// The people of a chat and the desk, and what was said so far.
pub struct Talk {
    pub env: FakeEnv,
    pub queue: FakeQueue,
    pub platform: Platform,
    desk: Desk,
    bot: Bot,
    updates: u32,
    last: Option<Page>,
    question: Option<Question>,
    /// All that was said.
    pub said: String,
}

/// Somebody in the group; in direct messages there is only Ann.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// An admin.
    Ann,
    /// A member.
    Bob,
    /// Ann, in direct messages.
    AnnAlone,
}

impl Talk {
    /// A chat that isn't linked, on an installation that the world can reach.
    pub fn new(bot: Bot) -> Self {
        Self::at(bot, "https://files.example.com")
    }

    /// The same; files are to be had there.
    pub fn at(bot: Bot, origin: &'static str) -> Self {
        let env = FakeEnv::new(NOW_MS, 7);
        let faults = Faults::default();
        let table = FakeTable::new(faults.clone());
        let queue = FakeQueue::new(env.clone(), faults.clone());
        let blobs = Arc::new(HostedBlobs::new(FakeBlobs::new(env.clone(), faults), origin));
        let ports = Ports { blobs, ..ports(&table, &queue, Writer::default(), &env) };
        let platform = Platform::new(ports, Limits::default(), convoke_tools::compiler());
        let desk = Desk::new(platform.clone(), Arc::new(Echo));
        Self { env, queue, platform, desk, bot, updates: 100, last: None, question: None, said: String::new() }
    }

    /// A chat that everybody in it may use.
    pub async fn linked(bot: Bot) -> Self {
        let mut talk = Self::new(bot);
        talk.link(Who::Ann, WhoMay::Everybody).await;
        talk
    }

    pub async fn link(&mut self, who: Who, who_may: WhoMay) {
        let code = self.platform.new_link_code(&acme(), who_may).await.expect("a code");
        let caller = self.caller(who);
        let reply = self.desk.command(&caller, Ok(convoke_chat::command::Command::Link { code: Some(code) })).await;
        assert!(matches!(reply, Reply::Say { audience: Audience::Everybody, .. }), "{reply:?}");
    }

    pub fn caller(&mut self, who: Who) -> Caller {
        self.updates += 1;
        let id = if who == Who::Bob { 8 } else { 7 };
        let (person, chat, realm) = match (self.bot, who) {
            (Bot::Discord, Who::AnnAlone) => ("dcu_", "dc_70".to_owned(), "dcu_7".to_owned()),
            (Bot::Discord, _) => ("dcu_", "dc_55".to_owned(), "dcg_5".to_owned()),
            (Bot::Telegram, Who::AnnAlone) => ("tgu_", "tg_7".to_owned(), "tgu_7".to_owned()),
            (Bot::Telegram, _) => ("tgu_", "tg_-5".to_owned(), "tgg_-5".to_owned()),
        };
        Caller {
            person: format!("{person}{id}").parse().expect("a person"),
            name: if who == Who::Bob { "Bob".to_owned() } else { "Ann".to_owned() },
            chat: chat.parse().expect("a chat"),
            realm: realm.parse().expect("a realm"),
            title: "The crew".to_owned(),
            is_admin: who != Who::Bob,
            update: self.updates.to_string(),
        }
    }

    /// Says that something happens which nobody types.
    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.said, "({text})\n");
    }

    pub async fn say(&mut self, who: Who, text: &str) {
        self.say_with(who, text, Vec::new()).await;
    }

    pub async fn say_with(&mut self, who: Who, text: &str, files: Vec<Attached>) {
        let caller = self.caller(who);
        self.say_as(&caller, text, files).await;
    }

    /// A message of that very update.
    pub async fn say_as(&mut self, caller: &Caller, text: &str, files: Vec<Attached>) {
        let here = Hearing { bot: "crew_bot", is_private: true, flows: Desk::flows() };
        let _ = writeln!(self.said, "{}> {text}", caller.name);
        for file in &files {
            let _ = writeln!(self.said, "     with {}", file.name);
        }
        let command = parse(text, files, &here).expect("a command");
        let reply = self.desk.command(caller, command).await;
        self.hear(reply);
    }

    /// Presses a button of the last message.
    pub async fn press(&mut self, who: Who, action: Action) {
        let buttons = self.last.iter().flat_map(|page| page.buttons.iter().flatten());
        let press = buttons.map(|button| &button.press).find(|press| press.action == action).expect("a button").clone();
        self.press_this(who, press).await;
    }

    pub async fn press_this(&mut self, who: Who, press: Press) {
        let caller = self.caller(who);
        let _ = writeln!(self.said, "{}> [{}]", caller.name, convoke_chat::words::label(press.action));
        let reply = self.desk.press(&caller, press).await;
        self.hear(reply);
    }

    /// Types what was asked for.
    pub async fn answer(&mut self, who: Who, text: &str) {
        let ask: Ask = self.question.take().expect("a question").ask;
        let caller = self.caller(who);
        let _ = writeln!(self.said, "{}> … {text}", caller.name);
        let reply = self.desk.typed(&caller, ask, text.to_owned()).await;
        self.hear(reply);
    }

    pub async fn offered(&mut self, who: Who, path: &[&str], option: &str, typed: &str) -> Vec<String> {
        let caller = self.caller(who);
        let offers = self.desk.complete(&caller, path, option, typed).await;
        offers.into_iter().map(|offer| offer.name).collect()
    }

    fn hear(&mut self, reply: Reply) {
        let mut said = String::new();
        match reply {
            Reply::Say { page, audience, files } => {
                let to = match audience {
                    Audience::Asker => " (to whoever asked)",
                    Audience::AskerAlone => " (to whoever asked alone)",
                    Audience::Everybody => "",
                };
                let _ = writeln!(said, "bot{to}>\n{}", self.shown(&page));
                for file in files {
                    let _ = writeln!(said, "  with {} ({}, {} bytes)", file.name, file.media_type, file.bytes.len());
                }
                self.last = Some(page);
            }
            Reply::Update { page } => {
                let _ = writeln!(said, "bot, in place of that message>\n{}", self.shown(&page));
                self.last = Some(page);
            }
            Reply::Ask(question) => {
                let _ = writeln!(said, "bot asks> {} | {} | {}", question.title, question.label, question.placeholder);
                self.question = Some(question);
            }
            Reply::Quiet => said.push_str("bot says nothing\n"),
        }
        let _ = writeln!(self.said, "{said}");
    }

    /// As the platform of this talk shows it.
    fn shown(&self, page: &Page) -> String {
        let text = match self.bot {
            Bot::Discord => {
                let message = discord::message(page);
                format!("{}\n{}", message.embeds[0].title, message.embeds[0].description)
            }
            Bot::Telegram => {
                let message = serde_json::to_value(telegram::message(page)).expect("JSON");
                message["text"].as_str().expect("a text").to_owned()
            }
        };
        let mut shown: String = text.trim_end().lines().fold(String::new(), |mut shown, line| {
            let _ = writeln!(shown, "  {line}");
            shown
        });
        for row in &page.buttons {
            let labels: Vec<String> = row.iter().map(|button| format!("[{}]", button.label)).collect();
            let _ = writeln!(shown, "  {}", labels.join(" "));
        }
        shown.trim_end().to_owned()
    }

    /// A button of the last message.
    pub fn button(&self, action: Action) -> Press {
        let buttons = self.last.iter().flat_map(|page| page.buttons.iter().flatten());
        buttons.map(|button| &button.press).find(|press| press.action == action).expect("a button").clone()
    }

    /// Submits a job of one step that writes a poem, asked for by somebody there.
    pub async fn poem(&mut self, who: Who, prompt: &str) -> JobKey {
        let caller = self.caller(who);
        self.poem_of(caller, prompt).await
    }

    /// The same, by that very update.
    pub async fn poem_of(&self, caller: Caller, prompt: &str) -> JobKey {
        let body = poem_of(prompt, &notify_of(&caller));
        self.submit(caller, body).await
    }

    /// Submits a job that asks whoever asked for it, and goes round until they approve.
    pub async fn asks(&mut self, who: Who, prompt: &str) -> JobKey {
        self.poem_with(who, prompt, asking).await
    }

    /// Submits a job that writes a poem in another way.
    pub async fn poem_with(&mut self, who: Who, prompt: &str, change: impl FnOnce(&mut Value)) -> JobKey {
        let caller = self.caller(who);
        let mut body = poem_of(prompt, &notify_of(&caller));
        change(&mut body);
        self.submit(caller, body).await
    }

    /// The jobs of `acme`, oldest first.
    pub async fn jobs(&self) -> Vec<JobKey> {
        let jobs = self.platform.jobs(&acme(), &JobsAsked::default()).await.expect("jobs").jobs;
        jobs.into_iter().rev().map(|job| key(job.id)).collect()
    }

    /// The job that was submitted last.
    pub async fn latest(&self) -> JobKey {
        self.jobs().await.pop().expect("a job")
    }

    /// The buttons of a review, as they stand in the chat.
    pub async fn buttons_of(&mut self, key: &JobKey, review: &str) -> impl Fn(Action) -> Press + use<> {
        let chat = self.caller(Who::Bob).chat;
        let token = self.platform.new_button(key, &chat, Some(review)).await.expect("a token");
        move |action| Press { action, token: token.parse().expect("a token") }
    }

    /// The same, asked for over HTTP: no chat is told.
    pub async fn poem_from_elsewhere(&mut self, prompt: &str) -> JobKey {
        let answered = self.platform.submit(&acme(), &poem_of(prompt, &json!([])), None).await.expect("submitted");
        key(answered.job.id)
    }

    async fn submit(&self, caller: Caller, body: Value) -> JobKey {
        self.platform.enter_chat(&caller.chat, &caller.realm).await.expect("entered");
        let by = Requester { person: caller.person, name: caller.name };
        let answered = self.platform.submit_from_chat(&acme(), &body, None, by).await.expect("submitted");
        key(answered.job.id)
    }

    /// A minute passes, and the clock looks at what waits.
    pub async fn minute(&self) {
        self.env.wind(61_000);
        let report = self.platform.tick_schedules(self.env.now_ms()).await.expect("ticked");
        assert_eq!(report.failed, 0);
    }

    /// Works on all that is rung, until nothing is.
    pub async fn work(&self) {
        for _ in 0..200 {
            let rung = self.queue.receive(Lane::Steps, 10, VISIBILITY_MS);
            if rung.is_empty() {
                return;
            }
            for message in rung {
                let until = Until { deadline_ms: self.env.now_ms() + 900_000 };
                self.platform.answer(&message.bell, until).await.expect("worked");
                self.queue.delete(message.id);
            }
            self.env.wind(1_000);
        }
        panic!("it doesn't end");
    }
}

/// Has a job that writes a poem ask whoever asked for it, and go round until they approve.
pub fn asking(body: &mut Value) {
    let write = body["flow"]["nodes"][0].take();
    body["flow"]["nodes"] = json!([{
        "kind": "loop", "id": "design", "rounds_max": 3, "until": "approve.output.decision == \"approve\"",
        "nodes": [write, {
            "kind": "review", "id": "approve", "question": "Round {{ round }}: shall it be so?",
            "shows": ["poem.md"], "deciders": {"requester": true}
        }]
    }]);
}

pub fn notify_of(caller: &Caller) -> Value {
    match caller.chat {
        ChatId::Discord(channel) => json!([{"discord": {"channel": channel.to_string()}}]),
        ChatId::Telegram { chat, .. } => json!([{"telegram": {"chat": chat}}]),
    }
}

pub fn poem_of(prompt: &str, notify: &Value) -> Value {
    json!({
        "flow": {
            "name": "poem",
            "input": {
                "type": "object",
                "properties": {"prompt": {"type": "string"}, "files": {"type": "array", "default": []}},
                "required": ["prompt"]
            },
            "nodes": [{"id": "write", "kind": "agent", "agent": {
                "role": "Poet", "goal": "Short texts", "backstory": "You wrote for newspapers."
            }, "task": {
                "description": "Write {{ input.prompt }}", "expected_output": "A poem", "output_file": "poem.md"
            }}]
        },
        "input": {"prompt": prompt},
        "notify": notify,
    })
}

fn key(job: JobId) -> JobKey {
    JobKey { tenant: acme(), job }
}

pub fn acme() -> TenantId {
    "acme".parse().expect("a tenant")
}
