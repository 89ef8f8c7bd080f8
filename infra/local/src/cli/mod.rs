//! The command line: every command ends with an exit code to script on.

pub mod api;
pub mod args;
pub mod bots;
pub mod discord;
pub mod doctor;
pub mod download;
pub mod failure;
pub mod follow;
pub mod input;
pub mod jobs;
pub mod keys;
pub mod links;
pub mod models;
pub mod notes;
pub mod progress;
pub mod reviews;
mod run;
pub mod schedules;
pub mod session;
pub mod stack;
pub mod tenants;
pub mod webhooks;
pub mod weights;

use args::{Cli, Command, FollowUpArgs, RunArgs, ServeArgs};
use clap::Parser;
use clap::error::ErrorKind;
use convoke_app::ports::Env;
use convoke_runtime::SystemEnv;
use failure::{Exit, Failure};
use session::{Needs, Session};

use crate::local::{Duty, Local};
use crate::settings::{Settings, Told};

/// Port that is served where nobody says which.
const PORT: u16 = 7777;

/// The command line as given; help and version are printed, and a mistake is told in one line.
pub fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, Failure> {
    Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that went away needs no help any more.
            drop(error.print());
            Failure::new(Exit::Done, "")
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Failure::usage("nothing was asked for: see `convoke --help`")
        }
        _ => Failure::usage(short(&error.to_string())),
    })
}

/// What is wrong, and the tip, if there is one: the first paragraphs, without how the command is used.
fn short(told: &str) -> String {
    let paragraphs = told.split("\n\n").take_while(|text| !text.trim_start().starts_with("Usage:"));
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = paragraphs.filter(|text| !text.starts_with("For more")).map(one_line).collect::<Vec<_>>().join("; ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

/// Does what the command line asks for.
pub async fn main(cli: Cli) -> Result<Exit, Failure> {
    let settings = Settings::find(Told { config: cli.config, data_dir: cli.data_dir });
    let settings = settings.map_err(|error| Failure::caused("", &error).usage_exit())?;
    match cli.command {
        Command::Run(args) => Box::pin(run(&settings, args)).await,
        Command::FollowUp(args) => Box::pin(follow_up(&settings, args)).await,
        Command::Serve(args) => serve(&settings, &args).await,
        Command::Jobs(command) => {
            let session = Session::new(&settings);
            let exit = jobs::jobs(command, &session).await;
            session.end().await;
            exit
        }
        Command::Review(args) => {
            let session = Session::new(&settings);
            let exit = jobs::review(&args, &session).await;
            session.end().await;
            exit
        }
        Command::Schedules(command) => {
            let session = Session::new(&settings);
            let exit = schedules::schedules(command, (&settings, &session)).await;
            session.end().await;
            exit
        }
        Command::Webhooks(command) => {
            let session = Session::new(&settings);
            let exit = webhooks::webhooks(command, &session).await;
            session.end().await;
            exit
        }
        Command::Link(args) => {
            let session = Session::new(&settings);
            let exit = links::link(&args, &session).await;
            session.end().await;
            exit
        }
        Command::Links(args) => {
            let session = Session::new(&settings);
            let exit = links::links(&args, &session).await;
            session.end().await;
            exit
        }
        Command::Unlink(args) => {
            let session = Session::new(&settings);
            let exit = links::unlink(&args, &session).await;
            session.end().await;
            exit
        }
        Command::Keys(command) => keys::keys(&settings, command).await,
        Command::Bots(command) => bots::bots(&settings, command).await,
        Command::Tenants(args) => tenants::tenants(&settings, &args).await,
        Command::Model(command) => models::models(&settings, command).await,
        Command::Doctor(args) => doctor::doctor(&settings, &args).await,
    }
}

async fn run(settings: &Settings, args: RunArgs) -> Result<Exit, Failure> {
    let order = input::order(settings, &args.order)?;
    let session = Session::new(settings);
    let needs = Needs { model: args.order.model.as_deref(), duty: Duty::Work };
    let exit = match session.connect(&args.order.target, needs).await {
        Ok(api) => {
            let again = async || session.connect(&args.order.target, needs).await;
            run::run(&api, (settings, &args), (order, &SystemEnv.ulid()), &again).await
        }
        Err(failure) => Err(failure),
    };
    session.end().await;
    exit
}

async fn follow_up(settings: &Settings, args: FollowUpArgs) -> Result<Exit, Failure> {
    let session = Session::new(settings);
    let needs = Needs { model: None, duty: Duty::Work };
    let exit = match session.connect(&args.target, needs).await {
        Ok(api) => {
            let again = async || session.connect(&args.target, needs).await;
            run::follow_up(&api, (settings, &args), &SystemEnv.ulid(), &again).await
        }
        Err(failure) => Err(failure),
    };
    session.end().await;
    exit
}

async fn serve(settings: &Settings, args: &ServeArgs) -> Result<Exit, Failure> {
    let port = args.port.or(settings.port()).unwrap_or(PORT);
    let needs = Needs { model: args.model.as_deref(), duty: Duty::Work };
    let bots = bots::asked_for(settings, args)?;
    let mut stop = std::pin::pin!(stop_signal()?);
    // Weights may take minutes to come.
    let started = tokio::select! {
        started = session::start(settings, port, (needs, bots)) => started,
        () = &mut stop => return Ok(Exit::Done),
    };
    let local = started.map_err(|error| session::failure(settings, needs.model, &error))?;
    greet(settings, &local)?;
    bots::greet(&local).await?;
    stop.await;
    eprintln!("stopping; jobs go on at the next start");
    local.shutdown().await;
    Ok(Exit::Done)
}

fn greet(settings: &Settings, local: &Local) -> Result<(), Failure> {
    println!("Convoke serves {}", local.url);
    println!("  model  {}", local.model);
    for note in run::notes(settings, &local.model, local.platform.limits.budget_default.tokens)? {
        println!("         {note}");
    }
    println!("  data   {}", settings.data_dir.display());
    if let Some(file) = settings.file() {
        println!("  set by {}", file.display());
    }
    println!("  key    {}", local.key);
    println!("\n  curl -H 'Authorization: Bearer {}' {}/v1/jobs", local.key, local.url);
    Ok(())
}

/// Completes when the process is told to end; told before that is waited for counts, too.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::caused("signals can't be heard", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(arguments: &[&str]) -> Failure {
        let arguments = std::iter::once("convoke").chain(arguments.iter().copied());
        parse(arguments.map(Into::into)).expect_err("refused")
    }

    #[test]
    fn mistakes_are_told_in_one_line() {
        for (arguments, part) in [
            (&["run", "x", "--budget", "0"][..], "above 0"),
            (&["run", "x", "--budget", "-1"], "above 0"),
            (&["run", "x", "--budget", "abc"], "above 0"),
            (&["serve", "--port", "70000"], "70000"),
            (&["jobs", "show"], "<JOB>"),
            (&["run", "x", "--modle", "y"], "--model"),
            (&["fly"], "fly"),
            (&[], "--help"),
        ] {
            let failure = told(arguments);
            assert_eq!(failure.exit, Exit::Usage, "{arguments:?}");
            let line = failure.to_string();
            assert!(line.contains(part) && !line.contains('\n') && !line.contains("Usage"), "{arguments:?}: {line}");
        }
    }
}
