use std::fmt::Write as _;

use convoke_domain::graph::{Join, OnBound, OnError, Work};
use serde_json::json;

use super::*;
use crate::flow::spec::ReadKind;
use crate::flow::{parse, validate_input};

const FLOW: &str = r#"
name: sample
input: {type: object, properties: {idea: {type: string}, rounds: {type: integer, default: 2}}, required: [idea]}
nodes:
  - id: design
    kind: loop
    until: reviewer.output.agreed
    rounds_max: input.rounds
    small: {rounds_max: 1}
    nodes:
      - id: drafter
        kind: agent
        agent: writer
        task: {description: "Draft {{ input.idea }}", expected_output: "A draft"}
      - id: reviewer
        kind: agent
        agent: writer
        task:
          description: "Review {% if round > 1 %}again{% endif %}"
          expected_output: "A verdict"
          output: {type: object, properties: {agreed: {type: boolean}, parts: {type: array, items: {type: object, properties: {id: {type: string}, deps: {type: array}}}}}}
  - id: big
    kind: condition
    needs: [design]
    if: size(reviewer.output.parts) > 1
    then: [work]
    else: [short]
  - id: work
    kind: map
    needs: [design]
    over: design.output.parts
    key: item.id
    after: item.deps
    node:
      kind: loop
      until: checker.output.ok
      until_after: checker
      rounds_max: 3
      on_bound: fail
      nodes:
        - id: maker
          kind: agent
          agent: writer
          task: {description: "Make {{ item.id }}", expected_output: "Files", writes: {scope: "[item.id + '.txt']"}, files: [after]}
        - id: checker
          kind: agent
          agent: writer
          task: {description: "Check {{ index }}", expected_output: "A verdict", files: [maker], output: {type: object, properties: {ok: {type: boolean}}}}
  - id: short
    kind: agent
    agent: {role: "R {{ input.idea }}", goal: G, backstory: B, model: smart}
    task: {description: "Short", expected_output: "A text"}
  - id: done
    kind: join
    mode: any
    needs: [work, short]
  - id: report
    kind: agent
    needs: [done, work]
    attempts: 5
    agent: writer
    task: {description: "{{ work.count }}{% for w in work.output %}{{ w.maker }}{% endfor %}", expected_output: "A report"}
agents: {writer: {role: Writer, goal: "G", backstory: "B"}}
"#;

fn compiled(text: &str, capability: Capability) -> Result<CompiledFlow, Vec<FlowIssue>> {
    compile(&parse(text).expect("a document"), capability)
}

fn flow() -> CompiledFlow {
    compiled(FLOW, Capability::Capable).expect("compiles")
}

#[test]
fn the_graph_is_what_the_document_says() {
    let graph = flow().graph;
    let node = |id: &str| &graph.nodes[graph.index_of(id).expect(id)];
    assert_eq!(
        node("design").thread().tasks.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(),
        ["drafter", "reviewer"]
    );
    assert!(node("design").thread().looped);
    assert_eq!((node("work").branches[0].node, node("work").branches[0].when), (1, true));
    assert_eq!((node("short").branches[0].node, node("short").branches[0].when), (1, false));
    assert_eq!(node("short").needs, [1]);
    assert_eq!(node("done").join, Join::Any);
    assert_eq!(node("report").thread().tasks[0].attempts_max, 5);
    let Work::Map(map) = &node("work").work else { panic!("a map") };
    assert!(map.ordered && map.thread.looped && map.concurrency == 50 && map.on_error == OnError::Fail);
    assert_eq!((map.thread.rounds_max, map.thread.on_bound), (3, OnBound::Fail));
}

