//! A job that goes on from the files of another.

use convoke_tests::scripted::{ByRole, Gate, Reply};
use convoke_tests::served::Served;
use serde_json::{Value, json};

/// A writer who reads and writes files, and says what nobody needs any more.
fn flow() -> Value {
    json!({
        "name": "notes",
        "input": {
            "type": "object",
            "properties": {"prompt": {"type": "string"}, "files": {"type": "array", "default": []}},
            "required": ["prompt"]
        },
        "nodes": [{"kind": "agent", "id": "write", "agent": {
            "role": "Writer", "goal": "Short texts", "backstory": "You wrote for newspapers."
        }, "task": {
            "description": "Do this: {{ input.prompt }}.{% for file in input.files %} There is {{ file.name }}: {{ file.text }}{% endfor %}",
            "expected_output": "What was done.",
            "writes": {},
            "output": {"type": "object", "properties": {
                "summary": {"type": "string"},
                "removed": {"type": "array", "items": {"type": "string"}}
            }, "required": ["summary", "removed"]}
        }}]
    })
}

fn written(path: &str, content: &str) -> (String, Value) {
    ("write_file".to_owned(), json!({"path": path, "content": content}))
}

fn script() -> ByRole {
    let first = [
        Reply::Calls(vec![written("a.md", "one\n"), written("b.md", "two\n"), written("c/d.md", "three\n")]),
        Reply::Answer(json!({"summary": "Three notes.", "removed": []})),
    ];
    let second = [
        Reply::Calls(vec![
            ("read_file".to_owned(), json!({"path": "b.md"})),
            written("a.md", "ONE\n"),
            written("e.md", "new\n"),
        ]),
        Reply::Answer(json!({"summary": "Louder.", "removed": ["b.md"]})),
    ];
    ByRole::new().say("Do this: three notes", first).say("Do this: louder", second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follow_up_sees_the_files_and_says_what_it_changed() {
    let served = Served::start(script()).await;
    let first =
        served.run(&json!({"flow": flow(), "input": {"prompt": "three notes"}, "labels": {"team": "tea"}})).await;
    let first = first["id"].as_str().expect("an id").to_owned();
    let asked = served.post(&format!("/v1/jobs/{first}/follow-up"), &json!({"prompt": "louder"})).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let second = asked.json()["id"].as_str().expect("an id").to_owned();
    let job = served.ended(&second).await;
    assert_eq!((&job["status"], &job["follows"]), (&json!("completed"), &json!(first)), "{job:#}");
    assert_eq!(
        (&job["title"], &job["labels"], &job["flow"]),
        (&json!("louder"), &json!({"team": "tea"}), &json!("notes"))
    );
    let changes = json!({"added": 1, "changed": 1, "removed": 1, "unchanged": 1, "files": [
        {"path": "a.md", "change": "changed"}, {"path": "b.md", "change": "removed"}, {"path": "e.md", "change": "added"}
    ]});
    assert_eq!(job["changes"], changes);
    assert_eq!(served.get(&format!("/v1/jobs/{second}/result")).await.json()["changes"], changes);

    let requests = served.models.requests();
    let prompt = requests.iter().map(|recorded| recorded.request.last_user()).find(|text| text.contains("louder"));
    let prompt = prompt.expect("it was asked");
    assert!(prompt.contains("There is b.md: two"), "templates see them: {prompt}");
    assert!(prompt.contains("## Files that you can read\na.md (4 bytes)\n"), "{prompt}");
    assert!(!prompt.contains("REPORT.md ("), "{prompt}");
    let read = served.step(&second, "write").await.to_string();
    assert!(read.contains("two\\n"), "tools read them: {read}");

    let paths: Vec<String> =
        served.artifacts(&second).await.iter().map(|file| file["path"].as_str().expect("a path").to_owned()).collect();
    assert_eq!(paths, ["PROJECT_TREE.txt", "REPORT.md", "a.md", "archive.zip", "c/d.md", "e.md"]);
    assert_eq!(
        (served.text(&second, "a.md").await, served.text(&second, "c/d.md").await),
        ("ONE\n".into(), "three\n".into())
    );
    assert_eq!(served.text(&first, "a.md").await, "one\n");
    let report = served.text(&second, "REPORT.md").await;
    let told = format!("Compared with the files of job `{first}`: 1 added, 1 changed, 1 removed, 1 as they were.");
    assert!(report.contains(&told) && report.contains("- removed: `b.md`"), "{report}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_followed_up_is_said() {
    let gate = Gate::closed();
    let held = Reply::Answer(json!({"summary": "", "removed": []})).held(&gate);
    let served = Served::start(script().say("Do this: wait", [held])).await;
    let job = served.run(&json!({"flow": flow(), "input": {"prompt": "three notes"}})).await;
    let id = job["id"].as_str().expect("an id");
    let path = format!("/v1/jobs/{id}/follow-up");
    assert_eq!(served.post(&path, &json!({})).await.places(), ["prompt"]);
    assert_eq!(served.post(&path, &json!({"prompt": "louder", "flow": "software"})).await.places(), ["flow"]);
    assert_eq!(served.post(&path, &json!({"prompt": "louder", "budget": {"usd": "0"}})).await.places(), ["budget.usd"]);
    assert_eq!(
        served.post("/v1/jobs/01KAJ0X5T3ZQ4V8N2M6R7W9YBC/follow-up", &json!({"prompt": "x"})).await.problem(404),
        "job_not_found"
    );
    let waiting = served.submit(&json!({"flow": flow(), "input": {"prompt": "wait"}})).await;
    let early = served.post(&format!("/v1/jobs/{waiting}/follow-up"), &json!({"prompt": "louder"})).await;
    assert_eq!(early.problem(409), "job_not_ended");
    gate.open();
    served.ended(&waiting).await;
    let nothing = served.post(&format!("/v1/jobs/{waiting}/follow-up"), &json!({"prompt": "louder"})).await;
    assert_eq!(nothing.places(), [""], "it has made no file: {}", nothing.text());
    served.stop().await;
}
