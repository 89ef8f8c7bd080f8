//! Sending, deleting and hiding messages, one at a time and in batches.

use std::collections::BTreeSet;

use super::error::Refusal;
use super::settings::{DELAY_S, MESSAGE_BYTES_MAX, VISIBILITY_S};
use super::store::{Message, Queue, Unchanged};
use super::wire_types::{
    Attributes, Batch, Done, Entry, Failed, NewMessage, OnQueue, Outcome, Receipt, Send, Sent, Visibility,
};
use super::{Queues, api, digest, name_of};
use crate::ids;

/// Entries of a batch, at most.
const ENTRIES_MAX: usize = 10;

/// Attributes of a message, at most.
const ATTRIBUTES_MAX: usize = 10;

/// An entry's id is at most this long.
const ENTRY_ID_MAX: usize = 80;

/// A message's group is at most this long.
const GROUP_MAX: usize = 128;

/// What SQS answers where there is nothing to say.
#[derive(serde::Serialize)]
struct Nothing {}

pub(super) fn send(queues: &Queues, body: &[u8]) -> Result<String, Refusal> {
    let Send { queue_url, message } = api::parse(body)?;
    let sent = queues.on(&queue_url, |queue, now_ms| put(queue, message, now_ms))?;
    api::json(&sent)
}

pub(super) fn send_batch(queues: &Queues, body: &[u8]) -> Result<String, Refusal> {
    let batch: Batch<NewMessage> = api::parse(body)?;
    check_batch(&batch.entries)?;
    let bytes: usize = batch.entries.iter().map(|entry| size(&entry.what)).sum();
    if bytes > MESSAGE_BYTES_MAX {
        return Err(Refusal::new(
            "BatchRequestTooLong",
            format!("Batch requests cannot be longer than {MESSAGE_BYTES_MAX} bytes. You have sent {bytes} bytes."),
        ));
    }
    each(queues, batch, put)
}

pub(super) fn delete(queues: &Queues, body: &[u8]) -> Result<String, Refusal> {
    let request: OnQueue<Receipt> = api::parse(body)?;
    queues.on(&request.queue_url, |queue, _| remove(queue, &request.queue_url, &request.what))?;
    Ok("{}".to_owned())
}

pub(super) fn delete_batch(queues: &Queues, body: &[u8]) -> Result<String, Refusal> {
    let batch: Batch<Receipt> = api::parse(body)?;
    check_batch(&batch.entries)?;
    let url = batch.queue_url.clone();
    each(queues, batch, |queue, receipt, _| remove(queue, &url, &receipt))
}

pub(super) fn change_visibility(queues: &Queues, body: &[u8]) -> Result<String, Refusal> {
    let request: OnQueue<Visibility> = api::parse(body)?;
    queues.on(&request.queue_url, |queue, now_ms| hide(queue, &request.queue_url, &request.what, now_ms))?;
    Ok("{}".to_owned())
}

pub(super) fn change_visibility_batch(queues: &Queues, body: &[u8]) -> Result<String, Refusal> {
    let batch: Batch<Visibility> = api::parse(body)?;
    check_batch(&batch.entries)?;
    let url = batch.queue_url.clone();
    each(queues, batch, |queue, visibility, now_ms| hide(queue, &url, &visibility, now_ms))
}

fn put(queue: &mut Queue, message: NewMessage, now_ms: u64) -> Result<Sent, Refusal> {
    let delay_s = api::within("DelaySeconds", message.delay_seconds, DELAY_S)?.unwrap_or(queue.settings.delay_s);
    check_message(&message, queue.settings.message_bytes_max)?;
    let id = ids::uuid();
    let sent = Sent {
        message_id: id.clone(),
        md5_of_body: digest::of_body(&message.message_body),
        md5_of_attributes: digest::of_attributes(&message.message_attributes),
        md5_of_system_attributes: digest::of_attributes(&message.message_system_attributes),
    };
    let stored = Message {
        id,
        body: message.message_body,
        md5_of_body: sent.md5_of_body.clone(),
        attributes: message.message_attributes,
        system_attributes: message.message_system_attributes,
        group: message.message_group_id,
        sent_ms: now_ms,
        first_received_ms: None,
        receives: 0,
        dead_from: None,
    };
    queue.put(stored, delay_s * 1_000, now_ms);
    Ok(sent)
}

fn check_message(message: &NewMessage, bytes_max: usize) -> Result<(), Refusal> {
    if message.message_deduplication_id.is_some() {
        return Err(Refusal::parameter("MessageDeduplicationId needs a FIFO queue."));
    }
    if message.message_group_id.as_ref().is_some_and(|group| !is_group(group)) {
        return Err(Refusal::parameter(
            "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length",
        ));
    }
    if message.message_body.is_empty() {
        return Err(Refusal::missing("MessageBody"));
    }
    let bytes = size(message);
    if bytes > bytes_max {
        return Err(Refusal::parameter(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {bytes_max} bytes."
        )));
    }
    if let Some(character) = message.message_body.chars().find(|character| !is_allowed(*character)) {
        return Err(Refusal::new(
            "InvalidMessageContents",
            format!("Invalid binary character '#x{:X}' was found in the message body.", u32::from(character)),
        ));
    }
    check_attributes(&message.message_attributes)
}

