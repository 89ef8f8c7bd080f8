//! The functions over the embedded stack, invoked one batch after the other: so that what a step takes can be counted.
//!
//! Lambda's pollers are played here: a batch of messages is one receive and one delete, both counted as they are billed; an
//! empty queue isn't polled. Records of the table's stream go to `notify` in batches, whose reading costs nothing on AWS.

use std::sync::Arc;

use aws_lambda_events::dynamodb;
use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use axum::Router;
use axum::body::Body;
use convoke::resources::{self, STEPS};
use convoke::stack::{Clients, Stack, StackOptions};
use convoke_api::review::DecisionRequest;
use convoke_app::platform::{Limits, Platform};
use convoke_app::reviews::Decider;
use convoke_domain::ids::{JobKey, TenantId};
use convoke_domain::review::Decision;
use convoke_domain::status::JobStatus;
use convoke_runtime::config::Stores;
use http::Request;
use http_body_util::BodyExt;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::flows::{REVIEW, Shape};
use super::log::Log;
use super::model::{Instantly, Only};
use crate::counting::{Count, Counts};
use crate::idle::Tick;

/// Records that are read at once.
const PAGE: usize = 1_000;
/// A function's time.
const FUNCTION_MS: u64 = 900_000;

/// How much an event source delivers at once, at most.
#[derive(Clone, Copy, Debug)]
pub struct Batches {
    /// Messages that a batch of bells has.
    pub messages: usize,
    /// Records that a batch of the stream has.
    pub records: usize,
}

/// How often each function was invoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Invocations {
    /// Of `submit`: one per job.
    pub submit: u64,
    /// Of `step`: one per batch.
    pub step: u64,
    /// Of `notify`: one per batch of records that concern it.
    pub notify: u64,
}

/// What went on since somebody asked last.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// Requests and units.
    pub count: Count,
    /// Invocations.
    pub invocations: Invocations,
}

/// An installation with one tenant whose functions are invoked by hand.
pub struct Plant {
    counts: Counts,
    invocations: Invocations,
    platform: Platform,
    submit: Router,
    key: String,
    tenant: TenantId,
    stores: Stores,
    clients: Clients,
    /// How far the stream is read.
    after: Option<String>,
    stack: Stack,
    _folder: TempDir,
}

impl Plant {
    /// An installation whose model answers at once with so many bytes.
    pub async fn start(limits: Limits, answer_bytes: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = Stack::start(StackOptions::new(folder.path())).await.expect("a stack");
        let stores = resources::ensure(&stack.clients()).await.expect("resources");
        let counts = Counts::on();
        let clients = stack.clients_through(|service, client| counts.through(service, client));
        let connected = convoke_runtime::Clients {
            dynamodb: clients.dynamodb.clone(),
            sqs: clients.sqs.clone(),
            s3: clients.s3.clone(),
        };
        let models = Arc::new(Only(Arc::new(Instantly::saying(answer_bytes))));
        let platform = convoke_runtime::platform(connected, &stores, models, (limits, convoke_tools::compiler()));
        let tenant: TenantId = "bench".parse().expect("valid");
        let key = platform.create_key(&tenant, "bench").await.expect("a key").key.expose().to_owned();
        let submit = convoke_submit::router(platform.clone());
        let plant = Self {
            counts,
            invocations: Invocations::default(),
            platform,
            submit,
            key,
            tenant,
            stores,
            clients,
            after: None,
            stack,
            _folder: folder,
        };
        plant.counts.take();
        plant
    }

    /// What went on since this was asked last.
    pub fn take(&mut self) -> Usage {
        Usage { count: self.counts.take(), invocations: std::mem::take(&mut self.invocations) }
    }

    /// Submits jobs, works their bells until all have completed, and tells their events. Reviews are approved once
    /// nothing else is to be done.
    pub async fn run(&mut self, shape: Shape, jobs: usize, batches: Batches) {
        let mut keys = Vec::with_capacity(jobs);
        for _ in 0..jobs {
            keys.push(self.submit(shape).await);
        }
        self.work_all(batches.messages).await;
        if matches!(shape, Shape::Reviewed) {
            for key in &keys {
                self.approve(key).await;
            }
            self.work_all(batches.messages).await;
        }
        self.tell(batches.records).await;
        let before = self.counts.take();
        for key in keys {
            let (_, root) = self.platform.ports.jobs.job(&key).await.expect("read").expect("a job");
            assert_eq!(root.root().map(|root| root.status), Some(JobStatus::Completed), "{:?}", root.ending);
        }
        self.counts.restore(before);
    }

    async fn submit(&mut self, shape: Shape) -> JobKey {
        self.invocations.submit += 1;
        let request = Request::post("/v1/jobs")
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .body(Body::from(shape.submission().to_string()))
            .expect("a request");
        let answer = self.submit.clone().oneshot(request).await.expect("an answer");
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let job = body["id"].as_str().unwrap_or_else(|| panic!("no job: {body}")).parse().expect("an id");
        JobKey { tenant: self.tenant.clone(), job }
    }

