//! What goes wrong between an SDK client and the services of AWS, drawn from a seed: throttles, server errors of which half
//! were applied, lost answers, connections that never came about, slow answers, messages that come twice and late, and an
//! index that lags ([`LateIndex`]).
//!
//! The embedded services do none of this by themselves; [`Faults::through`] goes between them and the clients. The same seed
//! draws the same faults in the same order; which request each of them hits is left to chance, because the installation is
//! as concurrent as it is in earnest.

mod index;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use convoke::stack::Service;
use serde_json::{Value, json};

use crate::fakes::Dice;
use crate::transport::{Meddling, Seen, between};

pub use index::LateIndex;

/// How often, in thousandths of requests, each fault happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests that are throttled, or that a transaction gets in the way of.
    pub throttled: u64,
    /// Requests that are answered with a server error; half of them were applied.
    pub broken: u64,
    /// Requests that are applied, and whose answer is lost.
    pub answer_lost: u64,
    /// Requests that don't reach the service.
    pub unreached: u64,
    /// Requests that take up to 50 ms longer.
    pub late: u64,
    /// Batches of messages that are sent twice, shuffled, the second time delayed by up to a minute.
    pub echoed: u64,
    /// Requests with which a storm begins: the next 4 to 15 of that service have the same fault.
    pub storms: u64,
}

/// One way to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// See [`Rates::throttled`].
    Throttled,
    /// See [`Rates::broken`]: not applied.
    Broken,
    /// See [`Rates::broken`]: applied.
    BrokenLate,
    /// See [`Rates::answer_lost`].
    AnswerLost,
    /// See [`Rates::unreached`].
    Unreached,
}

/// Draws faults while it is on. Clones share their state.
#[derive(Clone, Debug)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rates: Rates,
    dice: Dice,
    on: AtomicBool,
    storms: Mutex<BTreeMap<&'static str, (Kind, u64)>>,
    hits: Mutex<Vec<Hit>>,
    fail_point: Option<FailPoint>,
}

/// Where a process ends.
#[derive(Debug)]
struct FailPoint {
    operation: String,
    about: String,
    left: AtomicU64,
}

/// A request that went wrong.
#[derive(Clone, Debug)]
pub struct Hit {
    /// How.
    pub kind: Kind,
    /// The operation.
    pub operation: String,
    /// Where it went, and what it said.
    said: String,
}

impl Hit {
    /// Whether the request was about what has this id.
    pub fn is_about(&self, id: &str) -> bool {
        self.said.contains(id)
    }
}

