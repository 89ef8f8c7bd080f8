//! How far a job is, computed from its groups.

use std::collections::BTreeMap;

use convoke_api::job::{ItemsView, NodeState, NodeView, ProgressView};
use convoke_domain::graph::{Graph, Node, Standing, Work};
use convoke_domain::group::{Fan, Group, Order};
use convoke_domain::ids::{GroupId, SlotId};
use convoke_domain::slot::{Slot, Wait};
use convoke_domain::status::StopReason;

/// How far the job is, given its own item and the open groups of its maps.
pub(super) fn progress(graph: &Graph, root: &Group, fans: &BTreeMap<GroupId, Group>, now_ms: u64) -> ProgressView {
    let standings = graph.standings(&root.done, &root.no);
    let nodes: Vec<NodeView> = graph
        .nodes
        .iter()
        .zip(standings)
        .enumerate()
        .map(|(index, (node, standing))| node_view(root, fans, (index, node), standing))
        .collect();
    let done = |node: &&NodeView| matches!(node.state, NodeState::Completed | NodeState::Skipped);
    let held =
        |group: &Group| group.run.iter().filter(|(id, slot)| **id != SlotId::FINISH && slot.is_held(now_ms)).count();
    ProgressView {
        nodes_total: count(nodes.len()),
        nodes_done: count(nodes.iter().filter(done).count()),
        steps_running: count(fans.values().chain([root]).map(held).sum()),
        nodes,
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn node_view(
    root: &Group,
    fans: &BTreeMap<GroupId, Group>,
    (index, node): (usize, &Node),
    standing: Standing,
) -> NodeView {
    let id = SlotId(u16::try_from(index).unwrap_or(u16::MAX));
    let slot = root.run.get(&id);
    let looped = matches!(&node.work, Work::Thread(thread) if thread.looped);
    let round = slot.map(|slot| slot.at.round).or_else(|| root.rounds.get(&id).copied());
    NodeView {
        id: node.id.clone(),
        state: state(root, node, slot, standing),
        round: round.filter(|_| looped),
        items: slot.filter(|slot| slot.wait == Wait::Groups).and_then(|_| items(fans, id)),
    }
}

fn state(root: &Group, node: &Node, slot: Option<&Slot>, standing: Standing) -> NodeState {
    if made_it_end(root, node) {
        return NodeState::Failed;
    }
    let is_over = root.root().is_some_and(|job| job.status.is_terminal());
    match (standing, slot) {
        (Standing::Done, _) => NodeState::Completed,
        (Standing::Skipped, _) => NodeState::Skipped,
        (Standing::Waiting | Standing::Ready, _) if is_over => NodeState::Stopped,
        (Standing::Waiting, _) => NodeState::Waiting,
        (Standing::Ready, Some(slot)) if slot.asked().is_some() => NodeState::AwaitingReview,
        (Standing::Ready, Some(slot)) if slot.claim.is_some() || slot.wait == Wait::Groups => NodeState::Running,
        (Standing::Ready, _) => NodeState::Ready,
    }
}

/// Whether a step of this node is what ended the job otherwise than asked.
fn made_it_end(root: &Group, node: &Node) -> bool {
    let Some(ending) = root.ending.as_ref().filter(|ending| ending.reason != StopReason::Completed) else {
        return false;
    };
    let task = ending.step.as_deref().and_then(|step| step.split(['[', '@']).next());
    task.is_some_and(|task| node.id == task || node.thread().tasks.iter().any(|other| other.id == task))
}

/// Items of a map whose groups are open; items of groups that were closed have all ended.
fn items(fans: &BTreeMap<GroupId, Group>, map: SlotId) -> Option<ItemsView> {
    let of_map = |group: &&Group| matches!(group.id, GroupId::Fan { node, .. } if node == map.0);
    let groups: Vec<&Group> = fans.values().filter(of_map).collect();
    let total = groups.first()?.fan()?.items;
    let to_do: u32 = groups.iter().map(|group| remaining(group)).sum();
    let failed = groups.iter().filter_map(|group| group.fan()).map(|fan| fan.failed).sum();
    Some(ItemsView { total, done: total.saturating_sub(to_do), failed })
}

/// Items of the group that haven't ended.
fn remaining(group: &Group) -> u32 {
    let Some(Fan { order, items, .. }) = group.fan() else { return 0 };
    match order {
        Order::After { needs, .. } => count(needs.len()).saturating_sub(group.done.count()),
        Order::Lanes { stride, .. } => {
            let left = |slot: &Slot| items.saturating_sub(slot.at.item).div_ceil((*stride).max(1));
            group.run.values().map(left).sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use convoke_domain::bits::Bits;
    use convoke_domain::decide::{List, new_fan};
    use convoke_domain::graph::{Join, Map, OnBound, OnError, Task, TaskKind, Thread};
    use convoke_domain::group::{Balance, Ending, Root, Scope};
    use convoke_domain::money::Cost;
    use convoke_domain::slot::{At, Claim};
    use convoke_domain::status::JobStatus;

    use super::*;

    fn thread(task: &str, rounds_max: u32) -> Thread {
        let task = Task { id: task.into(), kind: TaskKind::Agent, attempts_max: 3 };
        Thread { tasks: vec![task], rounds_max, looped: rounds_max > 1, on_bound: OnBound::Proceed }
    }

    fn node(id: &str, needs: &[usize], work: Work) -> Node {
        Node { id: id.into(), needs: needs.to_vec(), join: Join::All, branches: Vec::new(), work }
    }

    fn map() -> Map {
        Map { thread: thread("work", 1), concurrency: 2, ordered: false, attempts_max: 3, on_error: OnError::Continue }
    }

    fn graph() -> Graph {
        let nodes = vec![
            node("plan", &[], Work::Thread(thread("draft", 3))),
            node("work", &[0], Work::Map(map())),
            node("done", &[1], Work::Thread(thread("done", 1))),
        ];
        Graph { nodes }
    }

    fn root() -> Group {
        let scope = Root {
            status: JobStatus::Working,
            groups: BTreeMap::new(),
            created_ms: 0,
            deadline_ms: 10_000,
            rests_since_ms: None,
            due_ms: None,
            swept_ver: 0,
            pause_ms: 0,
        };
        Group {
            id: GroupId::Root,
            ver: 1,
            last: String::new(),
            at_ms: 0,
            ending: None,
            done: Bits::with_room(3),
            no: Bits::with_room(3),
            rounds: BTreeMap::new(),
            run: BTreeMap::new(),
            left: Balance::default(),
            spent: Cost::ZERO,
            scope: Scope::Root(scope),
        }
    }

    fn held(at: At) -> Slot {
        let claim = Claim { nonce: "n".into(), lease_until_ms: 1_000, hold: Cost::ZERO, turn: 1 };
        Slot { attempt: 1, claim: Some(claim), ..Slot::new(at) }
    }

    fn states(view: &ProgressView) -> Vec<NodeState> {
        view.nodes.iter().map(|node| node.state).collect()
    }

    #[test]
    fn a_loop_shows_its_round_and_what_follows_waits() {
        let mut root = root();
        root.run.insert(SlotId(0), held(At { round: 2, ..At::start(0) }));
        let view = progress(&graph(), &root, &BTreeMap::new(), 500);
        assert_eq!(states(&view), [NodeState::Running, NodeState::Waiting, NodeState::Waiting]);
        assert_eq!((view.nodes[0].round, view.steps_running, view.nodes_done, view.nodes_total), (Some(2), 1, 0, 3));
        assert_eq!(progress(&graph(), &root, &BTreeMap::new(), 5_000).steps_running, 0, "the lease ran out");
    }

    #[test]
    fn a_map_counts_the_items_that_have_ended() {
        let mut root = root();
        root.done.insert(0);
        root.rounds.insert(SlotId(0), 1);
        root.run.insert(SlotId(1), Slot { wait: Wait::Groups, ..Slot::new(At::start(0)) });
        let id = GroupId::Fan { node: 1, part: 0 };
        let mut fan = new_fan(&map(), id, List { items: 5, chunk: 10, needs: None }, Cost::ZERO, 0);
        let fans = |fan: &Group| BTreeMap::from([(id, fan.clone())]);
        let items = |fan: &Group| progress(&graph(), &root, &fans(fan), 0).nodes[1].items;
        assert_eq!(items(&fan), Some(ItemsView { total: 5, done: 0, failed: 0 }));
        // Lane 0 runs the items 0, 2, 4 and stands at 4; lane 1 (items 1, 3) is done.
        fan.run.insert(SlotId(0), held(At::start(4)));
        fan.run.remove(&SlotId(1));
        fan.done.insert(1);
        assert_eq!(items(&fan), Some(ItemsView { total: 5, done: 4, failed: 0 }));
        let view = progress(&graph(), &root, &fans(&fan), 0);
        assert_eq!(states(&view), [NodeState::Completed, NodeState::Running, NodeState::Waiting]);
        assert_eq!((view.steps_running, view.nodes_done), (1, 1));
    }

    #[test]
    fn an_ended_job_shows_what_failed_and_what_was_stopped() {
        let mut root = root();
        root.done.insert(0);
        root.ending = Some(Ending::new(StopReason::ModelUnavailable, Some("work[3]@2".into()), "no answer"));
        let Scope::Root(job) = &mut root.scope else { unreachable!("a root") };
        job.status = JobStatus::Failed;
        let view = progress(&graph(), &root, &BTreeMap::new(), 0);
        assert_eq!(states(&view), [NodeState::Completed, NodeState::Failed, NodeState::Stopped]);
    }
}
