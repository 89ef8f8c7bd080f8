//! Which job is meant.
//!
//! In direct messages people see all jobs of what they are linked to; a guild or a group sees those that are told of in it.

use convoke_api::job::JobSummary;
use convoke_app::failure::Failure;
use convoke_app::read::JobsAsked;
use convoke_chat::answer::{self, ROWS_MAX};
use convoke_chat::command::{JobName, Verb};
use convoke_domain::chat::RealmId;
use convoke_domain::ids::JobKey;
use convoke_domain::status::JobStatus;

use crate::Desk;
use crate::here::Here;
use crate::trouble::Trouble;

/// Jobs that are looked through at a time; what is read of each stays at hand in this process, so that typing on costs
/// nothing.
const LOOKED_AT: u32 = 50;
/// Times that they are: a tenant may have many jobs of which nothing is told here.
const PAGES_MAX: usize = 10;

impl Desk {
    /// The latest jobs that can be seen from here, newest first: as many as are shown, or more.
    pub(crate) async fn jobs_here(
        &self,
        here: &Here<'_>,
        status: Option<JobStatus>,
    ) -> Result<Vec<JobSummary>, Failure> {
        self.jobs_until(here, status, |jobs| jobs.len() >= ROWS_MAX).await
    }

    /// The latest jobs that can be seen from here, newest first, until they are enough or too many were looked at.
    async fn jobs_until(
        &self,
        here: &Here<'_>,
        status: Option<JobStatus>,
        are_enough: impl Fn(&[JobSummary]) -> bool,
    ) -> Result<Vec<JobSummary>, Failure> {
        let mut seen = Vec::new();
        let mut asked = JobsAsked { status, limit: Some(LOOKED_AT), ..JobsAsked::default() };
        for _ in 0..PAGES_MAX {
            let page = self.platform.jobs(&here.link.tenant, &asked).await?;
            seen.extend(self.seen_of(here, page.jobs).await?);
            asked.cursor = page.next_cursor;
            if asked.cursor.is_none() || are_enough(&seen) {
                break;
            }
        }
        Ok(seen)
    }

    /// Those that can be seen from here.
    async fn seen_of(&self, here: &Here<'_>, jobs: Vec<JobSummary>) -> Result<Vec<JobSummary>, Failure> {
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
        let Some(name) = name else {
            let wanted = if verb == Verb::Cancel { 2 } else { 1 };
            let are_enough = |jobs: &[JobSummary]| jobs.iter().filter(|job| fits(job.status)).count() >= wanted;
            return latest(here, verb, self.jobs_until(here, None, are_enough).await?, fits);
        };
        let is_named = |job: &JobSummary| name.names(&job.id);
        let mut named = self.jobs_until(here, None, |jobs| jobs.iter().any(is_named)).await?;
        named.retain(is_named);
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
