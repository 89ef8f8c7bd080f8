//! What an installation counts, as Prometheus reads it at `GET /metrics`.
//!
//! | name | labels | |
//! |---|---|---|
//! | `convoke_jobs_total` | `status` | jobs that came into a state: `queued`, `working`, `completed`, `failed`, `cancelled` |
//! | `convoke_steps_total` | `outcome` | steps: `committed`; `failed` for good; `yielded`, to be tried again |
//! | `convoke_model_calls_total` | `provider`, `outcome` | calls: `answered`, `throttled`, `failed` |
//! | `convoke_model_tokens_total` | `provider`, `kind` | tokens of answered calls: `input`, `output` |
//! | `convoke_model_cost_usd_total` | `provider` | what they cost, in US dollars; nothing where the price isn't known |
//! | `convoke_queue_messages` | `queue`, `state` | messages: `ready`, `in_flight`, `delayed` |
//! | `convoke_table_requests_total` | `operation` | requests to the table |
//! | `process_resident_memory_bytes`, `process_cpu_seconds_total` | | of this process, where the system tells |
//!
//! Counted from the start of the process, by watching the ports; jobs and steps when the table's stream is read, which may
//! repeat what was read just before a kill. No label has a tenant, a job, or a model's own name: their number is bounded.

mod ports;
mod process;
mod requests;

use prometheus::core::Collector;
use prometheus::{CounterVec, Gauge, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::stack::queue::Queues;
use crate::stack::{Clients, Service, Stack};

/// Media type of [`Meters::text`].
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All counters of an installation. Clones count together.
#[derive(Clone, Debug)]
pub struct Meters {
    registry: Registry,
    jobs: IntCounterVec,
    steps: IntCounterVec,
    calls: IntCounterVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    requests: IntCounterVec,
    messages: IntGaugeVec,
    memory: Gauge,
    cpu: Gauge,
}

/// A metric that can't be: a name twice, or one that isn't a name. A bug.
#[derive(Debug, thiserror::Error)]
#[error("a metric can't be registered")]
pub struct MetersError(#[source] prometheus::Error);

impl Meters {
    /// Counters at zero.
    pub fn new() -> Result<Self, MetersError> {
        Self::register().map_err(MetersError)
    }

    fn register() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            keep(&registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauge = |name: &str, help: &str| keep(&registry, Gauge::new(name, help)?);
        let cost = Opts::new("convoke_model_cost_usd_total", "What answered model calls cost, in US dollars.");
        let messages = Opts::new("convoke_queue_messages", "Messages in a queue.");
        Ok(Self {
            jobs: counters("convoke_jobs_total", "Jobs that came into a state.", &["status"])?,
            steps: counters("convoke_steps_total", "Steps by what came of them.", &["outcome"])?,
            calls: counters("convoke_model_calls_total", "Model calls.", &["provider", "outcome"])?,
            tokens: counters("convoke_model_tokens_total", "Tokens of answered calls.", &["provider", "kind"])?,
            cost: keep(&registry, CounterVec::new(cost, &["provider"])?)?,
            requests: counters("convoke_table_requests_total", "Requests to the table.", &["operation"])?,
            messages: keep(&registry, IntGaugeVec::new(messages, &["queue", "state"])?)?,
            memory: gauge("process_resident_memory_bytes", "Memory that the process has, in bytes.")?,
            cpu: gauge("process_cpu_seconds_total", "Time of processors that the process took, in seconds.")?,
            registry,
        })
    }

    /// Clients of a stack whose requests to the table are counted.
    pub fn clients(&self, stack: &Stack) -> Clients {
        stack.clients_through(|service, client| match service {
            Service::Table => requests::counted(client, self.requests.clone()),
            Service::Queues | Service::Blobs => client,
        })
    }

    /// Everything as Prometheus' text, with the depth of `queues` by name and the process's own figures as they are now.
    pub fn text(&self, queues: &Queues, names: &[String]) -> Result<String, MetersError> {
        for name in names {
            let depth = queues.depth(name).unwrap_or_default();
            for (state, count) in [("ready", depth.ready), ("in_flight", depth.in_flight), ("delayed", depth.delayed)] {
                self.messages.with_label_values(&[name.as_str(), state]).set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        if let Some(own) = process::now() {
            self.memory.set(own.memory_bytes);
            self.cpu.set(own.cpu_s);
        }
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(MetersError)
    }
}

fn keep<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
