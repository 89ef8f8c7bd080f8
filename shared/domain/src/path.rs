//! Paths of artifacts: names inside a job's tree, safe on every system that may unpack it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 400;
/// Longest segment of a path, in bytes.
pub const SEGMENT_BYTES_MAX: usize = 120;
/// How often a path is percent-decoded in search of a hidden `..`; deeper encodings are refused.
const DECODINGS_MAX: usize = 4;

/// A relative path such as `src/main.rs`; whoever holds one need not check it again.
///
/// Relative, `/` between non-empty segments, none of them `.` or `..` (nor, read as percent-encoded text, something that
/// becomes one), no backslash, no control or bidirectional-override characters, nothing that Windows reserves, no segment
/// that starts with a space or ends in a dot or space, at most [`SEGMENT_BYTES_MAX`] a segment and [`PATH_BYTES_MAX`] in
/// all. Names like `.gitignore` are fine. Compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactPath(String);

/// Why a text is no path of an artifact. Final: the same text never becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing there.
    #[error("a path can't be empty")]
    Empty,
    /// Over [`PATH_BYTES_MAX`].
    #[error("a path has at most {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// Over [`SEGMENT_BYTES_MAX`].
    #[error("a name in a path has at most {SEGMENT_BYTES_MAX} bytes")]
    SegmentTooLong,
    /// Starts with `/`, `~` or a drive's letter.
    #[error("a path has to be relative")]
    Absolute,
    /// `a//b` or `a/`.
    #[error("a path has no empty names in it")]
    EmptySegment,
    /// `.` or `..`, plain or percent-encoded.
    #[error("a path has no \".\" or \"..\" in it, encoded or not")]
    Traversal,
    /// Control characters, bidirectional overrides, backslashes, and what Windows allows in no name.
    #[error("a path has no {0:?} in it")]
    Character(char),
    /// `con`, `nul.txt` and the like.
    #[error("a path has no name in it that windows reserves")]
    Reserved,
    /// A segment that starts with a space, or ends in a dot or a space.
    #[error("a name in a path neither starts with a space nor ends in a dot or a space")]
    Edge,
}

impl ArtifactPath {
    /// Reads a path, refusing what isn't safe; it is never silently changed.
    pub fn new(text: impl Into<String>) -> Result<Self, PathError> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// What follows the last dot of the last segment; a leading dot starts no extension.
    pub fn extension(&self) -> Option<&str> {
        let (stem, extension) = self.file_name().rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty()).then_some(extension)
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ArtifactPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}

impl TryFrom<String> for ArtifactPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::new(text)
    }
}

impl From<ArtifactPath> for String {
    fn from(path: ArtifactPath) -> Self {
        path.0
    }
}

impl AsRef<str> for ArtifactPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn check(text: &str) -> Result<(), PathError> {
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    check_anchor(text)?;
    if let Some(bad) = text.chars().find(|&c| is_forbidden(c)) {
        return Err(PathError::Character(bad));
    }
    check_decoded(text)?;
    text.split('/').try_for_each(check_segment)
}

fn check_anchor(text: &str) -> Result<(), PathError> {
    let has_drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if text.starts_with(['/', '\\']) || text == "~" || text.starts_with("~/") || has_drive {
        return Err(PathError::Absolute);
    }
    Ok(())
}

fn check_segment(segment: &str) -> Result<(), PathError> {
    if segment.is_empty() {
        return Err(PathError::EmptySegment);
    }
    if segment.len() > SEGMENT_BYTES_MAX {
        return Err(PathError::SegmentTooLong);
    }
    if segment == "." || segment == ".." {
        return Err(PathError::Traversal);
    }
    if segment.starts_with(' ') || segment.ends_with(['.', ' ']) {
        return Err(PathError::Edge);
    }
    if is_reserved(segment) { Err(PathError::Reserved) } else { Ok(()) }
}

/// Control characters (line and paragraph separators included), bidirectional controls, the byte order mark, and what no
/// name on Windows may hold.
fn is_forbidden(c: char) -> bool {
    let is_bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_line = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    c.is_control() || is_bidi || is_line || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// Names of devices, whatever their case and extension.
fn is_reserved(segment: &str) -> bool {
    let stem = segment.split('.').next().unwrap_or(segment).trim_end_matches(' ').to_ascii_lowercase();
    if matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$") {
        return true;
    }
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    port.is_some_and(|port| matches!(port, "\u{b9}" | "\u{b2}" | "\u{b3}") || matches!(port.as_bytes(), [b'0'..=b'9']))
}

