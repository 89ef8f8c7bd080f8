//! Jobs whose prompts say which step asks, and the model that answers them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use convoke_tests::scripted::team::{Team, Temper};
use convoke_tests::scripted::{ChatRequest, Reply, Script, ScriptedServer};
use serde_json::{Value, json};

/// Tokens that a call is billed for, but for those of the team.
pub const CALL_TOKENS: u64 = 110;
/// Cap of each job in tokens: far more than it needs.
pub const BUDGET_TOKENS: u64 = 5_000_000;
/// Time of each job: as long as it takes to find out that a message has to come again, a few times over.
const DEADLINE_S: u64 = 24 * 3_600;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// So many steps, one after the other.
    Chain(usize),
    /// One step, so many items in so many lanes, one step.
    Fan(usize, usize),
    /// Two steps in a loop, so many rounds.
    Loop(usize),
    /// A step and a person in a loop, who sends it back until the last of so many rounds.
    Review(usize),
    /// The built-in flow, with a team that agrees in the second round.
    Software,
}

impl Shape {
    /// The submission under a name, by which its prompts are told apart.
    pub fn submission(self, name: &str) -> Value {
        let budget = json!({"usd": "20", "tokens": BUDGET_TOKENS});
        let (nodes, items) = match self {
            Self::Software => {
                let prompt = "Create a REST API for a todo application";
                return json!({"flow": "software", "input": {"prompt": prompt}, "budget": budget, "deadline_s": DEADLINE_S});
            }
            Self::Chain(steps) => (chain(steps), 0),
            Self::Fan(items, lanes) => (fan(lanes), items),
            Self::Loop(rounds) => (rounds_of(rounds), 0),
            Self::Review(rounds) => (signed(rounds), 0),
        };
        let agent = json!({"role": "Worker", "goal": "Work", "backstory": "Is patient"});
        json!({
            "flow": {"name": "faults", "agents": {"worker": agent}, "nodes": nodes},
            "input": {"name": name, "items": (0..items).collect::<Vec<_>>()},
            "budget": budget,
            "deadline_s": DEADLINE_S,
        })
    }

    /// The steps that ask the model, as it is asked; none where it isn't told.
    pub fn steps(self, name: &str) -> BTreeSet<String> {
        let marks: Vec<String> = match self {
            Self::Chain(steps) => (1..=steps).map(|step| format!("s{step}")).collect(),
            Self::Fan(items, _) => {
                let ends = ["split".to_owned(), "done".to_owned()];
                (0..items).map(|item| format!("work[{item}]")).chain(ends).collect()
            }
            Self::Loop(rounds) => (1..=rounds).flat_map(|n| [format!("draft@{n}"), format!("check@{n}")]).collect(),
            Self::Review(rounds) => (1..=rounds).map(|n| format!("draft@{n}")).collect(),
            Self::Software => Vec::new(),
        };
        marks.into_iter().map(|mark| format!("{name}/{mark}")).collect()
    }
}

fn agent(id: &str, needs: &[String], mark: &str) -> Value {
    let description = format!("step={{{{ input.name }}}}/{mark};");
    json!({
        "kind": "agent", "id": id, "needs": needs, "agent": "worker", "attempts": 10,
        "task": {"description": description, "expected_output": "A word", "output_file": format!("{id}.txt")}
    })
}

fn chain(steps: usize) -> Vec<Value> {
    let before = |step: usize| if step == 1 { Vec::new() } else { vec![format!("s{}", step - 1)] };
    (1..=steps).map(|step| agent(&format!("s{step}"), &before(step), &format!("s{step}"))).collect()
}

fn fan(lanes: usize) -> Vec<Value> {
    let mut item = agent("", &[], "work[{{ index }}]");
    item["task"]["output_file"] = json!("work/{{ index }}.txt");
    let fields = item.as_object_mut().expect("an object");
    fields.shift_remove("id");
    fields.shift_remove("needs");
    let work = json!({
        "kind": "map", "id": "work", "needs": ["split"], "over": "input.items", "concurrency": lanes, "attempts": 10,
        "node": item
    });
    vec![agent("split", &[], "split"), work, agent("done", &["work".to_owned()], "done")]
}

fn rounds_of(rounds: usize) -> Vec<Value> {
    let mut tasks = [agent("draft", &[], "draft@{{ round }}"), agent("check", &[], "check@{{ round }}")];
    for task in &mut tasks {
        let id = task["id"].as_str().expect("an id").to_owned();
        task["task"]["output_file"] = json!(format!("{id}-{{{{ round }}}}.txt"));
        task.as_object_mut().expect("an object").shift_remove("needs");
    }
    vec![json!({
        "kind": "loop", "id": "rounds", "rounds_max": rounds + 2, "until": format!("round >= {rounds}"), "nodes": tasks
    })]
}

fn signed(rounds: usize) -> Vec<Value> {
    let mut draft = agent("draft", &[], "draft@{{ round }}");
    draft["task"]["output_file"] = json!("draft-{{ round }}.txt");
    draft.as_object_mut().expect("an object").shift_remove("needs");
    let sign = json!({"kind": "review", "id": "sign", "question": "Is round {{ round }} good?", "shows": ["draft"]});
    let until = "sign.output.decision == 'approve'";
    vec![json!({"kind": "loop", "id": "rounds", "rounds_max": rounds + 2, "until": until, "nodes": [draft, sign]})]
}

/// Answers each step with its own name, the team's with what the team says.
pub struct Model;

impl Script for Model {
    fn reply(&self, request: &ChatRequest) -> Reply {
        match step_of(request) {
            Some(step) => Reply::text(format!("done: {step};"))
                .metered(json!({"prompt_tokens": 100, "completion_tokens": 10}))
                .slow(Duration::from_millis(5)),
            None => Team(Temper::Reasonable).reply(request),
        }
    }
}

/// The step that asks: the last mark of the prompt.
pub fn step_of(request: &ChatRequest) -> Option<String> {
    marks(request, "step=").pop()
}

/// The steps whose outputs stand in a prompt.
pub fn known(request: &ChatRequest) -> Vec<String> {
    marks(request, "done: ")
}

fn marks(request: &ChatRequest, before: &str) -> Vec<String> {
    let texts = request.messages().iter().filter_map(|message| message["content"].as_str());
    let marked = texts.flat_map(|text| text.split(before).skip(1));
    marked.filter_map(|rest| rest.split_once(';')).map(|(step, _)| step.to_owned()).collect()
}

/// How often each step was asked for; calls of the team stand under its name.
pub fn calls(server: &ScriptedServer) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for recorded in server.requests() {
        *calls.entry(step_of(&recorded.request).unwrap_or_else(|| "team".to_owned())).or_default() += 1;
    }
    calls
}
