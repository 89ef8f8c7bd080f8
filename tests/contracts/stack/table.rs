//! The table: what the engine's writes stand on.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TimeToLiveSpecification,
    TransactWriteItem, Update,
};
use futures_util::future::join_all;

use crate::rig::{Rig, TABLE, both_ways};

both_ways!(
    one_of_sixteen_racing_claims_wins,
    a_lost_condition_returns_the_item_that_stands,
    a_transaction_is_whole_or_not_at_all,
    a_repeated_client_token_writes_once,
    an_index_is_queried_in_pages,
    an_item_over_400_kb_is_refused,
    an_absent_table_is_a_typed_error,
    an_unknown_attribute_name_in_an_expression_is_a_validation_error,
);

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

async fn put(client: &Client, pk: &str, sk: &str) {
    client
        .put_item()
        .table_name(TABLE)
        .item("pk", text(pk))
        .item("sk", text(sk))
        .item("owner", text("ada"))
        .item("left", number(1))
        .send()
        .await
        .unwrap();
}

fn claim(client: &Client, who: &str) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
    client
        .update_item()
        .table_name(TABLE)
        .key("pk", text("job"))
        .key("sk", text("J"))
        .update_expression("SET holder = :who, #left = #left - :one")
        .condition_expression("attribute_not_exists(holder) AND #left >= :one")
        .expression_attribute_names("#left", "left")
        .expression_attribute_values(":who", text(who))
        .expression_attribute_values(":one", number(1))
        .return_values(ReturnValue::AllNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
}

async fn one_of_sixteen_racing_claims_wins(rig: Rig) {
    let rig = rig.with_table().await;
    let client = &rig.clients.dynamodb;
    put(client, "job", "J").await;
    let claims = (0..16).map(|number| {
        let claim = claim(client, &format!("worker-{number}"));
        tokio::spawn(async move { claim.send().await })
    });
    let outcomes: Vec<_> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1);
    let winner = &winners[0].attributes.as_ref().unwrap()["holder"];
    for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        let error = lost.as_service_error().unwrap();
        assert!(error.is_conditional_check_failed_exception(), "{error:?}");
    }
    let stored = client.get_item().table_name(TABLE).key("pk", text("job")).key("sk", text("J")).send().await.unwrap();
    let stored = stored.item.unwrap();
    assert_eq!((&stored["holder"], &stored["left"]), (winner, &number(0)));
}

async fn a_lost_condition_returns_the_item_that_stands(rig: Rig) {
    let rig = rig.with_table().await;
    let client = &rig.clients.dynamodb;
    put(client, "job", "J").await;
    claim(client, "first").send().await.unwrap();
    let error = claim(client, "second").send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failed) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(failed.item.unwrap()["holder"], text("first"));
}

async fn a_transaction_is_whole_or_not_at_all(rig: Rig) {
    let rig = rig.with_table().await;
    let client = &rig.clients.dynamodb;
    put(client, "job", "J").await;
    let item = Put::builder().table_name(TABLE).item("pk", text("job")).item("sk", text("S#1")).build().unwrap();
    let check = ConditionCheck::builder()
        .table_name(TABLE)
        .key("pk", text("job"))
        .key("sk", text("J"))
        .condition_expression("attribute_exists(holder)")
        .build()
        .unwrap();
    let transaction = || {
        client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().put(item.clone()).build())
            .transact_items(TransactWriteItem::builder().condition_check(check.clone()).build())
            .send()
    };
    let refused = transaction().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        cancelled,
    ) = refused
    else {
        panic!("{refused:?}");
    };
    let codes: Vec<_> = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code.as_deref()).collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert_eq!(count(client).await, 1);
    claim(client, "somebody").send().await.unwrap();
    transaction().await.unwrap();
    assert_eq!(count(client).await, 2);
}

async fn count(client: &Client) -> i32 {
    let found = client
        .query()
        .table_name(TABLE)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", text("job"));
    found.send().await.unwrap().count
}

