//! Text of others, made fit to be shown.

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

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(short("a\n\tb\u{1b}[31m", 100), "a b[31m");
        assert_eq!(short("ééé", 5), "éé…");
    }
}
