//! Random runs of random flows: workers that see old states, get lost, and are rung twice; the decisions hold all the same.

use std::collections::{BTreeMap, BTreeSet};

use convoke_domain::bits::Bits;
use convoke_domain::decide::{self, Action, Attempt, Hold, Outcome, Prior, Refusal, View, Worker};
use convoke_domain::graph::{Graph, Join, Map, Node, OnBound, OnError, Task, TaskKind, Thread, Work};
use convoke_domain::group::{Balance, Ending, Group, Root, Scope};
use convoke_domain::ids::{GroupId, SlotId, StepId};
use convoke_domain::money::{Cost, MicroUsd};
use convoke_domain::slot::Slot;
use convoke_domain::status::{JobStatus, StopReason};
use proptest::prelude::*;

const HOLD: Cost = Cost { usd: MicroUsd(10), tokens: 10 };
const ACTUAL: Cost = Cost { usd: MicroUsd(7), tokens: 4 };
const LEASE_MS: u64 = 1_000;

fn thread(ids: &[String], rounds_max: u32) -> Thread {
    let task = |id: &String| Task { id: id.clone(), kind: TaskKind::Agent, attempts_max: 50 };
    Thread { tasks: ids.iter().map(task).collect(), rounds_max, looped: rounds_max > 1, on_bound: OnBound::Proceed }
}

fn node(index: usize, kind: u8, needs: Vec<usize>) -> Node {
    let id = format!("n{index}");
    let work = match kind % 4 {
        0 => Work::Thread(thread(&[format!("{id}a"), format!("{id}b")], 3)),
        1 => Work::Map(Map {
            thread: thread(&[format!("{id}i")], 1),
            concurrency: 1 + u32::from(kind) % 20,
            ordered: kind % 8 == 5,
            attempts_max: 50,
            on_error: OnError::Fail,
        }),
        _ => Work::Thread(thread(std::slice::from_ref(&id), 1)),
    };
    Node { id, needs, join: Join::All, branches: Vec::new(), work }
}

fn graphs() -> impl Strategy<Value = Graph> {
    prop::collection::vec((any::<u8>(), prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..7).prop_map(
        |nodes| {
            let build = |(index, (kind, needs)): (usize, &(u8, Vec<prop::sample::Index>))| {
                let needs: BTreeSet<usize> = needs.iter().filter(|_| index > 0).map(|need| need.index(index)).collect();
                node(index, *kind, needs.into_iter().collect())
            };
            Graph { nodes: nodes.iter().enumerate().map(build).collect() }
        },
    )
}

fn root(graph: &Graph, budget: u64) -> Group {
    let budget = Cost { usd: MicroUsd(budget), tokens: budget };
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
        left: Balance::of(budget),
        spent: Cost::ZERO,
        scope: Scope::Root(Root {
            status: JobStatus::Queued,
            groups: BTreeMap::new(),
            created_ms: 0,
            deadline_ms: u64::MAX,
            rests_since_ms: None,
            due_ms: Some(0),
            swept_ver: 0,
            pause_ms: 0,
        }),
    }
}

/// A worker between claim and commit, with the state as it was when it claimed.
struct Busy {
    seen: Group,
    slot: SlotId,
    mine: Slot,
}

struct World {
    graph: Graph,
    budget: u64,
    groups: BTreeMap<GroupId, Group>,
    busy: Vec<Busy>,
    bells: Vec<(GroupId, SlotId)>,
    committed: BTreeSet<StepId>,
    lists: BTreeMap<u16, u32>,
    now_ms: u64,
    nonces: u64,
    /// The job as somebody saw it who is slow.
    stale_root: Option<Group>,
}

impl World {
    fn new(graph: Graph, budget: u64) -> Self {
        let groups = BTreeMap::from([(GroupId::Root, root(&graph, budget))]);
        let lists = BTreeMap::new();
        let (busy, bells) = (Vec::new(), Vec::new());
        Self {
            graph,
            budget,
            groups,
            busy,
            bells,
            committed: BTreeSet::new(),
            lists,
            now_ms: 1,
            nonces: 0,
            stale_root: None,
        }
    }

