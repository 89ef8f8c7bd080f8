//! Follow-ups that wait until their job has ended: schedules that start once, and then are gone.

use convoke_api::schedule::ScheduleView;
use convoke_domain::ids::{JobKey, TenantId};
use serde_json::Value;

use super::{LOOK_MS, SCHEDULES_MAX, timing, views};
use crate::failure::{Failure, Part, Refused};
use crate::platform::Platform;
use crate::ports::{Awaited, Requester, ScheduleRecord, Timing, Wish};
use crate::submit::{IdempotencyKey, read_follow_up, title_of};
use crate::work::WorkError;

impl Platform {
    /// Submits a follow-up as soon as its job has ended, however it ends: within two minutes of it. Until then it stands
    /// among the tenant's schedules, and can be paused or deleted there. `body` is as [`Platform::follow_up`] takes it. A
    /// job that has made no file by then is run again instead, with what is wanted added. Idempotent by `mark` as long as
    /// it waits.
    pub async fn queue_follow_up(
        &self,
        earlier: &JobKey,
        body: &Value,
        (mark, requester): (&str, Requester),
    ) -> Result<ScheduleView, Failure> {
        read_follow_up(body).map_err(|issues| Refused::Invalid { what: Part::Request, issues })?;
        let (head, _) = self.known_job(earlier).await?;
        let waiting = self.ports.schedules.schedules(&earlier.tenant).await?;
        let now_ms = self.ports.env.now_ms();
        let is_it = |record: &&ScheduleRecord| record.after.as_ref().is_some_and(|after| after.mark == mark);
        if let Some(record) = waiting.iter().find(is_it) {
            return Ok(views::schedule(record, now_ms));
        }
        if waiting.len() >= SCHEDULES_MAX {
            return Err(Refused::LimitReached { what: "schedules", most: SCHEDULES_MAX }.into());
        }
        let after = Awaited { job: earlier.job.clone(), requester, mark: mark.to_owned() };
        let named = (self.ports.env.ulid(), title_of(body, &head.title));
        let timing = Timing::Every { seconds: timing::EVERY_S_MIN };
        let mut record =
            ScheduleRecord { after: Some(after), ..ScheduleRecord::new(named, timing, body.clone(), now_ms) };
        record.wind(now_ms);
        self.ports.schedules.put_schedule(&earlier.tenant, &record).await?;
        tracing::info!(job = %earlier, schedule = record.id, "a follow-up waits");
        Ok(views::schedule(&record, now_ms))
    }

    /// Looks whether the job has ended; then submits the follow-up and forgets that it waited. Idempotent: the submission is
    /// by the schedule's id.
    pub(super) async fn tick_after(
        &self,
        tenant: &TenantId,
        record: &ScheduleRecord,
        after: &Awaited,
    ) -> Result<(), WorkError> {
        let earlier = JobKey { tenant: tenant.clone(), job: after.job.clone() };
        let found = self.ports.jobs.job(&earlier).await?;
        let goes_on = found.is_some_and(|(_, root)| root.root().is_some_and(|job| !job.status.is_terminal()));
        if goes_on {
            let due_ms = Some(self.ports.env.now_ms() + LOOK_MS);
            let next = ScheduleRecord { ver: record.ver + 1, due_ms, ..record.clone() };
            // Whoever has changed it meanwhile has set when it is looked at.
            self.ports.schedules.put_schedule(tenant, &next).await?;
            return Ok(());
        }
        match self.go_on_after(&earlier, record, after).await {
            Ok(()) => {}
            Err(Failure::Refused(refused)) => {
                tracing::warn!(job = %earlier, schedule = record.id, error = %refused, "a follow-up that waited is refused");
            }
            Err(Failure::Internal(error)) => return Err(error),
        }
        self.ports.schedules.delete_schedule(tenant, &record.id).await?;
        Ok(())
    }

    async fn go_on_after(&self, earlier: &JobKey, record: &ScheduleRecord, after: &Awaited) -> Result<(), Failure> {
        let repeat = |what: &str| format!("{what}-{}", record.id).parse::<IdempotencyKey>().ok();
        let (key, by) = (repeat("after"), after.requester.clone());
        match self.follow_up_from_chat(earlier, &record.job, key.as_ref(), by).await {
            Err(Failure::Refused(Refused::Invalid { .. })) => {}
            done => return done.map(drop),
        }
        let prompt = record.job["prompt"].as_str().unwrap_or_default().to_owned();
        let wish = Wish { prompt, budget: record.job["budget"]["usd"].as_str().and_then(|usd| usd.parse().ok()) };
        let (key, by) = (repeat("again"), after.requester.clone());
        let again = (Some(&wish), &record.job["notify"]);
        self.run_again_from_chat(earlier, again, key.as_ref(), by).await.map(drop)
    }
}
