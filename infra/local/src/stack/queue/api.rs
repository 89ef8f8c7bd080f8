//! The operations that answer at once.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::error::Refusal;
use super::settings::Settings;
use super::store::Queue;
use super::wire_types::{CreateQueue, GetAttributes, ListQueues, NamedQueue, OneQueue, SetAttributes};
use super::{Queues, arn, messages, name_of, url};
use crate::stack::wire;

/// A queue's name is at most this long.
const NAME_MAX: usize = 80;

pub(super) fn answer(queues: &Queues, operation: &str, body: &[u8]) -> Result<HttpResponse, ConnectorError> {
    finish(call(queues, operation, body))
}

pub(super) fn finish(answer: Result<String, Refusal>) -> Result<HttpResponse, ConnectorError> {
    match answer {
        Ok(body) => wire::json_answer(200, body),
        Err(refusal) => {
            let mut answer = wire::json_answer(400, refusal.body())?;
            answer.headers_mut().insert("x-amzn-query-error", format!("{};Sender", refusal.query_code()));
            Ok(answer)
        }
    }
}

fn call(queues: &Queues, operation: &str, body: &[u8]) -> Result<String, Refusal> {
    match operation {
        "SendMessage" => messages::send(queues, body),
        "SendMessageBatch" => messages::send_batch(queues, body),
        "DeleteMessage" => messages::delete(queues, body),
        "DeleteMessageBatch" => messages::delete_batch(queues, body),
        "ChangeMessageVisibility" => messages::change_visibility(queues, body),
        "ChangeMessageVisibilityBatch" => messages::change_visibility_batch(queues, body),
        "CreateQueue" => create(queues, parse(body)?),
        "DeleteQueue" => delete_queue(queues, &parse(body)?),
        "GetQueueUrl" => get_url(queues, &parse(body)?),
        "ListQueues" => list(queues, &parse(body)?),
        "GetQueueAttributes" => get_attributes(queues, &parse(body)?),
        "SetQueueAttributes" => set_attributes(queues, &parse(body)?),
        "PurgeQueue" => purge(queues, &parse(body)?),
        _ => Err(Refusal::new("UnsupportedOperation", format!("{operation} is not supported here."))),
    }
}

/// Reads a request. What is missing or of the wrong type is named in the refusal.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| match error.to_string().strip_prefix("missing field `") {
        Some(rest) => Refusal::missing(rest.split('`').next().unwrap_or_default()),
        None => Refusal::new("SerializationException", error.to_string()),
    })
}

pub(super) fn json(answer: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(answer).map_err(|error| Refusal::new("InternalFailure", error.to_string()))
}

/// A number of seconds that may be absent but not outside its limits.
pub(super) fn within(name: &str, value: Option<i64>, limits: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    match u64::try_from(value) {
        Ok(value) if limits.contains(&value) => Ok(Some(value)),
        _ => {
            let (least, most) = limits.into_inner();
            Err(Refusal::parameter(format!(
                "Value {value} for parameter {name} is invalid. Reason: Must be >= {least} and <= {most}."
            )))
        }
    }
}

/// Creating a queue again with the same attributes is no error.
fn create(queues: &Queues, request: CreateQueue) -> Result<String, Refusal> {
    let CreateQueue { queue_name: name, attributes } = request;
    let fits = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
        return Err(Refusal::parameter(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    let settings = Settings::default().with(&attributes)?;
    let now_ms = queues.clock.now_ms();
    let mut all = queues.lock();
    check_redrive(&all, &settings)?;
    let queue = all.entry(name.clone()).or_insert_with(|| Queue::new(settings.clone(), now_ms));
    if queue.settings != settings {
        return Err(Refusal::new(
            "QueueNameExists",
            "A queue already exists with the same name and a different value for an attribute.",
        ));
    }
    json(&json!({"QueueUrl": url(&name)}))
}

fn check_redrive(all: &BTreeMap<String, Queue>, settings: &Settings) -> Result<(), Refusal> {
    match &settings.redrive {
        Some(redrive) if !all.contains_key(&redrive.target) => Err(Refusal::parameter(format!(
            "Value for parameter RedrivePolicy is invalid. Reason: Dead letter target {} does not exist.",
            redrive.target
        ))),
        _ => Ok(()),
    }
}

fn delete_queue(queues: &Queues, request: &OneQueue) -> Result<String, Refusal> {
    let removed = queues.lock().remove(name_of(&request.queue_url)).ok_or_else(Refusal::no_queue)?;
    removed.bell.notify_waiters();
    Ok("{}".to_owned())
}

fn get_url(queues: &Queues, request: &NamedQueue) -> Result<String, Refusal> {
    if !queues.lock().contains_key(&request.queue_name) {
        return Err(Refusal::no_queue());
    }
    json(&json!({"QueueUrl": url(&request.queue_name)}))
}

fn list(queues: &Queues, request: &ListQueues) -> Result<String, Refusal> {
    let all = queues.lock();
    let urls: Vec<String> =
        all.keys().filter(|name| name.starts_with(&request.queue_name_prefix)).map(|name| url(name)).collect();
    json(&json!({"QueueUrls": urls}))
}

fn get_attributes(queues: &Queues, request: &GetAttributes) -> Result<String, Refusal> {
    let named = queues.on(&request.queue_url, |queue, now_ms| {
        queue.surface(now_ms);
        let depth = queue.depth();
        let mut named = queue.settings.named();
        named.extend([
            ("ApproximateNumberOfMessages", depth.ready.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", depth.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", depth.delayed.to_string()),
            ("CreatedTimestamp", (queue.created_ms / 1_000).to_string()),
            ("LastModifiedTimestamp", (queue.modified_ms / 1_000).to_string()),
            ("QueueArn", arn(name_of(&request.queue_url))),
        ]);
        Ok(named)
    })?;
    let wanted = |name: &str| request.attribute_names.iter().any(|wanted| wanted == "All" || wanted == name);
    let attributes: BTreeMap<_, _> = named.into_iter().filter(|(name, _)| wanted(name)).collect();
    json(&json!({"Attributes": attributes}))
}

fn set_attributes(queues: &Queues, request: &SetAttributes) -> Result<String, Refusal> {
    let now_ms = queues.clock.now_ms();
    let mut all = queues.lock();
    let name = name_of(&request.queue_url);
    let settings = all.get(name).ok_or_else(Refusal::no_queue)?.settings.clone().with(&request.attributes)?;
    check_redrive(&all, &settings)?;
    let queue = all.get_mut(name).ok_or_else(Refusal::no_queue)?;
    queue.settings = settings;
    queue.modified_ms = now_ms;
    Ok("{}".to_owned())
}

fn purge(queues: &Queues, request: &OneQueue) -> Result<String, Refusal> {
    queues.on(&request.queue_url, |queue, _| {
        queue.purge();
        Ok("{}".to_owned())
    })
}
