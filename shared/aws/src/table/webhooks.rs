//! `Webhooks`: one item each, beside the tenant's keys.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnValue;
use convoke_app::ports::{PortError, Saved, Webhook, Webhooks};
use convoke_domain::ids::{TenantId, WebhookId};

use super::DynamoTable;
use super::item::{self, Fields};
use super::schema::{tenant_pk, webhook_sk};
use super::versioned::Version;
use crate::error::port_error;

const READ: &str = "the table (reading a webhook)";
const SAVE: &str = "the table (storing a webhook)";
const LIST: &str = "the table (listing webhooks)";
const DELETE: &str = "the table (deleting a webhook)";

#[async_trait]
impl Webhooks for DynamoTable {
    async fn save_webhook(&self, tenant: &TenantId, webhook: &Webhook) -> Result<Saved<Webhook>, PortError> {
        let version = Version { content: webhook, ver: webhook.ver, mark: &webhook.mark };
        self.save(SAVE, version.item(tenant_pk(tenant), webhook_sk(webhook.id.as_str()))?).await
    }

    async fn webhook(&self, tenant: &TenantId, id: &WebhookId) -> Result<Option<Webhook>, PortError> {
        let item = self.get(READ, item::key(tenant_pk(tenant), webhook_sk(id.as_str()))).await?;
        item.map(|item| Fields::of(&item)?.content()).transpose()
    }

    async fn webhooks(&self, tenant: &TenantId) -> Result<Vec<Webhook>, PortError> {
        let query = self.query(&tenant_pk(tenant), &webhook_sk(""), &webhook_sk("~"));
        let items = self.pages(LIST, query, usize::MAX).await?;
        items.iter().map(|item| Fields::of(item)?.content()).collect()
    }

    async fn delete_webhook(&self, tenant: &TenantId, id: &WebhookId) -> Result<bool, PortError> {
        let key = item::key(tenant_pk(tenant), webhook_sk(id.as_str()));
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        let answer = delete.return_values(ReturnValue::AllOld).send().await;
        let answer = answer.map_err(|error| port_error(DELETE, error))?;
        Ok(answer.attributes.is_some_and(|old| !old.is_empty()))
    }
}
