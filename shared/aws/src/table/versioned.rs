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

impl DynamoTable {
    /// Replaces the version before this one; version 1 replaces nothing. A repeat finds its own mark.
    pub(super) async fn save<T: DeserializeOwned>(
        &self,
        what: &'static str,
        item: Item,
    ) -> Result<Saved<T>, PortError> {
        let own = Fields::of(&item)?;
        let (ver, mark) = (own.number::<u64>(VER)?, own.text(LAST)?.to_owned());
        let mut some = Placeholders::default();
        let condition = if ver == 1 {
            format!("attribute_not_exists({})", some.name(PK))
        } else {
            format!("{}={}", some.name(VER), some.value(number(ver - 1)))
        };
        let (names, values) = some.finish();
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let answer = put
            .condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(Saved::Done) };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(port_error(what, error));
        };
        let Some(found) = failed.item().filter(|item| item.contains_key(SK)) else { return Ok(Saved::Missing) };
        let found = Fields::of(found)?;
        if found.text(LAST)? == mark { Ok(Saved::Done) } else { Ok(Saved::Conflict(found.content()?)) }
    }
}