    fn nonce(&mut self) -> String {
        self.nonces += 1;
        format!("n{}", self.nonces)
    }

    fn root(&self) -> &Group {
        &self.groups[&GroupId::Root]
    }

    fn apply(&mut self, change: &convoke_domain::change::Change) -> bool {
        let Some(after) = change.apply(&self.groups[&change.group]) else { return false };
        self.groups.insert(change.group, after);
        self.check_money();
        true
    }

    /// Law 5: what is left, held, spent and lent is always the budget (this world's calls never exceed their holds).
    fn check_money(&self) {
        let root = self.root();
        let job = root.root().expect("the root is a root");
        let mut sum = Balance::of(root.spent + root.held()).plus(root.left);
        for loan in job.groups.values() {
            sum = sum.plus(Balance::of(loan.lent));
        }
        assert_eq!(sum, Balance::of(Cost { usd: MicroUsd(self.budget), tokens: self.budget }), "money of the job");
        assert!(root.left.usd >= 0 && root.left.tokens >= 0, "overdrawn");
        for id in job.groups.keys() {
            let Some(fan) = self.groups.get(id) else { continue };
            let drawn = fan.fan().expect("a fan").drawn;
            assert_eq!(Balance::of(fan.spent + fan.held()).plus(fan.left), Balance::of(drawn), "money of {id}");
            assert!(fan.left.usd >= 0 && fan.left.tokens >= 0, "overdrawn");
        }
    }

    fn claim(&mut self, group: GroupId, slot: SlotId) {
        let worker = Worker { nonce: self.nonce(), lease_until_ms: self.now_ms + LEASE_MS };
        let Some(seen) = self.groups.get(&group).cloned() else { return };
        let view = View { graph: &self.graph, group: &seen, now_ms: self.now_ms };
        let hold = if slot == SlotId::FINISH { Cost::ZERO } else { HOLD };
        match decide::claim(&view, slot, &worker, Hold { cost: hold, turn: 1 }, Prior::Unknown) {
            Ok(change) => {
                if self.apply(&change) {
                    let seen = self.groups[&group].clone();
                    let mine = seen.run[&slot].clone();
                    self.busy.push(Busy { seen, slot, mine });
                }
            }
            Err(Refusal::Unaffordable) => self.seek(group, slot),
            Err(_) => {}
        }
    }

    fn seek(&mut self, id: GroupId, slot: SlotId) {
        let nonce = self.nonce();
        if id != GroupId::Root {
            let root = self.root().clone();
            let view = View { graph: &self.graph, group: &root, now_ms: self.now_ms };
            if let Ok(change) = decide::draw(&view, id, HOLD, nonce.clone())
                && self.apply(&change)
            {
                let lent = self.root().root().expect("root").groups[&id].lent;
                let take =
                    decide::drawn(&self.groups[&id], lent, format!("{nonce}d"), self.now_ms).expect("more is lent");
                assert!(self.apply(&take));
                self.bells.push((id, slot));
                return;
            }
        }
        let group = self.groups[&id].clone();
        let view = View { graph: &self.graph, group: &group, now_ms: self.now_ms };
        if let Ok(change) = decide::park(&view, slot, Prior::Unknown, format!("{nonce}p")) {
            self.apply(&change);
        }
        if id != GroupId::Root && !self.groups[&id].has_claims() {
            let root = self.root().clone();
            let view = View { graph: &self.graph, group: &root, now_ms: self.now_ms };
            if let Ok(change) = decide::starve(&view, id, format!("{nonce}s")) {
                self.apply(&change);
            }
        }
        self.end_if_broke(id, &nonce);
    }

