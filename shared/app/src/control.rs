//! What a caller may do to a job that exists: cancel it, or try it again.

use convoke_api::job::{Accepted, Links};
use convoke_domain::decide::{self, View};
use convoke_domain::graph::Graph;
use convoke_domain::group::{Ending, Group};
use convoke_domain::ids::{GroupId, JobKey};
use convoke_domain::status::{JobStatus, StopReason};

use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::{Applied, Bell, Ring};
use crate::work::WorkError;

/// How often a change is tried that others get in the way of.
const RACES_MAX: u32 = 5;

impl Platform {
    /// Ends a job because somebody says so: nothing more is started, what was made so far is delivered. Idempotent while
    /// the job ends; after that [`Refused::JobAlreadyEnded`].
    pub async fn cancel(&self, key: &JobKey) -> Result<Accepted, Failure> {
        let graph = Graph::default();
        for _ in 0..RACES_MAX {
            let (_, root) = self.known_job(key).await?;
            let status = status_of(&root);
            if status.is_terminal() {
                return Err(Refused::JobAlreadyEnded { status }.into());
            }
            let view = View { graph: &graph, group: &root, now_ms: self.ports.env.now_ms() };
            let ending = Ending::new(StopReason::Cancelled, None, "cancelled on request");
            // It refuses only what is ending already.
            let Ok(change) = decide::end(&view, ending, self.ports.env.nonce()) else {
                return Ok(accepted(key, status));
            };
            match self.ports.groups.apply(key, &change).await? {
                Applied::Done(root) => {
                    self.ask_for_a_look(key).await;
                    return Ok(accepted(key, status_of(&root)));
                }
                Applied::Conflict(_) => {}
                Applied::Missing => return Err(no_job(key)),
            }
        }
        Err(WorkError::Contended { job: key.to_string() }.into())
    }

    /// Rings for a look at the job. A bell that gets lost is the sweep's to make up for.
    async fn ask_for_a_look(&self, key: &JobKey) {
        let bell = Bell { v: 1, key: key.clone(), group: GroupId::Root, slot: None };
        if let Err(error) = self.ports.bells.ring(&[Ring { bell, delay_s: 0, solo: false }]).await {
            tracing::warn!(job = %key, error = &error as &dyn std::error::Error, "the sweep will have to look");
        }
    }
}

fn status_of(root: &Group) -> JobStatus {
    root.root().map_or(JobStatus::Queued, |root| root.status)
}

fn accepted(key: &JobKey, status: JobStatus) -> Accepted {
    Accepted { id: key.job.clone(), status, links: Links::of(&key.job) }
}

fn no_job(key: &JobKey) -> Failure {
    Refused::JobNotFound { job: key.job.to_string() }.into()
}
