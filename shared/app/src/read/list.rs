//! The list of a tenant's jobs.

use convoke_api::cursor;
use convoke_api::job::{JobList, JobSummary, Links};
use convoke_api::time::Time;
use convoke_domain::ids::{JobId, TenantId};
use convoke_domain::status::JobStatus;

use super::page_limit;
use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::{JobFilter, JobRow};

/// Which jobs are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobsAsked {
    /// Only in this state.
    pub status: Option<JobStatus>,
    /// Only of this flow.
    pub flow: Option<String>,
    /// Only submitted then or later.
    pub created_after: Option<Time>,
    /// Go on where an earlier page ended.
    pub cursor: Option<String>,
    /// Most rows.
    pub limit: Option<u32>,
}

impl Platform {
    /// A page of the tenant's jobs, newest first. The list may lag a little behind.
    pub async fn jobs(&self, tenant: &TenantId, asked: &JobsAsked) -> Result<JobList, Failure> {
        let limit = page_limit(asked.limit)?;
        let after: Option<JobId> =
            asked.cursor.as_deref().map(|text| cursor::decode("jobs", text)).transpose().map_err(Refused::Cursor)?;
        let filter = JobFilter {
            status: asked.status,
            flow: asked.flow.clone(),
            created_after_ms: asked.created_after.map(|time| time.0),
        };
        let page = self.ports.jobs.list(tenant, &filter, after.as_ref(), limit).await?;
        Ok(JobList {
            jobs: page.rows.into_iter().map(summary).collect(),
            next_cursor: page.next.map(|job| cursor::encode("jobs", &job)),
        })
    }
}

fn summary(row: JobRow) -> JobSummary {
    JobSummary {
        href: Links::of(&row.id).this,
        id: row.id,
        status: row.status,
        stop_reason: row.stop_reason,
        flow: row.flow,
        title: row.title,
        created_at: Time(row.created_ms),
        cost: row.cost.map(Into::into),
    }
}
