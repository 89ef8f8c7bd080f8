//! A model that answers at once, costs nothing, and notes when it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use convoke_app::model::{
    ChatModel, DeltaSink, Finish, ModelAnswer, ModelError, ModelNameError, ModelProfile, ModelRequest, Models, Usage,
};
use convoke_domain::money::{MicroUsd, Price};

/// The model's name.
pub const NAME: &str = "bench/instant";

/// The model.
pub struct Instantly {
    profile: ModelProfile,
    text: String,
    /// By task: when the tokio task under way asked last. A hand-off in place stays in one task.
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    last: HashMap<String, Instant>,
    hand_offs: Vec<Duration>,
}

impl Default for Instantly {
    fn default() -> Self {
        Self::saying("written".len())
    }
}

impl Instantly {
    /// One whose answers have so many bytes.
    pub fn saying(answer_bytes: usize) -> Self {
        let price = Price { input_per_mtok: MicroUsd(1), output_per_mtok: MicroUsd(1) };
        let profile = ModelProfile {
            name: NAME.into(),
            context_tokens: 1_000_000,
            output_tokens_max: 100,
            capable: true,
            price: Some(price),
        };
        let text = "written ".chars().cycle().take(answer_bytes).collect();
        Self { profile, text, asked: Mutex::default() }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what it noted.
    pub fn forget(&self) {
        *self.asked() = Asked::default();
    }

    /// The times between an answer and the next question of the same worker.
    pub fn hand_offs(&self) -> Vec<Duration> {
        self.asked().hand_offs.clone()
    }
}

#[async_trait]
impl ChatModel for Instantly {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    async fn complete(&self, _: &ModelRequest, _: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let task = tokio::task::try_id().map(|id| id.to_string()).unwrap_or_default();
        let now = Instant::now();
        let mut asked = self.asked();
        if let Some(last) = asked.last.insert(task, now) {
            asked.hand_offs.push(now - last);
        }
        drop(asked);
        let usage = Usage { input_tokens: 10, output_tokens: 10, reported_usd: None };
        Ok(ModelAnswer { text: self.text.clone(), tool_calls: Vec::new(), finish: Finish::Stop, usage })
    }
}

/// Models of which there is one.
pub struct Only(pub Arc<Instantly>);

impl Models for Only {
    fn model(&self, _: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        Ok(self.0.clone())
    }

    fn default_model(&self) -> &'static str {
        NAME
    }
}
