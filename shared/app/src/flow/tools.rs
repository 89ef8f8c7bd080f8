//! Files that steps write: bounds, where they may go, and how the file tools are told to a model.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use convoke_domain::path::ArtifactPath;
use serde_json::json;

use super::media::media_type;
use crate::model::ToolSpec;

/// Most files that a step may write.
pub const FILES_MAX: usize = 200;
/// Longest file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// All that a step may write, in bytes.
pub const STEP_BYTES_MAX: usize = 8 << 20;

/// A file that a step makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Where.
    pub path: ArtifactPath,
    /// By its extension.
    pub media_type: &'static str,
    /// The content.
    pub bytes: Bytes,
}

impl NewFile {
    /// A file whose media type goes by its path.
    pub fn new(path: ArtifactPath, bytes: impl Into<Bytes>) -> Self {
        Self { media_type: media_type(&path), path, bytes: bytes.into() }
    }
}

/// Files that a job delivers by itself: nobody else writes them.
pub const OWN_FILES: [&str; 3] = ["REPORT.md", "PROJECT_TREE.txt", "archive.zip"];

/// Whether a path is one of [`OWN_FILES`], in any case.
pub fn is_own_file(path: &ArtifactPath) -> bool {
    OWN_FILES.iter().any(|own| path.as_str().eq_ignore_ascii_case(own))
}

/// Where a step may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nowhere: it has no files to write.
    Nowhere,
    /// Wherever a path is safe.
    Anywhere,
    /// These files, and all below those that end in `/`.
    Paths(Vec<String>),
}

impl Scope {
    /// Whether a file may be written there; never one of [`OWN_FILES`].
    pub fn allows(&self, path: &ArtifactPath) -> bool {
        if is_own_file(path) {
            return false;
        }
        match self {
            Self::Nowhere => false,
            Self::Anywhere => true,
            Self::Paths(paths) => paths.iter().any(|allowed| match allowed.strip_suffix('/') {
                Some(folder) => path.as_str().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
                None => path.as_str() == allowed,
            }),
        }
    }

    /// The only files that may be written, where they can be listed.
    pub fn listed(&self) -> Option<&[String]> {
        match self {
            Self::Paths(paths) if !paths.iter().any(|path| path.ends_with('/')) => Some(paths),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    /// For a model: `src/a.rs, tests/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("nowhere"),
            Self::Anywhere => write!(f, "anywhere but {}", OWN_FILES.join(", ")),
            Self::Paths(paths) => f.write_str(&paths.join(", ")),
        }
    }
}

/// The file tools: all three for a step that writes, without `write_file` for one that only reads.
pub fn file_tools(scope: &Scope) -> Vec<ToolSpec> {
    let path = json!({"type": "string", "description": "Relative, with / between names."});
    let list = ToolSpec {
        name: "list_files".to_owned(),
        description: "Lists the files that can be read, with their sizes.".to_owned(),
        parameters: json!({"type": "object", "properties": {}, "additionalProperties": false}),
    };
    let read = ToolSpec {
        name: "read_file".to_owned(),
        description: "Reads a file. Long files come in parts: ask for the next with first_line.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "path": path,
                "first_line": {"type": "integer", "minimum": 1, "description": "Where to start; 1 if left out."},
            },
            "required": ["path"],
            "additionalProperties": false,
        }),
    };
    if *scope == Scope::Nowhere {
        return vec![list, read];
    }
    let write = ToolSpec {
        name: "write_file".to_owned(),
        description: format!("Writes a whole file, replacing what was there. Allowed: {scope}."),
        parameters: json!({
            "type": "object",
            "properties": {"path": path, "content": {"type": "string", "description": "All of the file."}},
            "required": ["path", "content"],
            "additionalProperties": false,
        }),
    };
    vec![list, read, write]
}

/// What is wrong with a step's files as a whole: too many, too large, a file that is a folder of another.
pub(crate) fn bound_errors(files: &[NewFile]) -> Vec<String> {
    let mut errors = Vec::new();
    if files.len() > FILES_MAX {
        errors.push(format!("at most {FILES_MAX} files may be written"));
    }
    let large = files.iter().filter(|file| file.bytes.len() > FILE_BYTES_MAX);
    errors.extend(large.map(|file| format!("{} is larger than {} KiB", file.path, FILE_BYTES_MAX >> 10)));
    if files.iter().map(|file| file.bytes.len()).sum::<usize>() > STEP_BYTES_MAX {
        errors.push(format!("all files together may have at most {} MiB", STEP_BYTES_MAX >> 20));
    }
    errors.extend(tree_errors(files.iter().map(|file| file.path.as_str())));
    errors
}

/// Paths that can't stand in one tree: the same name in other case, or a file where another needs a folder.
pub(crate) fn tree_errors<'p>(paths: impl IntoIterator<Item = &'p str>) -> Vec<String> {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let mut errors = Vec::new();
    for path in paths {
        if let Some(other) = names.insert(path.to_lowercase(), path) {
            errors.push(format!("{path} and {other} are the same file"));
        }
    }
    for path in names.values() {
        let lower = path.to_lowercase();
        let folders = lower.match_indices('/').map(|(end, _)| &lower[..end]);
        errors.extend(
            folders
                .filter_map(|folder| names.get(folder))
                .map(|file| format!("{file} is a file, but {path} needs a folder of that name")),
        );
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ArtifactPath {
        ArtifactPath::new(text).expect(text)
    }

    #[test]
    fn scopes_allow_files_and_folders() {
        let scope = Scope::Paths(vec!["src/a.rs".into(), "tests/".into()]);
        let cases =
            [("src/a.rs", true), ("src/b.rs", false), ("tests/x/y.rs", true), ("testsuite/x", false), ("tests", false)];
        for (text, expected) in cases {
            assert_eq!(scope.allows(&path(text)), expected, "{text}");
        }
        assert!(Scope::Anywhere.allows(&path("x")) && !Scope::Nowhere.allows(&path("x")));
        assert!(!Scope::Anywhere.allows(&path("Report.md")) && Scope::Anywhere.allows(&path("docs/REPORT.md")));
        assert_eq!(scope.listed(), None);
        assert_eq!(Scope::Paths(vec!["a".into()]).listed(), Some(&["a".to_owned()][..]));
    }

    #[test]
    fn a_tree_has_no_file_that_is_a_folder() {
        assert!(tree_errors(["a", "b/c", "b/d", "ab"]).is_empty());
        for paths in [["a", "a/b"], ["A", "a"], ["x/Y", "x/y/z"]] {
            assert_eq!(tree_errors(paths).len(), 1, "{paths:?}");
        }
    }

    #[test]
    fn only_who_writes_gets_write_file() {
        let names = |scope: &Scope| file_tools(scope).into_iter().map(|tool| tool.name).collect::<Vec<_>>();
        assert_eq!(names(&Scope::Nowhere), ["list_files", "read_file"]);
        assert_eq!(names(&Scope::Anywhere), ["list_files", "read_file", "write_file"]);
    }
}
