//! Which results count: a result is put before it is committed, and only the groups know what is.

use std::collections::BTreeMap;

use crate::graph::{Graph, Map, Thread, Work};
use crate::group::{Fan, Group, LANES_PER_GROUP, Order, Scope};
use crate::ids::{GroupId, SlotId, StepId};
use crate::slot::At;

/// Whether the result of `step` is committed, given all groups of the job (closed ones, too).
pub fn is_committed(graph: &Graph, groups: &BTreeMap<GroupId, Group>, step: &StepId) -> bool {
    let Some(root) = groups.get(&GroupId::Root) else { return false };
    graph.nodes.iter().enumerate().any(|(index, node)| match (&node.work, step.item) {
        (Work::Map(_), None) => step.task == node.id && root_passed(root, index, At::start(0)),
        (Work::Map(map), Some(item)) => place(&map.thread, step)
            .is_some_and(|(round, task)| item_passed(groups, index, map, At { item, round, task })),
        (Work::Thread(thread), None) => {
            place(thread, step).is_some_and(|(round, task)| root_passed(root, index, At { item: 0, round, task }))
        }
        (Work::Thread(_), Some(_)) => false,
    })
}

fn place(thread: &Thread, step: &StepId) -> Option<(u32, u8)> {
    let task = thread.tasks.iter().position(|task| task.id == step.task)?;
    Some((step.round.unwrap_or(1), u8::try_from(task).ok()?))
}

fn root_passed(root: &Group, node: usize, at: At) -> bool {
    u16::try_from(node).is_ok_and(|node| passed(root, SlotId(node), node.into(), at))
}

fn passed(group: &Group, slot: SlotId, bit: usize, at: At) -> bool {
    if group.done.has(bit) {
        return group.rounds.get(&slot).is_none_or(|&last| at.round <= last);
    }
    group.run.get(&slot).is_some_and(|slot| {
        let fanned = slot.wait == crate::slot::Wait::Groups;
        fanned || (slot.at.item, slot.at.round, slot.at.task) > (at.item, at.round, at.task)
    })
}

fn item_passed(groups: &BTreeMap<GroupId, Group>, node: usize, map: &Map, at: At) -> bool {
    let Ok(node) = u16::try_from(node) else { return false };
    let Some(first) = groups.get(&GroupId::Fan { node, part: 0 }) else { return false };
    let Scope::Fan(Fan { order, .. }) = &first.scope else { return false };
    match order {
        Order::After { .. } => u16::try_from(at.item).is_ok_and(|item| passed(first, SlotId(item), item.into(), at)),
        Order::Lanes { stride, .. } => {
            debug_assert!(!map.ordered, "lanes belong to maps without order");
            let lane = at.item % (*stride).max(1);
            let part = u16::try_from(lane / LANES_PER_GROUP).unwrap_or(u16::MAX);
            let bit = (lane % LANES_PER_GROUP) as usize;
            let slot = SlotId(u16::try_from(lane).unwrap_or(u16::MAX));
            groups.get(&GroupId::Fan { node, part }).is_some_and(|group| passed(group, slot, bit, at))
        }
    }
}
