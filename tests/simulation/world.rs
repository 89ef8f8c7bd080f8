//! A world: the platform over fakes, a model that meters, and a host that delivers messages and ticks.

use std::collections::BTreeMap;
use std::sync::Arc;

use convoke_app::platform::{Limits, Platform, Ports};
use convoke_app::ports::{Bell, Bells, Env, Jobs, Manifest, Payload, Ring};
use convoke_app::script::Script;
use convoke_app::work::Until;
use convoke_domain::decide::{View, is_committed, ready_slots};
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey, StepId};
use convoke_domain::money::Cost;
use convoke_tests::engine::meter::{Meter, OneModel};
use convoke_tests::engine::shapes::{Shape, Simple};
use convoke_tests::engine::submission;
use convoke_tests::fakes::{FakeBlobs, FakeEnv, FakeQueue, FakeTable, Faults, Lane, Rates};
use serde_json::Value;

const VISIBILITY_MS: u64 = 60_000;

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
        let model = Arc::new(Meter::default());
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
        let submission = submission(self.shape, budget, &self.env);
        let (key, root) = (submission.key.clone(), submission.root.clone());
        let shape = Simple::new(self.shape);
        let graph = shape.graph();
        while self.table.submit(&submission).await.is_err() {}
        let view = View { graph, group: &root, now_ms: self.env.now_ms() };
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
        let graph = simple.graph();
        for file in manifest.files.iter().filter(|file| file.step != "(finish)") {
            let record = results.iter().find(|record| record.step.to_string() == file.step).expect("its step");
            assert!(is_committed(graph, &groups, &record.step), "{} isn't committed", file.step);
            assert!(self.blobs.keys().iter().any(|key| key == file.key.as_str()), "{} is missing", file.path);
        }
    }
}
