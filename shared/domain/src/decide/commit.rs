//! Committing a step's result, and going on in place.

use crate::bits::Bits;
use crate::change::{Change, Field, Set, When};
use crate::graph::{OnBound, Thread};
use crate::group::{Balance, Duty, Ending, Fan, Group, Order, Scope};
use crate::ids::SlotId;
use crate::money::Cost;
use crate::slot::{At, Claim, Slot, Wait};
use crate::status::StopReason;

use super::{Expansion, Hold, Refusal, View, Worker, ready};

/// What a step came to, as far as the graph cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The loop's `until`, where it was asked after this task.
    pub until: Option<bool>,
    /// A condition's value.
    pub branch: Option<bool>,
    /// A map's list.
    pub expansion: Option<Expansion>,
    /// The item failed and its map goes on without it.
    pub item_failed: bool,
    /// A person asked for changes: where the rounds are used up, that is never gone on with.
    pub sent_back: bool,
}

/// Where the thread goes from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// To this step, in the same slot.
    On(At),
    /// It has ended.
    Ended,
    /// It has ended in a map's lane, which goes on with this item.
    NextItem(At),
    /// A map's groups take over.
    Fanned,
    /// A loop's rounds are used up, and that fails the job.
    NoConsensus,
}

/// The next step, claimed together with the commit. The finish is claimed where the step was the job's last: then the
/// same write ends the job as completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Which slot.
    pub slot: SlotId,
    /// Where in it.
    pub at: At,
    /// The claim.
    pub worker: Worker,
    /// The reservation.
    pub hold: Hold,
}

/// Where a thread at `at` goes after `outcome`. The finish goes nowhere: [`super::finish`] ends the job.
pub fn advance(view: &View<'_>, id: SlotId, at: At, outcome: &Outcome) -> Result<Advance, Refusal> {
    match view.group.duty(view.graph, id, at).ok_or(Refusal::Impossible)? {
        Duty::Finish => Err(Refusal::Impossible),
        Duty::Expand { .. } => match &outcome.expansion {
            Some(expansion) if !expansion.loans.is_empty() => Ok(Advance::Fanned),
            Some(_) => Ok(Advance::Ended),
            None => Err(Refusal::Impossible),
        },
        Duty::Task { node, .. } => Ok(advance_thread(view.group, view.graph.nodes[node].thread(), at, outcome)),
    }
}

fn advance_thread(group: &Group, thread: &Thread, at: At, outcome: &Outcome) -> Advance {
    if outcome.item_failed || outcome.until == Some(true) {
        return ended(group, at);
    }
    if usize::from(at.task) + 1 < thread.tasks.len() {
        return Advance::On(At { task: at.task + 1, ..at });
    }
    if !thread.looped {
        return ended(group, at);
    }
    match (at.round < thread.rounds_max, thread.on_bound) {
        (true, _) => Advance::On(At { round: at.round + 1, task: 0, ..at }),
        (false, OnBound::Proceed) if !outcome.sent_back => ended(group, at),
        (false, OnBound::Proceed | OnBound::Fail) => Advance::NoConsensus,
    }
}

const fn ended(group: &Group, at: At) -> Advance {
    match &group.scope {
        Scope::Fan(Fan { order: Order::Lanes { stride, .. }, items, .. }) if at.item + *stride < *items => {
            Advance::NextItem(At::start(at.item + *stride))
        }
        Scope::Fan(_) | Scope::Root(_) => Advance::Ended,
    }
}

/// The bit that the end of a slot's thread sets: the node, the item, or the lane within its group.
pub(super) const fn bit_of(group: &Group, id: SlotId) -> usize {
    match &group.scope {
        Scope::Fan(Fan { order: Order::Lanes { first, .. }, .. }) => id.index() - *first as usize,
        Scope::Fan(_) | Scope::Root(_) => id.index(),
    }
}

/// Commits what `mine` holds: settles `actual`, moves the thread, and claims `next` where there is one.
///
/// With `next` the change conflicts also where that slot was taken or can't be paid; then commit without it. A conflict
/// on `mine` means that the claim is lost, and nothing of this attempt counts.
pub fn commit(
    view: &View<'_>,
    id: SlotId,
    mine: &Slot,
    done: (&Outcome, Cost),
    next: Option<&Next>,
) -> Result<Change, Refusal> {
    let (outcome, actual) = done;
    let claim = mine.claim.as_ref().ok_or(Refusal::Impossible)?;
    let to = advance(view, id, mine.at, outcome)?;
    let hold = next.map_or(Cost::ZERO, |next| next.hold.cost);
    let lent = outcome.expansion.as_ref().map_or(Cost::ZERO, Expansion::total);
    let change = Change::new(view.group.id, format!("{}.c{}", claim.nonce, claim.turn), view.now_ms)
        .when(When::Slot(id, Some(mine.clone())))
        .money(claim.hold, actual + hold + lent, actual);
    let change = moved(view, id, mine, change, (to, outcome));
    let lends = Balance::between(actual + hold + lent, claim.hold);
    let change = if lent.is_zero() { change } else { change.when(When::Covers(lends)) };
    Ok(match next {
        None => change,
        Some(next) => claimed(view, (id, mine), change, next, lends),
    })
}