#[test]
fn every_task_knows_what_it_reads() {
    let flow = flow();
    let reads = |id: &str| {
        let reads = flow.task(id).expect(id).reads.iter();
        reads.map(|r| format!("{:?} {}", r.kind, r.task)).collect::<Vec<_>>()
    };
    assert_eq!(reads("drafter"), ["SameLoop drafter", "SameLoop reviewer"]);
    assert_eq!(reads("big"), ["Thread reviewer"]);
    // The list that the map runs over is not in each item's context.
    assert_eq!(reads("maker"), ["SameItem checker", "SameItem maker", "After maker"]);
    assert_eq!(reads("checker"), ["SameItem checker", "SameItem maker"]);
    assert_eq!(reads("short"), [""; 0]);
    assert_eq!(reads("done"), ["Map work", "Thread short"]);
    assert_eq!(reads("report"), ["Map work", "Thread done"]);
    let work = flow.map(2).expect("a map");
    assert_eq!(work.reads, [Read { node: 0, task: "reviewer".into(), kind: ReadKind::Thread }]);
    assert_eq!(flow.loop_of(0).expect("a loop").until_after, "reviewer");
    let files = |id: &str| flow.task(id).expect(id).files.iter().map(|r| (r.kind, r.task.clone())).collect::<Vec<_>>();
    assert_eq!(files("checker"), [(ReadKind::SameItem, "maker".into())]);
    assert_eq!(files("maker"), [(ReadKind::SameItem, "maker".into()), (ReadKind::After, "maker".into())]);
    assert_eq!(flow.task("short").and_then(TaskSpec::model), Some("smart"));
    assert!(flow.task("maker").is_some_and(TaskSpec::writes));
}

