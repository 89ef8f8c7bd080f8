//! A job without maps: workers that see old states and get lost, people who decide on what they saw a while ago, and a clock.

use std::collections::{BTreeMap, BTreeSet};

use convoke_domain::bits::Bits;
use convoke_domain::change::Change;
use convoke_domain::decide::{self, Action, Hold, Outcome, Prior, Refusal, View, Worker};
use convoke_domain::events::{Happened, derive};
use convoke_domain::graph::{Graph, Join, Node, OnBound, Task, TaskKind, Thread, Work};
use convoke_domain::group::{Balance, Ending, Group, Root, Scope};
use convoke_domain::ids::{GroupId, SlotId, StepId};
use convoke_domain::money::{Cost, MicroUsd};
use convoke_domain::review::{Decision, OnReject, Ruling, Terms};
use convoke_domain::slot::Slot;
use convoke_domain::status::{JobStatus, StopReason};

pub const MINUTE_MS: u64 = 60_000;
pub const DEADLINE_MS: u64 = 1_000 * MINUTE_MS;
pub const HOLD: Cost = Cost { usd: MicroUsd(10), tokens: 10 };
pub const BUDGET: Cost = Cost { usd: MicroUsd(1_000_000), tokens: 1_000_000 };

pub const TERMS: Terms = Terms {
    deadline_ms: 60 * MINUTE_MS,
    reminder_ms: Some(20 * MINUTE_MS),
    default: None,
    on_reject: OnReject::Proceed,
};

pub fn task(id: &str, kind: TaskKind) -> Task {
    Task { id: id.into(), kind, attempts_max: 50 }
}

pub fn node(id: &str, needs: &[usize], tasks: Vec<Task>, rounds_max: u32) -> Node {
    let thread = Thread { tasks, rounds_max, looped: rounds_max > 1, on_bound: OnBound::Proceed };
    Node { id: id.into(), needs: needs.to_vec(), join: Join::All, branches: Vec::new(), work: Work::Thread(thread) }
}

pub fn review(id: &str, needs: &[usize], terms: Terms) -> Node {
    node(id, needs, vec![task(id, TaskKind::Review(terms))], 1)
}

pub fn agent(id: &str, needs: &[usize]) -> Node {
    node(id, needs, vec![task(id, TaskKind::Agent)], 1)
}

pub fn root(graph: &Graph) -> Group {
    Group {
        id: GroupId::Root,
        ver: 1,
        last: String::new(),
        at_ms: 0,
        ending: None,
        done: Bits::with_room(graph.nodes.len()),
        no: Bits::with_room(graph.nodes.len()),
        rounds: BTreeMap::new(),
        run: BTreeMap::new(),
        left: Balance::of(BUDGET),
        spent: Cost::ZERO,
        scope: Scope::Root(Root {
            status: JobStatus::Queued,
            groups: BTreeMap::new(),
            created_ms: 0,
            deadline_ms: DEADLINE_MS,
            rests_since_ms: None,
            due_ms: Some(MINUTE_MS),
            swept_ver: 0,
            pause_ms: 0,
        }),
    }
}

/// A worker between claim and commit.
pub struct Busy {
    seen: Group,
    slot: SlotId,
    mine: Slot,
}

pub struct World {
    pub graph: Graph,
    pub job: Group,
    pub busy: Vec<Busy>,
    /// The job as somebody saw it who is slow.
    pub stale: Group,
    pub now_ms: u64,
    pub nonces: u64,
    pub rulings: Vec<(StepId, Ruling)>,
    pub rested_ms: u64,
    pub events: Vec<Happened>,
}

impl World {
    pub fn new(nodes: Vec<Node>) -> Self {
        let graph = Graph { nodes };
        let job = root(&graph);
        let (busy, rulings, events) = (Vec::new(), Vec::new(), Vec::new());
        Self { stale: job.clone(), job, graph, busy, now_ms: 1, nonces: 0, rulings, rested_ms: 0, events }
    }

    pub fn nonce(&mut self) -> String {
        self.nonces += 1;
        format!("n{}", self.nonces)
    }

