//! The commands that look at jobs and act on them, that go on from one, and those about keys: as a user types them, one
//! after the other.

use std::path::Path;
use std::time::Duration;

use convoke_tests::kills::Blow;
use convoke_tests::scripted::{ChatRequest, Reply, ScriptedServer};
use convoke_tests::serving::{Address, Serving, command};
use serde_json::{Value, json};

/// Long enough for a debug build on a busy machine; nothing waits for it where all is well.
const LONG: Duration = Duration::from_mins(1);

struct Rig<'a> {
    data: &'a Path,
    model_url: String,
}

impl Rig<'_> {
    /// How a command ends, and what it says.
    async fn convoke(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = command(Path::new(env!("CARGO_BIN_EXE_convoke")), self.data, &self.model_url);
        let output = command.args(arguments).kill_on_drop(true).output();
        let output = tokio::time::timeout(LONG, output).await.expect("it ends").expect("it starts");
        let told = String::from_utf8_lossy(&output.stderr);
        println!("{arguments:?}: {told}");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    }

    async fn done(&self, arguments: &[&str]) -> String {
        let (code, said) = self.convoke(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    }

    /// What a command says once these words are in it.
    async fn until(&self, arguments: &[&str], words: &str) -> String {
        let said = async {
            loop {
                let said = self.done(arguments).await;
                if said.contains(words) {
                    return said;
                }
            }
        };
        tokio::time::timeout(LONG, said).await.expect(words)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.data.join(path)).expect("a file")
    }
}

/// A writer, and a person who is asked where the prompt says so.
fn flow() -> Value {
    json!({
        "name": "note",
        "input": {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
        "nodes": [
            {"id": "write", "kind": "agent", "agent": {"role": "Writer", "goal": "Write", "backstory": "-"}, "task": {
                "description": "Do this: {{ input.prompt }}", "expected_output": "A text", "output_file": "note.md"
            }},
            {"id": "ask", "kind": "review", "needs": ["write"], "question": "Is it good?", "if": "input.prompt == 'ask me'"}
        ]
    })
}

fn said(request: &ChatRequest) -> Reply {
    Reply::text(if request.last_user().contains("louder") { "NOTED" } else { "Noted" })
}

async fn submitted(at: &Address) -> String {
    let body = json!({"flow": flow(), "input": {"prompt": "ask me"}});
    let request = reqwest::Client::new().post(format!("{}/v1/jobs", at.url)).bearer_auth(&at.key).json(&body);
    let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    answer["id"].as_str().unwrap_or_else(|| panic!("{answer:#}")).to_owned()
}

/// The first word of what a command said.
fn id(said: &str) -> String {
    said.split_whitespace().next().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_cancelled_tried_again_looked_at_and_gone_on_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ScriptedServer::start(said).await;
    let rig = Rig { data: folder.path(), model_url: server.base_url() };
    let serving = Serving::start(Path::new(env!("CARGO_BIN_EXE_convoke")), rig.data, &rig.model_url).await;

    let first = submitted(&serving.address()).await;
    rig.until(&["jobs", "reviews", &first], "requested").await;
    assert_eq!(id(&rig.done(&["jobs", "cancel", &first]).await), first);
    let (code, ended) = rig.convoke(&["jobs", "watch", &first]).await;
    assert_eq!(code, Some(3), "{ended}");
    assert!(ended.contains("cancelled (cancelled)"), "{ended}");

    let second = id(&rig.done(&["jobs", "retry", &first]).await);
    assert_ne!(second, first);
    rig.until(&["jobs", "reviews", &second], "requested").await;
    rig.done(&["review", &second, "ask", "approve"]).await;
    let ended = rig.done(&["jobs", "watch", &second]).await;
    assert!(ended.contains("completed (completed)"), "{ended}");
    assert_eq!(server.requests().len(), 1, "the text that was there is kept");

    let events = rig.done(&["jobs", "logs", &second]).await;
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(events.iter().any(|event| event["type"] == "review.decided"), "{events:#?}");
    let listed = rig.done(&["jobs", "artifacts", &second]).await;
    assert!(listed.lines().any(|line| line.ends_with("  note.md")), "{listed}");
    rig.done(&["jobs", "download", &second, "--out", "got"]).await;
    assert_eq!(rig.read("got/note.md").trim(), "Noted");

    let followed = rig.done(&["follow-up", &second, "louder", "--out", "more"]).await;
    assert!(followed.contains("1 changed"), "{followed}");
    assert_eq!(rig.read("more/note.md").trim(), "NOTED");
    let listed = rig.done(&["jobs", "list", "--status", "completed"]).await;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    serving.end(Blow::Terminate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_listed_and_deleted_and_tenants_have_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = Rig { data: folder.path(), model_url: "http://127.0.0.1:9".to_owned() };
    let key = rig.done(&["keys", "create", "ci", "--tenant", "acme"]).await;
    let listed = rig.done(&["keys", "list", "--tenant", "acme"]).await;
    let prefix = id(&listed);
    assert!(key.starts_with(&prefix) && listed.contains("ci") && !listed.contains(key.trim()), "{listed}");
    let tenants = rig.done(&["tenants"]).await;
    assert!(tenants.lines().any(|line| line.starts_with("acme ") && line.contains(" 1 keys")), "{tenants}");
    rig.done(&["keys", "delete", &prefix, "--tenant", "acme"]).await;
    assert_eq!(rig.done(&["keys", "list", "--tenant", "acme"]).await, "");
    let (code, _) = rig.convoke(&["keys", "delete", &prefix, "--tenant", "acme"]).await;
    assert_eq!(code, Some(2), "it is gone");
    let models = rig.done(&["model", "list"]).await;
    let state = |name: &str| models.lines().find(|line| line.starts_with(name)).map(str::to_owned).unwrap_or_default();
    assert!(state("compatible/").contains("ready") && state("openai/").contains("OPENAI_API_KEY"), "{models}");
}
