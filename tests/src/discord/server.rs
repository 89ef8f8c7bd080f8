//! A server in the place of Discord's API, on a port of 127.0.0.1: it notes calls, judges them, and answers by what it has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Description;

/// Longest time to wait for calls that are to come.
const PATIENCE: Duration = Duration::from_mins(1);
/// Largest request.
const BYTES_MAX: usize = 16 * 1_024 * 1_024;
/// The token that the bot has.
pub const TOKEN: &str = "t0k3n-of-the-bot";
/// The application's id.
pub const APPLICATION: &str = "77";

/// A call that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The path, from behind the API's version.
    pub path: String,
    /// The body; null where there was none.
    pub body: Value,
    /// Files that came with it, by name, with their sizes.
    pub files: Vec<(String, usize)>,
    /// Whether it came with the bot's token.
    pub by_bot: bool,
}

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with a status and a code.
    Refuse(u16, u64),
    /// It is refused with 429, for so many seconds.
    Throttle(&'static str),
    /// It is done, but nobody hears of it: the connection breaks.
    Lose,
    /// Trouble: a 502 without a body of Discord's.
    Trouble,
}

type Matching = Box<dyn Fn(&Call) -> bool + Send>;

#[derive(Default)]
struct World {
    calls: Vec<Call>,
    faults: VecDeque<(Matching, Fault)>,
    wrong: Vec<String>,
    nonces: BTreeMap<String, u64>,
    threads: Vec<u64>,
    acknowledged: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
    endpoint: Option<String>,
    /// Channels in which no threads can be opened.
    threadless: Vec<u64>,
}

struct Shared {
    world: Mutex<World>,
    last_id: AtomicU64,
    told: watch::Sender<usize>,
    gateway: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The server. It is gone when this is dropped.
pub struct DiscordServer {
    /// For `CONVOKE_DISCORD_URL`.
    pub url: String,
    shared: Arc<Shared>,
    count: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

impl Drop for DiscordServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl DiscordServer {
    /// Starts one that takes everything.
    pub async fn start() -> Self {
        Self::with_gateway(None).await
    }

    /// The same that sends bots to a gateway.
    pub async fn with_gateway(gateway: Option<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("a bound address").port();
        let (told, count) = watch::channel(0);
        let shared = Arc::new(Shared { world: Mutex::default(), last_id: AtomicU64::new(1_000), told, gateway });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Self { url: format!("http://127.0.0.1:{port}/api/v10"), shared, count, server }
    }

    /// The settings of a bot that is with it.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        vec![("CONVOKE_DISCORD_URL", &self.url), ("DISCORD_TOKEN", TOKEN), ("DISCORD_PUBLIC_KEY", super::KEY_HEX)]
    }

    /// Has something go wrong with the next call that `matching` holds for.
    pub fn next(&self, matching: impl Fn(&Call) -> bool + Send + 'static, fault: Fault) {
        self.shared.lock().faults.push_back((Box::new(matching), fault));
    }

    /// Says that no thread can be opened in a channel.
    pub fn has_no_threads(&self, channel: u64) {
        self.shared.lock().threadless.push(channel);
    }

    /// Sets where the application's interactions go.
    pub fn set_endpoint(&self, url: &str) {
        self.shared.lock().endpoint = Some(url.to_owned());
    }

    /// Where the application's interactions go.
    pub fn endpoint(&self) -> Option<String> {
        self.shared.lock().endpoint.clone()
    }

    /// Keeps a file as Discord keeps attachments; its URL.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> String {
        self.shared.lock().files.insert(format!("/cdn/{name}"), bytes.to_vec());
        format!("{}/cdn/{name}", self.url.trim_end_matches("/api/v10"))
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// The calls since the last time that they were taken.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.lock().calls)
    }

    /// Waits until a call has come for which `matching` holds; that call.
    pub async fn wait_for(&self, what: &str, matching: impl Fn(&Call) -> bool) -> Call {
        let mut count = self.count.clone();
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(call) = self.calls().into_iter().find(&matching) {
                    return call;
                }
                count.changed().await.expect("it runs");
            }
        });
        waited.await.unwrap_or_else(|_| panic!("no {what} in {:#?}", self.calls()))
    }

    /// What was wrong with the calls so far.
    pub fn wrong(&self) -> Vec<String> {
        self.shared.lock().wrong.clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, BYTES_MAX).await.expect("a whole request");
    if let Some(file) = shared.lock().files.get(parts.uri.path()) {
        return file.clone().into_response();
    }
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (body, files) = read(header("content-type"), &bytes);
    let call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().strip_prefix("/api/v10").unwrap_or_default().to_owned(),
        body,
        files,
        by_bot: header("authorization") == format!("Bot {TOKEN}"),
    };
    if call.path.starts_with("/gateway") {
        return gateway(&shared);
    }
    let answer = shared.answer(&call);
    shared.told.send_modify(|count| *count += 1);
    answer
}

