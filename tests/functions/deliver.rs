//! `deliver`: targets are told in order, once; what fails is tried again, with the same id.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_lambda_events::dynamodb::EventRecord;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use aws_sdk_dynamodb::types::AttributeValue;
use convoke_app::ports::{
    Deliveries, DeliveryBell, DeliveryBells, DeliveryRing, Env, Outbound, OutboundError, Outgoing, Posted, Saved,
    Sweeps, UrlRefused, Webhooks,
};
use convoke_domain::delivery::{Delivery, LEASE_MS, Over, TRIES_MAX};
use convoke_domain::ids::{JobKey, TargetId, TenantId, WebhookId};
use convoke_domain::status::JobStatus;
use convoke_tests::engine::shapes::Shape;
use convoke_tests::fakes::{FakeEnv, FakeOutbound};
use serde_json::{Value, json};
use standardwebhooks::Webhook as Verifier;

use super::notify::tell;
use super::rig::{Rig, call, of_json};

/// The function's time.
const FUNCTION_MS: u64 = 60_000;

fn acme() -> TenantId {
    "acme".parse().expect("a tenant")
}

/// A job that has ended and told its stream, and a webhook that is to be told of it.
struct Told {
    rig: Rig,
    key: JobKey,
    webhook: WebhookId,
    secret: String,
    records: Vec<EventRecord>,
}

impl Told {
    /// Of a job of that shape; the webhook wants these events.
    async fn of(shape: Shape, events: &[&str]) -> Self {
        let rig = Rig::new(shape).await;
        let body = json!({"url": "https://hooks.example.com/x?token=in-the-url", "events": events});
        let made = rig.platform.create_webhook(&acme(), &body).await.expect("made");
        let key = rig.start_telling(std::slice::from_ref(&made.webhook)).await;
        rig.finish(&key).await;
        let records = rig.embedded.stream();
        Self { rig, key, webhook: made.webhook.id, secret: made.secret, records }
    }

    /// The same, and the stream is read: bells wait.
    async fn rung(shape: Shape, events: &[&str]) -> Self {
        let told = Self::of(shape, events).await;
        assert_eq!(tell(&told.rig.platform, &told.records).await, Vec::<String>::new());
        told
    }

    fn target(&self) -> TargetId {
        TargetId::Webhook(self.webhook.clone())
    }

    fn bell(&self) -> DeliveryBell {
        DeliveryBell { v: 1, key: self.key.clone(), target: self.target() }
    }

    async fn delivery(&self) -> Delivery {
        self.rig.embedded.table.delivery(&self.key, &self.target()).await.expect("read").expect("it is there")
    }

    /// Answers all bells that are heard by now; how many there were.
    async fn answer_bells(&self) -> usize {
        let bells = self.rig.queue.take_deliveries();
        if !bells.is_empty() {
            let bodies: Vec<String> = bells.iter().map(body).collect();
            assert!(deliver(&self.rig, &bodies, FUNCTION_MS).await.batch_item_failures.is_empty());
        }
        bells.len()
    }

    /// Lets the time pass until the next bell is heard, and answers it; how long it took.
    async fn answer_next(&self) -> u64 {
        let at_ms = self.rig.queue.next_delivery_ms().expect("a bell waits");
        let wait_ms = at_ms.saturating_sub(self.now_ms());
        self.rig.env.wind(wait_ms);
        self.answer_bells().await;
        wait_ms
    }

    fn now_ms(&self) -> u64 {
        self.rig.env.now_ms()
    }

    /// The tries, oldest first.
    async fn tries(&self) -> Vec<Value> {
        let list = self.rig.platform.webhook_deliveries(&acme(), self.webhook.as_str(), (None, Some(100))).await;
        let mut tries: Vec<Value> = list.expect("listed").deliveries.iter().map(|tried| json!(tried)).collect();
        tries.reverse();
        tries
    }

    async fn due_ever(&self) -> Vec<(JobKey, TargetId)> {
        let mut due = Vec::new();
        for shard in 0..4 {
            due.extend(self.rig.embedded.table.due_deliveries(shard, 1 << 53, 100).await.expect("read"));
        }
        due
    }

    fn ids(&self) -> Vec<String> {
        self.rig.outbound.headers("webhook-id")
    }
}

fn body(bell: &DeliveryBell) -> String {
    serde_json::to_string(bell).expect("JSON")
}

