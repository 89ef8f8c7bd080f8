//! Schedules and runs in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use convoke_app::ports::{DueSchedule, PortError, RunRecord, ScheduleRecord, Schedules};
use convoke_domain::ids::TenantId;

use super::table::FakeTable;

/// What is stored of them.
#[derive(Debug, Default)]
pub(super) struct Stored {
    schedules: BTreeMap<(TenantId, String), ScheduleRecord>,
    runs: BTreeMap<(TenantId, String, u64), RunRecord>,
}

/// Stores over the version before.
fn put<K: Ord, R: Clone + PartialEq>(stored: &mut BTreeMap<K, R>, key: K, record: &R, ver: impl Fn(&R) -> u64) -> bool {
    let found = stored.get(&key);
    let fits = found.map_or(0, &ver) + 1 == ver(record) || found == Some(record);
    if fits {
        stored.insert(key, record.clone());
    }
    fits
}

#[async_trait]
impl Schedules for FakeTable {
    async fn put_schedule(&self, tenant: &TenantId, record: &ScheduleRecord) -> Result<bool, PortError> {
        let key = (tenant.clone(), record.id.clone());
        self.call("put_schedule", |state| put(&mut state.schedules.schedules, key, record, |record| record.ver)).await
    }

    async fn schedule(&self, tenant: &TenantId, id: &str) -> Result<Option<ScheduleRecord>, PortError> {
        let key = (tenant.clone(), id.to_owned());
        self.call("schedule", |state| state.schedules.schedules.get(&key).cloned()).await
    }

    async fn schedules(&self, tenant: &TenantId) -> Result<Vec<ScheduleRecord>, PortError> {
        self.call("schedules", |state| {
            let own = state.schedules.schedules.iter().filter(|((of, _), _)| of == tenant);
            own.map(|(_, record)| record.clone()).collect()
        })
        .await
    }

    async fn delete_schedule(&self, tenant: &TenantId, id: &str) -> Result<bool, PortError> {
        let key = (tenant.clone(), id.to_owned());
        self.call("delete_schedule", |state| state.schedules.schedules.remove(&key).is_some()).await
    }

    async fn put_run(
        &self,
        tenant: &TenantId,
        schedule: &str,
        record: &RunRecord,
        _: Option<u64>,
    ) -> Result<bool, PortError> {
        let key = (tenant.clone(), schedule.to_owned(), record.tick_ms);
        self.call("put_run", |state| put(&mut state.schedules.runs, key, record, |record| record.ver)).await
    }

    async fn run(&self, tenant: &TenantId, schedule: &str, tick_ms: u64) -> Result<Option<RunRecord>, PortError> {
        let key = (tenant.clone(), schedule.to_owned(), tick_ms);
        self.call("run", |state| state.schedules.runs.get(&key).cloned()).await
    }

    async fn runs(
        &self,
        tenant: &TenantId,
        schedule: &str,
        before_ms: u64,
        limit: u32,
    ) -> Result<Vec<RunRecord>, PortError> {
        let (from, to) = ((tenant.clone(), schedule.to_owned(), 0), (tenant.clone(), schedule.to_owned(), before_ms));
        self.call("runs", |state| {
            let found = state.schedules.runs.range(from..to).rev().take(limit as usize);
            found.map(|(_, run)| run.clone()).collect()
        })
        .await
    }

    async fn due_schedules(&self, now_ms: u64, limit: u32) -> Result<Vec<DueSchedule>, PortError> {
        self.call("due_schedules", |state| {
            let schedules = state.schedules.schedules.iter().map(|((tenant, id), record)| {
                let due = DueSchedule { tenant: tenant.clone(), schedule: id.clone(), tick_ms: None };
                (record.due_ms, due)
            });
            let runs = state.schedules.runs.iter().map(|((tenant, id, tick_ms), record)| {
                let due = DueSchedule { tenant: tenant.clone(), schedule: id.clone(), tick_ms: Some(*tick_ms) };
                (record.due_ms, due)
            });
            let due = schedules.chain(runs).filter_map(|(due_ms, due)| Some((due_ms?, due)));
            let mut due: Vec<_> = due.filter(|(due_ms, _)| *due_ms <= now_ms).collect();
            due.sort_by_key(|(due_ms, _)| *due_ms);
            due.into_iter().map(|(_, due)| due).take(limit as usize).collect()
        })
        .await
    }
}
