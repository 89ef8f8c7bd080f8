//! `step`: what is reported, what is acknowledged, and that a panic is one step's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use convoke_app::ports::{Env, Reads};
use convoke_domain::ids::{GroupId, SlotId, StepId};
use convoke_domain::status::{JobStatus, StopReason};
use convoke_tests::engine::shapes::Shape;
use convoke_tests::transport::{Meddling, meddling};

use super::rig::Rig;

fn failed(response: &aws_lambda_events::sqs::SqsBatchResponse) -> Vec<&str> {
    response.batch_item_failures.iter().map(|item| item.item_identifier.as_str()).collect()
}

#[tokio::test]
async fn each_message_stands_for_itself() {
    let rig = Rig::new(Shape::One).await;
    let key = rig.start().await;
    let good = format!(r#"{{"v":1,"tenant":"acme","job":"{}","group":"J","slot":0}}"#, key.job);
    let bodies = [
        ("m1", "hello".to_owned()),
        ("m2", good.replace("\"v\":1", "\"v\":9")),
        ("m3", good.replace("acme", "nobody")),
        ("m4", good.clone()),
        ("m5", good.replace("\"J\"", "\"../J\"")),
    ];
    let bodies: Vec<_> = bodies.into_iter().map(|(id, body)| (id.to_owned(), body)).collect();
    let response = rig.step(&bodies, 900_000).await;
    assert_eq!(failed(&response), ["m1", "m2", "m5"], "what is no bell goes to the dead letters, the rest is done");
    assert_eq!(rig.root(&key).await.root().map(|root| root.status), Some(JobStatus::Completed));
    let again = rig.step(&bodies[3..4], 900_000).await;
    assert!(failed(&again).is_empty(), "a bell for what is done is answered at once");
}

#[tokio::test]
async fn without_time_nothing_is_begun_and_the_message_comes_again() {
    let rig = Rig::new(Shape::One).await;
    let key = rig.start().await;
    let before = rig.root(&key).await;
    let bell = format!(r#"{{"v":1,"tenant":"acme","job":"{}","group":"J","slot":0}}"#, key.job);
    let response = rig.step(&[("m".to_owned(), bell)], 5_000).await;
    assert_eq!(failed(&response), ["m"]);
    assert_eq!(rig.root(&key).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_failed_attempt_of_one_step() {
    let rig = Rig::new(Shape::One).await;
    let (first, second) = (rig.start().await, rig.start().await);
    rig.panic_times(1);
    let response = rig.deliver().await;
    assert!(failed(&response).is_empty(), "the step that panicked is rung again, its message is done");
    let status = |root: &convoke_domain::group::Group| root.root().map(|root| root.status);
    let roots = [rig.root(&first).await, rig.root(&second).await];
    assert_eq!(roots.iter().filter(|root| status(root) == Some(JobStatus::Completed)).count(), 1, "the neighbour ends");
    let hurt = roots.iter().find(|root| status(root) == Some(JobStatus::Working)).expect("the other goes on");
    let slot = &hurt.run[&SlotId(0)];
    assert_eq!((slot.attempt, slot.claim.as_ref(), slot.at.task), (1, None, 0));
    for key in [&first, &second] {
        rig.finish(key).await;
        assert_eq!(rig.root(key).await.ending.map(|ending| ending.reason), Some(StopReason::Completed));
    }
}

#[tokio::test]
async fn a_step_that_always_panics_fails_its_job_with_the_reason() {
    let rig = Rig::new(Shape::One).await;
    let key = rig.start().await;
    rig.panic_times(u32::MAX);
    rig.finish(&key).await;
    let ending = rig.root(&key).await.ending.expect("it has ended");
    assert_eq!((ending.reason, ending.step.as_deref()), (StopReason::Internal, Some("a")));
    assert!(ending.cause.contains("the model is touchy"), "{}", ending.cause);
    let groups = rig.platform.ports.groups.load_groups(&key, &[GroupId::Root]).await.expect("read");
    assert!(groups.values().all(|group| !group.has_claims()));
    assert!(rig.env.now_ms() > 0);
}

#[tokio::test]
async fn a_finish_that_fails_once_its_manifest_is_put_is_tried_again() {
    let mut rig = Rig::new(Shape::One).await;
    let failed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&failed);
    let table = rig.embedded.through(meddling(move |request| {
        let is_end = request.operation == "UpdateItem" && request.body.to_string().contains(".end\"");
        let fails = is_end && !seen.swap(true, Ordering::SeqCst);
        if fails { Meddling::error("ThrottlingException") } else { Meddling::Pass }
    }));
    rig.platform.ports.groups = Arc::new(table);
    let key = rig.start().await;
    rig.finish(&key).await;
    assert!(failed.load(Ordering::SeqCst));
    let reads = Reads { results: vec![StepId::finish()], ..Reads::default() };
    let manifest = &rig.platform.ports.steps.fetch(&key, &reads).await.expect("read").results[&StepId::finish()];
    assert_eq!(manifest.attempt, 1, "the first manifest stands");
    assert_eq!(rig.root(&key).await.ending.map(|ending| ending.reason), Some(StopReason::Completed));
}
