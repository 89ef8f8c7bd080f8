//! Every transition by a table, and whole runs by chance.

use std::collections::BTreeMap;

use super::{Happened, derive};
use crate::bits::Bits;
use crate::graph::{Graph, Join, Map, Node, OnBound, OnError, Task, TaskKind, Thread, Work};
use crate::group::{Balance, Ending, Fan, Group, Loan, Order, Root, Scope};
use crate::ids::{GroupId, SlotId};
use crate::money::{Cost, MicroUsd};
use crate::slot::{At, Claim, Slot, Wait};
use crate::status::{JobStatus, StopReason};

mod run;

fn task(id: &str, kind: TaskKind) -> Task {
    Task { id: id.into(), kind, attempts_max: 3 }
}

fn thread(tasks: Vec<Task>, rounds_max: u32, on_bound: OnBound) -> Thread {
    Thread { tasks, rounds_max, looped: rounds_max > 1, on_bound }
}

fn node(id: &str, needs: &[usize], work: Work) -> Node {
    Node { id: id.into(), needs: needs.to_vec(), join: Join::All, branches: Vec::new(), work }
}

fn agent(id: &str, needs: &[usize]) -> Node {
    node(id, needs, Work::Thread(thread(vec![task(id, TaskKind::Agent)], 1, OnBound::Proceed)))
}

fn map(id: &str, needs: &[usize], ordered: bool, body: Thread) -> Node {
    let on_error = OnError::Continue;
    node(id, needs, Work::Map(Map { thread: body, concurrency: 3, ordered, attempts_max: 3, on_error }))
}

/// `plan`, then the loop `talk` of `design` and `check`, then the map `code`.
fn graph() -> Graph {
    let tasks = vec![task("design", TaskKind::Agent), task("check", TaskKind::Agent)];
    let body = thread(vec![task("code", TaskKind::Agent)], 1, OnBound::Proceed);
    Graph {
        nodes: vec![
            agent("plan", &[]),
            node("talk", &[0], Work::Thread(thread(tasks, 3, OnBound::Fail))),
            map("code", &[1], false, body),
        ],
    }
}

fn root() -> Group {
    Group {
        id: GroupId::Root,
        ver: 1,
        last: "submit".into(),
        at_ms: 1_000,
        ending: None,
        done: Bits::with_room(3),
        no: Bits::with_room(3),
        rounds: BTreeMap::new(),
        run: BTreeMap::new(),
        left: Balance { usd: 1_000_000, tokens: 500_000 },
        spent: Cost::ZERO,
        scope: Scope::Root(Root {
            status: JobStatus::Queued,
            groups: BTreeMap::new(),
            created_ms: 1_000,
            deadline_ms: 3_600_000,
            rests_since_ms: None,
            due_ms: Some(60_000),
            swept_ver: 0,
            pause_ms: 0,
        }),
    }
}

fn fan() -> Group {
    let order = Order::Lanes { first: 0, count: 3, stride: 3 };
    let run = (0..3).map(|lane| (SlotId(lane), Slot::new(At::start(lane.into())))).collect();
    let scope = Scope::Fan(Fan { drawn: Cost::ZERO, items: 9, chunk: 100, order, failed: 0 });
    Group { id: GroupId::Fan { node: 2, part: 0 }, run, scope, ..root() }
}

fn held(nonce: &str, attempt: u32, at: At) -> Slot {
    let claim = Claim { nonce: nonce.into(), lease_until_ms: 90_000, hold: Cost::ZERO, turn: 1 };
    Slot { attempt, claim: Some(claim), ..Slot::new(at) }
}

fn waiting(attempt: u32, at: At, wait: Wait) -> Slot {
    Slot { attempt, wait, ..Slot::new(at) }
}

