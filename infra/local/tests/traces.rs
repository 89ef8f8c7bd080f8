//! A job as its traces tell it, to a collector of the test's own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use convoke_tests::scripted::{Reply, ScriptedServer};
use convoke_tests::serving::command;
use serde_json::Value;

const FLOW: &str = "
name: two
nodes:
  - {id: first, kind: agent, agent: writer, task: {description: Think, expected_output: A word}}
  - {id: second, kind: agent, needs: [first], agent: writer, task: {description: Write, expected_output: A text}}
agents: {writer: {role: Writer, goal: Write, backstory: Wrote before}}
";
const LONG: Duration = Duration::from_mins(1);

type Taken = Arc<Mutex<Vec<Value>>>;

/// A collector that keeps what it is sent.
async fn collector() -> (String, Taken) {
    let taken = Taken::default();
    let keep = Arc::clone(&taken);
    let take = async move |Json(body): Json<Value>| {
        keep.lock().expect("kept").push(body);
        Json(Value::Object(serde_json::Map::new()))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", post(take))).await });
    (url, taken)
}

fn spans(taken: &Taken) -> Vec<Value> {
    let bodies = taken.lock().expect("kept").clone();
    let of = |body: &Value| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().cloned().expect("spans");
    bodies.iter().flat_map(of).collect()
}

fn text<'a>(span: &'a Value, field: &str) -> &'a str {
    span[field].as_str().unwrap_or_default()
}

fn attribute(span: &Value, name: &str) -> Value {
    let attributes = span["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == name);
    found.map(|attribute| attribute["value"].clone()).unwrap_or_default()
}

/// Runs the flow to its end; answers how it ended and what it printed.
async fn run(collector: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ScriptedServer::start(|_: &_| Reply::text("Oolong")).await;
    std::fs::write(folder.path().join("two.yaml"), FLOW).expect("written");
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_convoke"));
    let mut command = command(&binary, folder.path(), &server.base_url());
    command.args(["run", "--flow", "two.yaml", "--json"]).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    // What is logged has no say in what is traced.
    command.env("RUST_LOG", "error").kill_on_drop(true);
    let output = tokio::time::timeout(LONG, command.output()).await.expect("it ends").expect("it starts");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_one_trace_from_its_submission_to_its_last_step() {
    let (url, taken) = collector().await;
    let (is_done, told) = run(&url).await;
    assert!(is_done, "{told}");
    let spans = spans(&taken);
    let mut names: Vec<&str> = spans.iter().map(|span| text(span, "name")).collect();
    names.sort_unstable();
    let chat = "chat scripted";
    assert_eq!(names, [chat, chat, "step (finish)", "step first", "step second", "submit"], "{spans:#?}");
    let traces: BTreeSet<&str> = spans.iter().map(|span| text(span, "traceId")).collect();
    assert_eq!(traces.len(), 1);
    let ids: BTreeSet<&str> = spans.iter().map(|span| text(span, "spanId")).collect();
    assert_eq!(ids.len(), spans.len(), "each span has an id of its own");
    let named = |name: &str| spans.iter().find(|span| text(span, "name") == name).expect("there");
    let root = named("submit");
    assert!(root["parentSpanId"].is_null() && traces.iter().all(|trace| trace.ends_with(text(root, "spanId"))));
    for span in &spans {
        let parent = text(span, "parentSpanId");
        match text(span, "name") {
            "submit" => {}
            name if name == chat => {
                let step = spans.iter().find(|step| text(step, "spanId") == parent).expect("its step is told");
                assert!(matches!(text(step, "name"), "step first" | "step second"), "{step}");
                assert!(attribute(span, "gen_ai.usage.output_tokens")["intValue"].is_string(), "{span}");
                assert_eq!(attribute(span, "gen_ai.request.model")["stringValue"], "scripted");
                assert_eq!(attribute(span, "gen_ai.provider.name")["stringValue"], "compatible");
            }
            _ => assert_eq!(parent, text(root, "spanId"), "{span}"),
        }
        let time = |field: &str| text(span, field).parse::<u128>().expect("nanoseconds");
        assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"), "{span}");
        assert!(!span.to_string().contains("Oolong"), "no answer is in a trace");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_fails_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let (is_done, told) = run(&nobody).await;
    assert!(is_done, "{told}");
}
