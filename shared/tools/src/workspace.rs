//! Files in memory: those of earlier steps to read, those of this step to write.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use convoke_app::flow::media_type;
use convoke_app::flow::tools::{FILE_BYTES_MAX, FILES_MAX, STEP_BYTES_MAX, Scope};
use convoke_app::model::{Message, ToolCall};
use convoke_app::script::{NewFile, Toolbox};
use convoke_domain::path::ArtifactPath;
use serde_json::Value;

/// Most of a file that one call reads, in bytes.
const READ_BYTES_MAX: usize = 32 << 10;
/// Most files that one call lists.
const LISTED_MAX: usize = 500;

/// The files that a step sees.
///
/// Calls answer the same after the same calls before them. What goes wrong is told to the model. At most [`FILES_MAX`]
/// files of [`FILE_BYTES_MAX`] each and [`STEP_BYTES_MAX`] together are written.
#[derive(Debug)]
pub struct Workspace {
    visible: BTreeMap<String, Bytes>,
    written: BTreeMap<String, Bytes>,
    scope: Scope,
}

/// Why a call did nothing, in words for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No such tool, or not for this step.
    #[error("there is no tool {0:?} here")]
    UnknownTool(String),
    /// An argument is missing or of another type.
    #[error("the argument {0:?} is missing, or isn't {1}")]
    Argument(&'static str, &'static str),
    /// The arguments are no object: the model's JSON was cut off or malformed.
    #[error("the arguments are no JSON object")]
    Arguments,
    /// A path that isn't safe.
    #[error("{0:?} can't be a path: {1}")]
    Path(String, convoke_domain::path::PathError),
    /// Nobody wrote it.
    #[error("there is no file {0:?}; list_files shows what there is")]
    NoFile(String),
    /// Not text.
    #[error("{0:?} isn't text")]
    Binary(String),
    /// A line past the end.
    #[error("the file has {0} lines")]
    NoLine(usize),
    /// Outside of the step's scope.
    #[error("{path} may not be written here; allowed: {allowed}")]
    OutOfScope {
        /// Where it wanted to write.
        path: String,
        /// Where it may.
        allowed: String,
    },
    /// A name that clashes with a file that is there.
    #[error("{0} is a file and can't be a folder, too")]
    Clash(String),
    /// The same name in other case.
    #[error("{0} is there already, in other case")]
    Case(String),
    /// A bound of the step.
    #[error("too much: {0}")]
    Bound(&'static str),
}

impl Workspace {
    /// A workspace that shows `visible` and lets `scope` be written.
    pub fn new(visible: BTreeMap<String, Bytes>, scope: Scope) -> Self {
        Self { visible, written: BTreeMap::new(), scope }
    }

    /// The same with those of `paths` that are visible, and may be written, as written already.
    #[must_use]
    pub fn with_own(mut self, paths: &[String]) -> Self {
        for path in paths {
            let allowed = ArtifactPath::new(path.as_str()).is_ok_and(|path| self.scope.allows(&path));
            if let Some(bytes) = self.visible.get(path).filter(|_| allowed) {
                self.written.insert(path.clone(), bytes.clone());
            }
        }
        self
    }

    fn apply(&mut self, call: &ToolCall) -> Result<String, CallError> {
        match call.name.as_str() {
            "list_files" => Ok(self.list()),
            "read_file" => self.read(object(&call.arguments)?),
            "write_file" if self.scope != Scope::Nowhere => self.write(object(&call.arguments)?),
            other => Err(CallError::UnknownTool(other.chars().take(64).collect())),
        }
    }

    fn list(&self) -> String {
        let mut files: BTreeMap<&str, usize> =
            self.visible.iter().map(|(path, bytes)| (path.as_str(), bytes.len())).collect();
        files.extend(self.written.iter().map(|(path, bytes)| (path.as_str(), bytes.len())));
        if files.is_empty() {
            return "there are no files yet".to_owned();
        }
        let mut text = String::new();
        for (path, bytes) in files.iter().take(LISTED_MAX) {
            let _ = writeln!(text, "{path} ({bytes} bytes)");
        }
        if files.len() > LISTED_MAX {
            let _ = writeln!(text, "[... {} more files]", files.len() - LISTED_MAX);
        }
        text
    }

