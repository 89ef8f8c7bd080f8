//! What a step costs in requests, counted under the unmodified SDK and held to the design's table.
//!
//! A job has a share of its own: its submission, its first claim, its ending, its finish. A step's share is what a longer
//! job takes more than a shorter one of the same kind, by the steps that it has more. Receives and deletes are counted as
//! Lambda's poller makes them, one of each per batch. What `notify` writes afterwards isn't a step's: it is counted apart.

mod idle;

use std::time::Duration;

use convoke_app::platform::Limits;
use convoke_tests::counting::Count;
use convoke_tests::workload::flows::Shape;
use convoke_tests::workload::plant::{Batches, Plant, Usage};

/// One message, or one record, at a time.
const SINGLY: Batches = Batches { messages: 1, records: 1 };
/// As much as a mapping delivers at once.
const FULL: Batches = Batches { messages: 10, records: 100 };
/// Bytes of an answer: a short text.
const ANSWER_BYTES: usize = 200;

/// Workers that go on in place for as long as the default says.
fn in_place() -> Limits {
    Limits::default()
}

/// Workers that ring what follows, as if their time were always up.
fn by_bells() -> Limits {
    Limits { in_place_max: Duration::ZERO, ..Limits::default() }
}

/// What so many jobs take, in a process that has seen one before.
async fn usage(limits: Limits, shape: Shape, jobs: usize, batches: Batches) -> Usage {
    let mut plant = Plant::start(limits, ANSWER_BYTES).await;
    plant.run(Shape::Chain(1), 1, batches).await;
    plant.take();
    plant.run(shape, jobs, batches).await;
    plant.take()
}

/// Requests of the engine: all but those for events.
fn engine(count: &Count) -> f64 {
    let events: u64 =
        ["PutItem E", "Query E"].iter().filter_map(|kind| count.by_operation.get(*kind)).map(|t| t.requests).sum();
    f64::from(u32::try_from(count.requests() - events).expect("few"))
}

/// Requests of one step more in a chain, of jobs that run side by side.
async fn per_step(limits: fn() -> Limits, jobs: u32, batches: Batches) -> f64 {
    const FEW: u32 = 5;
    const MANY: u32 = 15;
    let chain = |steps: u32| usage(limits(), Shape::Chain(steps.into()), jobs as usize, batches);
    let (few, many) = (engine(&chain(FEW).await.count), engine(&chain(MANY).await.count));
    (many - few) / f64::from(jobs * (MANY - FEW))
}

#[tokio::test]
async fn a_step_alone_takes_at_most_seven_requests() {
    let requests = per_step(by_bells, 1, SINGLY).await;
    assert!(requests <= 7.0, "{requests}");
}

#[tokio::test]
async fn a_step_in_a_batch_of_ten_takes_at_most_four_and_a_half() {
    let requests = per_step(by_bells, 10, FULL).await;
    assert!(requests <= 4.5, "{requests}");
}

#[tokio::test]
async fn a_step_in_place_takes_at_most_three() {
    let requests = per_step(in_place, 1, SINGLY).await;
    assert!(requests <= 3.0, "{requests}");
}

/// Requests, read units and write units of a step, the job's share and its events included.
async fn whole(shape: Shape) -> [f64; 3] {
    let Usage { count, .. } = usage(in_place(), shape, 1, FULL).await;
    let steps = f64::from(u32::try_from(shape.steps()).expect("few"));
    let requests = f64::from(u32::try_from(count.requests()).expect("few"));
    [requests / steps, count.read_units / steps, count.write_units / steps]
}

async fn assert_no_dearer(large: Shape, small: Shape) {
    let (large_costs, small_costs) = (whole(large).await, whole(small).await);
    for (large_cost, small_cost) in large_costs.iter().zip(small_costs) {
        assert!(*large_cost <= small_cost * 1.2, "{large:?}: {large_costs:?}, {small:?}: {small_costs:?}");
    }
}

#[tokio::test]
async fn a_step_of_a_wide_fan_out_is_no_dearer_than_one_of_a_narrow() {
    assert_no_dearer(Shape::Fan(1_000), Shape::Fan(8)).await;
}

#[tokio::test]
async fn a_step_of_a_long_chain_is_no_dearer_than_one_of_a_short() {
    assert_no_dearer(Shape::LongChain(1_000), Shape::Chain(5)).await;
}

/// Writes of the job's own item.
async fn root_writes(items: u64) -> u64 {
    let Usage { count, .. } = usage(in_place(), Shape::Fan(items), 1, FULL).await;
    count.by_operation.get("UpdateItem J").map_or(0, |tally| tally.requests)
}

#[tokio::test]
async fn the_jobs_own_item_is_written_once_per_group_and_never_per_item() {
    // Seven groups of up to eight lanes each, whatever the number of items from 50 on; one group for eight items.
    let (one_group, few, many) = (root_writes(8).await, root_writes(50).await, root_writes(500).await);
    assert_eq!(many, few);
    assert!(many - one_group <= 6, "{one_group} writes with one group, {many} with seven");
}

/// What a job takes more whose second step waits for somebody to approve the first.
async fn per_review(jobs: u32, batches: Batches) -> f64 {
    let reviewed = usage(in_place(), Shape::Reviewed, jobs as usize, batches).await;
    let straight = usage(in_place(), Shape::Chain(2), jobs as usize, batches).await;
    (engine(&reviewed.count) - engine(&straight.count)) / f64::from(jobs)
}

#[tokio::test]
async fn a_review_takes_about_as_much_as_two_steps_alone() {
    let (alone, batched) = (per_review(1, SINGLY).await, per_review(10, FULL).await);
    assert!(alone <= 15.0 && batched <= 12.5, "{alone}, in a batch of ten {batched}");
}
