//! A world: the platform over fakes, a model that meters, and a host that delivers messages and ticks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use convoke_app::model::{
    ChatModel, DeltaSink, Finish, Message, ModelAnswer, ModelError, ModelNameError, ModelProfile, ModelRequest, Models,
    Usage,
};
use convoke_app::platform::{Limits, Platform, Ports};
use convoke_app::ports::{Bell, Bells, Definition, Env, JobHead, Jobs, Manifest, Payload, Ring, Submission};
use convoke_app::work::Until;
use convoke_domain::bits::Bits;
use convoke_domain::decide::{View, is_committed, ready_slots};
use convoke_domain::group::{Balance, Group, Root, Scope};
use convoke_domain::ids::{GroupId, JobKey, StepId};
use convoke_domain::money::{Cost, MicroUsd, Price};
use convoke_domain::status::JobStatus;
use convoke_tests::fakes::{FakeBlobs, FakeEnv, FakeQueue, FakeTable, Faults, Lane, Rates};
use serde_json::{Value, json};

use super::script::{Shape, Simple};

/// What a call costs at least: the tests' budgets are multiples of it.
pub const CALL_USD: u64 = 30;
const VISIBILITY_MS: u64 = 60_000;

/// A model that answers at once and keeps its own ledger.
pub struct Meter {
    profile: ModelProfile,
    calls: Mutex<Vec<(String, u64)>>,
}

impl Meter {
    fn new() -> Self {
        let price = Price { input_per_mtok: MicroUsd(100_000), output_per_mtok: MicroUsd(1_000_000) };
        let profile = ModelProfile {
            name: "test/meter".into(),
            context_tokens: 100_000,
            output_tokens_max: 10,
            capable: true,
            price: Some(price),
        };
        Self { profile, calls: Mutex::default() }
    }

    fn ledger(&self) -> Vec<(String, u64)> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn calls(&self) -> u64 {
        self.ledger().len() as u64
    }

    pub fn metered(&self) -> MicroUsd {
        MicroUsd(self.ledger().iter().map(|(_, usd)| usd).sum())
    }
}

#[async_trait]
impl ChatModel for Meter {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    async fn complete(&self, request: &ModelRequest, _: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let Some(Message::User { text }) = request.messages.last() else {
            return Err(ModelError::Refused { detail: "no question".into() });
        };
        let usage = Usage { input_tokens: text.len() as u64 / 4, output_tokens: 10, reported_usd: None };
        let usd = self.profile.cost_of(&usage).usd.0;
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push((text.clone(), usd));
        let asked: Value = serde_json::from_str(text).unwrap_or_default();
        let text = format!("{}-{}-{}", asked["task"].as_str().unwrap_or(""), asked["item"], asked["round"]);
        Ok(ModelAnswer { text, tool_calls: Vec::new(), finish: Finish::Stop, usage })
    }
}

struct OneModel(Arc<Meter>);

impl Models for OneModel {
    fn model(&self, _name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        Ok(Arc::clone(&self.0) as Arc<dyn ChatModel>)
    }

    fn default_model(&self) -> &'static str {
        "test/meter"
    }
}

pub struct World {
    shape: Shape,
    env: FakeEnv,
    table: FakeTable,
    queue: FakeQueue,
    blobs: FakeBlobs,
    platform: Platform,
    pub model: Arc<Meter>,
}

impl World {
    pub fn new(shape: Shape, seed: u64, rates: Rates) -> Self {
        let env = FakeEnv::new(1_700_000_000_000, seed);
        let faults = Faults::seeded(seed, rates);
        let table = FakeTable::new(faults.clone());
        let queue = FakeQueue::new(env.clone(), faults.clone());
        let blobs = FakeBlobs::new(env.clone(), faults);
        let model = Arc::new(Meter::new());
        let ports = Ports {
            groups: Arc::new(table.clone()),
            steps: Arc::new(table.clone()),
            jobs: Arc::new(table.clone()),
            sweeps: Arc::new(table.clone()),
            keys: Arc::new(table.clone()),
            events: Arc::new(table.clone()),
            bells: Arc::new(queue.clone()),
            blobs: Arc::new(blobs.clone()),
            models: Arc::new(OneModel(Arc::clone(&model))),
            env: Arc::new(env.clone()),
        };
        let compile = Arc::new(move |_: &Value, _: &Value, _| Ok(Box::new(Simple::new(shape)) as _));
        Self { shape, env, table, queue, blobs, platform: Platform::new(ports, Limits::default(), compile), model }
    }

