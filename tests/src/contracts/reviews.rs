//! `Reviews`.

use convoke_app::ports::{DecisionRecord, ReviewRecord, Reviewed, Shown};
use convoke_domain::ids::StepId;
use convoke_domain::review::{Deciders, Decision, DefaultAction, Ruling};

use super::Table;
use super::groups::at_once;
use crate::samples::{NOW_MS, decision, job, step};

fn asked(step: &StepId, question: &str) -> ReviewRecord {
    ReviewRecord {
        v: 1,
        step: step.clone(),
        question: question.to_owned(),
        shows: vec![Shown {
            name: "a/b.md".into(),
            is_file: true,
            text: "\u{e9}\n".into(),
            truncated: true,
            bytes: 9_000,
            sha256: "ab".into(),
        }],
        digest: "cd".into(),
        deciders: Deciders { requester: false, people: vec!["dcu_42".parse().expect("a person")], admins: true },
        time_ms: 60_000,
        default: Some(DefaultAction::Reject),
        at_ms: NOW_MS,
    }
}

/// Of racing questions one is stored, whole, and all answer it.
pub async fn questions_are_put_once(table: &impl Table) {
    let (key, id) = (job("acme", 1), step("approve", None, Some(2)));
    assert_eq!(table.review(&key, &id).await.expect("up"), None);
    let puts = (0..8).map(|n| {
        let (table, key, record) = (table.clone(), key.clone(), asked(&id, &format!("q{n}")));
        async move { table.put_review(&key, &record).await.expect("up") }
    });
    let answers = at_once(puts).await;
    let stored = table.review(&key, &id).await.expect("up").expect("it is asked");
    assert!(answers.iter().all(|answer| *answer == stored.asked), "{answers:?}");
    assert!((0..8).any(|n| stored.asked == asked(&id, &format!("q{n}"))), "{stored:?}");
    assert_eq!(stored.decisions, []);
}

/// Decisions are kept by their marks, beside their own question and no other's; a repeat changes nothing.
pub async fn decisions_are_kept_by_their_marks(table: &impl Table) {
    let key = job("acme", 1);
    let ids = [step("a", None, None), step("a", None, Some(1)), step("a", None, Some(10)), step("ab", None, None)];
    for id in ids.iter().rev() {
        table.put_review(&key, &asked(id, "q")).await.expect("put");
    }
    let first = decision(&ids[1], "m1", Decision::Changes);
    let second = decision(&ids[1], "m2", Decision::Approve);
    let expired = DecisionRecord::expired(ids[3].clone(), "m1".into(), Ruling::Lapsed, NOW_MS);
    let changed = DecisionRecord { comment: "another".into(), ..first.clone() };
    for record in [&second, &first, &expired, &changed] {
        table.put_decision(&key, record).await.expect("put");
    }
    let expected = [vec![], vec![first, second], vec![], vec![expired]];
    let expected: Vec<Reviewed> =
        ids.iter().zip(expected).map(|(id, decisions)| Reviewed { asked: asked(id, "q"), decisions }).collect();
    assert_eq!(table.reviews(&key).await.expect("up"), expected);
    for (id, review) in ids.iter().zip(expected) {
        assert_eq!(table.review(&key, id).await.expect("up"), Some(review), "{id}");
    }
    let theirs = job("zen", 1);
    assert_eq!(table.reviews(&theirs).await.expect("up"), []);
    assert_eq!(table.review(&theirs, &ids[0]).await.expect("up"), None);
}
