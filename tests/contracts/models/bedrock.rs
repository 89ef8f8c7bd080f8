//! Bedrock's client against a server that speaks `Converse` and `ConverseStream`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::{BehaviorVersion, Region};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message as Frame};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode, Uri};
use convoke_app::model::{ChatModel, Finish, Message, ModelError, ModelRequest, Models};
use convoke_models::registry::{Registry, Settings};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::{ask, json_of, look, request, schema_request, streamed};

/// An answer of the server.
#[derive(Clone)]
enum Said {
    Whole(Value),
    Error(u16, &'static str, &'static str),
    Events(Vec<Event>),
    /// Nothing ever.
    Silence,
}

#[derive(Clone)]
enum Event {
    Event(&'static str, Value),
    Exception(&'static str, &'static str),
}

type Script = Arc<dyn Fn(&Value) -> Said + Send + Sync>;

#[derive(Clone)]
struct Shared {
    script: Script,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

struct Server {
    origin: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    async fn start(script: impl Fn(&Value) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("bound"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Shared { script: Arc::new(script), asked: Arc::clone(&asked) };
        let router = Router::new().fallback(converse).with_state(shared);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { origin, asked, serving }
    }

    fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().expect("unpoisoned").clone()
    }

    fn body(&self, n: usize) -> Value {
        self.asked()[n].1.clone()
    }

