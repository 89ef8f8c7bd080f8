//! What has happened to a group, read off two of its images.
//!
//! Nobody writes events while working: they follow from what was committed, so none is ever lost or made up. [`derive`]
//! is exact for images that are one change apart (a table's stream has one record per change); from images further apart
//! it names what the two ends show.
//!
//! | slot before | slot after | what has happened |
//! |---|---|---|
//! | `-`, or waiting | held | [`Happened::StepStarted`] |
//! | held | held by another claim (the lease ran out) | [`Happened::StepStarted`] with the next attempt |
//! | held | held by the same claim (a turn was journaled) | nothing of the slot |
//! | held | `-`, or at another place | [`Happened::StepCompleted`]; held there: [`Happened::StepStarted`] as well |
//! | held | the same, and the map counts one more failed item | [`Happened::StepFailed`] |
//! | held | waits for groups | [`Happened::StepCompleted`] and [`Happened::MapStarted`] |
//! | held | waiting at the same place | [`Happened::StepRetrying`] |
//! | held | the same, and the group has just begun to end | [`Happened::StepFailed`] |
//! | held | the same, and the group has been ending | nothing: it is neither retried nor to blame |
//! | `-`, or waiting | waits for money | [`Happened::StepWaitsForBudget`] |
//! | held | waits for a person | [`Happened::ReviewRequested`] |
//! | waits for a person | the same, reminded | [`Happened::ReviewReminded`] |
//! | waits for a person | ruled | [`Happened::ReviewDecided`] |
//! | held at a review | anything | as above, but claims of it are no starts, and it completes only if somebody was asked |
//! | waits for groups | `-` | nothing: the map's steps are told one by one |

use crate::graph::Graph;
use crate::group::{Ending, Group};
use crate::ids::{SlotId, StepId};
use crate::money::Cost;
use crate::review::Ruling;
use crate::slot::{Asked, At, Slot, Wait};
use crate::status::{JobStatus, StopReason};

/// One thing that has happened to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The job was accepted.
    Submitted,
    /// Its first step was claimed.
    Working,
    /// A step's result was committed.
    StepCompleted {
        /// The step.
        step: StepId,
        /// The attempt that made the result.
        attempt: u32,
    },
    /// A step failed for good: the job ends, or its map goes on without the item.
    StepFailed {
        /// The step.
        step: StepId,
        /// The last attempt.
        attempt: u32,
    },
    /// An attempt failed, or was given back, and the step will be tried again.
    StepRetrying {
        /// The step.
        step: StepId,
        /// Unix milliseconds before which it isn't tried.
        not_before_ms: u64,
    },
    /// A step waits for money that others hold.
    StepWaitsForBudget {
        /// The step.
        step: StepId,
    },
    /// A map's items began.
    MapStarted {
        /// The map.
        step: StepId,
    },
    /// A person is asked.
    ReviewRequested {
        /// The review.
        step: StepId,
    },
    /// People were reminded.
    ReviewReminded {
        /// The review.
        step: StepId,
    },
    /// A review is decided, or its time is over.
    ReviewDecided {
        /// The review.
        step: StepId,
        /// How.
        ruling: Ruling,
    },
    /// An attempt at a step began.
    StepStarted {
        /// The step.
        step: StepId,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// No more steps are started. Of the job alone: a part of a map that ends tells the job, which ends then.
    Ending(Ending),
    /// The job is over.
    Ended {
        /// The terminal state.
        status: JobStatus,
        /// Why.
        stop_reason: StopReason,
    },
    /// Money was settled.
    Cost {
        /// The group's sum.
        spent: Cost,
    },
}

/// What has happened to a group between `old` (`None` where it is new) and `new`, in the order in which to tell it: what
/// is over comes before what it led to.
///
/// Pure: the same images give the same events. A slot whose place the graph doesn't have is passed over.
pub fn derive(graph: &Graph, old: Option<&Group>, new: &Group) -> Vec<Happened> {
    let mut events = begun(old, new);
    let moves = moves(graph, old, new);
    for tell in [over, waits] {
        events.extend(moves.iter().filter_map(tell));
    }
    let spent_before = old.map_or(Cost::ZERO, |old| old.spent);
    if new.spent != spent_before {
        events.push(Happened::Cost { spent: new.spent });
    }
    events.extend(ending(old, new));
    events.extend(moves.iter().filter_map(started));
    events.extend(ended(old, new));
    events
}

fn begun(old: Option<&Group>, new: &Group) -> Vec<Happened> {
    let Some(root) = new.root() else { return Vec::new() };
    let status_before = old.and_then(Group::root).map(|root| root.status);
    let submitted = status_before.is_none().then_some(Happened::Submitted);
    let was_queued = status_before.is_none_or(|status| status == JobStatus::Queued);
    let working = (was_queued && root.status == JobStatus::Working).then_some(Happened::Working);
    submitted.into_iter().chain(working).collect()
}

fn ending(old: Option<&Group>, new: &Group) -> Option<Happened> {
    let ending = new.ending.as_ref().filter(|_| new.root().is_some() && !was_ending(old))?;
    Some(Happened::Ending(ending.clone()))
}

fn ended(old: Option<&Group>, new: &Group) -> Option<Happened> {
    let status = new.root()?.status;
    let was_over = old.and_then(Group::root).is_some_and(|root| root.status.is_terminal());
    let stop_reason = new.ending.as_ref()?.reason;
    (status.is_terminal() && !was_over).then_some(Happened::Ended { status, stop_reason })
}

