//! What people type on Telegram.

use super::given::{Given, Value, command};
use super::when::{When, next_word};
use super::{Attached, COMMANDS, Command, Kind, Misread, Opt, Place, Spec, Verb};
use crate::words;

/// Who hears, and what is known there.
#[derive(Clone, Copy, Debug)]
pub struct Hearing<'here> {
    /// The bot's name, without `@`.
    pub bot: &'here str,
    /// Whether nobody else is in the chat: what isn't known is answered there alone.
    pub is_private: bool,
    /// The names of flows, the default first.
    pub flows: &'here [&'here str],
}

/// What a message asks for; `None` where it isn't for this bot. `files` came with the message.
pub fn parse(text: &str, files: Vec<Attached>, here: &Hearing<'_>) -> Option<Result<Command, Misread>> {
    let (word, rest) = next_word(text.trim());
    let (name, addressed) = match word.strip_prefix('/')?.split_once('@') {
        Some((name, bot)) => (name, Some(bot)),
        None => (word.strip_prefix('/')?, None),
    };
    if addressed.is_some_and(|bot| !bot.eq_ignore_ascii_case(here.bot)) || name.is_empty() {
        return None;
    }
    let Some((spec, rest)) = find(&name.to_lowercase(), rest) else {
        let is_for_us = here.is_private || addressed.is_some();
        return is_for_us.then(|| Err(Misread { what: words::unknown_command(name), verb: None }));
    };
    let takes_files = spec.options.iter().any(|option| option.kind == Kind::File);
    if !takes_files && !files.is_empty() {
        return Some(Err(Misread { what: words::NO_FILE_HERE.to_owned(), verb: Some(Verb::Run) }));
    }
    Some(given(spec, rest, here).and_then(|mut values| {
        values.extend(files.into_iter().map(|file| Given { name: "file".to_owned(), value: Value::File(file) }));
        command(spec, values)
    }))
}

/// The code in `/start CODE`, as deep links carry it; `None` where the text is none.
pub fn payload_of_start<'text>(text: &'text str, here: &Hearing<'_>) -> Option<&'text str> {
    let (word, rest) = next_word(text.trim());
    let name = word.split('@').next().unwrap_or_default();
    let is_ours = word.split_once('@').is_none_or(|(_, bot)| bot.eq_ignore_ascii_case(here.bot));
    Some(next_word(rest).0).filter(|payload| name == "/start" && is_ours && !payload.is_empty())
}

/// The command of a word; where several share it, the next word tells.
fn find<'text>(name: &str, rest: &'text str) -> Option<(&'static Spec, &'text str)> {
    let (second, after) = next_word(rest);
    let is = |spec: &&Spec| spec.telegram.first() == Some(&name) || spec.also.contains(&name);
    let longer = COMMANDS.iter().filter(is).find(|spec| spec.telegram.get(1).is_some_and(|word| *word == second));
    if let Some(spec) = longer {
        return Some((spec, after));
    }
    let spec = COMMANDS.iter().filter(is).find(|spec| spec.telegram.len() == 1)?;
    // `schedule create` is said on the other platform, and understood on this one.
    let is_said_whole = spec.discord.len() == 2 && spec.discord[1] == second;
    Some((spec, if is_said_whole { after } else { rest }))
}

fn given(spec: &'static Spec, text: &str, here: &Hearing<'_>) -> Result<Vec<Given>, Misread> {
    let mut values = Vec::new();
    let mut rest = flags(spec, text, &mut values)?;
    if spec.verb == Verb::Run {
        rest = leading_flow(rest, here, &mut values);
        rest = flags(spec, rest, &mut values)?;
    }
    for option in spec.options.iter().filter(|option| matches!(option.place, Place::Word | Place::Words)) {
        rest = positional(spec, option, rest, &mut values)?;
        rest = flags(spec, rest, &mut values)?;
    }
    if let Some(option) = spec.options.iter().find(|option| option.place == Place::Rest) {
        let words = trailing_flags(spec, rest, &mut values);
        push(&mut values, option.name, words);
    } else if !rest.trim().is_empty() {
        return Err(Misread { what: words::too_much(rest.trim()), verb: Some(spec.verb) });
    }
    Ok(values)
}

