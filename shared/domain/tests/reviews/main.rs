//! Reviews: one decision counts, the job rests meanwhile, and its clock stands still for just that long.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use convoke_domain::decide::{self, Hold, Prior, Refusal, Worker};
use convoke_domain::events::Happened;
use convoke_domain::graph::{Node, TaskKind};
use convoke_domain::group::Ending;
use convoke_domain::ids::{SlotId, StepId};
use convoke_domain::money::Cost;
use convoke_domain::review::{Decision, DefaultAction, OnReject, Ruling, Terms};
use convoke_domain::status::{JobStatus, StopReason};
use proptest::prelude::*;
use world::{DEADLINE_MS, HOLD, MINUTE_MS, TERMS, World, agent, node, review, task};

fn reason(world: &World) -> Option<StopReason> {
    world.job.ending.as_ref().map(|ending| ending.reason)
}

#[test]
fn a_job_rests_until_the_only_review_is_decided() {
    let mut world = World::new(vec![agent("plan", &[]), review("approve", &[0], TERMS), agent("build", &[1])]);
    world.settle();
    assert_eq!(world.root().status, JobStatus::AwaitingReview);
    let sweep = decide::sweep(&world.view(&world.job), &BTreeMap::new()).expect("it isn't over");
    let asked = world.job.run[&SlotId(1)].asked().expect("it is open");
    assert_eq!(sweep.due_ms, asked.since_ms + 20 * MINUTE_MS, "nothing is to be done before the reminder");
    world.now_ms += 59 * MINUTE_MS;
    world.sweep();
    let due_ms = decide::sweep(&world.view(&world.job), &BTreeMap::new()).expect("it isn't over").due_ms;
    assert_eq!(due_ms, asked.since_ms + 60 * MINUTE_MS, "reminded, it expires next");
    let seen = world.job.clone();
    assert_eq!(world.decide(SlotId(1), Decision::Approve, &seen), Ok(true));
    assert_eq!(world.root().status, JobStatus::Working);
    assert!(world.root().due_ms.is_some_and(|due_ms| due_ms <= world.now_ms + MINUTE_MS), "a lost bell is made up for");
    assert_eq!(world.decide(SlotId(1), Decision::Reject, &seen), Ok(false), "another came first");
    let now = world.job.clone();
    assert_eq!(world.decide(SlotId(1), Decision::Approve, &now), Err(Refusal::Stale));
    world.settle();
    assert_eq!(reason(&world), Some(StopReason::Completed));
    assert_eq!(world.root().deadline_ms, DEADLINE_MS + 59 * MINUTE_MS);
    let count = |world: &World, name: &str| {
        let step = StepId::once(name);
        let is = |event: &Happened| match event {
            Happened::StepStarted { step: it, .. } | Happened::StepCompleted { step: it, .. } => *it == step,
            _ => false,
        };
        world.told(is)
    };
    assert_eq!((count(&world, "plan"), count(&world, "approve")), (2, 1), "a review completes, and isn't started");
    assert_eq!(world.told(|event| matches!(event, Happened::ReviewRequested { .. })), 1);
    assert_eq!(world.told(|event| matches!(event, Happened::ReviewReminded { .. })), 1);
    assert_eq!(world.told(|event| matches!(event, Happened::ReviewDecided { .. })), 1);
}

#[test]
fn a_job_with_other_work_goes_on_and_its_clock_runs() {
    let mut world = World::new(vec![review("approve", &[], TERMS), agent("other", &[])]);
    world.claim(SlotId(0));
    world.perform(0);
    assert_eq!((world.root().status, world.open()), (JobStatus::Working, vec![SlotId(0)]));
    world.now_ms = DEADLINE_MS;
    world.sweep();
    assert_eq!(reason(&world), Some(StopReason::Deadline), "there was work to be done in that time");
}

#[test]
fn a_resting_job_never_passes_its_deadline() {
    let terms = Terms { deadline_ms: 3 * DEADLINE_MS, ..TERMS };
    let mut world = World::new(vec![review("approve", &[], terms), agent("build", &[0])]);
    world.settle();
    world.now_ms += 2 * DEADLINE_MS;
    world.settle();
    assert_eq!(reason(&world), None);
    let seen = world.job.clone();
    assert_eq!(world.decide(SlotId(0), Decision::Approve, &seen), Ok(true));
    world.settle();
    assert_eq!(reason(&world), Some(StopReason::Completed));
}

