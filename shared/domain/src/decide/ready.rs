//! Readiness: computed from a group's bits and slots, never stored.

use crate::bits::Bits;
use crate::graph::{Graph, Standing};
use crate::group::{Fan, Group, Order, Scope};
use crate::ids::SlotId;
use crate::slot::{At, Slot, Wait};

use super::View;

/// The slots that could be claimed now: threads that haven't started and may, and threads that wait for nothing.
///
/// Leases that ran out, and times not reached yet, are the sweep's and the claim's business.
pub fn ready_slots(view: &View<'_>) -> Vec<SlotId> {
    let waiting = |slot: &Slot| slot.claim.is_none() && slot.wait == Wait::Nothing;
    let mut ready: Vec<SlotId> = view.group.run.iter().filter(|(_, slot)| waiting(slot)).map(|(&id, _)| id).collect();
    ready.extend(unstarted(view.graph, view.group, &view.group.done));
    ready
}

/// Threads that aren't done, haven't started and may, given `done`.
pub(super) fn unstarted(graph: &Graph, group: &Group, done: &Bits) -> Vec<SlotId> {
    let absent = |index: usize| -> Option<SlotId> {
        let id = SlotId(u16::try_from(index).ok()?);
        (!group.run.contains_key(&id)).then_some(id)
    };
    match &group.scope {
        Scope::Root(_) => {
            let standings = graph.standings(done, &group.no);
            let ready = standings.iter().enumerate().filter(|(_, s)| **s == Standing::Ready);
            ready.filter_map(|(index, _)| absent(index)).collect()
        }
        Scope::Fan(Fan { order: Order::Lanes { .. }, .. }) => Vec::new(),
        Scope::Fan(Fan { order: Order::After { needs, concurrency }, .. }) => {
            let room = (*concurrency as usize).saturating_sub(group.run.len());
            let ready = |i: &usize| !done.has(*i) && needs[*i].iter().all(|&need| done.has(usize::from(need)));
            (0..needs.len()).filter(ready).filter_map(absent).take(room).collect()
        }
    }
}

/// Where the thread of a slot that is absent begins, if the slot may begin.
pub(super) fn beginning(view: &View<'_>, id: SlotId) -> Option<At> {
    if id == SlotId::FINISH {
        return Some(At::start(0));
    }
    let item = match view.group.scope {
        Scope::Root(_) => 0,
        Scope::Fan(_) => u32::from(id.0),
    };
    unstarted(view.graph, view.group, &view.group.done).contains(&id).then(|| At::start(item))
}

/// Whether every thread of the group has ended.
pub fn is_complete(graph: &Graph, group: &Group) -> bool {
    match &group.scope {
        Scope::Root(_) => {
            let over = |standing: &Standing| matches!(standing, Standing::Done | Standing::Skipped);
            graph.standings(&group.done, &group.no).iter().all(over)
        }
        Scope::Fan(_) => (0..group.threads(graph)).all(|index| group.done.has(index)),
    }
}
