//! A model that answers at once and keeps its own ledger.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use convoke_app::model::{
    ChatModel, DeltaSink, Finish, Message, ModelAnswer, ModelError, ModelNameError, ModelProfile, ModelRequest, Models,
    Usage,
};
use convoke_domain::money::{MicroUsd, Price};
use serde_json::Value;

/// What a call costs at least: the tests' budgets are multiples of it.
pub const CALL_USD: u64 = 30;

/// A model that answers at once and keeps its own ledger.
pub struct Meter {
    profile: ModelProfile,
    calls: Mutex<Vec<(String, u64)>>,
}

impl Default for Meter {
    fn default() -> Self {
        let price = Price { input_per_mtok: MicroUsd(100_000), output_per_mtok: MicroUsd(1_000_000) };
        let profile = ModelProfile {
            name: "test/meter".into(),
            context_tokens: 100_000,
            output_tokens_max: 10,
            capable: true,
            price: Some(price),
        };
        Self { profile, calls: Mutex::default() }
    }
}

impl Meter {
    fn ledger(&self) -> Vec<(String, u64)> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many calls it had.
    pub fn calls(&self) -> u64 {
        self.ledger().len() as u64
    }

    /// What they cost.
    pub fn metered(&self) -> MicroUsd {
        MicroUsd(self.ledger().iter().map(|(_, usd)| usd).sum())
    }
}

#[async_trait]
impl ChatModel for Meter {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    async fn complete(&self, request: &ModelRequest, _: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let Some(Message::User { text }) = request.messages.last() else {
            return Err(ModelError::Refused { detail: "no question".into() });
        };
        let usage = Usage { input_tokens: text.len() as u64 / 4, output_tokens: 10, reported_usd: None };
        let usd = self.profile.cost_of(&usage).usd.0;
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push((text.clone(), usd));
        let asked: Value = serde_json::from_str(text).unwrap_or_default();
        let text = format!("{}-{}-{}", asked["task"].as_str().unwrap_or(""), asked["item"], asked["round"]);
        Ok(ModelAnswer { text, tool_calls: Vec::new(), finish: Finish::Stop, usage })
    }
}

/// Models of one kind: whatever is asked for, this one answers.
pub struct OneModel(pub Arc<dyn ChatModel>);

impl Models for OneModel {
    fn model(&self, _name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        Ok(Arc::clone(&self.0))
    }

    fn default_model(&self) -> &'static str {
        "test/meter"
    }
}
