//! What a seed stands for: jobs, what is done to them, and what goes wrong.

use convoke_tests::engine::shapes::Shape;
use convoke_tests::fakes::{Dice, Rates};

/// What a seed stands for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub jobs: Vec<JobPlan>,
    /// Of calls and messages.
    pub rates: Rates,
    /// Of model calls, in thousandths.
    pub model: ModelRates,
    /// Chance, in thousandths of turns, that a worker stands still for minutes.
    pub stall: u64,
    /// Chance, in thousandths of turns, that an invocation is killed.
    pub kill: u64,
    /// Chance, in thousandths of turns, that everything is killed and all messages are lost.
    pub kill_all: u64,
    /// How far each machine's clock is ahead.
    pub ahead_ms: Vec<u64>,
    pub visibility_ms: u64,
    /// Time of an invocation.
    pub invocation_ms: u64,
    /// How long a worker goes on in place; without it each step is rung.
    pub in_place_ms: u64,
    /// When faults cease, after the start.
    pub calm_after_ms: u64,
    /// One task stands still, once.
    pub overtaken: Option<Overtaken>,
}

/// A task that stands still while all others go on.
#[derive(Clone, Copy, Debug)]
pub struct Overtaken {
    /// At which pause, counted over all tasks: wherever one waits for anything, others may go first.
    pub pause: u64,
    pub ms: u64,
}

/// One job of a plan.
#[derive(Clone, Copy, Debug)]
pub struct JobPlan {
    pub shape: Shape,
    pub funds: Funds,
    /// Identical submissions with one idempotency key.
    pub submissions: u64,
    pub cancelled_after_ms: Option<u64>,
    pub deadline_ms: Option<u64>,
    /// Whether it is tried again, once, where it fails.
    pub retried: bool,
}

/// Money of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Funds {
    /// More than all faults together cost.
    Plenty,
    /// For about half of it.
    Half,
}

/// What models do at their worst, in thousandths of calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelRates {
    pub throttled: u64,
    /// Broken off, perhaps billed.
    pub failed: u64,
    /// Slower than the visibility of messages.
    pub slow: u64,
    /// Answers that are sent back.
    pub unusable: u64,
    /// Answers that call a tool first.
    pub tools: u64,
    /// Calls in which the worker panics.
    pub panics: u64,
    /// Longest time of a call that isn't slow, in milliseconds: with few of them, many steps end at once.
    pub quick_ms: u64,
}

const MINUTE_MS: u64 = 60_000;

/// Who stands still for so long has lost no lease yet.
pub const BRIEF_MS: u64 = 30_000;

impl Plan {
    /// The plan of a seed: each fault is there or not.
    pub fn of(seed: u64) -> Self {
        let dice = Dice::new(seed ^ 0x5EED);
        let some = |per_mille: u64| if dice.below(2) == 0 { 0 } else { 1 + dice.below(per_mille) };
        let rates = Rates {
            throttled: some(60),
            answer_lost: some(60),
            message_lost: some(200),
            message_doubled: some(200),
            index_lags: some(400),
        };
        let model = ModelRates {
            throttled: some(100),
            failed: some(80),
            slow: some(100),
            unusable: some(100),
            tools: some(150),
            panics: some(60),
            quick_ms: if seed % 2 == 1 { 2 } else { 2_000 },
        };
        let is_skewed = dice.below(4) == 0;
        let ahead_ms = (0..3).map(|_| if is_skewed { dice.below(11 * MINUTE_MS) } else { dice.below(50) }).collect();
        let mut plan = Self {
            seed,
            jobs: (0..=dice.below(3)).map(|_| JobPlan::drawn(&dice)).collect(),
            rates,
            model,
            stall: some(10),
            kill: some(10),
            kill_all: if dice.below(4) == 0 { 1 + dice.below(4) } else { 0 },
            ahead_ms,
            visibility_ms: [10_000, MINUTE_MS, 15 * MINUTE_MS][pick(&dice, 3)],
            invocation_ms: [170_000, 5 * MINUTE_MS, 15 * MINUTE_MS][pick(&dice, 3)],
            // By the seed, so that others stay what they were.
            in_place_ms: if seed % 4 == 2 { 0 } else { MINUTE_MS },
            calm_after_ms: (1 + dice.below(40)) * MINUTE_MS,
            overtaken: None,
        };
        // By the seed and after all else, so that others stay what they were.
        if seed % 5 == 1 {
            plan.jobs.push(JobPlan::reviewed(&dice));
        }
        plan
    }

