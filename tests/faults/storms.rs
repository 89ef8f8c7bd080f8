//! Journeys while the services behind throttle, break, forget to answer, lag, and deliver twice.

use std::collections::BTreeMap;
use std::time::Duration;

use convoke_runtime::config::{ProcessEnv, Strings};
use convoke_runtime::telemetry::{self, Format};
use convoke_tests::faulty::{Faults, Rates};
use convoke_tests::served::{Rigging, Served};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::books;
use crate::client::{ask, get, is_over, submit};
use crate::shapes::{CALL_TOKENS, Model, Shape, calls};

/// How much indexes lag.
const LAG: Duration = Duration::from_secs(3);
/// Clients that submit the same at once.
const TWINS: usize = 16;
/// Steps of the job that is cancelled.
const LONG: usize = 30;
/// Longest time until everything is over once faults have ceased: a lease, the sweep's longest pause, and its minute.
const SETTLED_MAX: Duration = Duration::from_secs(150 + 15 * 60 + 60);

/// Rounds of the job that a person decides about.
const ROUNDS: usize = 3;

const JOBS: [(&str, Shape); 7] = [
    ("chain", Shape::Chain(5)),
    ("fan", Shape::Fan(8, 8)),
    ("lanes", Shape::Fan(12, 3)),
    ("loop", Shape::Loop(3)),
    ("long", Shape::Chain(LONG)),
    ("signed", Shape::Review(ROUNDS)),
    ("team", Shape::Software),
];

/// When things get better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Not before everything is over.
    TheEnd,
    /// As soon as the model was asked so often.
    Calls(usize),
}

struct Storm {
    served: Served,
    faults: Faults,
    /// Ids by name.
    jobs: BTreeMap<String, String>,
}