    /// One tick of the clock, and what it takes. What is logged is counted where `log` is this process's.
    ///
    /// A query of an index that finds nothing is billed half a unit all the same.
    #[expect(clippy::cast_precision_loss, reason = "dozens of requests")]
    pub async fn tick(&mut self, log: &Log) -> Tick {
        let before = self.counts.take();
        log.take();
        convoke_clock::handle(&self.platform).await.expect("a tick");
        let (log_lines, log_bytes) = log.take();
        let count = self.counts.take();
        self.counts.restore(before);
        let (table, queue) = (count.table as f64, count.queue as f64);
        let read_units = count.read_units.max(table / 2.0);
        Tick { table, read_units, queue, log_lines: log_lines as f64, log_bytes: log_bytes as f64 }
    }

    async fn work_all(&mut self, batch: usize) {
        while self.stack.queues().depth(STEPS).is_some_and(|depth| depth.ready > 0) {
            self.work(batch).await;
        }
    }

    async fn approve(&self, key: &JobKey) {
        let asked = DecisionRequest { decision: Decision::Approve, comment: None };
        let who = Decider { who: "key:bench".into(), name: "bench".into(), person: None, is_admin: false };
        self.platform.decide_review(key, REVIEW, &asked, &who).await.expect("it is open");
    }

    /// One batch, as a queue's event source mapping delivers it.
    async fn work(&mut self, batch: usize) {
        let (sqs, url) = (&self.clients.sqs, &self.stores.queue_url);
        let most = i32::try_from(batch).expect("few");
        let received = sqs.receive_message().queue_url(url).max_number_of_messages(most).send().await.expect("up");
        let messages = received.messages.unwrap_or_default();
        let records: Vec<Value> = messages.iter().map(record).collect();
        let event: SqsEvent = serde_json::from_value(json!({ "Records": records })).expect("an event");
        self.invocations.step += 1;
        let event = LambdaEvent::new(event, self.context());
        let response =
            convoke_step::service(self.platform.clone()).oneshot(event).await.expect("never fails as a whole");
        assert!(response.batch_item_failures.is_empty(), "{response:?}");
        let entries = messages.iter().enumerate().map(|(id, message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(id.to_string());
            entry.set_receipt_handle(message.receipt_handle.clone()).build().expect("both are set")
        });
        let entries: Vec<_> = entries.collect();
        sqs.delete_message_batch().queue_url(url).set_entries(Some(entries)).send().await.expect("up");
    }

    /// All new records of the table's stream.
    async fn tell(&mut self, batch: usize) {
        for records in self.changes().await.chunks(batch) {
            self.invocations.notify += 1;
            let event: dynamodb::Event = serde_json::from_value(json!({ "Records": records })).expect("an event");
            let response = convoke_notify::handle(&self.platform, LambdaEvent::new(event, self.context())).await;
            assert!(response.batch_item_failures.is_empty(), "{response:?}");
        }
    }

    fn context(&self) -> Context {
        let mut context = Context::default();
        context.request_id = String::from("8286a188-ba32-4475-8077-530cd35c09a9");
        context.deadline = self.platform.ports.env.now_ms() + FUNCTION_MS;
        context
    }

    /// Bytes that all items of the table have, about as the service counts them.
    pub async fn stored_bytes(&self) -> usize {
        let clients = self.stack.clients();
        let mut scan = clients.dynamodb.scan().table_name(&self.stores.table).into_paginator().items().send();
        let mut bytes = 0;
        while let Some(item) = scan.next().await {
            bytes += item.expect("up").iter().map(|(name, value)| name.len() + size(value)).sum::<usize>();
        }
        bytes
    }

    /// The new records that pass the mapping's filter: those of the mutable items of jobs.
    async fn changes(&mut self) -> Vec<Value> {
        let mut changes = Vec::new();
        loop {
            let after = self.after.as_deref();
            let page = self.stack.table().stream_page(&self.stores.table, after, PAGE).await.expect("a page");
            let Some(last) = page.records.last() else { return changes };
            self.after = last["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned);
            changes.extend(page.records.into_iter().filter(is_of_group));
        }
    }
}

fn record(message: &Message) -> Value {
    json!({
        "messageId": message.message_id, "receiptHandle": message.receipt_handle, "body": message.body,
        "attributes": {}, "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:1:steps", "awsRegion": "us-east-1"
    })
}

fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| name.len() + size(value) + 1).sum::<usize>(),
        other => panic!("not used: {other:?}"),
    }
}

fn is_of_group(record: &Value) -> bool {
    let sk = record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap_or_default();
    sk == "J" || sk.starts_with("G#")
}
