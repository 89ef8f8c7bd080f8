//! A talk with the bot as text: what somebody does, and below it each call that comes of it.

use std::fmt::Write as _;
use std::time::Duration;

use convoke_app::ports::WhoMay;
use convoke_app::read::JobsAsked;
use convoke_tests::scripted::Script;
use convoke_tests::telegram::{Call, Chat, Mask, Person};
use serde_json::Value;

use super::rig::Rig;

/// Units of numbers that are different each time.
const UNITS: [&str; 7] = ["s", "min", "h", "bytes", "KB", "MB", "tokens"];

/// Longest time for something that takes none.
const LONG: Duration = Duration::from_mins(1);

/// A talk, so far.
pub struct Talk {
    pub rig: Rig,
    mask: Mask,
    seen: usize,
    code: String,
    said: String,
}

impl Talk {
    /// With a bot that nobody may use yet.
    pub async fn new(model: impl Script) -> Self {
        let rig = Rig::with_desk(model).await;
        Self { rig, mask: Mask::default(), seen: 0, code: String::new(), said: String::new() }
    }

    /// A code that links the next chat.
    pub async fn code(&mut self, who_may: WhoMay) -> String {
        let tenant = "local".parse().expect("a tenant");
        self.code = self.rig.served.platform().new_link_code(&tenant, who_may).await.expect("a code");
        self.code.clone()
    }

    /// Somebody says something.
    pub async fn says(&mut self, chat: Chat, by: Person, text: &str) {
        let update = self.rig.updates.says(chat, by, text);
        self.hear(by, text, &update).await;
    }

    /// Somebody sends a file.
    pub async fn sends(&mut self, chat: Chat, by: Person, (name, content): (&str, &str), caption: &str) {
        self.rig.telegram.keep_file(name, content.as_bytes());
        let bytes = content.len().try_into().expect("a size");
        let update = self.rig.updates.sends(chat, by, (name, name, bytes), caption);
        self.hear(by, &format!("{caption} [{name}]"), &update).await;
    }

    /// Somebody replies to the bot's last message.
    pub async fn replies(&mut self, chat: Chat, by: Person, text: &str) {
        let number = self.rig.telegram.last_message(chat.id());
        self.replies_to(chat, by, number, text).await;
    }

    /// Somebody replies to a message of the bot.
    pub async fn replies_to(&mut self, chat: Chat, by: Person, number: i32, text: &str) {
        let message = self.rig.telegram.message(chat.id(), number).expect("it stands there");
        let update = self.rig.updates.replies(chat, by, (number, &message), text);
        self.hear(by, &format!("(to message {number}) {text}"), &update).await;
    }

    /// Somebody presses the newest button with that label.
    pub async fn presses(&mut self, chat: Chat, by: Person, label: &str) {
        let update = self.press(chat, by, label);
        self.hear(by, &format!("[{label}]"), &update).await;
    }

    /// The update of that.
    #[track_caller]
    pub fn press(&self, chat: Chat, by: Person, label: &str) -> Value {
        let telegram = &self.rig.telegram;
        let data = |message: &Value| -> Option<String> {
            let rows = message["markup"]["inline_keyboard"].as_array()?;
            let mut buttons = rows.iter().flat_map(|row| row.as_array().into_iter().flatten());
            buttons.find(|button| button["text"] == label)?["callback_data"].as_str().map(ToOwned::to_owned)
        };
        let newest = (1..=telegram.last_message(chat.id())).rev();
        let found = newest.filter_map(|number| Some((number, telegram.message(chat.id(), number)?)));
        let mut with_it = found.filter_map(|(number, message)| Some((number, data(&message)?, message)));
        let (number, data, message) = with_it.next().unwrap_or_else(|| panic!("no button {label}"));
        self.rig.updates.presses(chat, by, (number, &message), &data)
    }

    /// Telegram sends an update.
    pub async fn hear(&mut self, by: Person, what: &str, update: &Value) {
        assert_eq!(self.rig.tell(update).await, 200, "{update}");
        self.note(&format!("{}> {what}", by.1));
        for id in self.jobs().await {
            self.mask.know(&id);
        }
        let calls = self.rig.telegram.calls_after(self.seen);
        self.seen += calls.len();
        self.show(&calls);
    }

    /// The job that was asked for last.
    pub async fn newest(&self) -> String {
        self.jobs().await.pop().expect("a job")
    }

    /// Waits until the job that was asked for last has asked its model.
    pub async fn begun(&self) -> String {
        let id = self.newest().await;
        let begun = async {
            while self.rig.served.get(&format!("/v1/jobs/{id}")).await.json()["progress"]["steps_running"] != 1 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, begun).await.expect("it begins");
        id
    }

    /// Waits until all jobs have ended.
    pub async fn all_ended(&mut self) {
        for id in self.jobs().await {
            self.rig.served.ended(&id).await;
        }
        self.note("(all have ended)\n");
    }

    /// All jobs, oldest first.
    async fn jobs(&self) -> Vec<String> {
        let tenant = "local".parse().expect("a tenant");
        let jobs = self.rig.served.platform().jobs(&tenant, &JobsAsked::default()).await.expect("a list").jobs;
        jobs.iter().rev().map(|job| job.id.to_string()).collect()
    }

    /// Something that isn't said.
    pub fn note(&mut self, text: &str) {
        let text = if self.code.is_empty() { text.to_owned() } else { text.replace(&self.code, "CODE") };
        let text = self.mask.masked(&text);
        // Writing to a string can't fail.
        let _ = writeln!(self.said, "{text}");
    }

    fn show(&mut self, calls: &[Call]) {
        let shown = self.mask.show(calls);
        for line in shown.lines() {
            let _ = writeln!(self.said, "    {}", steady(line));
        }
        self.said.push('\n');
    }

    /// What was said, at its end.
    pub async fn end(self) -> String {
        self.rig.stop().await;
        self.said
    }
}

/// A line without times, dates and sizes.
pub fn steady(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let steady = words.iter().enumerate().map(|(at, word)| {
        let unit = words.get(at + 1).map(|next| next.trim_end_matches([')', ',', '.', ';']));
        let number = word.trim_start_matches('(');
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let code = word.strip_prefix("<code>").and_then(|code| code.strip_suffix("</code>")).unwrap_or_default();
        let is_short = code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let is_of = |mark: char| number.len() > 4 && number.chars().all(|c| c.is_ascii_digit() || c == mark);
        if is_number && unit.is_some_and(|unit| UNITS.contains(&unit)) {
            word.replace(number, "N")
        } else if is_short {
            "<code>[short]</code>".to_owned()
        } else if is_of('-') && number.matches('-').count() == 2 {
            "DATE".to_owned()
        } else if is_of(':') {
            "TIME".to_owned()
        } else {
            (*word).to_owned()
        }
    });
    steady.collect::<Vec<_>>().join(" ")
}
