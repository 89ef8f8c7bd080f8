//! `convoke run`: submit, watch, copy what was made.

use std::path::PathBuf;

use convoke_api::job::{Accepted, JobView};
use serde_json::json;

use super::api::Api;
use super::args::RunArgs;
use super::failure::{Exit, Failure};
use super::follow::{self, decode};
use super::jobs::{exit_of, print, summary};
use super::progress::{Progress, Show};
use super::{download, input};

/// Runs a job from submission to artifacts on disk.
pub async fn run(api: &Api, args: &RunArgs, idempotency_key: &str) -> Result<Exit, Failure> {
    let body = input::submission(api, args).await?;
    let accepted: Accepted = decode(api.submit(&body, idempotency_key).await?)?;
    let mut progress = Progress::new(if args.json { Show::Nothing } else { Show::Progress });
    progress.line(&format!("job {}", accepted.id));
    let job = tokio::select! {
        job = follow::follow(api, accepted.id.as_str(), &mut progress) => job?,
        _ = tokio::signal::ctrl_c() => cancelled(api, &accepted, &mut progress).await?,
    };
    deliver(api, args, &job).await
}

/// The first interrupt cancels the job, and waits for what it delivers; the second ends the process.
async fn cancelled(api: &Api, accepted: &Accepted, progress: &mut Progress) -> Result<JobView, Failure> {
    progress.line("cancelling; press Ctrl-C again to leave at once");
    api.post(&format!("/v1/jobs/{}/cancel", accepted.id), &json!({})).await?;
    tokio::select! {
        job = follow::follow(api, accepted.id.as_str(), progress) => job,
        _ = tokio::signal::ctrl_c() => Err(Failure { exit: Exit::Cancelled, message: "left".to_owned() }),
    }
}

async fn deliver(api: &Api, args: &RunArgs, job: &JobView) -> Result<Exit, Failure> {
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("convoke-{}", job.id)));
    let artifacts = download::download(api, job.id.as_str(), &out).await?;
    if args.json {
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
    Ok(exit_of(job))
}