fn moved(view: &View<'_>, id: SlotId, mine: &Slot, change: Change, to: (Advance, &Outcome)) -> Change {
    let (to, outcome) = to;
    let mut change = if outcome.item_failed { change.set(Set::Failed) } else { change };
    if outcome.branch == Some(false) {
        change = change.set(Set::Bit(Field::No, id.index()));
    }
    match to {
        Advance::On(at) | Advance::NextItem(at) => change.set(Set::Slot(id, Some(Slot::new(at)))),
        Advance::Ended => {
            let change = change.set(Set::Slot(id, None)).set(Set::Bit(Field::Done, bit_of(view.group, id)));
            noted_round(view, id, mine.at, change)
        }
        Advance::Fanned => {
            let waiting = Slot { wait: Wait::Groups, ..Slot::new(mine.at) };
            let expansion = outcome.expansion.iter().flat_map(|e| &e.loans);
            let open = |change: Change, (group, loan): &(_, _)| change.set(Set::Group(*group, Some(*loan)));
            expansion.fold(change.set(Set::Slot(id, Some(waiting))), open)
        }
        Advance::NoConsensus => {
            let ended = change.set(Set::Slot(id, None)).set(Set::Bit(Field::Done, bit_of(view.group, id)));
            without_consensus(view, noted_round(view, id, mine.at, ended), (id, mine.at))
        }
    }
}

fn without_consensus(view: &View<'_>, change: Change, step: (SlotId, At)) -> Change {
    if view.group.ending.is_some() {
        return change;
    }
    let step = view.group.step(view.graph, step.0, step.1).map(|step| step.to_string());
    let ending = Ending::new(StopReason::NoConsensus, step, "the loop's rounds are used up");
    change.when(When::Live).set(Set::Ending(ending))
}

fn noted_round(view: &View<'_>, id: SlotId, at: At, change: Change) -> Change {
    let looped = view.group.node(view.graph, id).is_some_and(|(_, node)| node.thread().looped);
    let lanes = matches!(view.group.fan().map(|fan| &fan.order), Some(Order::Lanes { .. }));
    let expands = matches!(view.group.duty(view.graph, id, at), Some(Duty::Expand { .. }));
    if looped && !lanes && !expands { change.set(Set::Round(id, at.round)) } else { change }
}

fn claimed(view: &View<'_>, mine: (SlotId, &Slot), change: Change, next: &Next, need: Balance) -> Change {
    let claim = Claim {
        nonce: next.worker.nonce.clone(),
        lease_until_ms: next.worker.lease_until_ms,
        hold: next.hold.cost,
        turn: next.hold.turn,
    };
    let slot = Slot { attempt: 1, claim: Some(claim), ..Slot::new(next.at) };
    let mut change = change.when(When::Live).when(When::Covers(need));
    if next.slot == mine.0 {
        change.set.retain(|set| !matches!(set, Set::Slot(id, _) if *id == next.slot));
    } else if next.slot == SlotId::FINISH {
        // That nothing else is left holds for what was seen.
        change = change.when(When::Ver(view.group.ver)).set(Set::Ending(Ending::completed()));
    } else {
        let (word, _) = Bits::place(next.slot.index());
        change =
            change.when(When::Slot(next.slot, None)).when(When::Word(Field::Done, word, view.group.done.word(word)));
    }
    change.set(Set::Slot(next.slot, Some(slot)))
}

/// The step that the worker could go on with in place after this commit, as far as `view` tells; the finish after the
/// job's last.
pub fn candidate(view: &View<'_>, id: SlotId, at: At, outcome: &Outcome) -> Option<(SlotId, At)> {
    if view.group.ending.is_some() {
        return None;
    }
    match advance(view, id, at, outcome).ok()? {
        Advance::On(at) | Advance::NextItem(at) => Some((id, at)),
        Advance::Fanned | Advance::NoConsensus => None,
        Advance::Ended => {
            let mut after = view.group.clone();
            after.run.remove(&id);
            after.done.insert(bit_of(view.group, id));
            if outcome.branch == Some(false) {
                after.no.insert(id.index());
            }
            let after = View { group: &after, ..*view };
            let next = match ready::unstarted(view.graph, after.group, &after.group.done).first() {
                Some(next) => *next,
                None if is_over(&after) => SlotId::FINISH,
                None => return None,
            };
            Some((next, ready::beginning(&after, next)?))
        }
    }
}

/// Whether nothing of the job is left but its finish.
fn is_over(view: &View<'_>) -> bool {
    let closed = view.group.root().is_some_and(|root| root.groups.is_empty());
    closed && !view.group.has_claims() && ready::is_complete(view.graph, view.group)
}
