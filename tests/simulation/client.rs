//! Clients: they submit, cancel and retry, repeat what failed, and remember what they were told.

use std::collections::BTreeMap;
use std::pin::Pin;

use convoke_app::failure::{Failure, Refused};
use convoke_app::platform::Platform;
use convoke_app::ports::{Bell, Definition, Env, Idempotency, JobHead, Payload, Ring, Submission, Submitted};
use convoke_app::script::Script;
use convoke_app::submit::IdempotencyKey;
use convoke_domain::decide::{View, ready_slots};
use convoke_domain::ids::{GroupId, JobId, JobKey};
use convoke_domain::money::{Cost, MicroUsd};
use convoke_domain::status::JobStatus;
use convoke_tests::engine::meter::CALL_USD;
use convoke_tests::engine::root;
use convoke_tests::engine::shapes::Simple;
use convoke_tests::fakes::FakeEnv;
use serde_json::json;

use crate::model::{Bedside, Sleep};
use crate::people;
use crate::plan::{Funds, JobPlan};
use crate::world::Done;

/// What a client was told.
#[derive(Clone, Debug)]
pub enum Told {
    /// Its submission was accepted as this job.
    Accepted { plan: usize, job: JobId },
    /// The job is being cancelled.
    Cancelling { job: JobId },
    /// This person's decision on a review of the job counts.
    Decided { job: JobId, review: String, by: String },
    /// The job is tried again as this one.
    Retried { parent: JobId, job: JobId },
}

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// Somebody who waits by the fake clock.
#[derive(Clone)]
pub struct Client {
    pub platform: Platform,
    pub env: FakeEnv,
    pub bedside: Bedside,
    pub seed: u64,
}

/// What the clients of a job do.
pub fn of(client: &Client, index: usize, job: JobPlan) -> Vec<Work> {
    let work = |number: u64| {
        let client = client.clone();
        Box::pin(async move {
            let id = client.submit(index, job).await;
            let mut told = vec![Told::Accepted { plan: index, job: id.clone() }];
            if number == 0 {
                told.extend(client.after(&JobKey { tenant: tenant(index), job: id }, job).await);
            }
            Done::Told(told)
        }) as Work
    };
    (0..job.submissions).map(work).chain(people::of(client, index, job)).collect()
}

/// Each job has a tenant of its own, and its name is its input.
pub fn tenant(index: usize) -> convoke_domain::ids::TenantId {
    format!("tenant-{index}").parse().expect("valid")
}

/// A job's budget.
pub fn budget(job: JobPlan) -> Cost {
    match job.funds {
        Funds::Plenty => Cost { usd: MicroUsd::from_usd(100), tokens: 100_000_000 },
        Funds::Half => Cost { usd: MicroUsd(CALL_USD * job.shape.model_steps() / 2 + 200), tokens: 1_000_000 },
    }
}

impl Client {
    async fn submit(&self, index: usize, job: JobPlan) -> JobId {
        let Self { platform, env, seed, .. } = self;
        let key = JobKey { tenant: tenant(index), job: env.ulid().parse().expect("valid") };
        let simple = Simple::new(job.shape);
        let (now_ms, graph) = (env.now_ms(), simple.graph());
        let submission = Submission {
            key: key.clone(),
            head: JobHead {
                flow: "f".into(),
                title: "t".into(),
                model: "test/sim".into(),
                budget: budget(job),
                parent: None,
            },
            definition: Definition {
                v: 1,
                graph: None,
                flow: Payload::Inline(json!({ "shape": index })),
                input: Payload::Inline(json!(format!("input of {index}"))),
                model: "test/sim".into(),
                capable: true,
                labels: BTreeMap::new(),
                notify: Vec::new(),
                targets: Vec::new(),
                parent: None,
                tick: None,
                requester: None,
                base: None,
                time_ms: None,
            },
            root: root(graph.nodes.len(), budget(job), (now_ms, job.deadline_ms)),
            idempotency: Some(Idempotency {
                key_hash: format!("{seed}-{index}"),
                body_hash: "b".into(),
                expires_s: now_ms / 1_000 + 86_400,
            }),
            deliveries: Vec::new(),
        };
        loop {
            match platform.ports.jobs.submit(&submission).await {
                Ok(Submitted::Created) => break,
                Ok(Submitted::Earlier { job, .. }) => return job,
                Err(_) => {}
            }
        }
        let view = View { graph, group: &submission.root, now_ms };
        let bell = |slot| Bell { v: 1, key: key.clone(), group: GroupId::Root, slot: Some(slot) };
        let ring = |slot| Ring { bell: bell(slot), delay_s: 0, solo: false };
        let rings: Vec<Ring> = ready_slots(&view).into_iter().map(ring).collect();
        // A bell that can't be rung is the sweep's business.
        drop(platform.ports.bells.ring(&rings).await);
        key.job
    }

    /// What follows a submission: a cancellation, or another try of what failed.
    async fn after(&self, key: &JobKey, job: JobPlan) -> Option<Told> {
        if let Some(after_ms) = job.cancelled_after_ms {
            self.wait(after_ms).await;
            return self.cancel(key).await;
        }
        if !job.retried {
            return None;
        }
        loop {
            let status = self
                .platform
                .ports
                .jobs
                .job(key)
                .await
                .ok()
                .flatten()
                .and_then(|(_, root)| root.root().map(|r| r.status));
            match status {
                Some(JobStatus::Failed) => return Some(self.retry(key).await),
                Some(status) if status.is_terminal() => return None,
                _ => self.wait(30_000).await,
            }
        }
    }

    async fn cancel(&self, key: &JobKey) -> Option<Told> {
        loop {
            match self.platform.cancel(key).await {
                Ok(_) => return Some(Told::Cancelling { job: key.job.clone() }),
                Err(Failure::Refused(Refused::JobAlreadyEnded { .. })) => return None,
                Err(_) => {}
            }
        }
    }

    async fn retry(&self, key: &JobKey) -> Told {
        let again = "again".parse::<IdempotencyKey>().expect("valid");
        loop {
            // More money, or it ends as it did.
            match self.platform.retry(key, &json!({"budget": {"usd": "100"}}), Some(&again)).await {
                Ok(answered) => return Told::Retried { parent: key.job.clone(), job: answered.job.id },
                Err(Failure::Refused(refused)) => panic!("a failed job can't be tried again: {refused:?}"),
                Err(_) => {}
            }
        }
    }

    pub async fn wait(&self, ms: u64) {
        Sleep::new(&self.env, &self.bedside, self.env.now_ms() + ms).await;
    }
}
