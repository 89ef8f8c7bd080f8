//! `convoke run` and `convoke serve` side by side over one data folder.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use convoke_tests::kills::Blow;
use convoke_tests::scripted::{Gate, Reply, ScriptedServer};
use convoke_tests::serving::{Address, Serving, command};
use serde_json::{Value, json};

const FLOW: &str = "
name: two
nodes:
  - {id: first, kind: agent, agent: writer, task: {description: 'Think of {{ input.topic }}', expected_output: A word}}
  - {id: second, kind: agent, needs: [first], agent: writer, task: {description: Write, expected_output: A text, output_file: text.md}}
agents: {writer: {role: Writer, goal: Write, backstory: Wrote before}}
";

/// Long enough for a debug build on a busy machine; nothing waits for it where all is well.
const LONG: Duration = Duration::from_mins(1);

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_convoke"))
}

async fn run(data: &Path, model_url: &str, more: &[&str]) -> Output {
    std::fs::write(data.join("two.yaml"), FLOW).expect("written");
    let mut command = command(&binary(), data, model_url);
    command.args(["run", "--flow", "two.yaml", "--input", "topic=tea", "--out", "out"]).args(more).kill_on_drop(true);
    command.env("OPENAI_API_KEY", "sk-lies-there");
    tokio::time::timeout(LONG, command.output()).await.expect("it ends").expect("it starts")
}

