//! Which job is meant.
//!
//! In direct messages people see all jobs of what they are linked to; a guild or a group sees those that are told of in it.

use convoke_api::job::JobSummary;
use convoke_app::failure::Failure;
use convoke_app::read::JobsAsked;
use convoke_chat::answer;
use convoke_chat::command::{JobName, Verb};
use convoke_domain::chat::RealmId;
use convoke_domain::ids::JobKey;
use convoke_domain::status::JobStatus;

use crate::Desk;
use crate::here::Here;
use crate::trouble::Trouble;

/// The latest jobs that are looked through; what is read of each stays at hand in this process, so that typing on costs
/// nothing.
const LOOKED_AT: u32 = 50;

impl Desk {
    /// The latest jobs that can be seen from here, newest first.
    pub(crate) async fn jobs_here(
        &self,
        here: &Here<'_>,
        status: Option<JobStatus>,
    ) -> Result<Vec<JobSummary>, Failure> {
        let asked = JobsAsked { status, limit: Some(LOOKED_AT), ..JobsAsked::default() };
        let jobs = self.platform.jobs(&here.link.tenant, &asked).await?.jobs;
        if sees_all(&here.link.realm) {
            return Ok(jobs);
        }
        let keys: Vec<JobKey> = jobs.iter().map(|job| here.key(job.id.clone())).collect();
        let told = self.platform.told_in(&keys, &here.link.realm).await?;
        Ok(jobs.into_iter().zip(told).filter_map(|(job, is_told)| is_told.then_some(job)).collect())
    }

    /// The job of a name; without one the latest that fits. Where several are meant, they are shown.
    pub(crate) async fn find(
        &self,
        here: &Here<'_>,
        (verb, name): (Verb, Option<&JobName>),
        fits: fn(JobStatus) -> bool,
    ) -> Result<JobKey, Trouble> {
        if let Some(id) = name.and_then(JobName::id) {
            return self.seen(here, here.key(id)).await;
        }
        let jobs = self.jobs_here(here, None).await?;
        let Some(name) = name else { return latest(here, verb, jobs, fits) };
        let mut named: Vec<JobSummary> = jobs.into_iter().filter(|job| name.names(&job.id)).collect();
        match named.len() {
            0 => Err(answer::no_job().into()),
            1 => Ok(here.key(named.remove(0).id)),
            _ => Err(answer::which(verb, &named).into()),
        }
    }

    /// A job that is named whole, where it can be seen from here.
    pub(crate) async fn seen(&self, here: &Here<'_>, key: JobKey) -> Result<JobKey, Trouble> {
        let is_seen = sees_all(&here.link.realm)
            || self.platform.told_in(std::slice::from_ref(&key), &here.link.realm).await? == [true];
        if is_seen { Ok(key) } else { Err(answer::no_job().into()) }
    }
}

/// Whoever is linked alone is the one who pays.
pub(crate) const fn sees_all(realm: &RealmId) -> bool {
    matches!(realm, RealmId::Person(_))
}

/// The latest job that fits. What can't be taken back is done only where one alone fits.
fn latest(here: &Here<'_>, verb: Verb, jobs: Vec<JobSummary>, fits: fn(JobStatus) -> bool) -> Result<JobKey, Trouble> {
    let mut fitting: Vec<JobSummary> = jobs.into_iter().filter(|job| fits(job.status)).collect();
    if fitting.is_empty() {
        return Err(answer::no_job_fits().into());
    }
    if verb == Verb::Cancel && fitting.len() > 1 {
        return Err(answer::which(verb, &fitting).into());
    }
    Ok(here.key(fitting.remove(0).id))
}
