//! The table's webhooks and deliveries.

use std::collections::BTreeMap;

use async_trait::async_trait;
use convoke_app::ports::{Attempt, Deliveries, PortError, Saved, Webhook, Webhooks};
use convoke_domain::delivery::Delivery;
use convoke_domain::ids::{JobKey, TargetId, TenantId, WebhookId};

use super::table::FakeTable;

/// Webhooks, deliveries and tries.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    webhooks: BTreeMap<(TenantId, WebhookId), Webhook>,
    deliveries: BTreeMap<(JobKey, TargetId), Delivery>,
    attempts: BTreeMap<(TenantId, WebhookId, String), Attempt>,
}

/// Stores the next version of something.
pub(super) fn save<T: Clone>(stored: Option<&T>, next: &T, version: impl Fn(&T) -> (u64, &str)) -> Saved<T> {
    let (ver, mark) = version(next);
    match stored {
        Some(stored) if version(stored).1 == mark => Saved::Done,
        Some(stored) if version(stored).0 + 1 == ver => Saved::Done,
        Some(stored) => Saved::Conflict(stored.clone()),
        None if ver == 1 => Saved::Done,
        None => Saved::Missing,
    }
}

impl Hooks {
    pub(super) fn submitted(&mut self, key: &JobKey, deliveries: &[Delivery]) {
        for delivery in deliveries {
            self.deliveries.insert((key.clone(), delivery.target.clone()), delivery.clone());
        }
    }

    /// Whether there is no delivery at all.
    pub(super) fn is_quiet(&self) -> bool {
        self.deliveries.is_empty()
    }

    pub(super) fn due(&self, shard: u8, now_ms: u64, limit: usize) -> Vec<(JobKey, TargetId)> {
        let due = |(place, delivery): (&(JobKey, TargetId), &Delivery)| {
            let due_ms = delivery.due_ms.filter(|due_ms| *due_ms <= now_ms)?;
            let own: u8 = place.0.job.as_str().bytes().fold(0, u8::wrapping_add) % 4;
            (own == shard).then(|| (due_ms, place.clone()))
        };
        let mut places: Vec<_> = self.deliveries.iter().filter_map(due).collect();
        places.sort();
        places.into_iter().take(limit).map(|(_, place)| place).collect()
    }

    fn save_webhook(&mut self, tenant: &TenantId, webhook: &Webhook) -> Saved<Webhook> {
        let place = (tenant.clone(), webhook.id.clone());
        let saved = save(self.webhooks.get(&place), webhook, |webhook| (webhook.ver, &webhook.mark));
        if saved == Saved::Done && self.webhooks.get(&place).is_none_or(|stored| stored.mark != webhook.mark) {
            self.webhooks.insert(place, webhook.clone());
        }
        saved
    }

    fn save_delivery(&mut self, key: &JobKey, delivery: &Delivery) -> Saved<Delivery> {
        let place = (key.clone(), delivery.target.clone());
        let saved = save(self.deliveries.get(&place), delivery, |delivery| (delivery.ver, &delivery.mark));
        if saved == Saved::Done && self.deliveries.get(&place).is_none_or(|stored| stored.mark != delivery.mark) {
            self.deliveries.insert(place, delivery.clone());
        }
        saved
    }
}

#[async_trait]
impl Webhooks for FakeTable {
    async fn save_webhook(&self, tenant: &TenantId, webhook: &Webhook) -> Result<Saved<Webhook>, PortError> {
        self.hooks("save_webhook", |hooks| hooks.save_webhook(tenant, webhook)).await
    }

    async fn webhook(&self, tenant: &TenantId, id: &WebhookId) -> Result<Option<Webhook>, PortError> {
        self.hooks("webhook", |hooks| hooks.webhooks.get(&(tenant.clone(), id.clone())).cloned()).await
    }

    async fn webhooks(&self, tenant: &TenantId) -> Result<Vec<Webhook>, PortError> {
        self.hooks("webhooks", |hooks| {
            let own = hooks.webhooks.iter().filter(|((of, _), _)| of == tenant);
            own.map(|(_, webhook)| webhook.clone()).collect()
        })
        .await
    }

    async fn delete_webhook(&self, tenant: &TenantId, id: &WebhookId) -> Result<bool, PortError> {
        self.hooks("delete_webhook", |hooks| hooks.webhooks.remove(&(tenant.clone(), id.clone())).is_some()).await
    }
}

#[async_trait]
impl Deliveries for FakeTable {
    async fn delivery(&self, key: &JobKey, target: &TargetId) -> Result<Option<Delivery>, PortError> {
        self.hooks("delivery", |hooks| hooks.deliveries.get(&(key.clone(), target.clone())).cloned()).await
    }

    async fn save_delivery(&self, key: &JobKey, delivery: &Delivery) -> Result<Saved<Delivery>, PortError> {
        self.hooks("save_delivery", |hooks| hooks.save_delivery(key, delivery)).await
    }

    async fn log_attempt(&self, tenant: &TenantId, webhook: &WebhookId, attempt: &Attempt) -> Result<(), PortError> {
        let place = (tenant.clone(), webhook.clone(), attempt.id.clone());
        self.hooks("log_attempt", |hooks| drop(hooks.attempts.insert(place, attempt.clone()))).await
    }

    async fn attempts(
        &self,
        tenant: &TenantId,
        webhook: &WebhookId,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Attempt>, PortError> {
        self.hooks("attempts", |hooks| {
            let own = hooks.attempts.iter().rev().filter(|((of, at, id), _)| {
                of == tenant && at == webhook && before.is_none_or(|before| id.as_str() < before)
            });
            own.take(limit as usize).map(|(_, attempt)| attempt.clone()).collect()
        })
        .await
    }

    async fn attempt(&self, tenant: &TenantId, webhook: &WebhookId, id: &str) -> Result<Option<Attempt>, PortError> {
        let place = (tenant.clone(), webhook.clone(), id.to_owned());
        self.hooks("attempt", |hooks| hooks.attempts.get(&place).cloned()).await
    }
}