    fn end_if_broke(&mut self, id: GroupId, nonce: &str) {
        let covered = |group: &Group| group.left.covers(Balance::of(HOLD));
        let view = View { graph: &self.graph, group: self.root(), now_ms: self.now_ms };
        let quiet = !self.groups[&id].has_claims();
        if quiet && !covered(self.root()) && !covered(&self.groups[&id]) && decide::is_broke(&view) {
            let ending = Ending::new(StopReason::BudgetExhausted, None, "");
            if let Ok(change) = decide::end(&view, ending, format!("{nonce}e")) {
                self.apply(&change);
            }
        }
    }

    fn outcome(&mut self, busy: &Busy, group: &Group, items: u32) -> Outcome {
        let Work::Map(map) = &self.graph.nodes[usize::from(busy.slot.0).min(self.graph.nodes.len() - 1)].work else {
            return Outcome::default();
        };
        if group.root().is_none() || busy.slot == SlotId::FINISH {
            return Outcome::default();
        }
        let items = *self.lists.entry(busy.slot.0).or_insert(items);
        let view = View { graph: &self.graph, group, now_ms: self.now_ms };
        let expansion = decide::expand(&view, busy.slot.0, map, items, HOLD - ACTUAL);
        Outcome { expansion: Some(expansion), ..Outcome::default() }
    }

    fn commit(&mut self, index: usize, items: u32) {
        let busy = self.busy.swap_remove(index);
        let step = busy.seen.step(&self.graph, busy.slot, busy.mine.at).expect("a step");
        let mut group = busy.seen.clone();
        for _ in 0..2 {
            let outcome = self.outcome(&busy, &group, items);
            let view = View { graph: &self.graph, group: &group, now_ms: self.now_ms };
            let change = if busy.slot == SlotId::FINISH {
                decide::finish(&view, &busy.mine).expect("finish")
            } else {
                decide::commit(&view, busy.slot, &busy.mine, (&outcome, ACTUAL), None).expect("commit")
            };
            if self.apply(&change) {
                assert!(self.committed.insert(step.clone()), "{step} is committed twice");
                self.open_groups(busy.slot, group.id);
                self.follow(group.id, busy.slot);
                return;
            }
            group = self.groups[&group.id].clone();
        }
    }

    fn open_groups(&mut self, slot: SlotId, group: GroupId) {
        if group != GroupId::Root {
            return;
        }
        let ids: Vec<GroupId> = self.root().root().expect("root").groups.keys().copied().collect();
        for id in ids {
            if matches!(id, GroupId::Fan { node, .. } if node == slot.0) {
                self.put_group(id);
            }
        }
    }

    fn put_group(&mut self, id: GroupId) {
        let GroupId::Fan { node, .. } = id else { return };
        let Work::Map(map) = &self.graph.nodes[usize::from(node)].work else { return };
        let items = self.lists[&node];
        let needs: Vec<Vec<u8>> = (0..items)
            .map(|item| if item > 1 { vec![u8::try_from(item / 2).expect("small")] } else { vec![] })
            .collect();
        let list = decide::List { items, chunk: 4, needs: map.ordered.then_some(&needs) };
        let lent = self.root().root().expect("root").groups[&id].lent;
        let fan = decide::new_fan(map, id, list, lent, self.now_ms);
        self.groups.entry(id).or_insert(fan);
        let view = View { graph: &self.graph, group: &self.groups[&id], now_ms: self.now_ms };
        let ready = decide::ready_slots(&view);
        self.bells.extend(ready.into_iter().map(|slot| (id, slot)));
    }

    fn follow(&mut self, id: GroupId, slot: SlotId) {
        let due = decide::follow_up(&self.graph, &self.groups[&id], slot);
        self.bells.extend(due.bells.iter().map(|slot| (id, *slot)));
        if due.finish {
            self.bells.push((id, SlotId::FINISH));
        }
        if due.close {
            // Whoever closes may have read the job before others closed: now and then, long before.
            let seen = if self.nonces.is_multiple_of(2) { self.stale_root.clone() } else { None };
            let root = self.root().clone();
            self.stale_root = Some(root.clone());
            if seen.is_none_or(|seen| !self.close(id, &seen)) {
                self.close(id, &root);
            }
        }
    }

