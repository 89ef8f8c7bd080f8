//! When a schedule starts work: pure rules. What a tick starts, and the arithmetic of calendars, is the caller's.

use serde::{Deserialize, Serialize};

use crate::money::Cost;
use crate::status::JobStatus;

/// What happens to a tick while the work of an earlier one goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The tick is passed over.
    #[default]
    Skip,
    /// It waits; of several that wait, one is started.
    Queue,
    /// It starts beside it.
    Allow,
}

impl Overlap {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Allow => "allow",
        }
    }
}

/// What is to be done about a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// This tick starts.
    Start {
        /// The tick (Unix milliseconds).
        tick_ms: u64,
    },
    /// This tick is passed over: the work of an earlier one goes on.
    Skip {
        /// The tick.
        tick_ms: u64,
    },
    /// This tick waits for the work of an earlier one.
    Wait {
        /// The tick.
        tick_ms: u64,
    },
}

/// What the rules have to know of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The next tick; `None` while the schedule is paused, or has none left.
    pub tick_ms: Option<u64>,
    /// How much later than the tick its work may start.
    pub jitter_ms: u64,
    /// What happens while earlier work goes on.
    pub overlap: Overlap,
    /// Whether earlier work goes on.
    pub is_busy: bool,
}

impl Pending {
    /// What is to be done now. A tick that was missed, however long ago, is started once: the next one is counted from
    /// now, not from it.
    pub fn due(&self, now_ms: u64) -> Due {
        match self.tick_ms {
            Some(tick_ms) if tick_ms + self.jitter_ms <= now_ms => match (self.is_busy, self.overlap) {
                (false, _) | (true, Overlap::Allow) => Due::Start { tick_ms },
                (true, Overlap::Skip) => Due::Skip { tick_ms },
                (true, Overlap::Queue) => Due::Wait { tick_ms },
            },
            Some(_) | None => Due::Nothing,
        }
    }
}

/// How the jobs of a tick came out so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Jobs that completed.
    pub completed: u32,
    /// Jobs that failed.
    pub failed: u32,
    /// Jobs that were cancelled.
    pub cancelled: u32,
    /// Inputs that were no job's: what was scheduled can't be submitted (any more).
    pub refused: u32,
    /// What the ended jobs cost.
    pub spent: Cost,
}

impl Tally {
    /// Counts a job; nothing where it hasn't ended.
    pub fn count(&mut self, status: JobStatus, spent: Cost) {
        match status {
            JobStatus::Completed => self.completed += 1,
            JobStatus::Failed => self.failed += 1,
            JobStatus::Cancelled => self.cancelled += 1,
            JobStatus::Queued | JobStatus::Working | JobStatus::AwaitingReview => return,
        }
        self.spent += spent;
    }
}

/// How many jobs may be started beside those that run.
pub fn room(at_once: u32, running: usize, left: u32) -> u32 {
    at_once.saturating_sub(u32::try_from(running).unwrap_or(u32::MAX)).min(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::MicroUsd;

    fn pending(overlap: Overlap, is_busy: bool) -> Pending {
        Pending { tick_ms: Some(1_000), jitter_ms: 50, overlap, is_busy }
    }

    #[test]
    fn a_tick_starts_at_its_time_and_not_before() {
        let pending = pending(Overlap::Skip, false);
        assert_eq!(pending.due(1_049), Due::Nothing);
        assert_eq!(pending.due(1_050), Due::Start { tick_ms: 1_000 });
        assert_eq!(pending.due(u64::MAX), Due::Start { tick_ms: 1_000 }, "once, however late");
        assert_eq!(Pending { tick_ms: None, ..pending }.due(u64::MAX), Due::Nothing);
    }

    #[test]
    fn earlier_work_is_passed_over_waited_for_or_joined() {
        let due = |overlap| pending(overlap, true).due(2_000);
        assert_eq!(due(Overlap::Skip), Due::Skip { tick_ms: 1_000 });
        assert_eq!(due(Overlap::Queue), Due::Wait { tick_ms: 1_000 });
        assert_eq!(due(Overlap::Allow), Due::Start { tick_ms: 1_000 });
    }

    #[test]
    fn only_ended_jobs_are_counted_with_their_cost() {
        let cost = Cost { usd: MicroUsd(5), tokens: 7 };
        let mut tally = Tally::default();
        for status in [JobStatus::Completed, JobStatus::Working, JobStatus::Failed, JobStatus::Cancelled] {
            tally.count(status, cost);
        }
        assert_eq!((tally.completed, tally.failed, tally.cancelled), (1, 1, 1));
        assert_eq!(tally.spent, Cost { usd: MicroUsd(15), tokens: 21 });
    }

    #[test]
    fn no_more_run_at_once_than_may() {
        assert_eq!(room(5, 2, 100), 3);
        assert_eq!(room(5, 7, 100), 0);
        assert_eq!(room(5, 0, 2), 2);
    }
}
