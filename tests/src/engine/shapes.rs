//! Small flows without templates: shapes, and what their steps say.

use std::collections::BTreeMap;

use convoke_app::model::{Message, ModelProfile, ToolCall};
use convoke_app::script::{
    Accepted, Ask, Broken, Inputs, ItemList, Known, NewFile, Question, Read, ReadScope, Rejected, Script, Toolbox,
};
use convoke_domain::graph::{Branch, Graph, Join, Map, Node, OnBound, OnError, Task, TaskKind, Thread, Work};
use convoke_domain::review::{Deciders, DefaultAction, OnReject, TIME_MAX_MS, Terms};
use serde_json::{Value, json};

/// A job's shape.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// One step.
    One,
    /// So many, one after the other.
    Chain(usize),
    /// One, two side by side, one.
    Diamond,
    /// One, a map in lanes, one.
    Fan {
        /// Items of the map.
        items: u32,
        /// Lanes.
        concurrency: u32,
    },
    /// One, a map whose items wait for each other, each a loop, one.
    Ordered {
        /// Items of the map.
        items: u32,
    },
    /// A loop that is done after so many rounds, one.
    Loop {
        /// Rounds.
        rounds: u32,
    },
    /// One, a condition, one of two, one.
    Branch,
    /// Rounds of a step and a review of it, approved in the last one, and one beside them; one.
    Reviewed {
        /// Rounds.
        rounds: u32,
        /// Whether nobody decides, so that the first round is approved by default, and later on another review beside it.
        is_left: bool,
    },
}

/// How long nobody decides where a review is left alone.
pub const LEFT_MS: u64 = 10 * 60_000;
/// The same for the review beside it: longer than any deadline that is drawn for a job.
pub const LEFT_LATE_MS: u64 = 60 * 60_000;

impl Shape {
    /// Steps that ask a model.
    pub fn model_steps(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Chain(length) => length as u64,
            Self::Diamond => 4,
            Self::Fan { items, .. } => u64::from(items) + 2,
            Self::Ordered { items } => 2 * u64::from(items) + 2,
            Self::Loop { rounds } => 2 * u64::from(rounds) + 1,
            Self::Branch => 3,
            Self::Reviewed { rounds, .. } => u64::from(rounds) + 2,
        }
    }

    fn graph(self) -> Graph {
        let nodes = match self {
            Self::One => vec![agent("a", &[])],
            Self::Chain(length) => (0..length)
                .map(|i| agent(&format!("c{i}"), if i == 0 { &[] } else { std::slice::from_ref(&NEEDS[i - 1]) }))
                .collect(),
            Self::Diamond => vec![agent("a", &[]), agent("b", &[0]), agent("c", &[0]), agent("d", &[1, 2])],
            Self::Fan { concurrency, .. } => {
                vec![agent("a", &[]), map(concurrency, false, thread(&["m"], 1)), agent("z", &[1])]
            }
            Self::Ordered { .. } => vec![agent("a", &[]), map(4, true, thread(&["code", "test"], 3)), agent("z", &[1])],
            Self::Loop { rounds } => {
                vec![node("l", &[], Work::Thread(thread(&["x", "y"], rounds + 2))), agent("z", &[0])]
            }
            Self::Reviewed { rounds, is_left } => {
                let mut thread = thread(&["x", "r"], rounds + 2);
                thread.tasks[1].kind = TaskKind::Review(terms(is_left));
                thread.looped = true;
                let nodes = [node("l", &[], Work::Thread(thread)), agent("s", &[]), agent("z", &[0, 1])];
                nodes.into_iter().chain(is_left.then(late)).collect()
            }
            Self::Branch => vec![agent("a", &[]), condition(), on("yes", true), on("no", false), agent("z", &[2, 3])],
        };
        Graph { nodes }
    }
}

const NEEDS: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn task(id: &str, kind: TaskKind) -> Task {
    Task { id: id.to_owned(), kind, attempts_max: 30 }
}

const fn terms(is_left: bool) -> Terms {
    Terms {
        deadline_ms: if is_left { LEFT_MS } else { TIME_MAX_MS },
        reminder_ms: Some(LEFT_MS / 4),
        default: if is_left { Some(DefaultAction::Approve) } else { None },
        on_reject: OnReject::Fail,
    }
}

/// A review that nothing waits for but the job's end, decided by default, and without a reminder.
fn late() -> Node {
    let terms = Terms { deadline_ms: LEFT_LATE_MS, reminder_ms: None, ..terms(true) };
    let thread = Thread { tasks: vec![task("late", TaskKind::Review(terms))], ..thread(&[], 1) };
    node("late", &[], Work::Thread(thread))
}

fn thread(ids: &[&str], rounds_max: u32) -> Thread {
    let tasks = ids.iter().map(|id| task(id, TaskKind::Agent)).collect();
    Thread { tasks, rounds_max, looped: rounds_max > 1, on_bound: OnBound::Proceed }
}

fn node(id: &str, needs: &[usize], work: Work) -> Node {
    Node { id: id.to_owned(), needs: needs.to_vec(), join: Join::All, branches: Vec::new(), work }
}

fn agent(id: &str, needs: &[usize]) -> Node {
    node(id, needs, Work::Thread(thread(&[id], 1)))
}

fn condition() -> Node {
    let thread = Thread { tasks: vec![task("if", TaskKind::Condition)], ..thread(&[], 1) };
    node("if", &[0], Work::Thread(thread))
}

fn on(id: &str, when: bool) -> Node {
    Node { branches: vec![Branch { node: 1, when }], ..agent(id, &[1]) }
}

fn map(concurrency: u32, ordered: bool, thread: Thread) -> Node {
    let map = Map { thread, concurrency, ordered, attempts_max: 30, on_error: OnError::Fail };
    node("m", &[0], Work::Map(map))
}

