//! Requests that several ports make, with the tries that belong to the service's protocol.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, Put, PutRequest, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, WriteRequest,
};
use convoke_app::ports::PortError;

use super::DynamoTable;
use super::expression::Placeholders;
use super::item::{Fields, Item, VERSION, number, text};
use super::schema::{PK, SK, TTL_ATTRIBUTE, V};
use crate::error::{passes, port_error, refused, unavailable};

/// How often a request is made at most where trying again is part of its protocol.
const TRIES: u32 = 8;

/// Most keys of a `BatchGetItem`.
const GET_BATCH: usize = 100;

/// Most items of a `BatchWriteItem`.
const WRITE_BATCH: usize = 25;

/// In an item that counts: how many.
const COUNT: &str = "n";

/// What a `PutItem` on the condition that there is none came to.
#[derive(Debug)]
pub(crate) enum PutOnce {
    /// It is stored.
    Stored,
    /// Another was there first.
    Found(Item),
}

/// Work of a batch that the service kept putting off.
#[derive(Debug, thiserror::Error)]
#[error("{left} of a batch were left undone after {TRIES} tries")]
struct Undone {
    left: usize,
}

/// A condition that failed on an item that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the item is there and not there: its deletion has crossed this call {TRIES} times")]
struct Crossed;

impl DynamoTable {
    /// Puts an item if there is none of its key.
    pub(crate) async fn put_once(&self, what: &'static str, item: Item) -> Result<PutOnce, PortError> {
        for attempt in 0..TRIES {
            let mut some = Placeholders::default();
            let condition = format!("attribute_not_exists({})", some.name(PK));
            let (names, _) = some.finish();
            let put = self.client.put_item().table_name(&self.table).set_item(Some(item.clone()));
            let answer = put
                .condition_expression(condition)
                .set_expression_attribute_names(names)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            let Err(error) = answer else { return Ok(PutOnce::Stored) };
            let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
                return Err(port_error(what, error));
            };
            if let Some(found) = failed.item().filter(|item| !item.is_empty()) {
                return Ok(PutOnce::Found(found.clone()));
            }
            self.jitter.pause(attempt).await;
        }
        Err(unavailable(what, Crossed))
    }

    /// An item, strongly read.
    pub(crate) async fn get(&self, what: &'static str, key: Item) -> Result<Option<Item>, PortError> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        Ok(get.send().await.map_err(|error| port_error(what, error))?.item)
    }

    /// Items, strongly read; what doesn't exist is missing. No key twice.
    pub(crate) async fn get_batch(&self, what: &'static str, keys: Vec<Item>) -> Result<Vec<Item>, PortError> {
        let mut items = Vec::with_capacity(keys.len());
        for batch in keys.chunks(GET_BATCH) {
            let mut left = batch.to_vec();
            let mut tries = 0;
            while !left.is_empty() {
                self.before_try(what, tries, left.len()).await?;
                (items, left) = self.get_once(what, items, left).await?;
                tries += 1;
            }
        }
        Ok(items)
    }

    /// Waits before every further try of a batch; gives it up after the last.
    async fn before_try(&self, what: &'static str, tries: u32, left: usize) -> Result<(), PortError> {
        match tries {
            0 => {}
            TRIES.. => return Err(unavailable(what, Undone { left })),
            _ => self.jitter.pause(tries - 1).await,
        }
        Ok(())
    }

    async fn get_once(
        &self,
        what: &'static str,
        mut items: Vec<Item>,
        keys: Vec<Item>,
    ) -> Result<(Vec<Item>, Vec<Item>), PortError> {
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let wanted = wanted.map_err(|error| refused(what, error))?;
        let get = self.client.batch_get_item().request_items(&self.table, wanted);
        let answer = get.send().await.map_err(|error| port_error(what, error))?;
        items.extend(answer.responses.unwrap_or_default().into_values().flatten());
        let left = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|left| left.keys).collect();
        Ok((items, left))
    }

    /// Puts items, replacing what is there; not one transaction: after an error some are put.
    pub(crate) async fn put_batch(&self, what: &'static str, items: Vec<Item>) -> Result<(), PortError> {
        let writes: Result<Vec<_>, _> = items.into_iter().map(write).collect();
        self.write_batch(what, writes.map_err(|error| refused(what, error))?).await
    }

    /// Deletes items, whether they are there or not; not one transaction: after an error some are deleted. No key twice.
    pub(crate) async fn delete_batch(&self, what: &'static str, keys: Vec<Item>) -> Result<(), PortError> {
        let writes: Result<Vec<_>, _> = keys.into_iter().map(delete).collect();
        self.write_batch(what, writes.map_err(|error| refused(what, error))?).await
    }

    async fn write_batch(&self, what: &'static str, writes: Vec<WriteRequest>) -> Result<(), PortError> {
        for batch in writes.chunks(WRITE_BATCH) {
            let mut left = batch.to_vec();
            let mut tries = 0;
            while !left.is_empty() {
                self.before_try(what, tries, left.len()).await?;
                left = self.write_once(what, left).await?;
                tries += 1;
            }
        }
        Ok(())
    }

    async fn write_once(&self, what: &'static str, writes: Vec<WriteRequest>) -> Result<Vec<WriteRequest>, PortError> {
        let write = self.client.batch_write_item().request_items(&self.table, writes);
        let answer = write.send().await.map_err(|error| port_error(what, error))?;
        Ok(answer.unprocessed_items.unwrap_or_default().into_values().flatten().collect())
    }

    /// Writes all or nothing, trying again where it met another transaction. For each write whether its condition
    /// failed; nothing was written where one did, all where the list is empty.
    ///
    /// Repeats are recognised by the conditions. The SDK's own client token covers its own tries; one of ours would not
    /// do more, and be refused where a repeat is written in another order.
    pub(crate) async fn transact(
        &self,
        what: &'static str,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Vec<bool>, PortError> {
        let mut attempt = 0;
        loop {
            let write = self.client.transact_write_items().set_transact_items(Some(writes.clone()));
            let Err(error) = write.send().await else { return Ok(Vec::new()) };
            match Cancelled::of(&error) {
                Some(Cancelled::Conditions(failed)) => return Ok(failed),
                Some(Cancelled::Met) if attempt + 1 < TRIES => self.jitter.pause(attempt).await,
                Some(Cancelled::Met) => return Err(unavailable(what, error.into_service_error())),
                None => return Err(port_error(what, error)),
            }
            attempt += 1;
        }
    }

    /// A write of a transaction: puts an item on a condition.
    pub(crate) fn put_if(
        &self,
        what: &'static str,
        item: Item,
        condition: String,
        placeholders: Placeholders,
    ) -> Result<TransactWriteItem, PortError> {
        let (names, values) = placeholders.finish();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values);
        Ok(TransactWriteItem::builder().put(put.build().map_err(|error| refused(what, error))?).build())
    }

    /// Adds one to an item's count, in one request; answers the new count. Forgotten after `expires_s`.
    pub(crate) async fn count_one(&self, what: &'static str, key: Item, expires_s: u64) -> Result<u64, PortError> {
        let mut some = Placeholders::default();
        let update = format!(
            "ADD {} {} SET {}={}, {}={}",
            some.name(COUNT),
            some.value(number(1)),
            some.name(TTL_ATTRIBUTE),
            some.value(number(expires_s)),
            some.name(V),
            some.value(number(VERSION)),
        );
        let (names, values) = some.finish();
        let update = self.client.update_item().table_name(&self.table).set_key(Some(key)).update_expression(update);
        let answer = update
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        let item = answer.map_err(|error| port_error(what, error))?.attributes.unwrap_or_default();
        Fields::of(&item)?.number(COUNT)
    }

    /// A query on a partition of the table, strongly read, in order.
    pub(crate) fn query(&self, pk: &str, from: &str, to: &str) -> QueryFluentBuilder {
        let mut some = Placeholders::default();
        let condition = format!(
            "{}={} AND {} BETWEEN {} AND {}",
            some.name(PK),
            some.value(text(pk)),
            some.name(SK),
            some.value(text(from)),
            some.value(text(to)),
        );
        let (names, values) = some.finish();
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
    }

    /// The first `limit` items that a query finds, page by page.
    pub(crate) async fn pages(
        &self,
        what: &'static str,
        query: QueryFluentBuilder,
        limit: usize,
    ) -> Result<Vec<Item>, PortError> {
        let mut items = Vec::new();
        let mut start: Option<HashMap<String, AttributeValue>> = None;
        while items.len() < limit {
            let left = i32::try_from(limit - items.len()).unwrap_or(i32::MAX);
            let page = query.clone().limit(left).set_exclusive_start_key(start.take());
            let page = page.send().await.map_err(|error| port_error(what, error))?;
            items.extend(page.items.unwrap_or_default());
            match page.last_evaluated_key {
                Some(key) if !key.is_empty() => start = Some(key),
                _ => break,
            }
        }
        Ok(items)
    }
}

