//! One job.

use std::collections::BTreeMap;
use std::sync::Arc;

use convoke_api::job::{JobView, Links, ProgressView};
use convoke_api::time::Time;
use convoke_domain::group::{Group, Root};
use convoke_domain::ids::{GroupId, JobKey};
use convoke_domain::money::Cost;

use super::progress::progress;
use crate::failure::Failure;
use crate::platform::Platform;
use crate::ports::{JobHead, Manifest};
use crate::work::{JobOutline, WorkError};

/// Most reviews that a job shows.
const REVIEWS_MAX: usize = 20;

impl Platform {
    /// A job as it stands, strongly read.
    pub async fn job_view(&self, key: &JobKey) -> Result<JobView, Failure> {
        let (head, root) = self.known_job(key).await?;
        let fans = self.open_groups(key, &root).await?;
        let flow = self.readable_flow(key).await?;
        let now_ms = self.ports.env.now_ms();
        let progress =
            flow.as_ref().map_or_else(ProgressView::default, |flow| progress(&flow.graph, &root, &fans, now_ms));
        let Manifest { warnings, changes, .. } = self.manifest(key, &root).await?.unwrap_or_default();
        let follows = flow.as_ref().and_then(|flow| Some(flow.definition.base.as_ref()?.job.clone()));
        let schedule = flow.as_ref().and_then(|flow| Some(flow.definition.tick.as_ref()?.schedule.clone()));
        let reviews = match &flow {
            Some(flow) => self.review_views(key, (flow, &root), REVIEWS_MAX).await?,
            None => Vec::new(),
        };
        let labels = flow.map(|flow| flow.definition.labels.clone()).unwrap_or_default();
        let job = root
            .root()
            .ok_or_else(|| WorkError::Corrupt { job: key.to_string(), detail: "its item is a map's".to_owned() })?;
        let rested_ms = root.rests_since_ms().map_or(0, |since_ms| now_ms.saturating_sub(since_ms));
        let deadline_at = Time(job.deadline_ms.saturating_add(rested_ms));
        let outline = outline(key, head, (&root, job), &fans);
        Ok(JobView { progress, warnings, changes, follows, labels, schedule, reviews, deadline_at, ..outline })
    }

    /// The job's flow; `None` where this version can't read it any more, which mustn't hide the job.
    async fn readable_flow(&self, key: &JobKey) -> Result<Option<Arc<JobOutline>>, Failure> {
        match self.job_outline(key).await {
            Ok(flow) => Ok(flow),
            Err(WorkError::Corrupt { detail, .. }) => {
                tracing::warn!(job = %key, detail, "the flow of a job can't be read");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// All of a job but what its flow and its manifest say.
fn outline(key: &JobKey, head: JobHead, (root, job): (&Group, &Root), fans: &BTreeMap<GroupId, Group>) -> JobView {
    let is_over = job.status.is_terminal();
    let ending = root.ending.as_ref();
    let spent = fans.values().fold(root.spent, |sum, fan| sum + fan.spent);
    let updated_ms = fans.values().map(|fan| fan.at_ms).fold(root.at_ms, u64::max);
    JobView {
        id: key.job.clone(),
        follows: None,
        schedule: None,
        status: job.status,
        ending: ending.is_some() && !is_over,
        stop_reason: ending.map(|ending| ending.reason),
        cause: ending.map(|ending| ending.cause.clone()).filter(|cause| !cause.is_empty()),
        failed_step: ending.and_then(|ending| ending.step.clone()),
        flow: head.flow,
        title: head.title,
        model: head.model,
        parent: head.parent,
        labels: BTreeMap::new(),
        created_at: Time(job.created_ms),
        updated_at: Time(updated_ms),
        deadline_at: Time(job.deadline_ms),
        ended_at: is_over.then_some(Time(root.at_ms)),
        budget: head.budget.into(),
        cost: Cost::into(spent),
        progress: ProgressView::default(),
        warnings: Vec::new(),
        changes: None,
        reviews: Vec::new(),
        links: Links::of(&key.job),
    }
}
