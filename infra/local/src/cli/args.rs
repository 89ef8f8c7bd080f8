//! The command line.

mod bots;
mod links;
mod operator;
mod webhooks;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use convoke_domain::money::MicroUsd;
use convoke_domain::review::Decision;

pub use bots::{BotsCommand, Place, RegisterArgs, WebhookCommand};
pub use links::{LinkArgs, LinksArgs, UnlinkArgs};
pub use operator::{DoctorArgs, KeysCommand, TenantsArgs, Whose};
pub use webhooks::{WebhookArgs, WebhooksCommand};

/// Crews of AI agents that build what you ask for, on your machine or in your AWS account.
#[derive(Debug, Parser)]
#[command(name = "convoke", version, max_term_width = 100)]
pub struct Cli {
    /// Folder that holds everything: jobs, artifacts, keys.
    #[arg(long, global = true, env = "CONVOKE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Settings file; `convoke.toml` in the current folder or the data folder where it is missing.
    #[arg(long, global = true, env = "CONVOKE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submits a job, shows it at work, and copies what it made to a folder.
    Run(RunArgs),
    /// Submits a job that goes on from the files of one that has ended, and shows it as `run` does.
    FollowUp(FollowUpArgs),
    /// Serves the HTTP API on this machine until it is told to stop.
    Serve(ServeArgs),
    /// Looks at jobs and acts on them.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Decides a review: the first decision counts.
    Review(ReviewArgs),
    /// Submits jobs again and again, by crontab or pause.
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    /// Makes, lists, tests and deletes webhooks, and looks at what came of telling them.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// Makes a one-time code that links a guild, a group or yourself in a chat to this installation.
    Link(LinkArgs),
    /// Lists what of chats is linked.
    Links(LinksArgs),
    /// Takes a link away.
    Unlink(UnlinkArgs),
    /// Makes, lists and deletes keys of the HTTP API.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Sets up bots at their platforms.
    #[command(subcommand)]
    Bots(BotsCommand),
    /// Lists tenants, and what each has.
    Tenants(TenantsArgs),
    /// Lists models, and fetches the embedded one.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Says what is set up, what is missing, and what to do about it.
    Doctor(DoctorArgs),
}

/// Which installation a command talks to.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// URL of an installation, with --key or --stack; the one of the data folder where there is neither.
    #[arg(long, env = "CONVOKE_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Key for that installation.
    #[arg(long, env = "CONVOKE_KEY", value_name = "KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Instead of --key: the stack of an installation in your AWS account, with your credentials.
    #[arg(long, env = "CONVOKE_STACK", value_name = "NAME", conflicts_with = "key")]
    pub stack: Option<String>,
    /// With --stack: in whose name.
    #[arg(long, default_value = "local", requires = "stack")]
    pub tenant: String,
}

/// What is asked for.
#[derive(Debug, Args)]
pub struct OrderArgs {
    /// What you want, in your own words.
    #[arg(value_name = "PROMPT")]
    pub prompt: Option<String>,
    /// The flow: a built-in one by name, or a YAML or JSON file.
    #[arg(long, default_value = "software", value_name = "NAME|FILE")]
    pub flow: String,
    /// Input of the flow: `key=value` (the value as JSON where it is JSON, else as text), or `@file.json` for all of it.
    #[arg(long, value_name = "K=V|@FILE")]
    pub input: Vec<String>,
    /// A file to give to the crew.
    #[arg(long, value_name = "PATH")]
    pub file: Vec<PathBuf>,
    /// The model, `provider/name`.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Most that the job may cost, in US dollars.
    #[arg(long, value_name = "USD", allow_hyphen_values = true, value_parser = dollars)]
    pub budget: Option<MicroUsd>,
    /// Which installation.
    #[command(flatten)]
    pub target: Target,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What is asked for.
    #[command(flatten)]
    pub order: OrderArgs,
    /// Folder for the artifacts; `./convoke-JOB` where it is missing.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints one JSON object at the end instead of progress.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `follow-up`.
#[derive(Debug, Args)]
pub struct FollowUpArgs {
    /// The job to go on from.
    pub job: String,
    /// What is wanted next.
    pub prompt: String,
    /// Most that it may cost, in US dollars; what the earlier job could cost where it is missing.
    #[arg(long, value_name = "USD", allow_hyphen_values = true, value_parser = dollars)]
    pub budget: Option<MicroUsd>,
    /// Folder for the artifacts; `./convoke-JOB` where it is missing.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Prints one JSON object at the end instead of progress.
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub target: Target,
}

/// What to do with schedules.
#[derive(Debug, Subcommand)]
pub enum SchedulesCommand {
    /// Submits what is asked for again and again.
    Create(Box<ScheduleArgs>),
    /// Lists schedules, oldest first.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Which installation.
        #[command(flatten)]
        target: Target,
    },
    /// Shows a schedule, its next ticks and what the last ones started.
    Show(ScheduleRef),
    /// Lets a schedule stand still; what it started goes on.
    Pause(ScheduleRef),
    /// Lets it go on, from its next tick.
    Resume(ScheduleRef),
    /// Starts now what a tick would start.
    Run(ScheduleRef),
    /// Deletes a schedule; what it started goes on.
    Delete(ScheduleRef),
}

