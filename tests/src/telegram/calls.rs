//! Calls as they came in, and as a snapshot shows them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its method.
    pub method: String,
    /// Its parameters.
    pub parameters: Map<String, Value>,
    /// Files beside them: field, name, content.
    pub files: Vec<(String, String, Vec<u8>)>,
    /// What went wrong, if anything did.
    pub error: Option<String>,
}

impl Call {
    /// A parameter.
    pub fn get(&self, name: &str) -> &Value {
        self.parameters.get(name).unwrap_or(&Value::Null)
    }

    /// The text that it shows.
    pub fn text(&self) -> &str {
        self.get("text").as_str().or_else(|| self.get("caption").as_str()).unwrap_or_default()
    }

    /// The data of the button with that label.
    #[track_caller]
    pub fn button(&self, label: &str) -> String {
        let found = self.buttons().into_iter().find(|(text, _)| text == label);
        found.unwrap_or_else(|| panic!("no button {label} in {:?}", self.parameters)).1
    }

    /// Its buttons: label, data or URL.
    pub fn buttons(&self) -> Vec<(String, String)> {
        let rows = self.get("reply_markup")["inline_keyboard"].as_array().cloned().unwrap_or_default();
        let buttons = rows.iter().flat_map(|row| row.as_array().into_iter().flatten());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        buttons
            .map(|b| (text(&b["text"]), b["callback_data"].as_str().map_or_else(|| text(&b["url"]), str::to_owned)))
            .collect()
    }
}

/// Gives what changes from run to run a name that doesn't: ids, tokens, URLs.
#[derive(Debug, Default)]
pub struct Mask {
    names: BTreeMap<String, String>,
}

impl Mask {
    /// Calls as text, one below the other.
    pub fn show(&mut self, calls: &[Call]) -> String {
        let mut shown = String::new();
        for call in calls {
            // Writing to a string can't fail.
            let _ = writeln!(shown, "{}", call.method);
            for (name, value) in &call.parameters {
                let text = match (name.as_str(), value) {
                    ("reply_markup", markup) if markup.get("inline_keyboard").is_some() => buttons(call),
                    ("link_preview_options", _) => continue,
                    (_, Value::String(text)) => text.clone(),
                    (_, value) => value.to_string(),
                };
                let _ = writeln!(shown, "  {name}: {}", self.masked(&text).replace('\n', "\n    "));
            }
            for (field, name, content) in &call.files {
                let _ = writeln!(shown, "  {field}: {name} ({} bytes)", content.len());
            }
            if let Some(error) = &call.error {
                let _ = writeln!(shown, "  -> {error}");
            }
        }
        shown
    }

    /// A job is one of those that are shown; what stands for it is its number in the order in which they are told.
    pub fn know(&mut self, id: &str) {
        self.name_of(id);
    }

    /// A text without what changes.
    pub fn masked(&mut self, text: &str) -> String {
        let mut shown = String::new();
        let mut word = String::new();
        for c in text.chars().chain(['\0']) {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                word.push(c);
                continue;
            }
            shown.push_str(&self.name_of(&std::mem::take(&mut word)));
            if c != '\0' {
                shown.push(c);
            }
        }
        shown
    }

    fn name_of(&mut self, word: &str) -> String {
        let is_ulid =
            |word: &str| word.len() == 26 && word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        if is_ulid(word) {
            let next = format!("[id {}]", self.names.len() + 1);
            // Its end is how messages call it for short.
            return format!("{} whole", self.names.entry(word[20..].to_owned()).or_insert(next));
        }
        // What a question is about: a follow-up of a job.
        if let Some(id) = word.strip_prefix('F').filter(|id| is_ulid(id)) {
            return format!("F{}", self.name_of(id));
        }
        if let Some(name) = self.names.get(word) {
            return name.clone();
        }
        let has = |is: fn(&u8) -> bool| word.as_bytes().iter().any(is);
        let is_random = word.len() >= 16 && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
        if is_random { "[token]".to_owned() } else { word.to_owned() }
    }
}

/// The buttons in their rows; what a button says is its letter.
fn buttons(call: &Call) -> String {
    let rows = call.get("reply_markup")["inline_keyboard"].as_array().cloned().unwrap_or_default();
    let button = |button: &Value| {
        let acts = button["callback_data"].as_str().map_or_else(
            || button["url"].as_str().unwrap_or_default().to_owned(),
            |data| data.chars().take(1).collect(),
        );
        format!("[{} = {acts}]", button["text"].as_str().unwrap_or_default())
    };
    let row = |row: &Value| row.as_array().into_iter().flatten().map(button).collect::<Vec<_>>().join(" ");
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}
