//! Reads a flow's document: YAML or JSON, bounded, with errors that say where.

use convoke_api::flow::{AgentNode, ConditionNode, FlowDoc, FlowIssue, JoinNode, LoopNode, MapNode, ReviewNode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Longest document, in bytes, as text and with its aliases expanded.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// Deepest nesting of a document.
pub const DOCUMENT_DEPTH_MAX: usize = 32;
/// Kinds of nodes that are named in the design and don't exist yet.
const LATER_KINDS: [&str; 4] = ["crew", "model", "tool", "flow"];
/// Kinds of nodes that there are.
const KINDS: &str = "one of agent, map, loop, condition, join, review";

/// Reads YAML or JSON. Aliases are expanded within the same bounds as everything else.
pub fn parse(text: &str) -> Result<FlowDoc, Vec<FlowIssue>> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(vec![too_large()]);
    }
    from_value(&document(text).map_err(|issue| vec![issue])?)
}

/// Reads a document that came inside another, such as a submission.
pub fn from_value(value: &Value) -> Result<FlowDoc, Vec<FlowIssue>> {
    check_bounds(value).map_err(|issue| vec![issue])?;
    let later = later_kinds(value);
    if !later.is_empty() {
        return Err(later);
    }
    serde_json::from_value(value.clone()).map_err(|error| vec![located(value, &error)])
}

/// The document as it stands, not yet checked.
fn document(text: &str) -> Result<Value, FlowIssue> {
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DOCUMENT_DEPTH_MAX,
            flow_nesting_limit: DOCUMENT_DEPTH_MAX,
            max_documents: 1,
            max_nodes: 50_000,
            max_events: 150_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: 4 * DOCUMENT_BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000, max_replay_stack_depth: 8 },
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place =
            error.location().map_or_else(String::new, |at| format!("line {}, column {}", at.line(), at.column()));
        let message: String = error.to_string().chars().take(300).collect();
        FlowIssue::new(
            place,
            format!("not YAML or JSON that can be read: {message}"),
            "check indentation and quotes there",
        )
    })
}

fn too_large() -> FlowIssue {
    FlowIssue::new(
        "",
        format!("the flow is larger than {} KiB", DOCUMENT_BYTES_MAX >> 10),
        "shorten prompts, or pass data as input",
    )
}

/// Bounds what a value becomes, whatever it was written as.
fn check_bounds(value: &Value) -> Result<(), FlowIssue> {
    let mut bytes = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        if depth > DOCUMENT_DEPTH_MAX {
            let message = format!("the flow is nested deeper than {DOCUMENT_DEPTH_MAX} levels");
            return Err(FlowIssue::new("", message, "flatten the schema or the node"));
        }
        bytes += match value {
            Value::String(text) => text.len() + 2,
            Value::Array(items) => {
                open.extend(items.iter().map(|item| (item, depth + 1)));
                2
            }
            Value::Object(fields) => {
                open.extend(fields.values().map(|field| (field, depth + 1)));
                fields.keys().map(|key| key.len() + 4).sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 4,
        };
        if bytes > DOCUMENT_BYTES_MAX {
            return Err(too_large());
        }
    }
    Ok(())
}

fn later_kinds(value: &Value) -> Vec<FlowIssue> {
    let nodes = value.get("nodes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut issues = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        find_later(node, &format!("nodes[{index}]"), &mut issues);
    }
    issues
}

fn find_later(node: &Value, path: &str, issues: &mut Vec<FlowIssue>) {
    if let Some(kind) = node.get("kind").and_then(Value::as_str).filter(|kind| LATER_KINDS.contains(kind)) {
        issues.push(FlowIssue::new(
            format!("{path}.kind"),
            format!("nodes of kind {kind} are not available yet"),
            KINDS,
        ));
    }
    if let Some(body) = node.get("node") {
        find_later(body, &format!("{path}.node"), issues);
    }
    for (index, body) in node.get("nodes").and_then(Value::as_array).into_iter().flatten().enumerate() {
        find_later(body, &format!("{path}.nodes[{index}]"), issues);
    }
}

/// Finds the place of an error that the derived reader of tagged nodes can't name.
fn located(value: &Value, error: &serde_json::Error) -> FlowIssue {
    let Some(fields) = value.as_object() else {
        return FlowIssue::new("", "a flow is an object", "write name: ... and nodes: [...]");
    };
    let mut rest = fields.clone();
    if let Some(nodes) = fields.get("nodes").and_then(Value::as_array) {
        for (index, node) in nodes.iter().enumerate() {
            if let Some(issue) = node_issue(node, &format!("nodes[{index}]")) {
                return issue;
            }
        }
        rest.insert("nodes".to_owned(), json!([]));
    }
    typed::<FlowDoc>(rest, "").unwrap_or_else(|| FlowIssue::new("", error.to_string(), ""))
}