    fn model(&self, id: &str) -> Arc<dyn ChatModel> {
        model_at(&self.origin, id)
    }
}

fn model_at(origin: &str, id: &str) -> Arc<dyn ChatModel> {
    let config = aws_sdk_bedrockruntime::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(origin)
        .credentials_provider(Credentials::new("AKIDTESTTESTTEST", "secretsecretsecret", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let bedrock = Some(Client::from_conf(config));
    let registry = Registry::new(Settings { bedrock, ..Settings::default() }).expect("a registry");
    registry.model(&format!("bedrock/{id}")).expect("set up")
}

async fn converse(State(shared): State<Shared>, uri: Uri, body: Bytes) -> Response<Body> {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let said = (shared.script)(&body);
    shared.asked.lock().expect("unpoisoned").push((uri.path().to_owned(), body));
    let response = Response::builder();
    let response = match said {
        Said::Whole(value) => response.header("content-type", "application/json").body(value.to_string().into()),
        Said::Error(status, code, message) => response
            .status(StatusCode::from_u16(status).expect("a status"))
            .header("x-amzn-errortype", code)
            .header("retry-after", "3")
            .body(json!({ "message": message }).to_string().into()),
        Said::Events(events) => {
            let frames: Vec<u8> = events.iter().flat_map(frame).collect();
            response.header("content-type", "application/vnd.amazon.eventstream").body(frames.into())
        }
        Said::Silence => std::future::pending().await,
    };
    response.expect("a response")
}

fn frame(event: &Event) -> Vec<u8> {
    let header = |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
    let (kind, name_header, name, payload) = match event {
        Event::Event(name, payload) => ("event", ":event-type", *name, payload.clone()),
        Event::Exception(name, message) => ("exception", ":exception-type", *name, json!({ "message": message })),
    };
    let frame = Frame::new(payload.to_string())
        .add_header(header(":message-type", kind))
        .add_header(header(name_header, name))
        .add_header(header(":content-type", "application/json"));
    let mut bytes = Vec::new();
    write_message_to(&frame, &mut bytes).expect("a frame");
    bytes
}

fn whole(content: &Value, stop_reason: &str) -> Said {
    Said::Whole(json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason,
        "usage": {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18, "cacheReadInputTokens": 100},
        "metrics": {"latencyMs": 1}
    }))
}

fn text(text: &str) -> Said {
    whole(&json!([{ "text": text }]), "end_turn")
}

fn tool_use(name: &str, input: &Value) -> Said {
    whole(&json!([{"toolUse": {"toolUseId": "t1", "name": name, "input": input}}]), "tool_use")
}

fn stream(events: Vec<(&'static str, Value)>) -> Vec<Event> {
    events.into_iter().map(|(name, payload)| Event::Event(name, payload)).collect()
}

/// A model whose output config is known to work.
const NATIVE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

#[tokio::test]
async fn a_plain_answer_is_read_and_metered() {
    let server = Server::start(|_| text("Four.")).await;
    let asked = ModelRequest { temperature: Some(0.5), ..request("Two and two?") };
    let answer = ask(&*server.model(NATIVE), &asked).await.expect("answered");
    assert_eq!((answer.text.as_str(), answer.finish), ("Four.", Finish::Stop));
    assert_eq!((answer.usage.input_tokens, answer.usage.output_tokens), (111, 7), "what was cached is input, too");
    let (path, body) = server.asked().remove(0);
    assert!(path.starts_with("/model/us.anthropic") && path.ends_with("/converse"), "{path}");
    assert_eq!(
        body,
        json!({
            "messages": [{"role": "user", "content": [{"text": "Two and two?"}]}],
            "system": [{"text": "You are terse."}],
            "inferenceConfig": {"maxTokens": 500, "temperature": 0.5}
        })
    );
}

#[tokio::test]
async fn turns_alternate_and_tools_keep_their_results() {
    let server = Server::start(|_| tool_use("look", &json!({"at": "x", "deep": [1, -2, 0.5, null, true]}))).await;
    let mut asked = ModelRequest { tools: vec![look()], ..request("Look.") };
    let model = server.model(NATIVE);
    let answer = ask(&*model, &asked).await.expect("answered");
    assert_eq!(answer.finish, Finish::ToolCalls);
    assert_eq!(answer.tool_calls[0].arguments, json!({"at": "x", "deep": [1, -2, 0.5, null, true]}));
    asked.messages.push(Message::Assistant { text: String::new(), tool_calls: answer.tool_calls });
    for is_error in [false, true] {
        let tool = Message::Tool { call_id: "t1".into(), name: "look".into(), content: String::new(), is_error };
        asked.messages.push(tool);
    }
    asked.messages.push(Message::User { text: "Go on.".into() });
    ask(&*model, &asked).await.expect("answered");
    let messages = &server.body(1)["messages"];
    let roles: Vec<_> = messages.as_array().expect("a list").iter().map(|message| message["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    let content = &messages[2]["content"];
    assert_eq!(
        (&content[0]["toolResult"]["status"], &content[1]["toolResult"]["status"]),
        (&json!("success"), &json!("error"))
    );
    assert_eq!((&content[0]["toolResult"]["toolUseId"], &content[2]["text"]), (&json!("t1"), &json!("Go on.")));
    assert_eq!(server.body(1)["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]["type"], "object");
    asked.tools.clear();
    ask(&*model, &asked).await.expect("answered");
    let without = server.body(2);
    assert!(without.get("toolConfig").is_none() && !without.to_string().contains("toolUse"), "told as text: {without}");
}

#[tokio::test]
async fn a_stream_is_whole_and_its_usage_comes_last() {
    let server = Server::start(|_| {
        Said::Events(stream(vec![
            ("messageStart", json!({"role": "assistant"})),
            ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "So "}})),
            ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "it is."}})),
            ("contentBlockStop", json!({"contentBlockIndex": 0})),
            (
                "contentBlockStart",
                json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "look"}}}),
            ),
            ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{\"at\":"}}})),
            ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": " \"x\"}"}}})),
            ("contentBlockStop", json!({"contentBlockIndex": 1})),
            ("messageStop", json!({"stopReason": "tool_use"})),
            (
                "metadata",
                json!({"usage": {"inputTokens": 5, "outputTokens": 6, "totalTokens": 11}, "metrics": {"latencyMs": 1}}),
            ),
        ]))
    })
    .await;
    let asked = ModelRequest { tools: vec![look()], ..request("x") };
    let (answer, pieces) = streamed(&*server.model(NATIVE), &asked).await;
    let answer = answer.expect("answered");
    assert_eq!((answer.text.as_str(), pieces), ("So it is.", vec!["So ".to_owned(), "it is.".to_owned()]));
    assert_eq!((answer.finish, &answer.tool_calls[0].arguments), (Finish::ToolCalls, &json!({"at": "x"})));
    assert_eq!((answer.usage.input_tokens, answer.usage.output_tokens), (5, 6));
    assert!(server.asked()[0].0.ends_with("/converse-stream"));
}

