//! Dialogues as tables: lines that say who does what.
//!
//! | line | what is done |
//! |---|---|
//! | `/crew run prompt: a todo API; budget: 0.50` | a command with its options; `file: @a.md` attaches a file |
//! | `[Stop]`, `[Stop] of {A}` | the button of the latest message that has one, or that has one and says that |
//! | `menu: Follow up of {A}` | the command of that message's menu |
//! | `completes: status job: gla` | an option is being typed |
//! | `types: a todo API` | the window that was opened last is filled in and sent off |
//!
//! `{A}`, `{B}`, … are the ends of jobs' ids in the order in which the jobs came, `{S1}`, … those of schedules.

use std::time::Duration;

use convoke_app::read::JobsAsked;
use convoke_tests::discord::{Call, Clicks};
use convoke_tests::scripted::team::{Team, Temper};
use convoke_tests::scripted::{ByRole, ChatRequest, Gate, Reply, Script};
use serde_json::{Value, json};

use crate::talk::{Talk, label};

/// What the card of a job says that is held at its first step.
pub const WORKING: &str = "Working on design";

/// A team that works on everything; on glaciers only once the gate is open, never on unicorns, and in French where that
/// is wanted.
pub fn crew(gate: &Gate) -> impl Script {
    let refused = Reply::error(401, "invalid_api_key", "The key is wrong.");
    let slow = ByRole::new().say("unicorn", [refused]).on("lacier", Slowly(gate.clone()));
    slow.on("French", InFrench).otherwise(Team(Temper::Reasonable))
}

/// The same team, which writes another README.
struct InFrench;

impl Script for InFrench {
    fn reply(&self, request: &ChatRequest) -> Reply {
        match Team(Temper::Reasonable).reply(request) {
            Reply::Metered { usage, then } => in_french(*then).metered(usage),
            reply => in_french(reply),
        }
    }
}

fn in_french(reply: Reply) -> Reply {
    let Reply::Calls(calls) = reply else { return reply };
    let translated = calls.into_iter().map(|(tool, arguments)| match arguments["path"].as_str() {
        Some("README.md") if tool == "write_file" => {
            (tool, json!({"path": "README.md", "content": "# \u{c0} faire\n"}))
        }
        _ => (tool, arguments),
    });
    Reply::Calls(translated.collect())
}

/// The same team behind a gate.
struct Slowly(Gate);

impl Script for Slowly {
    fn reply(&self, request: &ChatRequest) -> Reply {
        Team(Temper::Reasonable).reply(request).held(&self.0)
    }
}

/// Characters of an id by which things are named.
const END: usize = 6;
/// Longest time until a job is worked on.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

impl Talk {
    /// What people do, one after the other.
    pub async fn play(&mut self, lines: &[(&Clicks, &str)]) {
        for (who, line) in lines {
            let interaction = self.interaction(who, line);
            self.does(line, &interaction).await;
            self.meet().await;
        }
    }

    /// Waits for a message that has all of these texts, and notes it.
    pub async fn hears(&mut self, what: &str, texts: &[&str]) {
        let texts: Vec<String> = texts.iter().map(|text| self.filled(text)).collect();
        let is_it = |text: String| texts.iter().all(|wanted| text.contains(wanted));
        let posted = |path: &str| path.starts_with("/channels/") && path.ends_with("/messages");
        let heard = |call: &Call| call.method == "POST" && posted(&call.path) && is_it(call.body.to_string());
        let call = self.server.wait_for(what, heard).await;
        self.keep(what, call);
    }

    /// Waits until a job's model is asked.
    pub async fn at_work(&self, job: &str) {
        let path = format!("/v1/jobs/{}/steps", self.whole(job));
        let is_running = |steps: &Value| steps["steps"].as_array().is_some_and(|all| all.iter().any(is_running));
        let running = tokio::time::timeout(PATIENCE, async {
            while !is_running(&self.served.get(&path).await.json()) {
                tokio::time::sleep(LOOK).await;
            }
        });
        running.await.unwrap_or_else(|_| panic!("nobody works on {job}"));
    }

    /// The id that a name stands for, whole.
    pub fn whole(&self, name: &str) -> &str {
        let end = self.filled(name);
        let met = self.met.iter().find(|(id, _)| id.ends_with(&end));
        &met.unwrap_or_else(|| panic!("no {name}")).0
    }

    /// Waits until a job's card says something, and notes the card: how often it was edited until then is nobody's business.
    pub async fn card(&mut self, job: &str, text: &str) {
        let end = self.filled(job);
        let is_card = |call: &Call| call.path.starts_with("/channels/") && !call.path.ends_with("/threads");
        let says = |call: &Call| is_card(call) && says(&call.body, &end) && says(&call.body, text);
        let call = self.server.wait_for(text, says).await;
        let channel = call.path.split('/').nth(2).expect("a channel");
        self.keep(&format!("the card, in channel {channel}"), call.clone());
    }

    /// Waits until a job asks for a decision, and notes who may decide and how: the plan itself is another dialogue's.
    pub async fn asked(&mut self, job: &str) {
        let end = self.filled(job);
        let is_asked = |call: &Call| says(&call.body, &end) && says(&call.body, "Your decision is needed");
        let body = self.server.wait_for("a question", |call| call.method == "POST" && is_asked(call)).await.body;
        self.note("< a question");
        let labels: Vec<String> = buttons(&body).into_iter().map(|button| format!("[{}]", label(button))).collect();
        self.note(&format!("  {}", labels.join(" ")));
        self.shown.push(body);
    }

