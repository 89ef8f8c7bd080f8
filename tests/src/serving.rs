//! `convoke serve` as a process of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::kills::Blow;

/// Longest time to come up.
const START_MAX: Duration = Duration::from_secs(30);
/// What it says before where it listens.
const SERVES: &str = "Convoke serves ";
/// Longest time that an orderly end may take.
const END_MAX: Duration = Duration::from_secs(10);

/// Where an installation listens, and the key to it.
#[derive(Clone, Debug)]
pub struct Address {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// The owner's key.
    pub key: String,
}

/// The binary over a data folder, with nothing of this process's environment and the model server as its only provider;
/// it starts in the data folder.
pub fn command(binary: &Path, data: &Path, model_url: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("HOME", data)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("CONVOKE_DATA_DIR", data)
        .env("CONVOKE_MODEL", "compatible/scripted")
        .env("CONVOKE_COMPATIBLE_BASE_URL", model_url)
        .current_dir(data)
        .stdin(Stdio::null());
    command
}

/// A running process. It is killed when this is dropped.
pub struct Serving {
    child: Child,
    address: Address,
}

impl Serving {
    /// Starts the binary over a data folder, with the model server as its only provider, and waits until it serves.
    pub async fn start(binary: &Path, data: &Path, model_url: &str) -> Self {
        let mut command = command(binary, data, model_url);
        command.args(["serve", "--port", "0"]);
        Self::of(command, data).await
    }

    /// The same on a disk that is full: no file of it grows beyond so many bytes. What it says on standard error goes to
    /// `log`.
    pub async fn cramped(binary: &Path, data: &Path, model_url: &str, (bytes_max, log): (u64, &Path)) -> Self {
        // Without the trap the limit would end the process, which no full disk does.
        let script = "trap '' XFSZ; exec prlimit --fsize=\"$1\":unlimited \"$2\" serve --port 0";
        let mut command = command(Path::new("sh"), data, model_url);
        command.args(["-c", script, "sh", &bytes_max.to_string()]).arg(binary);
        command.stderr(std::fs::File::create(log).expect("a log"));
        Self::of(command, data).await
    }

    /// The process of a command that serves over a data folder.
    pub async fn of(command: Command, data: &Path) -> Self {
        Self::telling(command, data, SERVES).await.0
    }

    /// The same, and what it says up to the line that has `last` in it.
    pub async fn telling(mut command: Command, data: &Path, last: &str) -> (Self, Vec<String>) {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the binary starts");
        let mut told = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut lines: Vec<String> = Vec::new();
        let all = async {
            while !lines.last().is_some_and(|line| line.contains(last)) {
                lines.push(told.next_line().await.expect("text").expect("it serves before it ends"));
            }
        };
        tokio::time::timeout(START_MAX, all).await.expect("it serves in time");
        let url = lines.iter().find_map(|line| line.strip_prefix(SERVES)).expect("it says where").to_owned();
        tokio::spawn(async move { while let Ok(Some(_)) = told.next_line().await {} });
        let key = std::fs::read_to_string(data.join("local.key")).expect("a key");
        (Self { child, address: Address { url, key: key.trim().to_owned() } }, lines)
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// Ends the process and waits until it is gone.
    pub async fn end(mut self, blow: Blow) {
        match blow {
            Blow::Kill => self.child.kill().await.expect("killed"),
            Blow::Terminate => {
                let pid = self.child.id().expect("it runs").to_string();
                let sent = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
                assert!(sent.success());
                let ended = tokio::time::timeout(END_MAX, self.child.wait()).await;
                let status = ended.expect("it ends within 10 s").expect("a status");
                assert!(status.success(), "{status}");
            }
        }
    }
}
