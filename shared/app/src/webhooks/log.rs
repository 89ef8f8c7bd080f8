//! Tries at webhooks: noting them, showing them, telling an event again.

use convoke_api::cursor;
use convoke_api::time::Time;
use convoke_api::webhook::{DeliveryList, DeliveryView, RedeliveryView};
use convoke_domain::delivery::{AGAIN_MAX, NotNow};
use convoke_domain::ids::{JobId, JobKey, TargetId, TenantId, WebhookId};

use super::{ATTEMPTS_KEPT_S, RACES_MAX};
use crate::deliver::Message;
use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::{Attempt, OutboundError, Posted, Saved};
use crate::read::page_limit;
use crate::work::WorkError;

/// Name of the list, in its cursors.
const LIST: &str = "deliveries";

impl Platform {
    /// A page of the tries at a webhook, newest first.
    pub async fn webhook_deliveries(
        &self,
        tenant: &TenantId,
        id: &str,
        (cursor, limit): (Option<&str>, Option<u32>),
    ) -> Result<DeliveryList, Failure> {
        let limit = page_limit(limit)?;
        let before: Option<String> =
            cursor.map(|text| cursor::decode(LIST, text)).transpose().map_err(Refused::Cursor)?;
        let webhook = self.known_webhook(tenant, id).await?;
        let found = self.ports.deliveries.attempts(tenant, &webhook.id, before.as_deref(), limit + 1).await?;
        let has_more = found.len() > limit as usize;
        let shown: Vec<Attempt> = found.into_iter().take(limit as usize).collect();
        let next_cursor = shown.last().filter(|_| has_more).map(|last| cursor::encode(LIST, &last.id));
        let now_s = self.ports.env.now_ms() / 1_000;
        let deliveries = shown.into_iter().filter(|attempt| attempt.expires_s > now_s).map(view).collect();
        Ok(DeliveryList { deliveries, next_cursor })
    }

    /// Has the event of a try told again: at once, with the message id that it had. Idempotent as long as it waits.
    ///
    /// What was given up goes on with this. [`Refused::DeliveryNotFound`], [`Refused::DeliveryNotRepeatable`] for a test,
    /// [`Refused::WebhookDisabled`], [`Refused::LimitReached`] where too many wait.
    pub async fn redeliver(&self, tenant: &TenantId, id: &str, attempt: &str) -> Result<RedeliveryView, Failure> {
        let webhook = self.known_webhook(tenant, id).await?;
        let not_found = || Refused::DeliveryNotFound { delivery: attempt.chars().take(64).collect() };
        // A try's id is a ULID, as a job's is.
        attempt.parse::<JobId>().map_err(|_| not_found())?;
        let found = self.ports.deliveries.attempt(tenant, &webhook.id, attempt).await?;
        let now_ms = self.ports.env.now_ms();
        let tried = found.filter(|tried| tried.expires_s > now_ms / 1_000).ok_or_else(not_found)?;
        let job = tried.job.ok_or(Refused::DeliveryNotRepeatable)?;
        if webhook.disabled.is_some() {
            return Err(Refused::WebhookDisabled.into());
        }
        let key = JobKey { tenant: tenant.clone(), job };
        let target = TargetId::Webhook(webhook.id);
        self.send_again(&key, &target, tried.seq).await?;
        if let Err(error) = self.ring_delivery(&key, &target, 0).await {
            tracing::warn!(job = %key, error = &error as &dyn std::error::Error, "the clock will have to ring");
        }
        Ok(RedeliveryView { job: key.job, seq: tried.seq, message_id: tried.message })
    }

    async fn send_again(&self, key: &JobKey, target: &TargetId, seq: u64) -> Result<(), Failure> {
        let gone = || WorkError::Corrupt { job: key.to_string(), detail: "its delivery is missing".to_owned() };
        let mut delivery = self.ports.deliveries.delivery(key, target).await?.ok_or_else(gone)?;
        for _ in 0..RACES_MAX {
            let next = match delivery.send_again(self.ports.env.nonce(), (seq, self.ports.env.now_ms())) {
                Ok(next) => next,
                Err(NotNow::Full) => {
                    return Err(Refused::LimitReached {
                        what: "deliveries that wait to be made again",
                        most: AGAIN_MAX,
                    }
                    .into());
                }
                Err(other) => {
                    return Err(WorkError::Corrupt { job: key.to_string(), detail: other.to_string() }.into());
                }
            };
            match self.ports.deliveries.save_delivery(key, &next).await? {
                Saved::Done => return Ok(()),
                Saved::Conflict(now) => delivery = now,
                Saved::Missing => return Err(gone().into()),
            }
        }
        Err(WorkError::Contended { job: key.to_string() }.into())
    }

    /// What came of a try that began then and has just ended.
    pub(crate) fn attempt(&self, message: &Message, began_ms: u64, answer: &Result<Posted, OutboundError>) -> Attempt {
        let error = match answer {
            Ok(Posted { status: 200..=299, .. }) => None,
            Ok(Posted { status: 300..=399, .. }) => Some("it redirects, which isn't followed".to_owned()),
            Ok(Posted { status, .. }) => Some(format!("it answered with {status}")),
            Err(error) => Some(error.to_string()),
        };
        Attempt {
            v: 1,
            id: self.ports.env.ulid(),
            message: message.id.clone(),
            job: None,
            seq: 0,
            event_type: message.event_type.to_owned(),
            attempt: 1,
            status: answer.as_ref().ok().map(|posted| posted.status),
            error,
            gave_up: false,
            took_ms: self.ports.env.now_ms().saturating_sub(began_ms),
            at_ms: began_ms,
            expires_s: began_ms / 1_000 + ATTEMPTS_KEPT_S,
        }
    }

    /// Notes a try. The log is for people: what can't be noted holds nothing up.
    pub(crate) async fn log_attempt(&self, tenant: &TenantId, webhook: &WebhookId, attempt: &Attempt) {
        let Attempt { event_type, attempt: number, status, error, took_ms, .. } = attempt;
        tracing::info!(%webhook, event_type, attempt = number, status, error, took_ms, "told a webhook");
        if let Err(error) = self.ports.deliveries.log_attempt(tenant, webhook, attempt).await {
            tracing::warn!(%webhook, error = &error as &dyn std::error::Error, "a try can't be noted");
        }
    }
}

/// A try as callers see it.
pub(super) fn view(attempt: Attempt) -> DeliveryView {
    DeliveryView {
        id: attempt.id,
        message_id: attempt.message,
        seq: attempt.job.is_some().then_some(attempt.seq),
        job: attempt.job,
        event_type: attempt.event_type,
        attempt: attempt.attempt,
        delivered: attempt.error.is_none(),
        status: attempt.status,
        error: attempt.error,
        gave_up: attempt.gave_up,
        took_ms: attempt.took_ms,
        at: Time(attempt.at_ms),
    }
}