    fn read(&self, arguments: &serde_json::Map<String, Value>) -> Result<String, CallError> {
        let path = text_of(arguments, "path")?;
        let bytes = self.written.get(path).or_else(|| self.visible.get(path));
        let bytes = bytes.ok_or_else(|| CallError::NoFile(path.chars().take(100).collect()))?;
        let text = std::str::from_utf8(bytes).map_err(|_| CallError::Binary(path.to_owned()))?;
        let first = match arguments.get("first_line") {
            None | Some(Value::Null) => 1,
            Some(line) => {
                line.as_u64().filter(|&line| line > 0).ok_or(CallError::Argument("first_line", "a number"))?
            }
        };
        part(text, usize::try_from(first).unwrap_or(usize::MAX))
    }

    fn write(&mut self, arguments: &serde_json::Map<String, Value>) -> Result<String, CallError> {
        let path = text_of(arguments, "path")?;
        let content = text_of(arguments, "content")?;
        let path = ArtifactPath::new(path).map_err(|error| CallError::Path(path.chars().take(100).collect(), error))?;
        if !self.scope.allows(&path) {
            let (path, allowed) = (path.to_string(), self.scope.to_string());
            return Err(CallError::OutOfScope { path, allowed });
        }
        self.check_bounds(&path, content)?;
        self.check_names(&path)?;
        let lines = content.lines().count();
        self.written.insert(path.to_string(), Bytes::from(content.to_owned()));
        Ok(format!("wrote {path}: {} bytes, {lines} lines", content.len()))
    }

    fn check_bounds(&self, path: &ArtifactPath, content: &str) -> Result<(), CallError> {
        if content.len() > FILE_BYTES_MAX {
            return Err(CallError::Bound("a file has at most 1 MiB"));
        }
        let others = self.written.iter().filter(|(other, _)| other.as_str() != path.as_str());
        let (count, bytes) = others.fold((0, 0), |(count, sum), (_, bytes)| (count + 1, sum + bytes.len()));
        if count >= FILES_MAX {
            return Err(CallError::Bound("a step writes at most 200 files"));
        }
        if bytes + content.len() > STEP_BYTES_MAX {
            return Err(CallError::Bound("a step writes at most 8 MiB"));
        }
        Ok(())
    }

    /// Names have to fit into one tree, on systems that don't tell case, too.
    fn check_names(&self, path: &ArtifactPath) -> Result<(), CallError> {
        let new = path.as_str().to_lowercase();
        let is_below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        for other in self.written.keys() {
            let lower = other.to_lowercase();
            if lower == new && other != path.as_str() {
                return Err(CallError::Case(other.clone()));
            }
            if is_below(&new, &lower) || is_below(&lower, &new) {
                return Err(CallError::Clash(if lower.len() < new.len() { other.clone() } else { path.to_string() }));
            }
        }
        Ok(())
    }
}

impl Toolbox for Workspace {
    fn call(&mut self, call: &ToolCall) -> Message {
        let (content, is_error) = match self.apply(call) {
            Ok(content) => (content, false),
            Err(error) => (error.to_string(), true),
        };
        Message::Tool { call_id: call.id.clone(), name: call.name.clone(), content, is_error }
    }

    fn written(&self) -> Vec<NewFile> {
        let files = self.written.iter().filter_map(|(path, bytes)| {
            let media_type = media_type(&ArtifactPath::new(path.as_str()).ok()?).to_owned();
            Some(NewFile { path: path.clone(), media_type, bytes: bytes.clone() })
        });
        files.collect()
    }
}

fn object(arguments: &Value) -> Result<&serde_json::Map<String, Value>, CallError> {
    arguments.as_object().ok_or(CallError::Arguments)
}

fn text_of<'a>(arguments: &'a serde_json::Map<String, Value>, name: &'static str) -> Result<&'a str, CallError> {
    arguments.get(name).and_then(Value::as_str).ok_or(CallError::Argument(name, "a text"))
}

