//! The guardrail `plan`: tasks with unique ids, dependencies that exist and don't go in circles, and files of their own.
//!
//! Looks at `tasks: [{id, files: [path], depends_on: [id]}]` and at `shared_files: [path]`, which belong to nobody.

use std::collections::{BTreeMap, BTreeSet};

use convoke_domain::graph::ORDERED_ITEMS_MAX;
use convoke_domain::path::ArtifactPath;
use serde_json::{Map, Value};

use super::evaluate::on_cycle;
use super::finding::Finding;
use super::tools::{is_own_file, tree_errors};

/// Longest id of a plan's task: it becomes part of paths.
const ID_BYTES_MAX: usize = 40;

/// The bound of a plan: `max_tasks` of the input, where it is a number, within what an ordered map takes.
pub(crate) fn tasks_max(input: &Value) -> usize {
    let wanted = input.get("max_tasks").and_then(Value::as_u64).unwrap_or(u64::from(ORDERED_ITEMS_MAX));
    usize::try_from(wanted.clamp(1, u64::from(ORDERED_ITEMS_MAX))).unwrap_or(1)
}

/// What is wrong with a plan.
pub(crate) fn check(plan: &Value, tasks_max: usize) -> Vec<Finding> {
    let Some(tasks) = tasks(plan) else {
        return vec![Finding::new("/tasks", "a plan needs a list of tasks")];
    };
    let mut findings = Vec::new();
    if tasks.is_empty() {
        findings.push(Finding::new("/tasks", "a plan needs at least one task"));
    }
    if tasks.len() > tasks_max {
        let message = format!("there are {} tasks, at most {tasks_max} are allowed: join some", tasks.len());
        findings.push(Finding::new("/tasks", message));
    }
    check_ids(tasks, &mut findings);
    check_dependencies(tasks, &mut findings);
    check_files(plan, tasks, &mut findings);
    findings
}

fn tasks(plan: &Value) -> Option<&[Value]> {
    plan.get("tasks").and_then(Value::as_array).map(Vec::as_slice)
}

fn id(task: &Value) -> &str {
    task.get("id").and_then(Value::as_str).unwrap_or_default()
}

fn strings<'v>(value: &'v Value, field: &str) -> Vec<&'v str> {
    let list = value.get(field).and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn is_id(id: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !id.is_empty() && id.len() <= ID_BYTES_MAX && id.chars().all(fits)
}

fn check_ids(tasks: &[Value], findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for (index, task) in tasks.iter().enumerate() {
        let place = format!("/tasks/{index}/id");
        let id = id(task);
        if !is_id(id) {
            let message = format!("an id has 1 to {ID_BYTES_MAX} letters, digits, _ and -");
            findings.push(Finding::new(place, message));
        } else if !seen.insert(id.to_lowercase()) {
            findings.push(Finding::new(place, format!("{id:?} is the id of another task, too")));
        }
    }
}

fn check_dependencies(tasks: &[Value], findings: &mut Vec<Finding>) {
    let ids: BTreeSet<&str> = tasks.iter().map(id).collect();
    for (index, task) in tasks.iter().enumerate() {
        for dependency in strings(task, "depends_on").into_iter().filter(|dependency| !ids.contains(dependency)) {
            let known: Vec<&str> = ids.iter().copied().take(20).collect();
            let message = format!("there is no task {dependency:?}; there are {}", known.join(", "));
            findings.push(Finding::new(format!("/tasks/{index}/depends_on"), message));
        }
    }
    let names: Vec<&str> = on_cycle(&needs(tasks)).into_iter().map(|index| id(&tasks[index])).collect();
    if !names.is_empty() {
        let message = format!("these tasks wait for each other, so that none can start: {}", names.join(", "));
        findings.push(Finding::new("/tasks", message));
    }
}

/// Dependencies that exist, as indices; only the first tasks that fit are looked at.
fn needs(tasks: &[Value]) -> Vec<Vec<u8>> {
    let known = &tasks[..tasks.len().min(usize::from(u8::MAX))];
    let positions: BTreeMap<&str, u8> = (0..).zip(known).map(|(position, task)| (id(task), position)).collect();
    let needs = known.iter().map(|task| {
        let dependencies = strings(task, "depends_on").into_iter();
        dependencies.filter_map(|dependency| positions.get(dependency).copied()).collect()
    });
    needs.collect()
}

fn check_files(plan: &Value, tasks: &[Value], findings: &mut Vec<Finding>) {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for path in strings(plan, "shared_files") {
        check_path(path, "/shared_files", findings);
        if owners.insert(path.to_lowercase(), "shared_files").is_some() {
            findings.push(Finding::new("/shared_files", format!("{path:?} is named twice, if only in other case")));
        }
    }
    for (index, task) in tasks.iter().enumerate() {
        let place = format!("/tasks/{index}/files");
        let files = strings(task, "files");
        if files.is_empty() {
            findings.push(Finding::new(&place, format!("task {:?} has no files: name at least one", id(task))));
        }
        for path in files {
            check_path(path, &place, findings);
            if let Some(owner) = owners.insert(path.to_lowercase(), id(task)) {
                let message = format!("{path:?} belongs to {owner:?} already: a file has one owner");
                findings.push(Finding::new(&place, message));
            }
        }
    }
    findings
        .extend(tree_errors(owners.keys().map(String::as_str)).into_iter().map(|error| Finding::new("/tasks", error)));
}

