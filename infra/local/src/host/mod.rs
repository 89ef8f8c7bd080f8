//! A host that runs functions as Lambda does, and the event sources that invoke them: HTTP by API Gateway's events,
//! queues, schedules, a table's stream.
//!
//! It keeps them honest: every event and answer goes through its JSON and is bounded, deadlines and concurrency hold, a
//! panic is one invocation's, what a handler leaves running is dropped with it (see [`invoke`] for what one process can't
//! do). Generic on purpose: which functions, routes, queues and tables there are, the caller says, as the template does on
//! AWS.

mod function;
mod gateway;
pub mod http;
pub mod invoke;
mod route;
pub mod schedule;
pub mod sqs;
pub mod stream;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::loopback::Server;
use crate::stack::{Clients, Stack};
pub use function::{Context, Function, HandlerError};
pub use http::HttpOptions;
pub use invoke::InvokeError;
use invoke::Runner;
use route::Routes;
pub use route::{Route, RouteError};
pub use schedule::Schedule;
use sqs::Poller;
pub use sqs::QueueSource;
pub use stream::StreamSource;
use stream::{Consumer, Positions};

/// How long invocations under way get to end at shutdown; with what follows it stays under 10 s.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);

/// How long ended invocations get to be dropped.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Why a host can't be started.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Two functions have one name. Final.
    #[error("there are two functions {0}")]
    Twice(String),
    /// A source names a function that there is not. Final.
    #[error("{source_name} leads to {function}, which is no function")]
    Unknown {
        /// The source.
        source_name: String,
        /// What it names.
        function: String,
    },
    /// The port can't be bound; another program has it.
    #[error("port {port} of 127.0.0.1 can't be served")]
    Port {
        /// The port.
        port: u16,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// How far a stream was read can't be read.
    #[error("the position in the stream of {table} can't be read")]
    Position {
        /// The table.
        table: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// What a host is to run.
#[derive(Debug, Default)]
pub struct HostBuilder {
    functions: Vec<Function>,
    http: Option<HttpOptions>,
    queues: Vec<QueueSource>,
    schedules: Vec<Schedule>,
    streams: Vec<StreamSource>,
}

impl HostBuilder {
    /// Adds a function.
    #[must_use]
    pub fn function(mut self, function: Function) -> Self {
        self.functions.push(function);
        self
    }

    /// Serves routes over HTTP.
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = Some(options);
        self
    }

    /// Polls a queue.
    #[must_use]
    pub fn queue(mut self, source: QueueSource) -> Self {
        self.queues.push(source);
        self
    }

    /// Ticks.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedules.push(schedule);
        self
    }

    /// Reads a table's stream.
    #[must_use]
    pub fn stream(mut self, source: StreamSource) -> Self {
        self.streams.push(source);
        self
    }

    /// Starts all sources. Queues are polled through `clients`, streams read from the stack.
    ///
    /// # Errors
    /// [`HostError`]; only a taken port is worth another try.
    pub async fn start(self, stack: &Stack, clients: &Clients) -> Result<Host, HostError> {
        self.check()?;
        let Self { functions, http, queues, schedules, streams } = self;
        let runner = Arc::new(Runner {
            functions: functions.into_iter().map(|function| (Arc::clone(&function.name), function)).collect(),
            clock: Arc::clone(stack.clock()),
            invocations: TaskTracker::new(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        });
        let consumers = consumers(streams, stack, &runner)?;
        let server = match http {
            Some(options) => Some(serve(options, &runner).await?),
            None => None,
        };
        let sources = TaskTracker::new();
        for consumer in consumers {
            sources.spawn(consumer.run());
        }
        for source in queues {
            let (client, stop) = (clients.sqs.clone(), runner.stop.clone());
            let poller = Poller { source, client, runner: Arc::clone(&runner), stop, batches: sources.clone() };
            sources.spawn(poller.run());
        }
        for schedule in &schedules {
            sources.spawn(schedule::run(schedule.clone(), Arc::clone(&runner), runner.stop.clone()));
        }
        Ok(Host { runner, server, sources, schedules })
    }

    fn check(&self) -> Result<(), HostError> {
        let mut names = BTreeSet::new();
        for function in &self.functions {
            if !names.insert(&*function.name) {
                return Err(HostError::Twice(function.name.to_string()));
            }
        }
        let routes = self.http.iter().flat_map(|http| &http.routes).map(|route| (&route.key, &route.function));
        let queues = self.queues.iter().map(|source| (&source.queue_url, &source.function));
        let schedules = self.schedules.iter().map(|schedule| (&schedule.name, &schedule.function));
        let streams = self.streams.iter().map(|source| (&source.table, &source.function));
        let mut all = routes.chain(queues).chain(schedules).chain(streams);
        match all.find(|(_, function)| !names.contains(function.as_str())) {
            Some((source, function)) => {
                Err(HostError::Unknown { source_name: source.clone(), function: function.clone() })
            }
            None => Ok(()),
        }
    }
}

fn consumers(streams: Vec<StreamSource>, stack: &Stack, runner: &Arc<Runner>) -> Result<Vec<Consumer>, HostError> {
    let folder = stack.data_dir().join("streams");
    let positions = Arc::new(Positions::default());
    let open = |source: StreamSource| {
        let table = source.table.clone();
        Consumer::open(source, stack.table().clone(), Arc::clone(runner), Arc::clone(&positions), &folder)
            .map_err(|source| HostError::Position { table, source })
    };
    streams.into_iter().map(open).collect()
}

async fn serve(options: HttpOptions, runner: &Arc<Runner>) -> Result<Server, HostError> {
    let (runner, routes) = (Arc::clone(runner), Arc::new(Routes::new(options.routes)));
    let handler = move |request| http::answer(Arc::clone(&runner), Arc::clone(&routes), request);
    Server::start(options.port, handler).await.map_err(|source| HostError::Port { port: options.port, source })
}

/// A running host. [`Host::shutdown`] ends it in order; dropping it ends it at once.
#[derive(Debug)]
pub struct Host {
    runner: Arc<Runner>,
    server: Option<Server>,
    sources: TaskTracker,
    schedules: Vec<Schedule>,
}

impl Host {
    /// A host with nothing in it yet.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Where the routes are served, if any: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> Option<String> {
        self.server.as_ref().map(Server::url)
    }

    /// Invokes a function with an event, and waits for its answer.
    ///
    /// # Errors
    /// [`InvokeError`]; what a handler did before it failed stands.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, InvokeError> {
        let event = serde_json::to_vec(event).map_err(InvokeError::Json)?;
        let answer = self.runner.invoke(function, event.into()).await?;
        serde_json::from_slice(&answer).map_err(InvokeError::Json)
    }

    /// Ticks a schedule now, whatever the time, and waits until its function is done.
    ///
    /// # Errors
    /// [`InvokeError`] after three tries; an unknown schedule is [`InvokeError::Unknown`].
    pub async fn tick(&self, schedule: &str) -> Result<(), InvokeError> {
        let schedule = self.schedules.iter().find(|known| known.name == schedule);
        let schedule = schedule.ok_or_else(|| InvokeError::Unknown("such a schedule".to_owned()))?;
        schedule::tick(schedule, &self.runner).await
    }

    /// How many invocations run now.
    pub fn in_flight(&self) -> usize {
        self.runner.invocations.len()
    }

    /// Stops all sources, ends streams, lets invocations end for 8 s, then ends them. Takes less than 10 s.
    pub async fn shutdown(self) {
        self.runner.stop.cancel();
        self.sources.close();
        self.runner.invocations.close();
        let ending = async {
            if let Some(server) = &self.server {
                server.shutdown(SHUTDOWN_GRACE).await;
            }
            self.sources.wait().await;
            self.runner.invocations.wait().await;
        };
        if tokio::time::timeout(SHUTDOWN_GRACE, ending).await.is_err() {
            let left = self.runner.invocations.len();
            tracing::warn!(left, "invocations are ended before they are done");
            self.runner.abort.cancel();
            let gone = tokio::time::timeout(ABORT_GRACE, self.runner.invocations.wait()).await;
            if gone.is_err() {
                tracing::error!("an invocation blocks its thread and can't be ended");
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.runner.stop.cancel();
        self.runner.abort.cancel();
    }
}
