//! One message when all jobs of a batch have ended, for the webhooks that its jobs name.
//!
//! Who is still to be told stands in the run. The clock rings for them; `deliver`, which alone speaks to places outside,
//! claims one webhook in the run, tells it, and notes that it acknowledged, gave up, or is to be tried again. A bell that is
//! lost is rung again a minute later; where it isn't known whether a message arrived, it comes again under the same id.

use std::collections::BTreeSet;

use convoke_domain::delivery::{LEASE_MS, pause_ms};
use convoke_domain::ids::{TenantId, WebhookId};
use serde_json::Value;

use super::{LOOK_MS, RACES_MAX, views};
use crate::deliver::{DeliverError, GONE, Message};
use crate::platform::Platform;
use crate::ports::{Attempt, OutboundError, PortError, Posted, RunBell, RunRecord, RunTarget, ScheduleRecord, Webhook};

/// What came of a try.
enum Outcome {
    /// Nothing more is told to this webhook.
    Over,
    /// It is tried again then (Unix milliseconds).
    Again(u64),
}

impl Platform {
    /// Rings for those who are to be told now that a run has ended. The clock's: others may not ring.
    pub(super) async fn ring_for_run(&self, tenant: &TenantId, id: &str, tick_ms: u64) -> Result<(), PortError> {
        let Some(run) = self.ports.schedules.run(tenant, id, tick_ms).await? else { return Ok(()) };
        let now_ms = self.ports.env.now_ms();
        let waiting = run.tell.iter().filter(|target| target.not_before_ms <= now_ms);
        let bells: Vec<RunBell> = waiting.map(|target| bell(tenant, id, (tick_ms, &target.webhook))).collect();
        if bells.is_empty() {
            return Ok(());
        }
        // Whoever changes it meanwhile sees to it as well.
        let next = RunRecord { ver: run.ver + 1, due_ms: Some(now_ms + LOOK_MS), ..run };
        self.put_ended_run(tenant, id, &next).await?;
        self.ports.delivery_bells.ring_runs(&bells).await
    }

    /// Tells a webhook that a run has ended, if it is still to be told. Where it doesn't acknowledge, it is tried again
    /// after pauses as events of jobs are.
    pub async fn deliver_run(&self, bell: &RunBell) -> Result<(), DeliverError> {
        let nonce = self.ports.env.nonce();
        let Some((run, failed)) = self.claim_telling(bell, &nonce).await? else { return Ok(()) };
        let webhook = self.ports.webhooks.webhook(&bell.tenant, &bell.webhook).await?;
        let outcome = match webhook.filter(|webhook| webhook.disabled.is_none() && webhook.events.wants_runs()) {
            Some(webhook) => self.tell_of_run(bell, &webhook, (&run, failed + 1)).await?,
            None => Outcome::Over,
        };
        self.note_told(bell, &nonce, outcome).await
    }

    /// Lets nobody else tell the webhook until the lease runs out: the run, and how often it was told in vain. `None` where
    /// it isn't to be told now, or somebody is at it.
    async fn claim_telling(&self, bell: &RunBell, nonce: &str) -> Result<Option<(RunRecord, u32)>, DeliverError> {
        let RunBell { tenant, schedule, tick_ms, webhook, .. } = bell;
        for _ in 0..RACES_MAX {
            let Some(run) = self.ports.schedules.run(tenant, schedule, *tick_ms).await? else { return Ok(None) };
            let now_ms = self.ports.env.now_ms();
            let mut next = RunRecord { ver: run.ver + 1, ..run };
            let is_open = |target: &&mut RunTarget| target.webhook == *webhook && target.not_before_ms <= now_ms;
            let Some(target) = next.tell.iter_mut().find(is_open) else { return Ok(None) };
            (target.not_before_ms, target.nonce) = (now_ms + LEASE_MS, Some(nonce.to_owned()));
            let failed = target.failed;
            next.due_ms = due_ms(&next.tell);
            if self.put_ended_run(tenant, schedule, &next).await? {
                return Ok(Some((next, failed)));
            }
        }
        // So many at once: the clock rings again.
        Ok(None)
    }

