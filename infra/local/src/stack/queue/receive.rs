//! Receiving, the one operation that waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::Refusal;
use super::settings::{VISIBILITY_S, WAIT_S};
use super::store::{Delivery, Message, Queue, Taken};
use super::wire_types::{Attributes, Receive, Received};
use super::{Queues, api, digest, name_of};

/// Messages in one receive, at most.
const RECEIVE_MAX: i64 = 10;

pub(super) async fn receive(queues: &Queues, body: &[u8]) -> Result<String, Refusal> {
    let request: Receive = api::parse(body)?;
    let max = request.max_number_of_messages.unwrap_or(1);
    if !(1..=RECEIVE_MAX).contains(&max) {
        return Err(Refusal::parameter("MaxNumberOfMessages must be between 1 and 10."));
    }
    let wait_s = api::within("WaitTimeSeconds", request.wait_time_seconds, WAIT_S)?;
    let visibility_s = api::within("VisibilityTimeout", request.visibility_timeout, VISIBILITY_S)?;
    let (bell, wait_s) = queues
        .on(&request.queue_url, |queue, _| Ok((Arc::clone(&queue.bell), wait_s.unwrap_or(queue.settings.wait_s))))?;
    let until_ms = queues.clock.now_ms() + wait_s * 1_000;
    let max = usize::try_from(max).unwrap_or(1);
    loop {
        let mut rung = std::pin::pin!(bell.notified());
        // From here on no ring is missed, so what is put after the look below ends the wait.
        rung.as_mut().enable();
        let (messages, next_ms) = look(queues, &request, max, visibility_s)?;
        if !messages.is_empty() || queues.clock.now_ms() >= until_ms {
            return api::json(&answer(messages));
        }
        let sleep = queues.clock.sleep_until(next_ms.map_or(until_ms, |next_ms| next_ms.min(until_ms)));
        tokio::select! {
            () = rung => {}
            () = sleep => {}
        }
    }
}

fn answer(messages: Vec<Received>) -> BTreeMap<&'static str, Vec<Received>> {
    // An empty list is left out, as SQS does.
    Some(messages).filter(|messages| !messages.is_empty()).map(|messages| ("Messages", messages)).into_iter().collect()
}

/// Takes what can be received now, and moves on what was received too often.
fn look(
    queues: &Queues,
    request: &Receive,
    max: usize,
    visibility_s: Option<u64>,
) -> Result<(Vec<Received>, Option<u64>), Refusal> {
    let now_ms = queues.clock.now_ms();
    let name = name_of(&request.queue_url);
    let mut all = queues.lock();
    let queue = all.get_mut(name).ok_or_else(Refusal::no_queue)?;
    let hidden_ms = visibility_s.unwrap_or(queue.settings.visibility_s) * 1_000;
    let Taken { deliveries, dead } = queue.take(max, hidden_ms, now_ms);
    let next_ms = queue.next_change_ms();
    let target = queue.settings.redrive.as_ref().map(|redrive| redrive.target.clone());
    match target.and_then(|target| all.get_mut(&target)) {
        Some(target) => {
            for message in dead {
                bury(target, message, name, now_ms);
            }
        }
        None if dead.is_empty() => {}
        None => tracing::error!(queue = name, count = dead.len(), "dead letters are lost: their queue was deleted"),
    }
    Ok((deliveries.into_iter().map(|delivery| received(name, request, delivery)).collect(), next_ms))
}

fn bury(target: &mut Queue, message: Message, from: &str, now_ms: u64) {
    let message = Message { receives: 0, first_received_ms: None, dead_from: Some(super::arn(from)), ..message };
    target.put(message, 0, now_ms);
}

fn received(queue: &str, request: &Receive, delivery: Delivery) -> Received {
    let Delivery { place, message } = delivery;
    let receipt_handle = format!("{queue}/{place}/{}", message.receives);
    let attributes = system_attributes(request, &message);
    let message_attributes: Attributes = message
        .attributes
        .into_iter()
        .filter(|(name, _)| request.message_attribute_names.iter().any(|wanted| matches(wanted, name)))
        .collect();
    Received {
        message_id: message.id,
        receipt_handle,
        md5_of_body: message.md5_of_body,
        body: message.body,
        attributes,
        md5_of_attributes: digest::of_attributes(&message_attributes),
        message_attributes,
    }
}

/// A wanted name is a name, `All`, `.*`, or a prefix that ends in `.*`.
fn matches(wanted: &str, name: &str) -> bool {
    wanted == "All" || wanted == name || wanted.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
}

fn system_attributes(request: &Receive, message: &Message) -> BTreeMap<&'static str, String> {
    let trace = message.system_attributes.get("AWSTraceHeader").and_then(|trace| trace.string_value.clone());
    let known = [
        ("ApproximateReceiveCount", Some(message.receives.to_string())),
        ("ApproximateFirstReceiveTimestamp", message.first_received_ms.map(|ms| ms.to_string())),
        ("SentTimestamp", Some(message.sent_ms.to_string())),
        ("SenderId", Some("000000000000".to_owned())),
        ("DeadLetterQueueSourceArn", message.dead_from.clone()),
        ("MessageGroupId", message.group.clone()),
        ("AWSTraceHeader", trace),
    ];
    let wanted = |name: &str| {
        let mut names = request.attribute_names.iter().chain(&request.message_system_attribute_names);
        names.any(|wanted| wanted == "All" || wanted == name)
    };
    known.into_iter().filter(|(name, _)| wanted(name)).filter_map(|(name, value)| Some((name, value?))).collect()
}
