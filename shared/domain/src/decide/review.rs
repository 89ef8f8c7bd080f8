//! Reviews: asking people, reminding them, taking a decision, and letting a job rest meanwhile.
//!
//! All of it concerns the job's own item: reviews stand outside of maps.

use crate::change::{Change, Set, When};
use crate::graph::Graph;
use crate::group::Group;
use crate::ids::SlotId;
use crate::review::{Ruling, Terms};
use crate::slot::{Asked, Ruled, Slot, Wait};
use crate::status::JobStatus;

use super::sweep::Action;
use super::{Refusal, View, ready};

/// A job that wakes is looked at after this time, should its bell get lost.
const LOOK_AFTER_MS: u64 = 60_000;

/// Lets go of a review's step that `mine` holds, its question being put: from now on it waits for a person, and nobody
/// holds it. The job rests in the same write where nothing else is open, as far as `view` tells.
///
/// [`Refusal::Ending`] where the job is: then nobody is asked, and the claim is to be given back.
pub fn ask(view: &View<'_>, id: SlotId, mine: &Slot) -> Result<Change, Refusal> {
    let claim = mine.claim.as_ref().ok_or(Refusal::Impossible)?;
    let terms = view.group.terms(view.graph, id).ok_or(Refusal::Impossible)?;
    if view.group.ending.is_some() {
        return Err(Refusal::Ending);
    }
    let asked = Asked { since_ms: view.now_ms, reminded: false };
    let open = Slot { wait: Wait::Person(asked), ..Slot::new(mine.at) };
    let change = Change::new(view.group.id, format!("{}.q", claim.nonce), view.now_ms)
        .when(When::Live)
        .when(When::Slot(id, Some(mine.clone())))
        .set(Set::Slot(id, Some(open)))
        .money(claim.hold, crate::money::Cost::ZERO, crate::money::Cost::ZERO);
    let change = due_by(view, change, next_ms(asked, &terms));
    Ok(match change.apply(view.group) {
        Some(after) if should_rest(view.graph, &after) => rested(view, change.when(When::Ver(view.group.ver))),
        Some(_) | None => change,
    })
}

/// Notes that people were reminded of a review; whoever reads the change tells them.
pub fn remind(view: &View<'_>, id: SlotId, mark: String) -> Result<Change, Refusal> {
    let (before, asked, terms) = open(view, id)?;
    let due = terms.reminder_ms.map(|ms| asked.since_ms.saturating_add(ms)).filter(|_| !asked.reminded);
    match due {
        None => return Err(Refusal::Stale),
        Some(not_before_ms) if not_before_ms > view.now_ms => return Err(Refusal::NotYet { not_before_ms }),
        Some(_) => {}
    }
    let reminded = Slot { wait: Wait::Person(Asked { reminded: true, ..asked }), ..before.clone() };
    Ok(Change::new(view.group.id, mark, view.now_ms)
        .when(When::Live)
        .when(When::Slot(id, Some(before.clone())))
        .set(Set::Slot(id, Some(reminded))))
}

/// Decides an open review: the first decision that is applied counts, every other conflicts. From then on the slot may be
/// claimed, and the job, where it rested, works again: its deadline moves on by the time that it rested.
///
/// `mark` is the decision's: by it whoever claims the slot finds who decided, and what they had to say. [`Refusal::Stale`]
/// where the review isn't open (any more), [`Refusal::Ending`] where the job is ending.
pub fn rule(view: &View<'_>, id: SlotId, ruling: Ruling, mark: String) -> Result<Change, Refusal> {
    let (before, ..) = open(view, id)?;
    let ruled = Slot { ruled: Some(Ruled { ruling, mark: mark.clone() }), ..Slot::new(before.at) };
    let change = Change::new(view.group.id, mark, view.now_ms)
        .when(When::Live)
        .when(When::Slot(id, Some(before.clone())))
        .set(Set::Slot(id, Some(ruled)));
    Ok(woken(view, change))
}

/// Decides a review whose time is over, as its [`Terms`] say.
pub fn expire(view: &View<'_>, id: SlotId, mark: String) -> Result<(Change, Ruling), Refusal> {
    let (_, asked, terms) = open(view, id)?;
    let not_before_ms = asked.since_ms.saturating_add(terms.deadline_ms);
    if not_before_ms > view.now_ms {
        return Err(Refusal::NotYet { not_before_ms });
    }
    let ruling = terms.expired();
    rule(view, id, ruling, mark).map(|change| (change, ruling))
}

