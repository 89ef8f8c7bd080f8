//! What has happened, as events tell it.

use convoke_app::ports::EventKind;
use convoke_domain::events::{Happened, derive};
use convoke_domain::graph::Graph;
use convoke_domain::group::Group;

/// What has happened to a group between two images.
pub(super) fn of(graph: &Graph, old: Option<&Group>, new: &Group) -> Vec<EventKind> {
    derive(graph, old, new).into_iter().map(kind).collect()
}

fn kind(happened: Happened) -> EventKind {
    match happened {
        Happened::Submitted => EventKind::Submitted,
        Happened::Working => EventKind::Working,
        Happened::StepStarted { step, attempt } => EventKind::StepStarted { step: step.to_string(), attempt },
        Happened::StepCompleted { step, attempt } => EventKind::StepCompleted { step: step.to_string(), attempt },
        Happened::StepRetrying { step, not_before_ms } => {
            EventKind::StepRetrying { step: step.to_string(), not_before_ms }
        }
        Happened::StepWaitsForBudget { step } => EventKind::StepWaitsForBudget { step: step.to_string() },
        Happened::MapStarted { step } => EventKind::MapStarted { step: step.to_string() },
        Happened::StepFailed { step, attempt } => EventKind::StepFailed { step: step.to_string(), attempt },
        Happened::ReviewRequested { step } => EventKind::ReviewRequested { review: step.to_string() },
        Happened::ReviewReminded { step } => EventKind::ReviewReminded { review: step.to_string() },
        Happened::ReviewDecided { step, ruling } => EventKind::ReviewDecided {
            review: step.to_string(),
            decision: ruling.decision(),
            expired: ruling.is_expired(),
        },
        Happened::Ending(ending) => {
            EventKind::Ending { stop_reason: ending.reason, step: ending.step, cause: ending.cause }
        }
        Happened::Ended { status, stop_reason } => EventKind::Ended { status, stop_reason },
        Happened::Cost { spent } => EventKind::Cost { spent },
    }
}