fn tell(event: &Happened) -> String {
    match event {
        Happened::Submitted => "submitted".into(),
        Happened::Working => "working".into(),
        Happened::StepCompleted { step, attempt } => format!("{step} completed by {attempt}"),
        Happened::StepFailed { step, attempt } => format!("{step} failed in {attempt}"),
        Happened::StepRetrying { step, not_before_ms } => format!("{step} retrying at {not_before_ms}"),
        Happened::StepWaitsForBudget { step } => format!("{step} waits"),
        Happened::MapStarted { step } => format!("map {step} started"),
        Happened::StepStarted { step, attempt } => format!("{step} started as {attempt}"),
        Happened::ReviewRequested { step } => format!("{step} asked"),
        Happened::ReviewReminded { step } => format!("{step} reminded"),
        Happened::ReviewDecided { step, ruling } => format!("{step} decided {ruling:?}"),
        Happened::Ending(ending) => format!("ending {}", ending.reason.as_str()),
        Happened::Ended { status, stop_reason } => format!("ended {} {}", status.as_str(), stop_reason.as_str()),
        Happened::Cost { spent } => format!("cost {}", spent.tokens),
    }
}

fn check(name: &str, old: Option<&Group>, new: &Group, expected: &[&str]) {
    let told: Vec<String> = derive(&graph(), old, new).iter().map(tell).collect();
    assert_eq!(told, expected, "{name}");
}

const TALK: SlotId = SlotId(1);
const DESIGN: At = At { item: 0, round: 1, task: 0 };
const CHECK: At = At { item: 0, round: 1, task: 1 };
const AGAIN: At = At { item: 0, round: 2, task: 0 };

fn with(slot: impl Into<Option<Slot>>) -> Group {
    let mut group = root();
    status(&mut group, JobStatus::Working);
    group.run.extend(slot.into().map(|slot| (TALK, slot)));
    group
}

fn status(group: &mut Group, status: JobStatus) {
    if let Scope::Root(root) = &mut group.scope {
        root.status = status;
    }
}

fn ending(mut group: Group, reason: StopReason) -> Group {
    group.ending = Some(Ending::new(reason, None, "why"));
    group
}

