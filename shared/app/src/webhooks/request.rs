//! Reads what a webhook is to be, and notes all that is wrong with it.

use std::collections::BTreeSet;

use convoke_api::event::EventWhat;
use convoke_api::flow::FlowIssue;
use serde_json::Value;

use crate::ports::{ALL_EVENTS, RUN_ENDED, Wanted};

/// Longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 200;
/// What is wanted where nothing is said.
pub const EVENT_DEFAULT: &str = "job.ended";

/// Fields of a request.
const FIELDS: [&str; 3] = ["url", "events", "description"];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub url: String,
    pub events: Wanted,
    pub description: String,
}

/// What is wrong, and the URL, which is still to be looked at, where there is one.
type Wrong = (Vec<FlowIssue>, Option<String>);

/// What is asked for; the URL is text and no more.
pub(super) fn read(body: &Value) -> Result<Asked, Wrong> {
    let Some(fields) = body.as_object() else {
        return Err((vec![FlowIssue::new("", "has to be an object", "{\"url\": \"https://host/path\"}")], None));
    };
    let mut issues = Vec::new();
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        issues.push(FlowIssue::new(name, "unknown field", format!("known are {}", FIELDS.join(", "))));
    }
    let field = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let url = field("url").and_then(Value::as_str).map(str::to_owned);
    if url.is_none() {
        issues.push(FlowIssue::new("url", "is missing, or no text", "https://host/path"));
    }
    let events = events(field("events"), &mut issues);
    let description = description(field("description"), &mut issues);
    match url {
        Some(url) if issues.is_empty() => Ok(Asked { url, events, description }),
        url => Err((issues, url)),
    }
}

fn events(value: Option<&Value>, issues: &mut Vec<FlowIssue>) -> Wanted {
    let Some(value) = value else { return Wanted(BTreeSet::from([EVENT_DEFAULT.to_owned()])) };
    let hint = format!("{ALL_EVENTS} for all, or some of {}, {RUN_ENDED}", EventWhat::TYPES.join(", "));
    let is_known = |name: &str| [ALL_EVENTS, RUN_ENDED].contains(&name) || EventWhat::TYPES.contains(&name);
    let Some(types) = value.as_array().filter(|types| !types.is_empty()) else {
        issues.push(FlowIssue::new("events", "has to be a list of types of events", hint));
        return Wanted::default();
    };
    let mut wanted = BTreeSet::new();
    for (index, event_type) in types.iter().enumerate() {
        match event_type.as_str().filter(|name| is_known(name)) {
            Some(name) => drop(wanted.insert(name.to_owned())),
            None if issues.len() < 20 => {
                issues.push(FlowIssue::new(format!("events[{index}]"), "not a type of event", hint.clone()));
            }
            None => {}
        }
    }
    Wanted(wanted)
}

fn description(value: Option<&Value>, issues: &mut Vec<FlowIssue>) -> String {
    let Some(value) = value else { return String::new() };
    let text = value.as_str().filter(|text| text.chars().count() <= DESCRIPTION_CHARS_MAX);
    let text = text.filter(|text| !text.chars().any(char::is_control));
    if text.is_none() {
        let hint = format!("text of at most {DESCRIPTION_CHARS_MAX} characters, on one line");
        issues.push(FlowIssue::new("description", "not a description", hint));
    }
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(body: &Value) -> Vec<String> {
        read(body).expect_err("refused").0.into_iter().map(|issue| issue.path).collect()
    }

    #[test]
    fn only_the_url_is_required_and_the_end_is_told() {
        let asked = read(&json!({"url": "https://a.example/"})).expect("fine");
        assert!(asked.events.wants("job.ended") && !asked.events.wants("job.ending") && asked.events.wants_runs());
        let runs = read(&json!({"url": "u", "events": ["run.ended"]})).expect("fine");
        assert!(runs.events.wants_runs() && !runs.events.wants("job.ended"));
        let all = read(&json!({"url": "u", "events": ["*"], "description": "CI \u{2014} ours"})).expect("fine");
        assert!(EventWhat::TYPES.iter().all(|name| all.events.wants(name)));
    }

    #[test]
    fn all_mistakes_are_named_at_once_and_the_url_is_still_looked_at() {
        let body =
            json!({"url": "ftp://x", "events": ["job.ended", "job.finished", 1], "description": 5, "secret": "x"});
        let (issues, url) = read(&body).expect_err("refused");
        let paths: Vec<_> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["secret", "events[1]", "events[2]", "description"]);
        assert_eq!(url.as_deref(), Some("ftp://x"));
        assert_eq!(wrong(&json!([])), [""]);
        assert_eq!(wrong(&json!({})), ["url"]);
        for events in [json!([]), json!("job.ended"), json!({})] {
            assert_eq!(wrong(&json!({"url": "u", "events": events})), ["events"]);
        }
        for description in [json!("x".repeat(201)), json!("a\nb"), json!(["x"])] {
            assert_eq!(wrong(&json!({"url": "u", "description": description})), ["description"]);
        }
        assert!(wrong(&json!({"url": "u", "events": vec![json!(0); 1_000]})).len() <= 20);
    }
}
