//! Looking at jobs, and acting on them.

use std::path::PathBuf;

use convoke_api::event::EventList;
use convoke_api::job::{Accepted, ChangesView, JobList, JobView};
use convoke_api::step::StepState;
use serde_json::{Value, json};

use super::api::Api;
use super::args::{JobArgs, JobsCommand, ReviewArgs, Target};
use super::failure::{Exit, Failure};
use super::follow::{self, decode};
use super::progress::{Progress, Show, printable};
use super::session::{Needs, Session};
use super::{download, reviews};
use crate::local::Duty;

/// Does what is asked. Where nobody serves, only `watch` works on jobs; the others look, or leave word.
pub async fn jobs(command: JobsCommand, session: &Session<'_>) -> Result<Exit, Failure> {
    let connect = async |target: &Target| session.connect(target, Needs { model: None, duty: Duty::Answer }).await;
    match command {
        JobsCommand::List { status, limit, json, target } => {
            list(&connect(&target).await?, (status, limit), json).await
        }
        JobsCommand::Show(args) => show(&connect(&args.target).await?, &args).await,
        JobsCommand::Watch(args) => {
            let again = async || session.connect(&args.target, Needs { model: None, duty: Duty::Work }).await;
            watch(&again().await?, &args, &again).await
        }
        JobsCommand::Logs(args) => logs(&connect(&args.target).await?, &args).await,
        JobsCommand::Cancel(args) => {
            let acted = act(&connect(&args.target).await?, &args, "cancel").await;
            leave_word(session, acted).await
        }
        JobsCommand::Retry(args) => {
            let acted = act(&connect(&args.target).await?, &args, "retry").await;
            leave_word(session, acted).await
        }
        JobsCommand::Reviews(args) => reviews::list(&connect(&args.target).await?, &args).await,
        JobsCommand::Artifacts(args) => artifacts(&connect(&args.target).await?, &args).await,
        JobsCommand::Download { job, out, target } => copy(&connect(&target).await?, &job, out).await,
    }
}

/// Decides a review. Where nobody serves, somebody else goes on with the job.
pub async fn review(args: &ReviewArgs, session: &Session<'_>) -> Result<Exit, Failure> {
    let api = session.connect(&args.target, Needs { model: None, duty: Duty::Answer }).await?;
    let acted = reviews::decide(&api, args).await;
    leave_word(session, acted).await
}

async fn list(api: &Api, (status, limit): (Option<String>, u32), json: bool) -> Result<Exit, Failure> {
    let status = status.map(|status| format!("&status={status}")).unwrap_or_default();
    let answer = api.get(&format!("/v1/jobs?limit={limit}{status}")).await?;
    if json {
        return print(&answer);
    }
    let list: JobList = decode(answer)?;
    for job in list.jobs {
        let cost = job.cost.map(|cost| format!("${}", cost.usd)).unwrap_or_default();
        println!("{}  {:<15} {:<12} {:<10} {}", job.id, job.status.as_str(), job.flow, cost, printable(&job.title));
    }
    Ok(Exit::Done)
}

async fn show(api: &Api, args: &JobArgs) -> Result<Exit, Failure> {
    let answer = api.get(&format!("/v1/jobs/{}", args.job)).await?;
    if args.json {
        return print(&answer);
    }
    let job: JobView = decode(answer)?;
    summary(&job);
    for step in follow::steps(api, &args.job).await?.into_values() {
        let mark = match step.state {
            StepState::Completed => "✓",
            StepState::Failed => "✗",
            StepState::Running => "▸",
            StepState::AwaitingReview => "?",
            _ => "·",
        };
        println!("  {mark} {}", printable(&step.step));
    }
    Ok(Exit::Done)
}

/// Prints how a job stands.
pub fn summary(job: &JobView) {
    for warning in &job.warnings {
        println!("! {}", printable(warning));
    }
    let reason = job.stop_reason.map(|reason| format!(" ({})", reason.as_str())).unwrap_or_default();
    println!("{}  {}{reason}  {}", job.id, job.status.as_str(), printable(&job.title));
    if let Some(cause) = &job.cause {
        let step = job.failed_step.as_deref().map(|step| format!("{step}: ")).unwrap_or_default();
        println!("  {}", printable(&format!("{step}{cause}")));
    }
    if let Some(changes) = &job.changes {
        let ChangesView { added, changed, removed, .. } = changes;
        println!("  compared with before: {added} added, {changed} changed, {removed} removed");
    }
    println!("  ${} of ${}, {} tokens, {}", job.cost.usd, job.budget.usd, job.cost.tokens, printable(&job.model));
}

/// Nobody works on what was asked for: says who would.
async fn leave_word(session: &Session<'_>, acted: Result<Exit, Failure>) -> Result<Exit, Failure> {
    if acted.is_ok() && session.is_own().await {
        eprintln!("nobody serves; `convoke serve` or `convoke jobs watch` goes on with it");
    }
    acted
}

async fn watch(api: &Api, args: &JobArgs, again: &impl AsyncFn() -> Result<Api, Failure>) -> Result<Exit, Failure> {
    let mut progress = Progress::new(if args.json { Show::Nothing } else { Show::Progress });
    let job = follow::follow(api, &args.job, &mut progress, again).await?;
    if args.json {
        print(&serde_json::to_value(&job).unwrap_or_default())?;
    } else {
        summary(&job);
    }
    Ok(exit_of(&job))
}

/// How a job that has ended exits.
pub fn exit_of(job: &JobView) -> Exit {
    Exit::of_job(job.status.as_str(), job.stop_reason.map_or("", convoke_domain::status::StopReason::as_str))
}

async fn logs(api: &Api, args: &JobArgs) -> Result<Exit, Failure> {
    let mut after = 0;
    loop {
        let answer = api.get(&format!("/v1/jobs/{}/events?after={after}&limit=100", args.job)).await?;
        let list: EventList = decode(answer)?;
        for event in &list.events {
            let line = serde_json::to_string(event).unwrap_or_default();
            println!("{}", if args.json { line } else { printable(&line) });
        }
        if list.events.is_empty() {
            return Ok(Exit::Done);
        }
        after = list.next_after;
    }
}

async fn act(api: &Api, args: &JobArgs, verb: &str) -> Result<Exit, Failure> {
    let answer = api.post(&format!("/v1/jobs/{}/{verb}", args.job), &json!({})).await?;
    if args.json {
        return print(&answer);
    }
    let accepted: Accepted = decode(answer)?;
    println!("{}  {}", accepted.id, accepted.status.as_str());
    Ok(Exit::Done)
}

async fn artifacts(api: &Api, args: &JobArgs) -> Result<Exit, Failure> {
    let artifacts = download::artifacts(api, &args.job).await?;
    if args.json {
        return print(&serde_json::to_value(&artifacts).unwrap_or_default());
    }
    for artifact in artifacts {
        println!(
            "{:>10}  {}  {}",
            artifact.bytes,
            &artifact.sha256[..12.min(artifact.sha256.len())],
            printable(&artifact.path)
        );
    }
    Ok(Exit::Done)
}

async fn copy(api: &Api, job: &str, out: Option<PathBuf>) -> Result<Exit, Failure> {
    let out = out.unwrap_or_else(|| PathBuf::from(format!("convoke-{job}")));
    let artifacts = download::download(api, job, &out).await?;
    println!("{} files in {}", artifacts.len(), out.display());
    Ok(Exit::Done)
}

/// Prints JSON on standard output.
pub fn print(value: &Value) -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::caused("no JSON", &error))?;
    println!("{text}");
    Ok(Exit::Done)
}