    fn fan_in(&mut self, slot: SlotId) {
        let nonce = self.nonce();
        let view = View { graph: &self.graph, group: self.root(), now_ms: self.now_ms };
        if let Ok(change) = decide::fan_in(&view, slot, nonce)
            && self.apply(&change)
        {
            self.follow(GroupId::Root, slot);
        }
    }

    fn close(&mut self, id: GroupId, seen: &Group) -> bool {
        let nonce = self.nonce();
        let view = View { graph: &self.graph, group: seen, now_ms: self.now_ms };
        let Ok(change) = decide::close(&view, &self.groups[&id], nonce) else { return false };
        let GroupId::Fan { node, .. } = id else { return false };
        let closed = self.apply(&change);
        if closed {
            self.fan_in(SlotId(node));
            self.follow(GroupId::Root, SlotId(node));
        }
        closed
    }

    /// One look of the clock: everything that it finds is done, or rung.
    fn sweep(&mut self) {
        let fans: BTreeMap<GroupId, Group> = self
            .groups
            .iter()
            .filter(|(id, _)| **id != GroupId::Root)
            .map(|(id, group)| (*id, group.clone()))
            .collect();
        let open = self.root().root().expect("root").groups.clone();
        let fans: BTreeMap<GroupId, Group> = fans.into_iter().filter(|(id, _)| open.contains_key(id)).collect();
        let view = View { graph: &self.graph, group: self.root(), now_ms: self.now_ms };
        let Some(sweep) = decide::sweep(&view, &fans) else { return };
        for action in sweep.actions {
            let nonce = self.nonce();
            let target = |id: &GroupId| self.groups[id].clone();
            let change = match action {
                Action::End(ending) => {
                    decide::end(&View { graph: &self.graph, group: self.root(), now_ms: self.now_ms }, ending, nonce)
                        .ok()
                }
                Action::EndGroup(id, ending) => {
                    decide::end(&View { graph: &self.graph, group: &target(&id), now_ms: self.now_ms }, ending, nonce)
                        .ok()
                }
                Action::Draw(id) => decide::drawn(&target(&id), open[&id].lent, nonce, self.now_ms),
                Action::Reap(id, slot) => {
                    let group = target(&id);
                    let view = View { graph: &self.graph, group: &group, now_ms: self.now_ms };
                    decide::reap(&view, slot, Prior::Unknown, None, nonce).ok()
                }
                Action::PutGroup(id) => {
                    self.put_group(id);
                    None
                }
                Action::Close(id) => {
                    self.close(id, &self.root().clone());
                    None
                }
                Action::FanIn(slot) => {
                    self.fan_in(slot);
                    None
                }
                Action::Remind(_) | Action::Expire(_) | Action::Rest => panic!("nobody is asked here"),
                Action::Ring(id, slot) | Action::RingSolo(id, slot) => {
                    self.bells.push((id, slot));
                    None
                }
            };
            if let Some(change) = change {
                self.apply(&change);
            }
        }
    }

    /// The process ends and another begins: the queue is empty, and every lease ends before its time. One worker may
    /// write all the same, as one whose lease ran out might.
    fn restart(&mut self, pick: usize) {
        self.bells.clear();
        if pick.is_multiple_of(2) {
            self.busy.clear();
        }
        let claimed: Vec<(GroupId, SlotId)> =
            self.groups.iter().flat_map(|(id, group)| group.run.keys().map(|slot| (*id, *slot))).collect();
        for (id, slot) in claimed {
            let nonce = self.nonce();
            let view = View { graph: &self.graph, group: &self.groups[&id], now_ms: self.now_ms };
            if let Ok(change) = decide::lapse(&view, slot, nonce) {
                assert!(self.apply(&change), "nobody else writes");
            }
            assert!(self.groups[&id].run.get(&slot).is_none_or(|slot| !slot.is_held(self.now_ms)));
        }
        self.sweep();
    }

