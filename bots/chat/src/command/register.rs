//! What the platforms are told about the commands, so that they offer them. Sent by the command line, never at a start.

use convoke_api::schema::JOB_STATUSES;
use serde_json::{Value, json};

use super::table::{FLOW_CHARS_MAX, PROMPT_CHARS_MAX};
use super::{COMMANDS, Kind, Opt, Spec};
use crate::words;

/// The entry in the menu of a message on Discord.
pub const FOLLOW_UP_MENU: &str = "Follow up";

/// The body of Discord's `PUT /applications/{id}/commands`: `/crew` with its subcommands, and the entry in a message's menu.
/// They work in guilds, in direct messages, and wherever somebody has installed the app for themselves.
pub fn discord_commands() -> Value {
    let mut options: Vec<Value> = Vec::new();
    for spec in COMMANDS {
        match spec.discord {
            [name] => options.push(subcommand(name, spec)),
            [group, name] => group_of(&mut options, group).push(subcommand(name, spec)),
            _ => {}
        }
    }
    let everywhere = json!({"integration_types": [0, 1], "contexts": [0, 1, 2]});
    let mut crew = json!({"name": "crew", "type": 1, "description": words::CREW_ABOUT, "options": options});
    let mut menu = json!({"name": FOLLOW_UP_MENU, "type": 3});
    for command in [&mut crew, &mut menu] {
        for field in ["integration_types", "contexts"] {
            command[field] = everywhere[field].clone();
        }
    }
    json!([crew, menu])
}

fn subcommand(name: &str, spec: &Spec) -> Value {
    let options: Vec<Value> = spec.options.iter().map(option).collect();
    json!({"type": 1, "name": name, "description": spec.about, "options": options})
}

/// The options of a group, which is made where it isn't there.
fn group_of<'options>(options: &'options mut Vec<Value>, name: &str) -> &'options mut Vec<Value> {
    let at = options.iter().position(|option| option["name"] == name && option["type"] == 2).unwrap_or_else(|| {
        options.push(json!({"type": 2, "name": name, "description": words::SCHEDULE_ABOUT, "options": []}));
        options.len() - 1
    });
    match &mut options[at]["options"] {
        Value::Array(options) => options,
        _ => unreachable!("a group is made with a list"),
    }
}

fn option(option: &Opt) -> Value {
    let kind = if option.kind == Kind::File { 11 } else { 3 };
    let mut value =
        json!({"type": kind, "name": option.name, "description": option.about, "required": option.is_required});
    match option.kind {
        Kind::Flow => {
            value["autocomplete"] = true.into();
            value["max_length"] = FLOW_CHARS_MAX.into();
        }
        Kind::Job | Kind::Schedule | Kind::When | Kind::Zone => value["autocomplete"] = true.into(),
        Kind::Prompt => value["max_length"] = PROMPT_CHARS_MAX.into(),
        Kind::Status => {
            let choices = JOB_STATUSES.map(|status| json!({"name": words::state(status), "value": status.as_str()}));
            value["choices"] = choices.to_vec().into();
        }
        Kind::Money | Kind::Input | Kind::File | Kind::Code | Kind::Path => {}
    }
    value
}

/// The body of Telegram's `setMyCommands`.
pub fn telegram_commands() -> Value {
    let listed = COMMANDS.iter().filter(|spec| spec.telegram.len() == 1);
    let commands: Vec<Value> =
        listed.map(|spec| json!({"command": spec.telegram[0], "description": spec.about})).collect();
    json!({"commands": commands})
}
