//! Requests, and models to put them to.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use convoke_app::model::{
    ChatModel, DeltaSink, Message, ModelAnswer, ModelError, ModelRequest, Models, OutputSchema, ToolSpec,
};
use convoke_models::registry::{Capabilities, CompatibleSettings, HostedSettings, Registry, Settings};
use convoke_tests::scripted::ScriptedServer;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The key that must never be seen.
pub const KEY: &str = "sk-test-0123456789abcdef";

/// A request with a system and a user message.
pub fn request(text: &str) -> ModelRequest {
    ModelRequest {
        messages: vec![Message::System { text: "You are terse.".into() }, Message::User { text: text.into() }],
        tools: Vec::new(),
        schema: None,
        output_tokens_max: 500,
        temperature: None,
        seed: None,
        timeout: Duration::from_secs(20),
        cancel: CancellationToken::new(),
    }
}

/// A request whose answer is an object with a number `n`.
pub fn schema_request() -> ModelRequest {
    let schema = json!({
        "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false
    });
    ModelRequest { schema: Some(OutputSchema { name: "count".into(), schema }), ..request("How many?") }
}

/// A tool that takes a path.
pub fn look() -> ToolSpec {
    ToolSpec {
        name: "look".into(),
        description: "Looks.".into(),
        parameters: json!({"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}),
    }
}

/// A registry with the server as `compatible`, `openai` and `openrouter`.
pub fn registry(base_url: &str, capabilities: Capabilities) -> Registry {
    let hosted = HostedSettings { api_key: KEY.into(), base_url: Some(base_url.to_owned()) };
    Registry::new(Settings {
        openai: Some(hosted.clone()),
        openrouter: Some(hosted),
        compatible: Some(CompatibleSettings { base_url: base_url.to_owned(), api_key: Some(KEY.into()), capabilities }),
        ..Settings::default()
    })
    .expect("a registry")
}

/// The server as `compatible/scripted`.
pub fn model(server: &ScriptedServer) -> Arc<dyn ChatModel> {
    named(server, "compatible/scripted")
}

/// The server by any name.
pub fn named(server: &ScriptedServer, name: &str) -> Arc<dyn ChatModel> {
    registry(&server.base_url(), Capabilities::default()).model(name).expect("set up")
}

/// Asks for a stream; the answer and the pieces.
pub async fn streamed(model: &dyn ChatModel, request: &ModelRequest) -> (Result<ModelAnswer, ModelError>, Vec<String>) {
    let pieces = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&pieces);
    let sink: DeltaSink = Arc::new(move |text: &str| into.lock().expect("unpoisoned").push(text.to_owned()));
    let answer = bounded(model.complete(request, Some(&sink))).await;
    let pieces = pieces.lock().expect("unpoisoned").clone();
    (answer, pieces)
}

/// Asks for a whole answer.
pub async fn ask(model: &dyn ChatModel, request: &ModelRequest) -> Result<ModelAnswer, ModelError> {
    bounded(model.complete(request, None)).await
}

/// No test waits for longer than this.
pub async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("ends in time")
}

/// The text as JSON.
pub fn json_of(answer: &ModelAnswer) -> Value {
    serde_json::from_str(&answer.text).expect("JSON")
}
