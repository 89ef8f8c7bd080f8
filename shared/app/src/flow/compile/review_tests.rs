//! Reviews in documents: what compiles, and what is said of what doesn't.

use convoke_domain::graph::TaskKind;
use convoke_domain::review::{DefaultAction, OnReject, TIME_DEFAULT_MS, Terms};

use super::*;
use crate::flow::parse;

fn compiled(text: &str, capability: Capability) -> Result<CompiledFlow, Vec<FlowIssue>> {
    compile(&parse(text).expect("a document"), capability)
}

const REVIEWED: &str = r#"
name: reviewed
nodes:
  - id: plan
    kind: agent
    agent: writer
    task: {description: "Plan", expected_output: "A plan", output_file: plan.md}
  - id: approve
    kind: review
    needs: [plan]
    question: "Fine? {{ plan.output }}"
    shows: [plan, plan.md]
    if: size(plan.output) > 10
    deciders: {people: [dcu_42, tgu_7, dcu_42]}
    deadline_s: 3600
    reminder_s: 60
    default: reject
    on_reject: proceed
  - id: talk
    kind: loop
    needs: [approve]
    rounds_max: 3
    until: check.output.decision == "approve" || approve.output.expired
    nodes:
      - id: draft
        kind: agent
        agent: writer
        task: {description: "{% if round > 1 %}{{ check.output.comment }}{% endif %}", expected_output: "A draft"}
      - {id: check, kind: review, question: "Round {{ round }}?", shows: [draft, draft.md]}
agents: {writer: {role: Writer, goal: "G", backstory: "B"}}
"#;

#[test]
fn a_review_is_a_task_with_terms() {
    let flow = compiled(REVIEWED, Capability::Capable).unwrap_or_else(|issues| panic!("{issues:#?}"));
    let terms = |node: usize, task: usize| match flow.graph.nodes[node].thread().tasks[task].kind {
        TaskKind::Review(terms) => terms,
        other => panic!("{other:?}"),
    };
    let expected = Terms {
        deadline_ms: 3_600_000,
        reminder_ms: Some(60_000),
        default: Some(DefaultAction::Reject),
        on_reject: OnReject::Proceed,
    };
    assert_eq!(terms(1, 0), expected);
    let plain = Terms { deadline_ms: TIME_DEFAULT_MS, reminder_ms: None, default: None, on_reject: OnReject::Fail };
    assert_eq!(terms(2, 1), plain);
    let reads = |id: &str| {
        let task = flow.task(id).expect(id);
        let names = |reads: &[Read]| reads.iter().map(|r| format!("{:?} {}", r.kind, r.task)).collect::<Vec<_>>();
        (names(&task.reads), names(&task.files))
    };
    assert_eq!(reads("approve"), (vec!["Thread plan".to_owned()], vec!["Thread plan".to_owned()]));
    let own = vec!["SameLoop draft".to_owned()];
    assert_eq!(reads("check").0, ["Thread approve", "SameLoop draft"]);
    assert_eq!(reads("check").1[1..], own);
}

#[test]
fn what_is_wrong_with_a_review_is_said_at_its_place() {
    let edited = |from: &str, to: &str| {
        assert!(REVIEWED.contains(from), "{from}");
        REVIEWED.replacen(from, to, 1)
    };
    let cases = [
        (edited("deadline_s: 3600", "deadline_s: 59"), "nodes[1].deadline_s", "out of range", "60 to 7776000"),
        (
            edited("reminder_s: 60", "reminder_s: 3600"),
            "nodes[1].reminder_s",
            "once the time is over",
            "less than deadline_s",
        ),
        (edited("people: [dcu_42,", "people: [ann,"), "nodes[1].deciders.people[0]", "nobody's id", "dcu_"),
        (edited("{people: [dcu_42, tgu_7, dcu_42]}", "{}"), "nodes[1].deciders", "nobody in a chat", "requester: true"),
        (edited("shows: [plan, plan.md]", "shows: [plam]"), "nodes[1].shows[0]", "unknown name", "\"plan\""),
        (edited("shows: [plan, plan.md]", "shows: [../x]"), "nodes[1].shows[0]", "../x", "path"),
        (edited("shows: [plan, plan.md]", "shows: [talk]"), "nodes[1].shows[0]", "isn't among what", "needs"),
        (edited("Fine? {{ plan.output }}", "{{ plan.outptu }}"), "nodes[1].question", "no field", "output"),
        (edited("Fine? {{ plan.output }}", " "), "nodes[1].question", "nothing is asked", ""),
        (edited("size(plan.output) > 10", "size("), "nodes[1].if", "", "CEL"),
        (
            edited("approve.output.expired", "approve.output.late"),
            "nodes[2].until",
            "no field \"late\"",
            "its schema has",
        ),
        (
            edited("- {id: check, kind: review,", "- {id: check, needs: [plan], kind: review,"),
            "nodes[2].nodes[1].needs",
            "",
            "outer",
        ),
        (
            edited("shows: [draft, draft.md]", "shows: [a/1, a/2, a/3, a/4, a/5, a/6, a/7, a/8, a/9, a/10, a/11]"),
            "nodes[2].nodes[1].shows",
            "too many",
            "10",
        ),
    ];
    for (text, path, message, hint) in cases {
        let issues = compiled(&text, Capability::Capable).expect_err(path);
        let found =
            |issue: &FlowIssue| issue.path == path && issue.message.contains(message) && issue.hint.contains(hint);
        assert!(issues.iter().any(found), "{path}: {issues:#?}");
    }
    let map = "name: m\nnodes:\n  - id: all\n    kind: map\n    over: input.list\n    node: {kind: loop, until: 'true', rounds_max: 1, nodes: [{kind: review, id: r, question: q}]}\n";
    let issues = compiled(map, Capability::Capable).expect_err("a review in a map");
    assert_eq!((issues[0].path.as_str(), issues.len()), ("nodes[0].node.nodes[0]", 1), "{issues:#?}");
    let body = "name: m\nnodes:\n  - id: all\n    kind: map\n    over: input.list\n    node: {kind: review, id: r, question: q}\n";
    assert!(
        compiled(body, Capability::Capable).expect_err("a review as a map's body")[0]
            .message
            .contains("can't be a review")
    );
}