#[test]
fn rounds_come_from_the_input_or_from_the_kind_of_model() {
    let rounds = |flow: &CompiledFlow| flow.graph.nodes[0].thread().rounds_max;
    let flow = flow();
    let input = validate_input(&flow, &json!({"idea": "x"})).expect("valid");
    assert_eq!(rounds(&flow.for_input(&input).expect("bounded")), 2);
    assert_eq!(rounds(&flow.for_input(&json!({"rounds": 7})).expect("bounded")), 7);
    for bad in [json!({"rounds": 0}), json!({"rounds": 10_001}), json!({"rounds": "many"}), json!({})] {
        assert!(flow.for_input(&bad).is_err(), "{bad}");
    }
    let small = compiled(FLOW, Capability::Small).expect("compiles");
    assert_eq!(rounds(&small.for_input(&json!({})).expect("bounded")), 1);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn says_what_is_wrong_and_where() {
    let cases = [
        ("name: sample", "name: Sample", "name", "no name of a flow", "lower-case"),
        ("id: big", "id: design", "nodes[1].id", "already the id of nodes[0].id", "unique"),
        ("id: checker", "id: drafter", "nodes[2].node.nodes[1].id", "already the id", "unique"),
        ("id: short", "id: item", "nodes[3].id", "a meaning of its own", "another name"),
        ("id: short", "id: sh-ort", "nodes[3].id", "is no id", "underscores"),
        (
            "needs: [work, short]",
            "needs: [work, shrot]",
            "nodes[4].needs[1]",
            "no node \"shrot\"",
            "did you mean \"short\"",
        ),
        (
            "needs: [work, short]",
            "needs: [work, maker]",
            "nodes[4].needs[1]",
            "no node \"maker\"",
            "inside of \"work\"",
        ),
        ("else: [short]", "else: [nope]", "nodes[1].else[0]", "no node \"nope\"", ""),
        ("else: [short]", "else: [work]", "nodes[1].else[0]", "in then and in else", ""),
        (
            "    kind: loop\n    until",
            "    kind: loop\n    needs: [report]\n    until",
            "nodes[",
            "wait for each other",
            "loop",
        ),
        ("mode: any", "mode: all", "", "", ""),
        ("needs: [done, work]", "needs: [work, short, done]", "", "", ""),
        (
            "{{ input.idea }}\", exp",
            "{{ input.iea }}\", exp",
            "nodes[0].nodes[0].task.description",
            "no field \"iea\"",
            "\"idea\"",
        ),
        (
            "{{ input.idea }}\", exp",
            "{{ report.output }}\", exp",
            "nodes[0].nodes[0].task",
            "isn't among what",
            "needs of \"design\"",
        ),
        ("{{ input.idea }}\", exp", "{{ nope }}\", exp", "nodes[0].nodes[0].task", "unknown name \"nope\"", ""),
        ("{{ input.idea }}\", exp", "{{ item }}\", exp", "nodes[0].nodes[0].task", "only inside a map", ""),
        (
            "{{ input.idea }}\", exp",
            "{{ reviewer }}\", exp",
            "nodes[0].nodes[0].task",
            "alone is no value",
            "reviewer.output",
        ),
        (
            "{{ input.idea }}\", exp",
            "{{ reviewer.outptu }}\", exp",
            "nodes[0].nodes[0].task",
            "no field \"outptu\"",
            "output, files",
        ),
        ("{{ input.idea }}\", exp", "{{ drafter.output.x }}\", exp", "nodes[0].nodes[0].task", "is a text", "schema"),
        ("{{ input.idea }}\", exp", "{{ job.name }}\", exp", "nodes[0].nodes[0].task", "job has no field", "id, model"),
        ("{{ input.idea }}\", exp", "{{ oops\", exp", "nodes[0].nodes[0].task.description", "can't be read", ""),
        ("{{ input.idea }}\", exp", "{% include 'x' %}\", exp", "nodes[0].nodes[0].task.description", "include", ""),
        (
            "Make {{ item.id }}",
            "Make {{ item.nmae }}",
            "nodes[2].node.nodes[0].task.description",
            "item has no field",
            "its schema has id, deps",
        ),
        ("Make {{ item.id }}", "Make {{ work.output }}", "nodes[2].node.nodes[0].task", "isn't done", ""),
        (
            "description: \"Short\"",
            "description: \"{{ round }}\"",
            "nodes[3].task.description",
            "only inside a loop",
            "",
        ),
        (
            "description: \"Short\"",
            "description: \"{{ after.files }}\"",
            "nodes[3].task.description",
            "inside a map",
            "",
        ),
        (
            "description: \"Short\"",
            "description: \"{{ short.output }}\"",
            "nodes[3].task.description",
            "isn't done",
            "",
        ),
        (
            "description: \"{{ work.count }}",
            "description: \"{{ maker.output }}",
            "nodes[5].task.description",
            "once per item",
            "work.output",
        ),
        (
            "until: reviewer.output.agreed",
            "until: reviewer.output.agred",
            "nodes[0].until",
            "no field \"agred\"",
            "\"agreed\"",
        ),
        ("until: reviewer.output.agreed", "until: reviewer.output.agreed &&", "nodes[0].until", "can't be read", "CEL"),
        ("until: reviewer.output.agreed", "until: matches(1)", "nodes[0].until", "unknown function matches/1", ""),
        ("until_after: checker", "until_after: drafter", "nodes[2].node.until_after", "isn't in the loop", ""),
        ("rounds_max: input.rounds", "rounds_max: 0", "nodes[0].rounds_max", "0 is out of range", "1 to 10000"),
        ("rounds_max: input.rounds", "rounds_max: 'round'", "nodes[0].rounds_max", "the input alone", ""),
        (
            "rounds_max: input.rounds",
            "rounds_max: input.ronds",
            "nodes[0].rounds_max",
            "no field \"ronds\"",
            "\"rounds\"",
        ),
        ("over: design.output.parts", "over: design.output.prts", "nodes[2].over", "no field \"prts\"", "\"parts\""),
        ("after: item.deps", "after: maker.output", "nodes[2].after", "isn't done", ""),
        ("after: item.deps", "after: item.deps\n    items_max: 65", "nodes[2].items_max", "65 items", "1 to 64"),
        (
            "after: item.deps",
            "after: item.deps\n    concurrency: 0",
            "nodes[2].concurrency",
            "0 is out of range",
            "512",
        ),
        ("files: [maker]", "files: [mkaer]", "nodes[2].node.nodes[1].task.files[0]", "unknown name", "\"maker\""),
        (
            "files: [maker]",
            "guardrails: [planz]",
            "nodes[2].node.nodes[1].task.guardrails[0]",
            "no guardrail",
            "plan, files",
        ),
        ("files: [maker]", "context: [short]", "nodes[2].node.nodes[1].task.context[0]", "isn't among", ""),
        ("files: [maker]", "temperature: 3", "nodes[2].node.nodes[1].task.temperature", "out of range", "0 to 2"),
        ("attempts: 5", "attempts: 11", "nodes[5].attempts", "11 is out of range", "1 to 10"),
        (
            "agent: writer\n    task: {description: \"{{",
            "agent: wrtier\n    task: {description: \"{{",
            "nodes[5].agent",
            "no agent",
            "\"writer\"",
        ),
        ("goal: \"G\"", "goal: \"{{ input.iea }}\"", "nodes[0].nodes[0].agent.goal", "no field \"iea\"", ""),
        ("goal: \"G\"", "goal: \"{{ x\"", "agents.writer.goal", "can't be read", ""),
        (
            "agreed: {type: boolean}",
            "agreed: {type: bolean}",
            "nodes[0].nodes[1].task.output.properties.agreed.type",
            "no JSON Schema",
            "",
        ),
        (
            "output: {type: object, properties: {ok",
            "output: {type: array, items: {ok",
            "nodes[2].node.nodes[1].task.output",
            "isn't one of an object",
            "",
        ),
    ];
    let mut failures = Vec::new();
    for (from, to, path, message, hint) in cases {
        assert!(FLOW.contains(from), "{from}");
        let text = FLOW.replacen(from, to, 1);
        let doc = parse(&text).expect(to);
        let outcome = compile(&doc, Capability::Capable);
        let fits = |i: &FlowIssue| i.path.starts_with(path) && i.message.contains(message) && i.hint.contains(hint);
        let as_expected = match &outcome {
            Ok(_) => message.is_empty(),
            Err(issues) => !message.is_empty() && issues.iter().any(fits),
        };
        if !as_expected {
            failures.push(format!("{to}: {:#?}", outcome.map(|flow| flow.name)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn bodies_that_are_not_available_are_refused() {
    let task = "{description: d, expected_output: e}";
    let agent = format!("{{kind: agent, id: a, agent: {{role: r, goal: g, backstory: b}}, task: {task}}}");
    let cases = [
        (
            "{kind: map, id: m, over: '[1]', node: {kind: map, id: n, over: '[1]', node: AGENT}}",
            "nodes[0].node",
            "can't be a map yet",
        ),
        ("{kind: map, id: m, over: '[1]', node: {kind: join, id: n}}", "nodes[0].node", "can't be a join yet"),
        ("{kind: map, id: m, over: '[1]', node: AGENT}", "nodes[0].node.id", "named after the map"),
        ("{kind: loop, id: m, until: 'true', rounds_max: 1, nodes: []}", "nodes[0].nodes", "1 to 16 nodes"),
        (
            "{kind: loop, id: m, until: 'true', rounds_max: 1, nodes: [{kind: map, id: n, over: '[1]', node: AGENT}]}",
            "nodes[0].nodes[0]",
            "isn't available yet",
        ),
        (
            "{kind: loop, id: m, until: 'true', rounds_max: 1, nodes: [AGENT, {kind: condition, id: c, if: 'true', then: [m]}]}",
            "nodes[0].nodes[1]",
            "no branches",
        ),
    ];
    for (node, path, message) in cases {
        let text = format!("name: x\nnodes:\n  - {}\n", node.replace("AGENT", &agent));
        let issues = compiled(&text, Capability::Capable).expect_err(node);
        assert!(issues.iter().any(|i| i.path == path && i.message.contains(message)), "{node}: {issues:#?}");
    }
}

#[test]
fn a_node_that_no_outcome_lets_run_is_refused() {
    let flow = |extra: &str| {
        let node = |id: &str, needs: &str| {
            format!(
                "  - {{kind: agent, id: {id}, needs: [{needs}], agent: a, task: {{description: d, expected_output: e}}}}\n"
            )
        };
        let conditions = "  - {kind: condition, id: c, if: 'true', then: [yes], else: [no]}\n  - {kind: condition, id: d, needs: [yes], if: 'true', then: [both]}\n";
        let rest = "agents: {a: {role: r, goal: g, backstory: b}}\n";
        format!("name: x\nnodes:\n{conditions}{}{}{}{extra}{rest}", node("yes", ""), node("no", ""), node("both", ""))
    };
    assert!(compiled(&flow(""), Capability::Capable).is_ok());
    let never = "  - {kind: condition, id: e, needs: [no], if: 'true', then: [both]}\n";
    let issues = compiled(&flow(never), Capability::Capable).expect_err("unreachable");
    assert!(issues[0].path == "nodes[4]" && issues[0].message.contains("can never run"), "{issues:?}");
}

#[test]
fn a_flow_of_500_nodes_compiles_fast() {
    let mut text = "name: long\nagents: {a: {role: r, goal: g, backstory: b}}\nnodes:\n".to_owned();
    for n in 0..500 {
        let needs = if n == 0 { String::new() } else { format!("needs: [n{}], ", n - 1) };
        let before = if n == 0 { "input.x".to_owned() } else { format!("n{}.output", n - 1) };
        let _ = writeln!(
            text,
            "  - {{kind: agent, id: n{n}, {needs}agent: a, task: {{description: \"{{{{ {before} }}}}\", expected_output: e}}}}"
        );
    }
    let doc = parse(&text).expect("a document");
    let flow = compile(&doc, Capability::Capable).expect("compiles");
    assert_eq!(flow.tasks().count(), 500);
    assert_eq!(flow.task("n7").expect("n7").reads.len(), 1);
}
