//! Making schedules, looking at them, and acting on them.

use convoke_api::schedule::{RunList, RunView, ScheduleList, ScheduleView};
use convoke_domain::schedule::Overlap;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::args::{ScheduleArgs, ScheduleRef, SchedulesCommand, Target};
use super::failure::{Exit, Failure};
use super::follow::decode;
use super::input;
use super::jobs::print;
use super::progress::printable;
use super::session::{Needs, Session};
use crate::local::Duty;
use crate::settings::Settings;

/// Runs that `show` shows.
const RUNS_SHOWN: u32 = 5;

/// Does what is asked. Schedules tick while somebody serves.
pub async fn schedules(
    command: SchedulesCommand,
    (settings, session): (&Settings, &Session<'_>),
) -> Result<Exit, Failure> {
    let connect = async |target: &Target| session.connect(target, Needs { model: None, duty: Duty::Answer }).await;
    match command {
        SchedulesCommand::Create(args) => {
            let draft = draft(settings, &args)?;
            let made = create(&connect(&args.order.target).await?, &args, draft).await;
            leave_word(session, made).await
        }
        SchedulesCommand::List { json, target } => list(&connect(&target).await?, json).await,
        SchedulesCommand::Show(of) => show(&connect(&of.target).await?, &of).await,
        SchedulesCommand::Pause(of) => act(&connect(&of.target).await?, &of, "pause").await,
        SchedulesCommand::Resume(of) => act(&connect(&of.target).await?, &of, "resume").await,
        SchedulesCommand::Run(of) => {
            let run = run(&connect(&of.target).await?, &of).await;
            leave_word(session, run).await
        }
        SchedulesCommand::Delete(of) => {
            connect(&of.target).await?.delete(&path(&of, "")).await?;
            Ok(Exit::Done)
        }
    }
}

fn draft(settings: &Settings, args: &ScheduleArgs) -> Result<input::Order, Failure> {
    if !args.order.file.is_empty() {
        return Err(Failure::usage("--file: uploads don't last as long as schedules; put the text into the input"));
    }
    if serde_json::from_value::<Overlap>(json!(args.overlap)).is_err() {
        return Err(Failure::usage(format!("--overlap {:?}: expected skip, queue or allow", args.overlap)));
    }
    match (&args.cron, args.every) {
        (None, None) => return Err(Failure::usage("say when, by --cron \"0 6 * * MON-FRI\" or --every 15m")),
        (Some(_), Some(_)) => return Err(Failure::usage("--every stands beside --cron: leave one of the two out")),
        _ => {}
    }
    if args.inputs.is_some() { input::draft(settings, &args.order) } else { input::order(settings, &args.order) }
}

async fn create(api: &Api, args: &ScheduleArgs, order: input::Order) -> Result<Exit, Failure> {
    let mut body = Map::new();
    for (name, value) in [
        ("name", args.name.as_ref().map(|name| json!(name))),
        ("cron", args.cron.as_ref().map(|cron| json!(cron))),
        ("time_zone", args.time_zone.as_ref().map(|zone| json!(zone))),
        ("every_s", args.every.map(|seconds| json!(seconds))),
        ("jitter_s", Some(json!(args.jitter))),
        ("overlap", Some(json!(args.overlap))),
    ] {
        body.extend(value.map(|value| (name.to_owned(), value)));
    }
    if let Some(inputs) = &args.inputs {
        let file = input::upload_file(api, inputs).await?;
        body.insert("batch".to_owned(), json!({"file": file, "at_once": args.at_once}));
    }
    body.insert("job".to_owned(), input::submission(api, order).await?);
    shown(api.post("/v1/schedules", &Value::Object(body)).await?, args.json)
}

async fn list(api: &Api, json: bool) -> Result<Exit, Failure> {
    let answer = api.get("/v1/schedules").await?;
    if json {
        return print(&answer);
    }
    let list: ScheduleList = decode(answer)?;
    list.schedules.iter().for_each(line);
    Ok(Exit::Done)
}

async fn show(api: &Api, of: &ScheduleRef) -> Result<Exit, Failure> {
    let answer = api.get(&path(of, "")).await?;
    let runs = api.get(&path(of, &format!("/runs?limit={RUNS_SHOWN}"))).await?;
    if of.json {
        return print(&json!({"schedule": answer, "runs": runs["runs"]}));
    }
    let schedule: ScheduleView = decode(answer)?;
    line(&schedule);
    for next in &schedule.next_runs {
        println!("  next  {next}");
    }
    let runs: RunList = decode(runs)?;
    runs.runs.iter().for_each(ran);
    Ok(Exit::Done)
}

async fn act(api: &Api, of: &ScheduleRef, what: &str) -> Result<Exit, Failure> {
    shown(api.post(&path(of, &format!("/{what}")), &json!({})).await?, of.json)
}

async fn run(api: &Api, of: &ScheduleRef) -> Result<Exit, Failure> {
    let answer = api.post(&path(of, "/run"), &json!({})).await?;
    if of.json {
        return print(&answer);
    }
    ran(&decode(answer)?);
    Ok(Exit::Done)
}

fn path(of: &ScheduleRef, rest: &str) -> String {
    let id: String = of.schedule.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("/v1/schedules/{id}{rest}")
}

fn shown(answer: Value, json: bool) -> Result<Exit, Failure> {
    if json {
        return print(&answer);
    }
    line(&decode(answer)?);
    Ok(Exit::Done)
}

fn line(schedule: &ScheduleView) {
    let when = match (&schedule.cron, schedule.every_s) {
        (Some(cron), _) => format!("{cron} {}", schedule.time_zone.as_deref().unwrap_or("UTC")),
        (None, Some(seconds)) => format!("every {seconds} s"),
        (None, None) => schedule.after.as_ref().map(|job| format!("after {job}")).unwrap_or_default(),
    };
    let next = match schedule.next_runs.first() {
        _ if schedule.paused => "paused".to_owned(),
        _ if schedule.after.is_some() => "once".to_owned(),
        Some(next) => format!("next {next}"),
        None => "never again".to_owned(),
    };
    let batch = schedule.batch.as_ref().map(|batch| format!("  {} inputs", batch.count)).unwrap_or_default();
    println!("{}  {when}  {next}  {}{batch}", schedule.id, printable(&schedule.name));
    if let Some(refusal) = &schedule.refusal {
        println!("  refused: {}", printable(refusal));
    }
}

fn ran(run: &RunView) {
    let state = if run.ended_at.is_some() { "ended" } else { "working" };
    let counts = [
        ("completed", run.completed),
        ("failed", run.failed),
        ("cancelled", run.cancelled),
        ("refused", run.refused),
        ("waiting", run.waiting),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")).collect();
    println!("  {}  {state}  {} of {}  ${}", run.tick, counts.join(", "), run.total, run.cost.usd);
    if let Some(refusal) = &run.refusal {
        println!("    refused: {}", printable(refusal));
    }
    for job in &run.running {
        println!("    running  {}", job.id);
    }
}

/// Nobody serves: says what that means.
async fn leave_word(session: &Session<'_>, done: Result<Exit, Failure>) -> Result<Exit, Failure> {
    if done.is_ok() && session.is_own().await {
        eprintln!("nobody serves; schedules tick and their jobs run while `convoke serve` does");
    }
    done
}
