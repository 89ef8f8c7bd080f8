//! Schedules: what is submitted again and again, by itself.

mod after;
mod body;
mod clock;
mod runs;
mod summary;
mod timing;
mod views;

use convoke_api::schedule::{RunList, RunView, ScheduleList, ScheduleView};
use convoke_domain::ids::TenantId;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::{Batch, BlobKey, ScheduleRecord};
use crate::read::page_limit;
use crate::work::WorkError;

pub use body::{AT_ONCE_MAX, INPUTS_BYTES_MAX, INPUTS_MAX, JOB_BYTES_MAX};
pub use clock::ScheduleReport;

/// Most schedules of a tenant.
pub const SCHEDULES_MAX: usize = 100;
/// How often a change is tried that others get in the way of.
const RACES_MAX: u32 = 8;
/// Pause between two looks of the clock at what goes on.
const LOOK_MS: u64 = 60_000;

impl Platform {
    /// Makes a schedule. Not idempotent: each call makes another. All that its ticks would submit is checked now.
    pub async fn create_schedule(&self, tenant: &TenantId, body: &Value) -> Result<ScheduleView, Failure> {
        let asked = self.read_schedule(tenant, body).await?;
        if self.ports.schedules.schedules(tenant).await?.len() >= SCHEDULES_MAX {
            let hint = "delete one that isn't needed any more";
            return Err(Refused::request("", format!("there are {SCHEDULES_MAX} schedules"), hint).into());
        }
        let (id, now_ms) = (self.ports.env.ulid(), self.ports.env.now_ms());
        let batch = match asked.inputs {
            Some(inputs) => {
                let key = BlobKey::of_schedule(tenant, &id);
                self.ports.blobs.put(&key, inputs.lines, "application/x-ndjson").await?;
                Some(Batch { inputs: key, count: inputs.count, at_once: inputs.at_once })
            }
            None => None,
        };
        let mut record = ScheduleRecord {
            jitter_s: asked.request.jitter_s,
            overlap: asked.request.overlap,
            paused: asked.request.paused,
            batch,
            ..ScheduleRecord::new((id, asked.name), asked.timing, asked.request.job, now_ms)
        };
        record.wind(now_ms);
        self.ports.schedules.put_schedule(tenant, &record).await?;
        tracing::info!(%tenant, schedule = record.id, "schedule made");
        Ok(views::schedule(&record, now_ms))
    }

    /// The tenant's schedules, oldest first.
    pub async fn schedules(&self, tenant: &TenantId) -> Result<ScheduleList, Failure> {
        let now_ms = self.ports.env.now_ms();
        let records = self.ports.schedules.schedules(tenant).await?;
        Ok(ScheduleList { schedules: records.iter().map(|record| views::schedule(record, now_ms)).collect() })
    }

    /// One schedule.
    pub async fn schedule(&self, tenant: &TenantId, id: &str) -> Result<ScheduleView, Failure> {
        Ok(views::schedule(&self.known_schedule(tenant, id).await?, self.ports.env.now_ms()))
    }

    /// Lets a schedule stand still; what it started goes on. Idempotent.
    pub async fn pause_schedule(&self, tenant: &TenantId, id: &str) -> Result<ScheduleView, Failure> {
        self.set_paused(tenant, id, true).await
    }

    /// Lets it go on, from its next tick after now; a follow-up that was refused is tried again. Idempotent.
    pub async fn resume_schedule(&self, tenant: &TenantId, id: &str) -> Result<ScheduleView, Failure> {
        self.set_paused(tenant, id, false).await
    }

    async fn set_paused(&self, tenant: &TenantId, id: &str, paused: bool) -> Result<ScheduleView, Failure> {
        for _ in 0..RACES_MAX {
            let record = self.known_schedule(tenant, id).await?;
            let now_ms = self.ports.env.now_ms();
            if record.paused == paused {
                return Ok(views::schedule(&record, now_ms));
            }
            let mut changed = ScheduleRecord { paused, refusal: None, ver: record.ver + 1, ..record };
            changed.wind(now_ms);
            if self.ports.schedules.put_schedule(tenant, &changed).await? {
                return Ok(views::schedule(&changed, now_ms));
            }
        }
        Err(WorkError::Contended { job: id.to_owned() }.into())
    }

