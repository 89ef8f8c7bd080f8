//! An installation put together as [`convoke::local`] does it, with what a test wants between its parts: faults under the
//! SDK's clients, indexes that lag, models that misbehave, a time that jumps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use convoke::host::{Host, HttpOptions, StreamSource};
use convoke::local::{TENANT, functions, sources};
use convoke::resources::{self, SOLO, STEPS};
use convoke::routes::routes;
use convoke::stack::queue::Depth;
use convoke::stack::{Clients, Service, Stack, StackOptions};
use convoke_app::model::Models;
use convoke_app::platform::Platform;
use convoke_app::ports::ChatHosts;
use convoke_runtime::config::{Stores, limits};
use convoke_runtime::connect::registry;
use convoke_runtime::models::{Extras, settings};

use crate::faulty::{Faults, LateIndex};
use crate::time::Time;

/// First pause of the SDK before it tries again: with its own of a second most of a test would be waiting.
const SDK_PAUSE: Duration = Duration::from_millis(10);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// What passes between two looks while nobody is at work.
const LEAP: Duration = Duration::from_secs(15);
/// Longest time that a test may wait for something, by the machine's clock.
const WAIT_MAX: Duration = Duration::from_mins(2);

/// Who reads the queues and the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// The host, as always.
    Hosted,
    /// Nobody, until [`Rigged::take_up_work`].
    Idle,
}

/// Puts something between the platform and its models.
pub type Between = Box<dyn FnOnce(Arc<dyn Models>) -> Arc<dyn Models>>;

/// What is different.
pub struct Rigging {
    /// The time it goes by.
    pub time: Time,
    /// Faults of the services; off until they begin.
    pub faults: Faults,
    /// How much indexes lag.
    pub index_lag: Duration,
    /// What stands before the models.
    pub models: Between,
    /// Who reads the queues and the clock.
    pub sources: Sources,
    /// The ways out to chats.
    pub chat_hosts: ChatHosts,
}

impl Default for Rigging {
    fn default() -> Self {
        Self {
            time: Time::default(),
            faults: Faults::none(),
            index_lag: Duration::ZERO,
            models: Box::new(|models| models),
            sources: Sources::Hosted,
            chat_hosts: ChatHosts::default(),
        }
    }
}

/// The installation.
pub struct Rigged {
    /// The time it goes by.
    pub time: Time,
    /// Clients that nothing stands before.
    pub clients: Clients,
    /// What its services are called.
    pub stores: Stores,
    platform: Platform,
    url: String,
    key: String,
    faulty: Clients,
    host: Host,
    worker: Option<Host>,
    stack: Stack,
}

impl Rigged {
    /// Starts it over a data folder: what an earlier one left there goes on.
    pub async fn start(data_dir: &Path, strings: &BTreeMap<String, String>, rigging: Rigging) -> Self {
        let Rigging { time, faults, index_lag, models, sources: who, chat_hosts } = rigging;
        let stack = Stack::start(StackOptions { clock: Arc::new(time.clone()), ..StackOptions::new(data_dir) });
        let stack = stack.await.expect("a stack");
        let index = LateIndex::new(Arc::new(time.clone()), index_lag);
        let faulty = patient(&stack.clients_through(|service, client| {
            let lags = service == Service::Table && !index_lag.is_zero();
            let client = if lags { index.through(client) } else { client };
            faults.through(service, client)
        }));
        let stores = resources::ensure(&faulty).await.expect("resources");
        let connected = convoke_runtime::Clients {
            dynamodb: faulty.dynamodb.clone(),
            sqs: faulty.sqs.clone(),
            s3: faulty.s3.clone(),
        };
        let known = registry(settings(strings, Extras::default()).expect("settings")).expect("models");
        let behind = (limits(strings).expect("limits"), convoke_tools::compiler());
        let mut platform = convoke_runtime::platform(connected, &stores, models(Arc::new(known)), behind);
        platform.ports.env = Arc::new(time.clone());
        platform.ports.chat_hosts = chat_hosts;
        platform.resume().await.expect("what was left is taken up");
        let http = HttpOptions { port: 0, routes: routes().expect("routes") };
        let host = functions(&platform).http(http).stream(StreamSource::new(&stores.table, "notify"));
        let host = if who == Sources::Hosted { sources(host, &stores) } else { host };
        let host = host.start(&stack, &faulty).await.expect("a host");
        let made = platform.create_key(&TENANT.parse().expect("valid"), "rigged").await.expect("a key");
        let (url, key) = (host.url().expect("it listens"), made.key.expose().to_owned());
        Self { time, clients: stack.clients(), stores, platform, url, key, faulty, host, worker: None, stack }
    }

    /// Where it listens, and the owner's key.
    pub fn address(&self) -> (&str, &str) {
        (&self.url, &self.key)
    }

    /// The functions.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The ports and limits.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// How deep a queue is.
    pub fn depth(&self, queue: &str) -> Depth {
        self.stack.queues().depth(queue).expect("a queue")
    }

    /// From now on somebody reads the queues and the clock.
    pub async fn take_up_work(&mut self) {
        let host = sources(functions(&self.platform), &self.stores);
        self.worker = Some(host.start(&self.stack, &self.faulty).await.expect("a host"));
    }

    /// Looks until `done`, and lets the time leap while nobody is at work: nothing that is under way ever runs out of time
    /// because of it. Answers how much passed.
    pub async fn pass_until(&self, what: &str, mut done: impl AsyncFnMut() -> bool) -> Duration {
        let (begun_ms, begun) = (self.now_ms(), Instant::now());
        let mut was_idle = false;
        while !done().await {
            assert!(
                begun.elapsed() < WAIT_MAX,
                "{what} isn't so after {} s of its time",
                (self.now_ms() - begun_ms) / 1_000
            );
            let is_idle = self.is_idle();
            if is_idle && was_idle {
                self.time.forward(LEAP);
            }
            was_idle = is_idle && !was_idle;
            tokio::time::sleep(LOOK).await;
        }
        Duration::from_millis(self.now_ms() - begun_ms)
    }

    fn now_ms(&self) -> u64 {
        self.platform.ports.env.now_ms()
    }

    fn is_idle(&self) -> bool {
        let working = self.host.in_flight() + self.worker.as_ref().map_or(0, Host::in_flight);
        working == 0 && [STEPS, SOLO].iter().all(|queue| self.depth(queue).ready == 0)
    }

    pub(super) async fn shutdown(self) {
        self.platform.stop_claiming();
        if let Some(worker) = self.worker {
            worker.shutdown().await;
        }
        self.host.shutdown().await;
        self.stack.shutdown().await;
    }
}

/// The same clients, which wait shorter before they try again.
fn patient(clients: &Clients) -> Clients {
    let retry = || RetryConfig::standard().with_initial_backoff(SDK_PAUSE);
    Clients {
        dynamodb: aws_sdk_dynamodb::Client::from_conf(
            clients.dynamodb.config().to_builder().retry_config(retry()).build(),
        ),
        sqs: aws_sdk_sqs::Client::from_conf(clients.sqs.config().to_builder().retry_config(retry()).build()),
        s3: aws_sdk_s3::Client::from_conf(clients.s3.config().to_builder().retry_config(retry()).build()),
    }
}