#[tokio::test]
async fn streams_that_break_off_failed_unless_nothing_had_come() {
    let begun = || stream(vec![("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "So "}}))]);
    let with = |mut events: Vec<Event>, name, message| {
        events.push(Event::Exception(name, message));
        events
    };
    for (events, expected) in [
        (begun(), "failed"),
        (Vec::new(), "failed"),
        (with(begun(), "throttlingException", "slow down"), "failed"),
        (with(Vec::new(), "throttlingException", "slow down"), "throttled"),
        (with(begun(), "modelStreamErrorException", "broke"), "failed"),
        (with(Vec::new(), "validationException", "prompt is too long: 9 tokens"), "overflow"),
    ] {
        let server = Server::start(move |_| Said::Events(events.clone())).await;
        let error = streamed(&*server.model(NATIVE), &request("x")).await.0.expect_err("broken");
        assert_eq!(kind(&error), expected, "{error}");
    }
    let unmetered = stream(vec![
        ("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "So it is."}})),
        ("messageStop", json!({"stopReason": "max_tokens"})),
    ]);
    let server = Server::start(move |_| Said::Events(unmetered.clone())).await;
    let answer = streamed(&*server.model(NATIVE), &request("x")).await.0.expect("answered");
    assert_eq!(answer.finish, Finish::Length);
    assert!(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0, "estimated: {:?}", answer.usage);
}

fn kind(error: &ModelError) -> &'static str {
    match error {
        ModelError::Throttled { .. } => "throttled",
        ModelError::Unreachable { .. } => "unreachable",
        ModelError::Failed { .. } => "failed",
        ModelError::ContextOverflow { .. } => "overflow",
        ModelError::Refused { .. } => "refused",
        ModelError::Cancelled => "cancelled",
    }
}

#[tokio::test]
async fn exceptions_become_the_ports_errors_with_one_request_each() {
    for (status, code, message, expected) in [
        (429, "ThrottlingException", "Too many tokens, please wait before trying again.", "throttled"),
        (429, "ThrottlingException", "Input is too long", "throttled"),
        (429, "ModelNotReadyException", "loading", "throttled"),
        (400, "ServiceQuotaExceededException", "quota", "throttled"),
        (400, "ValidationException", "Input is too long for requested model.", "overflow"),
        (400, "ValidationException", "The provided model identifier is invalid.", "refused"),
        (403, "AccessDeniedException", "You don't have access to the model.", "refused"),
        (403, "UnrecognizedClientException", "The security token is invalid.", "refused"),
        (404, "ResourceNotFoundException", "no such model", "refused"),
        (408, "ModelTimeoutException", "slow", "failed"),
        (424, "ModelErrorException", "broke", "failed"),
        (500, "InternalServerException", "oops", "failed"),
        (503, "ServiceUnavailableException", "later", "failed"),
    ] {
        let server = Server::start(move |_| Said::Error(status, code, message)).await;
        let model = server.model(NATIVE);
        let whole = ask(&*model, &request("x")).await.expect_err("an error");
        let streamed = streamed(&*model, &request("x")).await.0.expect_err("an error");
        assert_eq!((kind(&whole), kind(&streamed)), (expected, expected), "{code}: {whole}");
        if let ModelError::Throttled { retry_after, .. } = whole {
            assert_eq!(retry_after, Some(Duration::from_secs(3)));
        }
        assert_eq!(server.asked().len(), 2, "the SDK's own retries are off: {code}");
    }
}

#[tokio::test]
async fn malformed_output_failed() {
    for said in [
        Said::Whole(json!({"stopReason": "end_turn"})),
        Said::Whole(json!("no object")),
        whole(&json!([]), "malformed_tool_use"),
    ] {
        let server = Server::start(move |_| said.clone()).await;
        let error = ask(&*server.model(NATIVE), &request("x")).await.expect_err("malformed");
        assert_eq!(kind(&error), "failed", "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_silence_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let origin = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let error = ask(&*model_at(&origin, NATIVE), &request("x")).await.expect_err("nobody");
    assert_eq!(kind(&error), "unreachable", "{error}");
    let server = Server::start(|_| Said::Silence).await;
    let hurried = ModelRequest { timeout: Duration::from_millis(100), ..request("x") };
    let error = ask(&*server.model(NATIVE), &hurried).await.expect_err("silence");
    assert_eq!(kind(&error), "failed");
    let cancelled = request("x");
    cancelled.cancel.cancel();
    assert_eq!(kind(&ask(&*server.model(NATIVE), &cancelled).await.expect_err("cancelled")), "cancelled");
}

#[tokio::test]
async fn the_output_config_is_used_where_it_is_known_to_work() {
    let server = Server::start(|_| text(r#"{"n": 4}"#)).await;
    let asked = schema_request();
    assert_eq!(json_of(&ask(&*server.model(NATIVE), &asked).await.expect("answered")), json!({"n": 4}));
    let format = &server.body(0)["outputConfig"]["textFormat"];
    assert_eq!(format["type"], "json_schema");
    let definition = &format["structure"]["jsonSchema"];
    let schema: Value = serde_json::from_str(definition["schema"].as_str().expect("a string")).expect("JSON");
    assert_eq!((&definition["name"], schema), (&json!("count"), asked.schema.expect("a schema").schema));
}

#[tokio::test]
async fn elsewhere_a_tool_is_forced_and_then_words_do() {
    let server = Server::start(|body| {
        if body.get("toolConfig").is_some_and(|config| config.get("toolChoice").is_some()) {
            let message = "This model doesn't support the toolConfig.toolChoice.tool field.";
            return Said::Error(400, "ValidationException", message);
        }
        text("Here: {\"n\": 4}")
    })
    .await;
    let model = server.model("meta.some-model-v1:0");
    for _ in 0..2 {
        assert_eq!(json_of(&ask(&*model, &schema_request()).await.expect("answered")), json!({"n": 4}));
    }
    assert_eq!(server.asked().len(), 3, "the refusal is remembered");
    assert!(server.body(1)["system"][1]["text"].as_str().is_some_and(|text| text.contains("\"required\":[\"n\"]")));

    let forced = Server::start(|_| tool_use("final_answer", &json!({"n": 5}))).await;
    let answer = ask(&*forced.model("meta.some-model-v1:0"), &schema_request()).await.expect("answered");
    assert_eq!((json_of(&answer), answer.finish, answer.tool_calls.len()), (json!({"n": 5}), Finish::Stop, 0));
    assert_eq!(forced.body(0)["toolConfig"]["toolChoice"], json!({"tool": {"name": "final_answer"}}));
    let with_tools = ModelRequest { tools: vec![look()], ..schema_request() };
    ask(&*forced.model("meta.some-model-v1:0"), &with_tools).await.expect("answered");
    assert_eq!(forced.body(1)["toolConfig"]["toolChoice"], json!({"any": {}}));
}

#[tokio::test]
async fn an_output_config_that_is_refused_gives_way_to_the_tool() {
    let server = Server::start(|body| {
        if body.get("outputConfig").is_some() {
            return Said::Error(400, "ValidationException", "outputConfig is not supported by this model");
        }
        tool_use("final_answer", &json!({"n": 6}))
    })
    .await;
    let model = server.model(NATIVE);
    for _ in 0..2 {
        assert_eq!(json_of(&ask(&*model, &schema_request()).await.expect("answered")), json!({"n": 6}));
    }
    assert_eq!(server.asked().len(), 3);
}
