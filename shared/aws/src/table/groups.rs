//! `Groups`: the mutable items.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use convoke_app::ports::{Applied, Groups, PortError};
use convoke_domain::change::Change;
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey};

use super::DynamoTable;
use super::change::Update;
use super::group::{decode, encode};
use super::item::{self, Item};
use super::requests::PutOnce;
use super::schema;
use crate::error::port_error;

const APPLY: &str = "the table (changing a group)";
const PUT: &str = "the table (putting a group)";
const LOAD: &str = "the table (loading groups)";

#[async_trait]
impl Groups for DynamoTable {
    async fn apply(&self, key: &JobKey, change: &Change) -> Result<Applied, PortError> {
        let Update { condition, settings, placeholders } = Update::of(&key.job, change);
        let (names, values) = placeholders.finish();
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(item::key(schema::job_pk(key), change.group.to_string())))
            .condition_expression(condition)
            .update_expression(settings)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(done) => decode(&done.attributes.unwrap_or_default()).map(Applied::Done),
            Err(error) => refusal(error, &change.mark),
        }
    }

    async fn put_group(&self, key: &JobKey, group: &Group) -> Result<Group, PortError> {
        match self.put_once(PUT, encode(key, group)?).await? {
            PutOnce::Stored => Ok(group.clone()),
            PutOnce::Found(item) => decode(&item),
        }
    }

    async fn load_groups(&self, key: &JobKey, ids: &[GroupId]) -> Result<BTreeMap<GroupId, Group>, PortError> {
        let ids: BTreeSet<_> = ids.iter().collect();
        let keys = ids.into_iter().map(|id| item::key(schema::job_pk(key), id.to_string())).collect();
        let items = self.get_batch(LOAD, keys).await?;
        items.iter().map(|item| decode(item).map(|group| (group.id, group))).collect()
    }
}

/// A failed condition is an answer: there is no such item, the item bears this change's mark, or something else came
/// first.
fn refusal(
    error: SdkError<UpdateItemError, aws_smithy_runtime_api::client::orchestrator::HttpResponse>,
    mark: &str,
) -> Result<Applied, PortError> {
    let found: Option<Item> = match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.clone(),
        _ => return Err(port_error(APPLY, error)),
    };
    let Some(item) = found.filter(|item| !item.is_empty()) else { return Ok(Applied::Missing) };
    let group = decode(&item)?;
    Ok(if group.last == mark { Applied::Done(group) } else { Applied::Conflict(group) })
}
