//! A world with a front door: routers over fakes, keys of two tenants, a queue that is worked on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::{Extension, Router};
use convoke_api::openapi::{Route, routes};
use convoke_app::chat::Redeemed;
use convoke_app::model::{ChatModel, ModelNameError, Models};
use convoke_app::platform::{Limits, Platform, Ports};
use convoke_app::ports::{BlobKey, Blobs, Env, PresignedUrl, Requester, WhoMay};
use convoke_app::read::Sleeper;
use convoke_app::work::Until;
use convoke_domain::chat::{PersonId, RealmId};
use convoke_domain::ids::{JobKey, TenantId};
use convoke_runtime::http::StreamingHost;
use convoke_tests::engine::meter::Meter;
use convoke_tests::fakes::{self, FakeBlobs, FakeEnv, FakeOutbound, FakeQueue, FakeTable, Faults, Lane};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// When the world begins: 2026-11-21.
pub const NOW_MS: u64 = 1_795_219_200_000;

/// Two models by name; no other.
struct TwoModels(Arc<Meter>);

impl Models for TwoModels {
    fn model(&self, name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        match name {
            "test/meter" => Ok(Arc::clone(&self.0) as _),
            "test/locked" => Err(ModelNameError::NotConfigured { name: name.into(), setting: "TEST_API_KEY".into() }),
            _ => Err(ModelNameError::Unknown { name: name.into(), hint: "test/meter".into() }),
        }
    }

    fn default_model(&self) -> &'static str {
        "test/meter"
    }
}

/// Needs no time: notes how long it was asked to wait, winds the clock, and lets others have their turn.
pub struct Winder {
    env: FakeEnv,
    waited_ns: AtomicU64,
}

impl Winder {
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited_ns.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Sleeper for Winder {
    async fn sleep(&self, pause: Duration) {
        self.waited_ns.fetch_add(u64::try_from(pause.as_nanos()).expect("short"), Ordering::SeqCst);
        self.env.wind(u64::try_from(pause.as_millis()).expect("short"));
        tokio::task::yield_now().await;
    }
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body of text")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// The problem, after a look at what all problems have in common.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status.as_u16(), problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:convoke:problem:{code}"));
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        for member in ["title", "detail", "request_id"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {problem}");
        }
        problem
    }

    /// The paths of what is wrong.
    pub fn wrong(&self, code: &str) -> Vec<String> {
        let problem = self.problem(422, code);
        let errors = problem["errors"].as_array().expect("errors");
        errors.iter().map(|error| error["path"].as_str().expect("a path").to_owned()).collect()
    }
}

pub struct Api {
    pub env: FakeEnv,
    pub table: FakeTable,
    pub queue: FakeQueue,
    pub blobs: FakeBlobs,
    pub outbound: FakeOutbound,
    pub platform: Platform,
    pub sleeper: Arc<Winder>,
    /// A key of `acme`.
    pub key: String,
    /// A key of `globex`.
    pub other_key: String,
}

impl Api {
    pub async fn new() -> Self {
        Self::with(Faults::default()).await
    }

    pub async fn with(faults: Faults) -> Self {
        let env = FakeEnv::new(NOW_MS, 7);
        let table = FakeTable::new(faults.clone());
        let queue = FakeQueue::new(env.clone(), faults.clone());
        let blobs = FakeBlobs::new(env.clone(), faults);
        let outbound = FakeOutbound::default();
        let (blobs_of, outbound_of) = (Arc::new(blobs.clone()), Arc::new(outbound.clone()));
        let models = TwoModels(Arc::default());
        let ports = Ports { blobs: blobs_of, outbound: outbound_of, ..fakes::ports(&table, &queue, models, &env) };
        let platform = Platform::new(ports, Limits::default(), convoke_tools::compiler());
        let sleeper = Arc::new(Winder { env: env.clone(), waited_ns: AtomicU64::new(0) });
        let (key, other_key) = (new_key(&platform, "acme").await, new_key(&platform, "globex").await);
        Self { env, table, queue, blobs, outbound, platform, sleeper, key, other_key }
    }

    fn function(&self, name: &str) -> Router {
        let platform = self.platform.clone();
        match name {
            "submit" => convoke_submit::router(platform),
            "artifacts" => convoke_artifacts::router(platform),
            "control" => convoke_control::router(platform),
            "status" => convoke_status::router_with(platform, Arc::clone(&self.sleeper) as _),
            other => panic!("no function {other}"),
        }
    }

