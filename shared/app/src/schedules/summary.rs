//! One message when all jobs of a batch have ended, for the webhooks and chats that its jobs name; and to the chat that asked
//! for it where a follow-up that waited couldn't be started.
//!
//! Who is still to be told stands in the run. The clock rings for them; `deliver`, which alone speaks to places outside,
//! claims one of them in the run, tells it, and notes that it acknowledged, gave up, or is to be tried again. A bell that is
//! lost is rung again a minute later; where it isn't known whether a message arrived, it comes again under the same id.

use std::collections::BTreeSet;

use convoke_domain::chat::ChatId;
use convoke_domain::delivery::{LEASE_MS, pause_ms};
use convoke_domain::ids::{TargetId, TenantId, WebhookId};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{LOOK_MS, RACES_MAX, views};
use crate::chat::chat_of;
use crate::deliver::{DeliverError, GONE, Message, Told};
use crate::platform::Platform;
use crate::ports::{Attempt, Form, Notice, PortError, RunBell, RunNotice, RunRecord, RunTarget, ScheduleRecord};

/// What came of a try.
enum Outcome {
    /// Nothing more is told to this target.
    Over,
    /// It failed, and is tried again then (Unix milliseconds).
    Again(u64),
    /// There was no room; it is tried then.
    Later(u64),
    /// It is tried as plain text.
    Plainly,
    /// It is tried there.
    There(ChatId),
}

impl Platform {
    /// Rings for those who are to be told now that a run has ended. The clock's: others may not ring.
    pub(super) async fn ring_for_run(&self, tenant: &TenantId, id: &str, tick_ms: u64) -> Result<(), PortError> {
        let Some(run) = self.ports.schedules.run(tenant, id, tick_ms).await? else { return Ok(()) };
        let now_ms = self.ports.env.now_ms();
        let waiting = run.tell.iter().filter(|target| target.not_before_ms <= now_ms);
        let bells: Vec<RunBell> = waiting.map(|target| bell(tenant, id, (tick_ms, &target.target))).collect();
        if bells.is_empty() {
            return Ok(());
        }
        // Whoever changes it meanwhile sees to it as well.
        let next = RunRecord { ver: run.ver + 1, due_ms: Some(now_ms + LOOK_MS), ..run };
        self.put_ended_run(tenant, id, &next).await?;
        self.ports.delivery_bells.ring_runs(&bells).await
    }

    /// Tells a target that a run has ended, if it is still to be told. Where it doesn't acknowledge, it is tried again after
    /// pauses as events of jobs are.
    pub async fn deliver_run(&self, bell: &RunBell) -> Result<(), DeliverError> {
        let nonce = self.ports.env.nonce();
        let Some((run, target)) = self.claim_telling(bell, &nonce).await? else { return Ok(()) };
        let outcome = match &bell.target {
            TargetId::Webhook(id) => self.tell_webhook(bell, id, (&run, target.failed + 1)).await?,
            TargetId::Chat(chat) => self.tell_in_chat(bell, chat, (&run, &target)).await?,
        };
        self.note_told(bell, &nonce, outcome).await
    }

    /// Lets nobody else tell the target until the lease runs out. `None` where it isn't to be told now, or somebody is at it.
    async fn claim_telling(&self, bell: &RunBell, nonce: &str) -> Result<Option<(RunRecord, RunTarget)>, DeliverError> {
        let RunBell { tenant, schedule, tick_ms, target: named, .. } = bell;
        for _ in 0..RACES_MAX {
            let Some(run) = self.ports.schedules.run(tenant, schedule, *tick_ms).await? else { return Ok(None) };
            let now_ms = self.ports.env.now_ms();
            let mut next = RunRecord { ver: run.ver + 1, ..run };
            let is_open = |target: &&mut RunTarget| target.target == *named && target.not_before_ms <= now_ms;
            let Some(target) = next.tell.iter_mut().find(is_open) else { return Ok(None) };
            (target.not_before_ms, target.nonce) = (now_ms + LEASE_MS, Some(nonce.to_owned()));
            let claimed = target.clone();
            next.due_ms = due_ms(&next.tell);
            if self.put_ended_run(tenant, schedule, &next).await? {
                return Ok(Some((next, claimed)));
            }
        }
        // So many at once: the clock rings again.
        Ok(None)
    }

    async fn tell_webhook(
        &self,
        bell: &RunBell,
        id: &WebhookId,
        (run, number): (&RunRecord, u32),
    ) -> Result<Outcome, DeliverError> {
        let webhook = self.ports.webhooks.webhook(&bell.tenant, id).await?;
        let Some(webhook) = webhook.filter(|webhook| webhook.disabled.is_none() && webhook.events.wants_runs()) else {
            return Ok(Outcome::Over);
        };
        let name = self.schedule_of(bell).await?.map(|schedule| schedule.name).unwrap_or_default();
        let message = Message::of_run(bell, &name, (&views::run(run), run.ended_ms.unwrap_or_default()));
        let began_ms = self.ports.env.now_ms();
        let answer = self.ports.outbound.post(message.outgoing(&webhook, began_ms)).await;
        let attempt = Attempt { attempt: number, ..self.attempt(&message, began_ms, &answer) };
        let posted = answer.as_ref().ok();
        let is_gone = posted.is_some_and(|posted| posted.status == GONE);
        let asked_ms = posted.and_then(|posted| u64::try_from(posted.retry_after?.as_millis()).ok());
        let tries_again = attempt.error.is_some() && !is_gone;
        let pause_ms = if tries_again { self.pause_after(number, asked_ms) } else { None };
        let gave_up = attempt.error.is_some() && pause_ms.is_none();
        self.log_attempt(&bell.tenant, id, &Attempt { gave_up, ..attempt }).await;
        if is_gone {
            self.disable_webhook(&bell.tenant, id, GONE).await?;
        }
        Ok(pause_ms.map_or(Outcome::Over, |pause_ms| Outcome::Again(self.ports.env.now_ms() + pause_ms)))
    }

