//! The engine over the fakes of its ports, in one process, by a clock that is wound by hand, with faults drawn by seed.
//!
//! Deterministic: a seed says everything, and a failing one is printed.

mod world;

use convoke_domain::money::{Cost, MicroUsd};
use convoke_domain::status::StopReason;
use convoke_tests::engine::meter::CALL_USD;
use convoke_tests::engine::shapes::Shape;
use convoke_tests::fakes::Rates;
use world::World;

const SHAPES: [Shape; 7] = [
    Shape::One,
    Shape::Chain(5),
    Shape::Diamond,
    Shape::Fan { items: 23, concurrency: 9 },
    Shape::Ordered { items: 9 },
    Shape::Loop { rounds: 3 },
    Shape::Branch,
];

fn plenty() -> Cost {
    Cost { usd: MicroUsd::from_usd(100), tokens: 100_000_000 }
}

#[tokio::test]
async fn every_shape_completes_without_faults_and_asks_each_step_once() {
    for shape in SHAPES {
        let world = World::new(shape, 7, Rates::default());
        let key = world.submit(plenty()).await;
        world.run(&key).await;
        let root = world.root(&key);
        assert_eq!(root.ending.as_ref().map(|e| e.reason), Some(StopReason::Completed), "{shape:?}: {root:?}");
        world.check(&key);
        assert_eq!(world.model.calls(), shape.model_steps(), "{shape:?}");
        assert!(world.queue_is_empty(), "{shape:?}");
    }
}

#[tokio::test]
async fn every_shape_survives_lost_answers_throttles_and_lost_and_doubled_messages() {
    let rates = Rates { throttled: 40, answer_lost: 40, message_lost: 100, message_doubled: 100 };
    for seed in 0..60 {
        let shape = SHAPES[usize::try_from(seed).expect("small") % SHAPES.len()];
        let world = World::new(shape, seed, rates);
        let key = world.submit(plenty()).await;
        world.run(&key).await;
        let root = world.root(&key);
        assert_eq!(root.ending.as_ref().map(|e| e.reason), Some(StopReason::Completed), "seed {seed}: {shape:?}");
        world.check(&key);
    }
}

#[tokio::test]
async fn a_job_with_money_for_half_of_it_ends_within_its_budget() {
    for seed in 0..40 {
        let shape = SHAPES[usize::try_from(seed).expect("small") % SHAPES.len()];
        let world = World::new(shape, seed, Rates { message_doubled: 100, message_lost: 50, ..Rates::default() });
        let budget = Cost { usd: MicroUsd(CALL_USD * shape.model_steps() / 2 + 100), tokens: 1_000_000 };
        let key = world.submit(budget).await;
        world.run(&key).await;
        let root = world.root(&key);
        let reason = root.ending.as_ref().map(|ending| ending.reason);
        assert!(matches!(reason, Some(StopReason::BudgetExhausted | StopReason::Completed)), "seed {seed}: {root:?}");
        assert!(world.model.metered() <= budget.usd, "seed {seed}: the meter passed the budget");
        world.check(&key);
    }
}
