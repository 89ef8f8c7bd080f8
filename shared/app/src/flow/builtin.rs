//! The flows that come with Convoke: data files, put together when they are asked for.

use convoke_api::flow::{FlowDoc, FlowIssue};
use serde_json::Value;

use super::from_value;
use super::parse::document;

/// Names of the built-in flows.
pub const BUILT_IN: [&str; 1] = ["software"];

/// A folder of data files: path and content.
type Folder = &'static [(&'static str, &'static str)];

macro_rules! folder {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../flows/", $folder, "/", $path)))),+]
    };
}

const SOFTWARE: Folder = folder!("software":
    "flow.yaml",
    "prompts/arbiter-task.jinja",
    "prompts/arbiter.md",
    "prompts/architect-task.jinja",
    "prompts/architect.md",
    "prompts/coder-task.jinja",
    "prompts/coder.md",
    "prompts/integrator-task.jinja",
    "prompts/integrator.md",
    "prompts/orchestrator-task.jinja",
    "prompts/orchestrator.md",
    "prompts/planner-task.jinja",
    "prompts/planner.md",
    "prompts/tester-task.jinja",
    "prompts/tester.md",
    "schemas/architecture.json",
    "schemas/decision.json",
    "schemas/input.json",
    "schemas/integration.json",
    "schemas/orders.json",
    "schemas/plan.json",
    "schemas/review.json",
    "schemas/work.json",
    "small/architect.jinja",
    "small/architecture.json",
    "small/coder.jinja",
    "small/integration.json",
    "small/integrator.jinja",
    "small/orchestrator.jinja",
    "small/orders.json",
    "small/plan.json",
    "small/planner.jinja",
    "small/review.json",
    "small/tester.jinja",
    "small/work.json",
);

/// The built-in flow of that name; `None` where there is none. Issues would be ours: the tests hold that there are none.
pub fn built_in(name: &str) -> Option<Result<FlowDoc, Vec<FlowIssue>>> {
    let folder = match name {
        "software" => SOFTWARE,
        _ => return None,
    };
    Some(assembled(folder))
}

fn assembled(folder: Folder) -> Result<FlowDoc, Vec<FlowIssue>> {
    let text = file(folder, "flow.yaml").map_err(|issue| vec![issue])?;
    let mut value = document(text).map_err(|issue| vec![issue])?;
    resolve(&mut value, folder).map_err(|issue| vec![issue])?;
    from_value(&value)
}

/// Puts files in the place of `{$file: path}`: JSON as a value, anything else as text.
fn resolve(value: &mut Value, folder: Folder) -> Result<(), FlowIssue> {
    if let Some(path) = value.get("$file").and_then(Value::as_str) {
        let content = file(folder, path)?;
        *value = if path.strip_suffix(".json").is_some() { document(content)? } else { content.trim_end().into() };
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| resolve(item, folder)),
        Value::Object(fields) => fields.values_mut().try_for_each(|field| resolve(field, folder)),
        _ => Ok(()),
    }
}

fn file(folder: Folder, path: &str) -> Result<&'static str, FlowIssue> {
    let found = folder.iter().find(|(name, _)| *name == path);
    found.map(|(_, content)| *content).ok_or_else(|| FlowIssue::new(path, "the file isn't in the flow's folder", ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Capability, compile};

    #[test]
    fn built_in_flows_compile_for_every_kind_of_model() {
        for name in BUILT_IN {
            let doc = built_in(name).expect(name).unwrap_or_else(|issues| panic!("{issues:#?}"));
            assert_eq!(doc.name, name);
            for capability in [Capability::Capable, Capability::Small] {
                let flow = compile(&doc, capability).unwrap_or_else(|issues| panic!("{capability:?}: {issues:#?}"));
                assert_eq!(flow.tasks().count(), 7);
            }
        }
        assert!(built_in("hardware").is_none());
    }
}