/// One schedule.
#[derive(Debug, Args)]
pub struct ScheduleRef {
    /// Which schedule, by its id.
    pub schedule: String,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub target: Target,
}

/// Arguments of `schedules create`.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// What is asked for.
    #[command(flatten)]
    pub order: OrderArgs,
    /// When: minute, hour, day of the month, month, day of the week.
    #[arg(long, value_name = "\"0 6 * * MON-FRI\"")]
    pub cron: Option<String>,
    /// The time zone of --cron; UTC where it is missing.
    #[arg(long, value_name = "Europe/Berlin")]
    pub time_zone: Option<String>,
    /// Instead of --cron: a pause, such as 15m, 6h or 1d.
    #[arg(long, value_name = "15m", value_parser = pause)]
    pub every: Option<u64>,
    /// What to call it; the flow's name where it is missing.
    #[arg(long)]
    pub name: Option<String>,
    /// Starts may be late by up to so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub jitter: u64,
    /// What happens to a tick while earlier work goes on: skip, queue or allow.
    #[arg(long, default_value = "skip")]
    pub overlap: String,
    /// A file of JSON objects, one a line: a job each, whose fields go over the input.
    #[arg(long, value_name = "FILE.jsonl")]
    pub inputs: Option<PathBuf>,
    /// How many jobs of --inputs run at once.
    #[arg(long, default_value_t = 5, requires = "inputs")]
    pub at_once: u32,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Port of 127.0.0.1; 7777 where neither this nor the settings say.
    #[arg(long, env = "CONVOKE_PORT")]
    pub port: Option<u16>,
    /// The model of jobs that name none, `provider/name`.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Is the bot on Discord whose token is `DISCORD_TOKEN`.
    #[arg(long)]
    pub discord: bool,
    /// Is the bot on Telegram whose token is `TELEGRAM_TOKEN`.
    #[arg(long)]
    pub telegram: bool,
    /// Has bots that live elsewhere live here from now on.
    #[arg(long)]
    pub take_over: bool,
}

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// Lists jobs, newest first.
    List {
        /// Only those in this state.
        #[arg(long)]
        status: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        /// Which installation.
        #[command(flatten)]
        target: Target,
    },
    /// Shows one job with its steps.
    Show(JobArgs),
    /// Follows a job until it has ended.
    Watch(JobArgs),
    /// Prints a job's events.
    Logs(JobArgs),
    /// Cancels a job; what it made so far is delivered.
    Cancel(JobArgs),
    /// Runs a failed or cancelled job again as a new one, keeping the results that it has.
    Retry(JobArgs),
    /// Lists what people were asked, and what they decided.
    Reviews(JobArgs),
    /// Lists a job's artifacts.
    Artifacts(JobArgs),
    /// Copies a job's artifacts to a folder.
    Download {
        /// Which job.
        job: String,
        /// Folder for the artifacts; `./convoke-JOB` where it is missing.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Which installation.
        #[command(flatten)]
        target: Target,
    },
}

/// Arguments of `review`.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// Which job.
    pub job: String,
    /// Which of its reviews, e.g. `approve@2`.
    pub review: String,
    /// What is decided: approve, changes or reject.
    #[arg(value_parser = decision)]
    pub decision: Decision,
    /// What is to be different, or why.
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub target: Target,
}

/// One job.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// Which job.
    pub job: String,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Which installation.
    #[command(flatten)]
    pub target: Target,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Fetches the embedded model's weights (about 100 MB, once).
    Pull,
    /// Lists the providers and what each needs.
    List,
}

/// A pause in seconds: a number and `s`, `m`, `h` or `d`.
fn pause(text: &str) -> Result<u64, String> {
    let expected = || "expected a pause such as 90s, 15m, 6h or 1d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(expected()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(expected)
}

/// US dollars above zero.
fn dollars(text: &str) -> Result<MicroUsd, String> {
    let usd = text.parse().ok().filter(|usd: &MicroUsd| usd.0 > 0);
    usd.ok_or_else(|| "expected US dollars above 0, such as 1.50".to_owned())
}
/// Reads `approve`, `changes` or `reject`.
fn decision(text: &str) -> Result<Decision, String> {
    let found = Decision::ALL.into_iter().find(|decision| decision.as_str() == text);
    found.ok_or_else(|| format!("one of {}", Decision::ALL.map(Decision::as_str).join(", ")))
}
