//! The function `clock`: once a minute it has the platform look at what is due (law 8).
//!
//! A tick that fails is an error of the invocation, so that the function's error metric shows it; the next minute's tick
//! does the same work.

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use convoke_app::platform::Platform;
use convoke_app::schedules::ScheduleReport;
use convoke_app::work::{TickReport, WorkError};
use lambda_runtime::{Diagnostic, LambdaEvent, Service, service_fn};
use serde::Serialize;
use tracing::Instrument;

/// What a tick did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ticked {
    /// Jobs that were due.
    pub jobs: u32,
    /// Schedules, and runs of them, that were due.
    pub schedules: u32,
    /// Jobs, schedules and runs that couldn't be looked at; they stay due.
    pub failed: u32,
    /// Deliveries that were due.
    pub deliveries: u32,
}

/// The tick failed as a whole; the next one does its work.
#[derive(Debug, thiserror::Error)]
#[error("the tick failed")]
pub struct TickError(#[source] WorkError);

impl From<TickError> for Diagnostic {
    fn from(error: TickError) -> Self {
        Self { error_type: "TickError".to_owned(), error_message: error.to_string() }
    }
}

/// The handler as `lambda_runtime` runs it.
pub fn service(
    platform: Platform,
) -> impl Service<LambdaEvent<EventBridgeEvent>, Response = Ticked, Error = TickError, Future: Send> + Clone {
    service_fn(move |event: LambdaEvent<EventBridgeEvent>| {
        let platform = platform.clone();
        async move {
            let span = tracing::info_span!("tick", request_id = event.context.request_id);
            handle(&platform).instrument(span).await.map_err(TickError)
        }
    })
}

/// Looks at every job, schedule and delivery that is due. Idempotent: what was done is found done.
pub async fn handle(platform: &Platform) -> Result<Ticked, WorkError> {
    let now_ms = platform.ports.env.now_ms();
    // Each is tried whatever becomes of the other.
    let ticked = (platform.tick_schedules(now_ms).await, platform.tick(now_ms).await);
    match &ticked {
        (Ok(_), Ok(_)) => {}
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(error = error as &dyn std::error::Error, "the tick failed");
        }
    }
    let (ScheduleReport { due, failed: unlooked }, TickReport { jobs, failed, deliveries }) = (ticked.0?, ticked.1?);
    tracing::info!(jobs, schedules = due, deliveries, failed = failed + unlooked, "ticked");
    Ok(Ticked { jobs, schedules: due, failed: failed + unlooked, deliveries })
}
