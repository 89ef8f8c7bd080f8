//! What every use case works with: the ports, connected once per process, and the limits of the installation.

use std::sync::Arc;
use std::time::Duration;

use convoke_domain::money::{Cost, MicroUsd};

use crate::model::Models;
use crate::ports::{Bells, Blobs, Env, Events, Groups, Jobs, Keys, Steps, Sweeps};

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
    /// The queue.
    pub bells: Arc<dyn Bells>,
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            budget_default: Cost { usd: MicroUsd::from_usd(1), tokens: 500_000 },
            budget_max: Cost { usd: MicroUsd::from_usd(1_000), tokens: 500_000_000 },
            deadline_default: Duration::from_secs(3_600),
            deadline_max: Duration::from_secs(7 * 86_400),
            model_timeout: Duration::from_secs(120),
            in_place_max: Duration::from_secs(60),
            turns_max: 40,
            presign_ttl: Duration::from_secs(900),
            queue_depth_max: 2_000,
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
}

impl Platform {
    /// A platform over these ports.
    pub const fn new(ports: Ports, limits: Limits) -> Self {
        Self { ports, limits }
    }
}