#[test]
fn a_late_bell_leaves_a_resting_job_alone() {
    let terms = Terms { deadline_ms: 3 * DEADLINE_MS, ..TERMS };
    let mut world = World::new(vec![agent("plan", &[]), review("approve", &[0], terms), agent("build", &[1])]);
    world.settle();
    world.now_ms += 2 * DEADLINE_MS;
    let worker = Worker { nonce: world.nonce(), lease_until_ms: world.now_ms + MINUTE_MS };
    for slot in 0..2 {
        let hold = Hold { cost: HOLD, turn: 1 };
        let claimed = decide::claim(&world.view(&world.job), SlotId(slot), &worker, hold, Prior::Unknown);
        assert_eq!(claimed.map(drop), Err(Refusal::Stale), "slot {slot}");
    }
}

#[test]
fn who_saw_a_job_before_it_rested_ends_it_by_no_deadline() {
    let terms = Terms { deadline_ms: 3 * DEADLINE_MS, ..TERMS };
    let mut world = World::new(vec![review("approve", &[], terms)]);
    let seen = world.job.clone();
    world.settle();
    world.now_ms += DEADLINE_MS;
    let overdue = || Ending::new(StopReason::Deadline, None, "");
    let late = decide::end(&world.view(&seen), overdue(), "late".into()).expect("its time was over, as it saw it");
    assert!(!world.apply(&late), "the clock stands still");
    let now = decide::end(&world.view(&world.job), overdue(), "now".into());
    assert_eq!(now.map(drop), Err(Refusal::Stale));
}

#[test]
fn each_of_two_reviews_keeps_its_own_times() {
    let soon = Terms { deadline_ms: 2 * 1_440 * MINUTE_MS, reminder_ms: Some(1_440 * MINUTE_MS), ..TERMS };
    let late = Terms { deadline_ms: 7 * 1_440 * MINUTE_MS, reminder_ms: None, ..TERMS };
    let mut world = World::new(vec![review("soon", &[], soon), review("late", &[], late)]);
    world.settle();
    let asked = world.job.run[&SlotId(0)].asked().expect("it is open");
    world.now_ms = asked.since_ms + 1_440 * MINUTE_MS;
    let due_ms = |world: &World| decide::sweep(&world.view(&world.job), &BTreeMap::new()).expect("it lives").due_ms;
    let again_ms = due_ms(&world);
    assert!(again_ms <= world.now_ms + MINUTE_MS, "it looks again once it has reminded: {again_ms}");
    world.sweep();
    assert_eq!(due_ms(&world), asked.since_ms + soon.deadline_ms, "the first one's time comes first");
}

#[test]
fn what_nobody_decides_comes_out_as_the_terms_say() {
    let with = |default, on_reject| Terms { default, on_reject, ..TERMS };
    let cases = [
        (with(None, OnReject::Proceed), Ruling::Lapsed, StopReason::Rejected),
        (
            with(Some(DefaultAction::Approve), OnReject::Fail),
            Ruling::Default(DefaultAction::Approve),
            StopReason::Completed,
        ),
        (
            with(Some(DefaultAction::Reject), OnReject::Fail),
            Ruling::Default(DefaultAction::Reject),
            StopReason::Rejected,
        ),
        (
            with(Some(DefaultAction::Reject), OnReject::Proceed),
            Ruling::Default(DefaultAction::Reject),
            StopReason::Completed,
        ),
    ];
    for (terms, ruling, expected) in cases {
        let mut world = World::new(vec![review("approve", &[], terms)]);
        world.settle();
        let mark = world.nonce();
        let soon = decide::expire(&world.view(&world.job), SlotId(0), mark).map(drop);
        assert!(matches!(soon, Err(Refusal::NotYet { .. })), "{soon:?}");
        world.now_ms += terms.deadline_ms;
        world.settle();
        assert_eq!((world.rulings[0].1, reason(&world)), (ruling, Some(expected)), "{terms:?}");
    }
}

#[test]
fn a_cancelled_review_is_decided_by_nobody() {
    let mut world = World::new(vec![review("approve", &[], TERMS)]);
    world.settle();
    let seen = world.job.clone();
    world.now_ms += MINUTE_MS;
    let end =
        decide::end(&world.view(&seen), Ending::new(StopReason::Cancelled, None, ""), "c".into()).expect("it lives");
    assert!(world.apply(&end));
    assert_eq!(world.root().status, JobStatus::Working, "it doesn't wait any more");
    assert_eq!(world.decide(SlotId(0), Decision::Approve, &seen), Ok(false));
    let now = world.job.clone();
    assert_eq!(world.decide(SlotId(0), Decision::Approve, &now), Err(Refusal::Ending));
    world.settle();
    assert_eq!(world.root().status, JobStatus::Cancelled);
}

