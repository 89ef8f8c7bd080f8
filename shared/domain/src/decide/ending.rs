//! Endings: of a step, of a group, of the job.

use crate::change::{Change, Field, Set, When};
use crate::group::{Ending, Group};
use crate::ids::{GroupId, SlotId};
use crate::money::Cost;
use crate::slot::{Slot, Wait};
use crate::status::StopReason;

use super::claim::written_off;
use super::{Prior, Refusal, View};

/// Ends a group: from now on nothing is claimed in it. The first ending stands. A job's conflicts where the job came to rest
/// meanwhile, or was woken: at rest its time stands still, so that there is no deadline to pass.
pub fn end(view: &View<'_>, ending: Ending, mark: String) -> Result<Change, Refusal> {
    let over = view.group.root().is_some_and(|root| root.status.is_terminal());
    let stands_still = ending.reason == StopReason::Deadline && view.group.rests_since_ms().is_some();
    if over || stands_still || view.group.ending.is_some() {
        return Err(Refusal::Stale);
    }
    let change = Change::new(view.group.id, mark, view.now_ms).when(When::Live).set(Set::Ending(ending));
    Ok(super::review::woken(view, change))
}

/// Fails the step that `mine` holds for good: settles `actual`, ends the group.
///
/// Where the group is ending already, that ending stands and the money alone is settled.
pub fn fail(view: &View<'_>, id: SlotId, mine: &Slot, actual: Cost, ending: Ending) -> Result<Change, Refusal> {
    let claim = mine.claim.as_ref().ok_or(Refusal::Impossible)?;
    let change = Change::new(view.group.id, format!("{}.f", claim.nonce), view.now_ms)
        .when(When::Slot(id, Some(mine.clone())))
        .set(Set::Slot(id, Some(given_up(mine))))
        .money(claim.hold, actual, actual);
    Ok(if view.group.ending.is_some() { change } else { change.when(When::Live).set(Set::Ending(ending)) })
}

/// Takes away a claim whose lease ran out and that nobody is to take over: the job is ending, or its attempts are used up
/// (then `ending` says so).
pub fn reap(
    view: &View<'_>,
    id: SlotId,
    prior: Prior,
    ending: Option<Ending>,
    mark: String,
) -> Result<Change, Refusal> {
    let slot = view.group.run.get(&id).ok_or(Refusal::Stale)?;
    let claim = slot.claim.as_ref().ok_or(Refusal::Stale)?;
    if claim.lease_until_ms > view.now_ms {
        return Err(Refusal::Held { until_ms: claim.lease_until_ms });
    }
    let spent = written_off(Some(slot), prior);
    let change = Change::new(view.group.id, mark, view.now_ms)
        .when(When::Slot(id, Some(slot.clone())))
        .set(Set::Slot(id, Some(given_up(slot))))
        .money(claim.hold, spent, spent);
    Ok(match (ending, &view.group.ending) {
        (Some(ending), None) => change.when(When::Live).set(Set::Ending(ending)),
        (_, _) => change,
    })
}

/// The slot stays, unclaimed, so that it is known how far its thread came.
fn given_up(slot: &Slot) -> Slot {
    Slot { claim: None, ..slot.clone() }
}

/// Takes a quiet group out of the job's list: its money comes back, and with its map's last group the map is done.
pub fn close(root: &View<'_>, group: &Group, mark: String) -> Result<Change, Refusal> {
    let job = root.group.root().ok_or(Refusal::Impossible)?;
    let loan = job.groups.get(&group.id).copied().ok_or(Refusal::Stale)?;
    let over = match (&group.ending, &root.group.ending) {
        // The job has to learn of the group's ending first.
        (Some(_), None) => false,
        (Some(_), Some(_)) => true,
        (None, _) => super::is_complete(root.graph, group),
    };
    if !over || group.has_claims() {
        return Err(Refusal::Impossible);
    }
    let change = Change::new(GroupId::Root, mark, root.now_ms)
        .when(When::Open(group.id, loan))
        .set(Set::Group(group.id, None))
        .money(loan.lent, group.spent, group.spent);
    Ok(mapped(root, group, change))
}

fn mapped(root: &View<'_>, group: &Group, change: Change) -> Change {
    let GroupId::Fan { node, .. } = group.id else { return change };
    let slot = SlotId(node);
    let waiting = root.group.run.get(&slot).filter(|slot| slot.wait == Wait::Groups);
    match waiting {
        Some(before) if open_groups(root, slot) == 1 && group.ending.is_none() => change
            .when(When::Slot(slot, Some(before.clone())))
            .set(Set::Slot(slot, None))
            .set(Set::Bit(Field::Done, slot.index())),
        _ => change,
    }
}

/// A map whose groups are all closed is done. Whoever closes the last group does it in the same write where it sees that
/// it is the last; where two close at once, neither does, and the later one does this.
pub fn fan_in(root: &View<'_>, slot: SlotId, mark: String) -> Result<Change, Refusal> {
    let waiting = root.group.run.get(&slot).filter(|slot| slot.wait == Wait::Groups).ok_or(Refusal::Stale)?;
    if root.group.ending.is_some() || open_groups(root, slot) > 0 {
        return Err(Refusal::Impossible);
    }
    Ok(Change::new(GroupId::Root, mark, root.now_ms)
        .when(When::Live)
        .when(When::Slot(slot, Some(waiting.clone())))
        .set(Set::Slot(slot, None))
        .set(Set::Bit(Field::Done, slot.index())))
}

fn open_groups(root: &View<'_>, slot: SlotId) -> usize {
    let same_map = |id: &&GroupId| matches!(id, GroupId::Fan { node, .. } if *node == slot.0);
    root.group.root().map_or(0, |job| job.groups.keys().filter(same_map).count())
}

/// The job is over: the finish step that `mine` holds has delivered.
pub fn finish(view: &View<'_>, mine: &Slot) -> Result<Change, Refusal> {
    let claim = mine.claim.as_ref().ok_or(Refusal::Impossible)?;
    let ending = view.group.ending.as_ref().ok_or(Refusal::Impossible)?;
    let never = Set::Due { due_ms: None, swept_ver: view.group.ver, pause_ms: 0 };
    Ok(Change::new(GroupId::Root, format!("{}.end", claim.nonce), view.now_ms)
        .when(When::Slot(SlotId::FINISH, Some(mine.clone())))
        .set(Set::Slot(SlotId::FINISH, None))
        .set(Set::Status(ending.reason.status()))
        .set(never)
        .money(claim.hold, Cost::ZERO, Cost::ZERO))
}
