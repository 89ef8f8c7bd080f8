//! A process that ends between any two requests: what it had answered counts, what it had put isn't paid again, and the
//! next start goes on from there.
//!
//! This test is two processes. The one that ends is this very binary, started again with a fail-point in its environment:
//! it serves a data folder until its SDK is about to send the request that it ends at.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use convoke_runtime::config::{ProcessEnv, Strings};
use convoke_tests::faulty::Faults;
use convoke_tests::scripted::ScriptedServer;
use convoke_tests::served::{Rigged, Rigging, Served, data_dir, settings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::books;
use crate::client::{get, is_over, submit};
use crate::shapes::{Model, Shape, calls};

const OWN_NAME: &str = "fail_points::a_process_that_ends_between_two_requests_loses_nothing";
const POINT: &str = "CONVOKE_TEST_FAIL_POINT";
const DATA: &str = "CONVOKE_TEST_DATA";
const MODELS: &str = "CONVOKE_TEST_MODELS";
/// What it says once it serves.
const SERVES: &str = "serves at ";
/// Longest time that a process may take to come up, and to end.
const PROCESS_MAX: Duration = Duration::from_mins(1);

/// Where the process ends.
struct Point {
    /// Between what.
    between: &'static str,
    /// Before the n-th request of this operation with this text in it.
    before: (&'static str, &'static str, u64),
    shape: Shape,
    /// Steps that are asked for again by the next one.
    repeated: &'static [&'static str],
}

const POINTS: [Point; 7] = [
    Point { between: "submitted and rung", before: ("SendMessageBatch", "", 1), shape: Shape::Chain(3), repeated: &[] },
    Point {
        between: "claimed and answered, and put",
        before: ("PutItem", "\"S#s2", 1),
        shape: Shape::Chain(3),
        repeated: &["s2"],
    },
    Point { between: "put and committed", before: ("UpdateItem", ".c1\"", 2), shape: Shape::Chain(3), repeated: &[] },
    Point {
        between: "committed and rung",
        before: ("SendMessageBatch", "", 2),
        shape: Shape::Fan(4, 4),
        repeated: &[],
    },
    Point {
        between: "rung and acknowledged",
        before: ("DeleteMessageBatch", "", 1),
        shape: Shape::Chain(3),
        repeated: &[],
    },
    Point {
        between: "files and manifest",
        before: ("PutItem", "\"S#(finish)", 1),
        shape: Shape::Chain(3),
        repeated: &[],
    },
    Point {
        between: "delivered and ended",
        before: ("UpdateItem", ".end\"", 1),
        shape: Shape::Chain(3),
        repeated: &[],
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ends_between_two_requests_loses_nothing() {
    if let Some(point) = ProcessEnv.get(POINT) {
        return serve(&point).await;
    }
    for point in POINTS {
        println!("between {}", point.between);
        let folder = tempfile::tempdir().expect("a folder");
        let models = ScriptedServer::start(Model).await;
        let told = ended_at(&point, &folder, &models).await;
        go_on(&point, models, folder, told).await;
    }
}

/// Serves until it ends at its fail-point.
async fn serve(point: &str) {
    let text = |name: &str| ProcessEnv.get(name).expect("it is set by whoever started this");
    let (operation, about, nth): (String, String, u64) = serde_json::from_str(point).expect("a fail-point");
    let faults = Faults::fatal(&operation, &about, nth);
    let rigging = Rigging { faults: faults.clone(), ..Rigging::default() };
    let rigged = Rigged::start(Path::new(&text(DATA)), &settings(&text(MODELS), &[]), rigging).await;
    let (url, key) = rigged.address();
    faults.begin();
    println!("{SERVES}{url} {key}");
    std::future::pending::<()>().await;
}

/// Starts a process, submits a job, and waits until the process has ended; the job's id, if there was an answer.
async fn ended_at(point: &Point, folder: &TempDir, models: &ScriptedServer) -> Option<String> {
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args([OWN_NAME, "--exact", "--nocapture", "--test-threads", "1"])
        .env(POINT, serde_json::to_string(&point.before).expect("json"))
        .env(DATA, data_dir(folder))
        .env(MODELS, models.base_url())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let (url, key) = address(&mut child).await;
    let client = reqwest::Client::new();
    let request = client.post(format!("{url}/v1/jobs")).bearer_auth(&key);
    let request = request.header("idempotency-key", "job").json(&point.shape.submission("job"));
    let answer = request.send().await.ok();
    let Ok(ended) = tokio::time::timeout(PROCESS_MAX, child.wait()).await else {
        let jobs = client.get(format!("{url}/v1/jobs")).bearer_auth(&key).send().await.expect("it still serves");
        panic!("{}: it doesn't come to that: {}", point.between, jobs.text().await.expect("text"));
    };
    let ended: ExitStatus = ended.expect("a status");
    assert_eq!(ended.code(), None, "{}: it was ended, it didn't exit: {ended}", point.between);
    let told: Value = answer?.json().await.ok()?;
    told["id"].as_str().map(str::to_owned)
}

async fn address(child: &mut Child) -> (String, String) {
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let serving = async {
        loop {
            let line = lines.next_line().await.expect("text").expect("it serves before it ends");
            if let Some((_, address)) = line.split_once(SERVES) {
                let (url, key) = address.split_once(' ').expect("a url and a key");
                return (url.to_owned(), key.to_owned());
            }
        }
    };
    tokio::time::timeout(PROCESS_MAX, serving).await.expect("it serves in time")
}

/// The next start takes the job up; a client that repeats its submission finds it.
async fn go_on(point: &Point, models: ScriptedServer, folder: TempDir, told: Option<String>) {
    let served = Served::rigged_over(models, folder, &[], Rigging::default()).await;
    let id = submit(&served, &point.shape.submission("job"), "job").await;
    assert!(told.is_none_or(|told| told == id), "{}: the job that was told of", point.between);
    served.rig().pass_until("the job is over", async || is_over(&served, &id).await).await;
    let path = format!("/v1/jobs/{id}/events?limit=500");
    let is_told = async || get(&served, &path).await["ended"] == true;
    served.rig().pass_until("its end is told", is_told).await;
    let job = get(&served, &format!("/v1/jobs/{id}")).await;
    assert_eq!(job["status"], "completed", "{}: {job:#}", point.between);
    books::check(&served, &id).await;
    books::check_queues(&served, &Faults::none()).await;
    let asked = |step: String| {
        let is_repeated = point.repeated.iter().any(|again| step == format!("job/{again}"));
        (step, if is_repeated { 2 } else { 1 })
    };
    let expected: BTreeMap<String, usize> = point.shape.steps("job").into_iter().map(asked).collect();
    assert_eq!(calls(&served.models), expected, "{}", point.between);
    served.stop().await;
}
