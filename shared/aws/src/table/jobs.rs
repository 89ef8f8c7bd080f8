//! `Jobs`: submission, one job, lists.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::TransactWriteItem;
use convoke_app::ports::{Idempotency, JobFilter, JobHead, JobPage, JobRow, Jobs, PortError, Submission, Submitted};
use convoke_domain::group::Group;
use convoke_domain::ids::{JobId, JobKey, TenantId};

use super::DynamoTable;
use super::expression::Placeholders;
use super::group::{cost, decode, decode_head, encode, encode_head};
use super::item::{self, Fields, Item, Put, document, number, text};
use super::schema::{self, DEFINITION, GPK1, GSI1, GSK1, PK, TTL_ATTRIBUTE, attr, job_pk, tenant_pk};
use crate::error::{port_error, unavailable};

const SUBMIT: &str = "the table (submitting a job)";
const JOB: &str = "the table (reading a job)";
const LIST: &str = "the table (listing jobs)";

/// In an idempotency item: the job's id.
const FIRST_JOB: &str = "job";
/// In an idempotency item: the body's hash.
const FIRST_BODY: &str = "body";

/// How often a submission is tried whose idempotency item is forgotten between its condition and its reading.
const TRIES: u32 = 3;

/// Pages that a list looks through for rows that pass its filter, before it answers with what it has.
const PAGES: usize = 5;

/// Rows of such a page.
const FILTERED_PAGE: u32 = 100;

/// An id is drawn a moment before its job is submitted, perhaps by another clock.
const ID_LEAD_MS: u64 = 60_000;

/// A condition that failed on what can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the idempotency key was forgotten and used again {TRIES} times in between")]
struct Forgotten;

#[async_trait]
impl Jobs for DynamoTable {
    async fn submit(&self, submission: &Submission) -> Result<Submitted, PortError> {
        for attempt in 0..TRIES {
            let failed = self.transact(SUBMIT, self.writes(submission)?).await?;
            // Writes are J, D, perhaps I, and deliveries, which stand and fall with J. Where J is there already, this
            // submission was applied before.
            let (Some(idempotency), Some(true)) = (&submission.idempotency, failed.get(2)) else {
                return Ok(Submitted::Created);
            };
            if let Some((job, body_hash)) = self.earlier(&submission.key.tenant, &idempotency.key_hash).await? {
                let own = job == submission.key.job;
                return Ok(if own { Submitted::Created } else { Submitted::Earlier { job, body_hash } });
            }
            self.jitter.pause(attempt).await;
        }
        Err(unavailable(SUBMIT, Forgotten))
    }

    async fn submitted(&self, tenant: &TenantId, key_hash: &str) -> Result<Option<JobId>, PortError> {
        Ok(self.earlier(tenant, key_hash).await?.map(|(job, _)| job))
    }

    async fn job(&self, key: &JobKey) -> Result<Option<(JobHead, Group)>, PortError> {
        match self.get(JOB, item::key(job_pk(key), root_sk())).await? {
            Some(item) => Ok(Some((decode_head(&item)?, decode(&item)?))),
            None => Ok(None),
        }
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        cursor: Option<&JobId>,
        limit: u32,
    ) -> Result<JobPage, PortError> {
        let wanted = limit.max(1) as usize;
        let query = self.list_query(tenant, filter);
        // One more than wanted tells whether there are more.
        let page_size = if *filter == JobFilter::default() { limit.max(1) + 1 } else { FILTERED_PAGE.max(limit + 1) };
        if filter.created_after_ms.zip(cursor).is_some_and(|(after_ms, job)| job.as_str() < first_id(after_ms).as_str())
        {
            return Ok(JobPage::default());
        }
        let mut rows: Vec<JobRow> = Vec::new();
        let mut start = cursor.map(|job| list_start(tenant, job));
        for _ in 0..PAGES {
            let page = query.clone().limit(i32::try_from(page_size).unwrap_or(i32::MAX));
            let page = page.set_exclusive_start_key(start.take()).send().await;
            let page = page.map_err(|error| port_error(LIST, error))?;
            for item in page.items() {
                rows.push(row(item)?);
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || rows.len() > wanted {
                break;
            }
        }
        page_of(rows, wanted, start.as_ref())
    }
}

impl DynamoTable {
    /// The job and the body that a caller's key stands for.
    async fn earlier(&self, tenant: &TenantId, hash: &str) -> Result<Option<(JobId, String)>, PortError> {
        let key = item::key(tenant_pk(tenant), schema::idempotency_sk(hash));
        let Some(item) = self.get(SUBMIT, key).await? else { return Ok(None) };
        let fields = Fields::of(&item)?;
        Ok(Some((fields.parsed(FIRST_JOB)?, fields.text(FIRST_BODY)?.to_owned())))
    }

    fn writes(&self, submission: &Submission) -> Result<Vec<TransactWriteItem>, PortError> {
        let Submission { key, head, definition, root, idempotency, deliveries } = submission;
        let mut job = encode(key, root)?;
        encode_head(&mut job, key, head);
        let definition = document(job_pk(key), DEFINITION.to_owned(), definition)?;
        let mut writes = vec![self.put_absent(job, None)?, self.put_absent(definition, None)?];
        if let Some(idempotency) = idempotency {
            let created_ms = root.root().map_or(root.at_ms, |root| root.created_ms);
            writes.push(self.put_absent(idempotency_item(key, idempotency), Some(created_ms / 1_000))?);
        }
        for delivery in deliveries {
            writes.push(self.put_delivery(SUBMIT, key, delivery)?);
        }
        Ok(writes)
    }

