//! Asks a model the same thing twice, for a whole answer and for a stream, with the caller's credentials:
//!
//! ```text
//! cargo run --example converse -- STACK bedrock/ID "What is oolong?"
//! ```
//!
//! It prints both answers, and the pieces that the stream came in, as JSON. The deployment rig runs it against an emulator.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_http_client::{Builder, tls};
use convoke_app::model::{ChatModel, DeltaSink, Message, ModelRequest, Models};
use convoke_models::registry::{Registry, Settings};
use convoke_runtime::installation;

type Failed = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let [stack, model, question] = arguments()?;
    let https =
        Builder::new().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring)).build_https();
    let bedrock = installation::find(&stack, https).await?.bedrock();
    let registry = Registry::new(Settings { bedrock: Some(bedrock), ..Settings::default() })?;
    println!("{}", ask_twice(&*registry.model(&model)?, &question).await?);
    Ok(())
}

fn arguments() -> Result<[String; 3], Failed> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    given.try_into().map_err(|_| "expected STACK MODEL QUESTION".into())
}

async fn ask_twice(model: &dyn ChatModel, question: &str) -> Result<serde_json::Value, Failed> {
    let request = ModelRequest {
        messages: vec![Message::User { text: question.to_owned() }],
        tools: Vec::new(),
        schema: None,
        output_tokens_max: 500,
        temperature: None,
        seed: None,
        timeout: Duration::from_secs(30),
        cancel: tokio_util::sync::CancellationToken::new(),
    };
    let whole = model.complete(&request, None).await?;
    let pieces: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&pieces);
    let sink: DeltaSink =
        Arc::new(move |piece| kept.lock().unwrap_or_else(PoisonError::into_inner).push(piece.to_owned()));
    let streamed = model.complete(&request, Some(&sink)).await?;
    let pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(serde_json::json!({ "whole": whole, "streamed": streamed, "pieces": pieces }))
}