/// Sends messages to the function.
async fn deliver(rig: &Rig, bodies: &[String], time_ms: u64) -> SqsBatchResponse {
    let record = |(n, body): (usize, &String)| {
        json!({
            "messageId": n.to_string(), "receiptHandle": format!("r-{n}"), "body": body,
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "md5OfBody": "",
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:1:deliveries", "awsRegion": "us-east-1"
        })
    };
    let records: Vec<Value> = bodies.iter().enumerate().map(record).collect();
    let event: SqsEvent = of_json(json!({ "Records": records }));
    let service = convoke_deliver::service(rig.platform.clone());
    call(service, event, rig.env.now_ms() + time_ms).await.expect("a batch never fails as a whole")
}

#[tokio::test]
async fn the_end_is_told_once_and_signed_however_often_bells_ring() {
    let told = Told::rung(Shape::Chain(3), &["job.ended"]).await;
    // The stream delivers again, and so does the queue.
    tell(&told.rig.platform, &told.records).await;
    let bell = body(&told.bell());
    assert!(told.answer_bells().await >= 2);
    deliver(&told.rig, &[bell.clone(), bell.clone(), bell], FUNCTION_MS).await;

    let sent = told.rig.outbound.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].url, "https://hooks.example.com/x?token=in-the-url");
    let message = &told.rig.outbound.bodies()[0];
    assert_eq!((&message["type"], &message["data"]["status"]), (&json!("job.ended"), &json!("completed")));
    assert_eq!(message["data"]["job"], told.key.job.to_string());
    let (_, root) = told.rig.platform.ports.jobs.job(&told.key).await.expect("read").expect("a job");
    assert_eq!(message["data"]["cost"]["tokens"], root.spent.tokens);
    let last = told.rig.events(&told.key).await.last().map(|(seq, _)| *seq);
    assert_eq!(message["data"]["seq"].as_u64(), last);

    let verifier = Verifier::new(&told.secret).expect("a secret");
    let headers = &sent[0].headers;
    let header = |name: &str| headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone());
    let (id, signed) = (header("webhook-id").expect("an id"), header("webhook-signature").expect("a signature"));
    let at: i64 = header("webhook-timestamp").expect("a time").parse().expect("a number");
    assert_eq!(verifier.sign(&id, at, &sent[0].body).expect("signed"), signed, "as another library signs it");

    let delivery = told.delivery().await;
    assert_eq!((delivery.over, delivery.due_ms), (Some(Over::Told), None));
    assert_eq!(told.due_ever().await, [], "nobody looks for it any more");
}

#[tokio::test]
async fn all_that_is_wanted_comes_in_order_and_once_whatever_the_batches() {
    for shape in [Shape::Diamond, Shape::Fan { items: 20, concurrency: 9 }] {
        let told = Told::of(shape, &["*"]).await;
        for batch in told.records.chunks(7).flat_map(|batch| [batch, batch]) {
            tell(&told.rig.platform, batch).await;
            told.answer_bells().await;
        }
        let events = told.rig.events(&told.key).await;
        let numbers: Vec<u64> =
            told.rig.outbound.bodies().iter().filter_map(|message| message["data"]["seq"].as_u64()).collect();
        assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>(), "{shape:?}");
        assert_eq!(told.ids().iter().collect::<BTreeSet<_>>().len(), events.len(), "each has an id of its own");
        assert_eq!(told.delivery().await.over, Some(Over::Told));
    }
}

#[tokio::test]
async fn what_nobody_wants_rings_nothing() {
    let told = Told::rung(Shape::Diamond, &["step.failed"]).await;
    assert_eq!(told.answer_bells().await, 0);
    let plain = Rig::new(Shape::One).await;
    let key = plain.start().await;
    plain.finish(&key).await;
    tell(&plain.platform, &plain.embedded.stream()).await;
    assert_eq!(plain.queue.take_deliveries(), []);
    // The clock looks nevertheless, and closes what has ended.
    told.rig.env.wind(16 * 60_000);
    told.rig.platform.tick(told.now_ms()).await.expect("a tick");
    assert_eq!(told.answer_bells().await, 1);
    assert_eq!((told.delivery().await.over, told.rig.outbound.sent().len()), (Some(Over::Told), 0));
}