fn was_ending(old: Option<&Group>) -> bool {
    old.is_some_and(|old| old.ending.is_some())
}

/// A slot before and after, with what the group says about it.
struct Move<'a> {
    old: Option<&'a Slot>,
    new: Option<&'a Slot>,
    step_before: Option<StepId>,
    step_after: Option<StepId>,
    /// Whether the steps are reviews: before, after.
    reviews: (bool, bool),
    fate: Fate,
}

/// What becomes of a claim that is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The group lives: what isn't done is tried again.
    Live,
    /// The map has just counted one more failed item.
    ItemFailed,
    /// The group has just begun to end.
    EndsNow,
    /// The group has been ending.
    Ending,
}

fn moves<'a>(graph: &Graph, old: Option<&'a Group>, new: &'a Group) -> Vec<Move<'a>> {
    let fate = fate(old, new);
    // The finish alone is claimed, and tried again, in a group that ends.
    let fate_of = |id: SlotId| if id == SlotId::FINISH { Fate::Live } else { fate };
    let before = |id: &SlotId| old.and_then(|old| old.run.get(id));
    let gone = old.into_iter().flat_map(|old| old.run.keys()).filter(|id| !new.run.contains_key(id));
    let mut ids: Vec<SlotId> = gone.chain(new.run.keys()).copied().collect();
    ids.sort_unstable();
    let step = |id: SlotId, slot: Option<&Slot>| slot.and_then(|slot| new.step(graph, id, slot.at));
    let is_review = |id: SlotId, slot: Option<&Slot>| {
        slot.is_some_and(|slot| new.duty(graph, id, slot.at).is_some_and(|duty| duty.terms().is_some()))
    };
    let moved = |id: SlotId| {
        let (old, new) = (before(&id), new.run.get(&id));
        (old != new).then(|| Move {
            old,
            new,
            step_before: step(id, old),
            step_after: step(id, new),
            reviews: (is_review(id, old), is_review(id, new)),
            fate: fate_of(id),
        })
    };
    ids.into_iter().filter_map(moved).collect()
}

fn fate(old: Option<&Group>, new: &Group) -> Fate {
    let failed = |group: &Group| group.fan().map_or(0, |fan| fan.failed);
    if failed(new) > old.map_or(0, failed) {
        return Fate::ItemFailed;
    }
    match (was_ending(old), &new.ending) {
        (_, None) => Fate::Live,
        (false, Some(_)) => Fate::EndsNow,
        (true, Some(_)) => Fate::Ending,
    }
}

impl Move<'_> {
    fn is_claim_gone(&self) -> bool {
        let nonce = self.new.and_then(Slot::nonce);
        self.old.is_some_and(|old| old.claim.is_some()) && nonce.is_none()
    }

    /// Whether the thread has left the step that the slot stood at.
    fn has_left(&self) -> bool {
        let at = |slot: &Slot| -> (At, bool) { (slot.at, slot.wait == Wait::Groups) };
        match (self.old, self.new) {
            (Some(old), Some(new)) => at(old) != at(new),
            (Some(old), None) => old.wait != Wait::Groups,
            (None, _) => false,
        }
    }
}

fn over(moved: &Move<'_>) -> Option<Happened> {
    let attempt = moved.old?.attempt;
    let step = moved.step_before.clone()?;
    match (moved.has_left(), moved.fate) {
        (true, Fate::ItemFailed) => Some(Happened::StepFailed { step, attempt }),
        // Of a review that nobody was asked for there is nothing to tell.
        (true, _) if moved.reviews.0 && moved.old?.ruled.is_none() => None,
        (true, Fate::Live | Fate::EndsNow | Fate::Ending) => Some(Happened::StepCompleted { step, attempt }),
        (false, Fate::EndsNow) if moved.is_claim_gone() => Some(Happened::StepFailed { step, attempt }),
        (false, _) => None,
    }
}

fn waits(moved: &Move<'_>) -> Option<Happened> {
    let new = moved.new.filter(|new| new.claim.is_none())?;
    let waited = moved.old.map_or(Wait::Nothing, |old| old.wait);
    let step = moved.step_after.clone()?;
    if let (Wait::Person(_), Some(ruled)) = (waited, &new.ruled) {
        return Some(Happened::ReviewDecided { step, ruling: ruled.ruling });
    }
    match new.wait {
        Wait::Person(Asked { reminded: true, .. }) if matches!(waited, Wait::Person(Asked { reminded: false, .. })) => {
            Some(Happened::ReviewReminded { step })
        }
        Wait::Person(_) if !matches!(waited, Wait::Person(_)) => Some(Happened::ReviewRequested { step }),
        Wait::Groups if waited != Wait::Groups => Some(Happened::MapStarted { step }),
        Wait::Funds if waited != Wait::Funds => Some(Happened::StepWaitsForBudget { step }),
        Wait::Nothing if moved.is_claim_gone() && !moved.has_left() && moved.fate == Fate::Live => {
            Some(Happened::StepRetrying { step, not_before_ms: new.not_before_ms })
        }
        Wait::Nothing | Wait::Funds | Wait::Groups | Wait::Person(_) => None,
    }
}

fn started(moved: &Move<'_>) -> Option<Happened> {
    let new = moved.new.filter(|_| !moved.reviews.1)?;
    let is_new = new.nonce()? != moved.old.and_then(Slot::nonce).unwrap_or_default();
    let step = moved.step_after.clone()?;
    is_new.then_some(Happened::StepStarted { step, attempt: new.attempt })
}

#[cfg(test)]
mod tests;
