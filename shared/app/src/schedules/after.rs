//! Follow-ups that wait until their job has ended: schedules that start once, and then are gone.

use convoke_api::schedule::ScheduleView;
use convoke_domain::ids::{JobId, JobKey, TenantId};
use convoke_domain::schedule::Tally;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::runs::expires_s;
use super::{LOOK_MS, SCHEDULES_MAX, summary, timing, views};
use crate::chat::ALPHABET;
use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::{Awaited, Requester, RunRecord, ScheduleRecord, Timing, Wish};
use crate::submit::{Answered, IdempotencyKey, title_of};
use crate::work::WorkError;

/// Characters of a ULID that say when.
const TIME_CHARS: usize = 10;
/// Its characters that tell it from others of the same moment.
const OWN_CHARS: usize = 16;

impl Platform {
    /// Grants a wish as soon as its job has ended, however it ends: within two minutes of it, as
    /// [`Platform::carry_on_from_chat`] does. Until then it stands among the tenant's schedules, and can be paused or deleted
    /// there. One that is refused then stays there, paused, with the reason: resumed, it is tried again. Idempotent by
    /// `mark`, which is also the idempotency key of what it submits.
    pub async fn queue_follow_up(
        &self,
        earlier: &JobKey,
        (wish, notify): (&Wish, &Value),
        (mark, requester): (&IdempotencyKey, Requester),
    ) -> Result<ScheduleView, Failure> {
        let (head, _) = self.known_job(earlier).await?;
        let (tenant, id, now_ms) = (&earlier.tenant, id_of(&earlier.job, mark), self.ports.env.now_ms());
        if let Some(record) = self.ports.schedules.schedule(tenant, &id).await? {
            return Ok(views::schedule(&record, now_ms));
        }
        if self.ports.schedules.schedules(tenant).await?.len() >= SCHEDULES_MAX {
            return Err(Refused::LimitReached { what: "schedules", most: SCHEDULES_MAX }.into());
        }
        let body = wish.follow_up(notify);
        let after = Awaited { job: earlier.job.clone(), requester, mark: mark.as_str().to_owned() };
        let (named, timing) = ((id, title_of(&body, &head.title)), Timing::Every { seconds: timing::EVERY_S_MIN });
        let mut record = ScheduleRecord { after: Some(after), ..ScheduleRecord::new(named, timing, body, now_ms) };
        record.wind(now_ms);
        if self.ports.schedules.put_schedule(tenant, &record).await? {
            tracing::info!(job = %earlier, schedule = record.id, "a follow-up waits");
            return Ok(views::schedule(&record, now_ms));
        }
        // Somebody granted the same wish at the same time.
        Ok(views::schedule(&self.known_schedule(tenant, &record.id).await?, now_ms))
    }

    /// Looks whether the job has ended; then submits the follow-up and forgets that it waited. Idempotent: the submission is
    /// by the wish's mark. What was paused or deleted meanwhile isn't submitted.
    pub(super) async fn tick_after(
        &self,
        tenant: &TenantId,
        record: &ScheduleRecord,
        after: &Awaited,
    ) -> Result<(), WorkError> {
        let now_ms = self.ports.env.now_ms();
        if record.due_ms.is_none_or(|due_ms| due_ms > now_ms) {
            return Ok(());
        }
        let earlier = JobKey { tenant: tenant.clone(), job: after.job.clone() };
        let found = self.ports.jobs.job(&earlier).await?;
        let goes_on = found.is_some_and(|(_, root)| root.root().is_some_and(|job| !job.status.is_terminal()));
        let looked = ScheduleRecord { ver: record.ver + 1, due_ms: Some(now_ms + LOOK_MS), ..record.clone() };
        // Whoever has changed it meanwhile has set when it is looked at.
        if !self.ports.schedules.put_schedule(tenant, &looked).await? || goes_on {
            return Ok(());
        }
        match self.carry_on_after(&earlier, &looked, after).await {
            Ok(_) => {
                self.ports.schedules.delete_schedule(tenant, &looked.id).await?;
                Ok(())
            }
            Err(Failure::Refused(refused)) => {
                tracing::warn!(job = %earlier, schedule = looked.id, error = %refused, "a follow-up that waited is refused");
                self.keep_refused(tenant, looked, &refused).await
            }
            Err(Failure::Internal(error)) => Err(error),
        }
    }

    async fn carry_on_after(
        &self,
        earlier: &JobKey,
        record: &ScheduleRecord,
        after: &Awaited,
    ) -> Result<Answered, Failure> {
        let (wish, mark) = (Wish::of_follow_up(&record.job), after.mark.parse::<IdempotencyKey>().ok());
        let asked = (&wish, &record.job["notify"]);
        self.carry_on_from_chat(earlier, asked, mark.as_ref(), after.requester.clone()).await
    }

    /// Lets it stand still where people find it, with the reason, and has them told as of a run; whoever changed it
    /// meanwhile has their way.
    async fn keep_refused(
        &self,
        tenant: &TenantId,
        record: ScheduleRecord,
        refused: &Refused,
    ) -> Result<(), WorkError> {
        let now_ms = self.ports.env.now_ms();
        let (tick_ms, why) = (record.next_ms.unwrap_or(now_ms), Some(refused.reason()));
        let tell = summary::named(&record.job);
        let run = RunRecord {
            next: 1,
            tally: Tally { refused: 1, ..Tally::default() },
            refusal: why.clone(),
            ended_ms: Some(now_ms),
            due_ms: (!tell.is_empty()).then_some(now_ms),
            tell,
            ..RunRecord::new((tick_ms, 1), now_ms)
        };
        self.ports.schedules.put_run(tenant, &record.id, &run, expires_s(&run)).await?;
        let mut kept =
            ScheduleRecord { ver: record.ver + 1, paused: true, refusal: why, last_ms: Some(tick_ms), ..record };
        kept.wind(now_ms);
        self.ports.schedules.put_schedule(tenant, &kept).await?;
        Ok(())
    }
}

/// The id of the schedule of a wish: always the same, with the job's time in front, so that they stand in order of that.
fn id_of(earlier: &JobId, mark: &IdempotencyKey) -> String {
    let time = earlier.as_str().chars().take(TIME_CHARS);
    let own = Sha256::digest(mark.as_str()).into_iter().take(OWN_CHARS);
    time.chain(own.map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))).collect()
}
