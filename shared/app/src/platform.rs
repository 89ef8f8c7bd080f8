//! What every use case works with: the ports, connected once per process, and the limits of the installation.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use convoke_domain::ids::JobKey;
use convoke_domain::money::{Cost, MicroUsd};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::model::Models;
use crate::ports::{
    Bells, Blobs, ChatHosts, Deliveries, DeliveryBells, Env, Events, Groups, Inbox, Jobs, Keys, Links, Outbound,
    Reviews, Rooms, Schedules, Steps, Sweeps, Webhooks,
};
use crate::script::Script;
use crate::work::{JobFlow, JobOutline};

/// The connected ports. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// Mutable items of jobs.
    pub groups: Arc<dyn Groups>,
    /// What steps read and leave.
    pub steps: Arc<dyn Steps>,
    /// Jobs as a whole.
    pub jobs: Arc<dyn Jobs>,
    /// Jobs that are due.
    pub sweeps: Arc<dyn Sweeps>,
    /// Keys of the API.
    pub keys: Arc<dyn Keys>,
    /// Numbered events.
    pub events: Arc<dyn Events>,
    /// Schedules.
    pub schedules: Arc<dyn Schedules>,
    /// Webhooks of tenants.
    pub webhooks: Arc<dyn Webhooks>,
    /// What people were asked, and what they said.
    pub reviews: Arc<dyn Reviews>,
    /// What targets have been told.
    pub deliveries: Arc<dyn Deliveries>,
    /// What is linked to tenants of chats.
    pub links: Arc<dyn Links>,
    /// What comes in from chats.
    pub inbox: Arc<dyn Inbox>,
    /// How chats are told.
    pub rooms: Arc<dyn Rooms>,
    /// The queue.
    pub bells: Arc<dyn Bells>,
    /// The queue of deliveries.
    pub delivery_bells: Arc<dyn DeliveryBells>,
    /// The way out to places that callers name.
    pub outbound: Arc<dyn Outbound>,
    /// The ways out to chats that this process has.
    pub chat_hosts: ChatHosts,
    /// Object storage.
    pub blobs: Arc<dyn Blobs>,
    /// Language models.
    pub models: Arc<dyn Models>,
    /// Clock and randomness.
    pub env: Arc<dyn Env>,
}

/// Limits of an installation, with the defaults that the documents state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Cap of a job that names none.
    pub budget_default: Cost,
    /// Largest cap that a job may name.
    pub budget_max: Cost,
    /// A job's time where it names none.
    pub deadline_default: Duration,
    /// Longest time that a job may name.
    pub deadline_max: Duration,
    /// Time-out of one model call.
    pub model_timeout: Duration,
    /// Longest time that one invocation goes on with one thread in place.
    pub in_place_max: Duration,
    /// Most turns of a step, over all attempts.
    pub turns_max: u32,
    /// How long a presigned URL works.
    pub presign_ttl: Duration,
    /// Bells in the queue from which on the sweep rings nothing.
    pub queue_depth_max: u64,
    /// Most submissions of one person in an hour, within one guild, group or direct messages.
    pub person_hourly_max: u64,
    /// Most submissions of all people of a guild or group in an hour.
    pub realm_hourly_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            budget_default: Cost { usd: MicroUsd::from_usd(1), tokens: 500_000 },
            budget_max: Cost { usd: MicroUsd::from_usd(1_000), tokens: 500_000_000 },
            deadline_default: Duration::from_hours(1),
            deadline_max: Duration::from_hours(7 * 24),
            model_timeout: Duration::from_mins(2),
            in_place_max: Duration::from_mins(1),
            turns_max: 40,
            presign_ttl: Duration::from_mins(15),
            queue_depth_max: 2_000,
            person_hourly_max: 10,
            realm_hourly_max: 30,
        }
    }
}

/// The platform: every use case is a method of it, in a module of its own.
#[derive(Clone)]
pub struct Platform {
    /// The connected ports.
    pub ports: Ports,
    /// The limits.
    pub limits: Limits,
    /// Compiled flows of the jobs that this process worked on lately.
    pub(crate) cache: Arc<Kept<JobFlow>>,
    /// Outlines of the jobs that this process looked at lately.
    pub(crate) outlines: Arc<Kept<JobOutline>>,
    /// How a stored flow becomes a script.
    pub(crate) compile: Compile,
    /// Whether this process is about to end.
    pub(crate) closing: Closing,
}

/// What a process that is about to end tells those who work in it.
#[derive(Clone, Default)]
pub(crate) struct Closing {
    pub(crate) claims: CancellationToken,
    pub(crate) calls: CancellationToken,
}

/// Makes a script of a flow's document and a job's input; `capable` says for what kind of model. An error is the
/// author's, and final.
pub type Compile = Arc<dyn Fn(&Value, &Value, bool) -> Result<Box<dyn Script>, String> + Send + Sync>;

/// What belongs to a job and never changes.
pub(crate) trait OfJob {
    fn key(&self) -> &JobKey;
}

/// What a process has at hand of jobs, the least recently used going first.
pub(crate) struct Kept<T> {
    kept: Mutex<VecDeque<Arc<T>>>,
}

/// Most jobs that a process keeps something of.
const KEPT_MAX: usize = 64;

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { kept: Mutex::default() }
    }
}

impl<T: OfJob> Kept<T> {
    pub(crate) fn get(&self, key: &JobKey) -> Option<Arc<T>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let index = kept.iter().position(|one| one.key() == key)?;
        let one = kept.remove(index)?;
        kept.push_back(Arc::clone(&one));
        Some(one)
    }

    pub(crate) fn put(&self, one: Arc<T>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| other.key() != one.key());
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(one);
    }
}

/// For a process that looks at jobs and never works at a step: without a compiler it is smaller by a sixth. A job that
/// has to be compiled all the same (see [`Definition::graph`](crate::ports::Definition)) can't be read by it.
pub fn no_compiler() -> Compile {
    Arc::new(|_, _, _| Err("this process has no compiler of flows".to_owned()))
}

impl Platform {
    /// A platform over these ports.
    pub fn new(ports: Ports, limits: Limits, compile: Compile) -> Self {
        Self { ports, limits, cache: Arc::default(), outlines: Arc::default(), compile, closing: Closing::default() }
    }

    /// From now on this process (all clones of this platform) claims no step: those under way end, are journaled and
    /// committed, and what follows from them is left to others. Can't be undone; a repeat changes nothing.
    pub fn stop_claiming(&self) {
        self.closing.claims.cancel();
    }

    /// The same, and model calls under way are given up: their steps yield, which is no attempt, and their holds are
    /// written off, because the calls may have been billed.
    pub fn stop_calling(&self) {
        self.closing.claims.cancel();
        self.closing.calls.cancel();
    }
}
