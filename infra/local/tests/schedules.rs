//! `convoke schedules` against a serving installation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use convoke_tests::scripted::{Reply, ScriptedServer};
use convoke_tests::serving::{Serving, command};
use serde_json::Value;

const FLOW: &str = "
name: river
input: {type: object, properties: {topic: {type: string}}, required: [topic]}
nodes: [{id: write, kind: agent, agent: {role: Writer, goal: Write, backstory: '-'}, task: {description: 'On {{ input.topic }}', expected_output: A text}}]
";

/// Long enough for a debug build on a busy machine; nothing waits for it where all is well.
const LONG: Duration = Duration::from_mins(1);

struct Rig {
    data: PathBuf,
    model_url: String,
}

impl Rig {
    async fn convoke(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = command(Path::new(env!("CARGO_BIN_EXE_convoke")), &self.data, &self.model_url);
        command.arg("schedules").args(arguments).kill_on_drop(true);
        let output = tokio::time::timeout(LONG, command.output()).await.expect("it ends").expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    async fn done(&self, arguments: &[&str]) -> String {
        let (code, said) = self.convoke(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_made_run_shown_paused_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ScriptedServer::start(|_: &_| Reply::text("A river")).await;
    let rig = Rig { data: folder.path().to_owned(), model_url: server.base_url() };
    std::fs::write(rig.data.join("river.yaml"), FLOW).expect("written");
    std::fs::write(rig.data.join("inputs.jsonl"), "{\"topic\": \"Elbe\"}\n{\"topic\": \"Oder\"}\n").expect("written");
    let serving = Serving::start(Path::new(env!("CARGO_BIN_EXE_convoke")), &rig.data, &rig.model_url).await;
    let create = ["create", "--flow", "river.yaml", "--cron", "0 6 * * MON-FRI", "--time-zone", "Europe/Berlin"];
    let made = rig.done(&[&create[..], &["--inputs", "inputs.jsonl", "--at-once", "1", "--json"]].concat()).await;
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let id = made["id"].as_str().expect("an id");
    assert_eq!((&made["batch"]["count"], &made["name"]), (&Value::from(2), &Value::from("river")));
    assert!(rig.done(&["list"]).await.contains("0 6 * * MON-FRI Europe/Berlin"));
    rig.done(&["run", id]).await;
    let shown = async || {
        let shown = rig.done(&["show", id, "--json"]).await;
        serde_json::from_str::<Value>(&shown).expect("JSON")["runs"][0].clone()
    };
    let ended = async {
        loop {
            let run = shown().await;
            if run["ended_at"].is_string() {
                return run;
            }
        }
    };
    let run = tokio::time::timeout(LONG, ended).await.expect("it ends");
    assert_eq!((&run["completed"], &run["total"]), (&Value::from(2), &Value::from(2)), "{run}");
    assert!(rig.done(&["show", id]).await.contains("2 completed of 2"));
    assert!(rig.done(&["pause", id]).await.contains("paused"));
    assert!(rig.done(&["resume", id]).await.contains("next "));
    rig.done(&["delete", id]).await;
    let (code, said) = rig.convoke(&["show", id]).await;
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("there is no schedule"), "{said}");
    drop(serving);
}
