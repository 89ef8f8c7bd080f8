//! `Steps`.

use std::collections::BTreeMap;

use convoke_app::ports::Reads;
use convoke_domain::ids::{GroupId, StepId};
use serde_json::{Value, json};

use super::Table;
use super::groups::at_once;
use crate::samples::{definition, job, result, root, step, submission, turn};

/// Of racing results one is stored, whole, and all answer it.
pub async fn results_are_put_once(table: &impl Table) {
    let key = job("acme", 1);
    let id = step("write", Some(3), Some(2));
    let puts = (0..8).map(|n| {
        let (table, key, record) = (table.clone(), key.clone(), result(&id, &format!("n{n}")));
        async move { table.put_result(&key, &record).await.expect("up") }
    });
    let answers = at_once(puts).await;
    let stored = table.results(&key, None, None, 10).await.expect("up");
    assert_eq!(stored.len(), 1);
    assert!(answers.iter().all(|answer| *answer == stored[0]), "{answers:?}");
    assert!((0..8).any(|n| stored[0] == result(&id, &format!("n{n}"))), "{stored:?}");
}

/// Task, after, limit, what comes.
type Case<'a> = (Option<&'a str>, Option<&'a StepId>, u32, &'a [StepId]);

/// By task, item and round; from anywhere, in any number.
pub async fn results_are_paged_in_order(table: &impl Table) {
    let key = job("acme", 1);
    let mut ids: Vec<StepId> =
        (0..12).flat_map(|item| [1, 2].map(|round| step("b", Some(item), Some(round)))).collect();
    ids.splice(0..0, [step("a", None, Some(1)), step("a", None, Some(10))]);
    ids.extend([step("b-2", Some(0), None), step("c", None, None)]);
    for id in ids.iter().rev() {
        table.put_result(&key, &result(id, "n")).await.expect("put");
    }
    let (from_item, before_task, after_task) = (step("b", Some(3), None), step("a", None, None), step("c", None, None));
    let cases: [Case<'_>; 8] = [
        (None, None, 100, &ids),
        (None, Some(&ids[4]), 3, &ids[5..8]),
        (Some("b"), None, 100, &ids[2..26]),
        (Some("b"), Some(&ids[24]), 100, &ids[25..26]),
        (Some("b"), Some(&from_item), 1, &ids[8..9]),
        (Some("b"), Some(&before_task), 1, &ids[2..3]),
        (Some("b"), Some(&after_task), 9, &[]),
        (Some("none"), None, 9, &[]),
    ];
    for (task, after, limit, expected) in cases {
        let page = table.results(&key, task, after, limit).await.expect("up");
        let steps: Vec<_> = page.iter().map(|record| record.step.clone()).collect();
        assert_eq!(steps, expected, "{task:?} after {after:?}");
    }
}

/// A turn is journaled once; a step's turns come in order, and no other's.
pub async fn turns_are_put_once_and_in_order(table: &impl Table) {
    let key = job("acme", 1);
    let (mine, other) = (step("a", None, Some(1)), step("a", None, Some(10)));
    for number in [2, 11, 1, 3] {
        let record = turn(&mine, number, "first");
        assert_eq!(table.put_turn(&key, &record).await.expect("up"), record);
    }
    table.put_turn(&key, &turn(&other, 1, "other")).await.expect("up");
    table.put_result(&key, &result(&mine, "n")).await.expect("up");
    let again = table.put_turn(&key, &turn(&mine, 2, "second")).await.expect("up");
    assert_eq!(again, turn(&mine, 2, "first"));
    let turns = table.turns(&key, &mine).await.expect("up");
    assert_eq!(turns, [1, 2, 3, 11].map(|number| turn(&mine, number, "first")));
}

/// One load brings the group, the definition, results of two jobs and chunks; what doesn't exist is left out.
pub async fn a_fetch_brings_what_exists(table: &impl Table) {
    let (key, parent) = (job("acme", 2), job("acme", 1));
    table.submit(&submission(&key)).await.expect("submitted");
    let id = step("a", None, None);
    let missing = step("b", None, None);
    table.put_result(&key, &result(&id, "mine")).await.expect("put");
    table.put_result(&parent, &result(&id, "parents")).await.expect("put");
    table.put_chunks(&key, 1, &[vec![json!(1)], vec![json!(2)]]).await.expect("put");
    let wanted = vec![id.clone(), missing, id.clone()];
    let reads = Reads {
        group: Some(GroupId::Root),
        definition: true,
        results: wanted.clone(),
        of_parent: Some((parent.job.clone(), wanted)),
        chunks: vec![(1, 1), (1, 2), (2, 0), (1, 1)],
    };
    let fetched = table.fetch(&key, &reads).await.expect("up");
    assert_eq!(fetched.group, Some(root()));
    assert_eq!(fetched.definition, Some(definition()));
    assert_eq!(fetched.results, BTreeMap::from([(id.clone(), result(&id, "mine"))]));
    assert_eq!(fetched.of_parent, BTreeMap::from([(id.clone(), result(&id, "parents"))]));
    assert_eq!(fetched.chunks, BTreeMap::from([((1, 1), vec![json!(2)])]));
    assert_eq!(table.fetch(&key, &Reads::default()).await.expect("up"), convoke_app::ports::Fetched::default());
}

/// More chunks than one request takes, each as it was; putting them again changes nothing.
pub async fn chunks_come_back(table: &impl Table) {
    let key = job("acme", 1);
    let chunk = |n: u32| vec![json!({"n": n, "b": 1.0, "a": null}), json!("x".repeat(2_000)), json!([])];
    let chunks: Vec<Vec<Value>> = (0..60).map(chunk).collect();
    for _ in 0..2 {
        table.put_chunks(&key, 7, &chunks).await.expect("put");
    }
    let reads = Reads { chunks: (0..61).map(|n| (7, n)).collect(), ..Reads::default() };
    let fetched = table.fetch(&key, &reads).await.expect("up");
    assert_eq!(fetched.chunks, (0..60).map(|n| ((7, n), chunk(n))).collect());
    let text = |value: &Value| value.to_string();
    assert_eq!(text(&fetched.chunks[&(7, 4)][0]), text(&chunk(4)[0]), "in its order, with its kinds of numbers");
}