/// The model gets a price, by the settings file of the folder.
fn set_prices(data: &Path) {
    let prices = r#"{"models": {"compatible/scripted": {"input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}}}"#;
    std::fs::write(data.join("prices.json"), prices).expect("written");
    std::fs::write(data.join("convoke.toml"), "prices = \"prices.json\"\n").expect("written");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_uses_the_installation_that_holds_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ScriptedServer::start(|_: &_| Reply::text("Oolong")).await;
    let serving = Serving::start(&binary(), folder.path(), &server.base_url()).await;
    let output = run(folder.path(), &server.base_url(), &[]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(folder.path().join("out/text.md")).expect("made"), "Oolong\n");
    // The job is the other process's: it ends with it, and is listed by it.
    let listed = reqwest::Client::new()
        .get(format!("{}/v1/jobs", serving.address().url))
        .bearer_auth(serving.address().key)
        .send()
        .await
        .expect("an answer");
    let listed: serde_json::Value = listed.json().await.expect("JSON");
    assert_eq!(listed["jobs"][0]["status"], "completed", "{listed}");
    serving.end(Blow::Terminate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_goes_on_by_itself_when_the_installation_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::closed();
    let held = gate.clone();
    let server = ScriptedServer::start(move |_: &_| Reply::text("Oolong").held(&held)).await;
    let serving = Serving::start(&binary(), folder.path(), &server.base_url()).await;
    let kill = async {
        server.asked(1).await;
        serving.end(Blow::Kill).await;
        gate.open();
    };
    let url = server.base_url();
    let (output, ()) = tokio::join!(run(folder.path(), &url, &[]), kill);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(folder.path().join("out/text.md")).expect("made"), "Oolong\n");
    assert_eq!(server.requests().len(), 3, "the call that was under way is made again, no other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_says_at_its_start_what_works_and_what_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ScriptedServer::start(|_: &_| Reply::text("Oolong")).await;
    let told = text(&run(folder.path(), &server.base_url(), &["--budget", "0.25"]).await.stderr);
    assert!(told.contains("model compatible/scripted"), "{told}");
    let key = "OPENAI_API_KEY is set and not used; --model openai/gpt-4.1 would use it";
    assert!(told.contains(key) && !told.contains("sk-lies-there"), "{told}");
    assert!(told.contains("no price is known for compatible/scripted"), "{told}");
    set_prices(folder.path());
    let output = run(folder.path(), &server.base_url(), &["--json", "--budget", "0.25"]).await;
    let done: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    assert!(!text(&output.stderr).contains("no price"), "{}", text(&output.stderr));
    let (cost, cap) = (&done["job"]["cost"], &done["job"]["budget"]);
    assert!(cost["usd"] != "0.00" && cap["usd"] == "0.25", "{done}");
}

/// The metrics, as soon as they hold a line; they are counted when the table's stream is read.
async fn metrics(url: &str, until: &str) -> String {
    let read = async {
        loop {
            let answer = reqwest::get(format!("{url}/metrics")).await.expect("an answer");
            assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
            let text = answer.text().await.expect("text");
            if text.lines().any(|line| line == until) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, read).await.expect("counted in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_counted_for_prometheus() {
    let folder = tempfile::tempdir().expect("a folder");
    set_prices(folder.path());
    let server = ScriptedServer::start(|_: &_| Reply::text("Oolong")).await;
    let serving = Serving::start(&binary(), folder.path(), &server.base_url()).await;
    let output = run(folder.path(), &server.base_url(), &[]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = metrics(&serving.address().url, "convoke_jobs_total{status=\"completed\"} 1").await;
    let value = |name: &str| {
        let line = told.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        let number = line.unwrap_or_else(|| panic!("no {name}: {told}")).rsplit(' ').next();
        number.and_then(|number| number.parse::<f64>().ok()).expect("a number")
    };
    let ledger = server.ledger();
    let exact = [
        ("convoke_jobs_total{status=\"queued\"}", 1),
        ("convoke_jobs_total{status=\"working\"}", 1),
        ("convoke_steps_total{outcome=\"committed\"}", 2),
        ("convoke_model_calls_total{outcome=\"answered\",provider=\"compatible\"}", 2),
        ("convoke_model_tokens_total{kind=\"input\",provider=\"compatible\"}", ledger.input_tokens),
        ("convoke_model_tokens_total{kind=\"output\",provider=\"compatible\"}", ledger.output_tokens),
    ];
    for (name, count) in exact {
        assert_eq!(format!("{}", value(name)), count.to_string(), "{name}");
    }
    for name in [
        "convoke_model_cost_usd_total{provider=\"compatible\"}",
        "convoke_table_requests_total{operation=\"UpdateItem\"}",
        "process_resident_memory_bytes",
    ] {
        assert!(value(name) > 0.0, "{name}");
    }
    assert!(value("convoke_queue_messages{queue=\"convoke-steps\",state=\"ready\"}") >= 0.0);
    assert!(!told.contains("local") && !told.contains("scripted"), "no tenant, no model's own name: {told}");
    serving.end(Blow::Terminate).await;
}

/// A job of two steps, submitted over HTTP; its id.
async fn submit(address: &Address) -> String {
    let agent = |id: &str, needs: &[&str]| {
        let task = json!({ "description": "Write", "expected_output": "A word" });
        json!({ "id": id, "kind": "agent", "needs": needs, "agent": "writer", "task": task })
    };
    let writer = json!({ "role": "Writer", "goal": "Write", "backstory": "Wrote before" });
    let flow = json!({ "name": "two", "nodes": [agent("first", &[]), agent("second", &["first"])], "agents": { "writer": writer } });
    let request = reqwest::Client::new().post(format!("{}/v1/jobs", address.url)).bearer_auth(&address.key);
    let answer = request.json(&json!({ "flow": flow, "input": {} })).send().await.expect("an answer");
    let accepted: Value = answer.json().await.expect("JSON");
    accepted["id"].as_str().unwrap_or_else(|| panic!("{accepted}")).to_owned()
}

async fn jobs(data: &Path, model_url: &str, arguments: &[&str]) -> Output {
    let mut command = command(&binary(), data, model_url);
    let output = command.arg("jobs").args(arguments).kill_on_drop(true).output();
    tokio::time::timeout(LONG, output).await.expect("it ends").expect("it starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_look_start_no_work_and_watch_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::closed();
    let held = gate.clone();
    let server = ScriptedServer::start(move |_: &_| Reply::text("Oolong").held(&held)).await;
    let url = server.base_url();
    let serving = Serving::start(&binary(), folder.path(), &url).await;
    let id = submit(&serving.address()).await;
    server.asked(1).await;
    serving.end(Blow::Kill).await;
    gate.open();
    for arguments in [&["list"][..], &["show", &id], &["logs", &id], &["artifacts", &id]] {
        let output = jobs(folder.path(), &url, arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }
    let cancelled = jobs(folder.path(), &url, &["cancel", &id]).await;
    assert!(cancelled.status.success(), "{}", text(&cancelled.stderr));
    assert!(text(&cancelled.stderr).contains("nobody serves"), "{}", text(&cancelled.stderr));
    assert_eq!(server.requests().len(), 1, "nobody worked");
    let watched = jobs(folder.path(), &url, &["watch", &id]).await;
    assert_eq!(watched.status.code(), Some(3), "{}", text(&watched.stderr));
    assert!(text(&watched.stdout).contains("cancelled"), "{}", text(&watched.stdout));
    assert_eq!(server.requests().len(), 1, "a cancelled job asks for nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_outlasts_an_orderly_end_is_given_up_and_counts_no_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::closed();
    let held = gate.clone();
    let server = ScriptedServer::start(move |_: &_| Reply::text("Oolong").held(&held)).await;
    let url = server.base_url();
    let serving = Serving::start(&binary(), folder.path(), &url).await;
    let id = submit(&serving.address()).await;
    server.asked(1).await;
    serving.end(Blow::Terminate).await;
    gate.open();
    let watched = jobs(folder.path(), &url, &["watch", &id, "--json"]).await;
    assert!(watched.status.success(), "{}", text(&watched.stderr));
    assert_eq!(server.requests().len(), 3, "the call that was given up is made again, no other");
    let told = text(&jobs(folder.path(), &url, &["logs", &id, "--json"]).await.stdout);
    let events: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let done = events.iter().filter(|event| event["type"] == "step.completed" && event["step"] != "(finish)");
    let attempts: Vec<&Value> = done.map(|event| &event["attempt"]).collect();
    assert_eq!(attempts, [1, 1], "{told}");
}
