//! A model that writes what it is asked for, or can't.

use std::sync::Arc;

use async_trait::async_trait;
use convoke_app::model::{
    ChatModel, DeltaSink, Finish, Message, ModelAnswer, ModelError, ModelNameError, ModelProfile, ModelRequest, Models,
    Usage,
};
use convoke_domain::money::{MicroUsd, Price};

/// Writes a few letters, others in French; 9 MB of them where a long poem is wanted, and nothing where the impossible is.
#[derive(Clone)]
pub struct Writer(Arc<ModelProfile>);

impl Default for Writer {
    fn default() -> Self {
        let price = Price { input_per_mtok: MicroUsd(2_000_000), output_per_mtok: MicroUsd(8_000_000) };
        Self(Arc::new(ModelProfile {
            name: "test/writer".into(),
            context_tokens: 100_000,
            output_tokens_max: 1_000,
            capable: true,
            price: Some(price),
        }))
    }
}

#[async_trait]
impl ChatModel for Writer {
    fn profile(&self) -> &ModelProfile {
        &self.0
    }

    async fn complete(&self, request: &ModelRequest, _: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let Some(Message::User { text }) = request.messages.last() else {
            return Err(ModelError::Refused { detail: "no question".into() });
        };
        if text.contains("impossible") {
            return Err(ModelError::Refused { detail: "the key is wrong".into() });
        }
        let letter = if text.contains("French") { "é" } else { "x" };
        let size = if text.contains("a long poem") { 9 * 1_024 * 1_024 } else { 12 };
        let usage = Usage { input_tokens: 1_000, output_tokens: 100, reported_usd: None };
        Ok(ModelAnswer { text: letter.repeat(size), tool_calls: Vec::new(), finish: Finish::Stop, usage })
    }
}

impl Models for Writer {
    fn model(&self, _name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        Ok(Arc::new(self.clone()))
    }

    fn default_model(&self) -> &'static str {
        "test/writer"
    }
}
