//! The last step's commit ends the job and claims its finish, in one write.

use std::collections::BTreeMap;

use convoke_domain::bits::Bits;
use convoke_domain::decide::{Next, Outcome, View, Worker, candidate, commit};
use convoke_domain::graph::{Graph, Join, Node, OnBound, Task, TaskKind, Thread, Work};
use convoke_domain::group::{Balance, Ending, Group, Root, Scope};
use convoke_domain::ids::{GroupId, SlotId};
use convoke_domain::money::{Cost, MicroUsd};
use convoke_domain::slot::{At, Claim, Slot};
use convoke_domain::status::{JobStatus, StopReason};

const HOLD: Cost = Cost { usd: MicroUsd(7), tokens: 7 };
const ACTUAL: Cost = Cost { usd: MicroUsd(2), tokens: 2 };

fn node(id: &str) -> Node {
    let tasks = vec![Task { id: id.into(), kind: TaskKind::Agent, attempts_max: 3 }];
    let thread = Thread { tasks, rounds_max: 1, looped: false, on_bound: OnBound::Proceed };
    Node { id: id.into(), needs: Vec::new(), join: Join::All, branches: Vec::new(), work: Work::Thread(thread) }
}

/// Two nodes side by side.
fn graph() -> Graph {
    Graph { nodes: vec![node("a"), node("b")] }
}

fn held(nonce: &str) -> Slot {
    let claim = Claim { nonce: nonce.into(), lease_until_ms: 90_000, hold: HOLD, turn: 1 };
    Slot { attempt: 1, claim: Some(claim), ..Slot::new(At::start(0)) }
}

/// A job whose nodes of these numbers are held, the others done.
fn job(slots: &[u16]) -> Group {
    let mut done = Bits::with_room(2);
    (0..2).filter(|node| !slots.contains(node)).for_each(|node| done.insert(usize::from(node)));
    Group {
        id: GroupId::Root,
        ver: 5,
        last: "m".into(),
        at_ms: 1_000,
        ending: None,
        done,
        no: Bits::with_room(2),
        rounds: BTreeMap::new(),
        run: slots.iter().map(|&slot| (SlotId(slot), held(&format!("n{slot}")))).collect(),
        left: Balance { usd: 100, tokens: 100 },
        spent: Cost::ZERO,
        scope: Scope::Root(Root {
            status: JobStatus::Working,
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

fn finish() -> Next {
    let worker = Worker { nonce: "f".into(), lease_until_ms: 95_000 };
    Next { slot: SlotId::FINISH, at: At::start(0), worker, hold: convoke_domain::decide::Hold::default() }
}

#[test]
fn the_last_commit_ends_the_job_and_claims_the_finish() {
    let (graph, group, outcome) = (graph(), job(&[1]), Outcome::default());
    let view = View { graph: &graph, group: &group, now_ms: 2_000 };
    let mine = &group.run[&SlotId(1)];
    assert_eq!(candidate(&view, SlotId(1), mine.at, &outcome), Some((SlotId::FINISH, At::start(0))));
    let change = commit(&view, SlotId(1), mine, (&outcome, ACTUAL), Some(&finish())).expect("it applies");
    let after = change.apply(&group).expect("no conflict");
    assert_eq!(after.ending.as_ref().map(|ending| ending.reason), Some(StopReason::Completed));
    assert_eq!(after.run.keys().collect::<Vec<_>>(), [&SlotId::FINISH]);
    assert_eq!((after.run[&SlotId::FINISH].nonce(), after.run[&SlotId::FINISH].attempt), (Some("f"), 1));
    assert_eq!((after.left, after.spent), (Balance { usd: 105, tokens: 105 }, ACTUAL));
}

#[test]
fn while_another_step_runs_nothing_ends() {
    let (graph, group) = (graph(), job(&[0, 1]));
    let view = View { graph: &graph, group: &group, now_ms: 2_000 };
    assert_eq!(candidate(&view, SlotId(1), At::start(0), &Outcome::default()), None);
}

#[test]
fn what_changed_since_it_was_seen_refuses_the_finish() {
    let (graph, group, outcome) = (graph(), job(&[1]), Outcome::default());
    let view = View { graph: &graph, group: &group, now_ms: 2_000 };
    let change = commit(&view, SlotId(1), &group.run[&SlotId(1)], (&outcome, ACTUAL), Some(&finish())).expect("made");
    let newer = Group { ver: 6, ..group.clone() };
    assert_eq!(change.apply(&newer), None);
    let cancelled = Group { ending: Some(Ending::new(StopReason::Cancelled, None, "")), ..group.clone() };
    assert_eq!(change.apply(&cancelled), None, "the first ending stands");
}