#[test]
fn changes_repeat_the_round_and_are_never_gone_over() {
    for (decisions, expected) in [
        (vec![Decision::Changes, Decision::Approve], StopReason::Completed),
        (vec![Decision::Changes; 3], StopReason::NoConsensus),
        (vec![Decision::Reject; 3], StopReason::Completed),
    ] {
        let tasks = vec![task("plan", TaskKind::Agent), task("approve", TaskKind::Review(TERMS))];
        let mut world = World::new(vec![node("talk", &[], tasks, 3), agent("build", &[0])]);
        for (round, decision) in (1..).zip(&decisions) {
            world.settle();
            let at = world.job.run[&SlotId(0)].at;
            assert_eq!((at.round, at.task), (round, 1));
            let seen = world.job.clone();
            assert_eq!(world.decide(SlotId(0), *decision, &seen), Ok(true));
        }
        world.settle();
        assert_eq!(reason(&world), Some(expected), "{decisions:?}");
    }
}

#[test]
fn two_decisions_at_once_move_the_clock_once() {
    let mut world = World::new(vec![review("a", &[], TERMS), review("b", &[], TERMS)]);
    world.settle();
    world.now_ms += 7 * MINUTE_MS;
    let seen = world.job.clone();
    assert_eq!(world.decide(SlotId(0), Decision::Approve, &seen), Ok(true));
    assert_eq!(world.decide(SlotId(1), Decision::Approve, &seen), Ok(false), "it saw a job that rests");
    let now = world.job.clone();
    assert_eq!(world.decide(SlotId(1), Decision::Approve, &now), Ok(true));
    assert_eq!(world.root().deadline_ms, DEADLINE_MS + 7 * MINUTE_MS);
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    prop::collection::vec((any::<u8>(), prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..6).prop_map(
        |drawn| {
            let build = |(index, (kind, needs)): (usize, &(u8, Vec<prop::sample::Index>))| {
                let needs: BTreeSet<usize> = needs.iter().filter(|_| index > 0).map(|need| need.index(index)).collect();
                let needs: Vec<usize> = needs.into_iter().collect();
                let id = format!("n{index}");
                let default = [None, Some(DefaultAction::Approve), Some(DefaultAction::Reject)][usize::from(kind % 3)];
                let terms = Terms { default, ..TERMS };
                let ask = task(&format!("{id}r"), TaskKind::Review(terms));
                match kind % 5 {
                    0 | 1 => review(&id, &needs, terms),
                    2 => node(&id, &needs, vec![task(&format!("{id}a"), TaskKind::Agent), ask], 3),
                    _ => agent(&id, &needs),
                }
            };
            drawn.iter().enumerate().map(build).collect()
        },
    )
}

fn act(world: &mut World, choice: u8, pick: usize) {
    match choice % 9 {
        0 | 1 => world.sweep(),
        2..=4 if !world.busy.is_empty() => world.perform(pick % world.busy.len()),
        5 | 6 => {
            // Whoever decides may have seen the job long ago.
            let seen = if pick.is_multiple_of(2) { world.stale.clone() } else { world.job.clone() };
            world.stale = world.job.clone();
            let open: Vec<SlotId> = seen.run.iter().filter(|(_, it)| it.asked().is_some()).map(|(id, _)| *id).collect();
            if let Some(slot) = open.get(pick % open.len().max(1)) {
                let _ = world.decide(*slot, Decision::ALL[pick % 2], &seen);
            }
        }
        7 if pick.is_multiple_of(4) && !world.busy.is_empty() => {
            world.busy.swap_remove(pick % world.busy.len());
            world.now_ms += 2 * MINUTE_MS;
        }
        8 if pick.is_multiple_of(50) => {
            let (mark, now) = (world.nonce(), world.job.clone());
            let ending = Ending::new(StopReason::Cancelled, None, "");
            if let Ok(change) = decide::end(&world.view(&now), ending, mark) {
                world.apply(&change);
            }
        }
        _ => world.now_ms += MINUTE_MS,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_job_ends_and_each_review_is_decided_once(
        nodes in nodes(),
        acts in prop::collection::vec((any::<u8>(), any::<usize>()), 0..200),
    ) {
        let mut world = World::new(nodes);
        for (choice, pick) in acts {
            act(&mut world, choice, pick);
        }
        for _ in 0..200 {
            if world.is_over() {
                break;
            }
            world.settle();
            world.now_ms += 30 * MINUTE_MS;
        }
        prop_assert!(world.is_over(), "{:?}", world.job);
        prop_assert_eq!(world.job.held(), Cost::ZERO);
        let decided = world.told(|event| matches!(event, Happened::ReviewDecided { .. }));
        prop_assert_eq!(decided, world.rulings.len());
    }
}
