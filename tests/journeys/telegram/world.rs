//! People in chats of Telegram, the bot, and an installation over fakes by a clock that is wound by hand; what people do is
//! written as a script, and below each of its lines stand the calls that come of it.
//!
//! | line | what happens |
//! |---|---|
//! | `Ann: words` | she says that |
//! | `Ann: [Label]` | she presses the newest button of that name |
//! | `Ann: > words` | she answers the bot's last question there; `> [Label] words` the newest message with that button |
//! | `Ann: + name: words` | she sends a file with words under it; `> + name: words` as an answer |
//! | `* Ann: kind words` | a job of that [kind](flow) is submitted, which she asks for |
//! | `- work` | all that is rung is worked on, then told |
//! | `- tell` | what there is to be told is told |
//! | `- pass 90 min` | time passes, the clock ticks, all is worked on (`h`, `d`); of edits in a row the last is shown |
//! | `- wait 90 min` | time passes, and nobody does anything |
//!
//! `{code}` is a new code, `{again}` the last one, `{foreign}` one of another tenant, `{job1}` the short name of the first job, `{schedule1}` of the
//! first schedule.

use std::fmt::Write as _;
use std::sync::Arc;

use convoke_app::platform::{Limits, Platform, Ports};
use convoke_app::ports::{ChatHosts, DeliveryBell, DeliveryBells, DeliveryRing, Env, Requester, WhoMay};
use convoke_app::read::JobsAsked;
use convoke_app::work::Until;
use convoke_domain::chat::{ChatId, PersonId};
use convoke_domain::ids::{JobKey, TargetId, TenantId};
use convoke_telegram::inbound::Inbound;
use convoke_telegram::send::Telegram;
use convoke_telegram::update::Incoming;
use convoke_tests::fakes::{FakeBlobs, FakeEnv, FakeQueue, FakeTable, Faults, HostedBlobs, Lane, ports};
use convoke_tests::telegram::{BotApi, Call, Chat, Mask, Person, Updates};
use convoke_tests::writer::Writer;
use serde_json::{Value, json};

use super::rig::{ANN, BOB, GROUP, api};

/// Somebody who has asked for nothing.
pub const CAT: Person = Person(7, "Cat");

const PEOPLE: [Person; 3] = [ANN, BOB, CAT];
/// 2026-11-21 15:00 UTC.
const NOW_MS: u64 = 1_795_273_200_000;
const MINUTE_MS: u64 = 60_000;
/// Most looks at the clock while time passes.
const TICKS: u64 = 12;

/// All of it, and what was said so far.
pub struct World {
    pub telegram: BotApi,
    env: FakeEnv,
    queue: FakeQueue,
    ports: Ports,
    platform: Platform,
    inbound: Inbound,
    updates: Updates,
    mask: Mask,
    codes: Vec<String>,
    seen: usize,
    said: String,
}

fn tenant() -> TenantId {
    "acme".parse().expect("a tenant")
}

impl World {
    /// A group, whose admin is Ann, with a bot that nobody may use yet.
    pub async fn new() -> Self {
        let telegram = BotApi::start().await;
        telegram.admit(GROUP.id(), ANN.0);
        let env = FakeEnv::new(NOW_MS, 7);
        let (table, queue) = (FakeTable::default(), FakeQueue::new(env.clone(), Faults::default()));
        let host = Some(Arc::new(Telegram::new(api(&telegram))) as _);
        let chat_hosts = ChatHosts { discord: None, telegram: host };
        let blobs = FakeBlobs::new(env.clone(), Faults::default());
        let blobs = Arc::new(HostedBlobs::new(blobs, "https://files.example.com"));
        let ports = Ports { chat_hosts, blobs, ..ports(&table, &queue, Writer::default(), &env) };
        let (platform, inbound) = hosted(&ports, &telegram);
        let (updates, mask) = (Updates::default(), Mask::default());
        let (codes, seen, said) = (Vec::new(), 0, String::new());
        Self { telegram, env, queue, ports, platform, inbound, updates, mask, codes, seen, said }
    }

    /// The same where everybody in the group may use it, and Ann alone as well.
    pub async fn linked() -> Self {
        let mut world = Self::new().await;
        world.play(GROUP, "Ann: /link {code}").await;
        world.play(Chat::Private(ANN), "Ann: /link {code}").await;
        world.said.clear();
        world
    }

    /// Another process takes over: all that it knows is what was stored.
    pub fn restart(&mut self) {
        (self.platform, self.inbound) = hosted(&self.ports, &self.telegram);
        self.note("(another process takes over)\n");
    }

