//! The flows that are measured, as a caller submits them.

use serde_json::{Value, json};

/// What a job looks like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// So many steps, one after the other.
    Chain(u64),
    /// One step, so many side by side (at most 50 at once), one step.
    Fan(u64),
    /// A loop of so many rounds.
    LongChain(u64),
    /// A chain of two, where somebody approves what the first has said before the second begins.
    Reviewed,
}

/// The review of [`Shape::Reviewed`].
pub const REVIEW: &str = "approve";

impl Shape {
    /// What tables call it.
    pub fn name(self) -> String {
        match self {
            Self::Fan(items) => format!("1 -> {items} -> 1"),
            Self::Chain(steps) | Self::LongChain(steps) => format!("chain of {steps}"),
            Self::Reviewed => String::from("1 -> a person -> 1"),
        }
    }

    /// Steps that ask the model.
    pub const fn steps(self) -> u64 {
        match self {
            Self::Fan(items) => items + 2,
            Self::Chain(steps) | Self::LongChain(steps) => steps,
            Self::Reviewed => 2,
        }
    }

    /// The body of `POST /v1/jobs`.
    pub fn submission(self) -> Value {
        let (nodes, input) = match self {
            Self::Chain(steps) => ((0..steps).map(link).collect(), json!({})),
            Self::Fan(items) => (fan(), json!({ "items": (0..items).collect::<Vec<u64>>() })),
            Self::LongChain(rounds) => (vec![long(rounds)], json!({})),
            Self::Reviewed => (reviewed(), json!({})),
        };
        let writer = json!({"role": "Writer", "goal": "Write", "backstory": "You write."});
        json!({
            "flow": {"name": "bench", "nodes": nodes, "agents": {"writer": writer}},
            "input": input,
            "budget": {"usd": "100", "tokens": 100_000_000},
        })
    }
}

fn agent(id: &str, needs: &[String], context: &[String]) -> Value {
    let task = json!({"description": "Write on", "expected_output": "A text", "context": context});
    json!({"id": id, "kind": "agent", "needs": needs, "agent": "writer", "task": task})
}

fn link(index: u64) -> Value {
    let needs: Vec<String> = index.checked_sub(1).map(|before| format!("s{before}")).into_iter().collect();
    agent(&format!("s{index}"), &needs, &needs)
}

fn fan() -> Vec<Value> {
    let item = json!({"kind": "agent", "agent": "writer", "task": {"description": "Write {{ item }}", "expected_output": "A text"}});
    let map = json!({"id": "work", "kind": "map", "needs": ["split"], "over": "input.items", "concurrency": 50, "node": item});
    vec![agent("split", &[], &[]), map, agent("done", &["work".into()], &["work".into()])]
}

fn long(rounds: u64) -> Value {
    json!({"id": "long", "kind": "loop", "nodes": [agent("link", &[], &[])], "until": "false", "rounds_max": rounds, "on_bound": "proceed"})
}

fn reviewed() -> Vec<Value> {
    let review = json!({"id": REVIEW, "kind": "review", "needs": ["s0"], "question": "Is it good?", "shows": ["s0"]});
    vec![agent("s0", &[], &[]), review, agent("s1", &[REVIEW.into()], &["s0".into()])]
}
