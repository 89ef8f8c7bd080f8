//! Reads a submission field by field and notes all that is wrong with it, so that a caller mends it once.

use std::collections::BTreeMap;
use std::time::Duration;

use convoke_api::flow::FlowIssue;
use convoke_api::request::NotifyTarget;
use convoke_domain::money::{Cost, MicroUsd};
use serde_json::{Map, Value};

use crate::platform::Limits;

/// Longest prompt, in bytes.
pub const PROMPT_BYTES_MAX: usize = 64 * 1024;
/// Most labels of a job.
pub const LABELS_MAX: usize = 10;
/// Longest name or value of a label, in characters.
pub const LABEL_CHARS_MAX: usize = 64;
/// Most targets of notifications.
pub const NOTIFY_MAX: usize = 10;

/// Fields of a submission.
const FIELDS: [&str; 7] = ["flow", "input", "model", "budget", "deadline_s", "notify", "labels"];
/// Fields of a retry.
const RETRY_FIELDS: [&str; 1] = ["budget"];

/// What is asked; where an issue was noted, a default stands in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub flow: Value,
    pub input: Value,
    pub model: Option<String>,
    pub budget: Cost,
    pub deadline: Duration,
    pub notify: Vec<Value>,
    pub labels: BTreeMap<String, String>,
}

/// What is asked, and all that is wrong with it but for the flow and the model.
pub(super) fn read(body: &Value, limits: &Limits) -> (Asked, Vec<FlowIssue>) {
    let mut reader = Reader { limits, issues: Vec::new() };
    let empty = Map::new();
    let fields = reader.object(body, "", &FIELDS).unwrap_or(&empty);
    let asked = Asked {
        flow: reader.required(fields, "flow", "\"software\", or a definition of your own"),
        input: reader.input(fields),
        model: reader.model(fields),
        budget: reader.budget(fields.get("budget"), limits.budget_default),
        deadline: reader.deadline(fields),
        notify: reader.notify(fields),
        labels: reader.labels(fields),
    };
    (asked, reader.issues)
}

/// The budget that a retry asks for, where it is all right.
pub(super) fn read_retry(body: &Value, limits: &Limits, earlier: Cost) -> Result<Cost, Vec<FlowIssue>> {
    let mut reader = Reader { limits, issues: Vec::new() };
    let empty = Map::new();
    let fields = if body.is_null() { &empty } else { reader.object(body, "", &RETRY_FIELDS).unwrap_or(&empty) };
    let budget = reader.budget(fields.get("budget"), earlier);
    if reader.issues.is_empty() { Ok(budget) } else { Err(reader.issues) }
}

struct Reader<'l> {
    limits: &'l Limits,
    issues: Vec<FlowIssue>,
}

