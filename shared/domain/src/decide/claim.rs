//! Claiming a slot, keeping it, giving it back.

use crate::bits::Bits;
use crate::change::{Change, Field, Set, When};
use crate::group::{Balance, Scope};
use crate::ids::SlotId;
use crate::money::Cost;
use crate::slot::{Claim, Slot, Wait};
use crate::status::JobStatus;

use super::{Refusal, View, ready};

/// Who claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Drawn at random for this claim.
    pub nonce: String,
    /// Until when the claim stands without renewal (Unix milliseconds).
    pub lease_until_ms: u64,
}

/// What a claim reserves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// The worst case of the call.
    pub cost: Cost,
    /// Number of the turn that it is for.
    pub turn: u32,
}

/// What is known of the call that a lost worker had under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prior {
    /// Nothing: it may have been billed, so its hold counts as spent.
    #[default]
    Unknown,
    /// Its answer is journaled and cost this much.
    Journaled(Cost),
}

/// Claims `id` for `worker`, reserving `hold`.
///
/// A slot whose lease ran out is taken over: its attempt counts, its hold is settled (`prior`) or written off. A lost
/// race is a conflict of the change, and success elsewhere.
pub fn claim(view: &View<'_>, id: SlotId, worker: &Worker, hold: Hold, prior: Prior) -> Result<Change, Refusal> {
    refuse_by_group(view, id)?;
    let before = view.group.run.get(&id);
    let free = match before {
        Some(slot) => reclaimable(view, id, slot)?,
        None => Slot::new(unstarted_at(view, id)?),
    };
    let spent = written_off(before, prior);
    let returned = before.and_then(|slot| slot.claim.as_ref()).map_or(Cost::ZERO, |claim| claim.hold);
    let need = Balance::between(hold.cost + spent, returned);
    if !view.group.left.covers(need) {
        return Err(Refusal::Unaffordable);
    }
    let claim =
        Claim { nonce: worker.nonce.clone(), lease_until_ms: worker.lease_until_ms, hold: hold.cost, turn: hold.turn };
    let held = Slot { attempt: free.attempt + 1, claim: Some(claim), wait: Wait::Nothing, not_before_ms: 0, ..free };
    let mut change = Change::new(view.group.id, format!("{}.0", worker.nonce), view.now_ms)
        .when(When::Slot(id, before.cloned()))
        .when(When::Covers(need))
        .set(Set::Slot(id, Some(held)))
        .money(returned, hold.cost + spent, spent);
    if id != SlotId::FINISH {
        change = change.when(When::Live);
    }
    if before.is_none() && id == SlotId::FINISH {
        // An absent finish is one to come, or one that is over: only what was just seen tells them apart.
        change = change.when(When::Ver(view.group.ver));
    } else if before.is_none() {
        let (word, _) = Bits::place(id.index());
        change = change.when(When::Word(Field::Done, word, view.group.done.word(word)));
    }
    Ok(first_claim(view, change))
}

fn first_claim(view: &View<'_>, change: Change) -> Change {
    match &view.group.scope {
        Scope::Root(root) if matches!(root.status, JobStatus::Queued | JobStatus::AwaitingReview) => {
            change.set(Set::Status(JobStatus::Working))
        }
        Scope::Root(_) | Scope::Fan(_) => change,
    }
}

fn refuse_by_group(view: &View<'_>, id: SlotId) -> Result<(), Refusal> {
    let root = view.group.root();
    if root.is_some_and(|root| root.status.is_terminal()) {
        return Err(Refusal::Stale);
    }
    if id == SlotId::FINISH {
        let quiet = view.group.run.iter().all(|(&other, slot)| other == id || slot.claim.is_none());
        let closed = root.is_some_and(|root| root.groups.is_empty());
        return if view.group.ending.is_some() && quiet && closed { Ok(()) } else { Err(Refusal::Impossible) };
    }
    if view.group.ending.is_some() {
        return Err(Refusal::Ending);
    }
    // While the job rests, its clock stands still: a late bell finds nothing to do, and that is all.
    match root {
        Some(root) if root.rests_since_ms.is_none() && view.now_ms >= root.deadline_ms => Err(Refusal::Deadline),
        _ => Ok(()),
    }
}

fn reclaimable(view: &View<'_>, id: SlotId, slot: &Slot) -> Result<Slot, Refusal> {
    match &slot.claim {
        Some(claim) if claim.lease_until_ms > view.now_ms => Err(Refusal::Held { until_ms: claim.lease_until_ms }),
        Some(_) if slot.attempt >= view.group.attempts_max(view.graph, id, slot.at) => Err(Refusal::Exhausted),
        None if matches!(slot.wait, Wait::Groups | Wait::Person(_)) => Err(Refusal::Stale),
        None if slot.not_before_ms > view.now_ms => Err(Refusal::NotYet { not_before_ms: slot.not_before_ms }),
        Some(_) | None => Ok(slot.clone()),
    }
}

fn unstarted_at(view: &View<'_>, id: SlotId) -> Result<crate::slot::At, Refusal> {
    if id != SlotId::FINISH && view.group.done.has(id.index()) {
        return Err(Refusal::Stale);
    }
    let lane = matches!(view.group.fan().map(|fan| &fan.order), Some(crate::group::Order::Lanes { .. }));
    if lane {
        // A lane's slot exists from the beginning until its last item has ended.
        return Err(Refusal::Stale);
    }
    ready::beginning(view, id).ok_or(Refusal::Impossible)
}

