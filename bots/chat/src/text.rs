//! Texts that others wrote: cut, and made harmless, before they are shown.

/// What stands behind a text that was cut.
const ELLIPSIS: char = '…';
/// Keeps an `@` from what follows it, so that nobody is called; invisible.
const GUARD: char = '\u{2060}';

/// Units of UTF-16, in which both platforms count (Discord may count less, never more).
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The text, cut to at most `units_max`, with an ellipsis where something is missing.
pub fn clip(text: &str, units_max: usize) -> String {
    if units(text) <= units_max {
        return text.to_owned();
    }
    let mut left = units_max.saturating_sub(1);
    let mut cut = String::new();
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.len_utf16()) else { break };
        left = rest;
        cut.push(c);
    }
    let mut cut = cut.trim_end().to_owned();
    if units_max > 0 {
        cut.push(ELLIPSIS);
    }
    cut
}

/// The text on one line: whatever stands for space or nothing becomes one space.
pub fn flat(text: &str) -> String {
    harmless(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text without what changes the direction of what follows, without control characters, and with an `@` kept from the
/// name behind it (`build@2` stays as it is). Lines stay lines, at most two ends of them in a row.
pub fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let (mut ends, mut before) = (0, ' ');
    let text = text.replace("\r\n", "\n");
    let shown: Vec<char> = text.chars().filter(|c| !is_hidden(*c)).collect();
    for (index, &c) in shown.iter().enumerate() {
        match c {
            '\n' => ends += 1,
            _ => ends = 0,
        }
        if ends > 2 {
            continue;
        }
        safe.push(if c == '\t' { ' ' } else { c });
        let calls = shown.get(index + 1).is_some_and(|next| next.is_alphabetic() || *next == '_');
        if c == '@' && (calls || before == '<') {
            safe.push(GUARD);
        }
        before = c;
    }
    safe
}

/// Control characters, and those that turn the direction of a text or hide in it.
fn is_hidden(c: char) -> bool {
    let is_control = c.is_control() && c != '\n' && c != '\t';
    is_control
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}')
        || ('\u{202A}'..='\u{202E}').contains(&c)
        || ('\u{2060}'..='\u{206F}').contains(&c)
        || ('\u{E0000}'..='\u{E007F}').contains(&c)
}

/// The URL as it may stand in a link: nothing in it could end the link, or is no part of a URL. `None` where it is too long,
/// or none.
pub fn link_url(url: &str) -> Option<String> {
    const URL_BYTES_MAX: usize = 3_500;
    let is_part = |c: char| c.is_ascii_graphic() && !"()<>\"\\`[]".contains(c);
    let fits = url.starts_with("http") && url.len() <= URL_BYTES_MAX && url.chars().all(is_part);
    fits.then(|| url.replace('@', "%40"))
}

/// A span of time in words: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn duration(ms: u64) -> String {
    let s = ms / 1_000;
    let pair = |large: u64, unit: &str, small: u64, sub: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {sub}"),
    };
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => pair(s / 60, "min", s % 60, "s"),
        3_600..86_400 => pair(s / 3_600, "h", s % 3_600 / 60, "min"),
        _ => pair(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

/// A size in words: `12 bytes`, `3.4 KB`, `10 MB`.
pub fn size(bytes: u64) -> String {
    let scaled = |unit: u64, name: &str| {
        let tenths = bytes.saturating_mul(10) / unit;
        if tenths >= 100 || tenths.is_multiple_of(10) {
            format!("{} {name}", tenths / 10)
        } else {
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    };
    match bytes {
        1 => "1 byte".to_owned(),
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => scaled(1_000, "KB"),
        1_000_000..1_000_000_000 => scaled(1_000_000, "MB"),
        _ => scaled(1_000_000_000, "GB"),
    }
}

/// So many of something: `1 file`, `2 files`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abcd", 3), "ab…");
        assert_eq!(clip("a😀b", 3), "a…", "half an emoji is none");
        assert_eq!(clip("😀😀", 4), "😀😀");
        assert_eq!(clip("ab cd", 4), "ab…");
        assert_eq!(clip("abc", 0), "");
    }

    #[test]
    fn what_turns_or_calls_is_taken_out() {
        assert_eq!(harmless("a\u{202E}b\u{2066}c\u{200F}d\u{0}e\u{7}"), "abcde");
        assert_eq!(
            harmless("@everyone @here <@42> me@x.org"),
            "@\u{2060}everyone @\u{2060}here <@\u{2060}42> me@\u{2060}x.org"
        );
        assert_eq!(harmless("build[3]@2 @\u{200F}everyone"), "build[3]@2 @\u{2060}everyone");
        assert_eq!(harmless("a\r\n\n\n\n\nb\tc"), "a\n\nb c");
        assert_eq!(flat("  a\n\n b\u{2028}c "), "a bc");
    }

    #[test]
    fn numbers_are_said_in_words() {
        let said: Vec<String> =
            [0, 59_999, 60_000, 200_000, 7_500_000, 86_400_000, 273_600_000].into_iter().map(duration).collect();
        assert_eq!(said, ["0 s", "59 s", "1 min", "3 min 20 s", "2 h 5 min", "1 d", "3 d 4 h"]);
        let said: Vec<String> = [0, 1, 999, 1_000, 3_449, 10_500, 25_000_000, u64::MAX].into_iter().map(size).collect();
        assert_eq!(said, ["0 bytes", "1 byte", "999 bytes", "1 KB", "3.4 KB", "10 KB", "25 MB", "1844674407 GB"]);
        assert_eq!([count(1, "file"), count(2, "file")], ["1 file", "2 files"]);
    }
}