#[tokio::test]
async fn what_fails_is_tried_again_after_its_pause_with_the_same_id() {
    let told = Told::rung(Shape::One, &["job.ended"]).await;
    told.rig.outbound.answer(&[500, 302]);
    told.rig.outbound.answer_later(429, Duration::from_secs(90));
    told.rig.outbound.lose_answer();
    told.answer_bells().await;
    let early = body(&told.bell());
    deliver(&told.rig, &[early], FUNCTION_MS).await;
    assert_eq!(told.ids().len(), 1, "its pause isn't over");
    let pauses = [
        (told.answer_next().await, 3_750..=7_000),
        (told.answer_next().await, 22_500..=38_000),
        (told.answer_next().await, 90_000..=100_000),
        (told.answer_next().await, 225_000..=376_000),
    ];
    for (pause_ms, expected) in pauses {
        assert!(expected.contains(&pause_ms), "{pause_ms} isn't in {expected:?}");
    }
    let ids = told.ids();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (5, 1), "{ids:?}");
    assert_eq!(told.rig.outbound.bodies().iter().collect::<Vec<_>>(), vec![&told.rig.outbound.bodies()[0]; 5]);

    let tries = told.tries().await;
    let shown: Vec<_> = tries.iter().map(|tried| (tried["attempt"].as_u64(), tried["status"].as_u64())).collect();
    let expected = [(1, Some(500)), (2, Some(302)), (3, Some(429)), (4, None), (5, Some(200))];
    assert_eq!(shown, expected.map(|(attempt, status)| (Some(attempt), status)));
    assert_eq!(tries[3]["error"], "no answer within 10 s");
    assert_eq!((&tries[4]["delivered"], tries[4].get("error")), (&json!(true), None));
    assert!(!json!(tries).to_string().contains("token"), "the log holds no part of the URL");
    assert_eq!(told.rig.queue.next_delivery_ms(), None);
}

#[tokio::test]
async fn a_target_that_never_acknowledges_is_given_up_and_its_job_stays_as_it_is() {
    let told = Told::rung(Shape::One, &["job.ended"]).await;
    told.rig.outbound.answer(&[503; 20]);
    told.answer_bells().await;
    let begun_ms = told.now_ms();
    // Longer pauses than a queue knows are the clock's.
    while told.delivery().await.over.is_none() {
        let due_ms = told.delivery().await.due_ms.expect("due as long as it isn't over");
        told.rig.env.wind(due_ms - told.now_ms());
        told.rig.platform.tick(told.now_ms()).await.expect("a tick");
        told.answer_bells().await;
        assert!(told.ids().len() <= TRIES_MAX as usize, "it is never given up");
    }
    let minutes = (told.now_ms() - begun_ms) / 60_000;
    assert!((16 * 60..=28 * 60).contains(&minutes), "{minutes} minutes");
    assert_eq!(told.ids().len(), TRIES_MAX as usize);
    let tries = told.tries().await;
    let gave_up: Vec<bool> = tries.iter().filter_map(|tried| tried["gave_up"].as_bool()).collect();
    assert_eq!(gave_up.iter().position(|gave_up| *gave_up), Some(9), "{gave_up:?}");
    assert_eq!(told.rig.root(&told.key).await.root().map(|root| root.status), Some(JobStatus::Completed));
    assert_eq!(told.due_ever().await, []);

    // A person sets it going again.
    let last = tries[9]["id"].as_str().expect("an id").to_owned();
    told.rig.outbound.answer(&[]);
    let asked = told.rig.platform.redeliver(&acme(), told.webhook.as_str(), &last).await.expect("asked");
    assert_eq!(asked.message_id, told.ids()[0]);
    told.answer_bells().await;
    assert_eq!(told.ids().len(), 11, "it went out again, and was refused again");
    assert_eq!(told.delivery().await.failed, 1, "the tries begin anew");
}

#[tokio::test]
async fn a_place_that_is_gone_disables_its_webhook_and_what_comes_later_is_turned_away() {
    let told = Told::rung(Shape::One, &["job.ended"]).await;
    told.rig.outbound.answer(&[410]);
    told.answer_bells().await;
    assert_eq!((told.delivery().await.over, told.ids().len()), (Some(Over::GivenUp), 1));
    let view = told.rig.platform.webhook(&acme(), told.webhook.as_str()).await.expect("there");
    assert_eq!(view.disabled_because.as_deref(), Some("it answered with 410"));

    let key = told.rig.start_telling(std::slice::from_ref(&view)).await;
    told.rig.finish(&key).await;
    tell(&told.rig.platform, &told.rig.embedded.stream()).await;
    told.answer_bells().await;
    assert_eq!(told.ids().len(), 1, "nothing is sent");
    let tries = told.tries().await;
    assert_eq!((tries.len(), &tries[1]["gave_up"]), (2, &json!(true)), "{tries:?}");
    assert!(tries[1]["error"].as_str().is_some_and(|error| error.contains("disabled")));
    assert_eq!(told.due_ever().await, []);

    // Once a test is acknowledged it is told again.
    let test = told.rig.platform.test_webhook(&acme(), told.webhook.as_str()).await.expect("tested");
    assert!(test.delivered);
    let view = told.rig.platform.webhook(&acme(), told.webhook.as_str()).await.expect("there");
    assert_eq!(view.disabled_at, None);
    let turned_away = tries[1]["id"].as_str().expect("an id");
    told.rig.platform.redeliver(&acme(), told.webhook.as_str(), turned_away).await.expect("asked");
    told.answer_bells().await;
    let last = told.rig.outbound.bodies().pop().expect("sent");
    assert_eq!((&last["type"], &last["data"]["job"]), (&json!("job.ended"), &json!(key.job)));
}

