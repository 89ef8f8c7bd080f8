//! Random legal runs of whole jobs, through the decisions themselves.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{agent, map, node, root, task, tell, thread};
use crate::change::Change;
use crate::decide::{
    Attempt, Hold, List, Next, Outcome, Prior, View, Worker, candidate, claim, close, commit, end, expand, fail,
    finish, give_back, is_complete, new_fan, ready_slots, renew,
};
use crate::events::{Happened, derive};
use crate::graph::{Branch, Graph, Map, OnBound, TaskKind, Work};
use crate::group::{Duty, Ending, Group};
use crate::ids::{GroupId, SlotId};
use crate::money::{Cost, MicroUsd};
use crate::slot::Slot;
use crate::status::{JobStatus, StopReason};

const HOLD: Cost = Cost { usd: MicroUsd(10), tokens: 10 };
const PAID: Cost = Cost { usd: MicroUsd(3), tokens: 7 };
const LENT: Cost = Cost { usd: MicroUsd(9_000), tokens: 9_000 };

/// A job that is driven by bytes: each says what happens next. Without bytes everything goes well.
struct Run {
    graph: Graph,
    groups: BTreeMap<GroupId, Group>,
    bytes: std::vec::IntoIter<u8>,
    now_ms: u64,
    drawn: u32,
    events: Vec<Happened>,
    committed: Vec<String>,
    failed: Vec<String>,
}

fn flow(on_bound: OnBound, ordered: bool) -> Graph {
    let talk = vec![task("design", TaskKind::Agent), task("check", TaskKind::Agent)];
    let pair = vec![task("code", TaskKind::Agent), task("test", TaskKind::Agent)];
    let ask = thread(vec![task("ask", TaskKind::Condition)], 1, OnBound::Proceed);
    let yes = crate::graph::Node { branches: vec![Branch { node: 3, when: true }], ..agent("yes", &[3]) };
    Graph {
        nodes: vec![
            agent("plan", &[]),
            node("talk", &[0], Work::Thread(thread(talk, 3, on_bound))),
            map("work", &[1], ordered, thread(pair, 2, OnBound::Proceed)),
            node("ask", &[0], Work::Thread(ask)),
            yes,
            agent("join", &[2, 4]),
        ],
    }
}

impl Run {
    fn new(graph: Graph, bytes: Vec<u8>) -> Self {
        let job = root();
        let events = derive(&graph, None, &job);
        let groups = BTreeMap::from([(GroupId::Root, job)]);
        let (committed, failed) = (Vec::new(), Vec::new());
        Self { graph, groups, bytes: bytes.into_iter(), now_ms: 2_000, drawn: 0, events, committed, failed }
    }

    /// Runs to the end of the job.
    fn run(mut self) -> Self {
        while !self.root().root().is_some_and(|root| root.status.is_terminal()) {
            self.now_ms += 1;
            self.step();
            while self.settle() {}
        }
        self
    }

    fn root(&self) -> &Group {
        &self.groups[&GroupId::Root]
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().unwrap_or(0)
    }

    fn mark(&mut self) -> String {
        self.drawn += 1;
        format!("m{}", self.drawn)
    }

    fn worker(&mut self) -> Worker {
        Worker { nonce: self.mark(), lease_until_ms: self.now_ms + 100 }
    }

