//! `clock`: rings what nobody rang.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use convoke_domain::status::JobStatus;
use convoke_tests::engine::shapes::Shape;
use serde_json::json;

use super::rig::{Rig, call, of_json};

fn tick() -> EventBridgeEvent {
    of_json(json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
        "source": "aws.events", "account": "123456789012", "time": "2026-11-21T16:53:06Z", "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/clock"], "detail": {}
    }))
}

#[tokio::test]
async fn a_job_whose_bells_were_lost_is_rung_within_two_minutes() {
    let rig = Rig::new(Shape::Chain(2)).await;
    let key = rig.submit().await;
    let clock = || convoke_clock::service(rig.platform.clone());
    let early = call(clock(), tick(), 0).await.expect("a tick");
    assert_eq!((early.jobs, rig.queue.len()), (0, 0), "it isn't due yet");
    rig.env.wind(61_000);
    let ticked = call(clock(), tick(), 0).await.expect("a tick");
    assert_eq!((ticked.jobs, ticked.failed, rig.queue.len()), (1, 0, 1));
    rig.finish(&key).await;
    assert_eq!(rig.root(&key).await.root().map(|root| root.status), Some(JobStatus::Completed));
}

#[tokio::test]
async fn a_tick_that_fails_is_an_error_of_the_invocation() {
    let rig = Rig::without(Shape::One, "depth").await;
    let error =
        call(convoke_clock::service(rig.platform.clone()), tick(), 0).await.expect_err("the queue is throttled");
    assert_eq!(lambda_runtime::Diagnostic::from(error).error_type, "TickError");
}