/// What it is about, the slot before and after, what is told.
type Row = (&'static str, Option<Slot>, Option<Slot>, &'static [&'static str]);

#[test]
fn a_slot_tells_each_of_its_transitions() {
    let started = || held("n1", 1, DESIGN);
    let later = Slot { not_before_ms: 7_000, ..waiting(1, DESIGN, Wait::Nothing) };
    let renewed = |slot: Slot| {
        let claim = slot.claim.clone().map(|claim| Claim { turn: 2, lease_until_ms: 99_000, ..claim });
        Slot { claim, ..slot }
    };
    let rows: [Row; 13] = [
        ("claimed", None, Some(started()), &["design@1 started as 1"]),
        ("claimed after a wait", Some(later.clone()), Some(held("n2", 2, DESIGN)), &["design@1 started as 2"]),
        ("taken over", Some(started()), Some(held("n2", 2, DESIGN)), &["design@1 started as 2"]),
        ("renewed", Some(started()), Some(renewed(started())), &[]),
        ("given back", Some(started()), Some(later.clone()), &["design@1 retrying at 7000"]),
        ("put off", Some(later.clone()), Some(Slot { not_before_ms: 9_000, ..later.clone() }), &[]),
        ("parked at once", None, Some(waiting(0, DESIGN, Wait::Funds)), &["design@1 waits"]),
        ("parked after a try", Some(later), Some(waiting(1, DESIGN, Wait::Funds)), &["design@1 waits"]),
        ("moved on", Some(started()), Some(Slot::new(CHECK)), &["design@1 completed by 1"]),
        (
            "moved on in place",
            Some(started()),
            Some(held("n2", 1, CHECK)),
            &["design@1 completed by 1", "check@1 started as 1"],
        ),
        ("next round", Some(held("n1", 2, CHECK)), Some(Slot::new(AGAIN)), &["check@1 completed by 2"]),
        ("thread ended", Some(held("n1", 1, CHECK)), None, &["check@1 completed by 1"]),
        ("untouched", Some(started()), Some(started()), &[]),
    ];
    for (name, old, new, expected) in rows {
        check(name, Some(&with(old)), &with(new), expected);
    }
}

#[test]
fn an_ending_group_blames_one_step_and_retries_none() {
    let (mine, given_up) = (held("n1", 3, DESIGN), waiting(3, DESIGN, Wait::Nothing));
    let failed = ending(with(given_up.clone()), StopReason::ToolFailed);
    check("failed", Some(&with(mine.clone())), &failed, &["design@1 failed in 3", "ending tool_failed"]);
    let (before, after) = (with(mine.clone()), with(given_up));
    let (before, after) = (ending(before, StopReason::Cancelled), ending(after, StopReason::Cancelled));
    check("reaped", Some(&before), &after, &[]);
    check("cancelled", Some(&with(mine.clone())), &before, &["ending cancelled"]);
    let late = ending(with(None), StopReason::Cancelled);
    check("late commit", Some(&before), &late, &["design@1 completed by 3"]);
    let bound = ending(with(None), StopReason::NoConsensus);
    check("no consensus", Some(&with(mine)), &bound, &["design@1 completed by 3", "ending no_consensus"]);
}

#[test]
fn a_job_tells_its_life() {
    let queued = root();
    check("submitted", None, &queued, &["submitted"]);
    check("first claim", Some(&queued), &with(held("n", 1, DESIGN)), &["working", "design@1 started as 1"]);
    let mut swept = queued.clone();
    swept.ver += 1;
    check("swept", Some(&queued), &swept, &[]);
    let over = ending(with(None), StopReason::Completed);
    let mut finishing = over.clone();
    finishing.run.insert(SlotId::FINISH, held("f1", 1, At::start(0)));
    check("finish claimed", Some(&over), &finishing, &["(finish) started as 1"]);
    let mut again = over.clone();
    again.run.insert(SlotId::FINISH, Slot { not_before_ms: 5, ..waiting(1, At::start(0), Wait::Nothing) });
    check("finish given back", Some(&finishing), &again, &["(finish) retrying at 5"]);
    let mut ended = over;
    status(&mut ended, JobStatus::Completed);
    let told = ["(finish) completed by 1", "ended completed completed"];
    check("finished", Some(&finishing), &ended, &told);
    check("nothing after the end", Some(&ended), &ended, &[]);
}

#[test]
fn a_map_tells_its_list_and_its_items() {
    let expanding = |slot: Slot| {
        let mut group = with(None);
        group.run.insert(SlotId(2), slot);
        group
    };
    let opened = expanding(waiting(0, At::start(0), Wait::Groups));
    let listed = ["code completed by 1", "map code started"];
    check("list made", Some(&expanding(held("m", 1, At::start(0)))), &opened, &listed);
    check("map closed", Some(&opened), &with(None), &[]);

    let new = fan();
    check("part put", None, &new, &[]);
    let mut claimed = new.clone();
    claimed.run.insert(SlotId(1), held("n", 1, At::start(1)));
    check("item claimed", Some(&new), &claimed, &["code[1] started as 1"]);
    let mut next = claimed.clone();
    next.run.insert(SlotId(1), held("o", 1, At::start(4)));
    check("next item", Some(&claimed), &next, &["code[1] completed by 1", "code[4] started as 1"]);
    let mut failed = next.clone();
    if let Scope::Fan(fan) = &mut failed.scope {
        fan.failed = 1;
    }
    failed.run.insert(SlotId(1), Slot::new(At::start(7)));
    check("item failed", Some(&next), &failed, &["code[4] failed in 1"]);
    let mut ends = claimed.clone();
    ends.run.insert(SlotId(1), waiting(1, At::start(1), Wait::Nothing));
    check("part ends", Some(&claimed), &ending(ends, StopReason::ToolFailed), &["code[1] failed in 1"]);
}

#[test]
fn settled_money_is_told_last() {
    let (old, mut new) = (with(held("n", 1, DESIGN)), with(Slot::new(CHECK)));
    new.spent = Cost { usd: MicroUsd(5), tokens: 40 };
    check("settled", Some(&old), &new, &["design@1 completed by 1", "cost 40"]);
    let mut lent = old.clone();
    if let Scope::Root(root) = &mut lent.scope {
        root.groups.insert(GroupId::Fan { node: 2, part: 0 }, Loan::default());
    }
    check("lent", Some(&old), &lent, &[]);
}

#[test]
fn a_place_that_the_graph_lacks_is_passed_over() {
    let mut strange = with(None);
    strange.run.insert(SlotId(77), held("n", 1, DESIGN));
    check("no such node", Some(&with(None)), &strange, &[]);
}