fn write(item: Item) -> Result<WriteRequest, aws_sdk_dynamodb::error::BuildError> {
    let put = PutRequest::builder().set_item(Some(item)).build()?;
    Ok(WriteRequest::builder().put_request(put).build())
}

fn delete(key: Item) -> Result<WriteRequest, aws_sdk_dynamodb::error::BuildError> {
    let delete = DeleteRequest::builder().set_key(Some(key)).build()?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

/// Why a transaction wasn't written.
#[derive(Debug, PartialEq, Eq)]
enum Cancelled {
    /// For each write whether its condition failed; at least one did.
    Conditions(Vec<bool>),
    /// It met another transaction, or was throttled.
    Met,
}

impl Cancelled {
    /// `None` where the error is another.
    fn of<R>(error: &SdkError<TransactWriteItemsError, R>) -> Option<Self> {
        match error.as_service_error()? {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                let codes: Vec<&str> =
                    cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
                Self::of_codes(&codes)
            }
            TransactWriteItemsError::TransactionInProgressException(_) => Some(Self::Met),
            _ => None,
        }
    }

    fn of_codes(codes: &[&str]) -> Option<Self> {
        let failed: Vec<bool> = codes.iter().map(|code| *code == "ConditionalCheckFailed").collect();
        if failed.contains(&true) {
            return Some(Self::Conditions(failed));
        }
        codes.iter().any(|code| passes(code)).then_some(Self::Met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_a_cancelled_transaction_are_told_apart() {
        let failed = Cancelled::of_codes(&["None", "ConditionalCheckFailed", "TransactionConflict"]);
        assert_eq!(failed, Some(Cancelled::Conditions(vec![false, true, false])));
        for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
            assert_eq!(Cancelled::of_codes(&["None", code]), Some(Cancelled::Met), "{code}");
        }
        assert_eq!(Cancelled::of_codes(&["ValidationError", "None"]), None);
    }
}