    fn is_over(&self) -> bool {
        self.root().root().expect("root").status.is_terminal()
    }

    fn steps_expected(&self) -> usize {
        let of = |(index, node): (usize, &Node)| match &node.work {
            Work::Map(_) => 1 + self.lists.get(&u16::try_from(index).expect("small")).copied().unwrap_or(0) as usize,
            Work::Thread(thread) => thread.tasks.len() * thread.rounds_max as usize,
        };
        self.graph.nodes.iter().enumerate().map(of).sum::<usize>() + 1
    }
}

/// Which of the things that may happen happens next.
fn act(world: &mut World, choice: u8, pick: usize) {
    match choice % 10 {
        0..=3 if !world.bells.is_empty() => {
            let (group, slot) = world.bells[pick % world.bells.len()];
            if choice % 10 < 3 {
                world.bells.swap_remove(pick % world.bells.len());
            }
            world.claim(group, slot);
        }
        4..=6 if !world.busy.is_empty() => world.commit(pick % world.busy.len(), u32::from(choice) % 23),
        7 if !world.busy.is_empty() && pick.is_multiple_of(3) => {
            let busy = world.busy.swap_remove(pick % world.busy.len());
            let view = View { graph: &world.graph, group: &busy.seen, now_ms: world.now_ms };
            let back =
                decide::give_back(&view, busy.slot, &busy.mine, ACTUAL.min(HOLD), (Attempt::Counts, world.now_ms));
            if busy.slot != SlotId::FINISH {
                world.apply(&back.expect("give back"));
            }
        }
        8 if pick.is_multiple_of(5) && !world.busy.is_empty() => {
            world.busy.swap_remove(pick % world.busy.len());
            world.now_ms += LEASE_MS;
        }
        9 if pick.is_multiple_of(7) => world.restart(pick),
        _ => {
            world.now_ms += 50;
            world.sweep();
        }
    }
}

fn run_to_end(world: &mut World) {
    for _ in 0..3_000 {
        if world.is_over() {
            return;
        }
        if let Some((group, slot)) = world.bells.pop() {
            world.claim(group, slot);
        } else if !world.busy.is_empty() {
            world.commit(0, 3);
        } else {
            world.now_ms += LEASE_MS;
            world.sweep();
        }
    }
    panic!("the job doesn't end: {:?}", world.root());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_funded_job_completes_with_each_step_once(
        graph in graphs(),
        acts in prop::collection::vec((any::<u8>(), any::<usize>()), 0..300),
    ) {
        let mut world = World::new(graph, 1_000_000);
        world.sweep();
        for (choice, pick) in acts {
            act(&mut world, choice, pick);
        }
        run_to_end(&mut world);
        prop_assert_eq!(world.root().ending.as_ref().map(|e| e.reason), Some(StopReason::Completed));
        prop_assert_eq!(world.committed.len(), world.steps_expected());
        prop_assert_eq!(world.root().held(), Cost::ZERO);
        for step in &world.committed {
            let finish = *step == StepId::finish();
            prop_assert!(finish || decide::is_committed(&world.graph, &world.groups, step), "{}", step);
        }
    }

    #[test]
    fn a_job_without_enough_money_ends_within_its_budget(
        graph in graphs(),
        budget in 0_u64..200,
        acts in prop::collection::vec((any::<u8>(), any::<usize>()), 0..200),
    ) {
        let mut world = World::new(graph, budget);
        world.sweep();
        for (choice, pick) in acts {
            act(&mut world, choice, pick);
        }
        run_to_end(&mut world);
        let reason = world.root().ending.as_ref().map(|ending| ending.reason);
        prop_assert!(matches!(reason, Some(StopReason::Completed | StopReason::BudgetExhausted)), "{:?}", reason);
        prop_assert!(world.root().spent.usd.0 <= budget);
        prop_assert_eq!(world.root().held(), Cost::ZERO);
    }
}
