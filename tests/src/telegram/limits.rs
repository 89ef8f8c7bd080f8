//! What the Bot API's prose says beside its types: lengths, and the HTML that it takes.

use serde_json::{Map, Value};

/// Tags that a text may have.
const TAGS: [&str; 15] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "a",
    "code",
    "pre",
    "blockquote",
    "tg-spoiler",
    "tg-emoji",
];
/// Entities that it may have.
const ENTITIES: [&str; 4] = ["&lt;", "&gt;", "&amp;", "&quot;"];

/// Notes what a call has too much of.
pub(super) fn check(method: &str, parameters: &Map<String, Value>, wrong: &mut Vec<String>) {
    let is_html = parameters.get("parse_mode").is_some_and(|mode| mode == "HTML");
    let texts = [("text", if method == "answerCallbackQuery" { 200 } else { 4_096 }), ("caption", 1_024)];
    for (name, most) in texts {
        let Some(text) = parameters.get(name).and_then(Value::as_str) else { continue };
        let seen = if is_html { seen_of_html(text) } else { Ok(text.to_owned()) };
        match seen {
            Ok(seen) if seen.trim().is_empty() && name == "text" && method != "answerCallbackQuery" => {
                wrong.push(format!("{method}.{name} is empty"));
            }
            Ok(seen) if seen.encode_utf16().count() > most => wrong.push(format!("{method}.{name} is too long")),
            Ok(_) => {}
            Err(why) => wrong.push(format!("{method}.{name} is no HTML: {why}: {text}")),
        }
    }
    if parameters.get("link_preview_options").is_none_or(|options| options["is_disabled"] != true)
        && matches!(method, "sendMessage" | "editMessageText")
    {
        wrong.push(format!("{method} lets links be fetched for a preview"));
    }
    if let Some(markup) = parameters.get("reply_markup") {
        check_markup(method, markup, wrong);
    }
    for command in parameters.get("commands").and_then(Value::as_array).into_iter().flatten() {
        let fits = |name: &str, least: usize, most: usize| {
            command[name].as_str().is_some_and(|text| (least..=most).contains(&text.chars().count()))
        };
        if !fits("command", 1, 32) || !fits("description", 3, 256) {
            wrong.push(format!("{method}: {command} has no length that fits"));
        }
    }
}

fn check_markup(method: &str, markup: &Value, wrong: &mut Vec<String>) {
    for button in
        markup["inline_keyboard"].as_array().into_iter().flatten().flat_map(|row| row.as_array().into_iter().flatten())
    {
        let data = button["callback_data"].as_str().map_or(1, str::len);
        let acts = ["callback_data", "url"].iter().filter(|name| button.get(**name).is_some()).count();
        if !(1..=64).contains(&data) || acts != 1 || button["text"].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("{method}: {button} is no button"));
        }
    }
    if markup["input_field_placeholder"].as_str().is_some_and(|text| !(1..=64).contains(&text.chars().count())) {
        wrong.push(format!("{method}: the placeholder is too long"));
    }
}

/// The text that is seen of HTML: tags are balanced and known, the rest is escaped.
fn seen_of_html(html: &str) -> Result<String, String> {
    let (mut seen, mut open, mut rest) = (String::new(), Vec::new(), html);
    while let Some(at) = rest.find(['<', '>', '&']) {
        seen.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(entity) = ENTITIES.iter().find(|entity| rest.starts_with(**entity)) {
            seen.push('x');
            rest = &rest[entity.len()..];
            continue;
        }
        let tag = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (tag, after) = tag.ok_or_else(|| format!("{:?} isn't escaped", rest.chars().next()))?;
        rest = after;
        let name = tag.trim_start_matches('/').split([' ', '=']).next().unwrap_or_default();
        if !TAGS.contains(&name) {
            return Err(format!("<{tag}> isn't known"));
        }
        if !tag.starts_with('/') {
            open.push(name);
        } else if open.pop() != Some(name) {
            return Err(format!("<{tag}> closes nothing"));
        }
    }
    seen.push_str(rest);
    if open.is_empty() { Ok(seen) } else { Err(format!("{open:?} are left open")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_read_as_telegram_reads_it() {
        let good = "<b>a</b> &lt;i&gt; <a href=\"https://x/?a=1&amp;b=2\">c</a> <pre><code class=\"language-x\">d</code></pre>";
        assert_eq!(seen_of_html(good).as_deref(), Ok("a xix c d"));
        for bad in ["a < b", "a & b", "a > b", "<b>a", "a</b>", "<b><i>a</b></i>", "<br>", "<p>a</p>", "&nbsp;", "a<"] {
            assert!(seen_of_html(bad).is_err(), "{bad}");
        }
    }
}
