//! The Bot API as a server: takes calls, checks them, does them or fails as told, and notes everything.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::calls::Call;
use super::description::wrong_with;
use super::faults::Fault;
use super::state::State;

/// The bot's id.
pub const BOT: u64 = 4_242;
/// Its name.
pub const BOT_NAME: &str = "crew_bot";
/// Its token.
pub const TOKEN: &str = "4242:AAH-a_token_that_nobody_may_see";

/// Longest time to wait for a call.
const PATIENCE: Duration = Duration::from_mins(1);
/// Largest body.
const BODY_BYTES_MAX: usize = 64 << 20;

/// The server. It is gone when this is dropped.
pub struct BotApi {
    /// Where it listens.
    pub url: String,
    telegram: Arc<Telegram>,
    count: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

struct Telegram {
    state: Mutex<State>,
    calls: Mutex<Vec<Call>>,
    wrong: Mutex<Vec<String>>,
    faults: Mutex<BTreeMap<String, VecDeque<Fault>>>,
    told: watch::Sender<usize>,
}

impl Drop for BotApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl BotApi {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound address"));
        let (told, count) = watch::channel(0);
        let telegram = Arc::new(Telegram {
            state: Mutex::default(),
            calls: Mutex::default(),
            wrong: Mutex::default(),
            faults: Mutex::default(),
            told,
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&telegram));
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("it goes on until it is dropped") });
        Self { url, telegram, count, server }
    }

    /// Settings for a bot that talks to it.
    pub fn settings(&self) -> [(&str, &str); 2] {
        [("TELEGRAM_TOKEN", TOKEN), ("CONVOKE_TELEGRAM_URL", &self.url)]
    }

    /// The next call of a method goes wrong so; what was told first comes first.
    pub fn fail(&self, method: &str, fault: Fault) {
        lock(&self.telegram.faults).entry(method.to_owned()).or_default().push_back(fault);
    }

    /// Somebody is an admin of a group.
    pub fn admit(&self, chat: i64, person: u64) {
        lock(&self.telegram.state).admins.insert((chat, person));
    }

    /// Somebody has sent a file.
    pub fn keep_file(&self, id: &str, content: &[u8]) {
        lock(&self.telegram.state).files.insert(id.to_owned(), content.to_vec());
    }

    /// A message of the bot is deleted.
    pub fn delete(&self, chat: i64, message: i32) {
        lock(&self.telegram.state).messages.remove(&(chat, message));
    }

    /// An update comes for whoever polls.
    pub fn queue(&self, update: Value) {
        lock(&self.telegram.state).updates.push_back(update);
    }

    /// How many updates nobody has said to have had.
    pub fn waiting(&self) -> usize {
        lock(&self.telegram.state).updates.len()
    }

    /// The webhook that stands, as it was set.
    pub fn webhook(&self) -> Option<Value> {
        lock(&self.telegram.state).webhook.clone()
    }

    /// A webhook stands that somebody else has set.
    pub fn set_webhook(&self, url: &str) {
        lock(&self.telegram.state).webhook = Some(json!({"url": url}));
    }

    /// A message of the bot as it stands: its text and its buttons.
    pub fn message(&self, chat: i64, message: i32) -> Option<Value> {
        lock(&self.telegram.state).messages.get(&(chat, message)).cloned()
    }

    /// The number of the bot's last message in a chat.
    #[track_caller]
    pub fn last_message(&self, chat: i64) -> i32 {
        let state = lock(&self.telegram.state);
        state.messages.keys().filter(|place| place.0 == chat).map(|place| place.1).max().expect("a message")
    }

    /// All calls so far, each of them right by Telegram's description.
    #[track_caller]
    pub fn calls(&self) -> Vec<Call> {
        let wrong = lock(&self.telegram.wrong).clone();
        assert_eq!(wrong, Vec::<String>::new(), "calls that Telegram doesn't know");
        lock(&self.telegram.calls).clone()
    }

    /// Calls since the first so many.
    #[track_caller]
    pub fn calls_after(&self, count: usize) -> Vec<Call> {
        self.calls().split_off(count)
    }

    /// Waits until calls fit; all of them.
    pub async fn wait_for(&self, fits: impl Fn(&[Call]) -> bool) -> Vec<Call> {
        let mut counted = self.count.clone();
        let waited = tokio::time::timeout(PATIENCE, counted.wait_for(|_| fits(&lock(&self.telegram.calls)))).await;
        let calls = self.calls();
        assert!(waited.is_ok(), "these alone came: {calls:#?}");
        calls
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(Shared(telegram): Shared<Arc<Telegram>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let path = head.uri.path();
    if let Some(file) = path.strip_prefix(&format!("/file/bot{TOKEN}/documents/")) {
        return lock(&telegram.state).files.get(file).cloned().map_or_else(not_found, IntoResponse::into_response);
    }
    let Some(method) = path.strip_prefix(&format!("/bot{TOKEN}/")) else { return not_found() };
    let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    telegram.take(method, kind, &body)
}

fn not_found() -> Response {
    written(404, &json!({"ok": false, "error_code": 404, "description": "Not Found"}))
}

fn written(status: u16, answer: &Value) -> Response {
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() = status.try_into().expect("a status");
    response
}

impl Telegram {
    fn take(&self, method: &str, kind: &str, body: &Bytes) -> Response {
        let (parameters, files) = match kind.split_once("boundary=") {
            Some((_, boundary)) => form(body, boundary),
            None => (serde_json::from_slice(body).unwrap_or_default(), Vec::new()),
        };
        let fields: Vec<&str> = files.iter().map(|(field, ..)| field.as_str()).collect();
        lock(&self.wrong).extend(wrong_with(method, &parameters, &fields));
        let fault = lock(&self.faults).get_mut(method).and_then(VecDeque::pop_front);
        let is_done = matches!(fault, None | Some(Fault::Lost));
        let done = is_done.then(|| lock(&self.state).act(method, &parameters));
        let mut call = Call { method: method.to_owned(), parameters, files, error: None };
        let response = match (fault, done) {
            (Some(fault), done) => {
                let said = done.and_then(Result::err).map(|(_, said)| said.to_owned());
                call.error = said.or_else(|| Some(format!("{fault:?}")));
                match fault.answer() {
                    Some((status, answer)) => written(status, &answer),
                    None if fault == Fault::Broken => (axum::http::StatusCode::BAD_GATEWAY, "<html>").into_response(),
                    None => lost(),
                }
            }
            (None, Some(Err((status, said)))) => {
                call.error = Some(said.to_owned());
                written(status, &json!({"ok": false, "error_code": status, "description": said}))
            }
            (None, done) => written(200, &json!({"ok": true, "result": done.and_then(Result::ok)})),
        };
        // Asking for updates is no call that anybody wants to see.
        if method != "getUpdates" {
            let count = {
                let mut calls = lock(&self.calls);
                calls.push(call);
                calls.len()
            };
            // Whoever waits looks at the calls while the count is theirs.
            self.told.send_replace(count);
        }
        response
    }
}

/// An answer that breaks off.
fn lost() -> Response {
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("the connection breaks"))]);
    Response::new(Body::from_stream(broken))
}

