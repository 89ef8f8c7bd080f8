//! `Links`: realms by id and by tenant, and the codes that link them.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use convoke_app::ports::{Link, LinkCode, Linked, Links, PortError};
use convoke_domain::chat::RealmId;
use convoke_domain::ids::TenantId;

use super::DynamoTable;
use super::expression::Placeholders;
use super::item::{self, Fields, Item, Put, document, number, text};
use super::schema::{ALONE, PK, TTL_ATTRIBUTE, link_code_pk, link_pk, link_sk, tenant_pk};
use crate::error::{port_error, refused};

const CODE: &str = "the table (reading a code)";
const PUT_CODE: &str = "the table (putting a code)";
const DROP_CODE: &str = "the table (forgetting a code)";
const LINK: &str = "the table (reading a link)";
const LINKS: &str = "the table (listing links)";
const PUT: &str = "the table (linking)";
const DELETE: &str = "the table (unlinking)";

/// Whose a link or a code is, for the conditions.
const TENANT: &str = "tenant";

#[async_trait]
impl Links for DynamoTable {
    async fn put_link_code(&self, hash: &str, code: &LinkCode) -> Result<(), PortError> {
        let mut item = document(link_code_pk(hash), ALONE.to_owned(), code)?;
        item.put(TENANT, text(code.tenant.as_str()));
        item.put(TTL_ATTRIBUTE, number(code.expires_s));
        self.put_once(PUT_CODE, item).await.map(drop)
    }

    async fn link_code(&self, hash: &str) -> Result<Option<LinkCode>, PortError> {
        let item = self.get(CODE, item::key(link_code_pk(hash), ALONE)).await?;
        item.map(|item| Fields::of(&item)?.content()).transpose()
    }

    async fn use_link_code(&self, link: &Link, now_s: u64) -> Result<Linked, PortError> {
        let mut writes = vec![self.use_up(&link.code, &link.tenant, now_s)?];
        writes.extend(self.put_link(link)?);
        let failed = self.transact(PUT, writes).await?;
        if failed.first() == Some(&true) {
            let found = self.link(&link.realm).await?;
            let own = found.is_some_and(|found| found.tenant == link.tenant && found.code == link.code);
            return Ok(if own { Linked::Done } else { Linked::NoCode });
        }
        Ok(if failed.contains(&true) { Linked::Foreign } else { Linked::Done })
    }

    async fn drop_link_code(&self, hash: &str) -> Result<(), PortError> {
        let key = item::key(link_code_pk(hash), ALONE);
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        delete.send().await.map(drop).map_err(|error| port_error(DROP_CODE, error))
    }

    async fn link(&self, realm: &RealmId) -> Result<Option<Link>, PortError> {
        let item = self.get(LINK, item::key(link_pk(realm), ALONE)).await?;
        item.map(|item| Fields::of(&item)?.content()).transpose()
    }

    async fn links(&self, tenant: &TenantId) -> Result<Vec<Link>, PortError> {
        let query = self.query(&tenant_pk(tenant), &link_sk(""), &link_sk("~"));
        let items = self.pages(LINKS, query, usize::MAX).await?;
        items.iter().map(|item| Fields::of(item)?.content()).collect()
    }

    async fn unlink(&self, tenant: &TenantId, realm: &RealmId) -> Result<bool, PortError> {
        Ok(!self.transact(DELETE, self.delete_link(tenant, realm)?).await?.contains(&true))
    }

    async fn move_link(&self, link: &Link, from: &RealmId) -> Result<bool, PortError> {
        let mut writes = self.delete_link(&link.tenant, from)?;
        writes.extend(self.put_link(link)?);
        if !self.transact(PUT, writes).await?.contains(&true) {
            return Ok(true);
        }
        Ok(self.link(&link.realm).await?.as_ref() == Some(link) && self.link(from).await?.is_none())
    }
}

impl DynamoTable {
    fn put_link(&self, link: &Link) -> Result<[TransactWriteItem; 2], PortError> {
        let tenant = link.tenant.as_str();
        let by_realm = document(link_pk(&link.realm), ALONE.to_owned(), link)?;
        let by_tenant = document(tenant_pk(&link.tenant), link_sk(&link.realm.to_string()), link)?;
        Ok([self.put_of_tenant(by_realm, tenant)?, self.put_of_tenant(by_tenant, tenant)?])
    }

    /// Puts an item that isn't another tenant's.
    fn put_of_tenant(&self, mut item: Item, tenant: &str) -> Result<TransactWriteItem, PortError> {
        item.put(TENANT, text(tenant));
        let mut some = Placeholders::default();
        let (pk, name, own) = (some.name(PK), some.name(TENANT), some.value(text(tenant)));
        self.put_if(PUT, item, format!("attribute_not_exists({pk}) OR {name}={own}"), some)
    }

    fn delete_link(&self, tenant: &TenantId, realm: &RealmId) -> Result<Vec<TransactWriteItem>, PortError> {
        let keys = [item::key(link_pk(realm), ALONE), item::key(tenant_pk(tenant), link_sk(&realm.to_string()))];
        let delete = |key| {
            let mut some = Placeholders::default();
            let condition = format!("{}={}", some.name(TENANT), some.value(text(tenant.as_str())));
            self.delete_if(key, condition, some)
        };
        keys.into_iter().map(delete).collect()
    }

    /// Deletes a tenant's code that hasn't expired.
    fn use_up(&self, hash: &str, tenant: &TenantId, now_s: u64) -> Result<TransactWriteItem, PortError> {
        let mut some = Placeholders::default();
        let condition = format!(
            "{}={} AND {}>={}",
            some.name(TENANT),
            some.value(text(tenant.as_str())),
            some.name(TTL_ATTRIBUTE),
            some.value(number(now_s)),
        );
        self.delete_if(item::key(link_code_pk(hash), ALONE), condition, some)
    }

    fn delete_if(&self, key: Item, condition: String, some: Placeholders) -> Result<TransactWriteItem, PortError> {
        let (names, values) = some.finish();
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(|error| refused(DELETE, error))?).build())
    }
}
