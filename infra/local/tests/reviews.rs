//! `convoke` and people: asked on a terminal, or told what to type, with a decision that comes after the installation was
//! killed and started again.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use convoke_tests::kills::Blow;
use convoke_tests::scripted::{Reply, ScriptedServer};
use convoke_tests::serving::{Serving, command};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const FLOW: &str = "
name: shed
input: {type: object}
agents: {writer: {role: Writer, goal: Write, backstory: '-'}}
nodes:
  - {id: plan, kind: agent, agent: writer, task: {description: Plan a shed, expected_output: A text, output_file: plan.md}}
  - {id: approve, kind: review, needs: [plan], question: Build it like this?, shows: [plan.md]}
  - {id: build, kind: agent, needs: [approve], agent: writer, task: {description: 'Build. {{ approve.output.comment }}', expected_output: A text}}
";

const ASKS_TWICE: &str = "
name: twice
input: {type: object}
agents: {writer: {role: Writer, goal: Write, backstory: '-'}}
nodes:
  - {id: plan, kind: agent, agent: writer, task: {description: Plan a shed, expected_output: A text}}
  - {id: drawing, kind: review, needs: [plan], question: Build it like this?}
  - {id: build, kind: agent, needs: [drawing], agent: writer, task: {description: 'Build. {{ drawing.output.comment }}', expected_output: A text}}
  - {id: roof, kind: review, needs: [build], question: Is the roof tight?}
  - {id: paint, kind: agent, needs: [roof], agent: writer, task: {description: 'Paint. {{ roof.output.comment }}', expected_output: A text}}
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
        std::fs::write(folder.join("twice.yaml"), ASKS_TWICE).expect("written");
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

    /// The binary on a terminal of its own, on which a line has to be typed before it starts.
    fn on_a_terminal(&self, arguments: &str) -> (Child, Terminal) {
        // `script` gives the command a terminal, without a size, and types what comes in here.
        let mut command = self.command(Path::new("script"));
        let shell = format!("stty cols 120 rows 40; read go; exec '{}' {arguments}", Self::binary().display());
        command.args(["--quiet", "--return", "--command", &shell, "/dev/null"]);
        command.env("SHELL", "/bin/sh").env("TERM", "xterm");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let (keys, screen) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        (child, Terminal { keys, screen, unseen: Vec::new() })
    }
}

/// What somebody at a terminal sees and types.
struct Terminal {
    keys: ChildStdin,
    screen: ChildStdout,
    /// What came and wasn't looked at.
    unseen: Vec<u8>,
}

impl Terminal {
    async fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).await.expect("typed");
    }

    /// Looks until these words are there, and past them. Lines don't help: what moves is drawn between them, in blanks.
    async fn sees(&mut self, words: &str) {
        let found = async {
            loop {
                if let Some(at) = String::from_utf8_lossy(&self.unseen).find(words) {
                    let rest = String::from_utf8_lossy(&self.unseen)[at + words.len()..].to_owned();
                    self.unseen = rest.into_bytes();
                    return;
                }
                let bytes = self.screen.read_buf(&mut self.unseen).await.expect("bytes");
                assert!(bytes > 0, "it ends before {words:?}: {}", String::from_utf8_lossy(&self.unseen));
            }
        };
        tokio::time::timeout(LONG, found).await.expect(words);
    }

    /// Looks on until the end.
    async fn rest(mut self) {
        let end = self.screen.read_to_end(&mut self.unseen);
        tokio::time::timeout(LONG, end).await.expect("it ends").expect("bytes");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_a_review_is_decided_by_what_is_typed_after_it_was_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let rig = Rig::new(folder.path()).await;
    let serving = rig.serving().await;
    let (run, mut terminal) = rig.on_a_terminal("run --flow twice.yaml --out made");
    // What is typed before anything was asked is no decision, and neither is what is none.
    terminal.types("go\nreject\n").await;
    terminal.sees("Build it like this?").await;
    terminal.sees("drawing: approve, changes or reject?").await;
    terminal.types("yes\n").await;
    terminal.sees("approve, changes or reject?").await;
    // Nor is what is typed ahead of the next.
    terminal.types("approve: mind the door\nreject\n").await;
    terminal.sees("Is the roof tight?").await;
    terminal.sees("roof: approve, changes or reject?").await;
    terminal.types("a in red, please\n").await;
    terminal.sees("roof: approve").await;
    terminal.rest().await;
    assert_eq!(code(run).await, Some(0));
    let asked = rig.server.requests();
    let built = asked.iter().filter(|recorded| recorded.request.last_user().contains("mind the door"));
    assert_eq!(built.count(), 1);
    assert!(rig.was_asked("in red, please"));
    drop(serving);
}
