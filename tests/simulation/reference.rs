//! A small model of what should follow: which steps a shape has, what each is asked, and what it says. Written from the
//! documents, not from the engine.

use std::collections::BTreeMap;

use convoke_tests::engine::shapes::Shape;
use serde_json::{Value, json};

/// A step: task, item, round.
pub type Step = (&'static str, Option<u32>, u32);

/// What a step says.
pub fn said((task, item, round): Step) -> String {
    let item = item.map_or_else(|| "null".to_owned(), |item| item.to_string());
    format!("{task}-{item}-{round}")
}

const CHAIN: [&str; 8] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];

/// The steps that ask a model, each with what it has to know, and what it has to know of the items it waits for.
pub fn steps(shape: Shape) -> Vec<(Step, Vec<Step>, Vec<Step>)> {
    let once = |task: &'static str| (task, None, 1);
    let knows = |task: &'static str, known: &[Step]| (once(task), known.to_vec(), Vec::new());
    match shape {
        Shape::One => vec![knows("a", &[])],
        Shape::Chain(length) => {
            let link =
                |i: usize| knows(CHAIN[i], &i.checked_sub(1).map(|i| once(CHAIN[i])).into_iter().collect::<Vec<_>>());
            (0..length).map(link).collect()
        }
        Shape::Diamond => vec![
            knows("a", &[]),
            knows("b", &[once("a")]),
            knows("c", &[once("a")]),
            knows("d", &[once("b"), once("c")]),
        ],
        Shape::Fan { items, .. } => {
            let all: Vec<Step> = (0..items).map(|item| ("m", Some(item), 1)).collect();
            let each = all.iter().map(|step| (*step, vec![once("a")], Vec::new()));
            let ends = [knows("a", &[]), knows("z", &all)];
            each.chain(ends).collect()
        }
        Shape::Ordered { items } => ordered(items),
        Shape::Loop { rounds } => {
            let round = |round: u32| {
                let before: Vec<Step> =
                    if round == 1 { Vec::new() } else { vec![("x", None, round - 1), ("y", None, round - 1)] };
                let y = [&before[before.len().min(1)..], &[("x", None, round)]].concat();
                [(("x", None, round), before, Vec::new()), (("y", None, round), y, Vec::new())]
            };
            let last = knows("z", &[("x", None, rounds), ("y", None, rounds)]);
            (1..=rounds).flat_map(round).chain([last]).collect()
        }
        Shape::Reviewed { rounds, .. } => {
            let x = |round: u32| ("x", None, round);
            let round = |round: u32| (x(round), (1..round).next_back().map(x).into_iter().collect(), Vec::new());
            let ends = [knows("s", &[]), knows("z", &[x(rounds), once("s")])];
            (1..=rounds).map(round).chain(ends).collect()
        }
        Shape::Branch => vec![knows("a", &[]), knows("yes", &[once("if")]), knows("z", &[once("yes"), once("no")])],
    }
}

/// A map whose item `i` > 2 waits for item `i / 2`; each is done after one round of code and test.
fn ordered(items: u32) -> Vec<(Step, Vec<Step>, Vec<Step>)> {
    let a = ("a", None, 1);
    let of = |item: u32| {
        let (code, test) = (("code", Some(item), 1), ("test", Some(item), 1));
        let other = item / 2;
        let awaited = if item > 2 { vec![("code", Some(other), 1), ("test", Some(other), 1)] } else { Vec::new() };
        [(code, vec![a], awaited.clone()), (test, vec![a, code], awaited)]
    };
    let all: Vec<Step> =
        (0..items).map(|i| ("code", Some(i), 1)).chain((0..items).map(|i| ("test", Some(i), 1))).collect();
    let ends = [(a, Vec::new(), Vec::new()), (("z", None, 1), all, Vec::new())];
    (0..items).flat_map(of).chain(ends).collect()
}

/// What a step is asked, but for its job.
pub fn question((step, known, awaited): &(Step, Vec<Step>, Vec<Step>), input: &Value) -> Value {
    let (task, item, round) = step;
    json!({
        "input": input,
        "task": task,
        "item": item,
        "round": round,
        "known": outputs(known),
        "awaited": outputs(awaited),
    })
}

fn outputs(steps: &[Step]) -> BTreeMap<&'static str, Vec<Value>> {
    let mut by_task: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    for step in steps {
        // What a condition leaves is its verdict; the side that wasn't taken leaves nothing.
        let output = match step.0 {
            "no" => continue,
            "if" => json!(true),
            _ => json!(said(*step)),
        };
        by_task.entry(step.0).or_default().push(output);
    }
    by_task
}
