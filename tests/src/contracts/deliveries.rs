//! `Deliveries`, and what the sweep sees of them.

use convoke_app::ports::{Attempt, Saved, Submission, Submitted};
use convoke_domain::delivery::Delivery;
use convoke_domain::ids::{JobKey, TargetId};

use super::Table;
use super::jobs::tenant;
use crate::samples::{NOW_MS, idempotency, job, submission, webhook_id};

/// Shards of deliveries.
const SHARDS: u8 = 4;

fn target(n: u32) -> TargetId {
    TargetId::Webhook(webhook_id(n))
}

/// A submission that tells targets 1 to `count`.
fn telling(key: &JobKey, count: u32) -> Submission {
    let deliveries = (1..=count).map(|n| Delivery::new(target(n), NOW_MS)).collect();
    Submission { deliveries, ..submission(key) }
}

async fn due(table: &impl Table, now_ms: u64) -> Vec<(JobKey, TargetId)> {
    let mut all = Vec::new();
    for shard in 0..SHARDS {
        all.extend(table.due_deliveries(shard, now_ms, 1_000).await.expect("up"));
    }
    all.sort();
    all
}

fn mark(text: &str) -> String {
    text.to_owned()
}

/// A job's submission makes its deliveries, once; each is then replaced version by version, and never made anew.
pub async fn deliveries_begin_with_their_job(table: &impl Table) {
    let key = job("acme", 1);
    assert_eq!(table.delivery(&key, &target(1)).await.expect("up"), None);
    let all = Submission { idempotency: Some(idempotency("k", "b")), ..telling(&key, 10) };
    for _ in 0..2 {
        assert_eq!(table.submit(&all).await.expect("up"), Submitted::Created);
    }
    let first = Delivery::new(target(1), NOW_MS);
    assert_eq!(table.delivery(&key, &target(1)).await.expect("up"), Some(first.clone()));
    assert_eq!(table.delivery(&job("zen", 1), &target(1)).await.expect("up"), None);
    assert_eq!(table.delivery(&key, &target(11)).await.expect("up"), None);

    let mine = first.claim(NOW_MS, "mine").expect("free");
    let theirs = first.claim(NOW_MS, "theirs").expect("free");
    for _ in 0..2 {
        assert_eq!(table.save_delivery(&key, &mine).await.expect("up"), Saved::Done, "a repeat says the same");
    }
    assert_eq!(table.save_delivery(&key, &theirs).await.expect("up"), Saved::Conflict(mine.clone()));
    assert_eq!(table.submit(&all).await.expect("up"), Submitted::Created);
    assert_eq!(table.delivery(&key, &target(1)).await.expect("up"), Some(mine.clone()), "not begun again");
    assert_eq!(table.save_delivery(&job("acme", 2), &mine).await.expect("up"), Saved::Missing);
    let another = Submission { idempotency: Some(idempotency("k", "b")), ..telling(&job("acme", 3), 1) };
    let earlier = Submitted::Earlier { job: key.job.clone(), body_hash: mark("b") };
    assert_eq!(table.submit(&another).await.expect("up"), earlier);
    assert_eq!(table.delivery(&job("acme", 3), &target(1)).await.expect("up"), None, "all or nothing");
}

/// The sweep sees what is due, oldest first, until it is over; jobs that are due are another matter.
pub async fn deliveries_are_due_until_they_are_over(table: &impl Table) {
    let (first, second) = (job("acme", 1), job("zen", 2));
    table.submit(&telling(&first, 2)).await.expect("up");
    table.submit(&telling(&second, 1)).await.expect("up");
    table.submit(&submission(&job("acme", 3))).await.expect("up");
    let new = Delivery::new(target(1), NOW_MS);
    let due_ms = new.due_ms.expect("due some time");
    assert_eq!(due(table, due_ms - 1).await, []);
    let all = [(first.clone(), target(1)), (first.clone(), target(2)), (second.clone(), target(1))];
    assert_eq!(due(table, due_ms).await, all);

    let mine = new.claim(due_ms, "n").expect("free");
    assert_eq!(table.save_delivery(&first, &mine).await.expect("up"), Saved::Done);
    assert_eq!(due(table, due_ms).await, all[1..], "its lease runs");
    let until_ms = mine.due_ms.expect("due when it runs out");
    assert_eq!(due(table, until_ms).await, all);
    for shard in 0..SHARDS {
        let shown = table.due_deliveries(shard, until_ms, 2).await.expect("up");
        assert!(shown.len() <= 2);
        if let [(a, one), (b, two)] = shown.as_slice() {
            assert_eq!((a == b).then_some((one, two)), (a == b).then_some((&target(2), &target(1))), "oldest first");
        }
    }
    let over = mine.told("n", mark("told"), (1, until_ms)).expect("mine");
    assert_eq!(table.save_delivery(&first, &over).await.expect("up"), Saved::Done);
    assert_eq!(due(table, u64::from(u32::MAX) * 1_000_000).await, all[1..], "never again");
    let again = over.send_again(mark("again"), (0, until_ms)).expect("room");
    assert_eq!(table.save_delivery(&first, &again).await.expect("up"), Saved::Done);
    assert_eq!(due(table, until_ms).await, all);
}

fn attempt(n: u32) -> Attempt {
    Attempt {
        v: 1,
        id: job("acme", n).job.to_string(),
        message: format!("msg_{n}"),
        job: (n != 3).then(|| job("acme", 1).job),
        seq: u64::from(n),
        event_type: "job.ended".into(),
        attempt: 1,
        status: (n != 2).then_some(200),
        error: (n == 2).then(|| mark("no answer")),
        gave_up: n == 2,
        took_ms: 5,
        at_ms: NOW_MS,
        expires_s: NOW_MS / 1_000 + 86_400,
    }
}

/// Tries at a webhook, newest first, in pages, each once; each is found by its id; another tenant's and another webhook's
/// aren't there.
pub async fn tries_are_listed_newest_first(table: &impl Table) {
    let (acme, zen) = (tenant("acme"), tenant("zen"));
    for n in [3, 1, 5, 2, 4, 4] {
        table.log_attempt(&acme, &webhook_id(1), &attempt(n)).await.expect("up");
    }
    table.log_attempt(&acme, &webhook_id(2), &attempt(6)).await.expect("up");
    table.log_attempt(&zen, &webhook_id(1), &attempt(7)).await.expect("up");
    let mut seen = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let page = table.attempts(&acme, &webhook_id(1), before.as_deref(), 2).await.expect("up");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some(last.id.clone());
        seen.extend(page);
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(attempt));
    let id = attempt(2).id;
    assert_eq!(table.attempt(&acme, &webhook_id(1), &id).await.expect("up"), Some(attempt(2)));
    assert_eq!(table.attempt(&acme, &webhook_id(2), &id).await.expect("up"), None);
    assert_eq!(table.attempt(&zen, &webhook_id(1), &id).await.expect("up"), None);
}
