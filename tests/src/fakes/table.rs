//! The table: changes are applied by `Change::apply`, one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use convoke_app::ports::{
    Applied, Definition, Event, EventKind, EventPage, Events, Fetched, Groups, Idempotency, JobFilter, JobHead,
    JobPage, JobRow, Jobs, KeyRecord, Keys, PortError, Reads, StepRecord, Steps, Submission, Submitted, Sweeps,
    TurnRecord,
};
use convoke_domain::change::{Change, Set};
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobId, JobKey, StepId, TargetId, TenantId};
use serde_json::Value;

use super::faults::Faults;
use super::hooks::Hooks;
use super::list;

/// What the table's stream tells of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// Of which job.
    pub key: JobKey,
    /// Before; `None` for a group that was put.
    pub old: Option<Group>,
    /// After.
    pub new: Group,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) schedules: super::schedules::Stored,
    pub(super) chats: super::chats::Stored,
    pub(super) reviews: super::reviews::Stored,
    groups: BTreeMap<(JobKey, GroupId), Group>,
    heads: BTreeMap<JobKey, JobHead>,
    rows: BTreeMap<JobKey, JobRow>,
    definitions: BTreeMap<JobKey, Definition>,
    results: BTreeMap<(JobKey, String), StepRecord>,
    turns: BTreeMap<(JobKey, String, u32), TurnRecord>,
    chunks: BTreeMap<(JobKey, u16, u32), Vec<Value>>,
    idempotency: BTreeMap<(TenantId, String), (Idempotency, JobId)>,
    keys: BTreeMap<String, KeyRecord>,
    tenants: BTreeSet<TenantId>,
    events: BTreeMap<JobKey, Vec<Event>>,
    hooks: Hooks,
    late: BTreeMap<u8, Vec<JobKey>>,
    stream: Vec<Changed>,
}

/// The table in memory. Clones are the same table.
#[derive(Clone, Debug, Default)]
pub struct FakeTable {
    state: Arc<Mutex<State>>,
    faults: Faults,
}

impl FakeTable {
    /// An empty table.
    pub fn new(faults: Faults) -> Self {
        Self { state: Arc::default(), faults }
    }

    /// Takes what the stream has told since it was last asked, in order.
    pub fn take_stream(&self) -> Vec<Changed> {
        std::mem::take(&mut self.lock().stream)
    }

    /// All jobs.
    pub fn jobs(&self) -> Vec<JobKey> {
        self.lock().heads.keys().cloned().collect()
    }

    /// All groups of a job, without faults.
    pub fn groups_of(&self, key: &JobKey) -> Vec<Group> {
        self.lock().groups.iter().filter(|((job, _), _)| job == key).map(|(_, group)| group.clone()).collect()
    }

    /// All results of a job, committed or not, without faults.
    pub fn results_of(&self, key: &JobKey) -> Vec<StepRecord> {
        self.lock().results.iter().filter(|((job, _), _)| job == key).map(|(_, record)| record.clone()).collect()
    }

