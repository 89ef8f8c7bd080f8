//! Convoke on this machine: the functions of the template, hosted over the embedded stack.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::response::IntoResponse;
use convoke_app::model::{ChatModel, ModelNameError};
use convoke_app::platform::Platform;
use convoke_domain::ids::TenantId;
use convoke_models::embedded::{
    EmbeddedModel, EmbeddedOptions, ProgressSink, WeightsError, WeightsSource, fetch, is_fetched,
};
use convoke_models::registry::{EmbeddedFactory, Registry, RegistryError};
use convoke_runtime::config::{Mistakes, Stores, Strings, limits};
use convoke_runtime::http::StreamingHost;
use convoke_runtime::models::{Extras, settings};
use convoke_runtime::observe::{Observer, observed};
use convoke_runtime::outbound::{GuardedOutbound, allowed};
use convoke_runtime::telemetry;
use convoke_runtime::{Clients, platform};
use tokio::runtime::Handle;

use crate::bots::{BotError, Bots, Listening};
use crate::host::{
    Function, Host, HostBuilder, HostError, HttpOptions, QueueSource, Route, RouteError, Schedule, StreamSource,
};
use crate::metrics::{MEDIA_TYPE, Meters, MetersError};
use crate::resources::{self, ResourceError};
use crate::routes::routes;
use crate::shelf::FolderShelf;
use crate::stack::{Stack, StackError, StackOptions};

/// The embedded model's name after `embedded/`.
pub const EMBEDDED: &str = "smollm2-135m-instruct";
/// The whole name.
pub const EMBEDDED_MODEL: &str = "embedded/smollm2-135m-instruct";
/// The tenant of this machine's owner.
pub const TENANT: &str = "local";
/// Time-out of the step function.
const STEP_TIMEOUT: Duration = Duration::from_mins(15);
/// Time-out of the function that tells targets.
const DELIVER_TIMEOUT: Duration = Duration::from_mins(1);
/// How long model calls under way may go on once the process is told to end.
const CALLS_GRACE: Duration = Duration::from_secs(6);
/// Batches of one message at once: after a kill, all steps that were under way come that way.
const SOLO_CONCURRENCY: usize = 40;
/// File that says where the installation of a data folder listens.
const SERVE_FILE: &str = "serve.json";
/// File with the owner's key.
const KEY_FILE: &str = "local.key";

