//! What has happened to a job.

use std::time::Duration;

use async_trait::async_trait;
use convoke_api::event::{EventList, EventView, EventWhat};
use convoke_api::time::Time;
use convoke_domain::ids::JobKey;

use crate::failure::{Failure, Refused};
use crate::platform::Platform;
use crate::ports::{Event, EventKind};

/// Most events of a page.
pub const EVENTS_MAX: u32 = 500;
/// Events of a page where none are asked for.
const EVENTS_DEFAULT: u32 = 100;
/// Longest time that a caller may wait for an event.
pub const WAIT_MAX: Duration = Duration::from_secs(20);
/// The first pause between two looks; each is half as long again as the one before.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Waits; the host has a clock, tests have one that needs no time.
#[async_trait]
pub trait Sleeper: Send + Sync {
    /// Returns after `pause`.
    async fn sleep(&self, pause: Duration);
}

/// Which events are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventsAsked {
    /// Only with a higher number.
    pub after: u64,
    /// Most events.
    pub limit: Option<u32>,
    /// Where there is none yet, wait so long, at most [`WAIT_MAX`].
    pub wait: Duration,
}

impl Platform {
    /// Events of a job after a number, oldest first; where there are none yet it looks again, with growing pauses, until
    /// `wait` is over. Events may lag a little behind the job.
    pub async fn events(&self, key: &JobKey, asked: EventsAsked, sleeper: &dyn Sleeper) -> Result<EventList, Failure> {
        let limit = limit(asked)?;
        self.known_job(key).await?;
        let mut waited = Duration::ZERO;
        let mut pause = PAUSE_FIRST;
        loop {
            let list = self.events_now(key, asked.after, limit).await?;
            if !list.events.is_empty() || list.ended || waited >= asked.wait {
                return Ok(list);
            }
            pause = pause.min(asked.wait.saturating_sub(waited));
            sleeper.sleep(pause).await;
            waited += pause;
            pause = (pause * 3 / 2).min(PAUSE_MAX);
        }
    }

    async fn events_now(&self, key: &JobKey, after: u64, limit: u32) -> Result<EventList, Failure> {
        let events = self.ports.events.events(key, after, limit).await?.events;
        let ended = match events.last() {
            Some(last) => is_last(last),
            None if after > 0 => self.ports.events.events(key, after - 1, 1).await?.events.first().is_some_and(is_last),
            None => false,
        };
        let next_after = events.last().map_or(after, |event| event.seq);
        Ok(EventList { events: events.into_iter().map(view).collect(), next_after, ended })
    }
}

fn limit(asked: EventsAsked) -> Result<u32, Refused> {
    let limit = asked.limit.unwrap_or(EVENTS_DEFAULT);
    if !(1..=EVENTS_MAX).contains(&limit) {
        return Err(Refused::Malformed { detail: format!("limit has to be from 1 to {EVENTS_MAX}") });
    }
    if asked.wait > WAIT_MAX {
        return Err(Refused::Malformed { detail: format!("wait_s has to be from 0 to {}", WAIT_MAX.as_secs()) });
    }
    Ok(limit)
}

const fn is_last(event: &Event) -> bool {
    matches!(event.kind, EventKind::Ended { .. })
}

fn view(event: Event) -> EventView {
    EventView { seq: event.seq, at: Time(event.at_ms), what: event.kind.into() }
}

impl EventKind {
    /// The event's type, as callers name it.
    pub fn type_name(&self) -> &'static str {
        EventWhat::from(self.clone()).name()
    }
}

impl From<EventKind> for EventWhat {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Submitted => EventWhat::Submitted,
            EventKind::Working => EventWhat::Working,
            EventKind::StepStarted { step, attempt } => EventWhat::StepStarted { step, attempt },
            EventKind::StepCompleted { step, attempt } => EventWhat::StepCompleted { step, attempt },
            EventKind::StepFailed { step, attempt } => EventWhat::StepFailed { step, attempt },
            EventKind::StepRetrying { step, not_before_ms } => {
                EventWhat::StepRetrying { step, not_before: Time(not_before_ms) }
            }
            EventKind::StepWaitsForBudget { step } => EventWhat::StepWaitsForBudget { step },
            EventKind::MapStarted { step } => EventWhat::MapStarted { step },
            EventKind::ReviewRequested { review } => EventWhat::ReviewRequested { review },
            EventKind::ReviewReminded { review } => EventWhat::ReviewReminded { review },
            EventKind::ReviewDecided { review, decision, expired } => {
                EventWhat::ReviewDecided { review, decision, expired }
            }
            EventKind::Ending { stop_reason, step, cause } => EventWhat::Ending { stop_reason, step, cause },
            EventKind::Ended { status, stop_reason } => EventWhat::Ended { status, stop_reason },
            EventKind::Cost { spent } => EventWhat::Cost { spent: spent.into() },
        }
    }
}
