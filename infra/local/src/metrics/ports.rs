//! What goes through the ports, counted.

use std::time::Duration;

use convoke_app::model::{ModelAnswer, ModelError, ModelProfile};
use convoke_app::ports::{EventKind, OutboundError, Posted};
use convoke_domain::ids::StepId;
use convoke_runtime::observe::Observer;

use super::Meters;

impl Observer for Meters {
    fn called(&self, profile: &ModelProfile, done: &Result<ModelAnswer, ModelError>, _: Duration) {
        let Self { calls, tokens, cost, .. } = self;
        let provider = profile.name.split('/').next().unwrap_or_default();
        let outcome = match done {
            Ok(_) => "answered",
            Err(ModelError::Throttled { .. }) => "throttled",
            Err(_) => "failed",
        };
        calls.with_label_values(&[provider, outcome]).inc();
        let Ok(ModelAnswer { usage, .. }) = done else { return };
        tokens.with_label_values(&[provider, "input"]).inc_by(usage.input_tokens);
        tokens.with_label_values(&[provider, "output"]).inc_by(usage.output_tokens);
        // Exact up to some billions of dollars.
        let micros = u32::try_from(profile.cost_of(usage).usd.0).map_or(f64::MAX, f64::from);
        cost.with_label_values(&[provider]).inc_by(micros / 1e6);
    }

    fn happened(&self, kinds: &[&EventKind]) {
        for kind in kinds {
            self.count(kind);
        }
    }

    fn posted(&self, _: &Result<Posted, OutboundError>) {}
}

impl Meters {
    fn count(&self, kind: &EventKind) {
        let job = |status: &str| self.jobs.with_label_values(&[status]).inc();
        // Delivering is no step of the flow.
        let step = |step: &str, outcome: &str| {
            if step != StepId::finish().to_string() {
                self.steps.with_label_values(&[outcome]).inc();
            }
        };
        match kind {
            EventKind::Submitted => job("queued"),
            EventKind::Working => job("working"),
            EventKind::Ended { status, .. } => job(status.as_str()),
            EventKind::StepCompleted { step: name, .. } => step(name, "committed"),
            EventKind::StepFailed { step: name, .. } => step(name, "failed"),
            EventKind::StepRetrying { step: name, .. } => step(name, "yielded"),
            EventKind::StepStarted { .. }
            | EventKind::StepWaitsForBudget { .. }
            | EventKind::MapStarted { .. }
            | EventKind::ReviewRequested { .. }
            | EventKind::ReviewReminded { .. }
            | EventKind::ReviewDecided { .. }
            | EventKind::Ending { .. }
            | EventKind::Cost { .. } => {}
        }
    }
}
