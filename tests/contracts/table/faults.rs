//! What the adapter does where the service fails: told apart by what may have been applied.

use std::sync::Mutex;

use convoke_app::ports::{Applied, EventKind, Events, Groups, Jobs, PortError, Reads, Steps, Submitted};
use convoke_aws::DynamoTable;
use convoke_domain::change::Change;
use convoke_domain::ids::GroupId;
use convoke_domain::money::Cost;
use convoke_tests::embedded::EmbeddedTable;
use convoke_tests::samples::{NOW_MS, cost, idempotency, job, root, submission};
use convoke_tests::transport::{Meddling, Seen, meddling};
use serde_json::{Value, json};

/// The table through a transport that does `meddlings` to the first requests of that operation, and lets the rest pass.
fn troubled(embedded: &EmbeddedTable, operation: &'static str, meddlings: Vec<Meddling>) -> DynamoTable {
    let left = Mutex::new(meddlings.into_iter());
    embedded.through(meddling(move |seen: &Seen| {
        if seen.operation != operation {
            return Meddling::Pass;
        }
        left.lock().expect("no panic").next().unwrap_or(Meddling::Pass)
    }))
}

fn cancelled(codes: &[&str]) -> Meddling {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({"Code": code})).collect();
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    Meddling::Answer(400, json!({"__type": kind, "message": "as told", "CancellationReasons": reasons}))
}