impl Reader<'_> {
    fn note(&mut self, path: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.issues.push(FlowIssue::new(path, message, hint));
    }

    fn object<'v>(&mut self, value: &'v Value, path: &str, known: &[&str]) -> Option<&'v Map<String, Value>> {
        let Some(fields) = value.as_object() else {
            self.note(path, format!("has to be an object, not {}", kind(value)), "");
            return None;
        };
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            self.note(format!("{prefix}{name}"), "unknown field", format!("known are {}", known.join(", ")));
        }
        Some(fields)
    }

    fn required(&mut self, fields: &Map<String, Value>, name: &str, hint: &str) -> Value {
        match fields.get(name) {
            None | Some(Value::Null) => {
                self.note(name, "is missing", hint);
                Value::Null
            }
            Some(value) => value.clone(),
        }
    }

    fn input(&mut self, fields: &Map<String, Value>) -> Value {
        let input = self.required(fields, "input", "an object, e.g. {\"prompt\": \"...\"}");
        match &input {
            Value::Object(map) => self.prompt(map.get("prompt")),
            Value::Null => {}
            other => self.note("input", format!("has to be an object, not {}", kind(other)), ""),
        }
        input
    }

    fn prompt(&mut self, prompt: Option<&Value>) {
        let bytes = prompt.and_then(Value::as_str).map_or(0, str::len);
        if bytes > PROMPT_BYTES_MAX {
            let hint = format!("at most {PROMPT_BYTES_MAX} bytes; longer texts go as files, by POST /v1/uploads");
            self.note("input.prompt", format!("has {bytes} bytes"), hint);
        }
        let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        if let Some(bad) = prompt.and_then(Value::as_str).and_then(|text| text.chars().find(|c| !is_text(*c))) {
            let hint = "text; other content goes as files, by POST /v1/uploads";
            self.note("input.prompt", format!("holds {bad:?}, which is no text"), hint);
        }
    }

    fn model(&mut self, fields: &Map<String, Value>) -> Option<String> {
        match fields.get("model") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if (1..=200).contains(&name.len()) => Some(name.clone()),
            Some(_) => {
                self.note("model", "not a model's name", "provider/name, e.g. \"openai/gpt-4.1\"");
                None
            }
        }
    }

    fn budget(&mut self, value: Option<&Value>, default: Cost) -> Cost {
        let Some(value) = value.filter(|value| !value.is_null()) else { return default };
        let Some(fields) = self.object(value, "budget", &["usd", "tokens"]) else { return default };
        let usd = fields.get("usd").filter(|usd| !usd.is_null()).and_then(|usd| self.usd(usd));
        let tokens = fields.get("tokens").filter(|tokens| !tokens.is_null()).and_then(|tokens| self.tokens(tokens));
        Cost { usd: usd.unwrap_or(default.usd), tokens: tokens.unwrap_or(default.tokens) }
    }

    fn usd(&mut self, value: &Value) -> Option<MicroUsd> {
        let max = self.limits.budget_max.usd;
        let hint = format!("US dollars as text, e.g. \"1.50\", more than 0 and at most {max}");
        let Some(text) = value.as_str() else {
            self.note("budget.usd", format!("has to be text, not {}", kind(value)), hint);
            return None;
        };
        match text.parse::<MicroUsd>() {
            Ok(usd) if usd > MicroUsd::ZERO && usd <= max => Some(usd),
            Ok(_) => {
                self.note("budget.usd", "out of range", hint);
                None
            }
            Err(error) => {
                self.note("budget.usd", error.to_string(), hint);
                None
            }
        }
    }

    fn tokens(&mut self, value: &Value) -> Option<u64> {
        let max = self.limits.budget_max.tokens;
        let tokens = value.as_u64().filter(|tokens| (1..=max).contains(tokens));
        if tokens.is_none() {
            self.note("budget.tokens", "not a number of tokens", format!("a whole number from 1 to {max}"));
        }
        tokens
    }

    fn deadline(&mut self, fields: &Map<String, Value>) -> Duration {
        let default = self.limits.deadline_default;
        let Some(value) = fields.get("deadline_s").filter(|value| !value.is_null()) else { return default };
        let max_s = self.limits.deadline_max.as_secs();
        let seconds = value.as_u64().filter(|seconds| (1..=max_s).contains(seconds));
        if seconds.is_none() {
            self.note("deadline_s", "not a number of seconds", format!("a whole number from 1 to {max_s}"));
        }
        seconds.map_or(default, Duration::from_secs)
    }

    fn notify(&mut self, fields: &Map<String, Value>) -> Vec<Value> {
        let Some(value) = fields.get("notify").filter(|value| !value.is_null()) else { return Vec::new() };
        let Some(targets) = value.as_array() else {
            self.note("notify", format!("has to be a list, not {}", kind(value)), "");
            return Vec::new();
        };
        if targets.len() > NOTIFY_MAX {
            self.note("notify", format!("has {} targets", targets.len()), format!("at most {NOTIFY_MAX}"));
        }
        for (index, target) in targets.iter().enumerate().take(NOTIFY_MAX) {
            let read: Result<NotifyTarget, _> = serde_json::from_value(target.clone());
            if !read.is_ok_and(|target| is_target(&target)) {
                let hint = "{\"webhook\": id}, {\"discord\": {\"channel\": id}} or {\"telegram\": {\"chat\": number, \
                            \"thread\": number}}";
                self.note(format!("notify[{index}]"), "not a target", hint);
            }
        }
        targets.clone()
    }

    fn labels(&mut self, fields: &Map<String, Value>) -> BTreeMap<String, String> {
        let Some(value) = fields.get("labels").filter(|value| !value.is_null()) else { return BTreeMap::new() };
        let Some(labels) = value.as_object() else {
            self.note("labels", format!("has to be an object, not {}", kind(value)), "");
            return BTreeMap::new();
        };
        if labels.len() > LABELS_MAX {
            self.note("labels", format!("has {} labels", labels.len()), format!("at most {LABELS_MAX}"));
        }
        let mut read = BTreeMap::new();
        for (name, value) in labels.iter().take(LABELS_MAX) {
            match value.as_str() {
                Some(text) if is_label(name) && text.chars().count() <= LABEL_CHARS_MAX => {
                    read.insert(name.clone(), text.to_owned());
                }
                _ => {
                    let hint = format!("a name and a text of at most {LABEL_CHARS_MAX} characters");
                    self.note(format!("labels.{}", shortened(name)), "not a label", hint);
                }
            }
        }
        read
    }
}