/// An answer that is sent back.
pub const UNUSABLE: &str = "unusable";

/// A shape as a script.
pub struct Simple {
    shape: Shape,
    graph: Graph,
}

impl Simple {
    /// The script of a shape.
    pub fn new(shape: Shape) -> Self {
        Self { shape, graph: shape.graph() }
    }

    fn node_of(&self, task: &str) -> Option<(usize, &Node)> {
        let has = |node: &&Node| node.id == task || node.thread().tasks.iter().any(|other| other.id == task);
        self.graph.nodes.iter().enumerate().find(|(_, node)| has(node))
    }
}

/// The tasks whose outputs others read: who decided, and what they said, is nobody's to know.
fn spoken(node: &Node) -> impl Iterator<Item = &Task> {
    node.thread().tasks.iter().filter(|task| !matches!(task.kind, TaskKind::Review(_)))
}

fn reads_of(index: usize, node: &Node) -> Vec<Read> {
    let scope = match node.work {
        Work::Thread(_) => ReadScope::Node(index),
        Work::Map(_) => ReadScope::Map(index),
    };
    spoken(node).map(|task| Read { task: task.id.clone(), scope, with_files: false }).collect()
}

impl Script for Simple {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    fn reads(&self, task: &str) -> Vec<Read> {
        let Some((_, node)) = self.node_of(task) else { return Vec::new() };
        let mut reads: Vec<Read> =
            node.needs.iter().flat_map(|&need| reads_of(need, &self.graph.nodes[need])).collect();
        if node.thread().looped && node.id != task {
            let own = |scope: ReadScope| {
                move |task: &Task| Read { task: task.id.clone(), scope, with_files: scope == ReadScope::Awaited }
            };
            reads.extend(spoken(node).map(own(ReadScope::Thread)));
            if matches!(node.work, Work::Map(_)) {
                reads.extend(node.thread().tasks.iter().map(own(ReadScope::Awaited)));
            }
        }
        reads
    }

    fn model(&self, _task: &str) -> Option<&str> {
        None
    }

    fn ask(&self, task: &str, inputs: &Inputs, _profile: &ModelProfile) -> Result<Ask, Broken> {
        let item = inputs.item.as_ref().map(|(index, _)| *index);
        let text = json!({
            "job": inputs.job,
            "input": inputs.input,
            "task": task,
            "item": item,
            "round": inputs.round,
            "known": outputs(&inputs.known),
            "awaited": outputs(&inputs.awaited),
        })
        .to_string();
        let messages = vec![Message::User { text }];
        Ok(Ask { messages, schema: None, tools: Vec::new(), output_tokens_max: 10, temperature: None })
    }

    fn toolbox(&self, _task: &str, _inputs: &Inputs) -> Box<dyn Toolbox> {
        Box::new(NoTools)
    }

    fn accept(&self, task: &str, inputs: &Inputs, answer: (&str, &dyn Toolbox)) -> Result<Accepted, Rejected> {
        if answer.0 == UNUSABLE {
            return Err(Rejected { feedback: "that is no answer".into(), reason: "no answer".into(), repaired: None });
        }
        let item = inputs.item.as_ref().map_or(0, |(index, _)| *index);
        let path = format!("{task}/{item}.txt");
        let file = NewFile { path, media_type: "text/plain".into(), bytes: answer.0.to_owned().into() };
        Ok(Accepted { output: json!(answer.0), files: vec![file] })
    }

    fn until(&self, task: &str, inputs: &Inputs) -> Result<Option<bool>, Broken> {
        let last = |round: u32| Some(inputs.round >= round);
        Ok(match (self.shape, task) {
            (Shape::Loop { rounds }, "y") => last(rounds),
            (Shape::Ordered { .. }, "test") => last(1),
            (Shape::Reviewed { rounds, is_left }, "r") => last(if is_left { 1 } else { rounds }),
            _ => None,
        })
    }

    fn condition(&self, _task: &str, _inputs: &Inputs) -> Result<bool, Broken> {
        Ok(true)
    }

    fn join(&self, _task: &str, _inputs: &Inputs) -> Value {
        Value::Null
    }

    fn review(&self, task: &str, inputs: &Inputs) -> Result<Option<Question>, Broken> {
        let text = format!("{task} in round {}?", inputs.round);
        Ok(Some(Question { text, shows: Vec::new(), deciders: Deciders::default() }))
    }

    fn list(&self, _map: &str, _inputs: &Inputs) -> Result<ItemList, Broken> {
        let after = |item: u32| if item > 2 { vec![u8::try_from(item / 2).expect("small")] } else { Vec::new() };
        Ok(match self.shape {
            Shape::Fan { items, .. } => {
                ItemList { items: (0..items).map(Value::from).collect(), ..ItemList::default() }
            }
            Shape::Ordered { items } => ItemList {
                items: (0..items).map(Value::from).collect(),
                needs: Some((0..items).map(after).collect()),
                ..ItemList::default()
            },
            _ => ItemList::default(),
        })
    }
}

/// Outputs by task; tasks without any are left out.
fn outputs(known: &BTreeMap<String, Vec<Known>>) -> BTreeMap<&String, Vec<&Value>> {
    let some = known.iter().filter(|(_, known)| !known.is_empty());
    some.map(|(task, known)| (task, known.iter().map(|known| &known.output).collect())).collect()
}

struct NoTools;

impl Toolbox for NoTools {
    fn call(&mut self, call: &ToolCall) -> Message {
        let content = String::from("there are no tools");
        Message::Tool { call_id: call.id.clone(), name: call.name.clone(), content, is_error: true }
    }

    fn written(&self) -> Vec<NewFile> {
        Vec::new()
    }
}
