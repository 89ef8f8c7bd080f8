//! The command line: every command ends with an exit code to script on.

pub mod api;
pub mod args;
pub mod doctor;
pub mod download;
pub mod failure;
pub mod follow;
pub mod input;
pub mod jobs;
pub mod keys;
pub mod models;
pub mod place;
pub mod progress;
pub mod run;

use std::sync::Arc;

use api::Api;
use args::{Cli, Command, RunArgs, ServeArgs, Target};
use convoke_app::ports::Env;
use convoke_models::embedded::{Progress as Weights, ProgressSink};
use convoke_runtime::SystemEnv;
use convoke_runtime::config::ProcessEnv;
use failure::{Exit, Failure};
use place::Places;

use crate::local::{Duty, EMBEDDED_MODEL, Local, LocalOptions, running};

/// Does what the command line asks for.
pub async fn main(cli: Cli) -> Result<Exit, Failure> {
    let places = Places::find(cli.data_dir)?;
    match cli.command {
        Command::Run(args) => run(&places, args).await,
        Command::Serve(args) => serve(&places, &args).await,
        Command::Jobs(command) => {
            let session = Session::new(&places);
            let exit = jobs::jobs(command, async |target: &Target| session.connect(target, None).await).await;
            session.end().await;
            exit
        }
        Command::Keys(command) => keys::keys(&places, command).await,
        Command::Model(command) => models::models(&places, command).await,
        Command::Doctor => doctor::doctor(&places).await,
    }
}

async fn run(places: &Places, args: RunArgs) -> Result<Exit, Failure> {
    let session = Session::new(places);
    let api = session.connect(&args.target, args.model.as_deref()).await?;
    let exit = run::run(&api, &args, &SystemEnv.ulid()).await;
    let embedded = session.model().await.is_some_and(|model| model == EMBEDDED_MODEL) && args.model.is_none();
    session.end().await;
    if embedded && !args.json {
        println!("\nThis was the embedded model, which is small. For a strong one, for example:");
        println!("  OPENAI_API_KEY=... convoke run --model openai/gpt-4.1 \"...\"");
    }
    exit
}

async fn serve(places: &Places, args: &ServeArgs) -> Result<Exit, Failure> {
    let local = start(places, args.port, args.model.clone(), Duty::Work).await?;
    println!("Convoke serves {}", local.url);
    println!("  model  {}", local.model);
    println!("  data   {}", places.data_dir.display());
    println!("  key    {}", local.key);
    println!("\n  curl -H 'Authorization: Bearer {}' {}/v1/jobs", local.key, local.url);
    stop_signal().await?;
    eprintln!("stopping; jobs go on at the next start");
    local.shutdown().await;
    Ok(Exit::Done)
}

async fn stop_signal() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::caused("signals can't be heard", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        result = tokio::signal::ctrl_c() => result.map_err(failed),
    }
}

async fn start(places: &Places, port: u16, model: Option<String>, duty: Duty) -> Result<Local, Failure> {
    let options = LocalOptions {
        data_dir: places.data_dir.clone(),
        cache_dir: places.cache_dir.clone(),
        port,
        model,
        strings: &ProcessEnv,
        progress: weights_progress(),
        duty,
    };
    Local::start(options).await.map_err(|error| Failure::caused("Convoke can't start", &error))
}

/// Tells how the fetching of weights goes, on standard error.
pub fn weights_progress() -> ProgressSink {
    Arc::new(|progress| match progress {
        Weights::Fetching { from, received: None | Some(0), .. } => {
            eprintln!("fetching the embedded model's weights (100 MB, once) from {from}");
        }
        Weights::Fetching { .. } | Weights::Ready => {}
        Weights::Failed { from, detail } => eprintln!("{from}: {detail}"),
        Weights::Checking => eprintln!("checking the weights"),
        Weights::Requantizing => eprintln!("preparing the weights (once)"),
    })
}

/// An installation for one command: the one that holds the data folder, or one of its own.
struct Session<'a> {
    places: &'a Places,
    own: tokio::sync::Mutex<Option<Local>>,
}

impl<'a> Session<'a> {
    fn new(places: &'a Places) -> Self {
        Self { places, own: tokio::sync::Mutex::new(None) }
    }

    async fn connect(&self, target: &Target, model: Option<&str>) -> Result<Api, Failure> {
        if let (Some(url), Some(key)) = (&target.url, &target.key) {
            return Api::new(url, key);
        }
        if let Some((url, key)) = running(&self.places.data_dir) {
            let api = Api::new(&url, &key)?;
            if api.get("/health").await.is_ok() {
                return Ok(api);
            }
        }
        let local = start(self.places, 0, model.map(str::to_owned), Duty::Work).await?;
        eprintln!("model {}", local.model);
        let api = Api::new(&local.url, &local.key)?;
        *self.own.lock().await = Some(local);
        Ok(api)
    }

    async fn model(&self) -> Option<String> {
        self.own.lock().await.as_ref().map(|local| local.model.clone())
    }

    async fn end(self) {
        if let Some(local) = self.own.into_inner() {
            local.shutdown().await;
        }
    }
}
