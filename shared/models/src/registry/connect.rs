//! How a model that was found by its name is called, or isn't.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use convoke_app::model::{ChatModel, DeltaSink, ModelAnswer, ModelError, ModelProfile, ModelRequest};

use super::RegistryError;
use super::profile::Known;
use super::url;
use crate::bedrock::{self, Bedrock};
use crate::openai::{self, Endpoint, OpenAi};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that lie idle for longer are closed: a function may have been frozen meanwhile.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes the client of a model. A trait, so that a process without clients doesn't carry their code.
pub(super) trait Connect: Send + Sync {
    fn chat(&self, endpoint: Endpoint, known: Known) -> Arc<dyn ChatModel>;

    fn bedrock(&self, client: &aws_sdk_bedrockruntime::Client, model_id: String, known: Known) -> Arc<dyn ChatModel>;
}

/// Clients over HTTP.
pub(super) struct Clients {
    remote: reqwest::Client,
    local: reqwest::Client,
}

impl Clients {
    pub(super) fn new() -> Result<Self, RegistryError> {
        let client = || {
            reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_TIMEOUT)
                // A redirect would carry prompts elsewhere.
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("convoke/", env!("CARGO_PKG_VERSION")))
        };
        let remote = client().build().map_err(RegistryError)?;
        let local = client().no_proxy().build().map_err(RegistryError)?;
        Ok(Self { remote, local })
    }
}

impl Connect for Clients {
    fn chat(&self, endpoint: Endpoint, known: Known) -> Arc<dyn ChatModel> {
        let http = if url::is_loopback(&endpoint.url) { &self.local } else { &self.remote };
        let abilities = openai::Abilities { json_schema: known.json_schema, sampling: known.sampling };
        Arc::new(OpenAi::new(http.clone(), endpoint, known.profile, abilities))
    }

    fn bedrock(&self, client: &aws_sdk_bedrockruntime::Client, model_id: String, known: Known) -> Arc<dyn ChatModel> {
        let abilities = bedrock::Abilities { json_schema: known.json_schema, sampling: known.sampling };
        Arc::new(Bedrock::new(client.clone(), model_id, known.profile, abilities))
    }
}

/// No clients.
pub(super) struct Names;

impl Connect for Names {
    fn chat(&self, _: Endpoint, known: Known) -> Arc<dyn ChatModel> {
        Arc::new(Name(known.profile))
    }

    fn bedrock(&self, _: &aws_sdk_bedrockruntime::Client, _: String, known: Known) -> Arc<dyn ChatModel> {
        Arc::new(Name(known.profile))
    }
}

/// A model that isn't called from here.
struct Name(ModelProfile);

#[async_trait]
impl ChatModel for Name {
    fn profile(&self) -> &ModelProfile {
        &self.0
    }

    async fn complete(&self, _: &ModelRequest, _: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        Err(ModelError::Refused { detail: "this process calls no models".to_owned() })
    }
}