/// Lets the job rest. Exact: any other change in between conflicts. [`Refusal::Stale`] where it rests, or something else
/// than reviews is open.
pub fn rest(view: &View<'_>, mark: String) -> Result<Change, Refusal> {
    if !should_rest(view.graph, view.group) {
        return Err(Refusal::Stale);
    }
    Ok(rested(view, Change::new(view.group.id, mark, view.now_ms).when(When::Ver(view.group.ver))))
}

/// Whether nothing is open but reviews, and the job doesn't rest yet.
pub(super) fn should_rest(graph: &Graph, group: &Group) -> bool {
    let Some(job) = group.root().filter(|job| !job.status.is_terminal()) else { return false };
    let rests = job.rests_since_ms.is_some() || group.ending.is_some();
    let waits = !group.run.is_empty() && group.run.values().all(|slot| slot.asked().is_some());
    !rests && waits && job.groups.is_empty() && ready::unstarted(graph, group, &group.done).is_empty()
}

/// What of the job's reviews is overdue, and whether it is to rest.
pub(super) fn overdue(view: &View<'_>, actions: &mut Vec<Action>) {
    if view.group.ending.is_some() {
        return;
    }
    for &id in view.group.run.keys() {
        let Ok((_, asked, terms)) = open(view, id) else { continue };
        if asked.since_ms.saturating_add(terms.deadline_ms) <= view.now_ms {
            actions.push(Action::Expire(id));
        } else if next_ms(asked, &terms) <= view.now_ms {
            actions.push(Action::Remind(id));
        }
    }
    if should_rest(view.graph, view.group) {
        actions.push(Action::Rest);
    }
}

/// When something is to happen to open reviews by themselves.
pub(super) fn times(view: &View<'_>) -> Vec<u64> {
    let next = |&id: &SlotId| open(view, id).ok().map(|(_, asked, terms)| next_ms(asked, &terms));
    view.group.run.keys().filter_map(next).collect()
}

/// With the job at work again, where it rested, and due soon: its bell may get lost. Conflicts with whoever lets it rest
/// meanwhile.
pub(super) fn woken(view: &View<'_>, change: Change) -> Change {
    let Some(job) = view.group.root() else { return change };
    let change = change.when(When::Rests(job.rests_since_ms));
    let Some(since_ms) = job.rests_since_ms else { return change };
    let deadline_ms = job.deadline_ms.saturating_add(view.now_ms.saturating_sub(since_ms));
    let due_ms = job.due_ms.map(|due_ms| due_ms.min(view.now_ms + LOOK_AFTER_MS));
    change.set(Set::Status(JobStatus::Working)).set(Set::Clock { deadline_ms, rests_since_ms: None }).set(Set::Due {
        due_ms,
        swept_ver: job.swept_ver,
        pause_ms: 0,
    })
}

fn rested(view: &View<'_>, change: Change) -> Change {
    let deadline_ms = view.group.root().map_or(0, |job| job.deadline_ms);
    change
        .set(Set::Status(JobStatus::AwaitingReview))
        .set(Set::Clock { deadline_ms, rests_since_ms: Some(view.now_ms) })
}

/// The review that is open in the slot.
fn open<'v>(view: &View<'v>, id: SlotId) -> Result<(&'v Slot, Asked, Terms), Refusal> {
    if view.group.ending.is_some() {
        return Err(Refusal::Ending);
    }
    let slot = view.group.run.get(&id).ok_or(Refusal::Stale)?;
    let asked = slot.asked().ok_or(Refusal::Stale)?;
    let terms = view.group.terms(view.graph, id).ok_or(Refusal::Impossible)?;
    Ok((slot, asked, terms))
}

/// When something is to happen to the review by itself.
fn next_ms(asked: Asked, terms: &Terms) -> u64 {
    let deadline_ms = asked.since_ms.saturating_add(terms.deadline_ms);
    let reminder = terms.reminder_ms.filter(|_| !asked.reminded);
    reminder.map_or(deadline_ms, |ms| asked.since_ms.saturating_add(ms).min(deadline_ms))
}

/// With the sweep's look at the job no later than then.
fn due_by(view: &View<'_>, change: Change, by_ms: u64) -> Change {
    match view.group.root() {
        Some(job) if job.due_ms.is_some_and(|due_ms| due_ms > by_ms) => {
            change.set(Set::Due { due_ms: Some(by_ms), swept_ver: job.swept_ver, pause_ms: job.pause_ms })
        }
        Some(_) | None => change,
    }
}
