//! A disk that is full in the middle of a job: what is wrong is said, what was accepted isn't lost, and goes on when there
//! is room again.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use convoke_tests::kills::Blow;
use convoke_tests::scripted::{ChatRequest, Reply, ScriptedServer};
use convoke_tests::serving::{Address, Serving};
use serde_json::{Value, json};

/// What the largest file of a new folder may grow by.
const ROOM_BYTES: u64 = 150_000;
/// Steps of a job.
const STEPS: usize = 5;
/// More jobs than there is room for.
const JOBS_MAX: usize = 50;
/// Longest time until the full disk is noticed, and until everything is over once there is room.
const WAIT_MAX: Duration = Duration::from_secs(30);

fn submission(name: &str) -> Value {
    let node = |step: usize| {
        let needs: Vec<String> = (1..step).last().map(|before| format!("s{before}")).into_iter().collect();
        let description = format!("step={name}/s{step};");
        json!({
            "kind": "agent", "id": format!("s{step}"), "needs": needs,
            "agent": {"role": "Worker", "goal": "Work", "backstory": "Is patient"},
            "task": {"description": description, "expected_output": "A word", "output_file": format!("s{step}.txt")}
        })
    };
    json!({"flow": {"name": "disk", "nodes": (1..=STEPS).map(node).collect::<Vec<_>>()}, "input": {}})
}

/// Status and body of a submission under its name as key.
async fn submit(address: &Address, name: &str) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}/v1/jobs", address.url)).bearer_auth(&address.key);
    let answer = request.header("idempotency-key", name).json(&submission(name)).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("json"))
}

async fn job(address: &Address, id: &str) -> Option<Value> {
    let request = reqwest::Client::new().get(format!("{}/v1/jobs/{id}", address.url)).bearer_auth(&address.key);
    request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
}

fn largest_file(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let sizes = entries.map(|entry| {
        let data = entry.metadata().expect("metadata");
        if data.is_dir() { largest_file(&entry.path()) } else { data.len() }
    });
    sizes.max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_loses_no_job() {
    let (binary, folder) = (PathBuf::from(env!("CARGO_BIN_EXE_convoke")), tempfile::tempdir().expect("a folder"));
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    std::fs::create_dir(&data).expect("a folder");
    let server = ScriptedServer::start(|_: &ChatRequest| Reply::text("done")).await;
    Serving::start(&binary, &data, &server.base_url()).await.end(Blow::Terminate).await;

    let room = largest_file(&data) + ROOM_BYTES;
    let cramped = Serving::cramped(&binary, &data, &server.base_url(), (room, &log)).await;
    let (mut jobs, refused) = filled(&cramped.address()).await;
    until("the log tells", async || std::fs::read_to_string(&log).is_ok_and(|told| told.contains("disk I/O error")))
        .await;
    cramped.end(Blow::Terminate).await;

    let roomy = Serving::start(&binary, &data, &server.base_url()).await;
    let (status, answer) = submit(&roomy.address(), &refused).await;
    assert_eq!(status, 202, "{answer:#}");
    jobs.insert(refused, answer["id"].as_str().expect("an id").to_owned());
    for (name, id) in &jobs {
        let is_over = async || job(&roomy.address(), id).await.is_some_and(|view| !view["ended_at"].is_null());
        until("a job is over", is_over).await;
        let view = job(&roomy.address(), id).await.unwrap_or_default();
        assert_eq!(view["status"], "completed", "{name}: {view:#}");
    }
    roomy.end(Blow::Terminate).await;
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for recorded in server.requests() {
        let asked = recorded.request.last_user().split(';').next().unwrap_or_default().to_owned();
        *calls.entry(asked).or_default() += 1;
    }
    assert_eq!(calls.len(), jobs.len() * STEPS, "{calls:?}");
    assert!(calls.values().all(|count| *count <= 2), "what didn't fit is asked for once more: {calls:?}");
}

/// Submits jobs until one is refused: those that were accepted, and the name of the other.
async fn filled(address: &Address) -> (BTreeMap<String, String>, String) {
    let mut accepted = BTreeMap::new();
    for number in 0..JOBS_MAX {
        let name = format!("job{number}");
        let (status, answer) = submit(address, &name).await;
        if status != 202 {
            assert_eq!((status, &answer["code"]), (503, &json!("unavailable")), "{answer:#}");
            return (accepted, name);
        }
        accepted.insert(name, answer["id"].as_str().expect("an id").to_owned());
    }
    panic!("the disk is never full");
}

#[expect(clippy::disallowed_methods, reason = "waiting for another process is bounded")]
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < WAIT_MAX, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
