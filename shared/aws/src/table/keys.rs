//! `Keys`: API keys by hash, and by tenant; the list of tenants.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use convoke_app::ports::{KeyRecord, Keys, PortError};
use convoke_domain::ids::TenantId;

use super::DynamoTable;
use super::expression::Placeholders;
use super::item::{self, Fields, Item, Put, document, number, text};
use super::schema::{ALONE, PK, SK, TENANTS, TTL_ATTRIBUTE, key_pk, key_sk, tenant_of_pk, tenant_pk};
use crate::error::{port_error, refused};

const KEY: &str = "the table (reading a key)";
const PUT: &str = "the table (putting a key)";
const KEYS: &str = "the table (listing keys)";
const DELETE: &str = "the table (deleting a key)";
const NOTE: &str = "the table (noting a tenant)";
const TENANTS_LIST: &str = "the table (listing tenants)";

/// In a key's item: its tenant, for the condition that a hash never changes hands.
const TENANT: &str = "tenant";

/// A hash that is another tenant's already.
#[derive(Debug, thiserror::Error)]
#[error("the key belongs to another tenant")]
struct ForeignKey;

#[async_trait]
impl Keys for DynamoTable {
    async fn key(&self, hash: &str) -> Result<Option<KeyRecord>, PortError> {
        let item = self.get(KEY, item::key(key_pk(hash), ALONE)).await?;
        item.map(|item| Fields::of(&item)?.content()).transpose()
    }

    async fn put_key(&self, hash: &str, record: &KeyRecord) -> Result<(), PortError> {
        let tenant = record.tenant.as_str();
        let mut by_hash = document(key_pk(hash), ALONE.to_owned(), record)?;
        by_hash.put(TENANT, text(tenant));
        let mut by_tenant = document(tenant_pk(&record.tenant), key_sk(hash), record)?;
        by_tenant.put(TENANT, text(tenant));
        if let Some(expires_s) = record.expires_s {
            by_hash.put(TTL_ATTRIBUTE, number(expires_s));
            by_tenant.put(TTL_ATTRIBUTE, number(expires_s));
        }
        let writes = vec![self.put_own(by_hash, tenant)?, self.put_own(by_tenant, tenant)?];
        let is_foreign = self.transact(PUT, writes).await?.contains(&true);
        if is_foreign { Err(refused(PUT, ForeignKey)) } else { Ok(()) }
    }

    async fn keys(&self, tenant: &TenantId) -> Result<Vec<(String, KeyRecord)>, PortError> {
        let query = self.query(&tenant_pk(tenant), &key_sk(""), &key_sk("~"));
        let items = self.pages(KEYS, query, usize::MAX).await?;
        items.iter().map(hash_and_record).collect()
    }

    async fn delete_key(&self, tenant: &TenantId, hash: &str) -> Result<bool, PortError> {
        let by_tenant = self.delete_existing(item::key(tenant_pk(tenant), key_sk(hash)))?;
        let by_hash = self.delete_existing(item::key(key_pk(hash), ALONE))?;
        Ok(!self.transact(DELETE, vec![by_tenant, by_hash]).await?.contains(&true))
    }

    async fn note_tenant(&self, tenant: &TenantId) -> Result<(), PortError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item::item(TENANTS, tenant_pk(tenant))));
        put.send().await.map(drop).map_err(|error| port_error(NOTE, error))
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        let items = self.pages(TENANTS_LIST, self.query(TENANTS, "T#", "T#~"), usize::MAX).await?;
        items.iter().map(tenant_of).collect()
    }
}

fn tenant_of(item: &Item) -> Result<TenantId, PortError> {
    let fields = Fields::of(item)?;
    tenant_of_pk(fields.text(SK)?).ok_or_else(|| fields.corrupt(SK, "no tenant's name"))
}

impl DynamoTable {
    fn put_own(&self, item: Item, tenant: &str) -> Result<TransactWriteItem, PortError> {
        let mut some = Placeholders::default();
        let (pk, name, own) = (some.name(PK), some.name(TENANT), some.value(text(tenant)));
        self.put_if(PUT, item, format!("attribute_not_exists({pk}) OR {name}={own}"), some)
    }

    fn delete_existing(&self, key: Item) -> Result<TransactWriteItem, PortError> {
        let mut some = Placeholders::default();
        let condition = format!("attribute_exists({})", some.name(PK));
        let (names, _) = some.finish();
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key)).condition_expression(condition);
        let delete = delete.set_expression_attribute_names(names).build().map_err(|error| refused(DELETE, error))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

fn hash_and_record(item: &Item) -> Result<(String, KeyRecord), PortError> {
    let fields = Fields::of(item)?;
    let hash = fields.text(SK)?.strip_prefix("K#").ok_or_else(|| fields.corrupt(SK, "no key's hash"))?;
    Ok((hash.to_owned(), fields.content()?))
}
