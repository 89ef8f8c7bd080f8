//! The errors of SQS's JSON protocol that this endpoint answers with.

use serde_json::json;

/// A refused request: SQS's own code and a sentence for a person.
#[derive(Debug)]
pub(super) struct Refusal {
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn no_queue() -> Self {
        Self::new("QueueDoesNotExist", "The specified queue does not exist.")
    }

    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {name}."))
    }

    pub(super) fn receipt() -> Self {
        Self::new("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
    }

    /// The code that SQS's older protocol had for it. The SDK reads it from the `x-amzn-query-error` header.
    pub(super) fn query_code(&self) -> String {
        match self.code {
            "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
            "QueueNameExists" => "QueueAlreadyExists".to_owned(),
            "BatchEntryIdsNotDistinct"
            | "BatchRequestTooLong"
            | "EmptyBatchRequest"
            | "InvalidBatchEntryId"
            | "MessageNotInflight"
            | "TooManyEntriesInBatchRequest"
            | "UnsupportedOperation" => {
                format!("AWS.SimpleQueueService.{}", self.code)
            }
            code => code.to_owned(),
        }
    }

    /// The body of the answer; its status is 400.
    pub(super) fn body(&self) -> String {
        json!({"__type": format!("com.amazonaws.sqs#{}", self.code), "message": self.message}).to_string()
    }
}