fn node_issue(node: &Value, path: &str) -> Option<FlowIssue> {
    let Some(fields) = node.as_object() else {
        return Some(FlowIssue::new(path, "a node is an object", "write kind: agent and so on"));
    };
    let mut fields = fields.clone();
    let kind = fields.shift_remove("kind");
    for (index, body) in fields.get("nodes").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Some(issue) = node_issue(body, &format!("{path}.nodes[{index}]")) {
            return Some(issue);
        }
    }
    if let Some(issue) = fields.get("node").and_then(|body| node_issue(body, &format!("{path}.node"))) {
        return Some(issue);
    }
    match kind.as_ref().and_then(Value::as_str) {
        Some("agent") => typed::<AgentNode>(fields, path),
        Some("map") => typed::<MapNode>(fields, path),
        Some("loop") => typed::<LoopNode>(fields, path),
        Some("condition") => typed::<ConditionNode>(fields, path),
        Some("join") => typed::<JoinNode>(fields, path),
        Some("review") => typed::<ReviewNode>(fields, path),
        Some(other) => {
            let message = format!("unknown kind {other:?}");
            Some(FlowIssue::new(format!("{path}.kind"), message, KINDS))
        }
        None => Some(FlowIssue::new(path, "the node has no kind", KINDS)),
    }
}

fn typed<T: DeserializeOwned>(fields: Map<String, Value>, path: &str) -> Option<FlowIssue> {
    let error = serde_path_to_error::deserialize::<_, T>(Value::Object(fields)).err()?;
    let inner = error.path().to_string();
    let path = match (path, inner.as_str()) {
        (outer, ".") => outer.to_owned(),
        ("", inner) => inner.to_owned(),
        (outer, inner) => format!("{outer}.{inner}"),
    };
    let message = error.into_inner().to_string();
    let hint = if message.starts_with("unknown field") { "remove or rename it" } else { "" };
    Some(FlowIssue::new(path, message, hint))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const FAN: &str = r#"
name: fan
input: {type: object, properties: {idea: {type: string}}, required: [idea]}
nodes:
  - id: split
    kind: agent
    agent: {role: Planner, goal: "Split the work", backstory: "...", model: smart}
    task: {description: "Split: {{ input.idea }}", expected_output: "A list of parts"}
  - id: work
    kind: map
    needs: [split]
    over: split.output.parts          # CEL
    concurrency: 50
    node: {kind: agent, agent: writer, task: {description: "Write: {{ item }}", expected_output: "A paragraph"}}
agents: {writer: {role: Writer, goal: "...", backstory: "..."}}
"#;

    #[test]
    fn yaml_and_json_are_the_same_flow() {
        let doc = parse(FAN).expect("yaml");
        let json = serde_json::to_string(&doc).expect("json");
        assert_eq!(parse(&json), Ok(doc));
    }

    #[test]
    fn says_where_a_document_is_wrong() {
        let edited = |from: &str, to: &str| FAN.replace(from, to);
        let cases = [
            ("- 1".to_owned(), "", "a flow is an object"),
            (edited("name: fan", "nom: fan"), "nom", "unknown field `nom`"),
            (edited("concurrency: 50", "concurrency: many"), "nodes[1].concurrency", "invalid type"),
            (edited("needs: [split]", "need: [split]"), "nodes[1].need", "unknown field `need`"),
            (edited("kind: map", "kind: amp"), "nodes[1].kind", "unknown kind \"amp\""),
            (edited("    kind: map\n", ""), "nodes[1]", "the node has no kind"),
            (edited("kind: map", "kind: flow"), "nodes[1].kind", "kind flow are not available yet"),
            (edited("kind: map", "kind: review"), "nodes[1].over", "unknown field `over`"),
            (
                edited("{kind: agent, agent: writer", "{kind: crew, agent: writer"),
                "nodes[1].node.kind",
                "not available yet",
            ),
            (
                edited("description: \"Write", "beschreibung: \"Write"),
                "nodes[1].node.task.beschreibung",
                "unknown field",
            ),
            (edited("agents: {writer: {role: Writer,", "agents: {writer: {"), "agents.writer", "missing field `role`"),
            (edited("backstory: \"...\", model", "model"), "nodes[0].agent", "did not match"),
            (edited("needs: [split]", "needs: [split"), "line", "not YAML or JSON"),
            (edited("name: fan", "name: fan\nname: fan2"), "line", "duplicate"),
        ];
        for (text, path, message) in cases {
            let issues = parse(&text).expect_err(&text);
            let found = issues.iter().any(|issue| issue.path.starts_with(path) && issue.message.contains(message));
            assert!(found, "{path} {message}: {issues:?}");
        }
    }

    #[test]
    fn size_depth_and_aliases_are_bounded() {
        let large = format!("{FAN}\n# {}", "x".repeat(DOCUMENT_BYTES_MAX));
        let deep = format!("name: x\nnodes: []\ninput: {}1{}", "[".repeat(40), "]".repeat(40));
        let deep_json = format!("{{\"name\":\"x\",\"nodes\":[],\"input\":{}1{}}}", "[".repeat(100), "]".repeat(100));
        let mut bomb = "name: x\nnodes: []\ninput:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            let _ = writeln!(bomb, "  a{level}: &a{level} [{aliases}]");
        }
        let wide =
            format!("name: x\nnodes: []\ninput:\n  t: &t {}\n  l: [{}]\n", "y".repeat(60_000), ["*t"; 50].join(", "));
        for text in [large, deep, deep_json, bomb, wide, "a: ".repeat(5_000), "[".repeat(5_000), "? ".repeat(5_000)] {
            let started: String = text.chars().take(60).collect();
            assert!(parse(&text).is_err(), "{started}");
        }
    }
}