async fn a_repeated_client_token_writes_once(rig: Rig) {
    let rig = rig.with_table().await;
    let client = &rig.clients.dynamodb;
    put(client, "job", "J").await;
    let update = Update::builder()
        .table_name(TABLE)
        .key("pk", text("job"))
        .key("sk", text("J"))
        .update_expression("ADD times :one")
        .expression_attribute_values(":one", number(1))
        .build()
        .unwrap();
    for _ in 0..3 {
        let items = TransactWriteItem::builder().update(update.clone()).build();
        client.transact_write_items().client_request_token("the-same").transact_items(items).send().await.unwrap();
    }
    let stored = client.get_item().table_name(TABLE).key("pk", text("job")).key("sk", text("J")).send().await.unwrap();
    assert_eq!(stored.item.unwrap()["times"], number(1));
}

async fn an_index_is_queried_in_pages(rig: Rig) {
    let rig = rig.with_table().await;
    let client = &rig.clients.dynamodb;
    for number in 0..25 {
        put(client, &format!("job-{number}"), &format!("{number:02}")).await;
    }
    let mut seen = Vec::new();
    let mut pages = client
        .query()
        .table_name(TABLE)
        .index_name("by_owner")
        .key_condition_expression("#owner = :owner")
        .expression_attribute_names("#owner", "owner")
        .expression_attribute_values(":owner", text("ada"))
        .limit(10)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        seen.extend(page.unwrap().items.unwrap().iter().map(|item| item["sk"].as_s().unwrap().clone()));
    }
    let expected: Vec<String> = (0..25).map(|number| format!("{number:02}")).collect();
    assert_eq!(seen, expected);
}

async fn an_item_over_400_kb_is_refused(rig: Rig) {
    let rig = rig.with_table().await;
    let put = rig.clients.dynamodb.put_item().table_name(TABLE).item("pk", text("big")).item("sk", text("J"));
    let error = put.item("body", text(&"x".repeat(400 * 1_024))).send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
    assert!(error.message().unwrap().contains("Item size"), "{error:?}");
}

async fn an_absent_table_is_a_typed_error(rig: Rig) {
    let get = rig.clients.dynamodb.get_item().table_name("nowhere").key("pk", text("a")).key("sk", text("b"));
    let error = get.send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
}

async fn an_unknown_attribute_name_in_an_expression_is_a_validation_error(rig: Rig) {
    let rig = rig.with_table().await;
    let update = rig.clients.dynamodb.update_item().table_name(TABLE).key("pk", text("a")).key("sk", text("b"));
    let error = update.update_expression("SET #absent = :one").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expired_is_swept_and_noted_as_a_write() {
    let rig = Rig::start(crate::rig::Way::InProcess).await.with_table().await;
    let client = &rig.clients.dynamodb;
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("gone_at").build().unwrap();
    client.update_time_to_live().table_name(TABLE).time_to_live_specification(ttl).send().await.unwrap();
    put(client, "job", "kept").await;
    let expired = client.put_item().table_name(TABLE).item("pk", text("job")).item("sk", text("gone"));
    expired.item("gone_at", number(1_700_000_000)).send().await.unwrap();
    let mut writes = rig.stack.table().writes();
    writes.mark_unchanged();
    assert_eq!(rig.stack.table().sweep_expired().await.unwrap(), 1);
    assert!(writes.has_changed().unwrap());
    assert_eq!(count(client).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_records_are_pruned_up_to_what_was_consumed() {
    let rig = Rig::start(crate::rig::Way::InProcess).await.with_table().await;
    for sk in ["1", "2", "3", "4"] {
        put(&rig.clients.dynamodb, "job", sk).await;
    }
    let table = rig.stack.table();
    let page = table.stream_page(TABLE, None, 100).await.unwrap();
    let numbers: Vec<&str> =
        page.records.iter().map(|record| record["dynamodb"]["SequenceNumber"].as_str().unwrap()).collect();
    assert_eq!(numbers.len(), 4);
    assert_eq!(table.prune_consumed(TABLE, numbers[1]).await.unwrap(), 2);
    assert_eq!(table.prune_consumed(TABLE, numbers[1]).await.unwrap(), 0);
    let left = table.stream_page(TABLE, None, 100).await.unwrap();
    assert_eq!(left.records[0]["dynamodb"]["Keys"]["sk"]["S"], "3");
    // The newest stays, so that the next number is larger than any before.
    assert_eq!(table.prune_consumed(TABLE, numbers[3]).await.unwrap(), 1);
    let after = table.stream_page(TABLE, Some(numbers[1]), 100).await.unwrap();
    assert_eq!(after.records.len(), 1);
}