#[tokio::test]
async fn a_webhook_that_is_deleted_is_told_nothing() {
    let told = Told::rung(Shape::One, &["job.ended"]).await;
    assert!(told.rig.embedded.table.delete_webhook(&acme(), &told.webhook).await.expect("deleted"));
    told.answer_bells().await;
    assert_eq!((told.rig.outbound.sent().len(), told.delivery().await.over), (0, Some(Over::GivenUp)));
    assert_eq!(told.due_ever().await, []);
}

#[tokio::test]
async fn poison_is_reported_and_its_neighbours_are_worked() {
    let told = Told::rung(Shape::One, &["job.ended"]).await;
    let good = body(&told.bell());
    let nobodys = body(&DeliveryBell { target: "wh_01KAJ0X5T3ZQ4V8N2M6R7W9YBC".parse().expect("one"), ..told.bell() });
    let bodies = ["nonsense".to_owned(), good.clone(), good.replace("\"v\":1", "\"v\":2"), nobodys, good];
    let response = deliver(&told.rig, &bodies, FUNCTION_MS).await;
    let failed: Vec<&str> = response.batch_item_failures.iter().map(|item| item.item_identifier.as_str()).collect();
    assert_eq!(failed, ["0", "2"]);
    assert_eq!(told.ids().len(), 1);
}

#[tokio::test]
async fn a_worker_that_died_is_succeeded_once_its_lease_has_run_out() {
    let told = Told::rung(Shape::One, &["job.ended"]).await;
    told.rig.queue.take_deliveries();
    let dead = told.delivery().await.claim(told.now_ms(), "dead").expect("free");
    assert_eq!(told.rig.embedded.table.save_delivery(&told.key, &dead).await.expect("saved"), Saved::Done);
    deliver(&told.rig, &[body(&told.bell())], FUNCTION_MS).await;
    told.rig.platform.tick(told.now_ms() + LEASE_MS - 1).await.expect("a tick");
    assert_eq!((told.rig.outbound.sent().len(), told.answer_bells().await), (0, 0), "somebody is at it");
    told.rig.env.wind(LEASE_MS);
    told.rig.platform.tick(told.now_ms()).await.expect("a tick");
    assert_eq!((told.answer_bells().await, told.rig.outbound.sent().len()), (1, 1));
}

#[tokio::test]
async fn rows_that_nobody_can_read_keep_nobody_waiting() {
    let told = Told::rung(Shape::One, &["job.ended"]).await;
    told.rig.queue.take_deliveries();
    for shard in ["DUE#00", "DUEN#00", "DUEN#01", "DUEN#02", "DUEN#03"] {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let row = told.rig.embedded.client.put_item().table_name("convoke").item("pk", text("of a later version"));
        let row = row.item("sk", text(shard)).item("gpk2", text(shard)).item("gsk2", AttributeValue::N("1".into()));
        row.send().await.expect("put");
    }
    told.rig.env.wind(16 * 60_000);
    told.rig.platform.tick(told.now_ms()).await.expect("a tick");
    assert_eq!((told.answer_bells().await, told.rig.outbound.sent().len()), (1, 1));
}

#[tokio::test]
async fn what_an_earlier_process_left_behind_is_taken_up_at_once() {
    let told = Told::rung(Shape::One, &["job.ended"]).await;
    told.rig.queue.take_deliveries();
    let dead = told.delivery().await.claim(told.now_ms(), "dead").expect("free");
    told.rig.embedded.table.save_delivery(&told.key, &dead).await.expect("saved");
    told.rig.platform.resume().await.expect("resumed");
    assert_eq!((told.answer_bells().await, told.rig.outbound.sent().len()), (1, 1));
    assert_eq!(told.delivery().await.over, Some(Over::Told));
}

#[tokio::test]
async fn a_batch_without_time_leaves_the_rest_to_the_next() {
    let told = Told::rung(Shape::Chain(3), &["*"]).await;
    told.rig.queue.take_deliveries();
    let response = deliver(&told.rig, &[body(&told.bell())], 10_000).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(told.rig.outbound.sent().len(), 0, "a request may take as long as that");
    assert_eq!(told.answer_next().await, 5_000, "it has rung for the next, and others come first");
    assert_eq!(told.rig.outbound.sent().len(), told.rig.events(&told.key).await.len());
}

