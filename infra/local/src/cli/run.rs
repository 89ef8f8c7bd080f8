//! `convoke run`: submit, watch, copy what was made.

use std::path::{Path, PathBuf};

use convoke_api::job::{Accepted, JobView};
use convoke_runtime::models::prices;
use serde_json::{Value, json};

use super::api::Api;
use super::args::{FollowUpArgs, RunArgs};
use super::failure::{Exit, Failure};
use super::follow::{self, decode};
use super::input::{self, Order};
use super::jobs::{exit_of, print, summary};
use super::progress::{Progress, Show};
use super::{download, notes};
use crate::local::EMBEDDED_MODEL;
use crate::settings::Settings;

/// Runs a job from submission to artifacts on disk; `again` finds the installation that goes on where one is gone.
pub async fn run(
    api: &Api,
    (settings, args): (&Settings, &RunArgs),
    (order, idempotency_key): (Order, &str),
    again: &impl AsyncFn() -> Result<Api, Failure>,
) -> Result<Exit, Failure> {
    let body = input::submission(api, order).await?;
    let shown = Shown { out: args.out.as_deref(), json: args.json };
    work(api, settings, ("/v1/jobs", &body, idempotency_key), shown, again).await
}

/// The same for a job that goes on from the files of another.
pub async fn follow_up(
    api: &Api,
    (settings, args): (&Settings, &FollowUpArgs),
    idempotency_key: &str,
    again: &impl AsyncFn() -> Result<Api, Failure>,
) -> Result<Exit, Failure> {
    let mut body = json!({"prompt": args.prompt});
    if let Some(usd) = args.budget {
        body["budget"] = json!({"usd": usd.to_string()});
    }
    let path = format!("/v1/jobs/{}/follow-up", args.job);
    let shown = Shown { out: args.out.as_deref(), json: args.json };
    work(api, settings, (&path, &body, idempotency_key), shown, again).await
}

/// Where what was made goes, and how it is told.
#[derive(Clone, Copy)]
struct Shown<'args> {
    out: Option<&'args Path>,
    json: bool,
}

async fn work(
    api: &Api,
    settings: &Settings,
    (path, body, idempotency_key): (&str, &Value, &str),
    shown: Shown<'_>,
    again: &impl AsyncFn() -> Result<Api, Failure>,
) -> Result<Exit, Failure> {
    // The idempotency key makes a repeat the same job.
    let submit = async || api.submit(path, body, idempotency_key).await;
    let accepted: Accepted = decode(follow::insist(api, again, submit).await?)?;
    let mut progress = Progress::new(if shown.json { Show::Nothing } else { Show::Progress });
    let view = async || api.get(&format!("/v1/jobs/{}", accepted.id)).await;
    begin(settings, &decode(follow::insist(api, again, view).await?)?, &progress)?;
    let job = tokio::select! {
        job = follow::follow(api, accepted.id.as_str(), &mut progress, again) => job?,
        _ = tokio::signal::ctrl_c() => cancelled(api, &accepted, &mut progress, again).await?,
    };
    deliver(api, shown, &job, again).await
}

/// Says which model works, and what to know about it.
fn begin(settings: &Settings, job: &JobView, progress: &Progress) -> Result<(), Failure> {
    progress.line(&format!("job {}  model {}", job.id, job.model));
    for note in notes(settings, &job.model, job.budget.tokens)? {
        progress.line(&format!("note: {note}"));
    }
    Ok(())
}

/// What to know about a model before it works.
pub fn notes(settings: &Settings, model: &str, tokens_max: u64) -> Result<Vec<String>, Failure> {
    let prices = prices(settings).map_err(|mistakes| Failure::usage(settings.explain(&mistakes)))?;
    let mut lines = notes::unused_keys(settings, model);
    lines.extend(notes::unpriced(&prices, model, tokens_max));
    Ok(lines)
}

/// The first interrupt cancels the job, and waits for what it delivers; the second ends the process.
async fn cancelled(
    api: &Api,
    accepted: &Accepted,
    progress: &mut Progress,
    again: &impl AsyncFn() -> Result<Api, Failure>,
) -> Result<JobView, Failure> {
    progress.line("cancelling; press Ctrl-C again to leave at once");
    api.post(&format!("/v1/jobs/{}/cancel", accepted.id), &json!({})).await?;
    tokio::select! {
        job = follow::follow(api, accepted.id.as_str(), progress, again) => job,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Cancelled, "left")),
    }
}

async fn deliver(
    api: &Api,
    shown: Shown<'_>,
    job: &JobView,
    again: &impl AsyncFn() -> Result<Api, Failure>,
) -> Result<Exit, Failure> {
    let out = shown.out.map_or_else(|| PathBuf::from(format!("convoke-{}", job.id)), Path::to_owned);
    let copy = async || download::download(api, job.id.as_str(), &out).await;
    let artifacts = follow::insist(api, again, copy).await?;
    if shown.json {
        let paths: Vec<&str> = artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
        print(&json!({ "job": job, "out": out, "artifacts": paths }))?;
        return Ok(exit_of(job));
    }
    println!();
    summary(job);
    if let Ok(tree) = std::fs::read_to_string(out.join("PROJECT_TREE.txt")) {
        println!("\n{}{}", out.display(), tree.strip_prefix('.').unwrap_or(&tree));
    }
    println!("Report: {}", out.join("REPORT.md").display());
    if job.model == EMBEDDED_MODEL {
        println!("\nThis was the embedded model, which is small. For a strong one, for example:");
        println!("  OPENAI_API_KEY=... convoke run --model openai/gpt-4.1 \"...\"");
    }
    Ok(exit_of(job))
}