    /// Puts a file where people can attach it.
    pub fn lays(&mut self, name: &str, content: &[u8], bytes: usize) {
        let url = self.server.keep(name, content);
        let file = json!({
            "id": "31", "filename": name, "url": url, "proxy_url": url, "size": bytes, "content_type": "text/markdown"
        });
        self.files.insert(name.to_owned(), file);
    }

    /// What somebody does, as Discord sends it.
    pub fn interaction(&self, who: &Clicks, line: &str) -> Value {
        let line = self.filled(line);
        if let Some(command) = line.strip_prefix("/crew ") {
            return self.command(who, command);
        }
        if let Some(text) = line.strip_prefix("types: ") {
            let (window, on_message) = self.window.as_ref().expect("a window");
            return if *on_message { who.modal_of_button(window, text) } else { who.modal(window, text) };
        }
        if let Some((words, text)) = line.strip_prefix("completes: ").and_then(|rest| rest.split_once(':')) {
            let mut words: Vec<&str> = words.split_whitespace().collect();
            let option = words.pop().expect("an option");
            return who.typing(&words, (option, text.trim()));
        }
        if let Some((name, about)) = line.strip_prefix("menu: ").and_then(|menu| menu.split_once(" of ")) {
            let buttons = self.shown.iter().rev().map(|message| (message, buttons(message)));
            let mut fitting = buttons.filter(|(message, buttons)| !buttons.is_empty() && says(message, about));
            let ids: Vec<&str> = fitting.next().expect("a message").1.iter().filter_map(|one| id(one)).collect();
            return who.on_message(name, &ids);
        }
        let pressed = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (label, about) = pressed.unwrap_or_else(|| panic!("nobody can do {line:?}"));
        who.press(&self.button(label, about.trim_start_matches(" of ")))
    }

    fn command(&self, who: &Clicks, command: &str) -> Value {
        let begin = command.find(": ").map_or(command.len(), |at| command[..at].rfind(' ').map_or(0, |at| at + 1));
        let words: Vec<&str> = command[..begin].split_whitespace().collect();
        let options = command[begin..].split("; ").filter_map(|option| option.split_once(": "));
        let (attached, given): (Vec<_>, Vec<_>) = options.partition(|(_, value)| value.starts_with('@'));
        let given: Vec<(&str, Value)> = given.into_iter().map(|(name, value)| (name, value.into())).collect();
        match attached.first() {
            Some((option, name)) => who.command_with_file(&words, &given, (option, self.files[&name[1..]].clone())),
            None => who.command(&words, &given),
        }
    }

    /// The id of the button of the latest message that has it, and that says this.
    pub fn button(&self, wanted: &str, about: &str) -> String {
        let fitting = self.shown.iter().rev().filter(|message| says(message, about));
        let mut buttons = fitting.flat_map(buttons).filter(|button| label(button) == wanted);
        let found = buttons.next().unwrap_or_else(|| panic!("no button {wanted:?} of {about:?}: {}", self.said()));
        id(found).expect("an id").to_owned()
    }

    /// A text with the ids that are meant by it.
    fn filled(&self, text: &str) -> String {
        let named = self.names.iter().filter(|(_, name)| name.starts_with('{'));
        named.fold(text.to_owned(), |text, (id, name)| text.replace(name, id))
    }

    /// Gives names to the jobs and schedules that are new.
    pub async fn meet(&mut self) {
        let (platform, tenant) = (self.served.platform().clone(), convoke::local::TENANT.parse().expect("a tenant"));
        let jobs = platform.jobs(&tenant, &JobsAsked::default()).await.expect("jobs").jobs;
        let schedules = platform.schedules(&tenant).await.expect("schedules").schedules;
        let jobs = jobs.into_iter().rev().map(|job| (job.id.to_string(), Kind::Job));
        let ids = jobs.chain(schedules.into_iter().map(|schedule| (schedule.id, Kind::Schedule)));
        for (id, kind) in ids.collect::<Vec<_>>() {
            if self.met.iter().any(|(met, _)| *met == id) {
                continue;
            }
            let before = self.met.iter().filter(|(_, other)| *other == kind).count();
            let name = match kind {
                Kind::Job => char::from(b'A' + u8::try_from(before).expect("few jobs")).to_string(),
                Kind::Schedule => format!("S{}", before + 1),
            };
            self.name(&id[id.len() - END..], &format!("{{{name}}}"));
            self.name(&id, &format!("{name}, whole"));
            self.met.push((id, kind));
        }
    }
}

/// What gets a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Job,
    Schedule,
}

fn buttons(message: &Value) -> Vec<&Value> {
    let rows = message["components"].as_array().into_iter().flatten();
    let buttons = rows.flat_map(|row| row["components"].as_array().into_iter().flatten());
    buttons.filter(|button| button["type"] == 2).collect()
}

fn is_running(step: &Value) -> bool {
    step["state"] == "running"
}

fn id(button: &Value) -> Option<&str> {
    button["custom_id"].as_str()
}

fn says(message: &Value, text: &str) -> bool {
    message.to_string().contains(text)
}
