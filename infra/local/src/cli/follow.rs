//! Following a job until it has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use convoke_api::event::{EventList, EventWhat};
use convoke_api::job::JobView;
use convoke_api::step::{StepList, StepView};

use super::api::Api;
use super::failure::Failure;
use super::progress::Progress;
use super::reviews::Asker;

/// How long one request waits for news, in seconds.
const WAIT_S: u32 = 5;
/// Requests for news that may fail one after another: the installation may be starting again.
const FAILURES_MAX: u32 = 30;
/// Pause before the next.
const PAUSE: Duration = Duration::from_millis(500);

/// Does a request that may be repeated; where the installation is gone meanwhile, `again` finds the one that goes on, and
/// from then on `api` leads there.
pub async fn insist<T>(
    api: &Api,
    again: &impl AsyncFn() -> Result<Api, Failure>,
    request: impl AsyncFn() -> Result<T, Failure>,
) -> Result<T, Failure> {
    for _ in 0..FAILURES_MAX {
        match request().await {
            Err(failure) if failure.gone => {
                tokio::time::sleep(PAUSE).await;
                if let Ok(other) = again().await {
                    api.follow(&other);
                }
            }
            answer => return answer,
        }
    }
    request().await
}

/// Follows a job, showing its progress; answers how it ended. Where the installation is gone, `again` finds the one that
/// goes on, and from then on `api` leads there.
pub async fn follow(
    api: &Api,
    job: &str,
    progress: &mut Progress,
    again: &impl AsyncFn() -> Result<Api, Failure>,
) -> Result<JobView, Failure> {
    let mut after = 0_u64;
    let mut failures = 0;
    let mut asker = Asker::default();
    loop {
        let news = tokio::select! {
            news = news(api, job, after) => news,
            line = asker.line() => {
                asker.answer(api, job, (&line, progress)).await;
                continue;
            }
        };
        match news {
            Ok((events, view)) => {
                failures = 0;
                after = events.next_after;
                show(api, job, &events, progress).await?;
                progress.state(&view);
                asker.look(&view, progress);
                if view.status.is_terminal() {
                    progress.end();
                    return Ok(view);
                }
            }
            Err(failure) if failures >= FAILURES_MAX || failure.exit == super::failure::Exit::Usage => {
                progress.end();
                return Err(failure);
            }
            Err(_) => {
                failures += 1;
                tokio::time::sleep(PAUSE).await;
                if let Ok(other) = again().await {
                    api.follow(&other);
                }
            }
        }
    }
}

async fn news(api: &Api, job: &str, after: u64) -> Result<(EventList, JobView), Failure> {
    let events = api.get(&format!("/v1/jobs/{job}/events?after={after}&wait_s={WAIT_S}")).await?;
    let view = api.get(&format!("/v1/jobs/{job}")).await?;
    Ok((decode(events)?, decode(view)?))
}

async fn show(api: &Api, job: &str, events: &EventList, progress: &mut Progress) -> Result<(), Failure> {
    let completed = events.events.iter().any(|event| matches!(event.what, EventWhat::StepCompleted { .. }));
    let steps = if completed { steps(api, job).await? } else { BTreeMap::new() };
    for event in &events.events {
        let step = match &event.what {
            EventWhat::StepCompleted { step, .. } => steps.get(step),
            _ => None,
        };
        progress.event(event, step);
    }
    Ok(())
}

/// The first page of a job's steps, by name.
pub async fn steps(api: &Api, job: &str) -> Result<BTreeMap<String, StepView>, Failure> {
    let list: StepList = decode(api.get(&format!("/v1/jobs/{job}/steps?limit=100")).await?)?;
    Ok(list.steps.into_iter().map(|step| (step.step.clone(), step)).collect())
}

/// Reads an answer.
pub fn decode<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| Failure::caused("the installation's answer can't be read", &error))
}
