//! What is due after a change: derived from the group as it now is, so a crash loses nothing.

use crate::bits::Bits;
use crate::graph::Graph;
use crate::group::{Ending, Group};
use crate::ids::{GroupId, SlotId};
use crate::slot::{Slot, Wait};

use super::commit::bit_of;
use super::{is_complete, ready};

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FollowUp {
    /// Slots of this group to ring.
    pub bells: Vec<SlotId>,
    /// Groups whose waiting lanes are to be looked at, since money came back to the job.
    pub fed: Vec<GroupId>,
    /// The job is to end like this.
    pub end: Option<Ending>,
    /// This group is quiet and over: it is to be closed.
    pub close: bool,
    /// The job is quiet and ending: its finish step is to be claimed.
    pub finish: bool,
    /// Nothing is open but reviews: the job is to rest.
    pub rest: bool,
}

/// What is due after `slot` of `group` was committed, given back or failed; `group` is the state after that.
pub fn follow_up(graph: &Graph, group: &Group, slot: SlotId) -> FollowUp {
    let root = group.root();
    if root.is_some_and(|root| root.status.is_terminal()) {
        return FollowUp::default();
    }
    let quiet = !group.has_claims();
    let groups_open = root.is_some_and(|root| !root.groups.is_empty());
    if group.ending.is_some() {
        let finish = root.is_some() && quiet && !groups_open;
        return FollowUp { close: root.is_none() && quiet, finish, ..FollowUp::default() };
    }
    let complete = quiet && is_complete(graph, group);
    FollowUp {
        bells: bells(graph, group, slot),
        fed: fed(group),
        end: (root.is_some() && complete).then(Ending::completed),
        close: root.is_none() && complete,
        finish: false,
        rest: super::review::should_rest(graph, group),
    }
}

fn bells(graph: &Graph, group: &Group, slot: SlotId) -> Vec<SlotId> {
    let mut bells: Vec<SlotId> = Vec::new();
    let funds = group.left.usd > 0 && group.left.tokens > 0;
    for (&id, waiting) in &group.run {
        let own = id == slot && rings_itself(waiting);
        if own || (waits_for_funds(waiting) && funds) {
            bells.push(id);
        }
    }
    if bells.is_empty() && !group.has_claims() {
        // Nobody is left to bring the money that they wait for: one of them finds out whether there is any.
        bells.extend(group.run.iter().find(|(_, waiting)| waits_for_funds(waiting)).map(|(&id, _)| id));
    }
    let bit = bit_of_thread(group, slot);
    let before = bit.map(|bit| without(&group.done, bit));
    let was_ready = before.map(|before| ready::unstarted(graph, group, &before)).unwrap_or_default();
    let is_ready = ready::unstarted(graph, group, &group.done);
    bells.extend(is_ready.into_iter().filter(|id| !was_ready.contains(id)));
    bells
}

fn waits_for_funds(slot: &Slot) -> bool {
    slot.claim.is_none() && slot.wait == Wait::Funds
}

fn rings_itself(slot: &Slot) -> bool {
    slot.claim.is_none() && slot.wait == Wait::Nothing
}

fn bit_of_thread(group: &Group, slot: SlotId) -> Option<usize> {
    (slot != SlotId::FINISH && !group.run.contains_key(&slot)).then(|| bit_of(group, slot))
}

fn without(bits: &Bits, index: usize) -> Bits {
    let (word, bit) = Bits::place(index);
    let mut words = bits.words().to_vec();
    if let Some(word) = words.get_mut(word) {
        *word &= !bit;
    }
    Bits::from_words(words)
}

fn fed(group: &Group) -> Vec<GroupId> {
    let funds = group.left.usd > 0 && group.left.tokens > 0;
    let starved = group.root().into_iter().flat_map(|root| &root.groups).filter(|(_, loan)| loan.starved);
    if funds { starved.map(|(id, _)| *id).collect() } else { Vec::new() }
}
