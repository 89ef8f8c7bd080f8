//! What queues may do: deliver twice, in any order, late, in one batch with what can't be done, and again while the first
//! delivery is still being worked on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use convoke::resources::STEPS;
use convoke::stack::queue::Depth;
use convoke_app::model::{
    ChatModel, DeltaSink, Message as Said, ModelAnswer, ModelError, ModelNameError, ModelProfile, ModelRequest, Models,
};
use convoke_tests::faulty::{Faults, Rates};
use convoke_tests::scripted::{ChatRequest, Gate, Reply};
use convoke_tests::served::{Rigging, Served, Sources};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::books;
use crate::client::{get, is_over, submit};
use crate::shapes::{Model, Shape, calls, step_of};

/// The queue's visibility time.
const VISIBILITY: Duration = Duration::from_mins(90);

async fn over(served: &Served, ids: &[String]) {
    for id in ids {
        served.rig().pass_until("the job is over", async || is_over(served, id).await).await;
        let path = format!("/v1/jobs/{id}/events?limit=500");
        let is_told = async || get(served, &path).await["ended"] == true;
        served.rig().pass_until("its end is told", is_told).await;
        let job = get(served, &format!("/v1/jobs/{id}")).await;
        assert_eq!(job["status"], "completed", "{job:#}");
        books::check(served, id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_come_twice_shuffled_and_late_are_worked_on_once() {
    let faults = Faults::new(1, Rates { echoed: 1_000, ..Rates::default() });
    let served = Served::rigged(Model, &[], Rigging { faults: faults.clone(), ..Rigging::default() }).await;
    faults.begin();
    let shapes = [("chain", Shape::Chain(5)), ("fan", Shape::Fan(30, 10)), ("loop", Shape::Loop(3))];
    let ids = join_all(shapes.map(|(name, shape)| {
        let served = &served;
        async move { submit(served, &shape.submission(name), name).await }
    }));
    over(&served, &ids.await).await;
    books::check_queues(&served, &faults).await;
    let once: BTreeMap<String, usize> =
        shapes.iter().flat_map(|(name, shape)| shape.steps(name)).map(|step| (step, 1)).collect();
    assert_eq!(calls(&served.models), once);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_again_during_its_call_asks_nobody_twice() {
    let (gate, held) = (Gate::closed(), |request: &ChatRequest| step_of(request).is_some_and(|s| s.contains("/work[")));
    let closed = gate.clone();
    let script = move |request: &ChatRequest| {
        let reply = convoke_tests::scripted::Script::reply(&Model, request);
        if held(request) { reply.held(&closed) } else { reply }
    };
    let served = Served::rigged(script, &[], Rigging::default()).await;
    let rig = served.rig();
    let short = rig.clients.sqs.set_queue_attributes().queue_url(&rig.stores.queue_url);
    short.attributes(QueueAttributeName::VisibilityTimeout, "10").send().await.expect("set");
    let id = submit(&served, &Shape::Fan(8, 8).submission("fan"), "fan").await;
    served.models.asked(9).await;
    // The eight calls hang. Their messages come again, find their steps taken, and are gone.
    assert!(rig.depth(STEPS).in_flight > 0, "{:?}", rig.depth(STEPS));
    for _ in 0..5 {
        rig.time.forward(Duration::from_secs(11));
        // Not before that may the time go on: a message is put aside that comes again and again while it is handled.
        rig.pass_until("all that came again is gone", async || rig.depth(STEPS) == Depth::default()).await;
    }
    assert_eq!(served.models.requests().len(), 9, "nobody was asked again");
    gate.open();
    over(&served, &[id]).await;
    let once: BTreeMap<String, usize> = Shape::Fan(8, 8).steps("fan").into_iter().map(|step| (step, 1)).collect();
    assert_eq!(calls(&served.models), once);
    assert_eq!(rig.depth(&format!("{STEPS}-dead")), Depth::default());
    served.stop().await;
}

/// Models of which each panics at the first question with `panic` in it.
struct Touchy {
    inner: Arc<dyn Models>,
    has_panicked: Arc<AtomicBool>,
}

impl Models for Touchy {
    fn model(&self, name: &str) -> Result<Arc<dyn ChatModel>, ModelNameError> {
        let (inner, has_panicked) = (self.inner.model(name)?, Arc::clone(&self.has_panicked));
        Ok(Arc::new(TouchyModel { inner, has_panicked }))
    }

    fn default_model(&self) -> &str {
        self.inner.default_model()
    }
}

struct TouchyModel {
    inner: Arc<dyn ChatModel>,
    has_panicked: Arc<AtomicBool>,
}

#[async_trait]
impl ChatModel for TouchyModel {
    fn profile(&self) -> &ModelProfile {
        self.inner.profile()
    }

    async fn complete(&self, request: &ModelRequest, deltas: Option<&DeltaSink>) -> Result<ModelAnswer, ModelError> {
        let is_sore = |said: &Said| matches!(said, Said::User { text } if text.contains("step=panic/"));
        let panics = request.messages.iter().any(is_sore) && !self.has_panicked.swap(true, Ordering::SeqCst);
        assert!(!panics, "the model is touchy");
        self.inner.complete(request, deltas).await
    }
}

/// A step of two turns.
fn two_turns() -> Value {
    let mut submission = Shape::Chain(1).submission("late");
    submission["flow"]["nodes"][0]["task"]["writes"] = json!({"scope": "['a.txt']"});
    submission["flow"]["nodes"][0]["task"].as_object_mut().expect("an object").shift_remove("output_file");
    submission
}

fn event(messages: &[Message]) -> Value {
    let record = |message: &Message| {
        json!({
            "messageId": message.message_id(), "receiptHandle": message.receipt_handle(), "body": message.body(),
            "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {}, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:convoke-steps", "awsRegion": "us-east-1"
        })
    };
    json!({"Records": messages.iter().map(record).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_ten_with_a_panic_a_late_one_and_a_poisonous_one() {
    let gate = Gate::closed();
    let closed = gate.clone();
    let script = move |request: &ChatRequest| {
        let is_first = request.messages().iter().all(|message| message["role"] != "assistant");
        match step_of(request).as_deref() {
            Some("late/s1") if is_first => {
                Reply::call("write_file", json!({"path": "a.txt", "content": "a\n"})).held(&closed)
            }
            _ => Reply::text("done"),
        }
    };
    let models = Box::new(|inner| Arc::new(Touchy { inner, has_panicked: Arc::default() }) as Arc<dyn Models>);
    let rigging = Rigging { models, sources: Sources::Idle, ..Rigging::default() };
    let mut served = Served::rigged(script, &[], rigging).await;
    let mut ids = vec![submit(&served, &two_turns(), "late").await];
    for name in ["panic", "a", "b", "c", "d", "e", "f", "g"] {
        ids.push(submit(&served, &Shape::Chain(1).submission(name), name).await);
    }
    let rig = served.rig();
    let (sqs, url) = (&rig.clients.sqs, &rig.stores.queue_url);
    let poison = sqs.send_message().queue_url(url).message_body("\u{fffd}{\"v\":1").send().await.expect("sent");
    let received = sqs.receive_message().queue_url(url).max_number_of_messages(10).send().await.expect("received");
    let batch = received.messages();
    assert_eq!(batch.len(), 10);

    // One invocation gets all ten. While the late one waits for its model, the function's time runs out.
    let event = event(batch);
    let invocation = rig.host().invoke("step", &event);
    let meanwhile = async {
        served.models.asked(8).await;
        rig.time.forward(Duration::from_mins(14));
        gate.open();
    };
    let (answer, ()) = tokio::join!(invocation, meanwhile);
    let failed = answer.expect("a batch never fails as a whole")["batchItemFailures"].clone();
    assert_eq!(failed, json!([{"itemIdentifier": poison.message_id()}]), "the nine others are done, or rung again");
    for message in batch.iter().filter(|message| message.message_id() != poison.message_id()) {
        let handle = message.receipt_handle().expect("a handle");
        sqs.delete_message().queue_url(url).receipt_handle(handle).send().await.expect("deleted");
    }

    served.rig_mut().take_up_work().await;
    over(&served, &ids).await;
    let mut asked: BTreeMap<String, usize> =
        ["panic", "a", "b", "c", "d", "e", "f", "g"].map(|name| (format!("{name}/s1"), 1)).into();
    asked.insert("late/s1".to_owned(), 2);
    assert_eq!(calls(&served.models), asked, "each turn once: the panic came before its call, the late one goes on");
    let attempt = async |id: &str| served.step(id, "s1").await["attempt"].clone();
    assert_eq!(
        (attempt(&ids[0]).await, attempt(&ids[1]).await),
        (json!(1), json!(2)),
        "a yield is no attempt, a panic is"
    );

    poison_is_put_aside(&served).await;
    served.stop().await;
}

/// What nobody can read comes again as often as the queue allows, and is kept as a dead letter.
async fn poison_is_put_aside(served: &Served) {
    let (rig, dead) = (served.rig(), format!("{STEPS}-dead"));
    let one = Depth { in_flight: 1, ..Depth::default() };
    let mut deliveries = 1;
    while rig.depth(&dead).ready == 0 {
        rig.pass_until("it was delivered", async || rig.depth(STEPS) == one).await;
        assert!(deliveries <= 5, "it comes again and again");
        rig.time.forward(VISIBILITY);
        let is_handled = async || rig.depth(STEPS).ready == 0;
        rig.pass_until("it comes again", is_handled).await;
        deliveries += 1;
    }
    assert_eq!((deliveries, rig.depth(STEPS)), (6, Depth::default()), "five times, then no more");
}