    async fn tell_in_chat(
        &self,
        bell: &RunBell,
        chat: &ChatId,
        (run, target): (&RunRecord, &RunTarget),
    ) -> Result<Outcome, DeliverError> {
        let schedule = self.schedule_of(bell).await?;
        let notice = Notice::Run(RunNotice {
            name: schedule.as_ref().map(|schedule| schedule.name.clone()).unwrap_or_default(),
            after: schedule.and_then(|schedule| Some(schedule.after?.job)),
            run: views::run(run),
        });
        let form = if target.is_plain { Form::Plain } else { Form::Rich };
        let told = self.tell_chat((&bell.tenant, chat), &notice, (form, &nonce_of(bell))).await?;
        let now_ms = self.ports.env.now_ms();
        Ok(match told {
            Told::Over => Outcome::Over,
            Told::In(wait_ms) => Outcome::Later(now_ms + wait_ms),
            Told::Moved(to) => Outcome::There(to),
            Told::Rejected if !target.is_plain => Outcome::Plainly,
            Told::Rejected => {
                tracing::error!(tenant = %bell.tenant, schedule = bell.schedule, %chat, "a platform doesn't accept a message");
                Outcome::Over
            }
            Told::Failed => {
                let pause_ms = self.pause_after(target.failed + 1, None);
                pause_ms.map_or(Outcome::Over, |pause_ms| Outcome::Again(now_ms + pause_ms))
            }
        })
    }

    async fn schedule_of(&self, bell: &RunBell) -> Result<Option<ScheduleRecord>, PortError> {
        self.ports.schedules.schedule(&bell.tenant, &bell.schedule).await
    }

    /// How long to wait after a try that failed; `None` where there is no further one.
    fn pause_after(&self, number: u32, asked_ms: Option<u64>) -> Option<u64> {
        let secret = self.ports.env.secret();
        let chance = secret.iter().take(8).fold(0_u64, |chance, &byte| chance << 8 | u64::from(byte));
        pause_ms(number, asked_ms, chance)
    }

    async fn note_told(&self, bell: &RunBell, nonce: &str, outcome: Outcome) -> Result<(), DeliverError> {
        let RunBell { tenant, schedule, tick_ms, target: named, .. } = bell;
        for _ in 0..RACES_MAX {
            let Some(run) = self.ports.schedules.run(tenant, schedule, *tick_ms).await? else { return Ok(()) };
            let mut next = RunRecord { ver: run.ver + 1, ..run };
            let is_mine = |target: &&mut RunTarget| target.target == *named && target.nonce.as_deref() == Some(nonce);
            let mine = next.tell.iter_mut().find(is_mine);
            match (&outcome, mine) {
                (Outcome::Over, _) => next.tell.retain(|target| target.target != *named),
                (_, None) => return Ok(()),
                (Outcome::Again(at_ms), Some(mine)) => (mine.failed, mine.not_before_ms) = (mine.failed + 1, *at_ms),
                (Outcome::Later(at_ms), Some(mine)) => mine.not_before_ms = *at_ms,
                (Outcome::Plainly, Some(mine)) => (mine.is_plain, mine.not_before_ms) = (true, 0),
                (Outcome::There(to), Some(mine)) => *mine = RunTarget::new(TargetId::Chat(*to)),
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

fn bell(tenant: &TenantId, schedule: &str, (tick_ms, target): (u64, &TargetId)) -> RunBell {
    RunBell { v: 1, tenant: tenant.clone(), schedule: schedule.to_owned(), tick_ms, target: target.clone() }
}

/// The name of the message to a chat, the same whoever sends it: 24 hexadecimal digits.
fn nonce_of(bell: &RunBell) -> String {
    let RunBell { tenant, schedule, tick_ms, target, .. } = bell;
    hex::encode(&Sha256::digest(format!("{tenant}/{schedule}/{tick_ms}/{target}"))[..12])
}

/// The webhooks and chats that the jobs of a batch name, each once; a single job tells of its own end.
pub(super) fn told_of(schedule: &ScheduleRecord) -> Vec<RunTarget> {
    if schedule.batch.is_some() { named(&schedule.job) } else { Vec::new() }
}

/// Those whom the body of a submission tells.
pub(super) fn named(job: &Value) -> Vec<RunTarget> {
    let entries = job.get("notify").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of = |entry: &Value| match entry.get("webhook") {
        Some(webhook) => webhook.as_str()?.parse().ok().map(TargetId::Webhook),
        None => chat_of(entry).map(TargetId::Chat),
    };
    let targets: BTreeSet<TargetId> = entries.iter().filter_map(of).collect();
    targets.into_iter().map(RunTarget::new).collect()
}
