//! The table.

use std::collections::BTreeMap;

use async_trait::async_trait;
use convoke_domain::change::Change;
use convoke_domain::delivery::Delivery;
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobId, JobKey, StepId, TargetId, TenantId};
use convoke_domain::status::JobStatus;
use serde_json::Value;

use super::{Definition, Event, EventKind, JobHead, JobRow, KeyRecord, PortError, StepRecord, TurnRecord};

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// It is applied, now or by an earlier try whose answer was lost; the group as it is after it (or later).
    Done(Group),
    /// A condition failed; the group as it is.
    Conflict(Group),
    /// There is no such group.
    Missing,
}

/// The mutable items of a job.
#[async_trait]
pub trait Groups: Send + Sync {
    /// Applies a change in one conditional write. Idempotent by [`Change::mark`]: a repeat whose first try was applied
    /// answers `Done`.
    async fn apply(&self, key: &JobKey, change: &Change) -> Result<Applied, PortError>;

    /// Puts a group if there is none; a repeat changes nothing. Answers the stored one.
    async fn put_group(&self, key: &JobKey, group: &Group) -> Result<Group, PortError>;

    /// Groups, strongly read, in requests of up to 100; what doesn't exist is missing.
    async fn load_groups(&self, key: &JobKey, ids: &[GroupId]) -> Result<BTreeMap<GroupId, Group>, PortError>;
}

/// What one load is to bring of a job. At most 100 items in all; the caller pages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reads {
    /// A group, strongly read.
    pub group: Option<GroupId>,
    /// The definition.
    pub definition: bool,
    /// Results of steps of this job.
    pub results: Vec<StepId>,
    /// Results of steps of another job of the same tenant (its parent).
    pub of_parent: Option<(JobId, Vec<StepId>)>,
    /// Chunks of maps' lists: (node, number).
    pub chunks: Vec<(u16, u32)>,
}

/// What a load has brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fetched {
    /// The group.
    pub group: Option<Group>,
    /// The definition.
    pub definition: Option<Definition>,
    /// Results that exist.
    pub results: BTreeMap<StepId, StepRecord>,
    /// The parent's results that exist.
    pub of_parent: BTreeMap<StepId, StepRecord>,
    /// Chunks that exist.
    pub chunks: BTreeMap<(u16, u32), Vec<Value>>,
}

/// What steps read and leave.
#[async_trait]
pub trait Steps: Send + Sync {
    /// Loads for several jobs in one request (of up to 100 items; more take more), strongly read; what several ask for is
    /// read once. Answers in the order of what is wanted. Fails as a whole.
    async fn fetch_all(&self, wanted: &[(JobKey, Reads)]) -> Result<Vec<Fetched>, PortError>;

    /// Loads in one request, strongly read.
    async fn fetch(&self, key: &JobKey, reads: &Reads) -> Result<Fetched, PortError> {
        let fetched = self.fetch_all(&[(key.clone(), reads.clone())]).await?;
        Ok(fetched.into_iter().next().unwrap_or_default())
    }

    /// Puts a step's result if there is none; answers the stored one (another's, where it was first).
    async fn put_result(&self, key: &JobKey, record: &StepRecord) -> Result<StepRecord, PortError>;

    /// Results of a task (its items and rounds) or of all tasks, ordered by task, item and round, after `after`; at most
    /// `limit`. Committed or not: the caller knows from the groups which are.
    async fn results(
        &self,
        key: &JobKey,
        task: Option<&str>,
        after: Option<&StepId>,
        limit: u32,
    ) -> Result<Vec<StepRecord>, PortError>;

    /// Journals a turn if it isn't; answers the stored one.
    async fn put_turn(&self, key: &JobKey, record: &TurnRecord) -> Result<TurnRecord, PortError>;

    /// The journal of a step, in order of turns.
    async fn turns(&self, key: &JobKey, step: &StepId) -> Result<Vec<TurnRecord>, PortError>;

    /// Puts the chunks of a map's list, in batches; a repeat replaces them by the same.
    async fn put_chunks(&self, key: &JobKey, node: u16, chunks: &[Vec<Value>]) -> Result<(), PortError>;
}

/// What makes a repeated submission the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Hash of the caller's key.
    pub key_hash: String,
    /// Hash of the body.
    pub body_hash: String,
    /// Unix seconds after which the key is forgotten.
    pub expires_s: u64,
}

