//! A place that webhooks lead to: an HTTP server on a port of 127.0.0.1 that answers as told and notes what it gets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longest time to wait for what is to come.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status and nothing else.
    Status(u16),
    /// A status, and that it wants to be left alone for so many seconds.
    Later(u16, u64),
    /// Nothing: it has taken the request, and the connection breaks.
    Lost,
    /// To another place.
    Redirect(String),
}

/// What came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// How many came before it.
    pub index: usize,
    /// When.
    pub at: Instant,
    /// The path with its query.
    pub path: String,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// What it was answered.
    pub reply: Reply,
}

impl Received {
    /// A header.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }

    /// The message.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// The event's number.
    pub fn seq(&self) -> u64 {
        self.json()["data"]["seq"].as_u64().expect("a number")
    }

    /// Whether it was acknowledged.
    pub fn is_acknowledged(&self) -> bool {
        matches!(self.reply, Reply::Status(200..=299) | Reply::Later(200..=299, _))
    }
}

type Script = dyn Fn(&Received) -> Reply + Send + Sync;

/// The place. It is gone when this is dropped.
pub struct Sink {
    /// Its port.
    pub port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    count: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Sink {
    /// One that acknowledges everything.
    pub async fn kind() -> Self {
        Self::start(|_| Reply::Status(204)).await
    }

    /// One that answers by a script.
    pub async fn start(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::at(0, script).await
    }

    /// One on this port.
    pub async fn at(port: u16, script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (told, count) = watch::channel(0);
        let (noted, script, told): (_, Arc<Script>, _) = (Arc::clone(&received), Arc::new(script), Arc::new(told));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, script, told) = (Arc::clone(&noted), Arc::clone(&script), Arc::clone(&told));
                tokio::spawn(async move { answer(stream, &noted, &*script, &told).await });
            }
        });
        Self { port, received, count, server }
    }

    /// For `CONVOKE_OUTBOUND_ALLOW`.
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks?token=in-the-url", self.port)
    }

    /// What came in so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }

    /// Waits until so much has come in; all that did.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut counted = self.count.clone();
        let waited = tokio::time::timeout(PATIENCE, counted.wait_for(|now| *now >= count)).await;
        let received = self.received();
        assert!(waited.is_ok(), "{} of {count} came: {received:#?}", received.len());
        received
    }
}

fn lock(received: &Mutex<Vec<Received>>) -> MutexGuard<'_, Vec<Received>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(stream: TcpStream, noted: &Mutex<Vec<Received>>, script: &Script, told: &watch::Sender<usize>) {
    let mut stream = BufReader::new(stream);
    let Some((path, headers, body)) = read(&mut stream).await else { return };
    let reply = {
        let mut noted = lock(noted);
        let index = noted.len();
        let mut received = Received { index, at: Instant::now(), path, headers, body, reply: Reply::Lost };
        received.reply = script(&received);
        let reply = received.reply.clone();
        noted.push(received);
        told.send_replace(noted.len());
        reply
    };
    let head = match reply {
        Reply::Lost => return,
        Reply::Status(status) => format!("HTTP/1.1 {status} x\r\n"),
        Reply::Later(status, seconds) => format!("HTTP/1.1 {status} x\r\nretry-after: {seconds}\r\n"),
        Reply::Redirect(to) => format!("HTTP/1.1 307 x\r\nlocation: {to}\r\n"),
    };
    let response = format!("{head}content-length: 0\r\nconnection: close\r\n\r\n");
    // Whoever has gone away doesn't want it.
    drop(stream.get_mut().write_all(response.as_bytes()).await);
}

/// The path, the headers and the body of a request.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, BTreeMap<String, String>, String)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some((path, headers, String::from_utf8(body).ok()?))
}
