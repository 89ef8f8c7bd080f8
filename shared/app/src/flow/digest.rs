//! Leaves out what is too much, and says so in the place where it stood.

use std::fmt::Write as _;

use serde_json::Value;

/// A text of at most about `bytes_max` bytes: the beginning and the end, and between them how much was left out.
pub fn text(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let head = floor(text, bytes_max * 2 / 3);
    let tail = ceil(text, text.len() - bytes_max / 4);
    format!("{}\n[... {} omitted]\n{}", &text[..head], size(tail - head), &text[tail..])
}

/// A list of outputs as numbered lines or blocks, of at most about `bytes_max` bytes: the first that fit, each with at
/// least a fair share, and how many were left out.
pub fn list(items: &[Value], bytes_max: usize) -> String {
    let share = (bytes_max / items.len().clamp(1, 20)).max(80);
    let mut digest = String::new();
    for (index, item) in items.iter().enumerate() {
        let entry = format!("{}. {}\n", index + 1, text(&plain(item), share));
        if digest.len() + entry.len() > bytes_max && index > 0 {
            let omitted: usize = items[index..].iter().map(|item| plain(item).len()).sum();
            let _ = writeln!(digest, "[... {} more outputs, {}, omitted]", items.len() - index, size(omitted));
            break;
        }
        digest.push_str(&entry);
    }
    digest
}

/// An output as a model reads it: a text as it is, anything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

/// `12 bytes`, `3.4 KB`, `1.2 MB`.
pub fn size(bytes: usize) -> String {
    let tenths = |unit: usize| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} KB", tenths(1_000)),
        _ => format!("{} MB", tenths(1_000_000)),
    }
}

/// The last boundary of a character at or before `index`.
pub(crate) fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

fn ceil(text: &str, index: usize) -> usize {
    (index..=text.len()).find(|&i| text.is_char_boundary(i)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn short_texts_stand_as_they_are() {
        assert_eq!(text("abc", 3), "abc");
    }

    #[test]
    fn long_texts_keep_their_ends() {
        let long = format!("begin{}end", "ü".repeat(5_000));
        let digest = text(&long, 100);
        assert!(digest.starts_with("begin") && digest.ends_with("end") && digest.len() < 150, "{digest}");
        assert!(digest.contains("[... 9.9 KB omitted]"), "{digest}");
    }

    #[test]
    fn wide_lists_say_how_much_is_missing() {
        let items: Vec<Value> = (0..1000).map(|i| json!(format!("part {i} {}", "x".repeat(1_200)))).collect();
        let digest = list(&items, 20_000);
        assert!(digest.len() < 21_000, "{}", digest.len());
        assert!(digest.starts_with("1. part 0"), "{digest}");
        assert!(
            digest.trim_end().ends_with("omitted]") && digest.contains("more outputs, 1.1 MB, omitted]"),
            "{digest}"
        );
        assert_eq!(list(&[json!("a"), json!({"b": 1})], 1_000), "1. a\n2. {\n  \"b\": 1\n}\n");
    }

    #[test]
    fn sizes_read_well() {
        let cases = [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 KB"), (1_250_000, "1.2 MB")];
        for (bytes, expected) in cases {
            assert_eq!(size(bytes), expected);
        }
    }
}