/// `CONVOKE_SEED` draws other faults than those of the test's own seed, `RUST_LOG` tells what they do.
async fn weather(seed: u64, rates: Rates, until: Until) {
    telemetry::start(Format::Human, &ProcessEnv.get("RUST_LOG").unwrap_or_else(|| "off".to_owned()));
    let seed = ProcessEnv.get("CONVOKE_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(seed);
    println!("seed {seed}");
    let faults = Faults::new(seed, rates);
    let rigging = Rigging { faults: faults.clone(), index_lag: LAG, ..Rigging::default() };
    let served = Served::rigged(Model, &[], rigging).await;
    faults.begin();
    let mut storm = Storm { served, faults, jobs: BTreeMap::new() };
    storm.submit().await;
    storm.cancel().await;
    if let Until::Calls(calls) = until {
        let is_asked = async || storm.served.models.requests().len() >= calls;
        storm.served.rig().pass_until("the model is asked", is_asked).await;
        storm.faults.cease();
    }
    let passed = storm.decide().await + storm.all_over().await;
    assert!(until == Until::TheEnd || passed <= SETTLED_MAX, "{passed:?} after faults ceased");
    storm.retry().await;
    storm.all_over().await;
    storm.check().await;
    let (calls, hits) = (storm.served.models.requests().len(), storm.faults.hits().len());
    println!("{calls} calls, {hits} faults, over after {passed:?} of its time");
    storm.served.stop().await;
}

impl Storm {
    /// Submits all jobs, and one of them sixteen times at once.
    async fn submit(&mut self) {
        let served = &self.served;
        let twin = Shape::Chain(2).submission("twin");
        let submitting = JOBS.map(|(name, shape)| async move { submit(served, &shape.submission(name), name).await });
        let twins = (0..TWINS).map(|_| submit(served, &twin, "twin"));
        let (ids, twins) = tokio::join!(join_all(submitting), join_all(twins));
        assert!(twins.iter().all(|id| *id == twins[0]), "one key is one job: {twins:?}");
        let names = JOBS.iter().map(|(name, _)| (*name).to_owned());
        self.jobs = names.zip(ids).chain([("twin".to_owned(), twins[0].clone())]).collect();
    }

    /// Cancels a job that is under way.
    async fn cancel(&self) {
        let is_under_way = async || calls(&self.served.models).contains_key("long/s2");
        self.served.rig().pass_until("the long job is under way", is_under_way).await;
        let path = format!("/v1/jobs/{}/cancel", self.jobs["long"]);
        let cancelled = ask(&self.served, Method::POST, &path, None, None).await;
        // Where the first answer was lost, the job may be over by the second request.
        assert!(cancelled.status == 202 || cancelled.problem(409) == "job_already_ended", "{}", cancelled.text());
    }

    /// Sends a job back until its last round: each decision by two clients at once.
    async fn decide(&self) -> Duration {
        let job = format!("/v1/jobs/{}", self.jobs["signed"]);
        let mut passed = Duration::ZERO;
        for round in 1..=ROUNDS {
            let path = format!("{job}/reviews/sign@{round}");
            let is_asked = async || {
                let seen = get(&self.served, &job).await;
                assert!(seen["ended_at"].is_null(), "it ended before round {round}: {seen:#}");
                seen["reviews"].as_array().map(Vec::len) == Some(round)
            };
            passed += self.served.rig().pass_until("a person is asked", is_asked).await;
            let decision = json!({"decision": if round < ROUNDS { "changes" } else { "approve" }});
            let deciding = (0..2).map(|_| ask(&self.served, Method::POST, &path, Some(&decision), None));
            for decided in join_all(deciding).await {
                assert_eq!(decided.status, 200, "a repeat of a decision is fine: {}", decided.text());
            }
        }
        passed
    }

    /// Tries again what was cancelled.
    async fn retry(&mut self) {
        let path = format!("/v1/jobs/{}/retry", self.jobs["long"]);
        let retrying = (0..2).map(|_| ask(&self.served, Method::POST, &path, None, Some("again")));
        let retried: Vec<Value> = join_all(retrying).await.iter().map(|answer| answer.json()["id"].clone()).collect();
        assert_eq!(retried[0], retried[1], "one key is one job");
        self.jobs.insert("again".to_owned(), retried[0].as_str().expect("an id").to_owned());
    }

    /// Waits until all jobs are over, and all is told of them.
    async fn all_over(&self) -> Duration {
        let waiting: Vec<&String> = self.jobs.values().collect();
        let mut passed = Duration::ZERO;
        for id in &waiting {
            passed += self.served.rig().pass_until("a job is over", async || is_over(&self.served, id).await).await;
        }
        for id in &waiting {
            let path = format!("/v1/jobs/{id}/events?limit=500");
            let is_told = async || get(&self.served, &path).await["ended"] == true;
            self.served.rig().pass_until("a job's end is told", is_told).await;
        }
        passed
    }

    async fn check(&self) {
        books::check_queues(&self.served, &self.faults).await;
        let listed = get(&self.served, "/v1/jobs?limit=100").await;
        assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(self.jobs.len()), "{listed:#}");
        let mut spent = 0;
        for (name, id) in &self.jobs {
            let job = get(&self.served, &format!("/v1/jobs/{id}")).await;
            match name.as_str() {
                "long" => assert_eq!(
                    (&job["status"], &job["stop_reason"]),
                    (&json!("cancelled"), &json!("cancelled")),
                    "{job:#}"
                ),
                // Its steps are tried three times and no more: a storm may take all three.
                "team" if job["status"] == "failed" => {
                    assert_eq!(job["cause"], "every attempt was lost: the process ended or ran out of time", "{job:#}");
                }
                _ => assert_eq!(
                    (&job["status"], &job["stop_reason"]),
                    (&json!("completed"), &json!("completed")),
                    "{job:#}"
                ),
            }
            spent += job["cost"]["tokens"].as_u64().expect("tokens");
            books::check(&self.served, id).await;
        }
        let ledger = self.served.models.ledger();
        assert!(spent >= ledger.input_tokens + ledger.output_tokens, "{spent} < {ledger:?}");
        books::check_prompts(&self.served);
        self.check_decisions().await;
        self.check_calls().await;
    }

    /// Each round was decided once.
    async fn check_decisions(&self) {
        let job = get(&self.served, &format!("/v1/jobs/{}", self.jobs["signed"])).await;
        let states: Vec<&Value> = job["reviews"].as_array().expect("reviews").iter().map(|r| &r["state"]).collect();
        let mut expected = vec!["changes_requested"; ROUNDS - 1];
        expected.push("approved");
        assert_eq!(states, expected, "{job:#}");
        let told = get(&self.served, &format!("/v1/jobs/{}/events?limit=500", self.jobs["signed"])).await;
        let events = told["events"].as_array().expect("events").iter();
        let decided = events.filter(|event| event["type"] == "review.decided").count();
        assert_eq!(decided, ROUNDS, "{told:#}");
    }

    /// Each step was asked for, and no more often than it has turns and faults hit its job.
    async fn check_calls(&self) {
        let calls = calls(&self.served.models);
        let hits = |name: &str| self.faults.hits_on(&self.jobs[name]);
        let shapes = JOBS.iter().chain(&[("twin", Shape::Chain(2))]);
        for (name, shape) in shapes.filter(|(_, shape)| *shape != Shape::Software) {
            let steps = shape.steps(name);
            let asked: BTreeMap<&String, usize> =
                calls.iter().filter(|(step, _)| step.starts_with(&format!("{name}/"))).map(|(s, n)| (s, *n)).collect();
            assert!(asked.keys().copied().eq(&steps), "{name}: {asked:?}");
            // What was asked when the job was cancelled may be asked again by the one that goes on with it.
            let more = if *name == "long" { 1 + hits("again") } else { 0 };
            let sum: usize = asked.values().sum();
            assert!(sum <= steps.len() + hits(name) + more, "{name}: {asked:?}, {} faults", hits(name));
            if *name != "long" {
                let job = get(&self.served, &format!("/v1/jobs/{}", self.jobs[*name])).await;
                assert!(job["cost"]["tokens"].as_u64() >= Some(sum as u64 * CALL_TOKENS), "{name}: {sum} {job:#}");
            }
        }
        let steps = get(&self.served, &format!("/v1/jobs/{}/steps?limit=100", self.jobs["team"])).await;
        let turns = steps["steps"].as_array().expect("steps").iter().filter_map(|step| step["turns"].as_u64());
        let turns = usize::try_from(turns.sum::<u64>()).expect("few");
        assert!((turns..=turns + hits("team")).contains(&calls["team"]), "{} calls, {turns} turns", calls["team"]);
    }
}

const THROTTLES: Rates =
    Rates { throttled: 60, storms: 60, broken: 0, answer_lost: 0, unreached: 0, late: 0, echoed: 0 };
const BREAKS: Rates = Rates { throttled: 0, broken: 50, ..THROTTLES };
const SILENCE: Rates = Rates { throttled: 0, answer_lost: 40, unreached: 20, late: 100, ..THROTTLES };
const ALL: Rates =
    Rates { throttled: 20, broken: 20, answer_lost: 15, unreached: 10, late: 50, echoed: 500, storms: 60 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storms_of_throttling() {
    weather(1, THROTTLES, Until::TheEnd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_errors_half_of_them_applied() {
    weather(2, BREAKS, Until::TheEnd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_requests_that_are_lost() {
    weather(3, SILENCE, Until::TheEnd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_until_the_end() {
    weather(4, ALL, Until::TheEnd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_and_then_nothing_more() {
    weather(5, ALL, Until::Calls(60)).await;
}
