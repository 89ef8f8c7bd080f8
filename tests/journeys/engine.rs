//! The engine over the real adapters on the embedded stack: every shape, through the step function's own events.

use std::sync::Arc;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use convoke::resources;
use convoke::stack::{Clients, Stack, StackOptions};
use convoke_app::platform::{Limits, Platform};
use convoke_app::ports::{Bell, Env, Ring};
use convoke_app::script::Script;
use convoke_app::work::Until;
use convoke_domain::decide::{View, ready_slots};
use convoke_domain::ids::{GroupId, JobKey};
use convoke_domain::money::{Cost, MicroUsd};
use convoke_domain::status::{JobStatus, StopReason};
use convoke_runtime::config::Stores;
use convoke_tests::engine::meter::{Meter, OneModel};
use convoke_tests::engine::shapes::{Shape, Simple};
use convoke_tests::engine::submission;
use serde_json::Value;

struct Rig {
    clients: Clients,
    stores: Stores,
    platform: Platform,
    model: Arc<Meter>,
}

impl Rig {
    async fn new(stack: &Stack, shape: Shape) -> Self {
        let clients = stack.clients();
        let stores = resources::ensure(&clients).await.expect("resources");
        let model = Arc::new(Meter::default());
        let compile = Arc::new(move |_: &Value, _: &Value, _| Ok(Box::new(Simple::new(shape)) as _));
        let ours = convoke_runtime::Clients {
            dynamodb: clients.dynamodb.clone(),
            sqs: clients.sqs.clone(),
            s3: clients.s3.clone(),
        };
        let models = Arc::new(OneModel(model.clone()));
        let platform = convoke_runtime::platform(ours, &stores, models, (Limits::default(), compile));
        Self { clients, stores, platform, model }
    }

    async fn submit(&self, shape: Shape) -> JobKey {
        let env: &dyn Env = &*self.platform.ports.env;
        let budget = Cost { usd: MicroUsd::from_usd(10), tokens: 10_000_000 };
        let submission = submission(shape, budget, env);
        self.platform.ports.jobs.submit(&submission).await.expect("submitted");
        let simple = Simple::new(shape);
        let view = View { graph: simple.graph(), group: &submission.root, now_ms: env.now_ms() };
        let ring = |slot| {
            let bell = Bell { v: 1, key: submission.key.clone(), group: GroupId::Root, slot: Some(slot) };
            Ring { bell, delay_s: 0, solo: false }
        };
        let rings: Vec<Ring> = ready_slots(&view).into_iter().map(ring).collect();
        self.platform.ports.bells.ring(&rings).await.expect("rung");
        submission.key
    }

    async fn status(&self, key: &JobKey) -> JobStatus {
        let (_, root) = self.platform.ports.jobs.job(key).await.expect("read").expect("a job");
        root.root().expect("a root").status
    }

    /// Delivers batches until the job is over.
    async fn run(&self, key: &JobKey) {
        for _ in 0..60 {
            if self.status(key).await.is_terminal() {
                return;
            }
            let received = self
                .clients
                .sqs
                .receive_message()
                .queue_url(&self.stores.queue_url)
                .max_number_of_messages(10)
                .wait_time_seconds(1)
                .send()
                .await
                .expect("received");
            let mut event = SqsEvent::default();
            for message in received.messages() {
                let mut record = SqsMessage::default();
                record.message_id = message.message_id().map(str::to_owned);
                record.body = message.body().map(str::to_owned);
                record.receipt_handle = message.receipt_handle().map(str::to_owned);
                event.records.push(record);
            }
            let until = Until { deadline_ms: self.platform.ports.env.now_ms() + 900_000 };
            let response = convoke_step::handle(&self.platform, event, until).await;
            assert!(response.batch_item_failures.is_empty(), "{response:?}");
            for message in received.messages() {
                let handle = message.receipt_handle().unwrap_or_default();
                let delete = self.clients.sqs.delete_message().queue_url(&self.stores.queue_url);
                delete.receipt_handle(handle).send().await.expect("deleted");
            }
        }
        panic!("the job doesn't end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shape_completes_on_the_embedded_stack() {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = Stack::start(StackOptions::new(folder.path())).await.expect("a stack");
    let shapes = [
        Shape::One,
        Shape::Chain(5),
        Shape::Diamond,
        Shape::Fan { items: 30, concurrency: 9 },
        Shape::Ordered { items: 9 },
        Shape::Loop { rounds: 3 },
        Shape::Branch,
    ];
    for shape in shapes {
        let rig = Rig::new(&stack, shape).await;
        let key = rig.submit(shape).await;
        rig.run(&key).await;
        let (_, root) = rig.platform.ports.jobs.job(&key).await.expect("read").expect("a job");
        assert_eq!(root.ending.as_ref().map(|e| e.reason), Some(StopReason::Completed), "{shape:?}: {root:?}");
        assert_eq!(rig.model.calls(), shape.model_steps(), "{shape:?}");
        assert_eq!(root.held(), Cost::ZERO, "{shape:?}");
        assert_eq!(root.spent.usd, rig.model.metered(), "{shape:?}");
    }
    stack.shutdown().await;
}
