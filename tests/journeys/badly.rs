//! Models that answer badly: each mistake is told to the model, a bounded number of times; then the step fails with the
//! reason.

use convoke_tests::scripted::{ByRole, Reply, Sequence};
use convoke_tests::served::Served;
use serde_json::{Value, json};

/// One step that writes `src/a.py` and answers with a summary; it is tried once.
pub fn writing() -> Value {
    json!({
        "name": "writing",
        "nodes": [{
            "kind": "agent", "id": "write", "attempts": 1,
            "agent": {"role": "Coder", "goal": "g", "backstory": "b"},
            "task": {
                "description": "Write the file.", "expected_output": "A summary.",
                "writes": {"scope": "['src/a.py']"},
                "guardrails": ["files_in_scope", "nonempty_files", "safe_paths"],
                "output": {
                    "type": "object", "required": ["summary"], "additionalProperties": false,
                    "properties": {"summary": {"type": "string"}}
                }
            }
        }]
    })
}

fn write(path: &str, content: &str) -> Reply {
    Reply::call("write_file", json!({"path": path, "content": content}))
}

fn done() -> Reply {
    Reply::Answer(json!({"summary": "done"}))
}

/// Runs the step with these answers; the job, and what the model was told after each of them.
async fn answered(replies: Vec<Reply>, settings: &[(&str, &str)]) -> (Served, Value, Vec<String>) {
    let served = Served::with(Sequence::new(replies), settings).await;
    let job = served.run(&json!({"flow": writing(), "input": {}})).await;
    let last = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let requests = served.models.requests();
    let told = requests.iter().skip(1).filter_map(|recorded| recorded.request.messages().last().map(last)).collect();
    assert_eq!(job["cost"], served.billed(), "whatever was answered is paid");
    (served, job, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_cannot_be_done_are_answered_and_change_nothing() {
    let replies = vec![
        write("../../etc/passwd", "x"),
        write("src/b.py", "x"),
        write("REPORT.md", "x"),
        Reply::call("write_file", json!("{\"path\": \"src/a.py\", \"cont")),
        Reply::call("run_shell", json!({"command": "rm -rf /"})),
        write("src/a.py", "print('a')\n"),
        done(),
    ];
    let (served, job, told) = answered(replies, &[]).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    insta::assert_snapshot!("what_tools_answer", told.join("\n"));
    let id = job["id"].as_str().expect("an id");
    assert_eq!(served.text(id, "src/a.py").await, "print('a')\n");
    assert_eq!(served.archive(id).await.len(), 3, "the file, the report and the tree");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_do_not_pass_are_sent_back_and_may_be_mended() {
    let replies = vec![done(), write("src/a.py", " \n"), done(), write("src/a.py", "a = 1\n"), done()];
    let (served, job, told) = answered(replies, &[]).await;
    assert_eq!((&job["status"], told.len()), (&json!("completed"), 4), "{job:#}");
    assert!(told[0].contains("no file was written"), "{}", told[0]);
    assert!(told[2].contains("src/a.py: the file is empty: write its content"), "{}", told[2]);
    assert_eq!(served.text(job["id"].as_str().expect("an id"), "src/a.py").await, "a = 1\n");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_stay_wrong_fail_the_job_with_the_reason() {
    let long = json!({"summary": 1, "more": true});
    for (replies, reason) in [
        (vec![Reply::text("All done!")], "no JSON object"),
        (vec![Reply::text("{\"summary\": \"do")], "JSON"),
        (vec![Reply::Answer(long)], "/summary"),
        (vec![Reply::text("")], "JSON"),
        (vec![done()], "no file was written"),
    ] {
        let (served, job, told) = answered(replies, &[]).await;
        assert_eq!((&job["status"], &job["stop_reason"]), (&json!("failed"), &json!("guardrail_failed")), "{job:#}");
        assert_eq!((told.len(), &job["failed_step"]), (2, &json!("write")), "sent back twice: {told:?}");
        let cause = job["cause"].as_str().expect("a cause");
        assert!(cause.starts_with("the answer didn't pass: ") && cause.contains(reason), "{cause}");
        assert!(told.iter().all(|told| told.starts_with("Your answer can't be accepted yet:\n- ")), "{told:?}");
        let report = served.text(job["id"].as_str().expect("an id"), "REPORT.md").await;
        assert!(report.contains("| result | failed (guardrail_failed) |"), "{report}");
        served.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_that_never_comes_to_an_end_is_stopped() {
    let endless = vec![Reply::call("list_files", json!({}))];
    let (served, job, told) = answered(endless, &[("CONVOKE_TURNS_MAX", "6")]).await;
    assert_eq!((&job["status"], &job["stop_reason"]), (&json!("failed"), &json!("loop_detected")), "{job:#}");
    assert_eq!(told.len(), 5);
    assert_eq!(job["cause"], "the step took 6 turns without an answer");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_before_a_failed_step_is_delivered_and_a_retry_goes_on_from_there() {
    let task = |text: &str, file: &str| {
        json!({"description": text, "expected_output": "x", "output_file": file, "output": {
            "type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}
        }})
    };
    let agent = json!({"role": "r", "goal": "g", "backstory": "b"});
    let flow = json!({"name": "two", "nodes": [
        {"kind": "agent", "id": "one", "agent": agent, "task": task("Count to one.", "one.json")},
        {"kind": "agent", "id": "two", "needs": ["one"], "attempts": 1, "agent": agent, "task": task("Count to two.", "two.json")}
    ]});
    let script = ByRole::new().say("Count to one.", [Reply::Answer(json!({"n": 1}))]).say(
        "Count to two.",
        [Reply::text("two"), Reply::text("two"), Reply::text("two"), Reply::Answer(json!({"n": 2}))],
    );
    let served = Served::start(script).await;
    let job = served.run(&json!({"flow": flow, "input": {}})).await;
    let id = job["id"].as_str().expect("an id");
    assert_eq!((&job["stop_reason"], &job["failed_step"]), (&json!("guardrail_failed"), &json!("two")), "{job:#}");
    assert_eq!(served.text(id, "one.json").await, "{\n  \"n\": 1\n}\n");
    let retried = served.post(&format!("/v1/jobs/{id}/retry"), &json!({})).await.json();
    let second = served.ended(retried["id"].as_str().expect("an id")).await;
    assert_eq!(second["status"], "completed", "{second:#}");
    assert_eq!(served.models.requests().len(), 5, "one isn't asked again");
    assert_eq!(served.text(second["id"].as_str().expect("an id"), "two.json").await, "{\n  \"n\": 2\n}\n");
    served.stop().await;
}
