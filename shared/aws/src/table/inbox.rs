//! `Inbox`: buttons, updates, counts.

use async_trait::async_trait;
use convoke_app::ports::{Button, Claimed, Inbox, PortError, UpdateId};
use convoke_domain::ids::TenantId;

use super::DynamoTable;
use super::expression::Placeholders;
use super::item::{self, Fields, Item, Put, document, number, text};
use super::schema::attr::LAST;
use super::schema::{ALONE, PK, TTL_ATTRIBUTE, button_pk, count_sk, tenant_pk, update_pk};
use super::versioned::Over;
use crate::error::port_error;

const BUTTON: &str = "the table (reading a button)";
const PUT_BUTTON: &str = "the table (putting a button)";
const CLAIM: &str = "the table (claiming an update)";
const END: &str = "the table (ending an update)";
const TALLY: &str = "the table (counting)";

/// In an update: Unix milliseconds until which whoever claimed it has it.
const UNTIL: &str = "until_ms";
/// In an update: there once it is done.
const DONE: &str = "done";
/// How long an update is known, in seconds.
const KEPT_S: u64 = 2 * 86_400;

#[async_trait]
impl Inbox for DynamoTable {
    async fn put_button(&self, hash: &str, button: &Button) -> Result<(), PortError> {
        let mut item = document(button_pk(hash), ALONE.to_owned(), button)?;
        item.put(TTL_ATTRIBUTE, number(button.expires_s));
        self.put_once(PUT_BUTTON, item).await.map(drop)
    }

    async fn button(&self, hash: &str) -> Result<Option<Button>, PortError> {
        let item = self.get(BUTTON, item::key(button_pk(hash), ALONE)).await?;
        item.map(|item| Fields::of(&item)?.content()).transpose()
    }

    async fn claim_update(
        &self,
        update: &UpdateId,
        nonce: &str,
        (now_ms, lease_until_ms): (u64, u64),
    ) -> Result<Claimed, PortError> {
        let mut some = Placeholders::default();
        let condition = format!(
            "attribute_not_exists({}) OR (attribute_not_exists({}) AND {}<={})",
            some.name(PK),
            some.name(DONE),
            some.name(UNTIL),
            some.value(number(now_ms)),
        );
        let mut item = update_item(update, now_ms);
        item.put(LAST, text(nonce));
        item.put(UNTIL, number(lease_until_ms));
        match self.put_where(CLAIM, item, condition, some).await? {
            Over::Stored => Ok(Claimed::Mine),
            Over::Found(Some(found)) if found.contains_key(DONE) => Ok(Claimed::Done),
            Over::Found(Some(found)) if Fields::of(&found)?.text(LAST)? == nonce => Ok(Claimed::Mine),
            Over::Found(_) => Ok(Claimed::Taken),
        }
    }

    async fn end_update(&self, update: &UpdateId, now_ms: u64) -> Result<(), PortError> {
        let mut item = update_item(update, now_ms);
        item.put(DONE, number(1));
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map(drop).map_err(|error| port_error(END, error))
    }

    async fn count(&self, tenant: &TenantId, what: &str, expires_s: u64) -> Result<u64, PortError> {
        self.count_one(TALLY, item::key(tenant_pk(tenant), count_sk(what)), expires_s).await
    }
}

fn update_item(update: &UpdateId, now_ms: u64) -> Item {
    let mut item = item::item(update_pk(update), ALONE);
    item.put(TTL_ATTRIBUTE, number(now_ms / 1_000 + KEPT_S));
    item
}