fn gateway(shared: &Shared) -> Response {
    let limit = json!({"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1});
    let url = shared.gateway.clone().expect("a gateway");
    json_of(&json!({"url": url, "shards": 1, "session_start_limit": limit}))
}

impl Shared {
    fn answer(&self, call: &Call) -> Response {
        let mut world = self.lock();
        let faults = Description::read().faults(&call.method, &call.path, &call.body);
        world.wrong.extend(faults.into_iter().map(|fault| format!("{} {}: {fault}", call.method, call.path)));
        world.calls.push(call.clone());
        let fault = world.faults.iter().position(|(matching, _)| matching(call));
        match fault.and_then(|index| world.faults.remove(index)).map(|(_, fault)| fault) {
            None => self.done(&mut world, call),
            Some(Fault::Refuse(status, code)) => refused(status, code),
            Some(Fault::Throttle(seconds)) => throttled(seconds),
            Some(Fault::Trouble) => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
            Some(Fault::Lose) => {
                drop(self.done(&mut world, call));
                // A body that ends before its length: the client sees the connection break.
                let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("lost")) });
                axum::body::Body::from_stream(broken).into_response()
            }
        }
    }

    fn done(&self, world: &mut World, call: &Call) -> Response {
        let parts: Vec<&str> = call.path.trim_matches('/').split('/').collect();
        match (call.method.as_str(), parts.as_slice()) {
            ("POST", ["channels", _, "messages"]) => {
                let next = || self.last_id.fetch_add(1, Ordering::SeqCst);
                let id = match call.body["nonce"].as_str() {
                    Some(nonce) => *world.nonces.entry(nonce.to_owned()).or_insert_with(next),
                    None => next(),
                };
                json_of(&json!({"id": id.to_string()}))
            }
            ("POST", ["channels", channel, "messages", message, "threads"]) => {
                let (channel, message) = (channel.parse().unwrap_or(0), message.parse().unwrap_or(0));
                if world.threadless.contains(&channel) {
                    return refused(400, 50_024);
                }
                if world.threads.contains(&message) {
                    return refused(400, 160_004);
                }
                world.threads.push(message);
                json_of(&json!({"id": message.to_string()}))
            }
            ("POST", ["users", "@me", "channels"]) => {
                let user = call.body["recipient_id"].as_str().unwrap_or("0");
                json_of(&json!({"id": format!("9{user}")}))
            }
            ("POST", ["interactions", id, _, "callback"]) => {
                let id = (*id).to_owned();
                if world.acknowledged.contains(&id) {
                    return refused(400, 40_060);
                }
                world.acknowledged.push(id);
                StatusCode::NO_CONTENT.into_response()
            }
            ("GET", ["guilds", id]) => json_of(&json!({"id": id, "name": "The crew's guild"})),
            ("GET", ["applications", "@me"]) => json_of(&application(world)),
            ("PATCH", ["applications", "@me"]) => {
                world.endpoint = call.body["interactions_endpoint_url"].as_str().map(str::to_owned);
                json_of(&application(world))
            }
            _ => json_of(&json!({})),
        }
    }
}

fn application(world: &World) -> Value {
    json!({
        "id": APPLICATION, "name": "convoke", "verify_key": super::KEY_HEX,
        "interactions_endpoint_url": world.endpoint
    })
}

fn json_of(value: &Value) -> Response {
    axum::Json(value).into_response()
}

fn refused(status: u16, code: u64) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, axum::Json(json!({"code": code, "message": format!("refused with {code}")}))).into_response()
}

fn throttled(seconds: &'static str) -> Response {
    let body =
        json!({"message": "You are being rate limited.", "retry_after": seconds.parse::<f64>().ok(), "global": false});
    let headers = [("retry-after", seconds), ("x-ratelimit-scope", "user")];
    (StatusCode::TOO_MANY_REQUESTS, headers, axum::Json(body)).into_response()
}

/// The JSON of a body, and the files beside it.
fn read(content_type: &str, bytes: &[u8]) -> (Value, Vec<(String, usize)>) {
    let Some((_, boundary)) = content_type.split_once("boundary=") else {
        return (serde_json::from_slice(bytes).unwrap_or_default(), Vec::new());
    };
    let (mut body, mut files) = (Value::Null, Vec::new());
    for part in split(bytes, format!("--{}", boundary.trim_matches('"')).as_bytes()) {
        let Some(at) = part.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let (head, content) = (String::from_utf8_lossy(&part[..at]), &part[at + 4..part.len().saturating_sub(2)]);
        if head.contains("name=\"payload_json\"") {
            body = serde_json::from_slice(content).expect("JSON");
        } else if let Some((_, rest)) = head.split_once("filename=\"") {
            files.push((rest.split('"').next().unwrap_or_default().to_owned(), content.len()));
        }
    }
    (body, files)
}

fn split<'bytes>(bytes: &'bytes [u8], mark: &[u8]) -> Vec<&'bytes [u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        parts.push(&rest[..at]);
        rest = &rest[at + mark.len()..];
    }
    parts
}
