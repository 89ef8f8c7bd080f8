//! Attempts that come to nothing, steps that fail, jobs that end.

use convoke_domain::decide::{self, Attempt, Prior, Refusal};
use convoke_domain::graph::{OnError, Work as NodeWork};
use convoke_domain::group::{Ending, Group};
use convoke_domain::ids::{GroupId, JobKey, SlotId};
use convoke_domain::money::Cost;
use convoke_domain::status::StopReason;

use super::shift::{Held, Lead, RACES_MAX, Shift};
use super::{WorkError, unexpected};
use crate::platform::Platform;
use crate::ports::Applied;

/// An attempt that came to nothing.
#[derive(Clone, Debug)]
pub(super) struct Setback {
    /// What the call under way cost.
    pub actual: Cost,
    /// Why the job ends, if this was the last attempt.
    pub reason: StopReason,
    /// What happened.
    pub cause: String,
    /// Whether and when to try again.
    pub retry: Retry,
}

/// Whether a step is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// After a pause; the attempt counts.
    Counted { pause_ms: u64 },
    /// After a pause; the attempt doesn't count.
    Uncounted { pause_ms: u64 },
    /// As soon as money is back; the attempt doesn't count.
    ForFunds,
    /// Not at all.
    Never,
}

impl Setback {
    /// One that ends the step.
    pub const fn last(actual: Cost, reason: StopReason, cause: String) -> Self {
        Self { actual, reason, cause, retry: Retry::Never }
    }

    /// The worker yields.
    pub fn pause(actual: Cost, cause: &str) -> Self {
        Self { actual, reason: StopReason::Internal, cause: cause.to_owned(), retry: Retry::Uncounted { pause_ms: 0 } }
    }

    /// The next turn can't be paid.
    pub fn broke(actual: Cost) -> Self {
        let cause = String::from("what is left doesn't cover the next call");
        Self { actual, reason: StopReason::BudgetExhausted, cause, retry: Retry::ForFunds }
    }
}

impl Shift<'_> {
    /// Gives a step back, or fails it where this was its last attempt.
    pub async fn set_back(&mut self, held: Held, setback: Setback) -> Result<Vec<Lead>, WorkError> {
        tracing::info!(reason = setback.reason.as_str(), cause = setback.cause, "attempt without result");
        let (attempt, pause_ms) = match setback.retry {
            Retry::Never => return self.fail(held, &setback).await,
            Retry::Counted { pause_ms } => {
                if held.mine.attempt >= held.group.attempts_max(self.job.graph(), held.slot, held.mine.at) {
                    return self.fail(held, &setback).await;
                }
                (Attempt::Counts, pause_ms)
            }
            Retry::Uncounted { pause_ms } => (Attempt::Uncounted, pause_ms),
            Retry::ForFunds => (Attempt::Uncounted, 0),
        };
        let retry = (attempt, self.now_ms() + pause_ms);
        let change = decide::give_back(&self.view(&held.group), held.slot, &held.mine, setback.actual, retry)
            .map_err(|refusal| unexpected(self.key(), &refusal))?;
        let Applied::Done(group) = self.platform.ports.groups.apply(self.key(), &change).await? else {
            return Ok(Vec::new());
        };
        let own = (group.id, held.slot);
        let mut leads = self.follow(&group, held.slot).await?;
        leads.retain(|lead| *lead != own);
        if group.ending.is_none() {
            self.platform.ports.bells.ring(&[self.ring_of(own, pause_ms)]).await?;
        }
        Ok(leads)
    }

    /// Fails a step for good: its item alone, where its map goes on without it; else the job ends.
    pub async fn fail(&mut self, held: Held, setback: &Setback) -> Result<Vec<Lead>, WorkError> {
        if goes_on_without(self, &held) {
            return self.fail_item(held, setback).await;
        }
        let ending = Ending::new(setback.reason, Some(held.step.to_string()), &setback.cause);
        let mut group = held.group.clone();
        for _ in 0..RACES_MAX {
            let change = decide::fail(&self.view(&group), held.slot, &held.mine, setback.actual, ending.clone())
                .map_err(|refusal| unexpected(self.key(), &refusal))?;
            match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(_) => {
                    self.platform.end_job(self.key(), &ending).await?;
                    return Ok(Vec::new());
                }
                Applied::Conflict(now) if now.run.get(&held.slot) == Some(&held.mine) => group = now,
                Applied::Conflict(_) | Applied::Missing => return Ok(Vec::new()),
            }
        }
        Err(WorkError::Contended { job: self.key().to_string() })
    }

    /// Takes away the claim of a step whose workers were all lost, and ends the job.
    pub async fn give_up(&mut self, group: &Group, slot: SlotId) -> Result<(), WorkError> {
        let step = group.run.get(&slot).and_then(|s| group.step(self.job.graph(), slot, s.at));
        let cause = "every attempt was lost: the process ended or ran out of time";
        let ending = Ending::new(StopReason::Internal, step.map(|step| step.to_string()), cause);
        let mark = self.platform.ports.env.nonce();
        match decide::reap(&self.view(group), slot, Prior::Unknown, Some(ending.clone()), mark) {
            Ok(change) => match self.platform.ports.groups.apply(self.key(), &change).await? {
                Applied::Done(_) => self.platform.end_job(self.key(), &ending).await,
                Applied::Conflict(_) | Applied::Missing => Ok(()),
            },
            Err(Refusal::Stale | Refusal::Held { .. }) => Ok(()),
            Err(refusal) => Err(unexpected(self.key(), &refusal)),
        }
    }
}

fn goes_on_without(shift: &Shift<'_>, held: &Held) -> bool {
    let node = held.group.fan().and_then(|_| held.group.node(shift.job.graph(), held.slot));
    matches!(node.map(|(_, node)| &node.work), Some(NodeWork::Map(map)) if map.on_error == OnError::Continue)
}

impl Platform {
    /// Ends a job: sets its ending (the first stands) and sees to what follows.
    pub async fn end_job(&self, key: &JobKey, ending: &Ending) -> Result<(), WorkError> {
        let Some(job) = self.job_flow(key).await? else { return Ok(()) };
        let shift = Shift::new(self, job, super::Until { deadline_ms: 0 });
        let Some(mut root) = shift.group(GroupId::Root).await? else { return Ok(()) };
        for _ in 0..RACES_MAX {
            let change = match decide::end(&shift.view(&root), ending.clone(), self.ports.env.nonce()) {
                Ok(change) => change,
                Err(Refusal::Stale) => break,
                Err(refusal) => return Err(unexpected(key, &refusal)),
            };
            match self.ports.groups.apply(key, &change).await? {
                Applied::Conflict(now) => root = now,
                Applied::Done(_) | Applied::Missing => break,
            }
        }
        self.look(key).await
    }

    /// Ends a job whose time is over.
    pub(super) async fn end_overdue(&self, key: &JobKey) -> Result<(), WorkError> {
        self.end_job(key, &Ending::new(StopReason::Deadline, None, "the job's time is over")).await
    }
}
