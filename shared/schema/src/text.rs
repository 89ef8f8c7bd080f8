//! Parts of schemas and values in sentences: never more of them than anybody reads.

use std::fmt::{self, Write};

use serde_json::Value;

/// Characters of a part.
const CHARS_MAX: usize = 120;
/// Parts that are listed.
pub const LISTED_MAX: usize = 16;

/// A value as JSON, cut where it is long; it isn't written further than that.
pub fn brief(value: &Value) -> String {
    let mut short = Short { text: String::new(), left: CHARS_MAX };
    match write!(short, "{value}") {
        Ok(()) => short.text,
        Err(fmt::Error) => short.text + "...",
    }
}

/// A text, cut where it is long.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Takes so many characters, and no more.
struct Short {
    text: String,
    left: usize,
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let taken = text.char_indices().nth(self.left).map_or(text.len(), |(end, _)| end);
        self.text.push_str(&text[..taken]);
        self.left -= text[..taken].chars().count();
        if taken < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(brief(&json!({"a": [1, "ü"]})), r#"{"a":[1,"ü"]}"#);
        let long = json!("ü".repeat(1_000_000));
        assert_eq!(brief(&long), format!("\"{}...", "ü".repeat(119)));
        assert_eq!(cut(&"ü".repeat(120)), "ü".repeat(120));
        assert_eq!(cut(&"ü".repeat(121)), format!("{}...", "ü".repeat(120)));
    }
}
