//! Trouble with the model's provider: it is waited for, or the job ends with the reason and keeps what it has; never is
//! more spent than the cap.

use std::time::{Duration, Instant};

use convoke_tests::scripted::{ByRole, ChatRequest, Gate, Reply, Sequence};
use convoke_tests::served::Served;
use futures_util::future::join_all;
use serde_json::{Value, json};

/// One step that is asked `say`, tried so many times.
fn asking(attempts: u32) -> Value {
    json!({
        "name": "asking",
        "nodes": [{
            "kind": "agent", "id": "ask", "attempts": attempts,
            "agent": {"role": "r", "goal": "g", "backstory": "b"},
            "task": {"description": "{{ input.say }}", "expected_output": "x", "output_tokens_max": 1000}
        }]
    })
}

fn submission(say: &str, attempts: u32) -> Value {
    json!({"flow": asking(attempts), "input": {"say": say}})
}

/// An answer that is billed for so many tokens.
fn billed(input: u64, output: u64) -> Reply {
    Reply::text("done").metered(json!({"prompt_tokens": input, "completion_tokens": output}))
}

fn ok() -> Reply {
    billed(100, 10)
}

/// When each request that mentions a text came.
fn asked_at(served: &Served, say: &str) -> Vec<Instant> {
    let requests = served.models.requests();
    requests.iter().filter(|recorded| recorded.request.mentions(say)).map(|recorded| recorded.at).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_recovers_is_waited_for() {
    let troubles = [
        ("throttled for a second", Reply::error(429, "rate_limit", "slow down").with_header("retry-after", "1"), 1),
        ("throttled for a while", Reply::error(429, "rate_limit", "slow down"), 5),
        ("overloaded", Reply::error(503, "overloaded", "no room"), 1),
        ("broken", Reply::error(500, "server_error", "sorry"), 1),
        ("cut off", ok().cut(), 1),
        ("empty body", Reply::raw(200, ""), 1),
        ("no JSON", Reply::raw(200, "<html>gateway</html>"), 1),
        ("no choices", Reply::raw(200, "{\"choices\": []}"), 1),
        ("said nothing", Reply::text("").metered(json!({"prompt_tokens": 100, "completion_tokens": 0})), 0),
    ];
    let script =
        troubles.iter().fold(ByRole::new(), |script, (say, trouble, _)| script.say(say, [trouble.clone(), ok()]));
    let served = Served::start(script).await;
    let jobs = join_all(troubles.iter().map(async |(say, _, _)| served.run(&submission(say, 3)).await)).await;
    for ((say, trouble, pause_s), job) in troubles.iter().zip(&jobs) {
        assert_eq!(job["status"], "completed", "{say}: {job:#}");
        let [first, second] = asked_at(&served, say)[..] else { panic!("{say}: not asked twice") };
        assert!(second - first >= Duration::from_secs(*pause_s), "{say}: {:?}", second - first);
        let id = job["id"].as_str().expect("an id");
        let events = served.get(&format!("/v1/jobs/{id}/events")).await.json();
        let is_retried =
            events["events"].as_array().expect("events").iter().any(|event| event["type"] == "step.retrying");
        assert_eq!(is_retried, *pause_s > 0, "{say}: {events:#}");
        let step = served.step(id, "ask").await;
        let tokens = job["cost"]["tokens"].as_u64().expect("tokens");
        let throttled = matches!(trouble, Reply::Raw { status: 429, .. });
        match (throttled, pause_s) {
            (true, _) => assert_eq!((&step["attempt"], tokens), (&json!(1), 110), "{say}: neither a try nor billed"),
            (false, 0) => assert_eq!((&step["attempt"], tokens), (&json!(1), 210), "{say}: both answers are billed"),
            (false, _) => {
                assert_eq!(step["attempt"], 2, "{say}");
                assert!(
                    tokens > 1_000,
                    "{say}: a call that may have been billed counts as spent, at its worst: {tokens}"
                );
            }
        }
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_stays_away_fails_the_job_with_the_reason() {
    let troubles = [
        ("broken", Reply::error(500, "server_error", "sorry"), "500"),
        ("cut off", ok().cut(), ""),
        ("without end", Reply::Endless, "longer than"),
        ("ten megabytes", Reply::Huge { bytes: 10 << 20 }, "longer than"),
        ("empty body", Reply::raw(200, ""), ""),
        ("no JSON", Reply::raw(200, "<html>gateway</html>"), ""),
    ];
    let script = troubles.iter().fold(ByRole::new(), |script, (say, trouble, _)| script.say(say, [trouble.clone()]));
    let served = Served::start(script).await;
    let jobs = join_all(troubles.iter().map(async |(say, _, _)| served.run(&submission(say, 1)).await)).await;
    for ((say, _, cause), job) in troubles.iter().zip(&jobs) {
        assert_eq!((&job["status"], &job["stop_reason"]), (&json!("failed"), &json!("model_unavailable")), "{job:#}");
        let told = job["cause"].as_str().expect("a cause");
        assert!(told.starts_with("the model failed (") && told.contains(cause), "{say}: {told}");
        assert_eq!(asked_at(&served, say).len(), 1, "{say}");
        assert!(job["cost"]["tokens"].as_u64().is_some_and(|tokens| tokens > 1_000), "{say}: at its worst: {job:#}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_takes_too_long_is_given_up_and_counts_as_spent() {
    let gate = Gate::closed();
    let held = ok().held(&gate);
    let served = Served::with(move |_: &ChatRequest| held.clone(), &[("CONVOKE_MODEL_TIMEOUT_S", "1")]).await;
    let job = served.run(&submission("anything", 1)).await;
    assert_eq!((&job["stop_reason"], &job["failed_step"]), (&json!("model_unavailable"), &json!("ask")), "{job:#}");
    assert_eq!(job["cause"], "the model failed (no whole answer within 1s)");
    assert!(job["cost"]["tokens"].as_u64().is_some_and(|tokens| tokens > 1_000), "at its worst: {job:#}");
    gate.open();
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_goes_on_where_its_provider_broke_down() {
    let write = |content: &str| Reply::call("write_file", json!({"path": "src/a.py", "content": content}));
    let busy = Reply::error(429, "rate_limit", "slow down").with_header("retry-after", "1");
    let replies =
        [write("a = 1\n"), Reply::error(500, "server_error", "sorry"), busy, Reply::Answer(json!({"summary": "x"}))];
    let served = Served::start(Sequence::new(replies)).await;
    let mut flow = crate::badly::writing();
    flow["nodes"][0]["attempts"] = json!(2);
    let job = served.run(&json!({"flow": flow, "input": {}})).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    let id = job["id"].as_str().expect("an id");
    assert_eq!(served.text(id, "src/a.py").await, "a = 1\n", "written in the first attempt, and not again");
    let requests = served.models.requests();
    assert_eq!(requests.len(), 4);
    for recorded in &requests[1..] {
        assert_eq!(
            recorded.request.tool_results(),
            ["wrote src/a.py: 6 bytes, 1 lines"],
            "the journal is gone on with"
        );
    }
    let step = served.step(id, "write").await;
    assert_eq!((&step["attempt"], &step["turns"]), (&json!(2), &json!(2)), "{step:#}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_not_there_costs_nothing() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
    drop(listener);
    let served = Served::with(|_: &ChatRequest| ok(), &[("OPENAI_BASE_URL", &url)]).await;
    let job = served.run(&submission("anything", 1)).await;
    assert_eq!((&job["stop_reason"], &job["cost"]["tokens"]), (&json!("model_unavailable"), &json!(0)), "{job:#}");
    assert!(job["cause"].as_str().is_some_and(|cause| cause.starts_with("the model can't be reached (")), "{job:#}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_request_is_not_repeated_and_costs_nothing() {
    let script = ByRole::new()
        .say("bad key", [Reply::error(401, "invalid_api_key", "Incorrect API key provided: sk-scripted")])
        .say("no such model", [Reply::error(404, "model_not_found", "The model does not exist")]);
    let served = Served::start(script).await;
    for say in ["bad key", "no such model"] {
        let job = served.run(&submission(say, 3)).await;
        assert_eq!((&job["status"], &job["stop_reason"]), (&json!("failed"), &json!("model_unavailable")), "{job:#}");
        assert_eq!((asked_at(&served, say).len(), &job["cost"]["tokens"]), (1, &json!(0)), "{say}: {job:#}");
        assert!(!job.to_string().contains("sk-scripted"), "{job}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_throttles_for_ever_is_left_at_the_deadline() {
    let busy = Reply::error(429, "rate_limit", "slow down").with_header("retry-after", "1");
    let served = Served::start(move |_: &ChatRequest| busy.clone()).await;
    let mut submission = submission("anything", 1);
    submission["deadline_s"] = json!(3);
    let job = served.run(&submission).await;
    assert_eq!((&job["status"], &job["stop_reason"]), (&json!("failed"), &json!("deadline")), "{job:#}");
    assert_eq!(job["cost"]["tokens"], 0);
    assert!(served.models.requests().len() >= 2);
    served.stop().await;
}

/// What the model's server bills, in micro-dollars.
fn micro_usd(served: &Served) -> u64 {
    let ledger = served.models.ledger();
    ledger.input_tokens * 2 + ledger.output_tokens * 8
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cap_holds_and_what_was_paid_for_is_kept() {
    let served = Served::start(|_: &ChatRequest| billed(100, 1_000)).await;
    let mut flow = crate::http::chain(6);
    for node in flow["nodes"].as_array_mut().expect("nodes") {
        node["task"]["output_tokens_max"] = json!(1_000);
    }
    let job = served.run(&json!({"flow": flow, "input": {}, "budget": {"usd": "0.03"}})).await;
    let id = job["id"].as_str().expect("an id");
    assert_eq!((&job["status"], &job["stop_reason"]), (&json!("failed"), &json!("budget_exhausted")), "{job:#}");
    assert_eq!((served.models.requests().len(), micro_usd(&served)), (3, 24_600));
    assert_eq!(job["cost"], served.billed());
    assert_eq!(served.text(id, "parts/2.txt").await, "done\n");

    let nothing = served.run(&json!({"flow": flow, "input": {}, "budget": {"usd": "0.000001"}})).await;
    assert_eq!((&nothing["stop_reason"], &nothing["cost"]["tokens"]), (&json!("budget_exhausted"), &json!(0)));
    let few = served.run(&json!({"flow": flow, "input": {}, "budget": {"tokens": 10}})).await;
    assert_eq!((&few["stop_reason"], &few["cost"]["tokens"]), (&json!("budget_exhausted"), &json!(0)));
    assert_eq!(served.models.requests().len(), 3, "a call that isn't covered isn't made");

    let retried = served.post(&format!("/v1/jobs/{id}/retry"), &json!({"budget": {"usd": "1"}})).await.json();
    let second = served.ended(retried["id"].as_str().expect("an id")).await;
    assert_eq!((&second["status"], served.models.requests().len()), (&json!("completed"), 6), "{second:#}");
    assert_eq!(second["cost"]["usd"], "0.0246", "only what is new is paid");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cap_holds_for_fifty_steps_at_once() {
    let served = Served::start(|_: &ChatRequest| billed(100, 1_000).slow(Duration::from_millis(20))).await;
    let flow = json!({
        "name": "wide",
        "nodes": [{"kind": "map", "id": "work", "over": "input.items", "concurrency": 50, "node": {
            "kind": "agent", "agent": {"role": "r", "goal": "g", "backstory": "b"},
            "task": {"description": "Do {{ item }}", "expected_output": "x", "output_file": "parts/{{ index }}.txt",
                     "output_tokens_max": 1000}
        }}]
    });
    let items: Vec<u32> = (0..50).collect();
    let job = served.run(&json!({"flow": flow, "input": {"items": items}, "budget": {"usd": "0.17"}})).await;
    assert_eq!((&job["status"], &job["stop_reason"]), (&json!("failed"), &json!("budget_exhausted")), "{job:#}");
    let calls = served.models.requests().len();
    assert!(micro_usd(&served) <= 170_000, "{} for {calls} calls", micro_usd(&served));
    assert!(calls >= 15, "{calls} calls where 20 are covered");
    assert_eq!(job["cost"], served.billed(), "no hold is left");
    let id = job["id"].as_str().expect("an id");
    let parts = served.artifacts(id).await.iter().filter(|file| file["step"] != "(finish)").count();
    assert_eq!(parts, calls, "what was paid for is delivered");
    assert_eq!(served.archive(id).await.len(), parts + 2, "with the report and the tree");
    assert!(served.text(id, "REPORT.md").await.contains("failed (budget_exhausted)"));
    served.stop().await;
}
