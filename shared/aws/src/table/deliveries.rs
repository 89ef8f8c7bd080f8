//! `Deliveries`: state per job and target, and the log of tries per webhook.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::TransactWriteItem;
use convoke_app::ports::{Attempt, Deliveries, PortError, Saved};
use convoke_domain::delivery::Delivery;
use convoke_domain::ids::{JobKey, TargetId, TenantId, WebhookId};

use super::DynamoTable;
use super::expression::Placeholders;
use super::item::{self, Fields, Item, Put, document, number, text};
use super::schema::{
    GPK2, GSK2, PK, TTL_ATTRIBUTE, attempt_sk, attempts_pk, delivery_due_pk, delivery_shard, delivery_sk, job_pk,
};
use super::versioned::Version;
use crate::error::port_error;

const READ: &str = "the table (reading a delivery)";
const SAVE: &str = "the table (storing a delivery)";
const LOG: &str = "the table (noting a try)";
const TRIES: &str = "the table (reading tries)";

#[async_trait]
impl Deliveries for DynamoTable {
    async fn delivery(&self, key: &JobKey, target: &TargetId) -> Result<Option<Delivery>, PortError> {
        let item = self.get(READ, item::key(job_pk(key), delivery_sk(target))).await?;
        item.map(|item| Fields::of(&item)?.content()).transpose()
    }

    async fn save_delivery(&self, key: &JobKey, delivery: &Delivery) -> Result<Saved<Delivery>, PortError> {
        self.save(SAVE, encode(key, delivery)?).await
    }

    async fn log_attempt(&self, tenant: &TenantId, webhook: &WebhookId, attempt: &Attempt) -> Result<(), PortError> {
        let mut item = document(attempts_pk(tenant, webhook), attempt_sk(&attempt.id), attempt)?;
        item.put(TTL_ATTRIBUTE, number(attempt.expires_s));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| port_error(LOG, error))
    }

    async fn attempts(
        &self,
        tenant: &TenantId,
        webhook: &WebhookId,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Attempt>, PortError> {
        let to = attempt_sk(before.unwrap_or("~"));
        let query = self.query(&attempts_pk(tenant, webhook), &attempt_sk(""), &to).scan_index_forward(false);
        // The range includes its end, which the caller has seen.
        let items = self.pages(TRIES, query, limit as usize + usize::from(before.is_some())).await?;
        let attempts = items.iter().map(|item| Fields::of(item)?.content::<Attempt>());
        let attempts: Vec<Attempt> = attempts.collect::<Result<_, _>>()?;
        Ok(attempts.into_iter().filter(|attempt| Some(attempt.id.as_str()) != before).take(limit as usize).collect())
    }

    async fn attempt(&self, tenant: &TenantId, webhook: &WebhookId, id: &str) -> Result<Option<Attempt>, PortError> {
        let item = self.get(TRIES, item::key(attempts_pk(tenant, webhook), attempt_sk(id))).await?;
        item.map(|item| Fields::of(&item)?.content()).transpose()
    }
}

impl DynamoTable {
    /// A delivery of a job that is being submitted.
    pub(super) fn put_delivery(
        &self,
        what: &'static str,
        key: &JobKey,
        delivery: &Delivery,
    ) -> Result<TransactWriteItem, PortError> {
        let mut some = Placeholders::default();
        let absent = format!("attribute_not_exists({})", some.name(PK));
        self.put_if(what, encode(key, delivery)?, absent, some)
    }
}

/// The item; in the index of what is due only as long as it is due some time.
fn encode(key: &JobKey, delivery: &Delivery) -> Result<Item, PortError> {
    let version = Version { content: delivery, ver: delivery.ver, mark: &delivery.mark };
    let mut item = version.item(job_pk(key), delivery_sk(&delivery.target))?;
    if let Some(due_ms) = delivery.due_ms {
        item.put(GPK2, text(delivery_due_pk(delivery_shard(&key.job))));
        item.put(GSK2, number(due_ms));
    }
    Ok(item)
}