    /// How many turns of a step are journaled, its result included, without faults.
    pub fn journaled_turns(&self, key: &JobKey, step: &str) -> u32 {
        let state = self.lock();
        let turns = state.turns.keys().filter(|(job, of, _)| job == key && of == step).map(|(_, _, turn)| *turn);
        let result = state.results.get(&(key.clone(), step.to_owned())).map(|record| record.turn);
        turns.chain(result).max().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn call<T: Send>(
        &self,
        what: &'static str,
        call: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, PortError> {
        self.faults.call(what, || Ok(call(&mut self.lock()))).await
    }

    pub(super) async fn hooks<T: Send>(
        &self,
        what: &'static str,
        call: impl FnOnce(&mut Hooks) -> T + Send,
    ) -> Result<T, PortError> {
        self.call(what, |state| call(&mut state.hooks)).await
    }
}

impl State {
    fn apply(&mut self, key: &JobKey, change: &Change) -> Applied {
        let Some(group) = self.groups.get_mut(&(key.clone(), change.group)) else { return Applied::Missing };
        if group.last == change.mark {
            return Applied::Done(group.clone());
        }
        let Some(new) = change.apply(group) else { return Applied::Conflict(group.clone()) };
        let old = std::mem::replace(group, new.clone());
        let status = change.set.iter().rev().find_map(|set| match set {
            Set::Status(status) => Some(*status),
            _ => None,
        });
        if let (Some(row), Some(status), GroupId::Root) = (self.rows.get_mut(key), status, change.group) {
            list::moved(row, status, &new);
        }
        self.stream.push(Changed { key: key.clone(), old: Some(old), new: new.clone() });
        Applied::Done(new)
    }

    fn put_group(&mut self, key: &JobKey, group: &Group) -> Group {
        let place = (key.clone(), group.id);
        if let Some(stored) = self.groups.get(&place) {
            return stored.clone();
        }
        self.groups.insert(place, group.clone());
        self.stream.push(Changed { key: key.clone(), old: None, new: group.clone() });
        group.clone()
    }

    fn results<'a>(&self, key: &JobKey, steps: impl IntoIterator<Item = &'a StepId>) -> BTreeMap<StepId, StepRecord> {
        let result = |step: &StepId| {
            let record = self.results.get(&(key.clone(), step.sort_key()))?;
            Some((step.clone(), record.clone()))
        };
        steps.into_iter().filter_map(result).collect()
    }

    fn fetch(&self, key: &JobKey, reads: &Reads) -> Fetched {
        let of_parent = reads.of_parent.as_ref().map(|(job, steps)| {
            let parent = JobKey { tenant: key.tenant.clone(), job: job.clone() };
            self.results(&parent, steps)
        });
        let chunk = |&(node, number): &(u16, u32)| {
            let items = self.chunks.get(&(key.clone(), node, number))?;
            Some(((node, number), items.clone()))
        };
        Fetched {
            group: reads.group.and_then(|id| self.groups.get(&(key.clone(), id)).cloned()),
            definition: self.definitions.get(key).filter(|_| reads.definition).cloned(),
            results: self.results(key, &reads.results),
            of_parent: of_parent.unwrap_or_default(),
            chunks: reads.chunks.iter().filter_map(chunk).collect(),
        }
    }

    fn submit(&mut self, submission: &Submission) -> Submitted {
        let Submission { key, head, definition, root, idempotency, deliveries } = submission;
        if let Some(wanted) = idempotency {
            let now_s = root.root().map_or(root.at_ms, |root| root.created_ms) / 1_000;
            let place = (key.tenant.clone(), wanted.key_hash.clone());
            match self.idempotency.get(&place) {
                Some((first, job)) if first.expires_s >= now_s && *job != key.job => {
                    return Submitted::Earlier { job: job.clone(), body_hash: first.body_hash.clone() };
                }
                _ if self.heads.contains_key(key) => return Submitted::Created,
                _ => drop(self.idempotency.insert(place, (wanted.clone(), key.job.clone()))),
            }
        }
        if !self.heads.contains_key(key) {
            self.put_group(key, root);
            self.heads.insert(key.clone(), head.clone());
            self.rows.insert(key.clone(), list::submitted(&key.job, head, root));
            self.definitions.insert(key.clone(), definition.clone());
            self.hooks.submitted(key, deliveries);
        }
        Submitted::Created
    }

    fn list(&self, tenant: &TenantId, filter: &JobFilter, cursor: Option<&JobId>, limit: usize) -> JobPage {
        let of_tenant = self.rows.iter().rev().filter(|(key, _)| key.tenant == *tenant);
        let after = of_tenant.filter(|(key, _)| cursor.is_none_or(|cursor| key.job < *cursor));
        let mut passing = after.map(|(_, row)| row).filter(|row| list::passes(row, filter)).cloned();
        let rows: Vec<JobRow> = passing.by_ref().take(limit).collect();
        let next = passing.next().and(rows.last().map(|row| row.id.clone()));
        JobPage { rows, next }
    }

    fn due(&self, shard: u8, now_ms: u64, limit: usize) -> Vec<JobKey> {
        let due = |((key, _), group): (&(JobKey, GroupId), &Group)| {
            let due_ms = group.root()?.due_ms.filter(|due_ms| *due_ms <= now_ms)?;
            (shard_of(&key.job) == shard).then(|| (due_ms, key.clone()))
        };
        let mut keys: Vec<_> = self.groups.iter().filter_map(due).collect();
        keys.sort();
        keys.into_iter().take(limit).map(|(_, key)| key).collect()
    }

    fn append(&mut self, key: &JobKey, changes: &[(GroupId, u64, u64, Vec<EventKind>)]) {
        let log = self.events.entry(key.clone()).or_default();
        for (group, ver, at_ms, kinds) in changes {
            let seen = log.iter().filter(|event| event.group == *group).map(|event| event.ver).max();
            if seen.is_some_and(|seen| seen >= *ver) {
                continue;
            }
            for kind in kinds {
                let seq = log.len() as u64 + 1;
                log.push(Event { seq, group: *group, ver: *ver, at_ms: *at_ms, kind: kind.clone() });
            }
        }
    }
}

/// Which of the 16 shards: any spread will do.
fn shard_of(job: &JobId) -> u8 {
    job.as_str().bytes().fold(0_u8, u8::wrapping_add) % 16
}

#[async_trait]
impl Groups for FakeTable {
    async fn apply(&self, key: &JobKey, change: &Change) -> Result<Applied, PortError> {
        self.call("apply", |state| state.apply(key, change)).await
    }

