//! `notify`: the stream of the real table becomes events, each once.

use std::sync::Arc;

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::DynamoDbEventResponse;
use convoke_app::platform::Platform;
use convoke_app::ports::{EventKind, Events, Steps};
use convoke_domain::ids::JobKey;
use convoke_domain::status::{JobStatus, StopReason};
use convoke_tests::engine::shapes::Shape;
use convoke_tests::fakes::{FakeTable, Fault, Faults};
use serde_json::json;

use super::rig::{Rig, call, of_json};

pub async fn tell(platform: &Platform, records: &[EventRecord]) -> Vec<String> {
    let event: Event = of_json(json!({ "Records": records }));
    let service = convoke_notify::service(platform.clone());
    let response: DynamoDbEventResponse = call(service, event, 0).await.expect("a batch never fails as a whole");
    response.batch_item_failures.into_iter().filter_map(|item| item.item_identifier).collect()
}

fn number(record: &EventRecord) -> String {
    record.change.sequence_number.clone().expect("every record has one")
}

async fn ran(shape: Shape) -> (Rig, JobKey, Vec<EventRecord>) {
    let rig = Rig::new(shape).await;
    let key = rig.start().await;
    rig.finish(&key).await;
    let records = rig.embedded.stream();
    (rig, key, records)
}

fn completed(events: &[(u64, EventKind)]) -> Vec<String> {
    let mut steps: Vec<String> = events
        .iter()
        .filter_map(|(_, kind)| match kind {
            EventKind::StepCompleted { step, .. } => Some(step.clone()),
            _ => None,
        })
        .collect();
    steps.sort();
    steps
}

#[tokio::test]
async fn a_job_is_told_from_its_submission_to_its_end_once() {
    for shape in [Shape::Diamond, Shape::Fan { items: 20, concurrency: 9 }, Shape::Ordered { items: 5 }, Shape::Branch]
    {
        let (rig, key, records) = ran(shape).await;
        // At least once: every batch comes twice, and then all of it again.
        for batch in records.chunks(7).flat_map(|batch| [batch, batch]).chain([records.as_slice()]) {
            assert_eq!(tell(&rig.platform, batch).await, Vec::<String>::new(), "{shape:?}");
        }
        let events = rig.events(&key).await;
        let numbers: Vec<u64> = events.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>(), "{shape:?}");
        let ended = EventKind::Ended { status: JobStatus::Completed, stop_reason: StopReason::Completed };
        assert_eq!(events.first().map(|(_, kind)| kind), Some(&EventKind::Submitted), "{shape:?}");
        assert_eq!(events.last().map(|(_, kind)| kind), Some(&ended), "{shape:?}");
        let results = rig.embedded.table.results(&key, None, None, 1_000).await.expect("read");
        let mut steps: Vec<String> = results.iter().map(|record| record.step.to_string()).collect();
        steps.sort();
        assert_eq!(completed(&events), steps, "{shape:?}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_reported_and_nothing_after_it_is_told() {
    let (rig, key, records) = ran(Shape::Chain(3)).await;
    let is_change = |record: &&EventRecord| record.event_name == "MODIFY";
    let bad = records.iter().position(|record| is_change(&record)).expect("a change") + 1;
    let bad = bad + records[bad..].iter().position(|record| is_change(&record)).expect("another change");
    let mut spoilt = records.clone();
    let mut image = spoilt[bad].change.new_image.clone().into_inner();
    image.insert("v".into(), serde_dynamo::AttributeValue::N("99".into()));
    spoilt[bad].change.new_image = image.into();

    assert_eq!(tell(&rig.platform, &spoilt).await, [number(&records[bad])]);
    let before = rig.events(&key).await;
    assert!(!before.is_empty() && !before.iter().any(|(_, kind)| matches!(kind, EventKind::Ended { .. })));
    assert!(tell(&rig.platform, &records[bad..]).await.is_empty(), "once it can be read, the rest is told");
    let clean = ran(Shape::Chain(3)).await;
    assert!(tell(&clean.0.platform, &clean.2).await.is_empty());
    assert_eq!(completed(&rig.events(&key).await), completed(&clean.0.events(&clean.1).await));
}

#[tokio::test]
async fn a_job_whose_events_cannot_be_appended_is_reported_from_its_first_record_on() {
    let (rig, key, records) = ran(Shape::One).await;
    let deaf = FakeTable::new(Faults::by(|what| if what == "append" { Fault::Throttled } else { Fault::None }));
    let mut platform = rig.platform.clone();
    platform.ports.events = Arc::new(deaf.clone());
    let first = records.iter().find(|record| record.event_name == "INSERT").expect("the job is new");
    assert_eq!(tell(&platform, &records).await, [number(first)]);
    assert!(deaf.events(&key, 0, 10).await.expect("read").events.is_empty());
    assert!(tell(&rig.platform, &records).await.is_empty());
    assert!(!rig.events(&key).await.is_empty());
}
