//! Telegram's own description of its Bot API, and whether a call is one that it knows.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The description; `tests/data/README.md` says where it is from.
static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/telegram-bot-api.json")).expect("the description can be read")
});

#[derive(Deserialize)]
struct Description {
    methods: BTreeMap<String, Vec<Field>>,
    types: BTreeMap<String, Kind>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    types: Vec<String>,
    required: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Fields(Vec<Field>),
    Subtypes(Vec<String>),
}

/// What is wrong with a call by its description, place by place; nothing where it is right. Files that go beside it are
/// named by their fields.
pub fn wrong_with(method: &str, parameters: &Map<String, Value>, files: &[&str]) -> Vec<String> {
    let Some(fields) = DESCRIPTION.methods.get(method) else { return vec![format!("{method} is no method")] };
    let mut wrong = Vec::new();
    let mut given = parameters.clone();
    for file in files {
        given.insert((*file).to_owned(), "attached".into());
    }
    check_fields(fields, &given, method, &mut wrong);
    super::limits::check(method, parameters, &mut wrong);
    wrong
}

fn check_fields(fields: &[Field], given: &Map<String, Value>, place: &str, wrong: &mut Vec<String>) {
    for field in fields.iter().filter(|field| field.required && !given.contains_key(&field.name)) {
        wrong.push(format!("{place}.{} is missing", field.name));
    }
    for (name, value) in given {
        let place = format!("{place}.{name}");
        match fields.iter().find(|field| field.name == *name) {
            None => wrong.push(format!("{place} is unknown")),
            Some(field) if field.types.iter().any(|kind| misfits(kind, value, &place).is_empty()) => {}
            Some(field) => {
                wrong.push(format!("{place} is no {}: {value}", field.types.join(" or ")));
                wrong.extend(field.types.iter().flat_map(|kind| misfits(kind, value, &place)));
            }
        }
    }
}

fn misfits(kind: &str, value: &Value, place: &str) -> Vec<String> {
    let unless = |fits: bool| if fits { Vec::new() } else { vec![format!("{place} is no {kind}: {value}")] };
    if let Some(inner) = kind.strip_prefix("Array of ") {
        let Some(items) = value.as_array() else { return unless(false) };
        let each = |(index, item)| misfits(inner, item, &format!("{place}[{index}]"));
        return items.iter().enumerate().flat_map(each).collect();
    }
    match kind {
        "Integer" => unless(value.is_i64() || value.is_u64()),
        "String" => unless(value.is_string()),
        "Boolean" => unless(value.is_boolean()),
        "Float" => unless(value.is_number()),
        "InputFile" => unless(value == "attached"),
        named => match (DESCRIPTION.types.get(named), value.as_object()) {
            (Some(Kind::Fields(fields)), Some(object)) => {
                let mut wrong = Vec::new();
                check_fields(fields, object, place, &mut wrong);
                wrong
            }
            (Some(Kind::Subtypes(kinds)), Some(_)) => {
                unless(kinds.iter().any(|kind| misfits(kind, value, place).is_empty()))
            }
            _ => unless(false),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(method: &str, parameters: &Value) -> Vec<String> {
        wrong_with(method, parameters.as_object().expect("fields"), &[])
    }

    #[test]
    fn what_the_bot_api_knows_is_right() {
        let keyboard = json!({"inline_keyboard": [[{"text": "Stop", "callback_data": "s12345678"}]]});
        let mut message = json!({"chat_id": -100, "text": "<b>a</b>", "parse_mode": "HTML", "reply_markup": keyboard});
        message["link_preview_options"] = json!({"is_disabled": true});
        assert_eq!(check("sendMessage", &message), Vec::<String>::new());
        assert_eq!(check("getMe", &json!({})), Vec::<String>::new());
        let file = json!({"chat_id": 5}).as_object().expect("fields").clone();
        assert_eq!(wrong_with("sendDocument", &file, &["document"]), Vec::<String>::new());
    }

    #[test]
    fn what_it_does_not_know_is_found() {
        for (method, parameters, place) in [
            ("sendMessages", json!({}), "sendMessages is no method"),
            ("sendMessage", json!({"chat_id": 1}), "sendMessage.text is missing"),
            ("sendMessage", json!({"chat_id": 1, "text": 5}), "sendMessage.text is no String"),
            ("sendMessage", json!({"chat_id": 1, "text": "a", "html": true}), "sendMessage.html is unknown"),
            (
                "sendMessage",
                json!({"chat_id": 1, "text": "a", "reply_markup": {"inline_keyboard": [[{"data": "x"}]]}}),
                "sendMessage.reply_markup is no",
            ),
            ("sendDocument", json!({"chat_id": 1}), "sendDocument.document is missing"),
        ] {
            let wrong = check(method, &parameters);
            assert!(wrong.iter().any(|told| told.starts_with(place)), "{place}: {wrong:?}");
        }
    }
}
