//! JSON out of what a model wrote: bare, fenced, or with talk around it; and the end of what was cut off.

use serde_json::Value;

/// Longest answer that is looked at, in bytes.
pub const ANSWER_BYTES_MAX: usize = 2 << 20;
/// Bytes that are read in search of a place where a cut-off text closes.
const CLOSED_BYTES_MAX: usize = 16 << 20;
/// Openings that are tried in a text with talk around its JSON.
const OPENINGS_MAX: usize = 16;

/// The JSON object in `text`; the error is for the model.
pub fn extract(text: &str) -> Result<Value, String> {
    if text.len() > ANSWER_BYTES_MAX {
        return Err(format!("the answer is longer than {} MiB", ANSWER_BYTES_MAX >> 20));
    }
    let whole = serde_json::from_str::<Value>(text.trim());
    if let Ok(value) = whole {
        return Ok(value);
    }
    if let Some(value) = fenced(text).into_iter().find_map(|block| serde_json::from_str(block.trim()).ok()) {
        return Ok(value);
    }
    if let Some(value) = embedded(text) {
        return Ok(value);
    }
    let reason = whole.err().map(|error| error.to_string()).unwrap_or_default();
    let cut = if text.trim_start().starts_with('{') { " (it may have been cut off: be shorter)" } else { "" };
    Err(format!("the answer is no JSON object: {reason}{cut}"))
}

/// The contents of fenced blocks; one that was never closed runs to the end.
fn fenced(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("```") {
        let inside = &rest[start + 3..];
        let inside = inside.find('\n').map_or(inside, |end| &inside[end + 1..]);
        let end = inside.find("\n```").unwrap_or(inside.len());
        blocks.push(&inside[..end]);
        rest = inside.get(end + 4..).unwrap_or_default();
    }
    blocks
}

/// The first object with talk before and after it.
fn embedded(text: &str) -> Option<Value> {
    text.match_indices('{').take(OPENINGS_MAX).find_map(|(start, _)| {
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        values.next().and_then(Result::ok)
    })
}

/// An object that was cut off, closed at the last place where it makes sense to `accepts`: a text ends where it was cut, an
/// unfinished pair or item is dropped. `None` where nothing such is left of it.
pub fn complete<T>(text: &str, accepts: impl Fn(Value) -> Option<T>) -> Option<T> {
    let mut text = &text[text.find('{')?..];
    let mut work = 0;
    while work < CLOSED_BYTES_MAX {
        let closed = close(text);
        work += closed.len() + 1;
        if let Some(accepted) = serde_json::from_str(&closed).ok().and_then(&accepts) {
            return Some(accepted);
        }
        let last = text.rfind([',', '{', '['])?;
        // An opening is kept unless it is the very end, a comma never.
        let keeps = !text[last..].starts_with(',') && last + 1 < text.len();
        text = &text[..last + usize::from(keeps)];
    }
    None
}

/// `text` with open strings, lists and objects closed.
fn close(text: &str) -> String {
    let mut closers = Vec::new();
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        match (in_string, c) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => in_string = !in_string,
            (false, '{') => closers.push('}'),
            (false, '[') => closers.push(']'),
            (false, '}' | ']') => drop(closers.pop()),
            _ => {}
        }
    }
    let mut closed = text.trim_end_matches(|c: char| !in_string && (c.is_whitespace() || c == ',')).to_owned();
    if in_string {
        if escaped {
            closed.pop();
        }
        drop_partial_escape(&mut closed);
        closed.push('"');
    }
    closed.extend(closers.iter().rev());
    closed
}

/// Drops `\u12` at the end.
fn drop_partial_escape(text: &mut String) {
    let Some(start) = text.rfind("\\u") else { return };
    let digits = &text[start + 2..];
    if digits.len() < 4 && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        text.truncate(start);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_the_object() {
        let cases = [
            r#"{"a": 1}"#,
            " {\"a\": 1}\n",
            "```json\n{\"a\": 1}\n```",
            "Here it is:\n```\n{\"a\": 1}\n```\nGood luck!",
            "```json\n{\"a\": 1}",
            "Sure! {\"a\": 1} is it.",
            "Use {braces}: {\"a\": 1}",
            "```python\nprint({})\n```\n```json\n{\"a\": 1}\n```",
        ];
        for text in cases {
            assert_eq!(extract(text), Ok(json!({"a": 1})), "{text}");
        }
        for text in ["", "no", "{\"a\": ", "```json\n```"] {
            assert!(extract(text).is_err(), "{text}");
        }
        assert!(extract("{\"a\": [1, 2").expect_err("cut").contains("cut off"));
    }

    #[test]
    fn closes_what_was_cut_off() {
        let cases = [
            (r#"{"a": [1, 2"#, json!({"a": [1, 2]})),
            (r#"{"a": "hel"#, json!({"a": "hel"})),
            (r#"{"a": "x\"#, json!({"a": "x"})),
            (r#"{"a": "x\u00"#, json!({"a": "x"})),
            (r#"{"a": 1, "b"#, json!({"a": 1})),
            (r#"{"a": 1, "b": "#, json!({"a": 1})),
            (r#"{"a": 1, "b": tr"#, json!({"a": 1})),
            (
                r#"{"t": [{"i": "a", "f": ["x"]}, {"i": "b", "f": ["#,
                json!({"t": [{"i": "a", "f": ["x"]}, {"i": "b", "f": []}]}),
            ),
            ("so: {\"a\": 1,\n", json!({"a": 1})),
        ];
        for (text, expected) in cases {
            assert_eq!(complete(text, Some), Some(expected), "{text}");
        }
        let two = |value: Value| (value["a"].as_array()?.len() == 2).then_some(value);
        assert_eq!(complete(r#"{"a": [{"b": 1}, {"b": 2}, {"b": "x,y"#, two), Some(json!({"a": [{"b": 1}, {"b": 2}]})));
        for text in ["", "none", "}"] {
            assert_eq!(complete(text, Some), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_prefix_of_an_object_closes(cut in 1_usize..200, content in "[a-z\"\\\\\n{}\\[\\],é]{0,40}") {
            let whole = json!({"files": [{"path": "a", "content": content}], "n": 1, "t": true, "z": null}).to_string();
            let end = super::super::digest::floor(&whole, cut);
            prop_assert!(complete(&whole[..end.max(1)], Some).is_some_and(|value| value.is_object()));
        }
    }
}
