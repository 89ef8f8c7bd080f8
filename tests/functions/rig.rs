//! A platform over an embedded table, fake queues and objects, and a model that may panic; events as Lambda sends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use convoke_api::webhook::WebhookView;
use convoke_app::model::{
    ChatModel, DeltaSink, ModelAnswer, ModelError, ModelNameError, ModelProfile, ModelRequest, Models,
};
use convoke_app::platform::{Limits, Platform, Ports};
use convoke_app::ports::{Bell, Bells, Env, EventKind, Events, Ring, Target, Wanted};
use convoke_app::script::Script;
use convoke_domain::decide::{View, ready_slots};
use convoke_domain::delivery::Delivery;
use convoke_domain::group::Group;
use convoke_domain::ids::{GroupId, JobKey, TargetId};
use convoke_domain::money::{Cost, MicroUsd};
use convoke_tests::embedded::EmbeddedTable;
use convoke_tests::engine::meter::Meter;
use convoke_tests::engine::shapes::{Shape, Simple};
use convoke_tests::engine::submission;
use convoke_tests::fakes::{FakeEnv, FakeOutbound, FakeQueue, Fault, Faults, Lane, ports};
use lambda_runtime::{Context, LambdaEvent, Service};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const VISIBILITY_MS: u64 = 60_000;
const FUNCTION_MS: u64 = 900_000;

/// A model that panics so many times, and then answers.
#[derive(Default)]
pub struct Touchy {
    meter: Meter,
    panics: AtomicU32,
}

#[async_trait]
impl ChatModel for Touchy {
    fn profile(&self) -> &ModelProfile {
        self.meter.profile()
    }

    async fn complete(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let left = self.panics.try_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "the model is touchy");
        self.meter.complete(request, deltas).await
    }
}

pub struct One<M>(pub Arc<M>);

impl<M: ChatModel + 'static> Models for One<M> {
    fn model(&self, _name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        Ok(Arc::clone(&self.0) as _)
    }

    fn default_model(&self) -> &'static str {
        "test/meter"
    }
}

pub struct Rig {
    pub embedded: EmbeddedTable,
    pub env: FakeEnv,
    pub queue: FakeQueue,
    pub outbound: FakeOutbound,
    pub platform: Platform,
    shape: Shape,
    model: Arc<Touchy>,
}

impl Rig {
    pub async fn new(shape: Shape) -> Self {
        Self::with_queue_faults(shape, Faults::default()).await
    }

    /// Its queue's calls of that name are throttled.
    pub async fn without(shape: Shape, call: &'static str) -> Self {
        let faults = Faults::by(move |what| if what == call { Fault::Throttled } else { Fault::None });
        Self::with_queue_faults(shape, faults).await
    }

    async fn with_queue_faults(shape: Shape, faults: Faults) -> Self {
        let embedded = EmbeddedTable::start().await;
        let env = FakeEnv::new(1_700_000_000_000, 5);
        let queue = FakeQueue::new(env.clone(), faults);
        let outbound = FakeOutbound::default();
        let model = Arc::new(Touchy::default());
        let models = One(Arc::clone(&model));
        let ports = Ports { outbound: Arc::new(outbound.clone()), ..ports(&embedded.table, &queue, models, &env) };
        let compile = Arc::new(move |_: &Value, _: &Value, _| Ok(Box::new(Simple::new(shape)) as _));
        let platform = Platform::new(ports, Limits::default(), compile);
        Self { embedded, env, queue, outbound, platform, shape, model }
    }

    /// The next calls of the model panic.
    pub fn panic_times(&self, times: u32) {
        self.model.panics.store(times, Ordering::SeqCst);
    }

    /// Submits a job; nothing is rung.
    pub async fn submit(&self) -> JobKey {
        self.submit_telling(&[]).await
    }

