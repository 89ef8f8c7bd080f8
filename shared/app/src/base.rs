//! What a follow-up goes on from: the files of an earlier job, copied, and what has become of them in the end.

use std::collections::BTreeMap;

use convoke_api::job::{ChangeKind, ChangeView, ChangesView};
use convoke_domain::ids::JobId;
use convoke_domain::path::ArtifactPath;
use serde::{Deserialize, Serialize};

use crate::flow::tools::is_own_file;
use crate::ports::{FileRef, Payload};

/// Most files that a follow-up goes on from.
pub const BASE_FILES_MAX: usize = 500;
/// Content of all of them, in bytes.
pub const BASE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Texts that steps see of them without asking for an object each, in bytes.
pub(crate) const BASE_TEXTS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Changes that are named one by one.
const NAMED_MAX: usize = 200;

/// The files of an earlier job that a job goes on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// The earlier job.
    pub job: JobId,
    /// A list of [`BaseFile`]s as JSON, sorted by path.
    pub files: Payload,
}

/// One of them: the job's own copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseFile {
    /// Where it is.
    #[serde(flatten)]
    pub file: FileRef,
    /// What it says, where it is a text and there was room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Whether a file is one that work goes on from: not one that every job makes anew.
pub(crate) fn is_base(file: &FileRef) -> bool {
    ArtifactPath::new(file.path.as_str()).is_ok_and(|path| !is_own_file(&path))
}

/// Puts under what was made the files that stay as they were. Those of `removed` don't, nor those that don't fit into one
/// tree with what was made.
pub(crate) fn carry_over(base: &[BaseFile], removed: &[&str], files: &mut BTreeMap<String, FileRef>) {
    let made: Vec<String> = files.keys().map(|path| path.to_lowercase()).collect();
    let is_below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    for BaseFile { file, .. } in base {
        let path = file.path.to_lowercase();
        let clashes = made.iter().any(|made| *made == path || is_below(made, &path) || is_below(&path, made));
        if !clashes && !removed.contains(&file.path.as_str()) {
            files.insert(file.path.clone(), file.clone());
        }
    }
}

/// What is different, by SHA-256; the files that every job makes anew don't count.
pub(crate) fn changes(base: &[BaseFile], files: &BTreeMap<String, FileRef>) -> ChangesView {
    let before: BTreeMap<&str, &str> =
        base.iter().map(|base| (base.file.path.as_str(), base.file.sha256.as_str())).collect();
    let now = files.values().filter(|file| is_base(file));
    let mut changes = ChangesView::default();
    let mut named: BTreeMap<&str, ChangeKind> = BTreeMap::new();
    for file in now {
        match before.get(file.path.as_str()) {
            None => {
                changes.added += 1;
                named.insert(&file.path, ChangeKind::Added);
            }
            Some(sha256) if *sha256 != file.sha256 => {
                changes.changed += 1;
                named.insert(&file.path, ChangeKind::Changed);
            }
            Some(_) => changes.unchanged += 1,
        }
    }
    for path in before.keys().filter(|path| !files.contains_key(**path)) {
        changes.removed += 1;
        named.insert(path, ChangeKind::Removed);
    }
    let view = |(path, change): (&str, ChangeKind)| ChangeView { path: path.to_owned(), change };
    changes.files = named.into_iter().take(NAMED_MAX).map(view).collect();
    changes
}

#[cfg(test)]
mod tests {
    use convoke_domain::ids::JobKey;

    use super::*;
    use crate::ports::BlobKey;

    fn file(path: &str, sha256: &str) -> FileRef {
        let job =
            JobKey { tenant: "t".parse().expect("tenant"), job: "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("job") };
        let key = BlobKey::of_job(&job, "code", 1, path);
        FileRef {
            path: path.into(),
            media_type: "text/plain".into(),
            bytes: 1,
            sha256: sha256.into(),
            key,
            step: "code".into(),
        }
    }

    fn base(files: &[(&str, &str)]) -> Vec<BaseFile> {
        files.iter().map(|(path, sha256)| BaseFile { file: file(path, sha256), text: None }).collect()
    }

    fn made(files: &[(&str, &str)]) -> BTreeMap<String, FileRef> {
        files.iter().map(|(path, sha256)| ((*path).to_owned(), file(path, sha256))).collect()
    }

    #[test]
    fn what_was_not_touched_stays_and_what_changed_is_named() {
        let base = base(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
        let mut files = made(&[("b", "2"), ("e", "1"), ("REPORT.md", "9")]);
        carry_over(&base, &["c"], &mut files);
        assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), ["REPORT.md", "a", "b", "d", "e"]);
        let changes = changes(&base, &files);
        assert_eq!((changes.added, changes.changed, changes.removed, changes.unchanged), (1, 1, 1, 2));
        let named: Vec<(&str, ChangeKind)> =
            changes.files.iter().map(|change| (change.path.as_str(), change.change)).collect();
        assert_eq!(named, [("b", ChangeKind::Changed), ("c", ChangeKind::Removed), ("e", ChangeKind::Added)]);
    }

    #[test]
    fn what_does_not_fit_into_one_tree_gives_way() {
        let base = base(&[("src", "1"), ("Readme.md", "1"), ("lib/x", "1"), ("srcs", "1")]);
        let mut files = made(&[("src/a", "1"), ("README.md", "1"), ("lib", "1")]);
        carry_over(&base, &[], &mut files);
        assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), ["README.md", "lib", "src/a", "srcs"]);
        let changes = changes(&base, &files);
        assert_eq!((changes.added, changes.removed, changes.unchanged), (3, 3, 1));
    }

    #[test]
    fn reports_are_nothing_to_go_on_from() {
        assert!(!is_base(&file("REPORT.md", "1")) && !is_base(&file("archive.zip", "1")));
        assert!(is_base(&file("docs/REPORT.md", "1")));
    }
}
