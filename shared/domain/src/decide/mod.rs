//! The decisions: pure functions from what is known to a [`Change`](crate::change::Change), or to a refusal.
//!
//! A slot's life (`-` means that the slot is absent):
//!
//! | from | event | to | decision |
//! |---|---|---|---|
//! | `-`, ready | claimed | held | [`claim`] |
//! | waiting | claimed | held | [`claim`] |
//! | held, lease run out | claimed again | held, attempt + 1, old hold settled or written off | [`claim`] |
//! | held | turn journaled | held, next hold | [`renew`] |
//! | held | result put, thread goes on | waiting at the next step, or held by the same worker | [`commit`] |
//! | held | result put, thread ends | `-`, done bit; a lane goes on with its next item | [`commit`] |
//! | held | list made | waits for groups | [`commit`] |
//! | held | attempt failed, or yields | waiting | [`give_back`] |
//! | held | its worker is known to be gone | held, lease run out | [`lapse`] |
//! | held | step failed for good | `-`, group ending | [`fail`] |
//! | waits for groups | last group closed | `-`, done bit | [`close`], [`fan_in`] |
//! | held at a review | question put | waits for a person | [`ask`] |
//! | waits for a person | time for a reminder | the same, reminded | [`remind`] |
//! | waits for a person | decided, or its time is over | waiting, ruled: whoever claims it goes on, or ends the job | [`rule`], [`expire`] |
//! | held, ending, lease run out | written off | `-` | [`reap`] |
//!
//! A group's life: live, then ending (once, by the first of complete, fail, cancel, deadline, budget: [`end`]), then gone
//! from the job's list ([`close`]); the job itself is over when its finish step commits ([`finish`]).
//!
//! A job in which nothing is open but reviews rests ([`rest`]): it is `awaiting_review`, and its clock stands still until
//! one of them is decided, or it is ended.

mod claim;
mod commit;
mod committed;
mod ending;
mod fan;
mod follow;
mod ready;
mod review;
mod sweep;

pub use claim::{Attempt, Hold, Prior, Worker, claim, give_back, lapse, park, renew};
pub use commit::{Advance, Next, Outcome, advance, candidate, commit};
pub use committed::is_committed;
pub use ending::{close, end, fail, fan_in, finish, reap};
pub use fan::{Expansion, List, draw, drawn, expand, is_owed, new_fan, starve};
pub use follow::{FollowUp, follow_up};
pub use ready::{is_complete, ready_slots};
pub use review::{ask, expire, remind, rest, rule};
pub use sweep::{Action, Sweep, is_broke, sweep};

use crate::graph::Graph;
use crate::group::Group;

/// What every decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The job's flow.
    pub graph: &'a Graph,
    /// The group, as last seen.
    pub group: &'a Group,
    /// The caller's clock (Unix milliseconds).
    pub now_ms: u64,
}

/// Why a decision doesn't apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was done before, or somebody else does it: acknowledge.
    #[error("already done or taken")]
    Stale,
    /// Somebody holds it until then.
    #[error("held until {until_ms}")]
    Held {
        /// Unix milliseconds.
        until_ms: u64,
    },
    /// Not before then.
    #[error("not before {not_before_ms}")]
    NotYet {
        /// Unix milliseconds.
        not_before_ms: u64,
    },
    /// The group takes no more claims.
    #[error("the job is ending")]
    Ending,
    /// The job's time is over.
    #[error("the job's deadline has passed")]
    Deadline,
    /// What is left doesn't cover the hold.
    #[error("what is left doesn't cover the next call")]
    Unaffordable,
    /// All attempts are used up by workers that were lost.
    #[error("all attempts are used up")]
    Exhausted,
    /// It can never apply: evidence of a mistake.
    #[error("the slot isn't there or isn't ready")]
    Impossible,
}
