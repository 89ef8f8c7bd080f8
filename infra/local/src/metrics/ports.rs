//! Ports that count.

use std::sync::Arc;

use async_trait::async_trait;
use convoke_app::model::{
    ChatModel, DeltaSink, ModelAnswer, ModelError, ModelNameError, ModelProfile, ModelRequest, Models,
};
use convoke_app::ports::{EventKind, EventPage, Events, PortError};
use convoke_domain::ids::{GroupId, JobKey, StepId};

use super::Meters;

/// Models whose calls are counted.
pub(super) struct CountedModels {
    pub models: Arc<dyn Models>,
    pub meters: Meters,
}

impl Models for CountedModels {
    fn model(&self, name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        let model = self.models.model(name)?;
        Ok(Arc::new(CountedModel { model, meters: self.meters.clone() }))
    }

    fn default_model(&self) -> &str {
        self.models.default_model()
    }
}

struct CountedModel {
    model: Arc<dyn ChatModel>,
    meters: Meters,
}

#[async_trait]
impl ChatModel for CountedModel {
    fn profile(&self) -> &ModelProfile {
        self.model.profile()
    }

    async fn complete(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let done = self.model.complete(request, deltas).await;
        self.count(&done);
        done
    }
}

impl CountedModel {
    fn count(&self, done: &Result<ModelAnswer, ModelError>) {
        let Meters { calls, tokens, cost, .. } = &self.meters;
        let profile = self.model.profile();
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
}

/// Events that are counted as they are appended.
pub(super) struct CountedEvents {
    pub events: Arc<dyn Events>,
    pub meters: Meters,
}

#[async_trait]
impl Events for CountedEvents {
    async fn append(&self, key: &JobKey, changes: &[(GroupId, u64, u64, Vec<EventKind>)]) -> Result<(), PortError> {
        self.events.append(key, changes).await?;
        for kind in changes.iter().flat_map(|(.., kinds)| kinds) {
            self.count(kind);
        }
        Ok(())
    }

    async fn events(&self, key: &JobKey, after: u64, limit: u32) -> Result<EventPage, PortError> {
        self.events.events(key, after, limit).await
    }
}

impl CountedEvents {
    fn count(&self, kind: &EventKind) {
        let job = |status: &str| self.meters.jobs.with_label_values(&[status]).inc();
        // Delivering is no step of the flow.
        let step = |step: &str, outcome: &str| {
            if step != StepId::finish().to_string() {
                self.meters.steps.with_label_values(&[outcome]).inc();
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
            | EventKind::Ending { .. }
            | EventKind::Cost { .. } => {}
        }
    }
}