    /// Submits a job and rings its first slots, whatever faults say.
    pub async fn submit(&self, budget: Cost) -> JobKey {
        let key = JobKey { tenant: "acme".parse().expect("valid"), job: self.env.ulid().parse().expect("valid") };
        let graph = Simple::new(self.shape);
        let graph = convoke_app::script::Script::graph(&graph).clone();
        let root = root(graph.nodes.len(), budget, self.env.now_ms());
        let submission = Submission {
            key: key.clone(),
            head: JobHead { flow: "f".into(), title: "t".into(), model: "test/meter".into(), budget, parent: None },
            definition: Definition {
                v: 1,
                flow: Payload::Inline(json!({})),
                input: Payload::Inline(json!({})),
                model: "test/meter".into(),
                capable: true,
                labels: BTreeMap::new(),
                notify: Vec::new(),
                parent: None,
            },
            root: root.clone(),
            idempotency: None,
        };
        while self.table.submit(&submission).await.is_err() {}
        let view = View { graph: &graph, group: &root, now_ms: self.env.now_ms() };
        for slot in ready_slots(&view) {
            let bell = Bell { v: 1, key: key.clone(), group: GroupId::Root, slot: Some(slot) };
            // A bell that can't be rung is the sweep's business.
            drop(self.queue.ring(&[Ring { bell, delay_s: 0, solo: false }]).await);
        }
        key
    }

    /// Delivers and ticks until the job is over.
    pub async fn run(&self, key: &JobKey) {
        for _ in 0..5_000 {
            if self.root(key).root().expect("a root").status.is_terminal() {
                self.drain().await;
                return;
            }
            if !self.deliver().await {
                self.env.wind(20_000);
                // A tick that fails is followed by another.
                drop(self.platform.tick(self.env.now_ms()).await);
            }
        }
        panic!("{:?} doesn't end: {:?}", self.shape, self.table.groups_of(key));
    }

    async fn drain(&self) {
        for _ in 0..200 {
            if self.queue_is_empty() {
                return;
            }
            if !self.deliver().await {
                self.env.wind(VISIBILITY_MS);
            }
        }
    }

    async fn deliver(&self) -> bool {
        let mut any = false;
        for (lane, max) in [(Lane::Solo, 1), (Lane::Steps, 10)] {
            for delivery in self.queue.receive(lane, max, VISIBILITY_MS) {
                any = true;
                let until = Until { deadline_ms: self.env.now_ms() + 900_000 };
                if self.platform.answer(&delivery.bell, until).await.is_ok() {
                    self.queue.delete(delivery.id);
                }
            }
        }
        any
    }

    pub fn queue_is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn root(&self, key: &JobKey) -> Group {
        self.groups(key).remove(&GroupId::Root).expect("the job exists")
    }

    fn groups(&self, key: &JobKey) -> BTreeMap<GroupId, Group> {
        self.table.groups_of(key).into_iter().map(|group| (group.id, group)).collect()
    }

    /// What must hold of an ended job, from the table, the model's ledger and the objects.
    pub fn check(&self, key: &JobKey) {
        let groups = self.groups(key);
        let root = &groups[&GroupId::Root];
        assert_eq!(groups.values().map(Group::held).fold(Cost::ZERO, |a, b| a + b), Cost::ZERO, "holds at the end");
        assert!(root.spent.usd >= self.model.metered(), "the model metered more than was settled");
        let results = self.table.results_of(key);
        let manifest = results.iter().find(|record| record.step == StepId::finish()).expect("a finish");
        let Payload::Inline(manifest) = &manifest.output else { return };
        let manifest: Manifest = serde_json::from_value(manifest.clone()).expect("a manifest");
        let simple = Simple::new(self.shape);
        let graph = convoke_app::script::Script::graph(&simple);
        for file in manifest.files.iter().filter(|file| file.step != "(finish)") {
            let record = results.iter().find(|record| record.step.to_string() == file.step).expect("its step");
            assert!(is_committed(graph, &groups, &record.step), "{} isn't committed", file.step);
            assert!(self.blobs.keys().iter().any(|key| key == file.key.as_str()), "{} is missing", file.path);
        }
    }
}

fn root(nodes: usize, budget: Cost, now_ms: u64) -> Group {
    Group {
        id: GroupId::Root,
        ver: 1,
        last: "new".into(),
        at_ms: now_ms,
        ending: None,
        done: Bits::with_room(nodes),
        no: Bits::with_room(nodes),
        rounds: BTreeMap::new(),
        run: BTreeMap::new(),
        left: Balance::of(budget),
        spent: Cost::ZERO,
        scope: Scope::Root(Root {
            status: JobStatus::Queued,
            groups: BTreeMap::new(),
            created_ms: now_ms,
            deadline_ms: now_ms + 30 * 24 * 3_600_000,
            due_ms: Some(now_ms + 60_000),
            swept_ver: 0,
            pause_ms: 0,
        }),
    }
}
