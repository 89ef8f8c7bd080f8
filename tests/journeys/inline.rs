//! A flow of two steps, written into the submission.

use convoke_tests::scripted::{ByRole, Reply};
use convoke_tests::served::Served;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const DRAFT: &str = "Oolong stands between green and black tea.";
const FINAL: &str = "Oolong: between green and black.";

fn flow() -> Value {
    json!({
        "name": "article",
        "input": {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]},
        "agents": {"writer": {"role": "Writer", "goal": "Short texts", "backstory": "You wrote for newspapers."}},
        "nodes": [
            {"kind": "agent", "id": "draft", "agent": "writer", "task": {
                "description": "Draft a text about {{ input.topic }}.",
                "expected_output": "A paragraph.",
                "output_file": "draft.md"
            }},
            {"kind": "agent", "id": "polish", "needs": ["draft"], "agent": "writer", "task": {
                "description": "Shorten the draft about {{ input.topic }}.",
                "expected_output": "A sentence.",
                "output_file": "texts/final.md"
            }}
        ]
    })
}

fn script() -> ByRole {
    ByRole::new().say("Draft a text", [Reply::text(DRAFT)]).say("Shorten the draft", [Reply::text(FINAL)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_step_sees_what_the_first_one_made() {
    let served = Served::start(script()).await;
    let submission = json!({"flow": flow(), "input": {"topic": "oolong tea"}, "labels": {"team": "tea"}});
    let job = served.run(&submission).await;
    let id = job["id"].as_str().expect("an id");
    assert_eq!((&job["status"], &job["stop_reason"]), (&json!("completed"), &json!("completed")), "{job:#}");
    assert_eq!(job.get("warnings"), None, "{job:#}");

    let requests = served.models.requests();
    let prompts: Vec<&str> = requests.iter().map(|recorded| recorded.request.last_user()).collect();
    insta::assert_snapshot!("the_prompts_of_two_steps", prompts.join("\n\n===\n\n"));
    assert!(requests.iter().all(|recorded| recorded.request.system().contains("You are Writer.")));
    assert_eq!(requests[0].request.header("authorization"), Some("Bearer sk-scripted"));

    assert_eq!(job["cost"], served.billed());
    let result = served.get(&format!("/v1/jobs/{id}/result")).await.json();
    assert_eq!(result["outputs"], json!({"polish": FINAL}));
    assert_eq!(result["cost"], served.billed());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_can_be_downloaded_one_by_one_and_as_a_whole() {
    let served = Served::start(script()).await;
    let job = served.run(&json!({"flow": flow(), "input": {"topic": "oolong tea"}})).await;
    let id = job["id"].as_str().expect("an id");
    let listed = served.artifacts(id).await;
    let made_by: Vec<(&str, &str)> = listed
        .iter()
        .map(|file| (file["path"].as_str().expect("a path"), file["step"].as_str().expect("a step")))
        .collect();
    let expected = [
        ("PROJECT_TREE.txt", "(finish)"),
        ("REPORT.md", "(finish)"),
        ("archive.zip", "(finish)"),
        ("draft.md", "draft"),
        ("texts/final.md", "polish"),
    ];
    assert_eq!(made_by, expected);
    for file in &listed {
        let bytes = served.download(id, file["path"].as_str().expect("a path")).await;
        assert_eq!(file["bytes"], bytes.len(), "{file}");
        assert_eq!(file["sha256"], hex::encode(Sha256::digest(&bytes)), "{file}");
    }
    assert_eq!(served.text(id, "draft.md").await, format!("{DRAFT}\n"));
    assert_eq!(served.text(id, "texts/final.md").await, format!("{FINAL}\n"));
    let archive = served.archive(id).await;
    let names: Vec<&str> = archive.keys().map(String::as_str).collect();
    assert_eq!(names, ["PROJECT_TREE.txt", "REPORT.md", "draft.md", "texts/final.md"]);
    assert_eq!(archive["texts/final.md"], format!("{FINAL}\n").as_bytes());
    served.stop().await;
}
