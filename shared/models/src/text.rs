//! Text of others, made fit to be shown.

use std::error::Error;

/// The first `bytes_max` bytes at most, on one line, without control characters.
pub(crate) fn short(text: &str, bytes_max: usize) -> String {
    let mut kept = String::new();
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > bytes_max {
            kept.push('…');
            break;
        }
        kept.push(c);
    }
    kept
}

/// An error with its causes, as far as they say something new.
pub(crate) fn chain(error: &dyn Error, bytes_max: usize) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    short(&told, bytes_max)
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(short("a\n\tb\u{1b}[31m", 100), "a b[31m");
        assert_eq!(short("ééé", 5), "éé…");
    }
}
