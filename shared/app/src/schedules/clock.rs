//! The clock's part: ticks that are due start runs, runs that are due are looked at.

use convoke_domain::ids::TenantId;
use convoke_domain::schedule::{Due, Pending};

use super::{LOOK_MS, RACES_MAX};
use crate::platform::Platform;
use crate::ports::{DueSchedule, ScheduleRecord};
use crate::work::WorkError;

/// Schedules and runs that one tick of the clock looks at.
const DUE_MAX: u32 = 500;

/// What a tick of the clock did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleReport {
    /// Schedules and runs that were due.
    pub due: u32,
    /// Those that couldn't be looked at; they stay due.
    pub failed: u32,
}

impl Platform {
    /// Starts what is due by the tenants' schedules, and goes on with what they started. One that can't be looked at
    /// doesn't keep the others waiting. Idempotent: what was started is found started.
    pub async fn tick_schedules(&self, now_ms: u64) -> Result<ScheduleReport, WorkError> {
        let mut report = ScheduleReport::default();
        for due in self.ports.schedules.due_schedules(now_ms, DUE_MAX).await? {
            report.due += 1;
            let DueSchedule { tenant, schedule, tick_ms } = &due;
            let looked = match tick_ms {
                Some(tick_ms) => self.look_and_ring(tenant, schedule, *tick_ms).await,
                None => self.tick_schedule(tenant, schedule, now_ms).await,
            };
            if let Err(error) = looked {
                report.failed += 1;
                let error = &error as &dyn std::error::Error;
                tracing::error!(%tenant, schedule, error, "a schedule can't be looked at");
            }
        }
        Ok(report)
    }

    async fn look_and_ring(&self, tenant: &TenantId, id: &str, tick_ms: u64) -> Result<(), WorkError> {
        self.look_at_run(tenant, id, tick_ms).await?;
        Ok(self.ring_for_run(tenant, id, tick_ms).await?)
    }

    async fn tick_schedule(&self, tenant: &TenantId, id: &str, now_ms: u64) -> Result<(), WorkError> {
        for _ in 0..RACES_MAX {
            let Some(record) = self.ports.schedules.schedule(tenant, id).await? else { return Ok(()) };
            if let Some(after) = &record.after {
                return self.tick_after(tenant, &record, after).await;
            }
            let pending = Pending {
                tick_ms: record.next_ms,
                jitter_ms: record.next_ms.map_or(0, |tick_ms| record.jitter_ms(tick_ms)),
                overlap: record.overlap,
                is_busy: self.busy_with(tenant, &record).await?.is_some(),
            };
            let started = match pending.due(now_ms) {
                Due::Nothing => return Ok(()),
                Due::Start { tick_ms } => Some(tick_ms),
                Due::Skip { .. } | Due::Wait { .. } => None,
            };
            if let Some(tick_ms) = started {
                self.start_run(tenant, &record, tick_ms).await?;
            }
            if self.ports.schedules.put_schedule(tenant, &after(record, pending.due(now_ms), now_ms)).await? {
                return match started {
                    Some(tick_ms) => self.look_at_run(tenant, id, tick_ms).await,
                    None => Ok(()),
                };
            }
        }
        Err(WorkError::Contended { job: id.to_owned() })
    }

    /// The tick whose work goes on.
    async fn busy_with(&self, tenant: &TenantId, record: &ScheduleRecord) -> Result<Option<u64>, WorkError> {
        // What was started by hand beside the work of a tick came last.
        let started = [record.open_ms, record.last_ms.filter(|last_ms| record.open_ms != Some(*last_ms))];
        for tick_ms in started.into_iter().flatten() {
            let run = self.ports.schedules.run(tenant, &record.id, tick_ms).await?;
            if run.is_some_and(|run| run.ended_ms.is_none()) {
                return Ok(Some(tick_ms));
            }
        }
        Ok(None)
    }

    /// Notes that the work of a tick goes on, beside that of an earlier one where that does, too.
    pub(super) async fn note_open(&self, tenant: &TenantId, id: &str, tick_ms: u64) -> Result<(), WorkError> {
        for _ in 0..RACES_MAX {
            let Some(record) = self.ports.schedules.schedule(tenant, id).await? else { return Ok(()) };
            let open_ms = self.busy_with(tenant, &record).await?.or(Some(tick_ms));
            let changed = ScheduleRecord { ver: record.ver + 1, open_ms, last_ms: Some(tick_ms), ..record };
            if self.ports.schedules.put_schedule(tenant, &changed).await? {
                return Ok(());
            }
        }
        Err(WorkError::Contended { job: id.to_owned() })
    }
}

/// The schedule once this is done about it.
fn after(record: ScheduleRecord, done: Due, now_ms: u64) -> ScheduleRecord {
    let mut next = ScheduleRecord { ver: record.ver + 1, ..record };
    match done {
        Due::Nothing => {}
        Due::Start { tick_ms } => {
            next.open_ms = Some(tick_ms);
            next.last_ms = Some(tick_ms);
            next.wind(now_ms.max(tick_ms));
        }
        Due::Skip { tick_ms } => {
            next.skipped += 1;
            next.wind(now_ms.max(tick_ms));
        }
        Due::Wait { .. } => next.due_ms = Some(now_ms + LOOK_MS),
    }
    next
}