fn assert_retryable<T: std::fmt::Debug>(answer: Result<T, PortError>) {
    let error = answer.expect_err("it was told to fail");
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_recognised() {
    let embedded = EmbeddedTable::start().await;
    let key = job("acme", 1);
    embedded.table.put_group(&key, &root()).await.expect("put");
    let spend = Change::new(GroupId::Root, "m1".into(), NOW_MS).money(Cost::ZERO, Cost::ZERO, cost(5, 5));
    let table = troubled(&embedded, "UpdateItem", vec![Meddling::LoseAnswer]);
    assert_retryable(table.apply(&key, &spend).await);
    let Applied::Done(group) = table.apply(&key, &spend).await.expect("up") else { panic!("not recognised") };
    assert_eq!((group.spent, group.ver), (cost(5, 5), 2), "applied once");
}

#[tokio::test]
async fn a_throttled_change_is_not_applied() {
    let embedded = EmbeddedTable::start().await;
    let key = job("acme", 1);
    embedded.table.put_group(&key, &root()).await.expect("put");
    let spend = Change::new(GroupId::Root, "m1".into(), NOW_MS).money(Cost::ZERO, Cost::ZERO, cost(5, 5));
    for code in ["ProvisionedThroughputExceededException", "ThrottlingException", "TransactionConflictException"] {
        assert_retryable(troubled(&embedded, "UpdateItem", vec![Meddling::error(code)]).apply(&key, &spend).await);
    }
    assert_eq!(embedded.table.load_groups(&key, &[GroupId::Root]).await.expect("up")[&GroupId::Root], root());
}

#[tokio::test]
async fn what_an_operator_has_to_mend_is_refused() {
    let embedded = EmbeddedTable::start().await;
    let table = troubled(&embedded, "GetItem", vec![Meddling::error("AccessDeniedException")]);
    let error = table.job(&job("acme", 1)).await.expect_err("it was told to fail");
    assert!(matches!(error, PortError::Refused { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the table (reading a job) is refused");
    let source = std::error::Error::source(&error).expect("a cause");
    assert!(format!("{source:?}").contains("as told"), "{source:?}");
}

#[tokio::test]
async fn a_submission_whose_answer_is_lost_is_recognised() {
    let embedded = EmbeddedTable::start().await;
    let mut keyed = submission(&job("acme", 1));
    keyed.idempotency = Some(idempotency("k", "b"));
    let table = troubled(&embedded, "TransactWriteItems", vec![Meddling::LoseAnswer]);
    assert_retryable(table.submit(&keyed).await);
    assert_eq!(table.submit(&keyed).await.expect("up"), Submitted::Created);
    let plain = submission(&job("acme", 2));
    let table = troubled(&embedded, "TransactWriteItems", vec![Meddling::LoseAnswer]);
    assert_retryable(table.submit(&plain).await);
    assert_eq!(table.submit(&plain).await.expect("up"), Submitted::Created);
}

#[tokio::test]
async fn a_transaction_that_met_another_is_tried_again() {
    let embedded = EmbeddedTable::start().await;
    let met = vec![cancelled(&["None", "TransactionConflict"]), Meddling::error("TransactionInProgressException")];
    let table = troubled(&embedded, "TransactWriteItems", met);
    assert_eq!(table.submit(&submission(&job("acme", 1))).await.expect("up"), Submitted::Created);
    let always = vec![cancelled(&["TransactionConflict", "None"]); 100];
    assert_retryable(troubled(&embedded, "TransactWriteItems", always).submit(&submission(&job("acme", 2))).await);
    let malformed = troubled(&embedded, "TransactWriteItems", vec![cancelled(&["ValidationError", "None"])]);
    let error = malformed.submit(&submission(&job("acme", 2))).await.expect_err("it was told to fail");
    assert!(!error.is_retryable(), "{error:?}");
    assert_eq!(embedded.table.job(&job("acme", 2)).await.expect("up"), None);
}

#[tokio::test]
async fn events_whose_answer_is_lost_are_not_numbered_twice() {
    let embedded = EmbeddedTable::start().await;
    let key = job("acme", 1);
    let changes = [
        (GroupId::Root, 1, NOW_MS, vec![EventKind::Submitted]),
        (GroupId::Root, 2, NOW_MS, vec![EventKind::Working, EventKind::Working]),
    ];
    for known in [1, 2] {
        let table = troubled(&embedded, "PutItem", vec![Meddling::LoseAnswer]);
        assert_retryable(table.append(&key, &changes[..known]).await);
        table.append(&key, &changes[..known]).await.expect("up");
    }
    let events = embedded.table.events(&key, 0, 9).await.expect("up").events;
    assert_eq!(events.iter().map(|event| (event.seq, event.ver)).collect::<Vec<_>>(), [(1, 1), (2, 2), (3, 2)]);
}

#[tokio::test]
async fn what_a_process_remembers_of_events_may_be_old() {
    let embedded = EmbeddedTable::start().await;
    let key = job("acme", 1);
    let (one, other) = (&embedded.table, embedded.through(meddling(|_| Meddling::Pass)));
    let change = |ver| (GroupId::Root, ver, NOW_MS, vec![EventKind::Working; 2]);
    one.append(&key, &[change(1)]).await.expect("up");
    other.append(&key, &[change(2)]).await.expect("up");
    other.append(&key, &[change(3)]).await.expect("up");
    one.append(&key, &[change(2), change(3)]).await.expect("up");
    one.append(&key, &[change(3), change(4)]).await.expect("up");
    other.append(&key, &[change(5)]).await.expect("up");
    let events = one.events(&key, 0, 99).await.expect("up").events;
    let told: Vec<_> = events.iter().map(|event| (event.seq, event.ver)).collect();
    assert_eq!(told, (1..=10_u64).map(|seq| (seq, seq.div_ceil(2))).collect::<Vec<_>>());
}

#[tokio::test]
async fn keys_that_are_put_off_are_read_again() {
    let embedded = EmbeddedTable::start().await;
    let key = job("acme", 1);
    embedded.table.submit(&submission(&key)).await.expect("up");
    let reads = Reads { group: Some(GroupId::Root), definition: true, ..Reads::default() };
    let expected = embedded.table.fetch(&key, &reads).await.expect("up");
    assert!(expected.group.is_some() && expected.definition.is_some());
    let put_off =
        |seen: &Seen| Meddling::Answer(200, json!({"Responses": {}, "UnprocessedKeys": seen.body["RequestItems"]}));
    let table = embedded.through(meddling(move |seen| if seen.number < 2 { put_off(seen) } else { Meddling::Pass }));
    assert_eq!(table.fetch(&key, &reads).await.expect("up"), expected);
    let never = embedded.through(meddling(put_off));
    assert_retryable(never.fetch(&key, &reads).await);
}

#[tokio::test]
async fn chunks_that_are_put_off_are_written_again() {
    let embedded = EmbeddedTable::start().await;
    let key = job("acme", 1);
    let chunks: Vec<Vec<Value>> = (0..30).map(|n| vec![json!(n)]).collect();
    let put_off = |seen: &Seen| Meddling::Answer(200, json!({"UnprocessedItems": seen.body["RequestItems"]}));
    let table =
        embedded.through(meddling(move |seen| if seen.number % 2 == 0 { put_off(seen) } else { Meddling::Pass }));
    table.put_chunks(&key, 1, &chunks).await.expect("up");
    let reads = Reads { chunks: (0..30).map(|n| (1, n)).collect(), ..Reads::default() };
    assert_eq!(embedded.table.fetch(&key, &reads).await.expect("up").chunks.len(), 30);
    assert_retryable(embedded.through(meddling(put_off)).put_chunks(&key, 2, &chunks).await);
}
