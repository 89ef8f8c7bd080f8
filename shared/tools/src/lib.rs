//! The tools that agents may use.
//!
//! File tools over a workspace in memory: nothing here touches a disk or a network, so that a step that is taken up again
//! gets where it was by applying its journaled calls once more.

mod workspace;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use convoke_app::flow::tools::Scope;
use convoke_app::flow::{ToolKit, job_compiler};
use convoke_app::platform::Compile;
use convoke_app::script::Toolbox;

pub use workspace::Workspace;

/// The tools of this crate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tools;

impl ToolKit for Tools {
    fn open(&self, visible: BTreeMap<String, Bytes>, own: &[String], scope: Scope) -> Box<dyn Toolbox> {
        Box::new(Workspace::new(visible, scope).with_own(own))
    }
}

/// Compiles jobs' flows into scripts with these tools.
pub fn compiler() -> Compile {
    job_compiler(Arc::new(Tools))
}

#[cfg(test)]
mod tests {
    use convoke_app::flow::{Capability, JobScript};
    use convoke_app::model::ToolCall;
    use convoke_app::ports::{BlobKey, FileRef};
    use convoke_app::script::{Inputs, Known, Script};
    use convoke_domain::ids::JobKey;
    use serde_json::json;

    use super::*;

    fn file(path: &str) -> FileRef {
        let job =
            JobKey { tenant: "t".parse().expect("tenant"), job: "01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("job") };
        let key = BlobKey::of_job(&job, "code@1", 1, path);
        let (media_type, sha256, step) = ("text/plain".into(), "0".repeat(64), "code@1".into());
        FileRef { path: path.into(), media_type, bytes: 1, sha256, key, step }
    }

    #[test]
    fn a_second_round_keeps_the_files_of_the_first_but_not_its_answer() {
        for output_file in ["notes.md", "notes-{{ round }}.md"] {
            let document = json!({
                "name": "mend",
                "nodes": [{"kind": "loop", "id": "work", "until": "round > 1", "rounds_max": 3, "nodes": [
                    {"kind": "agent", "id": "code", "agent": {"role": "r", "goal": "g", "backstory": "b"},
                     "task": {"description": "d", "expected_output": "e", "writes": {}, "output_file": output_file}}
                ]}],
            });
            let input = json!({});
            let script = JobScript::compile(&document, &input, Capability::Capable, Arc::new(Tools)).expect("compiles");
            let answer = output_file.replace("{{ round }}", "1");
            let contents = [("a.txt", "1"), ("b.txt", "1"), (answer.as_str(), "1")];
            let known = Known { item: None, output: json!("done"), files: contents.map(|(path, _)| file(path)).into() };
            let loaded = Inputs {
                input: Arc::new(input),
                known: [("code".to_owned(), vec![known])].into(),
                contents: contents.map(|(path, text)| (path.to_owned(), Bytes::from(text))).into(),
                round: 2,
                ..Inputs::default()
            };
            let mut toolbox = script.toolbox("code", &loaded);
            let arguments = json!({"path": "b.txt", "content": "2"});
            toolbox.call(&ToolCall { id: "1".into(), name: "write_file".into(), arguments });
            let accepted = script.accept("code", &loaded, ("mended", &*toolbox)).expect("accepted");
            let made: Vec<(String, Bytes)> = accepted.files.into_iter().map(|file| (file.path, file.bytes)).collect();
            let notes = output_file.replace("{{ round }}", "2");
            let expected = [("a.txt", "1"), ("b.txt", "2"), (notes.as_str(), "mended\n")];
            assert_eq!(made, expected.map(|(path, text)| (path.to_owned(), Bytes::from(text))));
        }
    }
}