/// Lines from `first` on, as many as fit, and where to go on.
fn part(text: &str, first: usize) -> Result<String, CallError> {
    let total = text.lines().count();
    if first > total.max(1) {
        return Err(CallError::NoLine(total));
    }
    let mut part = String::new();
    for (index, line) in text.lines().enumerate().skip(first - 1) {
        if part.len() + line.len() > READ_BYTES_MAX && !part.is_empty() {
            let _ = writeln!(part, "[... lines {} to {total} follow: first_line {}]", index + 1, index + 1);
            return Ok(part);
        }
        let end = (0..=line.len().min(READ_BYTES_MAX)).rev().find(|&end| line.is_char_boundary(end)).unwrap_or(0);
        part.push_str(&line[..end]);
        part.push_str(if end < line.len() { " [... rest of the line omitted]\n" } else { "\n" });
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace() -> Workspace {
        let visible = [("old.txt", "one\ntwo\n"), ("lib/x.rs", "fn x() {}\n")];
        let visible = visible.map(|(path, text)| (path.to_owned(), Bytes::from(text)));
        Workspace::new(visible.into(), Scope::Paths(vec!["a.txt".into(), "src/".into(), "old.txt".into()]))
    }

    fn call(workspace: &mut Workspace, name: &str, arguments: Value) -> (String, bool) {
        let call = ToolCall { id: "c1".into(), name: name.into(), arguments };
        match workspace.call(&call) {
            Message::Tool { content, is_error, call_id, .. } => {
                assert_eq!(call_id, "c1");
                (content, is_error)
            }
            other => panic!("no answer of a tool: {other:?}"),
        }
    }

    #[test]
    fn what_is_written_can_be_read_and_listed() {
        let mut files = workspace();
        let wrote = call(&mut files, "write_file", json!({"path": "src/m.rs", "content": "fn m() {}\n"}));
        assert_eq!(wrote, ("wrote src/m.rs: 10 bytes, 1 lines".into(), false));
        assert!(!call(&mut files, "write_file", json!({"path": "old.txt", "content": "new"})).1);
        assert_eq!(call(&mut files, "read_file", json!({"path": "old.txt"})), ("new\n".into(), false));
        assert_eq!(call(&mut files, "read_file", json!({"path": "lib/x.rs"})), ("fn x() {}\n".into(), false));
        let listed = "lib/x.rs (10 bytes)\nold.txt (3 bytes)\nsrc/m.rs (10 bytes)\n";
        assert_eq!(call(&mut files, "list_files", json!({})), (listed.into(), false));
        let paths: Vec<String> = files.written().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, ["old.txt", "src/m.rs"]);
    }

    #[test]
    fn what_was_written_in_an_earlier_round_stays() {
        let own = ["old.txt".to_owned(), "lib/x.rs".to_owned(), "gone".to_owned()];
        let mut files = workspace().with_own(&own);
        assert!(!call(&mut files, "write_file", json!({"path": "a.txt", "content": "x"})).1);
        let written: Vec<_> = files.written().into_iter().map(|file| (file.path, file.bytes)).collect();
        let expected = [("a.txt", "x"), ("old.txt", "one\ntwo\n")];
        assert_eq!(written, expected.map(|(path, text)| (path.to_owned(), Bytes::from(text))));
    }

    #[test]
    fn mistakes_are_told_to_the_model_and_change_nothing() {
        let cases = [
            (
                "write_file",
                json!({"path": "b.txt", "content": "x"}),
                "may not be written here; allowed: a.txt, src/, old.txt",
            ),
            ("write_file", json!({"path": "../a.txt", "content": "x"}), "can't be a path"),
            ("write_file", json!({"path": "src/%2e%2e/x", "content": "x"}), "can't be a path"),
            ("write_file", json!({"path": "a.txt"}), "\"content\" is missing"),
            ("write_file", json!({"path": 1, "content": "x"}), "\"path\" is missing"),
            ("write_file", json!("{\"path\": "), "no JSON object"),
            ("write_file", json!({"path": "a.txt", "content": "x".repeat(FILE_BYTES_MAX + 1)}), "1 MiB"),
            ("read_file", json!({"path": "nope"}), "there is no file \"nope\""),
            ("read_file", json!({"path": "old.txt", "first_line": 3}), "the file has 2 lines"),
            ("read_file", json!({"path": "old.txt", "first_line": 0}), "first_line"),
            ("rm", json!({}), "there is no tool \"rm\""),
        ];
        for (name, arguments, expected) in cases {
            let mut files = workspace();
            let (content, is_error) = call(&mut files, name, arguments.clone());
            assert!(is_error && content.contains(expected), "{name} {arguments}: {content}");
            assert!(files.written().is_empty());
        }
        let mut reader = Workspace::new(BTreeMap::new(), Scope::Nowhere);
        assert!(call(&mut reader, "write_file", json!({"path": "a", "content": "x"})).1);
        assert_eq!(call(&mut reader, "list_files", json!({})), ("there are no files yet".into(), false));
    }

    #[test]
    fn names_fit_into_one_tree() {
        let mut files = Workspace::new(BTreeMap::new(), Scope::Anywhere);
        assert!(!call(&mut files, "write_file", json!({"path": "a/b", "content": "x"})).1);
        for path in ["a", "a/b/c", "A/B", "A/b/c"] {
            assert!(call(&mut files, "write_file", json!({"path": path, "content": "x"})).1, "{path}");
        }
        assert!(!call(&mut files, "write_file", json!({"path": "a/bc", "content": "x"})).1);
    }

    #[test]
    fn a_step_writes_so_much_and_no_more() {
        let mut files = Workspace::new(BTreeMap::new(), Scope::Anywhere);
        for n in 0..FILES_MAX {
            assert!(!call(&mut files, "write_file", json!({"path": format!("f{n}"), "content": "x"})).1);
        }
        assert!(call(&mut files, "write_file", json!({"path": "more", "content": "x"})).1);
        assert!(!call(&mut files, "write_file", json!({"path": "f0", "content": "y"})).1, "replacing is free");
        let mut files = Workspace::new(BTreeMap::new(), Scope::Anywhere);
        let mib = "x".repeat(FILE_BYTES_MAX);
        for n in 0..8 {
            assert!(!call(&mut files, "write_file", json!({"path": format!("f{n}"), "content": mib})).1);
        }
        assert!(call(&mut files, "write_file", json!({"path": "more", "content": "x"})).1);
    }

    #[test]
    fn long_files_come_in_parts() {
        let lines: Vec<String> = (1..=5_000).map(|n| format!("line {n} {}", "x".repeat(20))).collect();
        let long = lines.join("\n") + "\n";
        let mut files = Workspace::new([("long".to_owned(), Bytes::from(long.clone()))].into(), Scope::Nowhere);
        let (mut whole, mut first, mut parts) = (String::new(), 1, 0);
        loop {
            let (part, is_error) = call(&mut files, "read_file", json!({"path": "long", "first_line": first}));
            assert!(!is_error && part.len() <= READ_BYTES_MAX + 200);
            parts += 1;
            let Some((lines, next)) = part.split_once("[... lines") else {
                whole.push_str(&part);
                break;
            };
            whole.push_str(lines);
            let next = next.trim_end().trim_end_matches(']').rsplit(' ').next().expect("a number");
            first = next.parse().expect("a number");
        }
        assert_eq!(whole, long);
        assert!(parts > 3);
        let wide = Bytes::from("é".repeat(READ_BYTES_MAX));
        let mut files = Workspace::new([("wide".to_owned(), wide)].into(), Scope::Nowhere);
        assert!(call(&mut files, "read_file", json!({"path": "wide"})).0.contains("rest of the line omitted"));
        let mut files = Workspace::new([("bin".to_owned(), Bytes::from_static(&[0xff, 0]))].into(), Scope::Nowhere);
        assert!(call(&mut files, "read_file", json!({"path": "bin"})).1);
    }

    #[test]
    fn the_same_calls_lead_to_the_same_place() {
        let calls = [
            ("write_file", json!({"path": "a.txt", "content": "1"})),
            ("write_file", json!({"path": "nope", "content": "1"})),
            ("read_file", json!({"path": "a.txt"})),
            ("write_file", json!({"path": "a.txt", "content": "2"})),
            ("list_files", json!({})),
        ];
        let run = || {
            let mut files = workspace();
            let answers: Vec<_> = calls.iter().map(|(name, args)| call(&mut files, name, args.clone())).collect();
            (answers, files.written())
        };
        assert_eq!(run(), run());
    }
}
