//! An installation for one command: the one that holds the data folder, or one of its own.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::api::Api;
use super::args::Target;
use super::bots;
use super::failure::Failure;
use super::stack::Lent;
use super::weights;
use crate::bots::Bots;
use crate::host::HostError;
use crate::local::{Duty, Local, LocalError, LocalOptions, running};
use crate::settings::Settings;
use crate::stack::{FolderError, StackError};
use convoke_models::embedded::WeightsError;

/// How long to wait for a process that holds the data folder and doesn't answer: it starts, or it ends.
const HELD_MAX: Duration = Duration::from_secs(12);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long an installation on this machine may take to say that it is there.
const ALIVE_MAX: Duration = Duration::from_secs(5);

/// What a command needs of an installation that it starts itself.
#[derive(Clone, Copy, Debug)]
pub struct Needs<'a> {
    /// The model of jobs that name none, where the command line names one.
    pub model: Option<&'a str>,
    /// Whether jobs are to be worked on.
    pub duty: Duty,
}

/// The installation that a command works with.
pub struct Session<'a> {
    settings: &'a Settings,
    own: Mutex<Option<Local>>,
    lent: Mutex<Option<Lent>>,
}

impl<'a> Session<'a> {
    /// Nothing is looked for or started yet.
    pub fn new(settings: &'a Settings) -> Self {
        Self { settings, own: Mutex::new(None), lent: Mutex::new(None) }
    }

    /// The installation that the target names, a stack's by a key that ends with the session; else the one that holds the data folder; else one of its own, which ends
    /// with the session. May be called again when that one is gone.
    pub async fn connect(&self, target: &Target, needs: Needs<'_>) -> Result<Api, Failure> {
        match (&target.stack, &target.url, &target.key) {
            (Some(stack), url, _) => return Box::pin(self.of_stack(stack, url.as_deref(), &target.tenant)).await,
            (None, Some(url), Some(key)) => return Api::new(url, key),
            (None, Some(_), None) => return Err(Failure::usage("--url needs --key, or --stack")),
            (None, None, _) => {}
        }
        let patience_ends = Instant::now() + HELD_MAX;
        loop {
            if let Some(api) = self.serving().await {
                return Ok(api);
            }
            match start(self.settings, 0, (needs, Bots::default())).await {
                Ok(local) => {
                    let api = Api::new(&local.url, &local.key);
                    *self.own.lock().await = Some(local);
                    return api;
                }
                Err(LocalError::Stack(StackError::Folder(FolderError::Held { .. })))
                    if Instant::now() < patience_ends =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(failure(self.settings, needs.model, &error)),
            }
        }
    }

    async fn of_stack(&self, stack: &str, url: Option<&str>, tenant: &str) -> Result<Api, Failure> {
        let mut lent = self.lent.lock().await;
        if let Some(lent) = &*lent {
            return lent.api();
        }
        lent.insert(Lent::new(stack, url, tenant).await?).api()
    }

    /// The installation that runs over the data folder, if one does and takes its key.
    async fn serving(&self) -> Option<Api> {
        let (url, key) = running(&self.settings.data_dir)?;
        let api = Api::new(&url, &key).ok()?;
        let alive = tokio::time::timeout(ALIVE_MAX, api.get("/v1/jobs?limit=1")).await;
        matches!(alive, Ok(Ok(_))).then_some(api)
    }

    /// Whether the installation is the session's own.
    pub async fn is_own(&self) -> bool {
        self.own.lock().await.is_some()
    }

    /// Ends the session's own installation, if there is one, and gives back the key that it worked with.
    pub async fn end(self) {
        if let Some(lent) = self.lent.into_inner() {
            lent.give_back().await;
        }
        if let Some(local) = self.own.into_inner() {
            local.shutdown().await;
        }
    }
}

/// Starts an installation in this process.
pub async fn start(settings: &Settings, port: u16, (needs, bots): (Needs<'_>, Bots)) -> Result<Local, LocalError> {
    let progress = weights::progress();
    let started = Local::start(LocalOptions {
        data_dir: settings.data_dir.clone(),
        cache_dir: settings.cache_dir.clone(),
        port,
        model: needs.model.map(str::to_owned),
        strings: settings,
        progress: progress.sink(),
        duty: needs.duty,
        bots,
    });
    let started = started.await;
    progress.end();
    started
}

/// What a start that failed is told as: in one line, with what to do; `model` is what the command line names.
pub fn failure(settings: &Settings, model: Option<&str>, error: &LocalError) -> Failure {
    match error {
        LocalError::Config(mistakes) => Failure::usage(settings.explain(mistakes)),
        LocalError::Model(wrong) => {
            let origin = if model.is_some() { "--model".to_owned() } else { settings.origin("CONVOKE_MODEL") };
            Failure::usage(format!("{origin}: {wrong}; `convoke model list` shows what is set up"))
        }
        LocalError::Host(HostError::Port { .. }) => {
            Failure::caused("", error).hint("end the program that has it, or choose another by --port").usage_exit()
        }
        LocalError::Stack(StackError::Folder(FolderError::Held { .. })) => {
            Failure::caused("", error).hint("end that process, or choose another folder by --data-dir").usage_exit()
        }
        LocalError::Stack(StackError::Folder(
            FolderError::Newer { .. } | FolderError::Older { .. } | FolderError::NotOurs(_),
        )) => Failure::caused("", error).hint("choose another folder by --data-dir").usage_exit(),
        LocalError::Stack(_) | LocalError::Resource(_) | LocalError::File { .. } => {
            let what = format!("the data folder {} can't be used", settings.data_dir.display());
            let hint = "see to its rights and to free space, or choose another by --data-dir";
            Failure::caused(&what, error).hint(hint).usage_exit()
        }
        LocalError::Weights(error) => weights_failure(error),
        LocalError::Bot(error) => bots::failure(error),
        LocalError::Models(_)
        | LocalError::Meters(_)
        | LocalError::Host(_)
        | LocalError::Route(_)
        | LocalError::Key(_) => Failure::caused("Convoke can't start", error),
    }
}

/// Why the embedded model's weights can't be had, and what to do.
pub fn weights_failure(error: &WeightsError) -> Failure {
    let hint = match error {
        WeightsError::WrongHash { .. } => {
            "what came isn't the model and was thrown away: try again, and should it stay so, ask who changes it on the way"
        }
        WeightsError::Unreachable { .. } => "try `convoke model pull` with a network, or name another model by --model",
        WeightsError::Cache { .. } => "see to its rights and to free space, or set CONVOKE_CACHE_DIR",
        _ => "try `convoke model pull` again, or name another model by --model",
    };
    Failure::caused("the embedded model's weights can't be had", error).hint(hint)
}
