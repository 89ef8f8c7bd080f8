//! From the SDK's errors to the ports': what may be tried again and what is final.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{CreateUnhandledError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use convoke_app::ports::PortError;

/// Codes of errors that pass by themselves, whatever the status they come with: credentials are renewed, clocks are set,
/// throttles end.
const PASSING: [&str; 20] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "LimitExceededException",
    "OverLimit",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
    "TransactionConflict",
];

/// The same of transactions.
const PASSING_TRANSACTION: [&str; 2] = ["TransactionConflictException", "TransactionInProgressException"];

/// Whether an error of that code passes by itself.
pub(crate) fn passes(code: &str) -> bool {
    PASSING.contains(&code) || PASSING_TRANSACTION.contains(&code)
}

/// What a failed call means to its caller. Nothing of the request is kept, so no secret is.
pub(crate) fn port_error<E>(what: &'static str, error: SdkError<E, HttpResponse>) -> PortError
where
    E: Error + ProvideErrorMetadata + CreateUnhandledError + Send + Sync + 'static,
{
    if is_passing(&error) { unavailable(what, chain(error)) } else { refused(what, chain(error)) }
}

/// Worth another try.
pub(crate) fn unavailable(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> PortError {
    PortError::Unavailable { what, source: source.into() }
}

/// Final.
pub(crate) fn refused(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> PortError {
    PortError::Refused { what, source: source.into() }
}

fn is_passing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            status >= 500 || status == 429 || context.err().code().is_some_and(passes)
        }
        // Time-outs, lost connections, answers that can't be read; `SdkError` may grow others like them.
        _ => true,
    }
}

/// The service's own error without the layer that only says "service error".
fn chain<E>(error: SdkError<E, HttpResponse>) -> Box<dyn Error + Send + Sync>
where
    E: Error + CreateUnhandledError + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(context) => context.into_err().into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::get_item::GetItemError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    fn service(status: u16, code: &str) -> PortError {
        let raw = HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::empty());
        let error = GetItemError::generic(ErrorMetadata::builder().code(code).message("why").build());
        port_error("the table", SdkError::service_error(error, raw))
    }

    #[test]
    fn throttles_conflicts_and_server_errors_may_be_tried_again() {
        for (status, code) in [
            (400, "ProvisionedThroughputExceededException"),
            (400, "ThrottlingException"),
            (400, "ExpiredTokenException"),
            (403, "ExpiredToken"),
            (403, "RequestTimeTooSkewed"),
            (400, "TransactionConflictException"),
            (400, "TransactionInProgressException"),
            (500, "Whatever"),
            (503, "SlowDown"),
            (429, "Whatever"),
        ] {
            assert!(service(status, code).is_retryable(), "{status} {code}");
        }
        let lost: SdkError<GetItemError, HttpResponse> = SdkError::timeout_error("late");
        assert!(port_error("the table", lost).is_retryable());
    }

    #[test]
    fn what_an_operator_has_to_mend_is_final() {
        for code in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"] {
            assert!(!service(400, code).is_retryable(), "{code}");
        }
        let unbuilt: SdkError<GetItemError, HttpResponse> = SdkError::construction_failure("no such setting");
        assert!(!port_error("the table", unbuilt).is_retryable());
    }

    #[test]
    fn the_chain_of_causes_reaches_the_services_message() {
        let error = service(400, "ValidationException");
        assert_eq!(error.to_string(), "the table is refused");
        let source = error.source().expect("a source");
        assert!(format!("{source:?}").contains("why"), "{source:?}");
    }
}