    async fn put_group(&self, key: &JobKey, group: &Group) -> Result<Group, PortError> {
        self.call("put_group", |state| state.put_group(key, group)).await
    }

    async fn load_groups(&self, key: &JobKey, ids: &[GroupId]) -> Result<BTreeMap<GroupId, Group>, PortError> {
        self.call("load_groups", |state| {
            let group = |id: &GroupId| Some((*id, state.groups.get(&(key.clone(), *id))?.clone()));
            ids.iter().filter_map(group).collect()
        })
        .await
    }
}

#[async_trait]
impl Steps for FakeTable {
    async fn fetch_all(&self, wanted: &[(JobKey, Reads)]) -> Result<Vec<Fetched>, PortError> {
        self.call("fetch", |state| wanted.iter().map(|(key, reads)| state.fetch(key, reads)).collect()).await
    }

    async fn put_result(&self, key: &JobKey, record: &StepRecord) -> Result<StepRecord, PortError> {
        let place = (key.clone(), record.step.sort_key());
        self.call("put_result", |state| state.results.entry(place).or_insert_with(|| record.clone()).clone()).await
    }

    async fn results(
        &self,
        key: &JobKey,
        task: Option<&str>,
        after: Option<&StepId>,
        limit: u32,
    ) -> Result<Vec<StepRecord>, PortError> {
        let after = after.map(StepId::sort_key);
        self.call("results", |state| {
            let fits = |(job, sort_key): &(JobKey, String), record: &StepRecord| {
                job == key
                    && task.is_none_or(|task| record.step.task == task)
                    && after.as_ref().is_none_or(|after| sort_key > after)
            };
            let records = state.results.iter().filter(|(place, record)| fits(place, record));
            records.take(limit as usize).map(|(_, record)| record.clone()).collect()
        })
        .await
    }

    async fn put_turn(&self, key: &JobKey, record: &TurnRecord) -> Result<TurnRecord, PortError> {
        let place = (key.clone(), record.step.sort_key(), record.turn);
        self.call("put_turn", |state| state.turns.entry(place).or_insert_with(|| record.clone()).clone()).await
    }

    async fn turns(&self, key: &JobKey, step: &StepId) -> Result<Vec<TurnRecord>, PortError> {
        let step = step.sort_key();
        self.call("turns", |state| {
            let of_step = state.turns.iter().filter(|((job, of, _), _)| job == key && *of == step);
            of_step.map(|(_, record)| record.clone()).collect()
        })
        .await
    }

    async fn put_chunks(&self, key: &JobKey, node: u16, chunks: &[Vec<Value>]) -> Result<(), PortError> {
        self.call("put_chunks", |state| {
            for (number, chunk) in (0..).zip(chunks) {
                state.chunks.insert((key.clone(), node, number), chunk.clone());
            }
        })
        .await
    }
}

#[async_trait]
impl Jobs for FakeTable {
    async fn submit(&self, submission: &Submission) -> Result<Submitted, PortError> {
        self.call("submit", |state| state.submit(submission)).await
    }

