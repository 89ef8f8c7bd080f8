//! Small items that are replaced as a whole, version by version.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use convoke_app::ports::{PortError, Saved};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DynamoTable;
use super::expression::Placeholders;
use super::item::{Fields, Item, Put, document, number, text};
use super::schema::attr::{LAST, VER};
use super::schema::{PK, SK};
use crate::error::port_error;

/// An item as it is to be stored: its content, its version, the mark of the change that made it.
pub(super) struct Version<'a, T> {
    pub content: &'a T,
    pub ver: u64,
    pub mark: &'a str,
}

impl<T: Serialize> Version<'_, T> {
    /// The item.
    pub(super) fn item(&self, pk: String, sk: String) -> Result<Item, PortError> {
        let mut item = document(pk, sk, self.content)?;
        item.put(VER, number(self.ver));
        item.put(LAST, text(self.mark));
        Ok(item)
    }
}

/// What a put over the version before came to.
pub(super) enum Over {
    /// It is stored.
    Stored,
    /// Another version is there, or none.
    Found(Option<Item>),
}

impl DynamoTable {
    /// Replaces the version before this one; version 1 replaces nothing. A repeat finds its own mark.
    pub(super) async fn save<T: DeserializeOwned>(
        &self,
        what: &'static str,
        item: Item,
    ) -> Result<Saved<T>, PortError> {
        let own = Fields::of(&item)?;
        let (ver, mark) = (own.number::<u64>(VER)?, own.text(LAST)?.to_owned());
        let Over::Found(found) = self.put_over(what, item, ver).await? else { return Ok(Saved::Done) };
        let Some(found) = found else { return Ok(Saved::Missing) };
        let found = Fields::of(&found)?;
        if found.text(LAST)? == mark { Ok(Saved::Done) } else { Ok(Saved::Conflict(found.content()?)) }
    }

    /// Puts an item that says it is version `ver` over the version before; version 1 over none.
    pub(super) async fn put_over(&self, what: &'static str, item: Item, ver: u64) -> Result<Over, PortError> {
        let mut some = Placeholders::default();
        let condition = if ver == 1 {
            format!("attribute_not_exists({})", some.name(PK))
        } else {
            format!("{}={}", some.name(VER), some.value(number(ver.saturating_sub(1))))
        };
        self.put_where(what, item, condition, some).await
    }

    /// Puts an item on a condition.
    pub(super) async fn put_where(
        &self,
        what: &'static str,
        item: Item,
        condition: String,
        placeholders: Placeholders,
    ) -> Result<Over, PortError> {
        let (names, values) = placeholders.finish();
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let answer = put
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(Over::Stored) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Over::Found(failed.item().filter(|item| item.contains_key(SK)).cloned()))
            }
            _ => Err(port_error(what, error)),
        }
    }
}