    /// A plan in which nothing goes wrong.
    pub fn calm(seed: u64, shape: Shape) -> Self {
        let job = JobPlan {
            shape,
            funds: Funds::Plenty,
            submissions: 1,
            cancelled_after_ms: None,
            deadline_ms: None,
            retried: false,
        };
        Self {
            seed,
            jobs: vec![job],
            rates: Rates::default(),
            model: ModelRates::default(),
            stall: 0,
            kill: 0,
            kill_all: 0,
            ahead_ms: vec![0],
            visibility_ms: 15 * MINUTE_MS,
            invocation_ms: 15 * MINUTE_MS,
            in_place_ms: MINUTE_MS,
            calm_after_ms: 0,
            overtaken: None,
        }
    }

    /// Whether somebody may do again what somebody slow is still doing: a clock that is ahead, or a worker that stands
    /// still, makes a lease look run out.
    pub fn is_orderly(&self) -> bool {
        let is_brief = self.overtaken.is_none_or(|overtaken| overtaken.ms <= BRIEF_MS);
        self.stall == 0 && is_brief && self.ahead_ms.iter().all(|ahead_ms| *ahead_ms < 1_000)
    }
}

impl JobPlan {
    fn drawn(dice: &Dice) -> Self {
        let one_in = |n: u64| dice.below(n) == 0;
        Self {
            shape: shape(dice),
            funds: if one_in(5) { Funds::Half } else { Funds::Plenty },
            submissions: if one_in(4) { 2 + dice.below(4) } else { 1 },
            cancelled_after_ms: one_in(8).then(|| dice.below(3 * MINUTE_MS)),
            deadline_ms: one_in(10).then(|| 10_000 + dice.below(10 * MINUTE_MS)),
            retried: one_in(2),
        }
    }
}

impl JobPlan {
    /// A job that asks people.
    fn reviewed(dice: &Dice) -> Self {
        let rounds = 1 + u32::try_from(dice.below(3)).expect("small");
        let is_left = dice.below(4) == 0;
        Self {
            shape: Shape::Reviewed { rounds: if is_left { 1 } else { rounds }, is_left },
            funds: Funds::Plenty,
            submissions: 1,
            cancelled_after_ms: (dice.below(6) == 0).then(|| dice.below(10 * MINUTE_MS)),
            // What rests until long after it has a clock that stands still.
            deadline_ms: (dice.below(if is_left { 2 } else { 6 }) == 0).then(|| MINUTE_MS + dice.below(10 * MINUTE_MS)),
            retried: false,
        }
    }
}

fn shape(dice: &Dice) -> Shape {
    let small = |n: u64| u32::try_from(dice.below(n)).expect("small");
    match dice.below(10) {
        0 => Shape::One,
        1 | 2 => Shape::Chain(2 + pick(dice, 5)),
        3 => Shape::Diamond,
        4 | 5 => Shape::Fan { items: small(24), concurrency: 1 + small(20) },
        6 => Shape::Fan { items: 24 + small(30), concurrency: 1 + small(50) },
        7 => Shape::Ordered { items: 1 + small(9) },
        8 => Shape::Loop { rounds: 1 + small(3) },
        _ => Shape::Branch,
    }
}

fn pick(dice: &Dice, count: u64) -> usize {
    usize::try_from(dice.below(count)).expect("small")
}