fn is_label(name: &str) -> bool {
    (1..=LABEL_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

fn is_target(target: &NotifyTarget) -> bool {
    match target {
        NotifyTarget::Webhook(id) => (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()),
        NotifyTarget::Discord(discord) => {
            (1..=20).contains(&discord.channel.len()) && discord.channel.bytes().all(|b| b.is_ascii_digit())
        }
        NotifyTarget::Telegram(telegram) => telegram.chat != 0,
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(LABEL_CHARS_MAX).collect()
}

/// What kind of JSON a value is, in words.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(body: &Value) -> Vec<String> {
        read(body, &Limits::default()).1.into_iter().map(|issue| issue.path).collect()
    }

    #[test]
    fn only_flow_and_input_are_required() {
        let body = json!({"flow": "software", "input": {"prompt": "a todo api"}});
        let (asked, issues) = read(&body, &Limits::default());
        assert_eq!(issues, []);
        assert_eq!(asked.budget, Limits::default().budget_default);
        assert_eq!(asked.deadline, Duration::from_hours(1));
        assert_eq!((asked.model, asked.notify.len(), asked.labels.len()), (None, 0, 0));
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let body = json!({
            "flow": null, "input": [], "modle": 1, "model": 5, "budget": {"usd": 1.5, "tokens": 0, "eur": "1"},
            "deadline_s": -1, "notify": [{"mail": "x"}, {"webhook": "ok"}], "labels": {"a": 1, "b": "ok"}
        });
        let named = [
            "modle",
            "flow",
            "input",
            "model",
            "budget.eur",
            "budget.usd",
            "budget.tokens",
            "deadline_s",
            "notify[0]",
            "labels.a",
        ];
        assert_eq!(paths(&body), named);
    }

    #[test]
    fn a_budget_is_more_than_zero_and_at_most_the_largest() {
        let with = |budget: Value| json!({"flow": "f", "input": {}, "budget": budget});
        for usd in ["0", "0.00", "-1", "1e3", "1000.000001", "1.0000001", "", "NaN"] {
            assert_eq!(paths(&with(json!({"usd": usd}))), ["budget.usd"], "{usd}");
        }
        for tokens in [json!(0), json!(-1), json!(1.5), json!("1"), json!(500_000_001)] {
            assert_eq!(paths(&with(json!({"tokens": tokens}))), ["budget.tokens"]);
        }
        let (asked, issues) = read(&with(json!({"usd": "0.25"})), &Limits::default());
        assert_eq!((asked.budget, issues.len()), (Cost { usd: MicroUsd(250_000), tokens: 500_000 }, 0));
    }

    #[test]
    fn sizes_are_bounded() {
        let with = |name: &str, value: Value| {
            let mut body = json!({"flow": "f", "input": {}});
            body[name] = value;
            paths(&body)
        };
        let prompt = |bytes: usize| with("input", json!({"prompt": "x".repeat(bytes)}));
        assert!(prompt(PROMPT_BYTES_MAX).is_empty());
        assert_eq!(prompt(PROMPT_BYTES_MAX + 1), ["input.prompt"]);
        assert_eq!(with("input", json!({"prompt": "a\u{0}b"})), ["input.prompt"]);
        assert!(with("input", json!({"prompt": "a\r\n\tb ü"})).is_empty());
        let labels = |count: usize| -> Value { (0..count).map(|n| (n.to_string(), json!("v"))).collect() };
        assert!(with("labels", labels(10)).is_empty());
        assert_eq!(with("labels", labels(11)), ["labels"]);
        assert!(with("labels", json!({"l": "é".repeat(64)})).is_empty());
        assert_eq!(with("labels", json!({"l": "é".repeat(65)})), ["labels.l"]);
        assert_eq!(with("notify", json!(vec![json!({"webhook": "w"}); 11])), ["notify"]);
        assert_eq!(with("deadline_s", json!(7 * 86_400 + 1)), ["deadline_s"]);
    }

    #[test]
    fn a_body_that_is_no_object_is_one_mistake_and_two_missing_fields() {
        assert_eq!(paths(&json!([1])), ["", "flow", "input"]);
    }

    #[test]
    fn a_retry_takes_a_budget_or_nothing() {
        let earlier = Cost { usd: MicroUsd(5), tokens: 6 };
        let read = |body: Value| read_retry(&body, &Limits::default(), earlier);
        assert_eq!(read(Value::Null), Ok(earlier));
        assert_eq!(read(json!({})), Ok(earlier));
        assert_eq!(read(json!({"budget": {"usd": "2"}})), Ok(Cost { usd: MicroUsd::from_usd(2), tokens: 6 }));
        assert_eq!(read(json!({"usd": "2"})).expect_err("unknown")[0].path, "usd");
    }
}