    /// Puts an item where there is none, or none that hasn't expired (the table forgets expired items late).
    fn put_absent(&self, item: Item, now_s: Option<u64>) -> Result<TransactWriteItem, PortError> {
        let mut some = Placeholders::default();
        let mut condition = format!("attribute_not_exists({})", some.name(PK));
        if let Some(now_s) = now_s {
            condition = format!("{condition} OR {}<{}", some.name(TTL_ATTRIBUTE), some.value(number(now_s)));
        }
        self.put_if(SUBMIT, item, condition, some)
    }

    fn list_query(&self, tenant: &TenantId, filter: &JobFilter) -> QueryFluentBuilder {
        let mut some = Placeholders::default();
        let mut keys = format!("{}={}", some.name(GPK1), some.value(text(tenant_pk(tenant))));
        let mut filters = Vec::new();
        if let Some(status) = filter.status {
            filters.push(format!("{}={}", some.name(attr::STATUS), some.value(text(status.as_str()))));
        }
        if let Some(flow) = &filter.flow {
            filters.push(format!("{}={}", some.name(attr::FLOW), some.value(text(flow))));
        }
        if let Some(after_ms) = filter.created_after_ms {
            keys = format!("{keys} AND {}>={}", some.name(GSK1), some.value(text(first_id(after_ms))));
            filters.push(format!("{}>={}", some.name(attr::CREATED), some.value(number(after_ms))));
        }
        let (names, values) = some.finish();
        self.client
            .query()
            .table_name(&self.table)
            .index_name(GSI1)
            .scan_index_forward(false)
            .key_condition_expression(keys)
            .set_filter_expression((!filters.is_empty()).then(|| filters.join(" AND ")))
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
    }
}

/// Sort key of the job's own item.
fn root_sk() -> String {
    convoke_domain::ids::GroupId::Root.to_string()
}

fn idempotency_item(key: &JobKey, idempotency: &Idempotency) -> Item {
    let mut item = item::item(tenant_pk(&key.tenant), schema::idempotency_sk(&idempotency.key_hash));
    item.put(FIRST_JOB, text(key.job.as_str()));
    item.put(FIRST_BODY, text(&idempotency.body_hash));
    item.put(TTL_ATTRIBUTE, number(idempotency.expires_s));
    item
}

/// The key of the index to go on after.
fn list_start(tenant: &TenantId, job: &JobId) -> Item {
    let key = JobKey { tenant: tenant.clone(), job: job.clone() };
    let mut start = item::key(job_pk(&key), root_sk());
    start.put(GPK1, text(tenant_pk(tenant)));
    start.put(GSK1, text(job.as_str()));
    start
}

/// The least id that a job may have which was submitted at that moment.
fn first_id(created_ms: u64) -> String {
    ulid_floor(created_ms.saturating_sub(ID_LEAD_MS))
}

/// The least ULID of a millisecond.
fn ulid_floor(at_ms: u64) -> String {
    const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digit = |place: u32| char::from(CROCKFORD[(at_ms >> (5 * place) & 31) as usize]);
    (0..10).rev().map(digit).chain(std::iter::repeat_n('0', 16)).collect()
}

fn row(item: &Item) -> Result<JobRow, PortError> {
    // An index has no `v`: what it projects is part of the table's definition.
    let fields = Fields::of_index(item);
    let reason = fields.opt_text(attr::STOP_REASON)?;
    let spent = fields.opt_number::<u64>(attr::COST_USD)?;
    Ok(JobRow {
        id: fields.parsed(GSK1)?,
        status: fields.word(attr::STATUS)?,
        stop_reason: reason.map(|_| fields.word(attr::STOP_REASON)).transpose()?,
        flow: fields.text(attr::FLOW)?.to_owned(),
        title: fields.text(attr::TITLE)?.to_owned(),
        cost: spent.map(|_| cost(&fields, attr::COST_USD, attr::COST_TOKENS)).transpose()?,
        created_ms: fields.number(attr::CREATED)?,
    })
}

/// The first `wanted` rows; the cursor is the last row's id, or where the search for rows had got to.
fn page_of(mut rows: Vec<JobRow>, wanted: usize, stopped: Option<&Item>) -> Result<JobPage, PortError> {
    if rows.len() > wanted {
        rows.truncate(wanted);
        let next = rows.last().map(|row| row.id.clone());
        return Ok(JobPage { rows, next });
    }
    let next = stopped.map(|key| Fields::of_index(key).parsed(GSK1)).transpose()?;
    Ok(JobPage { rows, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_id_of_a_moment_sorts_before_its_ids() {
        assert_eq!(ulid_floor(0), "00000000000000000000000000");
        assert_eq!(ulid_floor(1_469_918_176_385), "01ARYZ6S410000000000000000");
        assert!(ulid_floor(1_469_918_176_385).parse::<JobId>().is_ok());
    }
}
