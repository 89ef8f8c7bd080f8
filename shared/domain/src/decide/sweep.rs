//! The sweep: looks at a job as a whole and says what is overdue.

use std::collections::BTreeMap;

use crate::group::{Ending, Group, Root};
use crate::ids::{GroupId, SlotId};
use crate::slot::{Slot, Wait};
use crate::status::StopReason;

use super::{View, is_complete, ready_slots};

/// Shortest pause between two looks at a job.
const PAUSE_MIN_MS: u64 = 60_000;
/// Longest pause, reached where bells keep getting lost.
const PAUSE_MAX_MS: u64 = 900_000;

/// One thing that is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ends the job.
    End(Ending),
    /// Ends a group, because the job is ending.
    EndGroup(GroupId, Ending),
    /// Puts a group that the job's list names and that isn't there.
    PutGroup(GroupId),
    /// Takes into a group what the job has lent it since.
    Draw(GroupId),
    /// Closes a quiet group.
    Close(GroupId),
    /// Ends a map whose groups are all closed.
    FanIn(SlotId),
    /// Takes away a claim that ran out in an ending group.
    Reap(GroupId, SlotId),
    /// Reminds people of a review.
    Remind(SlotId),
    /// Decides a review whose time is over.
    Expire(SlotId),
    /// Nothing is open but reviews: the job is to rest.
    Rest,
    /// Rings a slot that may be claimed.
    Ring(GroupId, SlotId),
    /// Rings, on the queue of its own, a slot whose worker was lost.
    RingSolo(GroupId, SlotId),
}

/// What the sweep found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// In the order in which to do it.
    pub actions: Vec<Action>,
    /// When to look again.
    pub due_ms: u64,
    /// To be stored for the next look.
    pub swept_ver: u64,
    /// To be stored for the next look.
    pub pause_ms: u64,
}

/// Looks at the job (`root`) and its open groups (`fans`; those that aren't there are missing).
pub fn sweep(root: &View<'_>, fans: &BTreeMap<GroupId, Group>) -> Option<Sweep> {
    let job = root.group.root()?;
    if job.status.is_terminal() {
        return None;
    }
    let mut actions = Vec::new();
    if let Some(ending) = ending(root, fans) {
        actions.push(Action::End(ending));
    } else {
        slots(root, &mut actions);
        super::review::overdue(root, &mut actions);
        fans_in(root, &mut actions);
        for (id, loan) in &job.groups {
            match fans.get(id) {
                None => actions.push(Action::PutGroup(*id)),
                Some(fan) => {
                    if super::is_owed(fan, loan.lent) {
                        actions.push(Action::Draw(*id));
                    }
                    look_at_fan(root, fan, &mut actions);
                }
            }
        }
    }
    let swept_ver = fans.values().map(|fan| fan.ver).sum::<u64>() + root.group.ver;
    let pause_ms = pause(job.swept_ver, swept_ver, job.pause_ms);
    let soonest = soonest(root, fans);
    // Where the job rests, no bell can be lost: whatever wakes it makes it due. What is to be done now for one of its
    // reviews has a next time that isn't known yet: only a look that finds nothing may be the last one until then.
    let latest = if root.group.rests_since_ms().is_some() && actions.is_empty() { soonest } else { None };
    let latest = latest.unwrap_or(root.now_ms + pause_ms);
    let due_ms = soonest.unwrap_or(u64::MAX).min(latest).max(root.now_ms + 1_000);
    // The write of `due` itself raises the version by one.
    Some(Sweep { actions, due_ms, swept_ver: swept_ver + 1, pause_ms })
}

fn pause(seen_ver: u64, ver: u64, pause_ms: u64) -> u64 {
    if seen_ver == ver { (pause_ms * 2).clamp(PAUSE_MIN_MS, PAUSE_MAX_MS) } else { PAUSE_MIN_MS }
}

