//! Finds the JSON in a text that has more around it.

use serde_json::Value;

/// Places that are tried as the beginning of a value.
const STARTS_MAX: usize = 256;

/// The JSON value in a model's text: the whole text, else the content of a code fence, else the longest object or list
/// that stands somewhere in it. What a model thought aloud (`<think>`) is not part of its answer.
pub fn extract_json(text: &str) -> Option<Value> {
    let text = without_thoughts(text).trim().trim_start_matches('\u{feff}');
    serde_json::from_str(text).ok().or_else(|| fenced(text)).or_else(|| embedded(text))
}

fn without_thoughts(text: &str) -> &str {
    let begins = text.trim_start();
    if !begins.starts_with("<think>") && !begins.starts_with("<thinking>") {
        return text;
    }
    ["</think>", "</thinking>"].iter().find_map(|end| text.split_once(end)).map_or(text, |(_, answer)| answer)
}

/// The first fence that holds an object or a list.
fn fenced(text: &str) -> Option<Value> {
    let mut rest = text;
    for _ in 0..STARTS_MAX {
        let (_, after) = rest.split_once("```")?;
        let (_, body) = after.split_once('\n').unwrap_or(("", after));
        if let Some(value) = leading(body.trim_start()).map(|(value, _)| value) {
            return Some(value);
        }
        rest = after;
    }
    None
}

fn embedded(text: &str) -> Option<Value> {
    let mut best: Option<(Value, usize)> = None;
    let mut from = 0;
    for _ in 0..STARTS_MAX {
        let Some(start) = text[from..].find(['{', '[']).map(|at| from + at) else { break };
        match leading(&text[start..]) {
            Some((value, length)) => {
                from = start + length;
                if best.as_ref().is_none_or(|(_, longest)| length > *longest) {
                    best = Some((value, length));
                }
            }
            None => from = start + 1,
        }
    }
    best.map(|(value, _)| value)
}

/// The object or list that a text begins with, and its length in bytes.
fn leading(text: &str) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    (value.is_object() || value.is_array()).then(|| (value, values.byte_offset()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_found_wherever_models_put_it() {
        let wanted = json!({"a": [1, {"b": "}```"}]});
        let plain = wanted.to_string();
        for text in [
            plain.clone(),
            format!("\u{feff}  {plain}\n"),
            format!("```json\n{plain}\n```"),
            format!("Sure!\n\n```\n{plain}\n```\nAnything else?"),
            format!("```python\nprint(1)\n```\nand\n```json\n{plain}\n```"),
            format!("See [1] for {{this}}: {plain}, as asked."),
            format!("<think>{{\"a\": 0, \"long\": \"{}\"}}</think>{plain}", "x".repeat(99)),
            format!("```json\n{plain}"),
        ] {
            assert_eq!(extract_json(&text), Some(wanted.clone()), "{text}");
        }
    }

    #[test]
    fn scalars_count_only_alone() {
        assert_eq!(extract_json(" 42 "), Some(json!(42)));
        assert_eq!(extract_json("the answer is 42"), None);
        assert_eq!(extract_json(""), None);
        assert_eq!(extract_json("{\"cut\": [1, 2"), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the time is what is measured")]
    fn hostile_text_ends_soon() {
        let began = std::time::Instant::now();
        for text in ["[".repeat(2_000_000), "[1,".repeat(700_000), "```".repeat(700_000), "{\"".repeat(1_000_000)] {
            assert_eq!(extract_json(&text), None);
        }
        assert!(began.elapsed().as_secs() < 20);
    }
}