fn check_path(path: &str, place: &str, findings: &mut Vec<Finding>) {
    match ArtifactPath::new(path) {
        Ok(path) if is_own_file(&path) => {
            findings.push(Finding::new(place, format!("\"{path}\" is made by Convoke: choose another name")));
        }
        Ok(_) => {}
        Err(error) => {
            let shown: String = path.chars().take(80).collect();
            findings.push(Finding::new(place, format!("{shown:?}: {error}")));
        }
    }
}

/// Makes a plan hold by leaving out: unsafe and doubly owned files, tasks without files or with an id that is taken, tasks
/// over the bound, dependencies that don't exist or close a circle. `None` where no task is left.
pub(crate) fn repair(plan: &Value, tasks_max: usize) -> Option<Value> {
    let mut plan = plan.as_object()?.clone();
    let mut owned = Owned::default();
    if let Some(shared) = plan.get_mut("shared_files") {
        *shared = owned.keep(shared);
    }
    let tasks = plan.get("tasks")?.as_array()?.clone();
    let mut ids = BTreeSet::new();
    let mut kept: Vec<Map<String, Value>> = Vec::new();
    for task in tasks {
        let Value::Object(mut task) = task else { continue };
        let id = task.get("id").and_then(Value::as_str).unwrap_or_default();
        if kept.len() == tasks_max || !is_id(id) || ids.contains(&id.to_lowercase()) {
            continue;
        }
        let files = owned.keep(task.get("files").unwrap_or(&Value::Null));
        if files.as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        ids.insert(id.to_lowercase());
        task.insert("files".to_owned(), files);
        kept.push(task);
    }
    if kept.is_empty() {
        return None;
    }
    break_circles(&mut kept);
    plan.insert("tasks".to_owned(), kept.into_iter().map(Value::Object).collect());
    Some(Value::Object(plan))
}

/// Files that have an owner.
#[derive(Default)]
struct Owned(Vec<String>);

impl Owned {
    /// Those of `files` that are safe and nobody's yet; from now on they are somebody's.
    fn keep(&mut self, files: &Value) -> Value {
        let mut kept = Vec::new();
        for path in files.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !ArtifactPath::new(path).is_ok_and(|path| !is_own_file(&path)) {
                continue;
            }
            self.0.push(path.to_owned());
            if tree_errors(self.0.iter().map(String::as_str)).is_empty() {
                kept.push(Value::from(path));
            } else {
                self.0.pop();
            }
        }
        kept.into()
    }
}

