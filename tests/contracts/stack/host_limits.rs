//! What the host holds functions to: time, concurrency, size, and that a panic is one invocation's.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convoke::host::{Context, Function, HandlerError, Host, HostError, InvokeError, Schedule};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::rig::{Rig, START_MS, Way};

async fn host(functions: impl IntoIterator<Item = Function>) -> (Rig, Host) {
    let rig = Rig::start(Way::InProcess).await;
    let builder = functions.into_iter().fold(Host::builder(), convoke::host::HostBuilder::function);
    let host = builder.start(&rig.stack, &rig.clients).await.unwrap();
    (rig, host)
}

const MIB: usize = 1_024 * 1_024;

/// Says over the channel that it is dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.send(()).ok();
    }
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_ended_wherever_it_is_with_its_tasks() {
    let (gone, mut is_gone) = mpsc::unbounded_channel();
    let endless = Function::new("endless", move |_, _| {
        let (held, by_task) = (Dropped(gone.clone()), Dropped(gone.clone()));
        async move {
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(async move {
                std::future::pending::<()>().await;
                drop(by_task);
            });
            std::future::pending::<()>().await;
            drop((held, tasks));
            Ok::<_, Infallible>(Value::Null)
        }
    });
    let (_rig, host) = host([endless.timeout(Duration::from_millis(20))]).await;
    let error = host.invoke("endless", &Value::Null).await.unwrap_err();
    assert!(matches!(error, InvokeError::TimedOut { timeout_ms: 20, .. }), "{error}");
    is_gone.recv().await.unwrap();
    is_gone.recv().await.unwrap();
    assert_eq!(host.in_flight(), 0);
}

#[tokio::test]
async fn a_panic_is_one_invocations() {
    let picky = Function::new("picky", |event: Value, _| {
        assert!(event["early"].is_null(), "before the first await");
        async move {
            assert!(event["late"].is_null(), "after it");
            Ok::<_, Infallible>(json!("fine"))
        }
    });
    let (_rig, host) = host([picky]).await;
    for (event, says) in [(json!({"early": 1}), "before the first await"), (json!({"late": 1}), "after it")] {
        let error = host.invoke("picky", &event).await.unwrap_err();
        assert!(matches!(&error, InvokeError::Panicked { message, .. } if message == says), "{error}");
    }
    assert_eq!(host.invoke("picky", &json!({})).await.unwrap(), "fine");
}

#[tokio::test]
async fn more_than_the_concurrency_is_throttled() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (enters, leaves) = (Arc::clone(&entered), Arc::clone(&leave));
    let slow = Function::new("slow", move |_, _| {
        let (enters, leaves) = (Arc::clone(&enters), Arc::clone(&leaves));
        async move {
            enters.notify_one();
            leaves.notified().await;
            Ok::<_, Infallible>(Value::Null)
        }
    });
    let (_rig, host) = host([slow.concurrency(1)]).await;
    let first = host.invoke("slow", &Value::Null);
    let second = async {
        entered.notified().await;
        let error = host.invoke("slow", &Value::Null).await.unwrap_err();
        assert!(matches!(error, InvokeError::Throttled(_)), "{error}");
        leave.notify_one();
    };
    let (first, ()) = tokio::join!(first, second);
    first.unwrap();
    leave.notify_one();
    host.invoke("slow", &Value::Null).await.unwrap();
}

#[tokio::test]
async fn events_and_answers_are_bounded() {
    let sized = Function::new("sized", |event: Value, _| async move {
        let bytes = usize::try_from(event["answer_bytes"].as_u64().unwrap_or_default())?;
        Ok::<_, HandlerError>(json!("x".repeat(bytes)))
    });
    let (_rig, host) = host([sized]).await;
    let large = host.invoke("sized", &json!({"padding": "x".repeat(6 * MIB)})).await.unwrap_err();
    assert!(matches!(large, InvokeError::EventTooLarge { .. }), "{large}");
    let large = host.invoke("sized", &json!({"answer_bytes": 6 * MIB})).await.unwrap_err();
    assert!(matches!(large, InvokeError::AnswerTooLarge { .. }), "{large}");
    host.invoke("sized", &json!({"answer_bytes": 5 * MIB, "padding": "x".repeat(5 * MIB)})).await.unwrap();
}

