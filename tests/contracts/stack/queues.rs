//! The queues: sending, receiving, hiding, in batches and alone.

use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};

use crate::rig::{Rig, both_ways};

both_ways!(
    a_message_comes_back_with_its_digests_and_attributes,
    a_deleted_message_is_gone_and_a_repeat_is_no_error,
    a_batch_reports_each_entry,
    what_breaks_a_limit_is_refused,
    a_long_poll_ends_when_a_message_comes,
    a_queue_is_made_once_and_named,
    a_purge_leaves_nothing,
    a_message_may_have_a_group,
);

fn attribute(kind: &str, text: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type(kind).string_value(text).build().unwrap()
}

async fn a_message_comes_back_with_its_digests_and_attributes(rig: Rig) {
    let url = rig.queue("steps", &[]).await;
    let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 159, 146])).build();
    let sent = rig
        .clients
        .sqs
        .send_message()
        .queue_url(&url)
        .message_body("This is a test message")
        .message_attributes("number", attribute("Number", "7"))
        .message_attributes("binary", binary.unwrap())
        .message_attributes("text", attribute("String", "hello"))
        .send()
        .await
        .unwrap();
    // Worked out apart, by the algorithm that the SQS Developer Guide gives.
    assert_eq!(sent.md5_of_message_body().unwrap(), "fafb00f5732ab283681e124bf8747ed1");
    assert_eq!(sent.md5_of_message_attributes().unwrap(), "745e81113d0b774fb99d4eef579fcb69");
    let received = rig.clients.sqs.receive_message().queue_url(&url).message_attribute_names("All");
    let received = received.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let message = &received.messages()[0];
    assert_eq!(message.body(), Some("This is a test message"));
    assert_eq!(message.message_id(), sent.message_id());
    assert_eq!(message.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
    let attributes = message.message_attributes().unwrap();
    assert_eq!(attributes["binary"].binary_value().unwrap().as_ref(), [0, 159, 146]);
    assert_eq!(attributes["text"].string_value(), Some("hello"));
    let system = message.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert_eq!(system[&MessageSystemAttributeName::SentTimestamp], crate::rig::START_MS.to_string());
}

async fn a_message_may_have_a_group(rig: Rig) {
    let url = rig.queue("steps", &[]).await;
    let send = |group: &str| rig.clients.sqs.send_message().queue_url(&url).message_body("x").message_group_id(group);
    send("acme").send().await.unwrap();
    let odd = send("no spaces").send().await.unwrap_err().into_service_error();
    assert_eq!(odd.code(), Some("InvalidParameterValue"));
    let ordered = send("acme").message_deduplication_id("1").send().await.unwrap_err().into_service_error();
    assert_eq!(ordered.code(), Some("InvalidParameterValue"), "that is for FIFO queues");
    let receive = rig.clients.sqs.receive_message().queue_url(&url);
    let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    let told = |message: &Message| message.attributes().unwrap()[&MessageSystemAttributeName::MessageGroupId].clone();
    assert_eq!(received.messages().iter().map(told).collect::<Vec<_>>(), ["acme"]);
}

async fn a_deleted_message_is_gone_and_a_repeat_is_no_error(rig: Rig) {
    let url = rig.queue("steps", &[("VisibilityTimeout", "5")]).await;
    rig.clients.sqs.send_message().queue_url(&url).message_body("once").send().await.unwrap();
    let received = rig.clients.sqs.receive_message().queue_url(&url).send().await.unwrap();
    let receipt = received.messages()[0].receipt_handle().unwrap();
    for _ in 0..2 {
        rig.clients.sqs.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
    }
    rig.step_s(60);
    let received = rig.clients.sqs.receive_message().queue_url(&url).send().await.unwrap();
    assert!(received.messages().is_empty());
    let foreign = rig.clients.sqs.delete_message().queue_url(&url).receipt_handle("nonsense").send().await;
    assert!(foreign.unwrap_err().into_service_error().is_receipt_handle_is_invalid());
}