/// Why Convoke can't start on this machine.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The data folder or a port can't be had.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// A table, queue or bucket can't be made.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] Mistakes),
    /// The models' HTTP client can't be made.
    #[error("models can't be called")]
    Models(#[source] RegistryError),
    /// The embedded model's weights can't be had.
    #[error("the embedded model's weights can't be had")]
    Weights(#[source] WeightsError),
    /// A function or route can't be hosted.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A route is malformed: our mistake.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The counters can't be made: our mistake.
    #[error(transparent)]
    Meters(#[from] MetersError),
    /// The owner's key can't be made.
    #[error("the owner's key can't be made: {0}")]
    Key(String),
    /// A file of the data folder can't be written.
    #[error("{path} can't be written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A job asks for a model that isn't set up.
    #[error(transparent)]
    Model(#[from] ModelNameError),
    /// A bot can't start.
    #[error(transparent)]
    Bot(#[from] BotError),
}

/// How to start.
pub struct LocalOptions<'a> {
    /// The folder that holds everything.
    pub data_dir: PathBuf,
    /// The folder for weights.
    pub cache_dir: PathBuf,
    /// Port of 127.0.0.1; 0 for any.
    pub port: u16,
    /// The model of jobs that name none.
    pub model: Option<String>,
    /// Settings.
    pub strings: &'a dyn Strings,
    /// Where the fetching of weights is told.
    pub progress: ProgressSink,
    /// Whether jobs are worked on.
    pub duty: Duty,
    /// Bots that listen while jobs are worked on.
    pub bots: Bots,
}

/// What an installation does beside answering requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// It works on jobs, beginning with those that the last process left behind.
    Work,
    /// Nothing: jobs stand still, no model is called, no weights are fetched.
    Answer,
}

/// A running installation.
pub struct Local {
    /// Where it listens.
    pub url: String,
    /// The owner's key.
    pub key: String,
    /// The model of jobs that name none.
    pub model: String,
    /// The use cases, for what the API doesn't offer.
    pub platform: Platform,
    /// The bots that listen.
    pub bots: Listening,
    stack: Stack,
    host: Host,
}

impl Local {
    /// Starts everything in this process. The data folder is held until [`Local::shutdown`].
    pub async fn start(options: LocalOptions<'_>) -> Result<Self, LocalError> {
        let stack = Stack::start(StackOptions::new(&options.data_dir)).await?;
        let meters = Meters::new()?;
        let clients = meters.clients(&stack);
        let stores = resources::ensure(&clients).await?;
        let registry = registry(&options).await?;
        let model = convoke_app::model::Models::default_model(&registry).to_owned();
        if options.duty == Duty::Work {
            registry.check(&model)?;
        }
        let connected =
            Clients { dynamodb: clients.dynamodb.clone(), sqs: clients.sqs.clone(), s3: clients.s3.clone() };
        let behind = (limits(options.strings)?, convoke_tools::compiler());
        let mut platform = platform(connected, &stores, Arc::new(registry), behind);
        platform.ports.outbound = Arc::new(GuardedOutbound::new(allowed(options.strings)?));
        platform.ports.chat_hosts = options.bots.hosts()?;
        let observer: Arc<dyn Observer> = Arc::new(meters.clone());
        platform.ports = observed(platform.ports, &observer);
        let routes = routes()?.into_iter().chain([Route::new("GET /metrics", "metrics")?]).collect();
        let host = functions(&platform).http(HttpOptions { port: options.port, routes });
        let host = host.function(Function::http("metrics", metrics(meters, &stack, &stores)));
        let host = host.stream(StreamSource::new(&stores.table, "notify"));
        let host = match options.duty {
            Duty::Answer => host,
            Duty::Work => {
                resume(&platform).await;
                sources(host, &stores)
            }
        };
        let host = host.start(&stack, &clients).await?;
        let url = host.url().unwrap_or_default();
        let key = owner_key(&platform, &options.data_dir).await?;
        let bots = match options.duty {
            Duty::Answer => Listening::default(),
            Duty::Work => options.bots.listen(&platform, &FolderShelf::under(&options.data_dir)).await?,
        };
        write(&options.data_dir.join(SERVE_FILE), &serde_json::json!({ "url": url }).to_string())?;
        tokio::spawn(telemetry::flush_regularly());
        Ok(Self { url, key, model, platform, bots, stack, host })
    }

    /// Ends in order, within 10 s: nothing more is claimed, answers that come within 6 s are journaled, calls that take
    /// longer are given up. The next start goes on from there.
    pub async fn shutdown(self) {
        let served = self.stack.data_dir().join(SERVE_FILE);
        // What people do from here on is heard at the next start.
        self.bots.end().await;
        self.platform.stop_claiming();
        let cut = async {
            tokio::time::sleep(CALLS_GRACE).await;
            self.platform.stop_calling();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.host.shutdown() => {}
            () = cut => {}
        }
        self.stack.shutdown().await;
        telemetry::flush().await;
        // A file that is left behind names a URL where nobody listens; whoever reads it finds out.
        drop(std::fs::remove_file(served));
    }
}

/// The data folder is this process's alone, so whatever is claimed in it is a dead one's. Queues live in memory, so
/// whatever isn't over has lost its bells.
async fn resume(platform: &Platform) {
    match platform.resume().await {
        Ok(report) => tracing::info!(jobs = report.jobs, failed = report.failed, "took up what was left"),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "what was left can't be taken up at once; the clock does it when leases run out");
        }
    }
}

