//! What a step works with, and how expressions and templates see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use convoke_domain::order::is_after;
use serde_json::{Map, Value, json};

use super::spec::{Binding, ReadKind};
use crate::ports::FileRef;

/// What was loaded for one step: its job's input and all that its [`Read`](super::Read)s name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// The job's validated input.
    pub input: Arc<Value>,
    /// Output by [`Read::task`](super::Read::task). Of a map a list of its items' outputs (with a loop as body each an
    /// object of its tasks' last outputs, by task id; `null` for an item that failed). Missing where a task hasn't run or
    /// was skipped.
    pub outputs: BTreeMap<String, Value>,
    /// Files by [`Read::task`](super::Read::task): those of the last round; of a map those of all items.
    pub files: BTreeMap<String, Vec<FileRef>>,
    /// By map: items that failed or weren't loaded.
    pub omitted: BTreeMap<String, u32>,
    /// Files of the items that this item waits for ([`ReadKind::After`]).
    pub after_files: Vec<FileRef>,
    /// Files that the job goes on from; all others replace them.
    pub base: Vec<FileRef>,
    /// Paths that several items of the maps that were read wrote differently ([`conflicts`]).
    pub conflicts: Vec<Conflict>,
    /// Text by path of the files that the task may read; needed only where the model isn't capable (others call tools).
    pub texts: BTreeMap<String, String>,
    /// Index and value of the map's item.
    pub item: Option<(u32, Value)>,
    /// Round of the loop, from 1; 0 outside of loops.
    pub round: u32,
    /// The job's id.
    pub job_id: String,
    /// The model in use, `provider/name`.
    pub model: String,
}

/// A path that several items wrote, neither after the other, and not the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path.
    pub path: String,
    /// The steps that wrote it, as displayed.
    pub steps: Vec<String>,
}

/// Conflicts among the files of a map's items. `needs` holds for each item those that it waits for (empty where the map
/// isn't ordered): who comes after somebody replaces that one's files, and that is no conflict.
pub fn conflicts(files: &[(u32, FileRef)], needs: &[Vec<u8>]) -> Vec<Conflict> {
    let mut by_path: BTreeMap<&str, Vec<&(u32, FileRef)>> = BTreeMap::new();
    for file in files {
        by_path.entry(&file.1.path).or_default().push(file);
    }
    let mut found = Vec::new();
    for (path, writers) in by_path {
        let differs = |a: &(u32, FileRef), b: &(u32, FileRef)| {
            a.1.sha256 != b.1.sha256 && !is_after(needs, a.0, b.0) && !is_after(needs, b.0, a.0)
        };
        let opposed = writers.iter().filter(|a| writers.iter().any(|b| a.0 != b.0 && differs(a, b)));
        let steps: Vec<String> = opposed.map(|(_, file)| file.step.clone()).collect();
        if !steps.is_empty() {
            found.push(Conflict { path: path.to_owned(), steps });
        }
    }
    found
}

impl Inputs {
    /// The names that `bindings` and the built-in ones make.
    pub(crate) fn scope(&self, bindings: &[Binding]) -> Map<String, Value> {
        let mut scope = Map::new();
        scope.insert("input".to_owned(), Value::clone(&self.input));
        scope.insert("job".to_owned(), json!({"id": self.job_id, "model": self.model}));
        scope.insert("round".to_owned(), self.round.into());
        let conflicts = self.conflicts.iter().map(|it| json!({"path": it.path, "steps": it.steps}));
        scope.insert("conflicts".to_owned(), conflicts.collect());
        scope.insert("after".to_owned(), json!({"files": file_values(&self.after_files)}));
        if let Some((index, item)) = &self.item {
            scope.insert("index".to_owned(), (*index).into());
            scope.insert("item".to_owned(), item.clone());
        }
        for Binding { name, read } in bindings {
            scope.insert(name.clone(), self.named(&read.task, read.kind));
        }
        scope
    }

    fn named(&self, task: &str, kind: ReadKind) -> Value {
        let mut fields = Map::new();
        if let Some(output) = self.outputs.get(task) {
            fields.insert("output".to_owned(), output.clone());
        }
        let files = self.files.get(task).map(Vec::as_slice).unwrap_or_default();
        fields.insert("files".to_owned(), file_values(files));
        if kind == ReadKind::Map {
            let count = self.outputs.get(task).and_then(Value::as_array).map_or(0, Vec::len);
            fields.insert("count".to_owned(), count.into());
            fields.insert("omitted".to_owned(), self.omitted.get(task).copied().unwrap_or(0).into());
        }
        Value::Object(fields)
    }
}

fn file_values(files: &[FileRef]) -> Value {
    files.iter().map(|file| json!({"path": file.path, "size": file.bytes, "sha256": file.sha256})).collect()
}

#[cfg(test)]
mod tests {
    use convoke_domain::ids::JobKey;

    use super::*;
    use crate::ports::BlobKey;

    fn file(item: u32, path: &str, sha256: &str) -> (u32, FileRef) {
        let key =
            JobKey { tenant: "t".parse().expect("tenant"), job: "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("job") };
        let step = format!("code[{item}]");
        let key = BlobKey::of_job(&key, &step, 1, path);
        (
            item,
            FileRef { path: path.into(), media_type: "text/plain".into(), bytes: 1, sha256: sha256.into(), key, step },
        )
    }

    #[test]
    fn conflicts_are_what_nobody_comes_after() {
        let files = [
            file(0, "a", "1"),
            file(1, "a", "2"),
            file(2, "a", "1"),
            file(0, "b", "1"),
            file(1, "b", "1"),
            file(0, "c", "1"),
            file(3, "c", "2"),
        ];
        let steps = |steps: &[&str]| steps.iter().map(ToString::to_string).collect::<Vec<_>>();
        let needs = [vec![], vec![], vec![], vec![2], vec![]];
        let found = conflicts(&files, &needs);
        assert_eq!(found[0], Conflict { path: "a".into(), steps: steps(&["code[0]", "code[1]", "code[2]"]) });
        assert_eq!(found[1], Conflict { path: "c".into(), steps: steps(&["code[0]", "code[3]"]) });
        // 3 comes after 0 by way of 2.
        let ordered = [vec![], vec![0], vec![0], vec![2]];
        assert_eq!(conflicts(&files, &ordered), [Conflict { path: "a".into(), steps: steps(&["code[1]", "code[2]"]) }]);
        assert_eq!(conflicts(&files, &[vec![1], vec![0]]).len(), 2, "cycles end, too");
    }
}
