//! The engine: answers bells.
//!
//! A bell names a slot. The worker looks at the state, claims what is ready (money reserved in the same write), does it,
//! puts the result, commits, and goes on in place with what became ready, for a while; the rest is rung. Every step of
//! this may be lost or done twice: the state decides, and [`Platform::look`](crate::platform::Platform::look) finds what
//! is overdue.

mod agent;
mod ask;
mod chunks;
mod commit;
mod ending;
mod finish;
mod flow;
mod funds;
mod harvest;
mod load;
mod open;
mod panic;
mod payload;
mod prepare;
mod report;
mod review;
mod shift;
mod sweep;

pub use flow::{JobFlow, JobOutline};
pub use open::Opened;
pub use payload::{INLINE_BYTES_MAX, load_value, store_value};
pub(crate) use review::expired;
pub use sweep::TickReport;

use convoke_domain::decide::Refusal;

use crate::platform::Platform;
use crate::ports::{Bell, PortError};

/// Until when an invocation may work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// Deadline of the function (Unix milliseconds).
    pub deadline_ms: u64,
}

/// Why a bell wasn't answered.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// A port failed; the bell comes again.
    #[error("a step's storage failed")]
    Port(#[source] PortError),
    /// What is stored doesn't fit together; an operator has to look.
    #[error("job {job} can't be worked on: {detail}")]
    Corrupt {
        /// Which job.
        job: String,
        /// What is wrong.
        detail: String,
    },
    /// Too many others write the same item just now; the bell comes again.
    #[error("job {job} is written by too many at once")]
    Contended {
        /// Which job.
        job: String,
    },
    /// So little time is left that nothing was begun; the bell comes again.
    #[error("the invocation has no time left")]
    OutOfTime,
}

impl WorkError {
    /// Whether ringing again helps.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Port(error) => error.is_retryable(),
            Self::Contended { .. } | Self::OutOfTime => true,
            Self::Corrupt { .. } => false,
        }
    }
}

impl From<PortError> for WorkError {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl Platform {
    /// Answers a bell: works on its slot, and on what follows from it in place. Idempotent: a bell for what is done or
    /// taken is answered at once.
    pub async fn answer(&self, bell: &Bell, until: Until) -> Result<(), WorkError> {
        let opened = self.open(std::slice::from_ref(bell)).await?.pop().unwrap_or_default();
        self.answer_opened(bell, opened, until).await
    }

    /// Answers a bell that was [opened](Self::open) together with others.
    pub async fn answer_opened(&self, bell: &Bell, opened: Opened, until: Until) -> Result<(), WorkError> {
        let Some(slot) = bell.slot else { return self.look(&bell.key).await };
        let Opened { flow, definition, group, results } = opened;
        let job = match (flow, definition) {
            (Some(flow), _) => flow,
            (None, Some(definition)) => self.compiled(&bell.key, definition).await?,
            (None, None) => {
                tracing::warn!(job = %bell.key, "a bell for a job that doesn't exist");
                return Ok(());
            }
        };
        let mut shift = shift::Shift::new(self, job, until);
        if !shift.has_time() {
            return Err(WorkError::OutOfTime);
        }
        shift.recent = results;
        match shift.found(bell.group, group).await? {
            Some(group) => shift.work(group, slot).await,
            None => Ok(()),
        }
    }
}

/// A refusal of something that the caller has just made sure of.
fn unexpected(job: impl std::fmt::Display, refusal: &Refusal) -> WorkError {
    WorkError::Corrupt { job: job.to_string(), detail: format!("a decision was refused: {refusal}") }
}
