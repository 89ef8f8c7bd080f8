//! `convoke webhooks`, and what a kill leaves of deliveries: nothing is lost, nothing is told in the log.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use convoke_tests::kills::Blow;
use convoke_tests::scripted::{Reply as Said, ScriptedServer};
use convoke_tests::serving::{Address, Serving, command};
use convoke_tests::sink::{Reply, Sink};
use serde_json::{Value, json};

/// Long enough for a debug build on a busy machine; nothing waits for it where all is well.
const LONG: Duration = Duration::from_mins(1);

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_convoke"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The folder's settings allow a place on this machine.
fn allow(data: &Path, sink: &Sink) {
    let settings = format!("[outbound]\nallow = [\"{}\"]\n", sink.place());
    std::fs::write(data.join("convoke.toml"), settings).expect("written");
}

async fn webhooks(data: &Path, model_url: &str, arguments: &[&str]) -> Output {
    let mut command = command(&binary(), data, model_url);
    command.arg("webhooks").args(arguments).kill_on_drop(true);
    tokio::time::timeout(LONG, command.output()).await.expect("it ends").expect("it starts")
}

async fn done(data: &Path, model_url: &str, arguments: &[&str]) -> String {
    let output = webhooks(data, model_url, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

async fn serve(data: &Path, model_url: &str, log: &str) -> Serving {
    let mut command = command(&binary(), data, model_url);
    command
        .args(["serve", "--port", "0"])
        .env("RUST_LOG", "info,convoke=trace")
        .stderr(File::create(data.join(log)).expect("a log"));
    Serving::of(command, data).await
}

async fn post(at: &Address, path: &str, body: &Value) -> Value {
    let client = reqwest::Client::new();
    let request = client.post(format!("{}{path}", at.url)).bearer_auth(&at.key).json(body);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.expect("JSON")
}

fn job(webhook: &str) -> Value {
    let task = json!({"description": "Write", "expected_output": "A word"});
    let agent = json!({"role": "Writer", "goal": "Write", "backstory": "-"});
    let flow = json!({"name": "one", "nodes": [{"kind": "agent", "id": "write", "agent": agent, "task": task}]});
    json!({"flow": flow, "input": {}, "notify": [{"webhook": webhook}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pending_at_a_kill_arrives_after_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    let model = ScriptedServer::start(|_: &_| Said::text("Oolong")).await;
    let is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&is_up);
    let sink =
        Sink::start(move |_| if up.load(Ordering::SeqCst) { Reply::Status(200) } else { Reply::Later(503, 1) }).await;
    allow(data, &sink);

    let first = serve(data, &model.base_url(), "first.log").await;
    let made = post(&first.address(), "/v1/webhooks", &json!({"url": sink.url(), "events": ["*"]})).await;
    let (id, secret) = (made["id"].as_str().expect("an id"), made["secret"].as_str().expect("a secret"));
    let accepted = post(&first.address(), "/v1/jobs", &job(id)).await;
    let refused = sink.wait_for(2).await;
    first.end(Blow::Kill).await;
    is_up.store(true, Ordering::SeqCst);

    let second = serve(data, &model.base_url(), "second.log").await;
    let job = accepted["id"].as_str().expect("an id");
    let told = || sink.received().into_iter().filter(|one| one.is_acknowledged() && one.json()["data"]["job"] == job);
    let mut count = refused.len();
    while !told().any(|one| one.json()["type"] == "job.ended") {
        count += 1;
        sink.wait_for(count).await;
    }
    let numbers: Vec<u64> = told().map(|one| one.seq()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each once, in order");
    second.end(Blow::Terminate).await;

    for log in ["first.log", "second.log"] {
        let log = std::fs::read_to_string(data.join(log)).expect("a log");
        assert!(log.contains("told a webhook"), "{log}");
        for hidden in [secret.trim_start_matches("whsec_"), "in-the-url"] {
            assert!(!log.contains(hidden), "{hidden} stands in {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_made_tested_and_deleted_from_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    let model = ScriptedServer::start(|_: &_| Said::text("Oolong")).await;
    let sink = Sink::start(|one| Reply::Status(if one.index == 1 { 500 } else { 200 })).await;
    allow(data, &sink);
    let url = model.base_url();
    let refused = webhooks(data, &url, &["create", "http://10.0.0.1/"]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("url: isn't an https URL"), "{}", text(&refused.stderr));

    let made = done(data, &url, &["create", &sink.url(), "--event", "*", "--description", "CI"]).await;
    let (id, secret) = made.trim().split_once("  ").expect("an id and a secret");
    assert!(secret.starts_with("whsec_"), "{made}");
    let listed = done(data, &url, &["list"]).await;
    assert!(listed.contains(id) && listed.contains("CI") && !listed.contains("whsec_"), "{listed}");
    let rotated: Value = serde_json::from_str(&done(data, &url, &["rotate", id, "--json"]).await).expect("JSON");
    assert!(rotated["secret"].as_str().is_some_and(|other| other != secret), "{rotated}");

    assert!(done(data, &url, &["test", id]).await.contains("webhook.test"));
    let bad = webhooks(data, &url, &["test", id]).await;
    assert_eq!((bad.status.code(), text(&bad.stdout).contains("it answered with 500")), (Some(1), true));
    let tries = done(data, &url, &["deliveries", id]).await;
    assert_eq!(tries.lines().count(), 2, "{tries}");
    let newest = tries.split_whitespace().nth(1).expect("an id");
    let again = webhooks(data, &url, &["redeliver", id, newest]).await;
    assert_eq!(again.status.code(), Some(1), "a test isn't sent again: {}", text(&again.stderr));
    assert!(done(data, &url, &["delete", id]).await.contains("deleted"));
    assert_eq!(webhooks(data, &url, &["delete", id]).await.status.code(), Some(2));
}
