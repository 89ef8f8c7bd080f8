//! The host's stream source: in order, at least once, never blocked by a bad record, resumed where it was.

use std::convert::Infallible;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use convoke::host::{Function, HandlerError, Host, StreamSource};
use convoke::stack::{Stack, StackOptions};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::rig::{Rig, TABLE, Way, create_table};

async fn put(client: &aws_sdk_dynamodb::Client, sk: &str, left: i64) {
    let put = client.put_item().table_name(TABLE).item("pk", AttributeValue::S("job".to_owned()));
    let put = put.item("sk", AttributeValue::S(sk.to_owned())).item("left", AttributeValue::N(left.to_string()));
    put.send().await.unwrap();
}

fn source() -> StreamSource {
    let quick = Duration::from_millis(1);
    StreamSource { retry_pause: quick, batching_window: quick, tries_max: 3, ..StreamSource::new(TABLE, "notify") }
}

fn keys(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().unwrap().iter();
    records.map(|record| record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap().to_owned()).collect()
}

/// Receives until so many records have come.
async fn receive(events: &mut mpsc::UnboundedReceiver<Value>, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(keys(&events.recv().await.unwrap()));
    }
    seen
}

#[tokio::test]
async fn writes_come_with_both_images_in_order() {
    let rig = Rig::start(Way::InProcess).await.with_table().await;
    let (got, mut events) = mpsc::unbounded_channel();
    let notify = Function::new("notify", move |event: Value, _| {
        got.send(event).unwrap();
        async { Ok::<_, Infallible>(Value::Null) }
    });
    let _host = Host::builder().function(notify).stream(source()).start(&rig.stack, &rig.clients).await.unwrap();
    put(&rig.clients.dynamodb, "J", 3).await;
    let first = events.recv().await.unwrap();
    assert_eq!(first["Records"][0]["eventName"], "INSERT");
    put(&rig.clients.dynamodb, "J", 2).await;
    let second = events.recv().await.unwrap();
    let record = &second["Records"][0];
    assert_eq!((&record["eventName"], &record["eventSource"]), (&json!("MODIFY"), &json!("aws:dynamodb")));
    assert!(record["eventSourceARN"].as_str().unwrap().contains(":table/things/stream/"), "{record}");
    assert_eq!(record["dynamodb"]["OldImage"]["left"], json!({"N": "3"}));
    assert_eq!(record["dynamodb"]["NewImage"]["left"], json!({"N": "2"}));
    assert_eq!(record["dynamodb"]["StreamViewType"], "NEW_AND_OLD_IMAGES");
    let parsed: aws_lambda_events::dynamodb::Event = serde_json::from_value(second).unwrap();
    assert_eq!(parsed.records.len(), 1);
    let names: Vec<String> = (0..250).map(|number| format!("S#{number:03}")).collect();
    for name in &names {
        put(&rig.clients.dynamodb, name, 0).await;
    }
    assert_eq!(receive(&mut events, 250).await, names);
}

#[tokio::test]
async fn a_bad_record_is_singled_out_tried_and_given_up() {
    let rig = Rig::start(Way::InProcess).await.with_table().await;
    let names: Vec<String> = (0..7).map(|number| number.to_string()).collect();
    for name in &names {
        put(&rig.clients.dynamodb, name, 0).await;
    }
    let (got, mut events) = mpsc::unbounded_channel();
    let notify = Function::new("notify", move |event: Value, _| {
        let bad = keys(&event).contains(&"4".to_owned());
        if !bad || keys(&event).len() == 1 {
            got.send(event).unwrap();
        }
        async move { if bad { Err(HandlerError::from("can't read 4")) } else { Ok(Value::Null) } }
    });
    let _host = Host::builder().function(notify).stream(source()).start(&rig.stack, &rig.clients).await.unwrap();
    assert_eq!(receive(&mut events, 9).await, ["0", "1", "2", "3", "4", "4", "4", "5", "6"]);
}

#[tokio::test]
async fn what_comes_after_a_reported_failure_is_delivered_again() {
    let rig = Rig::start(Way::InProcess).await.with_table().await;
    for name in ["0", "1", "2", "3"] {
        put(&rig.clients.dynamodb, name, 0).await;
    }
    let (got, mut events) = mpsc::unbounded_channel();
    let notify = Function::new("notify", move |event: Value, _| {
        let whole = keys(&event).len() == 4;
        let failed = event["Records"][2]["dynamodb"]["SequenceNumber"].clone();
        got.send(event).unwrap();
        let failures = if whole { json!([{"itemIdentifier": failed}]) } else { json!([]) };
        async move { Ok::<_, Infallible>(json!({"batchItemFailures": failures})) }
    });
    let _host = Host::builder().function(notify).stream(source()).start(&rig.stack, &rig.clients).await.unwrap();
    assert_eq!(receive(&mut events, 6).await, ["0", "1", "2", "3", "2", "3"]);
}

#[tokio::test]
async fn after_a_restart_it_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (got, mut events) = mpsc::unbounded_channel();
    let notify = Function::new("notify", move |event: Value, _| {
        got.send(event).unwrap();
        async { Ok::<_, Infallible>(Value::Null) }
    });
    let start = || async {
        let stack = Stack::start(StackOptions::new(folder.path())).await.unwrap();
        let clients = stack.clients();
        let builder = Host::builder().function(notify.clone()).stream(source());
        (stack, clients, builder)
    };
    let (stack, clients, builder) = start().await;
    create_table(&clients.dynamodb).await;
    let host = builder.start(&stack, &clients).await.unwrap();
    put(&clients.dynamodb, "before", 0).await;
    assert_eq!(receive(&mut events, 1).await, ["before"]);
    host.shutdown().await;
    put(&clients.dynamodb, "between", 0).await;
    stack.shutdown().await;
    let (stack, clients, builder) = start().await;
    let host = builder.start(&stack, &clients).await.unwrap();
    put(&clients.dynamodb, "after", 0).await;
    assert_eq!(receive(&mut events, 2).await, ["between", "after"]);
    host.shutdown().await;
    stack.shutdown().await;
}
