//! `convoke` and people: they are told what to type, and their decision comes after the installation was killed and
//! started again.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use convoke_tests::kills::Blow;
use convoke_tests::scripted::{Reply, ScriptedServer};
use convoke_tests::serving::{Serving, command};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, Command};

const FLOW: &str = "
name: shed
input: {type: object}
agents: {writer: {role: Writer, goal: Write, backstory: '-'}}
nodes:
  - {id: plan, kind: agent, agent: writer, task: {description: Plan a shed, expected_output: A text, output_file: plan.md}}
  - {id: approve, kind: review, needs: [plan], question: Build it like this?, shows: [plan.md]}
  - {id: build, kind: agent, needs: [approve], agent: writer, task: {description: 'Build. {{ approve.output.comment }}', expected_output: A text}}
";

/// Long enough for a debug build on a busy machine; nothing waits for it where all is well.
const LONG: Duration = Duration::from_mins(1);

struct Rig {
    data: PathBuf,
    server: ScriptedServer,
}

impl Rig {
    async fn new(folder: &Path) -> Self {
        std::fs::write(folder.join("shed.yaml"), FLOW).expect("written");
        Self { data: folder.to_owned(), server: ScriptedServer::start(|_: &_| Reply::text("Four walls")).await }
    }

    fn binary() -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_convoke"))
    }

    async fn serving(&self) -> Serving {
        Serving::start(Self::binary(), &self.data, &self.server.base_url()).await
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = command(program, &self.data, &self.server.base_url());
        command.kill_on_drop(true);
        command
    }

    async fn convoke(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(Self::binary()).args(arguments).output();
        let output = tokio::time::timeout(LONG, output).await.expect("it ends").expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Whether the last call of the model held these words.
    fn was_asked(&self, words: &str) -> bool {
        self.server.requests().last().is_some_and(|recorded| recorded.request.last_user().contains(words))
    }
}

/// The first line that holds the words.
async fn line(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>, words: &str) -> String {
    let found = async {
        loop {
            let line = lines.next_line().await.expect("text").expect("it says so before it ends");
            if line.contains(words) {
                return line;
            }
        }
    };
    tokio::time::timeout(LONG, found).await.expect(words)
}

async fn code(mut child: Child) -> Option<i32> {
    tokio::time::timeout(LONG, child.wait()).await.expect("it ends").expect("a status").code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_counts_after_the_installation_was_killed_and_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = Rig::new(folder.path()).await;
    let first = rig.serving().await;
    let mut run = rig.command(Rig::binary());
    run.args(["run", "--flow", "shed.yaml", "--out", "made"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = run.spawn().expect("it starts");
    let mut told = BufReader::new(run.stderr.take().expect("piped")).lines();
    line(&mut told, "Build it like this?").await;
    line(&mut told, "Four walls").await;
    let how = line(&mut told, "convoke review ").await;
    let drain = tokio::spawn(async move { while let Ok(Some(_)) = told.next_line().await {} });
    let job = how.split_whitespace().nth(2).expect("a job").to_owned();

    first.end(Blow::Kill).await;
    let second = rig.serving().await;
    let (shown, listed) = rig.convoke(&["jobs", "reviews", &job]).await;
    assert_eq!(shown, Some(0), "{listed}");
    assert!(listed.starts_with("approve  requested") && listed.contains("Build it like this?"), "{listed}");
    let (unknown, said) = rig.convoke(&["review", &job, "aprove", "approve"]).await;
    assert_eq!((unknown, said.lines().count()), (Some(2), 1), "{said}");
    let (unread, said) = rig.convoke(&["review", &job, "approve", "maybe"]).await;
    assert_eq!((unread, said.lines().count()), (Some(2), 1), "{said}");

    let decide = ["review", &job, "approve", "approve", "--comment", "Mind the roof"];
    let (decided, said) = rig.convoke(&decide).await;
    assert_eq!(decided, Some(0), "{said}");
    assert!(said.starts_with("approve  approved, by ") && said.contains("Mind the roof"), "{said}");
    assert_eq!(rig.convoke(&decide).await.0, Some(0), "a repeat is fine");
    let (late, said) = rig.convoke(&["review", &job, "approve", "reject"]).await;
    assert_eq!((late, said.lines().count()), (Some(1), 1), "{said}");
    assert_eq!(code(run).await, Some(0), "who followed it since before the kill sees its end");
    drain.await.expect("all is read");
    assert!(rig.was_asked("Mind the roof"));
    let (_, view) = rig.convoke(&["jobs", "show", &job, "--json"]).await;
    let view: Value = serde_json::from_str(&view).expect("JSON");
    assert_eq!((&view["status"], &view["reviews"][0]["state"]), (&"completed".into(), &"approved".into()), "{view:#}");
    drop(second);
}
