//! The embedded model with its real weights: fetched once (98 MB) into `CONVOKE_CACHE_DIR`, or `~/.cache/convoke`.

#![expect(clippy::disallowed_methods, reason = "where the weights lie, and how long an answer takes")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use convoke_app::model::{ChatModel, DeltaSink, Finish, Message, ModelError, ModelRequest, OutputSchema, ToolSpec};
use convoke_models::embedded::{EmbeddedModel, EmbeddedOptions, WeightsSource, fetch};
use convoke_schema::Schema;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn cache() -> PathBuf {
    let named = std::env::var_os("CONVOKE_CACHE_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache/convoke"))
}

async fn model() -> EmbeddedModel {
    let weights = fetch(&cache(), &WeightsSource::Default, Arc::new(|_| {})).await.expect("the weights");
    let load = move || EmbeddedModel::load(&weights.path, EmbeddedOptions::default());
    tokio::task::spawn_blocking(load).await.expect("no panic").expect("a model")
}

fn request(text: &str) -> ModelRequest {
    ModelRequest {
        messages: vec![
            Message::System { text: "You are a helpful assistant.".into() },
            Message::User { text: text.into() },
        ],
        tools: Vec::new(),
        schema: None,
        output_tokens_max: 80,
        temperature: Some(0.7),
        seed: Some(7),
        timeout: Duration::from_mins(2),
        cancel: CancellationToken::new(),
    }
}

fn plan() -> Value {
    let text = json!({ "type": "string" });
    let task = json!({ "type": "object", "required": ["name", "needs"], "properties": {
        "name": text, "needs": { "type": "array", "items": text }, "hours": { "type": "number" },
    }});
    json!({ "type": "object", "required": ["title", "kind", "tasks"], "properties": {
        "title": text,
        "kind": { "enum": ["service", "tool"] },
        "tasks": { "type": "array", "minItems": 1, "items": task },
    }})
}

fn planned(text: &str, output_tokens_max: u32) -> ModelRequest {
    let schema = Some(OutputSchema { name: "plan".into(), schema: plan() });
    ModelRequest { schema, output_tokens_max, ..request(text) }
}

fn noted() -> (DeltaSink, Arc<Mutex<Vec<String>>>) {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&notes);
    (Arc::new(move |text: &str| sink.lock().expect("no panic").push(text.to_owned())), notes)
}

/// One test, for the weights are loaded once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_model_answers() {
    let model = model().await;
    assert_eq!(model.profile().cost(1_000_000, 1_000_000).usd.0, 0);
    assert!(model.profile().price.is_some() && !model.profile().capable);
    speaks_and_counts(&model).await;
    holds_schemas(&model).await;
    is_decided_by_prompt_and_seed(&model).await;
    calls_tools(&model).await;
    refuses_what_is_too_long(&model).await;
    ends_when_it_is_told_to(&model).await;
}

async fn speaks_and_counts(model: &EmbeddedModel) {
    let (sink, notes) = noted();
    let capital = ModelRequest { temperature: Some(0.0), ..request("What is the capital of France?") };
    let answer = model.complete(&capital, Some(&sink)).await.expect("an answer");
    assert!(answer.text.contains("Paris"), "{}", answer.text);
    assert_eq!(notes.lock().expect("no panic").concat(), answer.text);
    assert_eq!(answer.finish, Finish::Stop);
    // <|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n
    // <|im_start|>assistant\n: as the tokenizer's own library counts it.
    assert_eq!(answer.usage.input_tokens, 27);
    let cut = ModelRequest { output_tokens_max: 3, ..capital };
    let (sink, notes) = noted();
    let answer = model.complete(&cut, Some(&sink)).await.expect("an answer");
    assert_eq!((answer.finish, answer.usage.output_tokens), (Finish::Length, 3));
    assert_eq!(notes.lock().expect("no panic").len(), 3);
}

async fn holds_schemas(model: &EmbeddedModel) {
    let schema = Schema::compile(&plan()).expect("a schema");
    // 120 tokens are too few for what it wants to say: it closes what is open in time.
    for (tokens, temperature) in [(300, 0.7), (120, 1.5)] {
        let asked = ModelRequest { temperature: Some(temperature), ..planned("Plan a REST API for todos.", tokens) };
        let answer = model.complete(&asked, None).await.expect("an answer");
        let value: Value = serde_json::from_str(&answer.text).expect("JSON");
        assert!(schema.is_valid(&value), "{value}");
        assert_eq!(answer.finish, Finish::Stop);
        assert!((10..=u64::from(tokens)).contains(&answer.usage.output_tokens));
    }
    let error = model.complete(&planned("Plan.", 20), None).await.expect_err("too few tokens");
    assert!(matches!(error, ModelError::Refused { .. }), "{error}");
}

async fn is_decided_by_prompt_and_seed(model: &EmbeddedModel) {
    let ask = async |text: &str, seed| {
        let asked = ModelRequest { seed, ..request(text) };
        model.complete(&asked, None).await.expect("an answer").text
    };
    let first = ask("Name three colours.", Some(1)).await;
    let other = ask("Describe a ship.", Some(1)).await;
    assert_ne!(first, other);
    assert_eq!(first, ask("Name three colours.", Some(1)).await);
    assert_ne!(other, ask("Describe a ship.", Some(2)).await);
    assert_eq!(ask("Describe a ship.", None).await, ask("Describe a ship.", None).await);
}

async fn calls_tools(model: &EmbeddedModel) {
    let parameters = json!({ "type": "object", "required": ["path"], "properties": { "path": { "type": "string" } } });
    let tool = ToolSpec { name: "read_file".into(), description: "Reads a file".into(), parameters };
    let asked = ModelRequest { tools: vec![tool], ..request("Read the file notes.txt.") };
    let (sink, notes) = noted();
    let answer = model.complete(&asked, Some(&sink)).await.expect("an answer");
    match answer.tool_calls.as_slice() {
        [call] => {
            assert_eq!((call.name.as_str(), answer.finish), ("read_file", Finish::ToolCalls));
            assert!(call.arguments["path"].is_string());
        }
        calls => assert_eq!((calls.len(), notes.lock().expect("no panic").concat()), (0, answer.text)),
    }
}

async fn refuses_what_is_too_long(model: &EmbeddedModel) {
    let error = model.complete(&request(&"word ".repeat(5_000)), None).await.expect_err("it is too long");
    assert!(matches!(error, ModelError::ContextOverflow { .. }), "{error}");
}

async fn ends_when_it_is_told_to(model: &EmbeddedModel) {
    let long = ModelRequest { output_tokens_max: 1_000, ..request("Tell a very long story of a ship and its crew.") };
    let cancel = long.cancel.clone();
    let (sink, notes) = noted();
    let stopping: DeltaSink = Arc::new(move |text: &str| {
        sink(text);
        cancel.cancel();
    });
    let error = model.complete(&long, Some(&stopping)).await.expect_err("it was cancelled");
    assert!(matches!(error, ModelError::Cancelled));
    // The next call waits for the cancelled one, so nothing comes after it.
    let started = Instant::now();
    let late = ModelRequest { timeout: Duration::from_millis(1), ..request(&"word ".repeat(2_000)) };
    let error = model.complete(&late, None).await.expect_err("its time is up");
    assert!(matches!(error, ModelError::Failed { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2));
    model.complete(&ModelRequest { output_tokens_max: 1, ..request("Hi") }, None).await.expect("an answer");
    let count = notes.lock().expect("no panic").len();
    assert!(count <= 2, "{count} pieces came");
}
