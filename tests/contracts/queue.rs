//! The contract of the queue, on the fake and on the embedded stack; and its adapter against a server that fails as told.

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Region};
use convoke_app::ports::{Bell, Bells, Ring};
use convoke_aws::SqsBells;
use convoke_domain::ids::{GroupId, SlotId};
use convoke_tests::contracts::bells_reach_their_queues;
use convoke_tests::embedded::EmbeddedStack;
use convoke_tests::fakes::{FakeEnv, FakeQueue, Faults};
use convoke_tests::samples::{NOW_MS, job};
use convoke_tests::transport::{Meddling, Seen, meddling};
use serde_json::{Value, json};

const STEPS: &str = "http://127.0.0.1:1/0/steps";
const SOLO: &str = "http://127.0.0.1:1/0/solo";

/// A queue that notes what it was sent, and fails entries as told: for each request a list of (id, fault of the sender).
struct Scripted {
    sent: Arc<Mutex<Vec<Value>>>,
    bells: SqsBells,
}

impl Scripted {
    fn new(failures: Vec<Vec<(&'static str, bool)>>) -> Self {
        let sent: Arc<Mutex<Vec<Value>>> = Arc::default();
        let noted = Arc::clone(&sent);
        let left = Mutex::new(failures.into_iter());
        let http = meddling(move |seen: &Seen| {
            noted.lock().expect("no panic").push(seen.body.clone());
            match seen.operation.as_str() {
                "SendMessageBatch" => batch(seen, &left.lock().expect("no panic").next().unwrap_or_default()),
                "GetQueueAttributes" => {
                    Meddling::Answer(200, json!({"Attributes": {"ApproximateNumberOfMessages": "17"}}))
                }
                other => panic!("unexpected {other}"),
            }
        });
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
            .endpoint_url("http://127.0.0.1:1")
            .retry_config(RetryConfig::disabled())
            .http_client(http)
            .build();
        Self { sent, bells: SqsBells::new(aws_sdk_sqs::Client::from_conf(config), STEPS, SOLO, 3) }
    }

    /// For each request its queue and the slots of its bells.
    fn sent(&self) -> Vec<(String, Vec<u64>)> {
        let slot = |entry: &Value| {
            let body: Value = serde_json::from_str(entry["MessageBody"].as_str().expect("a body")).expect("json");
            body["slot"].as_u64().expect("a slot")
        };
        let request = |body: &Value| {
            let slots = body["Entries"].as_array().expect("entries").iter().map(slot).collect();
            (body["QueueUrl"].as_str().expect("a queue").to_owned(), slots)
        };
        self.sent.lock().expect("no panic").iter().map(request).collect()
    }
}

fn batch(seen: &Seen, failures: &[(&str, bool)]) -> Meddling {
    let (mut taken, mut failed) = (Vec::new(), Vec::new());
    for entry in seen.body["Entries"].as_array().expect("entries") {
        match failures.iter().find(|(id, _)| entry["Id"] == *id) {
            Some((id, fault)) => failed.push(json!({"Id": id, "SenderFault": fault, "Code": "InternalError"})),
            None => taken.push(json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "x"})),
        }
    }
    Meddling::Answer(200, json!({"Successful": taken, "Failed": failed}))
}

fn ring(slot: u16) -> Ring {
    let bell = Bell { v: 1, key: job("acme", 1), group: GroupId::Root, slot: Some(SlotId(slot)) };
    Ring { bell, delay_s: 0, solo: false }
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let queue = FakeQueue::new(FakeEnv::new(NOW_MS, 1), Faults::default());
    bells_reach_their_queues(&queue, &queue).await;
}

#[tokio::test]
async fn the_embedded_stack_keeps_the_contract() {
    let stack = EmbeddedStack::start().await;
    bells_reach_their_queues(&stack.bells, &stack).await;
}

#[tokio::test]
async fn bells_go_in_batches_of_ten_each_to_its_queue() {
    let queue = Scripted::new(Vec::new());
    let mut rings: Vec<_> = (0..23).map(ring).collect();
    rings[5].solo = true;
    queue.bells.ring(&rings).await.expect("rung");
    let steps = |slots: Vec<u64>| (STEPS.to_owned(), slots);
    let expected = [
        steps((0..11).filter(|slot| *slot != 5).collect()),
        steps((11..21).collect()),
        steps(vec![21, 22]),
        (SOLO.to_owned(), vec![5]),
    ];
    assert_eq!(queue.sent(), expected);
    queue.bells.ring(&[]).await.expect("nothing to ring");
    assert_eq!(queue.sent().len(), 4);
}

#[tokio::test]
async fn only_what_was_not_taken_is_sent_again() {
    let queue = Scripted::new(vec![vec![("1", false), ("3", false)], vec![("3", false)]]);
    queue.bells.ring(&[ring(10), ring(11), ring(12), ring(13)]).await.expect("rung");
    let slots: Vec<_> = queue.sent().into_iter().map(|(_, slots)| slots).collect();
    assert_eq!(slots, [vec![10, 11, 12, 13], vec![11, 13], vec![13]]);
}

#[tokio::test]
async fn what_is_never_taken_is_an_error() {
    let queue = Scripted::new(vec![vec![("0", false)]; 50]);
    let error = queue.bells.ring(&[ring(1)]).await.expect_err("never taken");
    assert!(error.is_retryable(), "{error:?}");
    assert!(queue.sent().len() < 10, "bounded");
    let faulty = Scripted::new(vec![vec![("0", true)]]);
    let error = faulty.bells.ring(&[ring(1)]).await.expect_err("the sender's fault");
    assert!(!error.is_retryable(), "{error:?}");
    assert_eq!(faulty.sent().len(), 1);
}

#[tokio::test]
async fn a_message_carries_ids_only_and_waits_at_most_a_quarter_of_an_hour() {
    let queue = Scripted::new(Vec::new());
    let late = Ring { delay_s: 5_000, ..ring(7) };
    let whole_job = Ring { bell: Bell { slot: None, ..late.bell.clone() }, delay_s: 3, solo: false };
    queue.bells.ring(&[late, whole_job]).await.expect("rung");
    let sent = queue.sent.lock().expect("no panic")[0].clone();
    let entry = |n: usize| (sent["Entries"][n]["MessageBody"].clone(), sent["Entries"][n]["DelaySeconds"].clone());
    let ids = r#""v":1,"tenant":"acme","job":"01M7XPE6000000000000000001","group":"J""#;
    assert_eq!(entry(0), (json!(format!(r#"{{{ids},"slot":7}}"#)), json!(900)));
    assert_eq!(entry(1), (json!(format!("{{{ids}}}")), json!(3)));
    assert_eq!(sent["Entries"][1]["MessageGroupId"], "acme", "tenants share a queue fairly");
}

#[tokio::test]
async fn the_depth_is_what_the_queue_says() {
    assert_eq!(Scripted::new(Vec::new()).bells.depth().await.expect("up"), 17);
}
