//! Schedules and what they started.

use async_trait::async_trait;
use convoke_domain::ids::{JobId, TargetId, TenantId};
use convoke_domain::schedule::{Overlap, Tally};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BlobKey, PortError, Requester};

/// When a schedule ticks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// As a crontab has it, in a time zone.
    Cron {
        /// Five fields.
        expression: String,
        /// A name of the IANA database.
        zone: String,
    },
    /// Every so many seconds, counted from when the schedule was made.
    Every {
        /// The pause.
        seconds: u64,
    },
}

/// The inputs of a batch, one job each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// An object of JSON lines.
    pub inputs: BlobKey,
    /// How many there are.
    pub count: u32,
    /// How many of their jobs run at once.
    pub at_once: u32,
}

/// What a follow-up waits for: it starts once, and then its schedule is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The job that has to end first; [`ScheduleRecord::job`] is the body of a follow-up of it.
    pub job: JobId,
    /// Who asked for it, in a chat.
    pub requester: Requester,
    /// Names the request, so that a repeat makes no other.
    pub mark: String,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    /// Version of the shape: 1.
    pub v: u8,
    /// Its id: a ULID.
    pub id: String,
    /// Rises by one with each change; 1 for a new one.
    pub ver: u64,
    /// What its owner calls it.
    pub name: String,
    /// When it ticks.
    pub timing: Timing,
    /// Seconds by which a start may be late, so that not all schedules start at once.
    pub jitter_s: u64,
    /// What happens to a tick while earlier work goes on.
    pub overlap: Overlap,
    /// Whether it stands still.
    pub paused: bool,
    /// What is submitted: the body of `POST /v1/jobs`.
    pub job: Value,
    /// Its inputs, where there are many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// The job whose end it waits for, where it is a follow-up that starts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Awaited>,
    /// When it was made (Unix milliseconds).
    pub created_ms: u64,
    /// The next tick; `None` where it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<u64>,
    /// When the clock looks at it next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
    /// The tick whose work goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_ms: Option<u64>,
    /// The last tick that was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<u64>,
    /// Ticks that were passed over because earlier work went on.
    #[serde(default)]
    pub skipped: u64,
    /// Of a follow-up that waited: why it couldn't be submitted when it was to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

impl ScheduleRecord {
    /// One that is just made, and submits one job at a time; nothing has ticked.
    pub fn new((id, name): (String, String), timing: Timing, job: Value, now_ms: u64) -> Self {
        Self {
            v: 1,
            id,
            ver: 1,
            name,
            timing,
            jitter_s: 0,
            overlap: Overlap::Skip,
            paused: false,
            job,
            batch: None,
            after: None,
            created_ms: now_ms,
            next_ms: None,
            due_ms: None,
            open_ms: None,
            last_ms: None,
            skipped: 0,
            refusal: None,
        }
    }
}

/// A job of a run, submitted or about to be: its id is drawn first, so that it is submitted once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunJob {
    /// Its id.
    pub job: JobId,
    /// Which input is its, from 0.
    pub index: u32,
}

/// Who is to be told that a run has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTarget {
    /// Whom.
    #[serde(alias = "webhook")]
    pub target: TargetId,
    /// Tries that have failed.
    pub failed: u32,
    /// Not before (Unix milliseconds): it failed, or somebody is at it.
    pub not_before_ms: u64,
    /// Who was at it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Of a chat: whether its platform didn't accept it otherwise than as plain text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_plain: bool,
}

impl RunTarget {
    /// One that nobody has told yet.
    pub const fn new(target: TargetId) -> Self {
        Self { target, failed: 0, not_before_ms: 0, nonce: None, is_plain: false }
    }
}

/// "Tell them that the run has ended."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunBell {
    /// Version of the shape: 1.
    pub v: u8,
    /// Whose.
    pub tenant: TenantId,
    /// Id of the schedule.
    pub schedule: String,
    /// Which tick (Unix milliseconds).
    pub tick_ms: u64,
    /// Whom to tell.
    #[serde(alias = "webhook")]
    pub target: TargetId,
}

/// What a tick started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of the shape: 1.
    pub v: u8,
    /// The tick (Unix milliseconds): its name within the schedule.
    pub tick_ms: u64,
    /// Rises by one with each change; 1 for a new one.
    pub ver: u64,
    /// When it was started.
    pub started_ms: u64,
    /// Jobs that it has in all.
    pub total: u32,
    /// Inputs that have had their turn.
    pub next: u32,
    /// Jobs that run.
    pub running: Vec<RunJob>,
    /// How the others came out.
    pub tally: Tally,
    /// Why the first refused input was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// When all had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// Who hasn't been told yet that it has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<RunTarget>,
    /// When the clock looks at it next; `None` once it has ended and nobody is to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
}

impl RunRecord {
    /// That of a tick whose inputs haven't had their turn.
    pub fn new((tick_ms, total): (u64, u32), now_ms: u64) -> Self {
        Self {
            v: 1,
            tick_ms,
            ver: 1,
            started_ms: now_ms,
            total,
            next: 0,
            running: Vec::new(),
            tally: Tally::default(),
            refusal: None,
            ended_ms: None,
            tell: Vec::new(),
            due_ms: None,
        }
    }
}

/// The tick that a job belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Id of the schedule.
    pub schedule: String,
    /// Which tick (Unix milliseconds).
    pub tick_ms: u64,
}

/// What the clock finds due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSchedule {
    /// Whose.
    pub tenant: TenantId,
    /// Id of the schedule.
    pub schedule: String,
    /// The run that is due; `None`: the schedule itself is.
    pub tick_ms: Option<u64>,
}

/// Schedules and their runs.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// Stores a schedule over version `record.ver - 1` (0: over none). `false` where another version is there. A repeat
    /// of what is stored answers `true`.
    async fn put_schedule(&self, tenant: &TenantId, record: &ScheduleRecord) -> Result<bool, PortError>;

    /// A schedule, strongly read.
    async fn schedule(&self, tenant: &TenantId, id: &str) -> Result<Option<ScheduleRecord>, PortError>;

    /// The tenant's schedules, oldest first.
    async fn schedules(&self, tenant: &TenantId) -> Result<Vec<ScheduleRecord>, PortError>;

    /// Forgets a schedule; its runs go by themselves. `false` where there is none.
    async fn delete_schedule(&self, tenant: &TenantId, id: &str) -> Result<bool, PortError>;

    /// Stores a run over version `record.ver - 1` (0: over none); kept until `expires_s` (Unix seconds) once it has
    /// ended. `false` where another version is there. A repeat of what is stored answers `true`.
    async fn put_run(
        &self,
        tenant: &TenantId,
        schedule: &str,
        record: &RunRecord,
        expires_s: Option<u64>,
    ) -> Result<bool, PortError>;

    /// A run, strongly read.
    async fn run(&self, tenant: &TenantId, schedule: &str, tick_ms: u64) -> Result<Option<RunRecord>, PortError>;

    /// Runs of a schedule before tick `before_ms`, newest first, at most `limit`.
    async fn runs(
        &self,
        tenant: &TenantId,
        schedule: &str,
        before_ms: u64,
        limit: u32,
    ) -> Result<Vec<RunRecord>, PortError>;

    /// What is due, of all tenants (law 9's exception for the sweep), in order of time, at most `limit`; may lag.
    async fn due_schedules(&self, now_ms: u64, limit: u32) -> Result<Vec<DueSchedule>, PortError>;
}
