//! Every single crash point of a job of five steps, and of jobs that ask people; every ordered pair of the first: a call
//! of a port is applied and its answer lost, or the process ends before it or after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use convoke_tests::engine::shapes::Shape;
use convoke_tests::fakes::{Fault, Faults};

use crate::plan::Plan;
use crate::world::World;

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// The process ends before the call.
    KilledBefore,
    /// The call is applied, and its answer is lost; the process goes on.
    AnswerLost,
    /// The process ends after the call, which was applied.
    KilledAfter,
}

/// As long as the default says.
const IN_PLACE_MS: u64 = 60_000;

const FIVE: Shape = Shape::Chain(5);

const BLOWS: [Blow; 3] = [Blow::KilledBefore, Blow::AnswerLost, Blow::KilledAfter];

/// A job whose calls are counted, and go wrong at these.
struct Scene {
    world: World,
    calls: Arc<AtomicU64>,
}

impl Scene {
    fn new(shape: Shape, blows: &[(u64, Blow)], in_place_ms: u64) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let (count, lost): (_, Vec<u64>) = (
            Arc::clone(&calls),
            blows.iter().filter(|(_, blow)| *blow == Blow::AnswerLost).map(|(call, _)| *call).collect(),
        );
        let faults = Faults::by(move |_| {
            let call = count.fetch_add(1, Ordering::SeqCst);
            if lost.contains(&call) { Fault::AnswerLost } else { Fault::None }
        });
        let mut plan = Plan::calm(1, shape);
        plan.calm_after_ms = u64::MAX / 2;
        plan.in_place_ms = in_place_ms;
        Self { world: World::with_faults(plan, faults), calls }
    }

    /// Runs to the end, ending all processes at the points that say so; answers how many calls there were.
    fn play(shape: Shape, blows: &[(u64, Blow)], in_place_ms: u64) -> u64 {
        let Self { mut world, calls } = Self::new(shape, blows, in_place_ms);
        world.begin();
        let mut kills: Vec<(u64, Blow)> = blows.iter().filter(|(_, blow)| *blow != Blow::AnswerLost).copied().collect();
        while !world.is_over() {
            world.step();
            let (begun, applied) = (world.faults.begun(), calls.load(Ordering::SeqCst));
            kills.retain(|(call, blow)| {
                let is_due = if *blow == Blow::KilledBefore { begun > *call } else { applied > *call };
                if is_due {
                    world.kill_workers();
                }
                !is_due
            });
        }
        world.check();
        calls.load(Ordering::SeqCst)
    }
}

#[test]
fn every_single_crash_point() {
    let reviewed = Shape::Reviewed { rounds: 2, is_left: false };
    let left = Shape::Reviewed { rounds: 1, is_left: true };
    for (shape, in_place_ms) in [(FIVE, IN_PLACE_MS), (FIVE, 0), (reviewed, IN_PLACE_MS), (left, IN_PLACE_MS)] {
        let calls = Scene::play(shape, &[], in_place_ms);
        for call in 0..calls {
            for blow in BLOWS {
                Scene::play(shape, &[(call, blow)], in_place_ms);
            }
        }
    }
}

#[test]
fn every_ordered_pair_of_crash_points() {
    let calls = Scene::play(FIVE, &[], IN_PLACE_MS);
    let mut played = 0_u32;
    for first in 0..calls {
        for second in first..calls {
            for (a, b) in BLOWS.into_iter().flat_map(|a| BLOWS.map(|b| (a, b))) {
                if first < second || (a, b) == (Blow::KilledBefore, Blow::KilledAfter) {
                    Scene::play(FIVE, &[(first, a), (second, b)], IN_PLACE_MS);
                    played += 1;
                }
            }
        }
    }
    assert!(played > 1_000, "only {played} pairs");
}
