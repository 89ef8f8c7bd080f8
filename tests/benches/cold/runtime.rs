//! A stub of Lambda's Runtime API: one event, one answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::oneshot;

/// Longest time that a start may take.
const LONG: Duration = Duration::from_secs(30);

/// One start.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// From the start of the process to its first poll.
    pub polled: Duration,
    /// From the start of the process to its first answer.
    pub answered: Duration,
    /// Memory that it had needed at most by then, in KiB.
    pub peak_kib: u64,
}

#[derive(Clone)]
struct Stub(Arc<Mutex<Inner>>);

struct Inner {
    event: Option<String>,
    polled: Option<Instant>,
    answer: Option<oneshot::Sender<(Instant, Result<String, String>)>>,
}

/// Starts a process against a stub of its own, gives it an event, and ends it once it has answered.
pub async fn start(command: &[PathBuf], environment: &[(String, String)], event: Value) -> Started {
    let (answer, answered) = oneshot::channel();
    let inner = Inner { event: Some(event.to_string()), polled: None, answer: Some(answer) };
    let stub = Stub(Arc::new(Mutex::new(inner)));
    let routes = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(error))
        .with_state(stub.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let place = listener.local_addr().expect("a port").to_string();
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });
    let mut process = Command::new(&command[0]);
    process.args(&command[1..]).env_clear().env("AWS_LAMBDA_RUNTIME_API", place).kill_on_drop(true);
    process.envs(environment.iter().map(|(name, value)| (name, value))).stdout(std::process::Stdio::null());
    let began = Instant::now();
    let mut child = process.spawn().expect("a process");
    let answer = tokio::time::timeout(LONG, answered).await.expect("an answer in time").expect("an answer");
    let peak_kib = peak_kib(child.id().expect("it lives"));
    child.kill().await.expect("it ends");
    server.abort();
    let (at, outcome) = answer;
    let body = outcome.unwrap_or_else(|error| panic!("{} failed: {error}", command[0].display()));
    assert!(!body.contains("\"statusCode\":5"), "{body}");
    let polled = stub.0.lock().expect("unpoisoned").polled.expect("it polled first");
    Started { polled: polled - began, answered: at - began, peak_kib }
}

async fn next(State(stub): State<Stub>) -> Response {
    let now = Instant::now();
    let event = {
        let mut inner = stub.0.lock().expect("unpoisoned");
        inner.polled.get_or_insert(now);
        inner.event.take()
    };
    let Some(event) = event else { return std::future::pending().await };
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + LONG;
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event).into_response()
}

async fn response(State(stub): State<Stub>, body: String) -> StatusCode {
    answer(&stub, Ok(body))
}

async fn error(State(stub): State<Stub>, body: String) -> StatusCode {
    answer(&stub, Err(body))
}

fn answer(stub: &Stub, outcome: Result<String, String>) -> StatusCode {
    let now = Instant::now();
    if let Some(answer) = stub.0.lock().expect("unpoisoned").answer.take() {
        // Who waited may have given up.
        drop(answer.send((now, outcome)));
    }
    StatusCode::ACCEPTED
}

fn peak_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}