    /// Starts what the schedule submits now, whatever else goes on; its ticks stay as they are. Not idempotent.
    pub async fn run_schedule(&self, tenant: &TenantId, id: &str) -> Result<RunView, Failure> {
        for _ in 0..RACES_MAX {
            let record = self.known_schedule(tenant, id).await?;
            if record.after.is_some() {
                let hint = "it starts by itself once its job has ended";
                return Err(Refused::request("", "a follow-up that waits isn't started by hand", hint).into());
            }
            let tick_ms = self.ports.env.now_ms();
            if self.start_run(tenant, &record, tick_ms).await? {
                self.note_open(tenant, id, tick_ms).await?;
                self.look_at_run(tenant, id, tick_ms).await?;
                let run = self.ports.schedules.run(tenant, id, tick_ms).await?;
                return run.map(|run| views::run(&run)).ok_or_else(|| not_found(id));
            }
        }
        Err(WorkError::Contended { job: id.to_owned() }.into())
    }

    /// Forgets a schedule. What it started goes on, without what is left of a batch. [`Refused::ScheduleNotFound`] where
    /// there is none (any more).
    pub async fn delete_schedule(&self, tenant: &TenantId, id: &str) -> Result<(), Failure> {
        if self.ports.schedules.delete_schedule(tenant, id).await? { Ok(()) } else { Err(not_found(id)) }
    }

    /// A page of what a schedule started, newest first.
    pub async fn runs(
        &self,
        tenant: &TenantId,
        id: &str,
        cursor: Option<&str>,
        limit: Option<u32>,
    ) -> Result<RunList, Failure> {
        let limit = page_limit(limit)?;
        let before: Option<u64> =
            cursor.map(|text| convoke_api::cursor::decode("runs", text)).transpose().map_err(Refused::Cursor)?;
        self.known_schedule(tenant, id).await?;
        let mut runs = self.ports.schedules.runs(tenant, id, before.unwrap_or(u64::MAX), limit + 1).await?;
        let is_more = runs.len() > limit as usize;
        runs.truncate(limit as usize);
        let next = runs.last().filter(|_| is_more).map(|run| convoke_api::cursor::encode("runs", &run.tick_ms));
        Ok(RunList { runs: runs.iter().map(views::run).collect(), next_cursor: next })
    }

    async fn known_schedule(&self, tenant: &TenantId, id: &str) -> Result<ScheduleRecord, Failure> {
        // What is no id leads to no item, and isn't looked for.
        let is_id = id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let found = if is_id { self.ports.schedules.schedule(tenant, id).await? } else { None };
        found.ok_or_else(|| not_found(id))
    }
}

impl ScheduleRecord {
    /// Sets the next tick after `after_ms`, and when the clock looks for it.
    fn wind(&mut self, after_ms: u64) {
        self.next_ms = if self.paused { None } else { self.timing.next(self.created_ms, after_ms) };
        self.due_ms = self.next_ms.map(|next_ms| next_ms + self.jitter_ms(next_ms));
    }

    /// How much later than a tick its work starts: always the same for the same tick.
    fn jitter_ms(&self, tick_ms: u64) -> u64 {
        let hash = Sha256::digest(format!("{}/{tick_ms}", self.id));
        let drawn = hash.iter().take(8).fold(0_u64, |drawn, byte| drawn << 8 | u64::from(*byte));
        drawn % (self.jitter_s * 1_000 + 1)
    }
}

fn not_found(id: &str) -> Failure {
    Refused::ScheduleNotFound { schedule: id.chars().take(64).collect() }.into()
}
