//! `Schedules`: schedules and their runs, each stored whole over the version before.

use async_trait::async_trait;
use convoke_app::ports::{DueSchedule, PortError, RunRecord, ScheduleRecord, Schedules};
use convoke_domain::ids::TenantId;

use super::DynamoTable;
use super::item::{self, Fields, Item, Put, document, number, text};
use super::schema::attr::VER;
use super::schema::{
    self, BODY, GPK2, GSK2, PK, SCHEDULES_DUE, SK, TTL_ATTRIBUTE, run_sk, schedule_pk, schedule_sk, tenant_pk,
};
use super::versioned::Over;
use crate::error::port_error;

const SCHEDULE: &str = "the table (reading a schedule)";
const PUT: &str = "the table (storing a schedule)";
const LIST: &str = "the table (listing schedules)";
const DELETE: &str = "the table (deleting a schedule)";
const RUN: &str = "the table (reading a run)";
const PUT_RUN: &str = "the table (storing a run)";
const RUNS: &str = "the table (listing runs)";
const DUE: &str = "the table (reading which schedules are due)";

#[async_trait]
impl Schedules for DynamoTable {
    async fn put_schedule(&self, tenant: &TenantId, record: &ScheduleRecord) -> Result<bool, PortError> {
        let mut item = document(tenant_pk(tenant), schedule_sk(&record.id), record)?;
        due(&mut item, record.due_ms);
        self.put_version(PUT, item, record.ver).await
    }

    async fn schedule(&self, tenant: &TenantId, id: &str) -> Result<Option<ScheduleRecord>, PortError> {
        let item = self.get(SCHEDULE, item::key(tenant_pk(tenant), schedule_sk(id))).await?;
        item.map(|item| Fields::of(&item)?.content()).transpose()
    }

    async fn schedules(&self, tenant: &TenantId) -> Result<Vec<ScheduleRecord>, PortError> {
        let query = self.query(&tenant_pk(tenant), &schedule_sk(""), &schedule_sk("~"));
        let items = self.pages(LIST, query, usize::MAX).await?;
        items.iter().map(|item| Fields::of(item)?.content()).collect()
    }

    async fn delete_schedule(&self, tenant: &TenantId, id: &str) -> Result<bool, PortError> {
        let key = item::key(tenant_pk(tenant), schedule_sk(id));
        let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        let answer = delete.return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld).send().await;
        let old = answer.map_err(|error| port_error(DELETE, error))?.attributes;
        Ok(old.is_some_and(|old| !old.is_empty()))
    }

    async fn put_run(
        &self,
        tenant: &TenantId,
        schedule: &str,
        record: &RunRecord,
        expires_s: Option<u64>,
    ) -> Result<bool, PortError> {
        let mut item = document(schedule_pk(tenant, schedule), run_sk(record.tick_ms), record)?;
        due(&mut item, record.due_ms);
        if let Some(expires_s) = expires_s {
            item.put(TTL_ATTRIBUTE, number(expires_s));
        }
        self.put_version(PUT_RUN, item, record.ver).await
    }

    async fn run(&self, tenant: &TenantId, schedule: &str, tick_ms: u64) -> Result<Option<RunRecord>, PortError> {
        let item = self.get(RUN, item::key(schedule_pk(tenant, schedule), run_sk(tick_ms))).await?;
        item.map(|item| Fields::of(&item)?.content()).transpose()
    }

    async fn runs(
        &self,
        tenant: &TenantId,
        schedule: &str,
        before_ms: u64,
        limit: u32,
    ) -> Result<Vec<RunRecord>, PortError> {
        let Some(last_ms) = before_ms.checked_sub(1) else { return Ok(Vec::new()) };
        let query = self.query(&schedule_pk(tenant, schedule), &run_sk(0), &run_sk(last_ms)).scan_index_forward(false);
        let items = self.pages(RUNS, query, limit as usize).await?;
        items.iter().map(|item| Fields::of(item)?.content()).collect()
    }

    async fn due_schedules(&self, now_ms: u64, limit: u32) -> Result<Vec<DueSchedule>, PortError> {
        let query = self.due_query(SCHEDULES_DUE.to_owned(), now_ms);
        self.pages(DUE, query, limit as usize).await?.iter().map(due_of).collect()
    }
}

impl DynamoTable {
    /// Stores a version; `true` where it is stored, now or by an earlier try.
    async fn put_version(&self, what: &'static str, mut item: Item, ver: u64) -> Result<bool, PortError> {
        item.put(VER, number(ver));
        let own = item.get(BODY).cloned();
        match self.put_over(what, item, ver).await? {
            Over::Stored => Ok(true),
            Over::Found(found) => Ok(found.is_some_and(|found| found.get(BODY) == own.as_ref())),
        }
    }
}

fn due(item: &mut Item, due_ms: Option<u64>) {
    if let Some(due_ms) = due_ms {
        item.put(GPK2, text(SCHEDULES_DUE));
        item.put(GSK2, number(due_ms));
    }
}

fn due_of(item: &Item) -> Result<DueSchedule, PortError> {
    let fields = Fields::of_index(item);
    let (pk, sk) = (fields.text(PK)?, fields.text(SK)?);
    let found = match schema::schedule_of_pk(pk) {
        Some((tenant, schedule)) => schema::tick_of_sk(sk).map(|tick_ms| (tenant, schedule, Some(tick_ms))),
        None => schema::tenant_of_pk(pk).zip(schema::schedule_of_sk(sk)).map(|(tenant, id)| (tenant, id, None)),
    };
    let (tenant, schedule, tick_ms) = found.ok_or_else(|| fields.corrupt(SK, "neither a schedule nor a run"))?;
    Ok(DueSchedule { tenant, schedule, tick_ms })
}
