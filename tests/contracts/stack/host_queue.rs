//! The host's queue source: batches, partial failures, redelivery, dead letters.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use convoke::host::{Function, HandlerError, Host, QueueSource};
use convoke::stack::queue::Depth;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::rig::{Rig, Way};

const DEAD: &str = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":2}"#;

async fn queues() -> (Rig, String) {
    let rig = Rig::start(Way::InProcess).await;
    rig.queue("dead", &[]).await;
    let url = rig.queue("steps", &[("VisibilityTimeout", "30"), ("RedrivePolicy", DEAD)]).await;
    (rig, url)
}

async fn send(rig: &Rig, url: &str, bodies: &[&str]) {
    let entry = |(id, body): (usize, &&str)| {
        SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(*body).build().unwrap()
    };
    let entries = bodies.iter().enumerate().map(entry).collect();
    rig.clients.sqs.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await.unwrap();
}

/// Waits until a queue looks so; the host works by itself.
async fn until(rig: &Rig, queue: &str, depth: Depth) {
    while rig.stack.queues().depth(queue) != Some(depth) {
        tokio::task::yield_now().await;
    }
}

fn bodies(event: &Value) -> Vec<String> {
    event["Records"].as_array().unwrap().iter().map(|record| record["body"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_batch_is_handled_and_deleted() {
    let (rig, url) = queues().await;
    send(&rig, &url, &["one", "two", "three"]).await;
    let (got, mut events) = mpsc::unbounded_channel();
    let step = Function::new("step", move |event: Value, _| {
        got.send(event).unwrap();
        async { Ok::<_, Infallible>(Value::Null) }
    });
    let _host = Host::builder()
        .function(step)
        .queue(QueueSource::new(&url, "step"))
        .start(&rig.stack, &rig.clients)
        .await
        .unwrap();
    let event = events.recv().await.unwrap();
    assert_eq!(bodies(&event), ["one", "two", "three"]);
    let record = &event["Records"][0];
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(record["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:steps");
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    let parsed: aws_lambda_events::sqs::SqsEvent = serde_json::from_value(event).unwrap();
    assert_eq!(parsed.records[2].body.as_deref(), Some("three"));
    until(&rig, "steps", Depth::default()).await;
    // It goes on polling.
    send(&rig, &url, &["four"]).await;
    assert_eq!(bodies(&events.recv().await.unwrap()), ["four"]);
}

#[tokio::test]
async fn what_is_reported_as_failed_comes_again_and_then_is_a_dead_letter() {
    let (rig, url) = queues().await;
    send(&rig, &url, &["good", "bad", "fine"]).await;
    let seen: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    let counts = Arc::clone(&seen);
    let step = Function::new("step", move |event: Value, _| {
        for body in bodies(&event) {
            *counts.lock().unwrap().entry(body).or_default() += 1;
        }
        let bad = event["Records"].as_array().unwrap().iter().filter(|record| record["body"] == "bad");
        let failures: Vec<Value> = bad.map(|record| json!({"itemIdentifier": record["messageId"]})).collect();
        async move { Ok::<_, Infallible>(json!({"batchItemFailures": failures})) }
    });
    let source = QueueSource::new(&url, "step");
    let _host = Host::builder().function(step).queue(source).start(&rig.stack, &rig.clients).await.unwrap();
    let one = Depth { in_flight: 1, ..Depth::default() };
    until(&rig, "steps", one).await;
    for round in 1..=2 {
        while seen.lock().unwrap().get("bad") != Some(&round) {
            tokio::task::yield_now().await;
        }
        until(&rig, "steps", one).await;
        rig.step_s(30);
    }
    until(&rig, "dead", Depth { ready: 1, ..Depth::default() }).await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen, [("bad", 2), ("fine", 1), ("good", 1)].map(|(body, count)| (body.to_owned(), count)).into());
}

#[tokio::test]
async fn a_batch_that_fails_or_names_a_stranger_is_redelivered_whole() {
    let (rig, url) = queues().await;
    send(&rig, &url, &["one", "two"]).await;
    let (got, mut events) = mpsc::unbounded_channel();
    let step = Function::new("step", move |event: Value, _| {
        let first = event["Records"][0]["attributes"]["ApproximateReceiveCount"] == "1";
        got.send(bodies(&event)).unwrap();
        async move {
            assert!(!first, "the first try");
            Ok::<_, HandlerError>(json!({"batchItemFailures": [{"itemIdentifier": "a stranger"}]}))
        }
    });
    let source = QueueSource::new(&url, "step");
    let _host = Host::builder().function(step).queue(source).start(&rig.stack, &rig.clients).await.unwrap();
    for _ in 0..2 {
        assert_eq!(events.recv().await.unwrap(), ["one", "two"]);
        until(&rig, "steps", Depth { in_flight: 2, ..Depth::default() }).await;
        rig.step_s(30);
    }
    until(&rig, "dead", Depth { ready: 2, ..Depth::default() }).await;
}

#[tokio::test]
async fn no_more_batches_run_at_once_than_may() {
    let (rig, url) = queues().await;
    send(&rig, &url, &["1", "2", "3", "4", "5", "6"]).await;
    let (entered, mut entries) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    let leaves = Arc::clone(&leave);
    let step = Function::new("step", move |_, _| {
        let (entered, leaves) = (entered.clone(), Arc::clone(&leaves));
        async move {
            entered.send(()).unwrap();
            leaves.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(Value::Null)
        }
    });
    let source = QueueSource { batch_size: 1, concurrency_max: 2, ..QueueSource::new(&url, "step") };
    let host = Host::builder().function(step).queue(source).start(&rig.stack, &rig.clients).await.unwrap();
    for _ in 0..2 {
        entries.recv().await.unwrap();
    }
    assert_eq!(host.in_flight(), 2);
    assert_eq!(rig.stack.queues().depth("steps").unwrap(), Depth { ready: 4, in_flight: 2, delayed: 0 });
    leave.add_permits(6);
    for _ in 2..6 {
        entries.recv().await.unwrap();
    }
    until(&rig, "steps", Depth::default()).await;
}

#[tokio::test]
async fn a_window_gathers_what_comes_one_by_one() {
    let (rig, url) = queues().await;
    let (got, mut events) = mpsc::unbounded_channel();
    let step = Function::new("step", move |event: Value, _| {
        got.send(bodies(&event)).unwrap();
        async { Ok::<_, Infallible>(Value::Null) }
    });
    let window = Duration::from_mins(1);
    let source = QueueSource { batch_size: 3, batching_window: window, ..QueueSource::new(&url, "step") };
    let _host = Host::builder().function(step).queue(source).start(&rig.stack, &rig.clients).await.unwrap();
    for body in ["one", "two", "three"] {
        send(&rig, &url, &[body]).await;
        while rig.stack.queues().depth("steps").unwrap().ready > 0 {
            tokio::task::yield_now().await;
        }
    }
    // The clock stands still, so it was the third that ended the window.
    assert_eq!(events.recv().await.unwrap(), ["one", "two", "three"]);
}