    pub fn view<'a>(&'a self, group: &'a Group) -> View<'a> {
        View { graph: &self.graph, group, now_ms: self.now_ms }
    }

    pub fn root(&self) -> &Root {
        self.job.root().expect("a root")
    }

    pub fn apply(&mut self, change: &Change) -> bool {
        let Some(after) = change.apply(&self.job) else { return false };
        if let (Some(since_ms), None) = (self.root().rests_since_ms, after.root().expect("a root").rests_since_ms) {
            self.rested_ms += self.now_ms - since_ms;
        }
        self.events.extend(derive(&self.graph, Some(&self.job), &after));
        self.job = after;
        self.check();
        true
    }

    /// What holds after every change.
    pub fn check(&self) {
        let job = self.root();
        let reviews = self.job.run.values().filter(|slot| slot.asked().is_some());
        for slot in reviews {
            assert!(slot.claim.is_none() && slot.ruled.is_none(), "a review holds no lease: {slot}");
        }
        assert_eq!(job.deadline_ms, DEADLINE_MS + self.rested_ms, "the clock stands still while the job rests");
        if job.rests_since_ms.is_some() && self.job.ending.is_none() {
            assert_eq!(job.status, JobStatus::AwaitingReview);
            assert_eq!(self.job.held(), Cost::ZERO);
            assert!(self.job.run.values().all(|slot| slot.asked().is_some()), "it rests although there is work");
            assert!(decide::ready_slots(&self.view(&self.job)).is_empty(), "it rests although there is work");
        }
        if job.status == JobStatus::AwaitingReview {
            assert!(job.rests_since_ms.is_some(), "it awaits a review and its clock runs");
        }
        let sum = Balance::of(self.job.spent + self.job.held()).plus(self.job.left);
        assert_eq!(sum, Balance::of(BUDGET), "money");
        let steps: BTreeSet<&StepId> = self.rulings.iter().map(|(step, _)| step).collect();
        assert_eq!(steps.len(), self.rulings.len(), "two decisions count: {:?}", self.rulings);
    }

    pub fn claim(&mut self, slot: SlotId) -> bool {
        let worker = Worker { nonce: self.nonce(), lease_until_ms: self.now_ms + MINUTE_MS };
        let seen = self.job.clone();
        let reviews = seen.run.contains_key(&slot) && seen.terms(&self.graph, slot).is_some();
        let cost = if reviews || slot == SlotId::FINISH { Cost::ZERO } else { HOLD };
        let hold = Hold { cost, turn: 1 };
        let Ok(change) = decide::claim(&self.view(&seen), slot, &worker, hold, Prior::Unknown) else { return false };
        if !self.apply(&change) {
            return false;
        }
        let mine = self.job.run[&slot].clone();
        self.busy.push(Busy { seen: self.job.clone(), slot, mine });
        true
    }

    /// The worker does what is to be done, as it saw the job, and once more as it is.
    pub fn perform(&mut self, index: usize) {
        let busy = self.busy.swap_remove(index);
        for group in [busy.seen.clone(), self.job.clone()] {
            let view = self.view(&group);
            let terms = group.duty(&self.graph, busy.slot, busy.mine.at).and_then(|duty| duty.terms());
            let change = match (busy.slot, terms, &busy.mine.ruled) {
                (SlotId::FINISH, ..) => decide::finish(&view, &busy.mine),
                (_, Some(_), None) => decide::ask(&view, busy.slot, &busy.mine),
                (_, Some(terms), Some(ruled)) if terms.ends_job(ruled.ruling) => {
                    let ending = Ending::new(StopReason::Rejected, None, "");
                    decide::fail(&view, busy.slot, &busy.mine, Cost::ZERO, ending)
                }
                (_, _, ruled) => {
                    let decision = ruled.as_ref().and_then(|ruled| ruled.ruling.decision());
                    let until = terms.map(|_| decision == Some(Decision::Approve));
                    let sent_back = decision == Some(Decision::Changes);
                    let outcome = Outcome { until, sent_back, ..Outcome::default() };
                    let actual = busy.mine.claim.as_ref().map_or(Cost::ZERO, |claim| claim.hold);
                    decide::commit(&view, busy.slot, &busy.mine, (&outcome, actual), None)
                }
            };
            let Ok(change) = change else { continue };
            if self.apply(&change) {
                self.follow(busy.slot);
                return;
            }
        }
        // Its claim is lost, or the job ends and nobody is asked.
        let back = (decide::Attempt::Uncounted, self.now_ms);
        let given = decide::give_back(&self.view(&self.job.clone()), busy.slot, &busy.mine, Cost::ZERO, back);
        if given.is_ok_and(|change| self.apply(&change)) {
            self.follow(busy.slot);
        }
    }

