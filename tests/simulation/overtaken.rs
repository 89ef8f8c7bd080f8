//! Every single point at which a task can be overtaken: it has read something, and stands still while all others go on,
//! for less than a lease and for longer than one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use convoke_tests::engine::shapes::Shape;

use crate::plan::{BRIEF_MS, Funds, Overtaken, Plan};
use crate::world::World;

/// Longer than a lease, and than people take.
const LONG_MS: u64 = 600_000;

/// When all has to be quick again, at the latest.
const CALM_AFTER_MS: u64 = 3_600_000;

/// Jobs among whose workers, looks and people there is much to overtake, and how long who is overtaken stands still.
fn scenes() -> [(Plan, &'static [u64]); 5] {
    let slow = |mut plan: Plan, quick_ms: u64| {
        plan.model.quick_ms = quick_ms;
        plan
    };
    // So short of money that a group borrows three times, and so slow that a look falls in between.
    let mut lean = slow(Plan::calm(4, Shape::Fan { items: 31, concurrency: 23 }), 60_000);
    lean.jobs[0].funds = Funds::Half;
    // Where every step is rung.
    let mut rung = Plan::calm(2, Shape::Diamond);
    rung.in_place_ms = 0;
    let punctual = Plan::calm(4, Shape::Reviewed { rounds: 2, is_left: false });
    // It rests so long that most of its pauses are the clock's, which nobody overtakes in a moment.
    let left = Plan::calm(3, Shape::Reviewed { rounds: 1, is_left: true });
    let ordered = slow(Plan::calm(5, Shape::Ordered { items: 5 }), 20_000);
    let both: &[u64] = &[BRIEF_MS, LONG_MS];
    [(lean, both), (rung, both), (punctual, both), (left, &[LONG_MS]), (ordered, both)]
}

/// Plays a plan in which the task that pauses then is overtaken; answers how many pauses there were.
fn play(plan: &Plan, overtaken: Option<Overtaken>) -> u64 {
    let mut world = World::new(Plan { overtaken, calm_after_ms: CALM_AFTER_MS, ..plan.clone() });
    world.run();
    world.pauses
}

#[test]
fn every_single_point_at_which_a_task_is_overtaken() {
    for (plan, times_ms) in scenes() {
        for pause in 1..=play(&plan, None) {
            for &ms in times_ms {
                let overtaken = Overtaken { pause, ms };
                let played = catch_unwind(AssertUnwindSafe(|| play(&plan, Some(overtaken))));
                assert!(played.is_ok(), "{:?}, {overtaken:?}", plan.jobs);
            }
        }
    }
}
