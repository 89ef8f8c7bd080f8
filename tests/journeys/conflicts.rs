//! Who wrote what last: several steps write one path.

use convoke_tests::scripted::{ChatRequest, Reply};
use convoke_tests::served::Served;
use serde_json::{Value, json};

/// Tasks that write `notes.md`, in an order of their own, and a reader of what is left.
fn flow() -> Value {
    let agent = json!({"role": "r", "goal": "g", "backstory": "b"});
    json!({
        "name": "notes",
        "nodes": [
            {"kind": "map", "id": "work", "over": "input.tasks", "key": "item.id", "after": "item.after", "node": {
                "kind": "agent", "agent": agent,
                "task": {"description": "Write {{ item.id }}", "expected_output": "x", "files": ["after"],
                         "writes": {"scope": "['notes.md']"}}
            }},
            {"kind": "agent", "id": "read", "needs": ["work"], "agent": agent, "task": {
                "description": "Read on{% for it in conflicts %}, {{ it.path }} of {{ it.steps | join(' and ') }}{% endfor %}",
                "expected_output": "x", "context": [], "files": ["work"]
            }}
        ]
    })
}

/// Writers write who they are and what they saw; the reader reads.
fn script(request: &ChatRequest) -> Reply {
    let user = request.messages()[1]["content"].as_str().expect("a text");
    let turn = request.messages().iter().filter(|message| message["role"] == "assistant").count();
    let read = || Reply::call("read_file", json!({"path": "notes.md"}));
    match (user.strip_prefix("Write "), turn) {
        (_, 0) => read(),
        (Some(rest), 1) => {
            let saw = request.tool_results()[0].trim().to_owned();
            let saw = if saw.starts_with("error") { String::new() } else { format!("{saw}, ") };
            Reply::call("write_file", json!({"path": "notes.md", "content": format!("{saw}{}\n", &rest[..1])}))
        }
        _ => Reply::text("done"),
    }
}

/// Runs tasks given as id and what each waits for: what is delivered, what the reader saw and was told, the warnings.
async fn written(tasks: &[(&str, &[&str])]) -> (String, String, String, Value) {
    let served = Served::start(script).await;
    let tasks: Vec<Value> = tasks.iter().map(|(id, after)| json!({"id": id, "after": after})).collect();
    let job = served.run(&json!({"flow": flow(), "input": {"tasks": tasks}})).await;
    assert_eq!(job["status"], "completed", "{job:#}");
    let text = served.text(job["id"].as_str().expect("an id"), "notes.md").await;
    let requests = served.models.requests();
    let mut reading = requests.iter().map(|recorded| &recorded.request).filter(|request| request.mentions("Read on"));
    let told = reading.next().expect("asked").last_user().lines().next().expect("a line").to_owned();
    let saw = reading.next().expect("asked again").tool_results()[0].to_owned();
    served.stop().await;
    (text, saw, told, job["warnings"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_seen_the_others_work_stands_last() {
    // The first task of the list is the last one to be done.
    let (text, saw, told, warnings) = written(&[("c", &["b"]), ("a", &[]), ("b", &["a"])]).await;
    assert_eq!(text, "a, b, c\n");
    assert_eq!((saw.as_str(), told.as_str(), warnings), ("a, b, c\n", "Read on", Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_know_nothing_of_each_other_are_a_conflict() {
    let (text, saw, told, warnings) = written(&[("a", &[]), ("b", &["a"]), ("c", &["a"])]).await;
    assert_eq!(text, "a, c\n", "the later one of the list is kept");
    assert_eq!((saw.as_str(), told.as_str()), ("a, c\n", "Read on, notes.md of work[1] and work[2]"));
    let warning = "notes.md: work[1] and work[2] wrote it without knowing of each other; work[2]'s is kept";
    assert_eq!(warnings, json!([warning]));
}