    /// Sends a request to the function that the document names for it, as a gateway does; the rest goes to `status`.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let routes = routes();
        let route = routes.iter().find(|route| matches(route, request.method().as_str(), request.uri().path()));
        self.send_to(route.map_or("status", |route| route.function), request).await
    }

    pub async fn send_to(&self, function: &str, request: Request<Body>) -> Answer {
        let response = self.function(function).oneshot(request).await.expect("routers don't fail");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A host that streams.
    pub async fn stream(&self, request: Request<Body>) -> Answer {
        let router = self.function("status").layer(Extension(StreamingHost));
        let response = router.oneshot(request).await.expect("routers don't fail");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path, &[], None)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path, &[], Some(body))).await
    }

    /// A request of `acme`.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Request<Body> {
        let bearer = format!("Bearer {}", self.key);
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", bearer);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match body {
            None => request.body(Body::empty()),
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        }
        .expect("a request")
    }

    /// Submits a job of one step.
    pub async fn submit_one(&self) -> JobKey {
        self.submitted(&one_step("rivers")).await
    }

    /// Links a chat to `acme`.
    pub async fn link(&self, realm: RealmId) {
        let code = self.platform.new_link_code(&tenant("acme"), WhoMay::Everybody).await.expect("a code");
        let by = Requester { person: PersonId::Telegram(1), name: "Ada".into() };
        let redeemed = self.platform.redeem_link_code(&code, realm, "Office", by).await.expect("read");
        assert!(matches!(redeemed, Redeemed::Linked(_)), "{redeemed:?}");
    }

    /// Submits what is right.
    pub async fn submitted(&self, body: &Value) -> JobKey {
        let answer = self.post("/v1/jobs", body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        self.platform.job_key(&tenant("acme"), &id).expect("a job")
    }

    /// Works the queue, and ticks, until nothing is left of it.
    pub async fn work(&self) {
        for _ in 0..1_000 {
            let deliveries = self.queue.receive(Lane::Steps, 10, 60_000);
            if deliveries.is_empty() {
                let is_over = self.queue.is_empty();
                self.env.wind(61_000);
                self.platform.tick(self.env.now_ms()).await.expect("a tick");
                if is_over && self.queue.is_empty() {
                    return;
                }
            }
            for delivery in deliveries {
                let until = Until { deadline_ms: self.env.now_ms() + 900_000 };
                self.platform.answer(&delivery.bell, until).await.expect("answered");
                self.queue.delete(delivery.id);
            }
        }
        panic!("the queue never empties");
    }

    /// What the bucket has under a key, by way of a URL.
    pub fn open(&self, url: &str) -> Option<String> {
        let url = PresignedUrl { url: url.to_owned(), expires_at_ms: u64::MAX };
        let (bytes, _) = self.blobs.open(&url)?;
        String::from_utf8(bytes.to_vec()).ok()
    }

    /// Puts an upload as its URL allows.
    pub async fn upload(&self, id: &str, content: &str) {
        let key = BlobKey::of_upload(&tenant("acme"), id);
        self.blobs.put(&key, content.to_owned().into(), "text/plain").await.expect("put");
    }
}

pub fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant")
}

async fn new_key(platform: &Platform, name: &str) -> String {
    let made = platform.create_key(&tenant(name), "test").await.expect("a key");
    made.key.expose().to_owned()
}

/// Whether a request belongs to a route, as an API Gateway decides it.
pub fn matches(route: &Route, method: &str, path: &str) -> bool {
    let (wanted, given): (Vec<&str>, Vec<&str>) = (route.path.split('/').collect(), path.split('/').collect());
    let is_greedy = wanted.last() == Some(&"{path}");
    let fits = if is_greedy { given.len() >= wanted.len() } else { given.len() == wanted.len() };
    let same = |(wanted, given): (&&str, &&str)| wanted == given || (wanted.starts_with('{') && !given.is_empty());
    route.method == method && fits && wanted.iter().zip(&given).all(same)
}

/// A submission of a flow of one step that writes a file.
pub fn one_step(topic: &str) -> Value {
    json!({
        "flow": {
            "name": "one",
            "input": {
                "type": "object",
                "properties": {"topic": {"type": "string"}, "prompt": {"type": "string"}, "files": {"type": "array"}},
                "required": ["topic"]
            },
            "nodes": [{
                "kind": "agent", "id": "write", "agent": {"role": "Writer", "goal": "Write", "backstory": "-"},
                "task": {
                    "description": "Write about {{ input.topic }}", "expected_output": "A text",
                    "output_file": "out/text.md"
                }
            }]
        },
        "input": {"topic": topic}
    })
}