    /// Now and then whoever is to follow up is lost: the sweep finds what was to be done.
    pub fn follow(&mut self, slot: SlotId) {
        if self.nonces.is_multiple_of(3) {
            return;
        }
        let due = decide::follow_up(&self.graph, &self.job.clone(), slot);
        let (mark, now) = (self.nonce(), self.job.clone());
        if due.rest {
            let change = decide::rest(&self.view(&now), mark).expect("it is to rest");
            assert!(self.apply(&change), "nobody else writes");
        } else if let Some(ending) = due.end {
            let change = decide::end(&self.view(&now), ending, mark).expect("it is complete");
            assert!(self.apply(&change), "nobody else writes");
        }
    }

    pub fn open(&self) -> Vec<SlotId> {
        self.job.run.iter().filter(|(_, slot)| slot.asked().is_some()).map(|(id, _)| *id).collect()
    }

    /// Somebody decides, on what they saw a while ago.
    pub fn decide(&mut self, slot: SlotId, decision: Decision, seen: &Group) -> Result<bool, Refusal> {
        let mark = self.nonce();
        let ruling = Ruling::Decided(decision);
        let change = decide::rule(&self.view(seen), slot, ruling, mark)?;
        let step = self.step(seen, slot);
        let counts = self.apply(&change);
        if counts {
            self.rulings.push((step, ruling));
            self.check();
        }
        Ok(counts)
    }

    pub fn step(&self, group: &Group, slot: SlotId) -> StepId {
        group.step(&self.graph, slot, group.run[&slot].at).expect("a step")
    }

    pub fn sweep(&mut self) {
        let Some(sweep) = decide::sweep(&self.view(&self.job), &BTreeMap::new()) else { return };
        for action in sweep.actions {
            let (mark, now) = (self.nonce(), self.job.clone());
            let view = self.view(&now);
            let change = match action {
                Action::End(ending) => decide::end(&view, ending, mark).ok(),
                Action::Reap(_, slot) => decide::reap(&view, slot, Prior::Unknown, None, mark).ok(),
                Action::Remind(slot) => decide::remind(&view, slot, mark).ok(),
                Action::Rest => decide::rest(&view, mark).ok(),
                Action::Expire(slot) => {
                    let (change, ruling) = decide::expire(&view, slot, mark).expect("its time is over");
                    let step = self.step(&now, slot);
                    assert!(self.apply(&change), "nobody else writes");
                    self.rulings.push((step, ruling));
                    None
                }
                Action::Ring(_, slot) | Action::RingSolo(_, slot) => {
                    self.claim(slot);
                    None
                }
                other => panic!("a job without maps: {other:?}"),
            };
            if let Some(change) = change {
                self.apply(&change);
            }
        }
    }

    pub fn is_over(&self) -> bool {
        self.root().status.is_terminal()
    }

    /// Works until nothing is left but people's decisions.
    pub fn settle(&mut self) {
        for _ in 0..100 {
            self.sweep();
            while !self.busy.is_empty() {
                self.perform(0);
            }
            let rests = self.root().rests_since_ms.is_some() && self.job.ending.is_none();
            if self.is_over() || rests {
                return;
            }
        }
        panic!("it neither rests nor ends: {:?}", self.job);
    }

    pub fn told(&self, tell: impl Fn(&Happened) -> bool) -> usize {
        self.events.iter().filter(|event| tell(event)).count()
    }
}