/// The installation's own figures. Nothing in them is anybody's, so no key is asked for.
fn metrics(meters: Meters, stack: &Stack, stores: &Stores) -> axum::Router {
    let urls = [&stores.queue_url, &stores.solo_queue_url, &stores.delivery_queue_url];
    let names = urls.map(|url| url.rsplit('/').next().unwrap_or_default().to_owned());
    let queues = stack.queues().clone();
    let answer = async move || match meters.text(&queues, &names) {
        Ok(text) => ([(http::header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "metrics can't be told");
            http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    axum::Router::new().route("/metrics", axum::routing::get(answer))
}

/// What makes functions work by themselves, but for the table's stream.
pub fn sources(host: HostBuilder, stores: &Stores) -> HostBuilder {
    let steps = QueueSource { concurrency_max: 8, ..QueueSource::new(&stores.queue_url, "step") };
    let solo = QueueSource {
        batch_size: 1,
        concurrency_max: SOLO_CONCURRENCY,
        ..QueueSource::new(&stores.solo_queue_url, "step")
    };
    let clock = Schedule { name: "clock".into(), every: Duration::from_mins(1), function: "clock".into() };
    let deliveries = QueueSource::new(&stores.delivery_queue_url, "deliver");
    host.queue(steps).queue(solo).queue(deliveries).schedule(clock)
}

/// Where the installation of a data folder listens, and the owner's key, if one runs or ran.
pub fn running(data_dir: &Path) -> Option<(String, String)> {
    let text = std::fs::read_to_string(data_dir.join(SERVE_FILE)).ok()?;
    let served: serde_json::Value = serde_json::from_str(&text).ok()?;
    let key = std::fs::read_to_string(data_dir.join(KEY_FILE)).ok()?;
    Some((served.get("url")?.as_str()?.to_owned(), key.trim().to_owned()))
}

/// The functions of the template, each with its time-out.
pub fn functions(platform: &Platform) -> HostBuilder {
    let of = || platform.clone();
    Host::builder()
        .function(Function::http("submit", convoke_submit::router(of())))
        .function(Function::http("status", convoke_status::router(of())))
        .function(Function::http_streaming("events", streaming(convoke_status::router(of()))).timeout(STEP_TIMEOUT))
        .function(Function::http("artifacts", convoke_artifacts::router(of())))
        .function(Function::http("control", convoke_control::router(of())))
        .function(Function::lambda("step", convoke_step::service(of())).timeout(STEP_TIMEOUT))
        .function(Function::lambda("clock", convoke_clock::service(of())))
        .function(Function::lambda("notify", convoke_notify::service(of())))
        .function(Function::lambda("deliver", convoke_deliver::service(of())).timeout(DELIVER_TIMEOUT))
}

/// Says that this host passes a response on while it is made.
fn streaming(router: axum::Router) -> axum::Router {
    router.layer(axum::Extension(StreamingHost))
}

async fn registry(options: &LocalOptions<'_>) -> Result<Registry, LocalError> {
    let default_model = options.model.clone().or_else(|| options.strings.get("CONVOKE_MODEL"));
    let wanted = default_model.as_deref().is_none_or(|model| model.starts_with("embedded/"));
    let mut there = is_fetched(&options.cache_dir, &WeightsSource::Default);
    if wanted && !there && options.duty == Duty::Work {
        let fetched = fetch(&options.cache_dir, &WeightsSource::Default, Arc::clone(&options.progress)).await;
        fetched.map_err(LocalError::Weights)?;
        there = true;
    }
    // Jobs of an earlier start may want it, whatever the default is now.
    let embedded = there.then(|| (EMBEDDED.to_owned(), factory(options.cache_dir.clone()))).into_iter().collect();
    let extras = Extras { embedded, default_model: Some(EMBEDDED_MODEL.to_owned()), ..Extras::default() };
    let mut settings = settings(options.strings, extras)?;
    if let Some(model) = &options.model {
        settings.default_model.clone_from(model);
    }
    Registry::new(settings).map_err(LocalError::Models)
}

/// Loads the model when it is first called for; its file is checked then, not at each start.
fn factory(cache_dir: PathBuf) -> EmbeddedFactory {
    let broken = |detail: String| ModelNameError::NotConfigured {
        name: EMBEDDED_MODEL.to_owned(),
        setting: format!("weights that can be loaded ({detail}); `convoke model pull` fetches them"),
    };
    Arc::new(move || {
        let load = || {
            let fetching = fetch(&cache_dir, &WeightsSource::Default, Arc::new(|_| {}));
            let weights = Handle::current().block_on(fetching).map_err(|error| broken(error.to_string()))?;
            EmbeddedModel::load(&weights.path, EmbeddedOptions::default()).map_err(|error| broken(error.to_string()))
        };
        Ok(Arc::new(tokio::task::block_in_place(load)?) as Arc<dyn ChatModel>)
    })
}

/// The owner's key: made at the first start, kept where only the owner reads it.
async fn owner_key(platform: &Platform, data_dir: &Path) -> Result<String, LocalError> {
    let path = data_dir.join(KEY_FILE);
    if let Ok(key) = std::fs::read_to_string(&path) {
        return Ok(key.trim().to_owned());
    }
    let tenant: TenantId = TENANT.parse().map_err(|error| LocalError::Key(format!("{error}")))?;
    let made = platform.create_key(&tenant, "local").await.map_err(|error| LocalError::Key(error.to_string()))?;
    let key = made.key.expose().to_owned();
    write(&path, &key)?;
    Ok(key)
}

/// Writes a file that only the owner reads.
fn write(path: &Path, text: &str) -> Result<(), LocalError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |source| LocalError::File { path: path.to_owned(), source };
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
