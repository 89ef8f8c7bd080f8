//! The queues under a stepped clock: delay, visibility, receive counts, dead letters.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};

use crate::rig::{Rig, both_ways};

both_ways!(
    a_message_is_hidden_until_its_time_out_and_counts_its_receives,
    an_older_receipt_deletes_nothing,
    visibility_can_be_given_up_and_extended,
    a_delayed_message_waits,
    a_message_received_too_often_is_a_dead_letter,
    a_waiting_receive_gets_what_becomes_visible,
    an_old_message_is_forgotten,
);

async fn receive(rig: &Rig, url: &str) -> Option<Message> {
    let receive = rig.clients.sqs.receive_message().queue_url(url);
    let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    received.messages.unwrap_or_default().pop()
}

fn count(message: &Message) -> &str {
    &message.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount]
}

async fn send(rig: &Rig, url: &str) {
    rig.clients.sqs.send_message().queue_url(url).message_body("ring").send().await.unwrap();
}

async fn a_message_is_hidden_until_its_time_out_and_counts_its_receives(rig: Rig) {
    let url = rig.queue("steps", &[("VisibilityTimeout", "30")]).await;
    send(&rig, &url).await;
    assert_eq!(count(&receive(&rig, &url).await.unwrap()), "1");
    rig.step_s(29);
    assert!(receive(&rig, &url).await.is_none());
    rig.step_s(1);
    assert_eq!(count(&receive(&rig, &url).await.unwrap()), "2");
}

async fn an_older_receipt_deletes_nothing(rig: Rig) {
    let url = rig.queue("steps", &[("VisibilityTimeout", "30")]).await;
    send(&rig, &url).await;
    let first = receive(&rig, &url).await.unwrap();
    rig.step_s(30);
    let second = receive(&rig, &url).await.unwrap();
    let delete = |message: &Message| {
        rig.clients.sqs.delete_message().queue_url(&url).receipt_handle(message.receipt_handle().unwrap()).send()
    };
    delete(&first).await.unwrap();
    rig.step_s(30);
    // Visible again, but nobody received it since: its receipt still holds.
    delete(&second).await.unwrap();
    assert!(receive(&rig, &url).await.is_none());
    assert_eq!(rig.stack.queues().depth("steps").unwrap().in_flight, 0);
}

async fn visibility_can_be_given_up_and_extended(rig: Rig) {
    let url = rig.queue("steps", &[("VisibilityTimeout", "30")]).await;
    send(&rig, &url).await;
    let hide = |message: &Message, seconds| {
        let hide = rig.clients.sqs.change_message_visibility().queue_url(&url).visibility_timeout(seconds);
        hide.receipt_handle(message.receipt_handle().unwrap()).send()
    };
    let first = receive(&rig, &url).await.unwrap();
    hide(&first, 0).await.unwrap();
    let late = hide(&first, 10).await.unwrap_err().into_service_error();
    assert!(late.is_message_not_inflight(), "{late:?}");
    let second = receive(&rig, &url).await.unwrap();
    hide(&second, 100).await.unwrap();
    rig.step_s(99);
    assert!(receive(&rig, &url).await.is_none());
    rig.step_s(1);
    assert_eq!(count(&receive(&rig, &url).await.unwrap()), "3");
}

async fn a_delayed_message_waits(rig: Rig) {
    let url = rig.queue("steps", &[]).await;
    rig.clients.sqs.send_message().queue_url(&url).message_body("later").delay_seconds(900).send().await.unwrap();
    assert_eq!(rig.stack.queues().depth("steps").unwrap().delayed, 1);
    rig.step_s(899);
    assert!(receive(&rig, &url).await.is_none());
    rig.step_s(1);
    assert!(receive(&rig, &url).await.is_some());
}

async fn a_message_received_too_often_is_a_dead_letter(rig: Rig) {
    let dead = rig.queue("steps-dead", &[]).await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:steps-dead","maxReceiveCount":"2"}"#;
    let url = rig.queue("steps", &[("VisibilityTimeout", "30"), ("RedrivePolicy", policy)]).await;
    send(&rig, &url).await;
    for expected in ["1", "2"] {
        assert_eq!(count(&receive(&rig, &url).await.unwrap()), expected);
        assert!(receive(&rig, &dead).await.is_none());
        rig.step_s(30);
    }
    assert!(receive(&rig, &url).await.is_none());
    let letter = receive(&rig, &dead).await.unwrap();
    assert_eq!(letter.body(), Some("ring"));
    let from = &letter.attributes().unwrap()[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert_eq!(from, "arn:aws:sqs:us-east-1:000000000000:steps");
    assert_eq!(rig.stack.queues().depth("steps").unwrap(), convoke::stack::queue::Depth::default());
}

async fn a_waiting_receive_gets_what_becomes_visible(rig: Rig) {
    let url = rig.queue("steps", &[("VisibilityTimeout", "5")]).await;
    send(&rig, &url).await;
    receive(&rig, &url).await.unwrap();
    let poll = rig.clients.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let (received, ()) = tokio::join!(poll, async { rig.step_s(5) });
    assert_eq!(received.unwrap().messages().len(), 1);
}

async fn an_old_message_is_forgotten(rig: Rig) {
    let url = rig.queue("steps", &[("MessageRetentionPeriod", "60")]).await;
    send(&rig, &url).await;
    rig.step_s(60);
    assert!(receive(&rig, &url).await.is_none());
}
