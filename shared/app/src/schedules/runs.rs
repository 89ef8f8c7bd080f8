//! What a tick started: a job, or the jobs of a batch, a few at a time.
//!
//! Ids are drawn and stored before their jobs are submitted, so whoever looks at a run submits what is missing of it, and
//! nothing twice.

use std::collections::BTreeSet;

use convoke_domain::ids::{IdError, JobId, JobKey, TenantId};
use convoke_domain::schedule::room;
use futures_util::future::try_join_all;
use serde_json::Value;

use super::body::{unpacked, with_input};
use super::{LOOK_MS, summary};
use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::{RunJob, RunRecord, ScheduleRecord, Tick};
use crate::work::WorkError;

/// How often one look acts and looks again.
const LOOKS_MAX: u32 = 64;
/// How long an ended run is kept, in seconds.
const KEPT_S: u64 = 90 * 24 * 3_600;

/// Inputs that were refused, and why the first was.
type Refusals = (BTreeSet<u32>, Option<String>);

/// Unix seconds after which a run is forgotten; `None` while it goes on.
pub(super) fn expires_s(run: &RunRecord) -> Option<u64> {
    run.ended_ms.map(|ended_ms| ended_ms / 1_000 + KEPT_S)
}

impl Platform {
    /// Stores the run of a tick; `false` where it is there.
    pub(super) async fn start_run(
        &self,
        tenant: &TenantId,
        schedule: &ScheduleRecord,
        tick_ms: u64,
    ) -> Result<bool, WorkError> {
        let now_ms = self.ports.env.now_ms();
        let total = schedule.batch.as_ref().map_or(1, |batch| batch.count);
        let run = RunRecord { due_ms: Some(now_ms + LOOK_MS), ..RunRecord::new((tick_ms, total), now_ms) };
        Ok(self.ports.schedules.put_run(tenant, &schedule.id, &run, None).await?)
    }

    /// Goes on with a run: counts the jobs that have ended, submits those whose turn it is. Idempotent.
    pub(crate) async fn look_at_run(&self, tenant: &TenantId, id: &str, tick_ms: u64) -> Result<(), WorkError> {
        let mut refusals: Refusals = (BTreeSet::new(), None);
        for _ in 0..LOOKS_MAX {
            let Some(run) = self.ports.schedules.run(tenant, id, tick_ms).await? else { return Ok(()) };
            if run.ended_ms.is_some() {
                return Ok(());
            }
            let schedule = self.ports.schedules.schedule(tenant, id).await?;
            let (next, missing) = self.advance(tenant, schedule.as_ref(), (&run, &refusals)).await?;
            if !self.ports.schedules.put_run(tenant, id, &next, expires_s(&next)).await? {
                continue;
            }
            let Some(schedule) = schedule.filter(|_| !missing.is_empty()) else { return Ok(()) };
            refusals = self.submit_jobs(tenant, &schedule, (tick_ms, &missing)).await?;
            if refusals.0.is_empty() {
                return Ok(());
            }
        }
        // The next look goes on.
        Ok(())
    }

    /// The run as it is to be stored, and those of its jobs that aren't submitted yet.
    async fn advance(
        &self,
        tenant: &TenantId,
        schedule: Option<&ScheduleRecord>,
        (run, refusals): (&RunRecord, &Refusals),
    ) -> Result<(RunRecord, Vec<RunJob>), WorkError> {
        let now_ms = self.ports.env.now_ms();
        let mut next =
            RunRecord { ver: run.ver + 1, running: Vec::new(), due_ms: Some(now_ms + LOOK_MS), ..run.clone() };
        let mut missing = Vec::new();
        let found = run.running.iter().map(|running| async move {
            let key = JobKey { tenant: tenant.clone(), job: running.job.clone() };
            self.ports.jobs.job(&key).await
        });
        for (running, found) in run.running.iter().zip(try_join_all(found).await?) {
            let root = found.and_then(|(_, group)| Some((group.root()?.status, group.spent)));
            match root {
                Some((status, spent)) if status.is_terminal() => next.tally.count(status, spent),
                Some(_) => next.running.push(running.clone()),
                None if schedule.is_none() || refusals.0.contains(&running.index) => next.tally.refused += 1,
                None => {
                    next.running.push(running.clone());
                    missing.push(running.clone());
                }
            }
        }
        next.refusal = next.refusal.or_else(|| refusals.1.clone());
        match schedule {
            Some(schedule) => missing.extend(self.draw(schedule, &mut next)?),
            // Nobody wants what is left any more.
            None => next.total = next.next,
        }
        if next.running.is_empty() && next.next >= next.total {
            next.tell = schedule.map(summary::told_of).unwrap_or_default();
            next.due_ms = if next.tell.is_empty() { None } else { Some(now_ms) };
            next.ended_ms = Some(now_ms);
        }
        Ok((next, missing))
    }

    /// Draws the ids of the jobs for which there is room.
    fn draw(&self, schedule: &ScheduleRecord, run: &mut RunRecord) -> Result<Vec<RunJob>, WorkError> {
        let at_once = schedule.batch.as_ref().map_or(1, |batch| batch.at_once);
        let count = room(at_once, run.running.len(), run.total.saturating_sub(run.next));
        let mut drawn = Vec::new();
        for index in run.next..run.next + count {
            let ulid = self.ports.env.ulid();
            let job: JobId = ulid
                .parse()
                .map_err(|error: IdError| WorkError::Corrupt { job: ulid.clone(), detail: error.to_string() })?;
            drawn.push(RunJob { job, index });
        }
        run.next += count;
        run.running.extend(drawn.iter().cloned());
        Ok(drawn)
    }

    /// Submits jobs of a run; answers those that are refused. What fails otherwise is left to the next look.
    async fn submit_jobs(
        &self,
        tenant: &TenantId,
        schedule: &ScheduleRecord,
        (tick_ms, jobs): (u64, &[RunJob]),
    ) -> Result<Refusals, WorkError> {
        let lines = match &schedule.batch {
            Some(batch) => Some(self.ports.blobs.get(&batch.inputs).await?.unwrap_or_default()),
            None => None,
        };
        let mut refusals: Refusals = (BTreeSet::new(), None);
        for RunJob { job, index } in jobs {
            let key = JobKey { tenant: tenant.clone(), job: job.clone() };
            let body = match &lines {
                Some(lines) => with_input(&schedule.job, &unpacked(lines, *index).unwrap_or(Value::Null)),
                None => schedule.job.clone(),
            };
            let tick = Tick { schedule: schedule.id.clone(), tick_ms };
            match self.submit_scheduled(key, &body, tick).await {
                Ok(()) => {}
                Err(Failure::Refused(refused)) => {
                    tracing::warn!(%tenant, schedule = schedule.id, error = %refused, "what is scheduled is refused");
                    refusals.0.insert(*index);
                    refusals.1.get_or_insert_with(|| refused.reason());
                }
                Err(Failure::Internal(error)) => return Err(error),
            }
        }
        Ok(refusals)
    }
}
