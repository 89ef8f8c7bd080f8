//! API keys that can't be printed by accident.

use std::fmt;

/// A key or token. `Debug` and `Display` print `[secret]`; only [`Secret::expose`] gives the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a secret; spaces and line ends around it are taken off, as they come with keys read from files.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().trim().to_owned())
    }

    /// The text itself, for a request's header. Never for a log or an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` without this secret, and without anything that looks like a key, shortened or starred out.
    ///
    /// Providers like to repeat parts of a key in their errors.
    pub fn redact(&self, text: &str) -> String {
        let known = if self.0.len() >= 4 { text.replace(&self.0, MARK) } else { text.to_owned() };
        known.split_inclusive(char::is_whitespace).map(redact_word).collect()
    }
}

const MARK: &str = "[secret]";

/// Beginnings of the keys that the providers hand out.
const KEY_PREFIXES: [&str; 6] = ["sk-", "sk_", "AKIA", "ASIA", "AIza", "hf_"];

fn redact_word(word: &str) -> String {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '*');
    let prefixed = KEY_PREFIXES.iter().any(|prefix| bare.starts_with(prefix)) && bare.len() >= 8;
    if !bare.is_empty() && (prefixed || bare.contains("***")) { word.replace(bare, MARK) } else { word.to_owned() }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new(" hunter2hunter2\n");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "[secret] [secret] Some([secret])");
        assert_eq!(secret.expose(), "hunter2hunter2");
    }

    #[test]
    fn what_looks_like_a_key_is_taken_out() {
        let secret = Secret::new("abcd1234efgh");
        for (said, told) in [
            ("key abcd1234efgh is wrong", "key [secret] is wrong"),
            ("Incorrect API key provided: sk-proj-**********wxyz. See", "Incorrect API key provided: [secret]. See"),
            ("bad 'sk-live-1234567890'", "bad '[secret]'"),
            ("abcd***efgh\nnext", "[secret]\nnext"),
            ("a sk-8 b * c", "a sk-8 b * c"),
        ] {
            assert_eq!(secret.redact(said), told);
        }
        assert_eq!(Secret::new("").redact("nothing here"), "nothing here");
    }
}