    /// People do in a chat what a script says.
    pub async fn play(&mut self, chat: Chat, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let line = self.filled(line).await;
            self.env.wind(1_000);
            self.note(&line);
            match (line.strip_prefix("- "), line.strip_prefix("* ")) {
                (Some(what), _) => Box::pin(self.happens(what)).await,
                (_, Some(asked)) => Box::pin(self.submits(chat, asked)).await,
                _ => {
                    let (by, what) = by(&line);
                    let update = self.update(chat, by, what);
                    self.hear(&update).await;
                }
            }
            self.show().await;
        }
    }

    /// An update comes that no script can tell of.
    pub async fn comes(&mut self, about: &str, update: &Value) {
        self.note(about);
        self.hear(update).await;
        self.show().await;
    }

    async fn hear(&mut self, update: &Value) {
        let incoming = Incoming::read(update.to_string().as_bytes()).expect("an update");
        if let Err(error) = Box::pin(self.inbound.hear(incoming)).await {
            self.note(&format!("    (it comes again: {error})"));
        }
    }

    /// The update of what somebody does.
    pub fn update(&self, chat: Chat, by: Person, what: &str) -> Value {
        if let Some(label) = what.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let (number, message, data) = self.button(chat, label);
            return self.updates.presses(chat, by, (number, &message), &data);
        }
        let (to, what) = self.answered(chat, what);
        let mut update = match what.strip_prefix("+ ").and_then(|file| file.split_once(':')) {
            None => self.updates.says(chat, by, what),
            Some((name, words)) => {
                let bytes = if name.contains("huge") { 21 << 20 } else { 4 };
                self.updates.sends(chat, by, (name, name, bytes), words.trim())
            }
        };
        if let Some((number, message)) = to {
            let reply = self.updates.replies(chat, by, (number, &message), what);
            update["message"]["reply_to_message"] = reply["message"]["reply_to_message"].clone();
        }
        update
    }

    /// What a script's line replies to, and what is left of the line.
    fn answered<'line>(&self, chat: Chat, what: &'line str) -> (Option<(i32, Value)>, &'line str) {
        let Some(rest) = what.strip_prefix("> ") else { return (None, what) };
        if let Some((label, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            let (number, message, _) = self.button(chat, label);
            return (Some((number, message)), rest);
        }
        let mut questions = self.newest(chat).filter(|(_, message)| message["markup"]["force_reply"] == true);
        (Some(questions.next().expect("a question")), rest)
    }

    /// The bot's messages in a chat, the newest first.
    fn newest(&self, chat: Chat) -> impl Iterator<Item = (i32, Value)> {
        let numbers = (1..=self.telegram.last_message(chat.id())).rev();
        numbers.filter_map(move |number| Some((number, self.telegram.message(chat.id(), number)?)))
    }

    /// The newest button of that name: its message, and what it says.
    #[track_caller]
    fn button(&self, chat: Chat, label: &str) -> (i32, Value, String) {
        let mut found = self.newest(chat).filter_map(|(number, message)| {
            let rows = message["markup"]["inline_keyboard"].as_array()?;
            let mut buttons = rows.iter().flat_map(|row| row.as_array().into_iter().flatten());
            let data = buttons.find(|button| button["text"] == label)?["callback_data"].as_str()?.to_owned();
            Some((number, message, data))
        });
        found.next().unwrap_or_else(|| panic!("no button {label} after\n{}", self.said))
    }

    async fn happens(&mut self, what: &str) {
        match what.split_once(' ') {
            None if what == "work" => self.work().await,
            None if what == "tell" => self.tell().await,
            Some(("pass", time)) => self.pass(ms(time)).await,
            Some(("wait", time)) => self.env.wind(ms(time)),
            _ => panic!("nobody knows what {what} is"),
        }
    }

    async fn submits(&mut self, chat: Chat, asked: &str) {
        let (by, what) = by(asked);
        let (kind, words) = what.split_once(' ').expect("a kind and words");
        let chat = chat_id(chat);
        let ChatId::Telegram { chat: id, thread } = chat else { panic!("a chat of Telegram") };
        let mut body = json!({
            "flow": flow(kind), "input": {"prompt": words}, "notify": [{"telegram": {"chat": id, "thread": thread}}]
        });
        if kind == "poor" {
            body["budget"] = json!({"usd": "0.001"});
        }
        let person = PersonId::Telegram(by.0);
        let realm = chat.own_realm().expect("a realm");
        self.platform.enter_chat(&chat, &realm).await.expect("up").expect("linked");
        let requester = Requester { person, name: by.1.to_owned() };
        self.platform.submit_from_chat(&tenant(), &body, None, requester).await.expect("submitted");
    }

    /// Works on what is rung until nothing is, and tells.
    async fn work(&self) {
        loop {
            let rung = self.queue.receive(Lane::Steps, 10, MINUTE_MS);
            if rung.is_empty() {
                break;
            }
            for message in rung {
                let until = Until { deadline_ms: self.env.now_ms() + 15 * MINUTE_MS };
                self.platform.answer(&message.bell, until).await.expect("worked");
                self.queue.delete(message.id);
            }
            self.env.wind(1_000);
        }
        self.tell().await;
    }

    /// Tells what there is to be told, for as long as a minute: no faster than a chat takes it.
    async fn tell(&self) {
        for key in self.jobs().await {
            let outline = self.platform.job_outline(&key).await.expect("up").expect("a job");
            let chats = outline.definition.targets.iter().filter(|target| matches!(target.id, TargetId::Chat(_)));
            let ring =
                |target: TargetId| DeliveryRing { bell: DeliveryBell { v: 1, key: key.clone(), target }, delay_s: 0 };
            let rings: Vec<DeliveryRing> = chats.map(|target| ring(target.id.clone())).collect();
            self.queue.ring_deliveries(&rings).await.expect("rung");
        }
        let end_ms = self.env.now_ms() + MINUTE_MS;
        loop {
            for bell in self.queue.take_deliveries() {
                let until = Until { deadline_ms: self.env.now_ms() + MINUTE_MS };
                self.platform.deliver(&bell, until).await.expect("delivered");
            }
            match self.queue.next_delivery_ms() {
                Some(next_ms) if next_ms <= end_ms => self.env.wind(next_ms.saturating_sub(self.env.now_ms())),
                Some(_) | None => return,
            }
        }
    }

    async fn pass(&self, time_ms: u64) {
        let tick_ms = (time_ms / TICKS).max(MINUTE_MS);
        for _ in 0..time_ms.div_ceil(tick_ms) {
            self.env.wind(tick_ms);
            self.platform.tick(self.env.now_ms()).await.expect("ticked");
            self.platform.tick_schedules(self.env.now_ms()).await.expect("ticked");
            self.work().await;
        }
    }

    /// All jobs, oldest first.
    async fn jobs(&self) -> Vec<JobKey> {
        let asked = JobsAsked { limit: Some(100), ..JobsAsked::default() };
        let jobs = self.platform.jobs(&tenant(), &asked).await.expect("a list").jobs;
        jobs.into_iter().rev().map(|job| JobKey { tenant: tenant(), job: job.id }).collect()
    }

    async fn schedules(&self) -> Vec<String> {
        let mut schedules = self.platform.schedules(&tenant()).await.expect("a list").schedules;
        schedules.sort_by(|one, other| one.id.cmp(&other.id));
        schedules.into_iter().map(|schedule| schedule.id).collect()
    }

    /// A script's line with what it can't know.
    async fn filled(&mut self, line: &str) -> String {
        let mut filled = line.replace("{again}", self.codes.last().map_or("", String::as_str));
        for (mark, of) in [("{code}", tenant()), ("{foreign}", "globex".parse().expect("a tenant"))] {
            if filled.contains(mark) {
                let code = self.platform.new_link_code(&of, WhoMay::Everybody).await.expect("a code");
                filled = filled.replace(mark, &code);
                self.codes.push(code);
            }
        }
        let jobs = self.jobs().await.into_iter().map(|key| key.job.to_string()).collect::<Vec<_>>();
        for (what, ids) in [("job", jobs), ("schedule", self.schedules().await)] {
            for (index, id) in ids.iter().enumerate() {
                filled = filled.replace(&format!("{{{what}{}}}", index + 1), &id[20..]);
            }
        }
        filled
    }

    async fn show(&mut self) {
        for key in self.jobs().await {
            self.mask.know(key.job.as_str());
        }
        for id in self.schedules().await {
            self.mask.know(&id);
        }
        let mut calls = self.telegram.calls_after(self.seen);
        self.seen += calls.len();
        let place = |call: &Call| (call.method.clone(), call.get("chat_id").clone(), call.get("message_id").clone());
        calls.dedup_by(|later, earlier| {
            let is_same = later.method == "editMessageText" && place(later) == place(earlier);
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        let shown: Vec<String> = calls.iter().map(|call| shown(call, &mut self.mask)).collect();
        let _ = writeln!(self.said, "{}", shown.join(""));
    }

    /// Something that isn't said.
    pub fn note(&mut self, text: &str) {
        let text = self.codes.iter().fold(text.to_owned(), |text, code| text.replace(code, "CODE"));
        // Writing to a string can't fail.
        let _ = writeln!(self.said, "{}", self.mask.masked(&text));
    }

    /// What was said; each call was right by Telegram's description.
    pub fn end(self) -> String {
        self.telegram.calls();
        self.said
    }
}

fn hosted(ports: &Ports, telegram: &BotApi) -> (Platform, Inbound) {
    let platform = Platform::new(ports.clone(), Limits::default(), convoke_tools::compiler());
    let api = api(telegram);
    let inbound = convoke_telegram::inbound(platform.clone(), convoke_telegram::desk(platform.clone(), &api), &api);
    (platform, inbound)
}

/// A time as a script says it.
fn ms(time: &str) -> u64 {
    let (number, unit) = time.split_once(' ').expect("a time");
    let unit_ms = match unit {
        "min" => MINUTE_MS,
        "h" => 60 * MINUTE_MS,
        _ => 24 * 60 * MINUTE_MS,
    };
    number.parse::<u64>().expect("a number") * unit_ms
}

/// Who does it, and what.
fn by(line: &str) -> (Person, &str) {
    let (name, what) = line.split_once(": ").unwrap_or_else(|| panic!("nobody does {line}"));
    (*PEOPLE.iter().find(|person| person.1 == name).expect("somebody"), what)
}

fn chat_id(chat: Chat) -> ChatId {
    let thread = match chat {
        Chat::Topic(_, thread) => Some(thread),
        Chat::Private(_) | Chat::Group(_) => None,
    };
    ChatId::Telegram { chat: chat.id(), thread }
}

/// A flow of one step that writes a poem; `review`: whoever asked for it has to like it; `admins`: the admins have to,
/// within a day, of which they are reminded after an hour.
fn flow(kind: &str) -> Value {
    let write = json!({"id": "write", "kind": "agent", "agent": {
        "role": "Poet", "goal": "Short texts", "backstory": "You wrote for newspapers."
    }, "task": {"description": "Write {{ input.prompt }}", "expected_output": "A poem", "output_file": "poem.md"}});
    let mut review = json!({
        "kind": "review", "id": "approve", "question": "Round {{ round }}: shall it be so?", "shows": ["poem.md"],
        "deciders": {"requester": kind == "review", "admins": kind == "admins"}
    });
    if kind == "admins" {
        review["deadline_s"] = 86_400.into();
        review["reminder_s"] = 3_600.into();
    }
    let until = "approve.output.decision == \"approve\"";
    let nodes = match kind {
        "review" | "admins" => {
            json!([{"kind": "loop", "id": "design", "rounds_max": 3, "until": until, "nodes": [write, review]}])
        }
        _ => json!([write]),
    };
    let input = json!({
        "type": "object", "required": ["prompt"],
        "properties": {"prompt": {"type": "string"}, "files": {"type": "array", "default": []}}
    });
    json!({"name": "poem", "input": input, "nodes": nodes})
}

/// A line without the size of an archive, which depends on the ids in it.
fn packed(line: &str) -> String {
    let Some((before, rest)) = line.split_once(" bytes").filter(|_| line.contains("archive.zip")) else {
        return line.to_owned();
    };
    format!("{} … bytes{rest}", before.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end())
}

/// A call: where it goes, what it says, what stands under it.
fn shown(call: &Call, mask: &mut Mask) -> String {
    let mut shown = format!("    {}", call.method);
    let get = |name: &str| Some(call.get(name)).filter(|value| !value.is_null()).map(ToString::to_string);
    let mut add = |text: String| shown.push_str(&text);
    if let Some(chat) = get("chat_id") {
        add(format!(" to {chat}"));
    }
    if let Some(thread) = get("message_thread_id") {
        add(format!("/{thread}"));
    }
    if let Some(number) = get("message_id") {
        add(format!(", message {number}"));
    }
    if let Some(person) = get("user_id") {
        add(format!(", person {person}"));
    }
    if get("reply_parameters").is_some() {
        add(", as a reply".to_owned());
    }
    if get("show_alert").is_some() {
        add(", to whoever pressed alone".to_owned());
    }
    add("\n".to_owned());
    for line in call.text().lines() {
        add(format!("      {}\n", mask.masked(&packed(line))).replace("      \n", "\n"));
    }
    let markup = call.get("reply_markup");
    for row in markup["inline_keyboard"].as_array().into_iter().flatten() {
        let labels = row.as_array().into_iter().flatten().filter_map(|button| button["text"].as_str());
        add(format!("      {}\n", labels.map(|label| format!("[{label}]")).collect::<Vec<_>>().join(" ")));
    }
    if markup["force_reply"] == true {
        add(format!("      (a reply is wanted: {})\n", markup["input_field_placeholder"].as_str().unwrap_or_default()));
    }
    for (_, name, _) in &call.files {
        add(format!("      with {name}\n"));
    }
    call.error.iter().for_each(|error| add(format!("      -> {error}\n")));
    shown
}