/// The fields and files of a form.
#[expect(clippy::type_complexity, reason = "a field's name, a file's name, its content")]
fn form(body: &Bytes, boundary: &str) -> (Map<String, Value>, Vec<(String, String, Vec<u8>)>) {
    let (mut fields, mut files) = (Map::new(), Vec::new());
    for part in split(body, format!("--{boundary}").as_bytes()) {
        let Some(at) = part.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&part[..at]).into_owned();
        let content = part[at + 4..].strip_suffix(b"\r\n").unwrap_or(&part[at + 4..]);
        let named = |what: &str| {
            let (_, rest) = head.split_once(&format!("{what}=\""))?;
            rest.split_once('"').map(|(name, _)| name.to_owned())
        };
        let Some(name) = named("; name") else { continue };
        if let Some(file) = named("filename") {
            files.push((name, file, content.to_vec()));
            continue;
        }
        let text = String::from_utf8_lossy(content).into_owned();
        // What isn't text goes as JSON.
        let value = serde_json::from_str(&text).ok().filter(|value: &Value| !value.is_string() && name != "caption");
        fields.insert(name, value.unwrap_or(Value::String(text)));
    }
    (fields, files)
}

fn split<'body>(body: &'body [u8], by: &[u8]) -> Vec<&'body [u8]> {
    let (mut parts, mut rest) = (Vec::new(), body);
    while let Some(at) = rest.windows(by.len()).position(|window| window == by) {
        parts.push(&rest[..at]);
        rest = &rest[at + by.len()..];
    }
    parts.push(rest);
    parts
}