/// Of a standard queue the group makes it fair, which shows only under many consumers: here it is kept and told.
fn is_group(group: &str) -> bool {
    (1..=GROUP_MAX).contains(&group.len()) && group.chars().all(|character| character.is_ascii_graphic())
}

/// The characters that SQS takes: those of XML 1.0.
fn is_allowed(character: char) -> bool {
    matches!(character, '\u{9}' | '\u{a}' | '\u{d}' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn check_attributes(attributes: &Attributes) -> Result<(), Refusal> {
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(Refusal::parameter(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [10].",
            attributes.len()
        )));
    }
    for (name, attribute) in attributes {
        let kind = attribute.data_type.split('.').next().unwrap_or_default();
        let fits = match kind {
            "String" | "Number" => attribute.string_value.as_ref().is_some_and(|text| !text.is_empty()),
            "Binary" => attribute.binary_value.as_ref().is_some_and(|binary| !binary.is_empty()),
            _ => false,
        };
        if !fits {
            return Err(Refusal::parameter(format!(
                "The message attribute '{name}' must have a type of String, Number or Binary, and a value of that type."
            )));
        }
    }
    Ok(())
}

fn size(message: &NewMessage) -> usize {
    let attributes = message.message_attributes.iter().map(|(name, attribute)| {
        let text = attribute.string_value.as_ref().map_or(0, String::len);
        let binary = attribute.binary_value.as_ref().map_or(0, Vec::len);
        name.len() + attribute.data_type.len() + text + binary
    });
    message.message_body.len() + attributes.sum::<usize>()
}

fn remove(queue: &mut Queue, url: &str, receipt: &Receipt) -> Result<Nothing, Refusal> {
    let (place, receive) = read_receipt(url, &receipt.receipt_handle)?;
    queue.delete(place, receive);
    Ok(Nothing {})
}

fn hide(queue: &mut Queue, url: &str, request: &Visibility, now_ms: u64) -> Result<Nothing, Refusal> {
    let receipt = read_receipt(url, &request.receipt_handle)?;
    let visibility_s = api::within("VisibilityTimeout", request.visibility_timeout, VISIBILITY_S)?
        .ok_or_else(|| Refusal::missing("VisibilityTimeout"))?;
    match queue.hide(receipt, visibility_s * 1_000, now_ms) {
        Ok(()) => Ok(Nothing {}),
        Err(Unchanged::NotInFlight) => {
            Err(Refusal::new("MessageNotInflight", "The specified message isn't in flight."))
        }
        Err(Unchanged::Gone) => {
            Err(Refusal::parameter("Message does not exist or is not available for visibility timeout change."))
        }
    }
}

/// A receipt is `queue/place/receive`.
fn read_receipt(url: &str, handle: &str) -> Result<(u64, u32), Refusal> {
    let mut parts = handle.split('/');
    let of_queue = parts.next() == Some(name_of(url));
    let place = parts.next().and_then(|place| place.parse().ok());
    let receive = parts.next().and_then(|receive| receive.parse().ok());
    match (place, receive, parts.next()) {
        (Some(place), Some(receive), None) if of_queue => Ok((place, receive)),
        _ => Err(Refusal::receipt()),
    }
}

fn check_batch<E>(entries: &[Entry<E>]) -> Result<(), Refusal> {
    if entries.is_empty() {
        return Err(Refusal::new("EmptyBatchRequest", "There should be at least one entry in the request."));
    }
    if entries.len() > ENTRIES_MAX {
        return Err(Refusal::new(
            "TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are {ENTRIES_MAX}. You have sent {}.", entries.len()),
        ));
    }
    let fits = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    let mut ids = BTreeSet::new();
    for Entry { id, .. } in entries {
        if id.is_empty() || id.len() > ENTRY_ID_MAX || !id.chars().all(fits) {
            return Err(Refusal::new(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
            ));
        }
        if !ids.insert(id) {
            return Err(Refusal::new("BatchEntryIdsNotDistinct", format!("Id {id} repeated.")));
        }
    }
    Ok(())
}

/// Does the entries of a batch one by one; one that fails keeps none of the others.
fn each<E, S: serde::Serialize>(
    queues: &Queues,
    batch: Batch<E>,
    mut work: impl FnMut(&mut Queue, E, u64) -> Result<S, Refusal>,
) -> Result<String, Refusal> {
    let outcome = queues.on(&batch.queue_url, |queue, now_ms| {
        let mut outcome = Outcome { successful: Vec::new(), failed: Vec::new() };
        for Entry { id, what } in batch.entries {
            match work(queue, what, now_ms) {
                Ok(what) => outcome.successful.push(Done { id, what }),
                Err(Refusal { code, message }) => {
                    outcome.failed.push(Failed { id, sender_fault: true, code, message });
                }
            }
        }
        Ok(outcome)
    })?;
    api::json(&outcome)
}
