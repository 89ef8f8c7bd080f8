//! `Sweeps`: what is due, of all tenants.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use convoke_app::ports::{PortError, Sweeps};
use convoke_domain::ids::{JobKey, TargetId};

use super::DynamoTable;
use super::expression::Placeholders;
use super::item::{Fields, Item, number, text};
use super::schema::{self, GPK2, GSI2, GSK2, PK, SK};

const DUE: &str = "the table (reading what is due)";

#[async_trait]
impl Sweeps for DynamoTable {
    async fn due(&self, shard: u8, now_ms: u64, limit: u32) -> Result<Vec<JobKey>, PortError> {
        let query = self.due_query(schema::due_pk(shard), now_ms);
        Ok(self.pages(DUE, query, limit as usize).await?.iter().filter_map(|row| readable(job_of(row))).collect())
    }

    async fn due_deliveries(&self, shard: u8, now_ms: u64, limit: u32) -> Result<Vec<(JobKey, TargetId)>, PortError> {
        let query = self.due_query(schema::delivery_due_pk(shard), now_ms);
        let rows = self.pages(DUE, query, limit as usize).await?;
        Ok(rows.iter().filter_map(|row| readable(delivery_of(row))).collect())
    }
}

impl DynamoTable {
    /// A query for what is due in a partition of the index, in order of time.
    pub(crate) fn due_query(&self, partition: String, now_ms: u64) -> QueryFluentBuilder {
        let mut some = Placeholders::default();
        let condition = format!(
            "{}={} AND {}<={}",
            some.name(GPK2),
            some.value(text(partition)),
            some.name(GSK2),
            some.value(number(now_ms)),
        );
        let (names, values) = some.finish();
        self.client
            .query()
            .table_name(&self.table)
            .index_name(GSI2)
            .key_condition_expression(condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
    }
}

/// What a row names; nothing where it can't be read, so that it keeps no other waiting.
fn readable<T>(named: Result<T, PortError>) -> Option<T> {
    let note = |error: &PortError| tracing::error!(error = error as &dyn std::error::Error, "a row is passed over");
    named.inspect_err(note).ok()
}

fn delivery_of(item: &Item) -> Result<(JobKey, TargetId), PortError> {
    Ok((job_of(item)?, target_of(item)?))
}

fn job_of(item: &Item) -> Result<JobKey, PortError> {
    let fields = Fields::of_index(item);
    schema::job_of_pk(fields.text(PK)?).ok_or_else(|| fields.corrupt(PK, "no job's partition"))
}

fn target_of(item: &Item) -> Result<TargetId, PortError> {
    let fields = Fields::of_index(item);
    schema::target_of_sk(fields.text(SK)?).ok_or_else(|| fields.corrupt(SK, "no delivery's key"))
}