fn push(values: &mut Vec<Given>, name: &str, text: &str) {
    if !text.trim().is_empty() {
        values.push(Given { name: name.to_owned(), value: Value::Text(text.trim().to_owned()) });
    }
}

fn positional<'text>(
    spec: &Spec,
    option: &Opt,
    text: &'text str,
    values: &mut Vec<Given>,
) -> Result<&'text str, Misread> {
    if option.place == Place::Words {
        if text.trim().is_empty() {
            return Ok(text);
        }
        let wrong = |error| Misread { what: words::wrong_time(text.trim(), &error), verb: Some(spec.verb) };
        let (when, rest) = When::take(text).map_err(wrong)?;
        push(values, option.name, &when.to_string());
        return Ok(rest);
    }
    let (word, rest) = next_word(text);
    // A job may be left out where more follows: then the first word is no id, but the beginning of that.
    let is_left_out = match spec.verb {
        Verb::FollowUp => !looks_like_a_job(word),
        Verb::Artifacts => word.contains(['.', '/']),
        _ => false,
    };
    if is_left_out {
        return Ok(text);
    }
    push(values, option.name, word);
    Ok(rest)
}

/// Ids have digits in them and no small letters; the ends of ids that messages show are six characters long.
fn looks_like_a_job(word: &str) -> bool {
    let name = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_long = matches!(name.len(), 4..=6 | 26);
    is_long
        && name.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        && name.bytes().any(|b| b.is_ascii_digit())
}

/// Takes `--name value` and `--name=value` from the beginning. Phones make one long dash of two short ones.
fn flags<'text>(spec: &Spec, text: &'text str, values: &mut Vec<Given>) -> Result<&'text str, Misread> {
    let mut rest = text.trim_start();
    while let Some(after) = dashed(rest) {
        let end = after.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(after.len());
        let (name, value) = after.split_at(end);
        let misread = |what| Misread { what, verb: Some(spec.verb) };
        if !is_flag(spec, name) {
            return Err(misread(words::unknown_option(&format!("--{name}"), spec)));
        }
        let (value, after) = next_word(value.strip_prefix('=').unwrap_or(value));
        if value.is_empty() {
            return Err(misread(words::flag_without_value(name)));
        }
        push(values, name, value);
        rest = after.trim_start();
    }
    Ok(rest)
}

/// Takes flags from the end; gives what stands before them.
fn trailing_flags<'text>(spec: &Spec, text: &'text str, values: &mut Vec<Given>) -> &'text str {
    let mut text = text.trim();
    while let Some((before, name, value)) = last_flag(text) {
        if !is_flag(spec, name) {
            break;
        }
        push(values, name, value);
        text = before.trim_end();
    }
    text
}

fn last_flag(text: &str) -> Option<(&str, &str, &str)> {
    let (before, value) = text.rsplit_once(char::is_whitespace)?;
    let before = before.trim_end();
    let start =
        before.rfind(char::is_whitespace).map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
    Some((&before[..start], dashed(&before[start..])?, value))
}

fn dashed(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("--").or_else(|| text.strip_prefix('—'))?;
    rest.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(rest)
}

fn is_flag(spec: &Spec, name: &str) -> bool {
    spec.options.iter().any(|option| option.place == Place::Flag && option.name == name)
}

/// A flow's name as the first word. The default's is a word of English as well: it counts only before a flag, a colon, a
/// line's end, or the end.
fn leading_flow<'text>(text: &'text str, here: &Hearing<'_>, values: &mut Vec<Given>) -> &'text str {
    let (word, rest) = next_word(text);
    let name = word.strip_suffix(':').unwrap_or(word);
    let Some(index) = here.flows.iter().position(|flow| *flow == name) else { return text };
    let is_set_apart = name != word
        || rest.trim().is_empty()
        || rest.trim_start_matches(' ').starts_with('\n')
        || dashed(rest.trim_start()).is_some();
    if index == 0 && !is_set_apart {
        return text;
    }
    push(values, "flow", name);
    rest
}