    async fn tell_of_run(
        &self,
        bell: &RunBell,
        webhook: &Webhook,
        (run, number): (&RunRecord, u32),
    ) -> Result<Outcome, DeliverError> {
        let named = self.ports.schedules.schedule(&bell.tenant, &bell.schedule).await?;
        let name = named.map(|schedule| schedule.name).unwrap_or_default();
        let message = Message::of_run(bell, &name, (&views::run(run), run.ended_ms.unwrap_or_default()));
        let began_ms = self.ports.env.now_ms();
        let answer = self.ports.outbound.post(message.outgoing(webhook, began_ms)).await;
        let attempt = Attempt { attempt: number, ..self.attempt(&message, began_ms, &answer) };
        let pause_ms = if attempt.error.is_some() { self.pause_after(number, &answer) } else { None };
        let gave_up = attempt.error.is_some() && pause_ms.is_none();
        self.log_attempt(&bell.tenant, &webhook.id, &Attempt { gave_up, ..attempt }).await;
        if answer.is_ok_and(|posted| posted.status == GONE) {
            self.disable_webhook(&bell.tenant, &webhook.id, GONE).await?;
        }
        Ok(pause_ms.map_or(Outcome::Over, |pause_ms| Outcome::Again(self.ports.env.now_ms() + pause_ms)))
    }

    /// How long to wait after a try that failed; `None` where there is no further one.
    fn pause_after(&self, number: u32, answer: &Result<Posted, OutboundError>) -> Option<u64> {
        let posted = answer.as_ref().ok();
        if posted.is_some_and(|posted| posted.status == GONE) {
            return None;
        }
        let asked_ms = posted.and_then(|posted| u64::try_from(posted.retry_after?.as_millis()).ok());
        let secret = self.ports.env.secret();
        let chance = secret.iter().take(8).fold(0_u64, |chance, &byte| chance << 8 | u64::from(byte));
        pause_ms(number, asked_ms, chance)
    }

    async fn note_told(&self, bell: &RunBell, nonce: &str, outcome: Outcome) -> Result<(), DeliverError> {
        let RunBell { tenant, schedule, tick_ms, webhook, .. } = bell;
        for _ in 0..RACES_MAX {
            let Some(run) = self.ports.schedules.run(tenant, schedule, *tick_ms).await? else { return Ok(()) };
            let mut next = RunRecord { ver: run.ver + 1, ..run };
            match outcome {
                Outcome::Over => next.tell.retain(|target| target.webhook != *webhook),
                Outcome::Again(not_before_ms) => {
                    let is_mine = |target: &&mut RunTarget| target.nonce.as_deref() == Some(nonce);
                    for target in next.tell.iter_mut().filter(|target| target.webhook == *webhook).filter(is_mine) {
                        (target.failed, target.not_before_ms) = (target.failed + 1, not_before_ms);
                    }
                }
            }
            next.due_ms = due_ms(&next.tell);
            if self.put_ended_run(tenant, schedule, &next).await? {
                return Ok(());
            }
        }
        // It is told once more.
        Ok(())
    }

    async fn put_ended_run(&self, tenant: &TenantId, id: &str, run: &RunRecord) -> Result<bool, PortError> {
        self.ports.schedules.put_run(tenant, id, run, super::runs::expires_s(run)).await
    }
}

/// When somebody is to be told.
fn due_ms(tell: &[RunTarget]) -> Option<u64> {
    tell.iter().map(|target| target.not_before_ms).min()
}

fn bell(tenant: &TenantId, schedule: &str, (tick_ms, webhook): (u64, &WebhookId)) -> RunBell {
    RunBell { v: 1, tenant: tenant.clone(), schedule: schedule.to_owned(), tick_ms, webhook: webhook.clone() }
}

/// The webhooks that the jobs of a batch name, each once; a single job tells of its own end.
pub(super) fn told_of(schedule: &ScheduleRecord) -> Vec<RunTarget> {
    let job = schedule.batch.as_ref().map(|_| &schedule.job);
    let named = job.and_then(|job| job.get("notify")).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ids: BTreeSet<WebhookId> =
        named.iter().filter_map(|entry| entry.get("webhook")?.as_str()?.parse().ok()).collect();
    ids.into_iter().map(|webhook| RunTarget { webhook, failed: 0, not_before_ms: 0, nonce: None }).collect()
}