/// What the call of a lost worker counts as.
pub(super) fn written_off(slot: Option<&Slot>, prior: Prior) -> Cost {
    match (slot.and_then(|slot| slot.claim.as_ref()), prior) {
        (None, _) => Cost::ZERO,
        (Some(claim), Prior::Unknown) => claim.hold,
        (Some(_), Prior::Journaled(cost)) => cost,
    }
}

/// Settles the turn that `mine` holds money for, at `actual`, and reserves and renews for the next one.
///
/// `mine` is the slot as this worker last wrote it: a conflict means that the claim is lost.
pub fn renew(
    view: &View<'_>,
    id: SlotId,
    mine: &Slot,
    actual: Cost,
    next: (Hold, u64),
) -> Result<(Change, Slot), Refusal> {
    let claim = mine.claim.as_ref().ok_or(Refusal::Impossible)?;
    if view.group.ending.is_some() {
        return Err(Refusal::Ending);
    }
    let (hold, lease_until_ms) = next;
    let need = Balance::between(hold.cost + actual, claim.hold);
    if !view.group.left.covers(need) {
        return Err(Refusal::Unaffordable);
    }
    let renewed = Claim { hold: hold.cost, turn: hold.turn, lease_until_ms, ..claim.clone() };
    let slot = Slot { claim: Some(renewed), ..mine.clone() };
    let change = Change::new(view.group.id, format!("{}.t{}", claim.nonce, hold.turn), view.now_ms)
        .when(When::Live)
        .when(When::Slot(id, Some(mine.clone())))
        .when(When::Covers(need))
        .set(Set::Slot(id, Some(slot.clone())))
        .money(claim.hold, hold.cost + actual, actual);
    Ok((change, slot))
}

/// Gives a claim back so that the step is tried again after `not_before_ms`; `actual` is what the call under way cost.
///
/// `counts` says whether this was an attempt: a failure is one, a throttle or a yield isn't.
pub fn give_back(
    view: &View<'_>,
    id: SlotId,
    mine: &Slot,
    actual: Cost,
    retry: (Attempt, u64),
) -> Result<Change, Refusal> {
    let (attempt, not_before_ms) = retry;
    let claim = mine.claim.as_ref().ok_or(Refusal::Impossible)?;
    let attempt = match attempt {
        Attempt::Counts => mine.attempt,
        Attempt::Uncounted => mine.attempt.saturating_sub(1),
    };
    let slot = Slot { attempt, not_before_ms, claim: None, ..mine.clone() };
    Ok(Change::new(view.group.id, format!("{}.g", claim.nonce), view.now_ms)
        .when(When::Slot(id, Some(mine.clone())))
        .set(Set::Slot(id, Some(slot)))
        .money(claim.hold, actual, actual))
}

/// Whether giving a step back uses up an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The attempt failed.
    Counts,
    /// A throttle or a yield.
    Uncounted,
}

/// Ends the lease of a worker that is known to be gone, before its time; all else stays as it is.
///
/// From then on the claim is one whose lease ran out: whoever takes it over counts the attempt and settles the hold or
/// writes it off, and the lost worker, should it write after all, finds the slot changed. Stale where there is no lease
/// that runs.
pub fn lapse(view: &View<'_>, id: SlotId, mark: String) -> Result<Change, Refusal> {
    let slot = view.group.run.get(&id).ok_or(Refusal::Stale)?;
    let claim = slot.claim.clone().filter(|_| slot.is_held(view.now_ms)).ok_or(Refusal::Stale)?;
    let lapsed = Slot { claim: Some(Claim { lease_until_ms: 0, ..claim }), ..slot.clone() };
    Ok(Change::new(view.group.id, mark, view.now_ms)
        .when(When::Slot(id, Some(slot.clone())))
        .set(Set::Slot(id, Some(lapsed))))
}

/// Notes that a slot waits for money that others hold; whoever frees some rings it.
///
/// A claim whose lease ran out is taken away in the same write, and settled (`prior`) or written off.
pub fn park(view: &View<'_>, id: SlotId, prior: Prior, mark: String) -> Result<Change, Refusal> {
    let before = view.group.run.get(&id);
    let free = match before {
        Some(slot) if slot.is_held(view.now_ms) => return Err(Refusal::Stale),
        Some(slot) if slot.wait != Wait::Nothing => return Err(Refusal::Stale),
        Some(slot) => slot.clone(),
        None => Slot::new(unstarted_at(view, id)?),
    };
    let spent = written_off(before, prior);
    let returned = before.and_then(|slot| slot.claim.as_ref()).map_or(Cost::ZERO, |claim| claim.hold);
    let mut change = Change::new(view.group.id, mark, view.now_ms)
        .when(When::Live)
        .when(When::Slot(id, before.cloned()))
        .set(Set::Slot(id, Some(Slot { wait: Wait::Funds, claim: None, ..free })))
        .money(returned, spent, spent);
    if before.is_none() {
        let (word, _) = Bits::place(id.index());
        change = change.when(When::Word(Field::Done, word, view.group.done.word(word)));
    }
    Ok(change)
}
