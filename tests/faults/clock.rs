//! A clock that jumps while calls are under way: work may be repeated, no result is ever wrong or doubled, and nothing
//! waits for a time that is far away.

use std::time::Duration;

use convoke_tests::faulty::Faults;
use convoke_tests::scripted::{ChatRequest, Gate, Script};
use convoke_tests::served::{Rigging, Served};

use crate::books;
use crate::client::{get, is_over, submit};
use crate::shapes::{Model, Shape, calls};

/// How far clocks jump.
const JUMP: Duration = Duration::from_mins(11);
/// Longest time until everything is over after a jump: the jump itself, a lease, and the sweep's minute.
const SETTLED_MAX: Duration = Duration::from_secs(11 * 60 + 150 + 60);

/// Two jobs, of which so many calls are under way until the gate is opened.
async fn begun(gate: &Gate) -> (Served, [String; 2]) {
    let closed = gate.clone();
    let script = move |request: &ChatRequest| Model.reply(request).held(&closed);
    let served = Served::rigged(script, &[], Rigging::default()).await;
    let ids = [("chain", Shape::Chain(3)), ("loop", Shape::Loop(2))];
    let ids = ids.map(|(name, shape)| (name, shape.submission(name)));
    let first = submit(&served, &ids[0].1, ids[0].0).await;
    let second = submit(&served, &ids[1].1, ids[1].0).await;
    served.models.asked(2).await;
    (served, [first, second])
}

/// Each job is over in bounded time, with one result per step; how often the most repeated step was asked for.
async fn over(served: &Served, ids: &[String]) -> usize {
    let mut passed = Duration::ZERO;
    for id in ids {
        passed += served.rig().pass_until("the job is over", async || is_over(served, id).await).await;
        let path = format!("/v1/jobs/{id}/events?limit=500");
        let is_told = async || get(served, &path).await["ended"] == true;
        served.rig().pass_until("its end is told", is_told).await;
        let job = get(served, &format!("/v1/jobs/{id}")).await;
        assert_eq!(job["status"], "completed", "{job:#}");
        books::check(served, id).await;
    }
    assert!(passed <= SETTLED_MAX, "{passed:?}");
    books::check_queues(served, &Faults::none()).await;
    books::check_prompts(served);
    let calls = calls(&served.models);
    let steps = Shape::Chain(3).steps("chain").into_iter().chain(Shape::Loop(2).steps("loop"));
    assert!(calls.keys().cloned().eq(steps), "{calls:?}");
    calls.into_values().max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_that_a_jump_forward_ends_are_taken_over_and_the_late_answers_count_for_nothing() {
    let gate = Gate::closed();
    let (served, ids) = begun(&gate).await;
    served.rig().time.forward(JUMP);
    // The clock finds two leases that have run out, and whoever takes them over asks again.
    served.models.asked(4).await;
    gate.open();
    assert_eq!(over(&served, &ids).await, 2, "once more per jump");
    let spent = async |id: &str| get(&served, &format!("/v1/jobs/{id}")).await["cost"]["tokens"].as_u64();
    let spent = [spent(&ids[0]).await, spent(&ids[1]).await].into_iter().flatten().sum::<u64>();
    let ledger = served.models.ledger();
    assert!(spent >= ledger.input_tokens + ledger.output_tokens, "both answers are paid: {spent}, {ledger:?}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_back_repeats_nothing_and_nothing_waits_for_what_is_far_ahead() {
    let gate = Gate::closed();
    let (served, ids) = begun(&gate).await;
    served.rig().time.back(JUMP);
    gate.open();
    assert_eq!(over(&served, &ids).await, 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forward_and_back_again_while_both_attempts_are_under_way() {
    let gate = Gate::closed();
    let (served, ids) = begun(&gate).await;
    served.rig().time.forward(JUMP);
    served.models.asked(4).await;
    served.rig().time.back(JUMP);
    gate.open();
    assert_eq!(over(&served, &ids).await, 2);
    served.stop().await;
}