#[tokio::test]
async fn an_event_that_was_told_can_be_told_again_by_hand() {
    let told = Told::rung(Shape::Chain(2), &["*"]).await;
    told.answer_bells().await;
    let count = told.ids().len();
    let third = told.tries().await.into_iter().find(|tried| tried["seq"] == 3).expect("it was told");
    let (id, seq) = (third["id"].as_str().expect("an id"), third["seq"].as_u64().expect("a number"));
    for _ in 0..2 {
        let asked = told.rig.platform.redeliver(&acme(), told.webhook.as_str(), id).await.expect("asked");
        assert_eq!((asked.seq, json!(asked.message_id)), (seq, third["message_id"].clone()));
    }
    assert!(told.answer_bells().await >= 1);
    assert_eq!(told.ids().len(), count + 1, "asking twice while it waits is asking once");
    assert_eq!(
        (told.ids()[count].clone(), told.rig.outbound.bodies()[count].clone()),
        (told.ids()[2].clone(), told.rig.outbound.bodies()[2].clone())
    );
    assert_eq!((told.delivery().await.over, told.due_ever().await), (Some(Over::Told), vec![]));
}

#[tokio::test]
async fn a_stream_whose_targets_cannot_be_rung_for_delivers_again() {
    let rig = Rig::without(Shape::One, "ring_deliveries").await;
    let body = json!({"url": "https://hooks.example.com/"});
    let made = rig.platform.create_webhook(&acme(), &body).await.expect("made");
    let key = rig.start_telling(std::slice::from_ref(&made.webhook)).await;
    rig.finish(&key).await;
    assert_eq!(tell(&rig.platform, &rig.embedded.stream()).await.len(), 1, "its records come again");
    let ring =
        DeliveryRing { bell: DeliveryBell { v: 1, key, target: TargetId::Webhook(made.webhook.id) }, delay_s: 0 };
    assert!(rig.queue.ring_deliveries(&[ring]).await.is_err());
}

/// A place outside that takes 10 s for each answer; all others answer at once.
struct Slow(FakeOutbound, FakeEnv);

#[async_trait]
impl Outbound for Slow {
    async fn post(&self, request: Outgoing) -> Result<Posted, OutboundError> {
        if request.url.contains("slow") {
            let done_ms = self.1.now_ms() + 10_000;
            // Those who ask side by side wait side by side.
            tokio::task::yield_now().await;
            self.1.wind(done_ms.saturating_sub(self.1.now_ms()));
        }
        self.0.post(request).await
    }

    fn check_url(&self, url: &str) -> Result<(), UrlRefused> {
        self.0.check_url(url)
    }
}

#[tokio::test]
async fn a_slow_place_keeps_a_batch_for_half_a_minute_and_goes_on_after_others() {
    let mut rig = Rig::new(Shape::Chain(3)).await;
    rig.platform.ports.outbound = Arc::new(Slow(rig.outbound.clone(), rig.env.clone()));
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let body = json!({"url": "https://slow.example.com/", "events": ["*"]});
        let made = rig.platform.create_webhook(&acme(), &body).await.expect("made").webhook;
        let key = rig.start_telling(std::slice::from_ref(&made)).await;
        rig.finish(&key).await;
        jobs.push((key, TargetId::Webhook(made.id)));
    }
    tell(&rig.platform, &rig.embedded.stream()).await;
    let mut batches = 0;
    while let Some(at_ms) = rig.queue.next_delivery_ms() {
        rig.env.wind(at_ms.saturating_sub(rig.env.now_ms()));
        let bodies: Vec<String> = rig.queue.take_deliveries().iter().map(body).collect();
        let began_ms = rig.env.now_ms();
        assert!(deliver(&rig, &bodies, FUNCTION_MS).await.batch_item_failures.is_empty());
        let ended_ms = rig.env.now_ms();
        assert!(ended_ms - began_ms <= 30_000, "nobody's turn is longer: {} ms", ended_ms - began_ms);
        assert!(rig.queue.next_delivery_ms().is_none_or(|at_ms| at_ms >= ended_ms + 5_000), "others come first");
        batches += 1;
    }
    assert!(batches > 2, "{batches}");
    let mut sent = 0;
    for (key, target) in &jobs {
        let delivery = rig.embedded.table.delivery(key, target).await.expect("read").expect("it is there");
        assert_eq!(delivery.over, Some(Over::Told));
        sent += rig.events(key).await.len();
    }
    assert_eq!(rig.outbound.sent().len(), sent, "each event once");
}