/// `%2e%2e%2f` is text to us, but not to everybody who will see it.
fn check_decoded(text: &str) -> Result<(), PathError> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..DECODINGS_MAX {
        let decoded = percent_decoded(&bytes);
        if decoded == bytes {
            return Ok(());
        }
        let climbs = decoded.split(|b| matches!(b, b'/' | b'\\')).any(|s| s == b"." || s == b"..");
        if climbs || decoded.starts_with(b"/") || decoded.contains(&0) {
            return Err(PathError::Traversal);
        }
        bytes = decoded;
    }
    Err(PathError::Traversal)
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let hex = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            decoded.push(high << 4 | low);
            rest = &tail[2..];
        } else {
            decoded.push(first);
            rest = tail;
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_what_projects_are_made_of() {
        let good = [
            "a",
            "src/main.rs",
            ".gitignore",
            ".github/workflows/ci.yml",
            "a b/c-d_e.txt",
            "src/app/[id]/page.tsx",
            "src/(group)/x.ts",
            "größe/名前.md",
            "100%.txt",
            "100%25.txt",
            "%41bc",
            "a...b",
            "..a",
            "console.rs",
            "com10.txt",
            "common",
            "null",
            "~a",
        ];
        for text in good {
            assert_eq!(ArtifactPath::new(text).map(String::from).as_deref(), Ok(text));
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        let long = "a/".repeat(200) + "a";
        let wide = "a".repeat(SEGMENT_BYTES_MAX + 1);
        let bad = [
            ("", PathError::Empty),
            ("/etc/passwd", PathError::Absolute),
            ("~/x", PathError::Absolute),
            ("C:/x", PathError::Absolute),
            ("c:x", PathError::Absolute),
            ("\\\\host\\x", PathError::Absolute),
            ("a//b", PathError::EmptySegment),
            ("a/", PathError::EmptySegment),
            ("../a", PathError::Traversal),
            ("a/../b", PathError::Traversal),
            ("./a", PathError::Traversal),
            ("a/.", PathError::Traversal),
            ("%2e%2e/a", PathError::Traversal),
            ("a/%2E./b", PathError::Traversal),
            ("a%2f..%2fb", PathError::Traversal),
            ("a%5c..%5cb", PathError::Traversal),
            ("%252e%252e/a", PathError::Traversal),
            ("%2fetc/passwd", PathError::Traversal),
            ("a%00.txt", PathError::Traversal),
            ("%2525252525252e", PathError::Traversal),
            ("a\\b", PathError::Character('\\')),
            ("a\nb", PathError::Character('\n')),
            ("a\0b", PathError::Character('\0')),
            ("a\u{7f}b", PathError::Character('\u{7f}')),
            ("a\u{202e}b", PathError::Character('\u{202e}')),
            ("a\u{2066}b", PathError::Character('\u{2066}')),
            ("ab:c", PathError::Character(':')),
            ("a?", PathError::Character('?')),
            ("con", PathError::Reserved),
            ("src/NUL.txt", PathError::Reserved),
            ("LPT1", PathError::Reserved),
            ("aux .c", PathError::Reserved),
            ("com\u{b2}.txt", PathError::Reserved),
            ("a.", PathError::Edge),
            ("a /b", PathError::Edge),
            (" a", PathError::Edge),
            ("...", PathError::Edge),
            (long.as_str(), PathError::TooLong),
            (wide.as_str(), PathError::SegmentTooLong),
        ];
        for (text, expected) in bad {
            assert_eq!(ArtifactPath::new(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn extension_is_what_follows_the_last_dot() {
        let cases = [
            ("a.rs", Some("rs")),
            ("a.tar.gz", Some("gz")),
            (".env", None),
            ("x.y/Makefile", None),
            ("a.b/c.d", Some("d")),
        ];
        for (text, expected) in cases {
            assert_eq!(ArtifactPath::new(text).ok().as_ref().and_then(ArtifactPath::extension), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_inside_and_round_trips(text in "[a-zA-Z0-9./%\\\\: ~\u{202e}-]{0,40}") {
            if let Ok(path) = ArtifactPath::new(text.clone()) {
                let mut depth = 0_i32;
                for component in std::path::Path::new(path.as_str()).components() {
                    prop_assert!(matches!(component, std::path::Component::Normal(_)));
                    depth += 1;
                }
                prop_assert!(depth > 0);
                prop_assert_eq!(path.to_string().parse::<ArtifactPath>(), Ok(path.clone()));
                prop_assert_eq!(String::from(path), text);
            }
        }

        #[test]
        fn no_encoding_hides_a_climb(depth in 0_usize..6, dots in prop::sample::select(vec!["..", "."])) {
            let mut hidden = dots.replace('.', "%2e");
            for _ in 0..depth {
                hidden = hidden.replace('%', "%25");
            }
            let climbs = ["a/", &hidden, "/b"].concat();
            prop_assert!(ArtifactPath::new(climbs).is_err());
        }
    }
}