    async fn submitted(&self, tenant: &TenantId, key_hash: &str) -> Result<Option<JobId>, PortError> {
        let place = (tenant.clone(), key_hash.to_owned());
        self.call("submitted", |state| state.idempotency.get(&place).map(|(_, job)| job.clone())).await
    }

    async fn job(&self, key: &JobKey) -> Result<Option<(JobHead, Group)>, PortError> {
        self.call("job", |state| {
            Some((state.heads.get(key)?.clone(), state.groups.get(&(key.clone(), GroupId::Root))?.clone()))
        })
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        cursor: Option<&JobId>,
        limit: u32,
    ) -> Result<JobPage, PortError> {
        self.call("list", |state| state.list(tenant, filter, cursor, limit.max(1) as usize)).await
    }
}

#[async_trait]
impl Sweeps for FakeTable {
    async fn due(&self, shard: u8, now_ms: u64, limit: u32) -> Result<Vec<JobKey>, PortError> {
        let due = self.call("due", |state| state.due(shard, now_ms, limit as usize)).await?;
        // What lags is missing now, and comes again when it isn't due any more.
        let (late, mut shown): (Vec<JobKey>, Vec<JobKey>) = due.into_iter().partition(|_| self.faults.lags());
        let mut state = self.lock();
        shown.extend(std::mem::replace(state.late.entry(shard).or_default(), late));
        Ok(shown)
    }

    async fn due_deliveries(&self, shard: u8, now_ms: u64, limit: u32) -> Result<Vec<(JobKey, TargetId)>, PortError> {
        // Where nobody is told anything, the simulation's seeds fall as they do without.
        if self.lock().hooks.is_quiet() {
            return Ok(Vec::new());
        }
        self.hooks("due_deliveries", |hooks| hooks.due(shard, now_ms, limit as usize)).await
    }
}

#[async_trait]
impl Keys for FakeTable {
    async fn key(&self, hash: &str) -> Result<Option<KeyRecord>, PortError> {
        self.call("key", |state| state.keys.get(hash).cloned()).await
    }

    async fn put_key(&self, hash: &str, record: &KeyRecord) -> Result<(), PortError> {
        self.faults
            .call("put_key", || {
                let mut state = self.lock();
                if state.keys.get(hash).is_some_and(|stored| stored.tenant != record.tenant) {
                    return Err(PortError::Refused { what: "put_key", source: "another tenant's key".into() });
                }
                state.keys.insert(hash.to_owned(), record.clone());
                Ok(())
            })
            .await
    }

    async fn keys(&self, tenant: &TenantId) -> Result<Vec<(String, KeyRecord)>, PortError> {
        self.call("keys", |state| {
            let own = state.keys.iter().filter(|(_, record)| record.tenant == *tenant);
            own.map(|(hash, record)| (hash.clone(), record.clone())).collect()
        })
        .await
    }

    async fn delete_key(&self, tenant: &TenantId, hash: &str) -> Result<bool, PortError> {
        self.call("delete_key", |state| {
            let is_own = state.keys.get(hash).is_some_and(|record| record.tenant == *tenant);
            is_own && state.keys.remove(hash).is_some()
        })
        .await
    }

    async fn note_tenant(&self, tenant: &TenantId) -> Result<(), PortError> {
        self.call("note_tenant", |state| {
            state.tenants.insert(tenant.clone());
        })
        .await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        self.call("tenants", |state| state.tenants.iter().cloned().collect()).await
    }
}

#[async_trait]
impl Events for FakeTable {
    async fn append(&self, key: &JobKey, changes: &[(GroupId, u64, u64, Vec<EventKind>)]) -> Result<(), PortError> {
        self.call("append", |state| state.append(key, changes)).await
    }

    async fn events(&self, key: &JobKey, after: u64, limit: u32) -> Result<EventPage, PortError> {
        self.call("events", |state| {
            let log = state.events.get(key).into_iter().flatten();
            EventPage { events: log.filter(|event| event.seq > after).take(limit as usize).cloned().collect() }
        })
        .await
    }
}
