//! What callers see of their jobs. Reads only; everything is bounded.

mod events;
mod job;
mod list;
mod progress;
mod result;
pub(crate) mod steps;

use std::collections::BTreeMap;

use convoke_domain::graph::{Graph, LANES_MAX, Map, Work};
use convoke_domain::group::{Group, LANES_PER_GROUP};
use convoke_domain::ids::{GroupId, JobKey, StepId, TenantId};

use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::{JobHead, Manifest, Reads, StepRecord};
use crate::work::load_value;

pub use events::{EVENTS_MAX, EventsAsked, Sleeper, WAIT_MAX};
pub use list::JobsAsked;

/// Most rows of a page.
pub const PAGE_MAX: u32 = 100;
/// Rows of a page where none are asked for.
pub const PAGE_DEFAULT: u32 = 50;

impl Platform {
    /// The key of a tenant's job by its id as a caller writes it; what is no id is no job.
    pub fn job_key(&self, tenant: &TenantId, id: &str) -> Result<JobKey, Failure> {
        let not_found = || Refused::JobNotFound { job: id.chars().take(64).collect() };
        let job = id.parse().map_err(|_| not_found())?;
        Ok(JobKey { tenant: tenant.clone(), job })
    }

    /// The job's constant part and its own item, strongly read.
    pub(crate) async fn known_job(&self, key: &JobKey) -> Result<(JobHead, Group), Failure> {
        let found = self.ports.jobs.job(key).await?;
        Ok(found.ok_or_else(|| Refused::JobNotFound { job: key.job.to_string() })?)
    }

    /// The open groups of a job's maps.
    async fn open_groups(&self, key: &JobKey, root: &Group) -> Result<BTreeMap<GroupId, Group>, Failure> {
        let ids: Vec<GroupId> = root.root().into_iter().flat_map(|job| job.groups.keys().copied()).collect();
        if ids.is_empty() { Ok(BTreeMap::new()) } else { Ok(self.ports.groups.load_groups(key, &ids).await?) }
    }

    /// All groups of those maps, closed ones and the root, too.
    async fn all_groups(&self, key: &JobKey, root: Group, graph: &Graph) -> Result<BTreeMap<GroupId, Group>, Failure> {
        let maps = graph.nodes.iter().enumerate().filter_map(|(index, node)| match &node.work {
            Work::Map(map) => Some((u16::try_from(index).ok()?, map)),
            Work::Thread(_) => None,
        });
        let ids: Vec<GroupId> = maps.flat_map(|(node, map)| parts(node, map)).collect();
        let mut groups = BTreeMap::new();
        if !ids.is_empty() {
            groups = self.ports.groups.load_groups(key, &ids).await?;
        }
        groups.insert(GroupId::Root, root);
        Ok(groups)
    }

    /// What an ended job has delivered; `None` while it hasn't ended.
    pub(crate) async fn manifest(&self, key: &JobKey, root: &Group) -> Result<Option<Manifest>, Failure> {
        if !root.root().is_some_and(|root| root.status.is_terminal()) {
            return Ok(None);
        }
        let finish = StepId::finish();
        let Some(record) = self.result_of(key, &finish).await? else { return Ok(None) };
        Ok(Some(load_value(&*self.ports.blobs, key, &record.output).await?))
    }

    pub(crate) async fn result_of(&self, key: &JobKey, step: &StepId) -> Result<Option<StepRecord>, Failure> {
        let reads = Reads { results: vec![step.clone()], ..Reads::default() };
        Ok(self.ports.steps.fetch(key, &reads).await?.results.remove(step))
    }
}

/// The groups that a map may have.
fn parts(node: u16, map: &Map) -> impl Iterator<Item = GroupId> + use<> {
    let lanes = map.concurrency.clamp(1, LANES_MAX);
    let count = if map.ordered { 1 } else { lanes.div_ceil(LANES_PER_GROUP) };
    (0..count).filter_map(move |part| Some(GroupId::Fan { node, part: u16::try_from(part).ok()? }))
}

/// A limit of rows, as asked.
pub(crate) fn page_limit(asked: Option<u32>) -> Result<u32, Failure> {
    match asked {
        None => Ok(PAGE_DEFAULT),
        Some(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Refused::Malformed { detail: format!("limit has to be from 1 to {PAGE_MAX}") }.into()),
    }
}