    fn decide<T>(&self, id: GroupId, decide: impl FnOnce(&View<'_>) -> T) -> T {
        decide(&View { graph: &self.graph, group: &self.groups[&id], now_ms: self.now_ms })
    }

    fn apply(&mut self, change: &Change) {
        let before = self.groups[&change.group].clone();
        let after = change.apply(&before).expect("nobody else writes");
        self.events.extend(derive(&self.graph, Some(&before), &after));
        self.groups.insert(change.group, after);
    }

    /// One worker does one thing.
    fn step(&mut self) {
        let mut places = Vec::new();
        for (&id, group) in &self.groups {
            let held = group.run.iter().filter(|(_, slot)| slot.claim.is_some()).map(|(&slot, _)| slot);
            let ready = if group.ending.is_some() { Vec::new() } else { self.decide(id, ready_slots) };
            places.extend(held.chain(ready).map(|slot| (id, slot)));
        }
        let pick = usize::from(self.byte());
        let Some(&(id, slot)) = places.get(pick % places.len().max(1)) else { return };
        match self.groups[&id].run.get(&slot).filter(|slot| slot.claim.is_some()).cloned() {
            None => self.claim(id, slot),
            Some(mine) => self.work(id, slot, &mine),
        }
    }

    fn claim(&mut self, id: GroupId, slot: SlotId) {
        self.now_ms += 1_000;
        let worker = self.worker();
        let hold = Hold { cost: HOLD, turn: 1 };
        let change = self.decide(id, |view| claim(view, slot, &worker, hold, Prior::Unknown));
        self.apply(&change.expect("it is ready, and time has passed"));
    }

    fn work(&mut self, id: GroupId, slot: SlotId, mine: &Slot) {
        let retry_ms = self.now_ms + 5;
        let (tried, hold) = (self.byte(), Hold { cost: HOLD, turn: 2 });
        let lost = mine.attempt < 3 && self.groups[&id].ending.is_none();
        let change = match tried {
            200..=219 => self.decide(id, |v| give_back(v, slot, mine, PAID, (Attempt::Counts, retry_ms))).ok(),
            220..=229 => self.decide(id, |v| give_back(v, slot, mine, PAID, (Attempt::Uncounted, retry_ms))).ok(),
            230..=239 => {
                let renewed = self.decide(id, |v| renew(v, slot, mine, PAID, (hold, retry_ms + 100)));
                renewed.ok().map(|(change, _)| change)
            }
            240..=249 if lost => return self.claim(id, slot),
            250..=252 => {
                let cause = Ending::new(StopReason::ToolFailed, None, "it broke");
                self.decide(id, |v| fail(v, slot, mine, PAID, cause)).ok()
            }
            253..=255 => {
                let (mark, cause) = (self.mark(), Ending::new(StopReason::Cancelled, None, ""));
                self.decide(GroupId::Root, |v| end(v, cause, mark)).ok()
            }
            _ => None,
        };
        match change {
            Some(change) => self.apply(&change),
            None => self.commit(id, slot, mine),
        }
    }

    fn commit(&mut self, id: GroupId, slot: SlotId, mine: &Slot) {
        let (outcome, list) = self.outcome(id, slot, mine);
        let worker = self.worker();
        let on = if self.byte().is_multiple_of(2) {
            self.decide(id, |v| candidate(v, slot, mine.at, &outcome))
        } else {
            None
        };
        let next = on.map(|(slot, at)| Next { slot, at, worker, hold: Hold { cost: HOLD, turn: 1 } });
        let change = self.decide(id, |view| commit(view, slot, mine, (&outcome, PAID), next.as_ref()));
        let step = self.groups[&id].step(&self.graph, slot, mine.at).expect("it was claimed").to_string();
        let kept = if outcome.item_failed { &mut self.failed } else { &mut self.committed };
        kept.push(step);
        self.apply(&change.expect("it is mine"));
        self.put_parts(&outcome, list);
    }

    fn outcome(&mut self, id: GroupId, slot: SlotId, mine: &Slot) -> (Outcome, Option<(Map, u32)>) {
        let duty = self.groups[&id].duty(&self.graph, slot, mine.at).expect("it was claimed");
        let chance = match duty {
            Duty::Expand { node, map } => {
                let (node, map) = (u16::try_from(node).expect("small"), map.clone());
                let items = u32::from(self.byte() % 11);
                let mut expansion = self.decide(id, |view| expand(view, node, &map, items, Cost::ZERO));
                // Enough for each part, and enough left for the others: money isn't what is tested here.
                expansion.loans.iter_mut().for_each(|(_, loan)| loan.lent = LENT);
                return (Outcome { expansion: Some(expansion), ..Outcome::default() }, Some((map, items)));
            }
            Duty::Task { task, .. } => (task.kind, task.id.clone()),
            Duty::Finish => return (Outcome::default(), None),
        };
        let said = self.byte();
        let outcome = match (chance.0, chance.1.as_str()) {
            (TaskKind::Condition, _) => Outcome { branch: Some(said.is_multiple_of(2)), ..Outcome::default() },
            (_, "check" | "test") => Outcome { until: Some(said.is_multiple_of(3)), ..Outcome::default() },
            (_, "code") => Outcome { item_failed: said > 230, ..Outcome::default() },
            _ => Outcome::default(),
        };
        (outcome, None)
    }

    fn put_parts(&mut self, outcome: &Outcome, list: Option<(Map, u32)>) {
        let (Some(expansion), Some((map, items))) = (&outcome.expansion, list) else { return };
        // In an ordered map each item waits for the one before it.
        let needs: Option<Vec<Vec<u8>>> = map.ordered.then(|| {
            (0..items)
                .map(|item| u8::try_from(item).ok().and_then(|i| i.checked_sub(1)).into_iter().collect())
                .collect()
        });
        for (id, loan) in &expansion.loans {
            let list = List { items, chunk: 100, needs: needs.as_deref() };
            let part = new_fan(&map, *id, list, loan.lent, self.now_ms);
            self.events.extend(derive(&self.graph, None, &part));
            self.groups.insert(*id, part);
        }
    }

    /// What follows from the state by itself; whether anything did.
    fn settle(&mut self) -> bool {
        let mark = self.mark();
        let change = self.passed_on(&mark).or_else(|| self.closed(&mark)).or_else(|| self.finished());
        change.inspect(|change| self.apply(change)).is_some()
    }

    fn passed_on(&self, mark: &str) -> Option<Change> {
        let fans = || self.groups.values().filter(|group| group.fan().is_some());
        let own = fans().find_map(|fan| fan.ending.clone());
        let done = !self.root().has_claims() && is_complete(&self.graph, self.root());
        let all = done.then(|| Ending::new(StopReason::Completed, None, ""));
        if let Some(ending) = own.or(all).filter(|_| self.root().ending.is_none()) {
            return self.decide(GroupId::Root, |view| end(view, ending, mark.to_owned())).ok();
        }
        let ending = self.root().ending.clone()?;
        let live = fans().find(|fan| fan.ending.is_none())?;
        self.decide(live.id, |view| end(view, ending, mark.to_owned())).ok()
    }

    fn closed(&self, mark: &str) -> Option<Change> {
        let close = |group| self.decide(GroupId::Root, |view| close(view, group, mark.to_owned())).ok();
        self.groups.values().find_map(close)
    }

    fn finished(&mut self) -> Option<Change> {
        if let Some(mine) = self.root().run.get(&SlotId::FINISH).filter(|slot| slot.claim.is_some()).cloned() {
            self.committed.push("(finish)".into());
            return self.decide(GroupId::Root, |view| finish(view, &mine)).ok();
        }
        let worker = self.worker();
        let hold = Hold::default();
        self.decide(GroupId::Root, |view| claim(view, SlotId::FINISH, &worker, hold, Prior::Unknown)).ok()
    }
}

fn steps(events: &[Happened], pick: impl Fn(&Happened) -> Option<String>) -> Vec<String> {
    let mut steps: Vec<String> = events.iter().filter_map(pick).collect();
    steps.sort();
    steps
}

proptest! {
    #[test]
    fn a_run_names_each_step_once(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ordered: bool,
        fails: bool,
    ) {
        let on_bound = if fails { OnBound::Fail } else { OnBound::Proceed };
        let mut run = Run::new(flow(on_bound, ordered), bytes).run();

        let completed = steps(&run.events, |event| match event {
            Happened::StepCompleted { step, .. } => Some(step.to_string()),
            _ => None,
        });
        run.committed.sort();
        prop_assert_eq!(&completed, &run.committed);
        prop_assert!(completed.windows(2).all(|pair| pair[0] != pair[1]), "a step twice: {completed:?}");

        let told: Vec<String> = run.events.iter().map(tell).collect();
        for event in &run.events {
            let (Happened::StepCompleted { step, attempt } | Happened::StepFailed { step, attempt }) = event else {
                continue;
            };
            let started = format!("{step} started as {attempt}");
            prop_assert!(told.contains(&started), "{started} is missing");
        }
        let count = |text: &str| told.iter().filter(|event| event.starts_with(text)).count();
        prop_assert_eq!((count("submitted"), count("working"), count("ending "), count("ended ")), (1, 1, 1, 1));
        prop_assert!(count("cost ") > 0);
        for step in &run.failed {
            prop_assert!(count(&format!("{step} failed in ")) == 1, "{step} fails once");
        }
        prop_assert!(matches!(run.root().root().map(|root| root.status), Some(status) if status != JobStatus::Queued));
    }
}
