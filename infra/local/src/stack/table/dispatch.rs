//! From an operation's name and its JSON body to the library's typed call, and back.

use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An answer as it goes on the wire.
pub(super) struct Answer {
    pub status: u16,
    pub body: String,
}

/// What AWS says of an operation that it doesn't know.
pub(super) const UNKNOWN_OPERATION: &str = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;

/// Whether an operation may have changed an item.
pub(super) fn writes(operation: &str) -> bool {
    matches!(
        operation,
        "PutItem"
            | "UpdateItem"
            | "DeleteItem"
            | "BatchWriteItem"
            | "TransactWriteItems"
            | "ExecuteStatement"
            | "ExecuteTransaction"
            | "BatchExecuteStatement"
    )
}

/// Answers one request. The steps that the library's server takes before its typed calls (wording of type errors for
/// hand-written JSON) are left out: an SDK sends what is well-formed.
pub(super) fn answer(database: &Database, operation: &str, body: &[u8]) -> Answer {
    match call(database, operation, body) {
        Some(Ok(body)) => Answer { status: 200, body },
        Some(Err(error)) => Answer { status: error.status_code(), body: error.to_json() },
        None => Answer { status: 400, body: UNKNOWN_OPERATION.to_owned() },
    }
}

fn call(database: &Database, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
    Some(match operation {
        "GetItem" => typed(body, |request| database.get_item(request)),
        "PutItem" => typed(body, |request| database.put_item(request)),
        "UpdateItem" => typed(body, |request| database.update_item(request)),
        "DeleteItem" => typed(body, |request| database.delete_item(request)),
        "Query" => typed(body, |request| database.query(request)),
        "Scan" => typed(body, |request| database.scan(request)),
        "BatchGetItem" => typed(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => typed(body, |request| database.batch_write_item(request)),
        "TransactGetItems" => typed(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => typed(body, |request| database.transact_write_items(request)),
        "ExecuteStatement" => typed(body, |request| database.execute_statement(request)),
        "ExecuteTransaction" => typed(body, |request| database.execute_transaction(request)),
        "BatchExecuteStatement" => typed(body, |request| database.batch_execute_statement(request)),
        _ => return call_rare(database, operation, body),
    })
}

fn call_rare(database: &Database, operation: &str, body: &[u8]) -> Option<Result<String, DynoxideError>> {
    Some(match operation {
        "CreateTable" => typed(body, |request| database.create_table(request)),
        "DeleteTable" => typed(body, |request| database.delete_table(request)),
        "DescribeTable" => typed(body, |request| database.describe_table(request)),
        "ListTables" => typed(body, |request| database.list_tables(request)),
        "UpdateTable" => typed(body, |request| database.update_table(request)),
        "UpdateTimeToLive" => typed(body, |request| database.update_time_to_live(request)),
        "DescribeTimeToLive" => typed(body, |request| database.describe_time_to_live(request)),
        "TagResource" => typed(body, |request| database.tag_resource(request)),
        "UntagResource" => typed(body, |request| database.untag_resource(request)),
        "ListTagsOfResource" => typed(body, |request| database.list_tags_of_resource(request)),
        "ListStreams" => typed(body, |request| database.list_streams(request)),
        "DescribeStream" => typed(body, |request| database.describe_stream(request)),
        "GetShardIterator" => typed(body, |request| database.get_shard_iterator(request)),
        "GetRecords" => typed(body, |request| database.get_records(request)),
        _ => return None,
    })
}

fn typed<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    call: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let answer = call(request)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// The library's readers say by a prefix of the message which error they mean.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let whole = error.to_string();
    let message = whole.split(" at line ").next().unwrap_or_default();
    if let Some(message) = message.strip_prefix("SERIALIZATION:") {
        return DynoxideError::SerializationException(message.to_owned());
    }
    let message =
        message.strip_prefix("VALIDATION_REQUEST:").or_else(|| message.strip_prefix("VALIDATION:")).unwrap_or(message);
    DynoxideError::ValidationException(message.to_owned())
}
