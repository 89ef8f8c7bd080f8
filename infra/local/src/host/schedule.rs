//! The schedule event source: ticks by the clock, and on demand.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::invoke::{EVENT_BYTES_MAX, InvokeError, Runner, check_event};
use crate::ids;
use crate::stack::clock::Clock;

/// Lambda tries an event that nobody waits for three times in all.
const TRIES: u32 = 3;

/// A rule that invokes a function.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The rule's name.
    pub name: String,
    /// At each multiple of this since the epoch: a minute means at each full minute. One that passes while the last
    /// invocation still runs, or while the machine sleeps, is left out.
    pub every: Duration,
    /// The function.
    pub function: String,
}

/// Ticks until the host stops.
pub(super) async fn run(schedule: Schedule, runner: Arc<Runner>, stop: CancellationToken) {
    let every_ms = u64::try_from(schedule.every.as_millis()).unwrap_or(u64::MAX).max(1);
    loop {
        let due_ms = (runner.clock.now_ms() / every_ms).saturating_add(1).saturating_mul(every_ms);
        tokio::select! {
            () = runner.clock.sleep_until(due_ms) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = tick(&schedule, &runner).await {
            tracing::error!(error = &error as &dyn Error, schedule = schedule.name, "a tick failed for good");
        }
    }
}

/// Invokes the function now, again if it fails, three times in all; returns the last error.
pub(super) async fn tick(schedule: &Schedule, runner: &Runner) -> Result<(), InvokeError> {
    let event = event(schedule, &*runner.clock).to_string().into();
    check_event(&event, EVENT_BYTES_MAX)?;
    let mut tried = 1;
    loop {
        match runner.invoke(&schedule.function, event.clone()).await {
            Ok(_) => return Ok(()),
            Err(error) if tried == TRIES || matches!(error, InvokeError::Stopping | InvokeError::Unknown(_)) => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, schedule = schedule.name, tried, "a tick failed");
                tried += 1;
            }
        }
    }
}

fn event(schedule: &Schedule, clock: &dyn Clock) -> Value {
    let now_ms = i64::try_from(clock.now_ms()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(now_ms / 1_000).unwrap_or_default();
    json!({
        "version": "0",
        "id": ids::uuid(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": time.to_string(),
        "region": "us-east-1",
        "resources": [format!("arn:aws:events:us-east-1:000000000000:rule/{}", schedule.name)],
        "detail": {},
    })
}