impl Faults {
    /// Those of a seed, off.
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self::with(seed, rates, None)
    }

    fn with(seed: u64, rates: Rates, fail_point: Option<FailPoint>) -> Self {
        let shared = Shared {
            rates,
            dice: Dice::new(seed),
            on: AtomicBool::new(false),
            storms: Mutex::default(),
            hits: Mutex::default(),
            fail_point,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Nothing ever goes wrong.
    pub fn none() -> Self {
        Self::new(0, Rates::default())
    }

    /// Ends this process, wherever else it is, instead of sending the `nth` request of that operation with this text in it.
    pub fn fatal(operation: &str, about: &str, nth: u64) -> Self {
        let (operation, about) = (operation.to_owned(), about.to_owned());
        Self::with(0, Rates::default(), Some(FailPoint { operation, about, left: AtomicU64::new(nth) }))
    }

    /// From now on requests go wrong.
    pub fn begin(&self) {
        self.shared.on.store(true, Ordering::SeqCst);
    }

    /// From now on they don't.
    pub fn cease(&self) {
        self.shared.on.store(false, Ordering::SeqCst);
    }

    /// What went wrong so far.
    pub fn hits(&self) -> Vec<Hit> {
        locked(&self.shared.hits).clone()
    }

    /// How many requests about what has this id went wrong so far.
    pub fn hits_on(&self, id: &str) -> usize {
        locked(&self.shared.hits).iter().filter(|hit| hit.is_about(id)).count()
    }

    /// A client whose requests may go wrong.
    pub fn through(&self, service: Service, client: SharedHttpClient) -> SharedHttpClient {
        let shared = Arc::clone(&self.shared);
        between(client, move |seen| shared.meddle(service, seen))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FailPoint {
    fn is_reached(&self, seen: &Seen) -> bool {
        let fits = seen.operation == self.operation && seen.body.to_string().contains(&self.about);
        fits && self.left.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

impl Shared {
    fn meddle(&self, service: Service, seen: &Seen) -> Meddling {
        if !self.on.load(Ordering::SeqCst) {
            return Meddling::Pass;
        }
        if self.fail_point.as_ref().is_some_and(|point| point.is_reached(seen)) {
            std::process::abort();
        }
        if let Some(kind) = self.draw(service) {
            let said = format!("{} {}", seen.uri, seen.body);
            locked(&self.hits).push(Hit { kind, operation: seen.operation.clone(), said });
            return meddling(kind, service, &seen.operation);
        }
        let roll = self.roll();
        if service == Service::Queues && seen.operation == "SendMessageBatch" && roll < self.rates.echoed {
            return Meddling::Echo(self.echo(&seen.body));
        }
        if roll < self.rates.late {
            return Meddling::Late(Duration::from_millis(self.dice.below(50)));
        }
        Meddling::Pass
    }

    fn roll(&self) -> u64 {
        self.dice.below(1_000)
    }

    fn draw(&self, service: Service) -> Option<Kind> {
        let mut storms = locked(&self.storms);
        let storm = storms.entry(name(service)).or_insert((Kind::Throttled, 0));
        if storm.1 > 0 {
            storm.1 -= 1;
            return Some(storm.0);
        }
        let kind = self.single()?;
        if self.roll() < self.rates.storms {
            *storm = (kind, 4 + self.dice.below(12));
        }
        Some(kind)
    }

    fn single(&self) -> Option<Kind> {
        let Rates { throttled, broken, answer_lost, unreached, .. } = self.rates;
        let half = if self.roll() < 500 { Kind::Broken } else { Kind::BrokenLate };
        let kinds = [
            (Kind::Throttled, throttled),
            (half, broken),
            (Kind::AnswerLost, answer_lost),
            (Kind::Unreached, unreached),
        ];
        let mut roll = self.roll();
        for (kind, rate) in kinds {
            if roll < rate {
                return Some(kind);
            }
            roll -= rate;
        }
        None
    }

    /// The same messages the other way round, late.
    fn echo(&self, body: &Value) -> Value {
        let mut echo = body.clone();
        if let Some(entries) = echo["Entries"].as_array_mut() {
            entries.reverse();
            for entry in entries {
                entry["DelaySeconds"] = json!(self.dice.below(60));
            }
        }
        echo
    }
}

const fn name(service: Service) -> &'static str {
    match service {
        Service::Table => "table",
        Service::Queues => "queues",
        Service::Blobs => "blobs",
    }
}

fn meddling(kind: Kind, service: Service, operation: &str) -> Meddling {
    match kind {
        Kind::Throttled => throttle(service, operation),
        Kind::Broken => broken(service, Meddling::Answer),
        Kind::BrokenLate => broken(service, Meddling::Cover),
        Kind::AnswerLost => Meddling::LoseAnswer,
        Kind::Unreached => Meddling::LoseRequest,
    }
}

fn throttle(service: Service, operation: &str) -> Meddling {
    match (service, operation) {
        (Service::Blobs, _) => Meddling::Answer(503, xml("SlowDown")),
        (Service::Queues, _) => Meddling::error("RequestThrottled"),
        (Service::Table, "TransactWriteItems") => {
            let reasons = json!([{"Code": "TransactionConflict", "Message": "as drawn"}, {"Code": "None"}]);
            let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
            Meddling::Answer(400, json!({"__type": kind, "message": "as drawn", "CancellationReasons": reasons}))
        }
        (Service::Table, "UpdateItem") => Meddling::error("TransactionConflictException"),
        (Service::Table, _) => Meddling::error("ProvisionedThroughputExceededException"),
    }
}

fn broken(service: Service, answered: impl Fn(u16, Value) -> Meddling) -> Meddling {
    match service {
        Service::Blobs => answered(500, xml("InternalError")),
        Service::Table | Service::Queues => {
            answered(500, json!({"__type": "com.amazonaws#InternalServerError", "message": "as drawn"}))
        }
    }
}

fn xml(code: &str) -> Value {
    Value::from(format!("<Error><Code>{code}</Code><Message>as drawn</Message></Error>"))
}