#[tokio::test]
async fn a_handler_knows_its_deadline_and_request() {
    let told = Function::new("told", |_, context: Context| async move {
        let lambda = context.to_lambda();
        Ok::<_, Infallible>(json!([context.deadline_ms, context.request_id, lambda.deadline, lambda.request_id]))
    });
    let (_rig, host) = host([told.timeout(Duration::from_secs(7))]).await;
    let first = host.invoke("told", &Value::Null).await.unwrap();
    let second = host.invoke("told", &Value::Null).await.unwrap();
    assert_eq!((&first[0], &first[2]), (&json!(START_MS + 7_000), &json!(START_MS + 7_000)));
    assert_eq!(first[1], first[3]);
    assert_ne!(first[1], second[1]);
}

#[tokio::test]
async fn a_source_that_leads_nowhere_is_refused_at_the_start() {
    let rig = Rig::start(Way::InProcess).await;
    let every = Duration::from_mins(1);
    let schedule = Schedule { name: "each-minute".to_owned(), every, function: "absent".to_owned() };
    let error = Host::builder().schedule(schedule).start(&rig.stack, &rig.clients).await.unwrap_err();
    assert!(matches!(error, HostError::Unknown { .. }), "{error}");
    assert_eq!(error.to_string(), "each-minute leads to absent, which is no function");
}

#[tokio::test]
async fn a_schedule_ticks_by_the_clock_and_on_demand_and_tries_thrice() {
    let (ticked, mut ticks) = mpsc::unbounded_channel();
    let clock = Function::new("clock", move |event: Value, _| {
        let outcome = if event["time"] == "2026-01-01T00:02:00Z" { Err("no") } else { Ok(Value::Null) };
        ticked.send(event).unwrap();
        async move { outcome }
    });
    let rig = Rig::start(Way::InProcess).await;
    let every = Duration::from_mins(1);
    let schedule = Schedule { name: "each-minute".to_owned(), every, function: "clock".to_owned() };
    let host = Host::builder().function(clock).schedule(schedule).start(&rig.stack, &rig.clients).await.unwrap();
    host.tick("each-minute").await.unwrap();
    let event = ticks.recv().await.unwrap();
    assert_eq!((&event["source"], &event["detail-type"]), (&json!("aws.events"), &json!("Scheduled Event")));
    let rule = "arn:aws:events:us-east-1:000000000000:rule/each-minute";
    assert_eq!((&event["time"], &event["resources"]), (&json!("2026-01-01T00:00:00Z"), &json!([rule])));
    rig.step_s(60);
    assert_eq!(ticks.recv().await.unwrap()["time"], "2026-01-01T00:01:00Z");
    rig.step_s(60);
    for _ in 0..3 {
        assert_eq!(ticks.recv().await.unwrap()["time"], "2026-01-01T00:02:00Z");
    }
    rig.step_s(60);
    assert_eq!(ticks.recv().await.unwrap()["time"], "2026-01-01T00:03:00Z");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is measured")]
async fn a_shutdown_waits_for_what_runs_and_takes_nothing_new() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (done, mut is_done) = mpsc::unbounded_channel();
    let (enters, leaves) = (Arc::clone(&entered), Arc::clone(&leave));
    let slow = Function::new("slow", move |_, _| {
        let (enters, leaves, done) = (Arc::clone(&enters), Arc::clone(&leaves), done.clone());
        async move {
            enters.notify_one();
            leaves.notified().await;
            done.send(()).unwrap();
            Ok::<_, Infallible>(Value::Null)
        }
    });
    let every = Duration::from_mins(1);
    let schedule = Schedule { name: "each-minute".to_owned(), every, function: "slow".to_owned() };
    let rig = Rig::start(Way::InProcess).await;
    let host = Host::builder().function(slow).schedule(schedule).start(&rig.stack, &rig.clients).await.unwrap();
    // Stepped until the schedule's task, which starts by itself, has seen it.
    while tokio::time::timeout(Duration::from_millis(5), entered.notified()).await.is_err() {
        rig.step_s(60);
    }
    let started = Instant::now();
    let ((), ()) = tokio::join!(host.shutdown(), async { leave.notify_one() });
    is_done.recv().await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    rig.stack.shutdown().await;
}