async fn a_batch_reports_each_entry(rig: Rig) {
    let url = rig.queue("steps", &[]).await;
    let entry = |id: &str, body: &str| SendMessageBatchRequestEntry::builder().id(id).message_body(body);
    let sent = rig
        .clients
        .sqs
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("good", "one").build().unwrap())
        .entries(entry("late", "two").delay_seconds(901).build().unwrap())
        .entries(entry("also", "three").build().unwrap())
        .send()
        .await
        .unwrap();
    let ids: Vec<_> = sent.successful().iter().map(SendMessageBatchResultEntry::id).collect();
    assert_eq!(ids, ["good", "also"]);
    assert_eq!((sent.failed()[0].id(), sent.failed()[0].code()), ("late", "InvalidParameterValue"));
    assert!(sent.failed()[0].sender_fault());
    let received = rig.clients.sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await.unwrap();
    assert_eq!(received.messages().len(), 2);
    let mut delete = rig.clients.sqs.delete_message_batch().queue_url(&url);
    for (id, message) in received.messages().iter().enumerate() {
        let receipt = message.receipt_handle().unwrap();
        let entry = DeleteMessageBatchRequestEntry::builder().id(id.to_string()).receipt_handle(receipt);
        delete = delete.entries(entry.build().unwrap());
    }
    assert_eq!(delete.send().await.unwrap().successful().len(), 2);
    let depth = rig.stack.queues().depth("steps").unwrap();
    assert_eq!((depth.ready, depth.in_flight, depth.delayed), (0, 0, 0));
}

async fn what_breaks_a_limit_is_refused(rig: Rig) {
    let url = rig.queue("steps", &[]).await;
    let sqs = &rig.clients.sqs;
    let entries = |count: usize, body: &str| {
        let entry = |id| SendMessageBatchRequestEntry::builder().id(format!("e{id}")).message_body(body).build();
        sqs.send_message_batch().queue_url(&url).set_entries(Some((0..count).map(|id| entry(id).unwrap()).collect()))
    };
    let many = entries(11, "x").send().await.unwrap_err().into_service_error();
    assert!(many.is_too_many_entries_in_batch_request(), "{many:?}");
    let long = entries(2, &"x".repeat(600_000)).send().await.unwrap_err().into_service_error();
    assert!(long.is_batch_request_too_long(), "{long:?}");
    let none = entries(0, "x").send().await.unwrap_err().into_service_error();
    assert!(none.is_empty_batch_request(), "{none:?}");
    let send = |body: String| sqs.send_message().queue_url(&url).message_body(body).send();
    send("x".repeat(1_048_576)).await.unwrap();
    let large = send("x".repeat(1_048_577)).await.unwrap_err().into_service_error();
    assert_eq!(large.code(), Some("InvalidParameterValue"));
    let odd = send("\u{1}".to_owned()).await.unwrap_err().into_service_error();
    assert!(odd.is_invalid_message_contents(), "{odd:?}");
    let absent = sqs.receive_message().queue_url("http://x/0/absent").send().await.unwrap_err().into_service_error();
    assert!(absent.is_queue_does_not_exist(), "{absent:?}");
}

async fn a_long_poll_ends_when_a_message_comes(rig: Rig) {
    let url = rig.queue("steps", &[]).await;
    let receive = rig.clients.sqs.receive_message().queue_url(&url).wait_time_seconds(20);
    let waiting = tokio::spawn(async move { receive.send().await });
    // The clock stands still, so nothing but the message ends the wait.
    rig.clients.sqs.send_message().queue_url(&url).message_body("ring").send().await.unwrap();
    let received = waiting.await.unwrap().unwrap();
    assert_eq!(received.messages()[0].body(), Some("ring"));
}

async fn a_queue_is_made_once_and_named(rig: Rig) {
    let url = rig.queue("steps", &[("VisibilityTimeout", "7")]).await;
    assert_eq!(rig.queue("steps", &[("VisibilityTimeout", "7")]).await, url);
    let other =
        rig.clients.sqs.create_queue().queue_name("steps").attributes(QueueAttributeName::VisibilityTimeout, "8");
    assert!(other.send().await.unwrap_err().into_service_error().is_queue_name_exists());
    let found = rig.clients.sqs.get_queue_url().queue_name("steps").send().await.unwrap();
    assert_eq!(found.queue_url(), Some(url.as_str()));
    let attributes = rig.clients.sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
    let attributes = attributes.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "7");
    assert_eq!(attributes[&QueueAttributeName::QueueArn], "arn:aws:sqs:us-east-1:000000000000:steps");
    let absent = rig.clients.sqs.get_queue_url().queue_name("absent").send().await;
    assert!(absent.unwrap_err().into_service_error().is_queue_does_not_exist());
}

async fn a_purge_leaves_nothing(rig: Rig) {
    let url = rig.queue("steps", &[]).await;
    for body in ["one", "two"] {
        rig.clients.sqs.send_message().queue_url(&url).message_body(body).send().await.unwrap();
    }
    rig.clients.sqs.receive_message().queue_url(&url).send().await.unwrap();
    rig.clients.sqs.purge_queue().queue_url(&url).send().await.unwrap();
    rig.step_s(3_600);
    assert!(rig.clients.sqs.receive_message().queue_url(&url).send().await.unwrap().messages().is_empty());
}