/// A job to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Its id.
    pub key: JobKey,
    /// Its constant part.
    pub head: JobHead,
    /// What it is to do.
    pub definition: Definition,
    /// Its item; `due_ms` set.
    pub root: Group,
    /// The caller's idempotency.
    pub idempotency: Option<Idempotency>,
    /// One for each target that is to be told, no target twice; at most 10.
    pub deliveries: Vec<Delivery>,
}

/// What came of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// The job exists now.
    Created,
    /// The caller's key was used before (and isn't expired): that job, and the hash of that body.
    Earlier {
        /// The job that it made.
        job: JobId,
        /// Hash of that body.
        body_hash: String,
    },
}

/// Which jobs a list shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only in this state.
    pub status: Option<JobStatus>,
    /// Only of this flow.
    pub flow: Option<String>,
    /// Only submitted at or after (Unix milliseconds).
    pub created_after_ms: Option<u64>,
}

/// A page of a list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobPage {
    /// At most `limit` rows; may be fewer although there are more.
    pub rows: Vec<JobRow>,
    /// Go on after this job; `None` at the end.
    pub next: Option<JobId>,
}

/// Jobs as a whole.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Makes a job (J, D, the idempotency item, the deliveries) in one transaction. Idempotent by the job's id.
    async fn submit(&self, submission: &Submission) -> Result<Submitted, PortError>;

    /// The job that a caller's idempotency key has made, by the key's hash, strongly read; `None` where it has made none, or
    /// is forgotten.
    async fn submitted(&self, tenant: &TenantId, key_hash: &str) -> Result<Option<JobId>, PortError>;

    /// A job, strongly read; `None` where this tenant has none of that id.
    async fn job(&self, key: &JobKey) -> Result<Option<(JobHead, Group)>, PortError>;

    /// The tenant's jobs, newest first, after `cursor`.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &JobFilter,
        cursor: Option<&JobId>,
        limit: u32,
    ) -> Result<JobPage, PortError>;
}

/// Jobs that are to be looked at, of all tenants: law 9's exception for the clock.
#[async_trait]
pub trait Sweeps: Send + Sync {
    /// Jobs of a shard (0 to 15) that are due at `now_ms`, oldest first, at most `limit`. Rows that can't be read are passed
    /// over, here and below.
    async fn due(&self, shard: u8, now_ms: u64, limit: u32) -> Result<Vec<JobKey>, PortError>;

    /// Deliveries of a shard (0 to 3) that are due at `now_ms`, oldest first, at most `limit`.
    async fn due_deliveries(&self, shard: u8, now_ms: u64, limit: u32) -> Result<Vec<(JobKey, TargetId)>, PortError>;
}

/// Keys of the API, by hash, and the list of tenants: law 9's exceptions for authentication and for the operator.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Whose key has this hash.
    async fn key(&self, hash: &str) -> Result<Option<KeyRecord>, PortError>;

    /// Stores a key's hash; a repeat replaces it by the same.
    async fn put_key(&self, hash: &str, record: &KeyRecord) -> Result<(), PortError>;

    /// The tenant's keys: (hash, record).
    async fn keys(&self, tenant: &TenantId) -> Result<Vec<(String, KeyRecord)>, PortError>;

    /// Forgets a key of the tenant; `false` where it has none of that hash.
    async fn delete_key(&self, tenant: &TenantId, hash: &str) -> Result<bool, PortError>;

    /// Puts a tenant on the list; a repeat changes nothing.
    async fn note_tenant(&self, tenant: &TenantId) -> Result<(), PortError>;

    /// The tenants on the list, by name. For whoever has the account's or the machine's credentials.
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError>;
}

/// A page of a job's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// In order.
    pub events: Vec<Event>,
}

/// What has happened to a job, numbered.
#[async_trait]
pub trait Events: Send + Sync {
    /// Appends what changes of groups amount to: `(group, version, time, kinds)`, in order of versions per group.
    /// Idempotent by (group, version): what was appended before is left out. Numbers rise by one.
    async fn append(&self, key: &JobKey, changes: &[(GroupId, u64, u64, Vec<EventKind>)]) -> Result<(), PortError>;

    /// Events after number `after`, at most `limit`.
    async fn events(&self, key: &JobKey, after: u64, limit: u32) -> Result<EventPage, PortError>;
}