    async fn submit_telling(&self, webhooks: &[WebhookView]) -> JobKey {
        let budget = Cost { usd: MicroUsd::from_usd(10), tokens: 10_000_000 };
        let mut submission = submission(self.shape, budget, &self.env);
        for webhook in webhooks {
            let id = TargetId::Webhook(webhook.id.clone());
            submission.deliveries.push(Delivery::new(id.clone(), self.env.now_ms()));
            let events = Wanted(webhook.events.iter().cloned().collect());
            submission.definition.targets.push(Target { id, events });
        }
        self.platform.ports.jobs.submit(&submission).await.expect("submitted");
        submission.key
    }

    /// Submits a job and rings its first slots.
    pub async fn start(&self) -> JobKey {
        self.start_telling(&[]).await
    }

    /// The same; these webhooks are told.
    pub async fn start_telling(&self, webhooks: &[WebhookView]) -> JobKey {
        let key = self.submit_telling(webhooks).await;
        let (_, root) = self.platform.ports.jobs.job(&key).await.expect("read").expect("a job");
        let simple = Simple::new(self.shape);
        let view = View { graph: simple.graph(), group: &root, now_ms: self.env.now_ms() };
        for slot in ready_slots(&view) {
            let bell = Bell { v: 1, key: key.clone(), group: GroupId::Root, slot: Some(slot) };
            self.queue.ring(&[Ring { bell, delay_s: 0, solo: false }]).await.expect("rung");
        }
        key
    }

    pub async fn root(&self, key: &JobKey) -> Group {
        self.platform.ports.jobs.job(key).await.expect("read").expect("a job").1
    }

    /// Sends messages to `step`, with so much time.
    pub async fn step(&self, bodies: &[(String, String)], time_ms: u64) -> SqsBatchResponse {
        let record = |(id, body): &(String, String)| {
            json!({
                "messageId": id, "receiptHandle": format!("r-{id}"), "body": body,
                "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "md5OfBody": "",
                "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:1:steps", "awsRegion": "us-east-1"
            })
        };
        let records: Vec<Value> = bodies.iter().map(record).collect();
        let event: SqsEvent = of_json(json!({ "Records": records }));
        let deadline_ms = self.env.now_ms() + time_ms;
        let service = convoke_step::service(self.platform.clone());
        call(service, event, deadline_ms).await.expect("a batch never fails as a whole")
    }

    /// Delivers what is visible, once; what isn't reported is deleted.
    pub async fn deliver(&self) -> SqsBatchResponse {
        let delivered = self.queue.receive(Lane::Steps, 10, VISIBILITY_MS);
        let body = |bell: &Bell| serde_json::to_string(bell).expect("JSON");
        let bodies: Vec<_> = delivered.iter().map(|message| (message.id.to_string(), body(&message.bell))).collect();
        let response = self.step(&bodies, FUNCTION_MS).await;
        let failed = |id: u64| response.batch_item_failures.iter().any(|item| item.item_identifier == id.to_string());
        delivered.iter().filter(|message| !failed(message.id)).for_each(|message| self.queue.delete(message.id));
        response
    }

    /// Delivers until a job is over.
    pub async fn finish(&self, key: &JobKey) {
        for _ in 0..200 {
            if self.root(key).await.root().is_some_and(|root| root.status.is_terminal()) {
                return;
            }
            self.deliver().await;
            self.env.wind(1_000);
        }
        panic!("the job doesn't end: {:?}", self.root(key).await);
    }

    /// The job's events so far: their numbers and kinds.
    pub async fn events(&self, key: &JobKey) -> Vec<(u64, EventKind)> {
        let page = self.embedded.table.events(key, 0, 1_000).await.expect("read");
        page.events.into_iter().map(|event| (event.seq, event.kind)).collect()
    }
}

pub fn of_json<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("an event")
}

/// Invokes a function, as `lambda_runtime` does.
pub async fn call<S, Q>(mut service: S, event: Q, deadline_ms: u64) -> Result<S::Response, S::Error>
where
    S: Service<LambdaEvent<Q>>,
    S::Error: std::fmt::Debug,
{
    let mut context = Context::default();
    context.request_id = "request-1".into();
    context.deadline = deadline_ms;
    std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
    service.call(LambdaEvent::new(event, context)).await
}
