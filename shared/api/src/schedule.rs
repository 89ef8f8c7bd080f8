//! Schedules as callers see them.

use convoke_domain::ids::JobId;
use convoke_domain::schedule::Overlap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::money::Amount;
use crate::request::JobRequest;
use crate::schema::{job_id, overlap};
use crate::time::Time;

/// The body of `POST /v1/schedules`. One of `cron` and `every_s` says when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleRequest {
    /// What to call it, at most 100 characters; the flow's name where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "nightly report")]
    pub name: Option<String>,
    /// Five fields as in a crontab: minute, hour, day of the month, month, day of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "0 6 * * MON-FRI")]
    pub cron: Option<String>,
    /// The time zone of `cron`, by its name in the IANA database; UTC where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Europe/Berlin")]
    pub time_zone: Option<String>,
    /// A pause in seconds, instead of `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 2_678_400)]
    pub every_s: Option<u64>,
    /// Seconds by which starts may be late, spread evenly.
    #[serde(default)]
    #[schema(maximum = 3600)]
    pub jitter_s: u64,
    /// What happens to a tick while the work of an earlier one goes on.
    #[serde(default)]
    #[schema(schema_with = overlap)]
    pub overlap: Overlap,
    /// Whether it stands still at first.
    #[serde(default)]
    pub paused: bool,
    /// What each tick submits, as the body of `POST /v1/jobs`. In a batch `input` is what all inputs have in common.
    #[schema(value_type = JobRequest)]
    pub job: Value,
    /// Many inputs, one job each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchRequest>,
}

/// The inputs of a batch: here, or in a file of JSON lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// An object each, at most 1,000. Their fields go over those of `job.input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub inputs: Option<Vec<Value>>,
    /// The id of an upload instead: one JSON object a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How many of the jobs run at once.
    #[serde(default = "at_once_default")]
    #[schema(minimum = 1, maximum = 50)]
    pub at_once: u32,
}

const fn at_once_default() -> u32 {
    5
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleView {
    /// Its id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// The crontab's five fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Their time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The pause, where there is no `cron`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u64>,
    /// Seconds by which starts may be late.
    pub jitter_s: u64,
    /// What happens to a tick while the work of an earlier one goes on.
    #[schema(schema_with = overlap)]
    pub overlap: Overlap,
    /// Whether it stands still.
    pub paused: bool,
    /// What each tick submits.
    #[schema(value_type = JobRequest)]
    pub job: Value,
    /// Its inputs, where there are many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchView>,
    /// Of a follow-up that starts once: the job that has to end first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = job_id)]
    pub after: Option<JobId>,
    /// Who asked for it, where that was in a chat, e.g. `dcu_42`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// The next ticks, at most five; none while it is paused.
    pub next_runs: Vec<Time>,
    /// The last tick that was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Time>,
    /// Ticks that were passed over because earlier work went on.
    pub skipped: u64,
    /// Of a follow-up that could not be submitted when it was to start: why. It is paused then; resumed, it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Where it is.
    pub href: String,
}

/// The inputs of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchView {
    /// How many there are.
    pub count: u32,
    /// How many of their jobs run at once.
    pub at_once: u32,
}

/// The schedules of a tenant, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleList {
    /// At most 100.
    pub schedules: Vec<ScheduleView>,
}

/// What a tick started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// The tick.
    pub tick: Time,
    /// When it was started.
    pub started_at: Time,
    /// When all its jobs had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Jobs that it has in all.
    pub total: u32,
    /// Inputs whose turn hasn't come.
    pub waiting: u32,
    /// The jobs that run.
    pub running: Vec<RunJobView>,
    /// Jobs that completed.
    pub completed: u32,
    /// Jobs that failed.
    pub failed: u32,
    /// Jobs that were cancelled.
    pub cancelled: u32,
    /// Inputs that could not be submitted.
    pub refused: u32,
    /// Why the first of them could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What the ended jobs cost.
    pub cost: Amount,
}

/// A job of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunJobView {
    /// The job.
    #[schema(schema_with = job_id)]
    pub id: JobId,
    /// Where it is.
    pub href: String,
    /// Which input is its, from 0.
    pub index: u32,
}

/// A page of a schedule's runs, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunView>,
    /// For `?cursor=`; missing at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