fn ending(root: &View<'_>, fans: &BTreeMap<GroupId, Group>) -> Option<Ending> {
    if root.group.ending.is_some() {
        return None;
    }
    if let Some(ending) = fans.values().find_map(|fan| fan.ending.clone()) {
        return Some(ending);
    }
    let job = root.group.root()?;
    if root.now_ms >= job.deadline_ms && job.rests_since_ms.is_none() {
        return Some(Ending::new(StopReason::Deadline, None, "the job's time is over"));
    }
    let complete = !root.group.has_claims() && is_complete(root.graph, root.group);
    complete.then(Ending::completed)
}

/// Whether nobody can give money back any more: nobody in the job holds any, and every group is starved.
///
/// Whoever finds that, and that what is left doesn't cover its call, ends the job.
pub fn is_broke(root: &View<'_>) -> bool {
    let Some(job) = root.group.root() else { return false };
    let waits = |slot: &Slot| slot.wait != Wait::Nothing;
    root.group.run.values().all(waits) && job.groups.values().all(|loan| loan.starved) && ready_slots(root).is_empty()
}

fn slots(view: &View<'_>, actions: &mut Vec<Action>) {
    let (group, id) = (view.group, view.group.id);
    let ending = group.ending.is_some();
    for (&slot_id, slot) in &group.run {
        let lost = slot.claim.is_some() && !slot.is_held(view.now_ms);
        match (lost, ending) {
            (true, true) if slot_id != SlotId::FINISH => actions.push(Action::Reap(id, slot_id)),
            (true, _) => actions.push(Action::RingSolo(id, slot_id)),
            (false, _) => {}
        }
    }
    if !ending {
        let waits = |slot: &SlotId| group.run.get(slot).is_none_or(|slot| slot.not_before_ms <= view.now_ms);
        actions.extend(ready_slots(view).into_iter().filter(waits).map(|slot| Action::Ring(id, slot)));
        if !group.has_claims() {
            // Nobody holds money that they wait for: they look for themselves whether there is any left.
            let broke = group.run.iter().filter(|(_, slot)| slot.wait == Wait::Funds);
            actions.extend(broke.map(|(&slot, _)| Action::Ring(id, slot)));
        }
        return;
    }
    let quiet = !group.has_claims() && group.root().is_some_and(|root| root.groups.is_empty());
    if quiet {
        actions.push(Action::Ring(id, SlotId::FINISH));
    }
}

fn fans_in(root: &View<'_>, actions: &mut Vec<Action>) {
    let waits = root.group.run.iter().filter(|(_, slot)| slot.wait == Wait::Groups);
    let over = waits.filter(|(id, _)| super::fan_in(root, **id, String::new()).is_ok());
    actions.extend(over.map(|(id, _)| Action::FanIn(*id)));
}

fn look_at_fan(root: &View<'_>, fan: &Group, actions: &mut Vec<Action>) {
    let view = View { group: fan, ..*root };
    if let (Some(ending), None) = (&root.group.ending, &fan.ending) {
        actions.push(Action::EndGroup(fan.id, ending.clone()));
        return;
    }
    let over = fan.ending.is_some() || is_complete(root.graph, fan);
    if over && !fan.has_claims() {
        actions.push(Action::Close(fan.id));
        return;
    }
    slots(&view, actions);
}

fn soonest(root: &View<'_>, fans: &BTreeMap<GroupId, Group>) -> Option<u64> {
    let reviews = super::review::times(root);
    let slots = fans.values().chain([root.group]).flat_map(|group| group.run.values());
    let times = slots.filter_map(|slot| match &slot.claim {
        Some(claim) => Some(claim.lease_until_ms),
        None => (slot.not_before_ms > 0).then_some(slot.not_before_ms),
    });
    let runs = |job: &&Root| root.group.ending.is_none() && job.rests_since_ms.is_none();
    let deadline = root.group.root().filter(runs).map(|job| job.deadline_ms);
    times.chain(deadline).chain(reviews).filter(|&time| time > root.now_ms).min()
}
