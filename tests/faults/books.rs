//! What has to hold of jobs that are over, whatever happened: by what the client was told, what the model server was asked,
//! and what stands in the table.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use convoke::resources::{SOLO, STEPS};
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey};
use convoke_tests::faulty::Faults;
use convoke_tests::served::Served;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::client::get;
use crate::shapes::{BUDGET_TOKENS, known, step_of};

/// What every job has to be once it is over: told of its end once, with one result per step, files as its manifest has
/// them, nothing reserved, and money that adds up.
pub async fn check(served: &Served, id: &str) {
    events(served, id).await;
    files(served, id).await;
    money(served, id).await;
}

async fn events(served: &Served, id: &str) {
    let told = get(served, &format!("/v1/jobs/{id}/events?limit=500")).await;
    assert_eq!(told["ended"], true, "{told:#}");
    let events = told["events"].as_array().expect("events");
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>(), "{id}");
    let ends = events.iter().filter(|event| event["type"] == "job.ended").count();
    assert_eq!((ends, &events[events.len() - 1]["type"]), (1, &Value::from("job.ended")), "{told:#}");
    let completed: Vec<&str> = events
        .iter()
        .filter(|event| event["type"] == "step.completed")
        .map(|event| event["step"].as_str().expect("a step"))
        .collect();
    let once: BTreeSet<&str> = completed.iter().copied().collect();
    assert_eq!(once.len(), completed.len(), "{id}: a step is told of twice: {completed:?}");
}

async fn files(served: &Served, id: &str) {
    let listed = served.artifacts(id).await;
    let mut manifest = BTreeMap::new();
    for file in &listed {
        let path = file["path"].as_str().expect("a path").to_owned();
        let bytes = served.download(id, &path).await;
        assert_eq!(file["sha256"], hex::encode(Sha256::digest(&bytes)), "{id}: {path}");
        assert!(manifest.insert(path, bytes).is_none(), "{id}: a path twice: {listed:?}");
    }
    let archive = manifest.remove("archive.zip");
    assert!(archive.is_some() && manifest.contains_key("REPORT.md"), "{id}: {:?}", manifest.keys());
    assert_eq!(served.archive(id).await, manifest, "{id}");
}

async fn money(served: &Served, id: &str) {
    let platform = served.rig().platform();
    let key = JobKey { tenant: "local".parse().expect("valid"), job: id.parse().expect("an id") };
    let (_, root) = platform.ports.jobs.job(&key).await.expect("read").expect("a job");
    let open: Vec<GroupId> = root.root().expect("a root").groups.keys().copied().collect();
    let fans = platform.ports.groups.load_groups(&key, &open).await.expect("read");
    for group in fans.values().chain([&root]) {
        assert_eq!((Group::held(group).tokens, group.has_claims()), (0, false), "{id}: {group:?}");
    }
    let spent: u64 = root.spent.tokens;
    let left = u64::try_from(root.left.tokens).expect("never overdrawn");
    let lent: i64 = fans.values().map(|fan| fan.left.tokens).sum();
    assert_eq!(left + spent + u64::try_from(lent).expect("never overdrawn"), BUDGET_TOKENS, "{id}: {root:?} {fans:?}");
}

/// No step's prompt holds another job's text.
pub fn check_prompts(served: &Served) {
    for recorded in served.models.requests() {
        let Some(step) = step_of(&recorded.request) else { continue };
        let job = step.split('/').next().unwrap_or_default();
        let known = known(&recorded.request);
        assert!(known.iter().all(|other| other.starts_with(&format!("{job}/"))), "{step} knows {known:?}");
        let before = step.split_once("/s").and_then(|(_, number)| number.parse::<usize>().ok());
        if let Some(before) = before.filter(|number| *number > 1) {
            assert_eq!(known, [format!("{job}/s{}", before - 1)], "{step}");
        }
    }
}

/// What is left in the queues comes again when its time is up, finds nothing to do, and is gone; no letter is dead.
pub async fn check_queues(served: &Served, faults: &Faults) {
    faults.cease();
    let calls = served.models.requests().len();
    let rig = served.rig();
    let is_empty = |queue: &str| {
        let depth = rig.depth(queue);
        depth.ready + depth.in_flight + depth.delayed == 0
    };
    rig.time.forward(Duration::from_mins(90));
    rig.pass_until("the queues are empty", async || is_empty(STEPS) && is_empty(SOLO)).await;
    for queue in [STEPS, SOLO] {
        assert!(is_empty(&format!("{queue}-dead")), "{:?}", rig.depth(&format!("{queue}-dead")));
    }
    assert_eq!(served.models.requests().len(), calls, "what comes again is done already");
}