/// Drops dependencies that don't exist, and each that would close a circle with those kept before it.
fn break_circles(tasks: &mut [Map<String, Value>]) {
    let name = |task: &Map<String, Value>| task.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let ids: Vec<String> = tasks.iter().map(name).collect();
    let mut needs: Vec<Vec<u8>> = vec![Vec::new(); tasks.len()];
    for (index, task) in tasks.iter_mut().enumerate() {
        let mut kept = Vec::new();
        let wanted = task.get("depends_on").and_then(Value::as_array).cloned().unwrap_or_default();
        for dependency in wanted.iter().filter_map(Value::as_str) {
            let position = ids.iter().position(|id| id == dependency).and_then(|at| u8::try_from(at).ok());
            let Some(position) = position.filter(|position| !needs[index].contains(position)) else { continue };
            needs[index].push(position);
            if on_cycle(&needs).is_empty() {
                kept.push(Value::from(dependency));
            } else {
                needs[index].pop();
            }
        }
        task.insert("depends_on".to_owned(), kept.into());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn task(id: &str, files: &[&str], depends_on: &[&str]) -> Value {
        json!({"id": id, "files": files, "depends_on": depends_on})
    }

    #[test]
    fn a_good_plan_passes() {
        let tasks = [task("a", &["src/a.rs"], &[]), task("b", &["src/b.rs", "b.md"], &["a"])];
        assert_eq!(check(&json!({"tasks": tasks, "shared_files": ["README.md"]}), 2), []);
    }

    #[test]
    fn says_what_is_wrong_with_a_plan() {
        let cases = [
            (json!({}), "/tasks", "needs a list"),
            (json!({"tasks": []}), "/tasks", "at least one task"),
            (
                json!({"tasks": [task("a", &["a"], &[]), task("b", &["b"], &[]), task("c", &["c"], &[])]}),
                "/tasks",
                "at most 2",
            ),
            (json!({"tasks": [task("a", &["a"], &[]), task("A", &["b"], &[])]}), "/tasks/1/id", "another task"),
            (json!({"tasks": [task("a/b", &["a"], &[])]}), "/tasks/0/id", "letters, digits"),
            (json!({"tasks": [task("", &["a"], &[])]}), "/tasks/0/id", "letters, digits"),
            (json!({"tasks": [task("a", &["a"], &["z"])]}), "/tasks/0/depends_on", "no task \"z\"; there are a"),
            (
                json!({"tasks": [task("a", &["a"], &["b"]), task("b", &["b"], &["a"])]}),
                "/tasks",
                "wait for each other, so that none can start: a, b",
            ),
            (json!({"tasks": [task("a", &["a"], &["a"])]}), "/tasks", "wait for each other"),
            (json!({"tasks": [task("a", &[], &[])]}), "/tasks/0/files", "no files"),
            (json!({"tasks": [{"id": "a"}]}), "/tasks/0/files", "no files"),
            (json!({"tasks": [task("a", &["../x"], &[])]}), "/tasks/0/files", "\"..\""),
            (json!({"tasks": [task("a", &["x"], &[]), task("b", &["X"], &[])]}), "/tasks/1/files", "belongs to \"a\""),
            (json!({"tasks": [task("a", &["x"], &[]), task("b", &["x/y"], &[])]}), "/tasks", "needs a folder"),
            (json!({"tasks": [task("a", &["x"], &[])], "shared_files": ["x"]}), "/tasks/0/files", "\"shared_files\""),
            (json!({"tasks": [task("a", &["x"], &[])], "shared_files": ["/x"]}), "/shared_files", "relative"),
            (json!({"tasks": [task("a", &["x"], &[])], "shared_files": ["b", "B"]}), "/shared_files", "twice"),
            (json!({"tasks": [task("a", &["report.md"], &[])]}), "/tasks/0/files", "made by Convoke"),
        ];
        for (plan, place, message) in cases {
            let findings = check(&plan, 2);
            assert!(findings.iter().any(|f| f.place == place && f.message.contains(message)), "{plan}: {findings:?}");
        }
    }

    #[test]
    fn repair_leaves_out_what_does_not_hold() {
        let plan = json!({"agreed": true, "shared_files": ["README.md", "../x"], "tasks": [
            task("a", &["a.rs", "/etc/passwd"], &["b", "ghost"]),
            task("b", &["b.rs", "A.rs", "readme.md"], &["a"]),
            task("a", &["c.rs"], &[]),
            task("d", &["a.rs"], &[]),
            "nonsense",
            task("e", &["e.rs"], &["a", "a", "d"]),
            task("f", &["f.rs"], &[]),
        ]});
        let expected = json!({"agreed": true, "shared_files": ["README.md"], "tasks": [
            task("a", &["a.rs"], &["b"]),
            task("b", &["b.rs"], &[]),
            task("e", &["e.rs"], &["a"]),
        ]});
        assert_eq!(repair(&plan, 3), Some(expected));
        assert_eq!(repair(&json!({"tasks": [task("a", &[], &[])]}), 3), None);
        assert_eq!(repair(&json!([]), 3), None);
    }

    #[test]
    fn the_bound_comes_from_the_input() {
        let cases = [
            (json!({}), 64),
            (json!({"max_tasks": 3}), 3),
            (json!({"max_tasks": 900}), 64),
            (json!({"max_tasks": 0}), 1),
        ];
        for (input, expected) in cases {
            assert_eq!(tasks_max(&input), expected, "{input}");
        }
    }

    fn any_plan() -> impl Strategy<Value = Value> {
        let id = prop::sample::select(vec!["a", "b", "c", "d", "A", "", "x/y", "é"]);
        let path = prop::sample::select(vec!["a", "b", "a/b", "A", "../x", "", "con", "d/e.rs", "d/E.rs", "d"]);
        let task = (id.clone(), prop::collection::vec(path.clone(), 0..4), prop::collection::vec(id, 0..4));
        let task = task.prop_map(|(id, files, after)| json!({"id": id, "files": files, "depends_on": after}));
        (prop::collection::vec(task, 0..8), prop::collection::vec(path, 0..3))
            .prop_map(|(tasks, shared)| json!({"tasks": tasks, "shared_files": shared}))
    }

    proptest! {
        #[test]
        fn a_repaired_plan_passes_and_repairing_it_again_changes_nothing(plan in any_plan(), max in 1_usize..5) {
            if let Some(repaired) = repair(&plan, max) {
                prop_assert_eq!(check(&repaired, max), vec![]);
                prop_assert_eq!(repair(&repaired, max), Some(repaired));
            } else {
                prop_assert!(!check(&plan, max).is_empty());
            }
        }

        #[test]
        fn a_plan_that_passes_is_not_changed(plan in any_plan(), max in 1_usize..5) {
            if check(&plan, max).is_empty() {
                let unique = |task: &Value| {
                    let list = strings(task, "depends_on");
                    list.iter().collect::<BTreeSet<_>>().len() == list.len()
                };
                if tasks(&plan).unwrap_or_default().iter().all(unique) {
                    prop_assert_eq!(repair(&plan, max), Some(plan));
                }
            }
        }
    }
}
